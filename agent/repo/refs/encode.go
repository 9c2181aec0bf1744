package refs

import (
	"encoding/base64"
	"io"
	"slices"
	"unicode/utf8"

	"farshore/agent/record/jsontext"
)

// Encode returns the manifest as lines of JSON, a header first. Equal manifests have equal bytes. What Check refuses is written as it is, and Decode will
// refuse it.
func (m *Manifest) Encode() []byte {
	dst := m.appendHeader(make([]byte, 0, m.encodedSize()))
	for i := range m.Refs {
		dst = m.Refs[i].appendLine(dst)
	}
	return dst
}

// WriteTo writes what Encode returns, in pieces, and returns the number of bytes: the whole is never in memory.
func (m *Manifest) WriteTo(w io.Writer) (int64, error) {
	const piece = 64 << 10
	var written int64
	dst := m.appendHeader(make([]byte, 0, 2*piece))
	for i := range m.Refs {
		if len(dst) >= piece {
			n, err := w.Write(dst)
			if written += int64(n); err != nil {
				return written, err
			}
			dst = dst[:0]
		}
		dst = m.Refs[i].appendLine(dst)
	}
	n, err := w.Write(dst)
	return written + int64(n), err
}

// encodedSize is a guess at the size that is right where nothing needs escapes.
func (m *Manifest) encodedSize() int {
	n := 128 + len(m.Head)
	for i := range m.Refs {
		r := &m.Refs[i]
		n += len(r.Name) + len(r.OID) + len(r.Symref) + 36
	}
	return n
}

func (m *Manifest) appendHeader(dst []byte) []byte {
	dst = appendMember(append(dst, '{'), "format", m.Format)
	dst = appendBytes(dst, "head", m.Head)
	dst = appendMember(dst, "head_oid", m.HeadOID)
	return append(dst, '}', '\n')
}

func (r *Ref) appendLine(dst []byte) []byte {
	dst = appendBytes(append(dst, '{'), "ref", r.Name)
	dst = appendMember(dst, "oid", r.OID)
	dst = appendBytes(dst, "symref", r.Symref)
	return append(dst, '}', '\n')
}

func appendGone(dst []byte, name string) []byte {
	dst = appendBytes(append(dst, '{'), "ref", name)
	return append(dst, `,"gone":true}`+"\n"...)
}

// appendBytes writes a member whose value is bytes: under its name with 64 behind it, in base64, where they are not UTF-8.
func appendBytes(dst []byte, name, value string) []byte {
	if utf8.ValidString(value) {
		return appendMember(dst, name, value)
	}
	dst = append(appendName(dst, name), "64"...)
	dst = append(dst, '"', ':', '"')
	dst = base64.StdEncoding.AppendEncode(dst, []byte(value))
	return append(dst, '"')
}

// appendMember writes a member unless its value is empty. The value is UTF-8.
func appendMember(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	return jsontext.AppendString(append(appendName(dst, name), '"', ':'), value)
}

// appendName begins a member; whether a comma is due shows in the last byte.
func appendName(dst []byte, name string) []byte {
	dst = slices.Grow(dst, len(name)+2)
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	return append(append(dst, '"'), name...)
}
