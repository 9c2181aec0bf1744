package record

import (
	"encoding/hex"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"farshore/agent/record/jsontext"
)

// The appenders below write JSON as docs/format.md wants it: members in a fixed order, no white space, empty members left out, only
// that escaped which must be. They tell from the last byte whether a comma is due, so that no state is carried along.

// base64Mark begins a string of a record that stands for other bytes.
const base64Mark = "base64:"

// FormatTime writes a time as the format does: RFC 3339 in UTC, with as many digits of fraction as it needs.
func FormatTime(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// appendKey begins a member. The key is quoted and needs no escapes.
func appendKey(dst []byte, key string) []byte {
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	dst = append(dst, '"')
	dst = append(dst, key...)
	return append(dst, '"', ':')
}

// appendSep begins an element of an array.
func appendSep(dst []byte) []byte {
	if dst[len(dst)-1] != '[' {
		dst = append(dst, ',')
	}
	return dst
}

// appendHeader begins the header of a page; the caller adds members and ends it with endLine.
func appendHeader(dst []byte, kind string) []byte {
	dst = append(dst, `{"farshore":"`...)
	dst = append(dst, kind...)
	return append(dst, `","version":1`...)
}

func endLine(dst []byte) []byte { return append(dst, '}', '\n') }

// needsMark reports whether a string of a record is written in base64.
func needsMark(s string) bool {
	return !utf8.ValidString(s) || strings.HasPrefix(s, base64Mark)
}

// appendText writes a string of a record in quotes, in base64 where it must.
func appendText(dst []byte, s string) []byte {
	if !needsMark(s) {
		return jsontext.AppendString(dst, s)
	}
	dst = append(dst, '"')
	dst = append(dst, base64Mark...)
	dst = paddedBase64.AppendEncode(dst, []byte(s))
	return append(dst, '"')
}

// appendPath writes a path under key, or under key64 where it is not UTF-8.
func appendPath(dst []byte, key, path string) []byte {
	if utf8.ValidString(path) {
		return jsontext.AppendString(appendKey(dst, key), path)
	}
	dst = append(appendKey(dst, key+"64"), '"')
	dst = paddedBase64.AppendEncode(dst, []byte(path))
	return append(dst, '"')
}

// appendBound writes one end of a range of paths; an open one is left out.
func appendBound(dst []byte, key, path string) []byte {
	if path == "" {
		return dst
	}
	return appendPath(dst, key, path)
}

func appendStringMember(dst []byte, key, s string) []byte {
	if s == "" {
		return dst
	}
	return jsontext.AppendString(appendKey(dst, key), s)
}

func appendTextMember(dst []byte, key, s string) []byte {
	if s == "" {
		return dst
	}
	return appendText(appendKey(dst, key), s)
}

func appendIntMember(dst []byte, key string, n int64) []byte {
	return strconv.AppendInt(appendKey(dst, key), n, 10)
}

func appendTrueMember(dst []byte, key string, b bool) []byte {
	if !b {
		return dst
	}
	return append(appendKey(dst, key), "true"...)
}

func appendTimeMember(dst []byte, key string, t time.Time) []byte {
	if t.IsZero() {
		return dst
	}
	dst = append(appendKey(dst, key), '"')
	dst = t.UTC().AppendFormat(dst, time.RFC3339Nano)
	return append(dst, '"')
}

func appendHash(dst []byte, h *Hash) []byte {
	dst = append(dst, '"')
	dst = hex.AppendEncode(dst, h[:])
	return append(dst, '"')
}

// appendHashMember writes a hash, or nothing for nil.
func appendHashMember(dst []byte, key string, h *Hash) []byte {
	if h == nil {
		return dst
	}
	return appendHash(appendKey(dst, key), h)
}

// appendRefMembers writes the two members of a reference into an open object.
func appendRefMembers(dst []byte, r *Ref) []byte {
	dst = appendHash(appendKey(dst, "name"), &r.Name)
	return appendIntMember(dst, "size", r.Size)
}

// appendRefMember writes a reference, or nothing for nil.
func appendRefMember(dst []byte, key string, r *Ref) []byte {
	if r == nil {
		return dst
	}
	dst = append(appendKey(dst, key), '{')
	dst = appendRefMembers(dst, r)
	return append(dst, '}')
}

func appendStrings(dst []byte, key string, list []string) []byte {
	if len(list) == 0 {
		return dst
	}
	dst = append(appendKey(dst, key), '[')
	for _, s := range list {
		dst = jsontext.AppendString(appendSep(dst), s)
	}
	return append(dst, ']')
}

func appendHashes(dst []byte, key string, list []Hash) []byte {
	if len(list) == 0 {
		return dst
	}
	dst = append(appendKey(dst, key), '[')
	for i := range list {
		dst = appendHash(appendSep(dst), &list[i])
	}
	return append(dst, ']')
}

// appendPairs writes references as [hash, size].
func appendPairs(dst []byte, key string, list []Ref) []byte {
	if len(list) == 0 {
		return dst
	}
	dst = append(appendKey(dst, key), '[')
	for i := range list {
		dst = append(appendSep(dst), '[')
		dst = append(appendHash(dst, &list[i].Name), ',')
		dst = strconv.AppendInt(dst, list[i].Size, 10)
		dst = append(dst, ']')
	}
	return append(dst, ']')
}
