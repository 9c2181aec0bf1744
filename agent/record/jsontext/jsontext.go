// Package jsontext has what the codecs of JSON lines share: strings in their one spelling, and a check of what encoding/json would take or silently replace. It is
// pure.
package jsontext

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// AppendString writes s in quotes and escapes only what must be (docs/format.md, section 1). s must be UTF-8.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	from := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[from:i]...)
		dst = appendEscape(dst, c)
		from = i + 1
	}
	dst = append(dst, s[from:]...)
	return append(dst, '"')
}

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, '\\', 'b')
	case '\f':
		return append(dst, '\\', 'f')
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	dst = append(dst, `\u00`...)
	return hex.AppendEncode(dst, []byte{c})
}

// Check refuses what is not one JSON value in UTF-8, and escapes that encoding/json would silently replace.
func Check(data []byte) error {
	if !utf8.Valid(data) {
		return errors.New("not UTF-8")
	}
	if !json.Valid(data) {
		var raw json.RawMessage
		return fmt.Errorf("not JSON: %w", json.Unmarshal(data, &raw))
	}
	if hasLoneSurrogate(data) {
		return errors.New(`half of a surrogate pair (\ud800 to \udfff) stands alone`)
	}
	return nil
}

// hasLoneSurrogate looks through the escapes of valid JSON.
func hasLoneSurrogate(data []byte) bool {
	for {
		i := bytes.IndexByte(data, '\\')
		if i < 0 {
			return false
		}
		unit, n := escapedUnit(data[i:])
		data = data[i+n:]
		switch {
		case unit >= 0xdc00 && unit < 0xe000:
			return true
		case unit >= 0xd800 && unit < 0xdc00:
			low, n := escapedUnit(data)
			if low < 0xdc00 || low >= 0xe000 {
				return true
			}
			data = data[n:]
		}
	}
}

// escapedUnit reads the \uXXXX that b begins with, and its length; of any other escape it only says that it is two bytes long.
func escapedUnit(b []byte) (unit uint64, n int) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, min(2, len(b))
	}
	unit, err := strconv.ParseUint(string(b[2:6]), 16, 16)
	if err != nil {
		return 0, 2
	}
	return unit, 6
}
