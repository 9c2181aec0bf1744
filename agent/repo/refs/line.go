package refs

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"farshore/agent/record/jsontext"
)

// What a line has.
const (
	hasFormat = 1 << iota
	hasHead
	hasHeadOID
	hasRef
	hasOID
	hasSymref
	hasGone
)

// line is what one line of JSON says.
type line struct {
	Ref
	format, head, headOID string
	has                   uint8
}

// set takes a member whose value is a string. It reports false for a name that it does not know.
func (l *line) set(name, value string) (bool, error) {
	dst, bit := l.member(strings.TrimSuffix(name, "64"))
	is64 := strings.HasSuffix(name, "64")
	if bit == 0 || is64 && bit&(hasRef|hasHead|hasSymref) == 0 {
		return false, nil
	}
	if l.has&bit != 0 {
		return true, fmt.Errorf("member %s is given twice", name)
	}
	if value == "" {
		return true, fmt.Errorf("member %s is empty", name)
	}
	l.has |= bit
	if is64 {
		bytes, err := decode64(value)
		if err != nil {
			return true, fmt.Errorf("member %s: %w", name, err)
		}
		value = bytes
	}
	*dst = value
	return true, nil
}

func (l *line) member(name string) (*string, uint8) {
	switch name {
	case "ref":
		return &l.Name, hasRef
	case "oid":
		return &l.OID, hasOID
	case "symref":
		return &l.Symref, hasSymref
	case "format":
		return &l.format, hasFormat
	case "head":
		return &l.head, hasHead
	case "head_oid":
		return &l.headOID, hasHeadOID
	}
	return nil, 0
}

// decode64 reads padded base64 in its only spelling, of bytes that are not UTF-8.
func decode64(value string) (string, error) {
	b, err := base64.StdEncoding.DecodeString(value)
	if err != nil || base64.StdEncoding.EncodeToString(b) != value {
		return "", errors.New("is not padded base64")
	}
	if utf8.Valid(b) {
		return "", errors.New("is UTF-8, which is not written in base64")
	}
	return string(b), nil
}

func (l *line) setGone() error {
	if l.has&hasGone != 0 {
		return errors.New("member gone is given twice")
	}
	l.has |= hasGone
	return nil
}

// parseLine reads one line, without its end.
func parseLine(text string) (line, error) {
	if l, ok := fastLine(text); ok {
		return l, nil
	}
	return slowLine(text)
}

// fastLine reads the form that Encode gives where no string has an escape. It gives up at whatever is different, so that only slowLine decides what is right.
func fastLine(s string) (line, bool) {
	var l line
	if s == "" || s[0] != '{' {
		return l, false
	}
	for i := 1; ; {
		name, n := plainString(s[i:])
		i += n
		if n == 0 || i >= len(s) || s[i] != ':' {
			return l, false
		}
		i++
		if name == "gone" {
			if !strings.HasPrefix(s[i:], "true") || l.setGone() != nil {
				return l, false
			}
			i += len("true")
		} else {
			value, n := plainString(s[i:])
			if known, err := l.set(name, value); n == 0 || !known || err != nil {
				return l, false
			}
			i += n
		}
		switch {
		case i == len(s)-1 && s[i] == '}':
			return l, true
		case i >= len(s) || s[i] != ',':
			return l, false
		}
		i++
	}
}

// plainString reads a string without escapes, and the number of bytes that it takes with its quotes; 0 where there is none.
func plainString(s string) (string, int) {
	if s == "" || s[0] != '"' {
		return "", 0
	}
	end := strings.IndexByte(s[1:], '"') + 1
	if end == 0 {
		return "", 0
	}
	value := s[1:end]
	var wide byte
	for i := range len(value) {
		c := value[i]
		if c < ' ' || c == '\\' {
			return "", 0
		}
		wide |= c
	}
	if wide >= utf8.RuneSelf && !utf8.ValidString(value) {
		return "", 0
	}
	return value, end + 1
}

// slowLine reads any JSON object.
func slowLine(text string) (line, error) {
	var l line
	data := []byte(text)
	if err := jsontext.Check(data); err != nil {
		return l, err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return l, errors.New("is not a JSON object")
	}
	unknown := map[string]bool{}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return l, err
		}
		name, _ := t.(string)
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return l, err
		}
		known, err := l.setJSON(name, value)
		if err != nil {
			return l, err
		}
		if !known && unknown[name] {
			return l, fmt.Errorf("member %q is given twice", name)
		}
		unknown[name] = !known
	}
	return l, nil
}

func (l *line) setJSON(name string, value json.RawMessage) (bool, error) {
	if name == "gone" {
		if string(value) != "true" {
			return true, errors.New("member gone is not true")
		}
		return true, l.setGone()
	}
	var s *string
	err := json.Unmarshal(value, &s)
	if err == nil && s != nil {
		return l.set(name, *s)
	}
	if _, bit := new(line).member(strings.TrimSuffix(name, "64")); bit != 0 {
		return true, fmt.Errorf("member %s is not a string", name)
	}
	return false, nil
}
