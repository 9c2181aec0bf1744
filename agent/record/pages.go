package record

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"unicode/utf8"
)

const (
	kindKeys  = "keys"
	kindState = "state"
	kindLines = "lines"
)

// DomainKeys are the secret keys of one deduplication domain.
type DomainKeys struct {
	// Domain is the id of the chain that the domain belongs to.
	Domain string
	// ID names this set of keys: 16 hexadecimal digits.
	ID string
	// ChunkName keys the names of chunks, Cutting where chunks are cut.
	ChunkName, Cutting [32]byte
}

func (k *DomainKeys) check() error {
	switch {
	case !isHex(k.Domain, chainDigits):
		return fmt.Errorf("domain %s is not the id of a chain: %d digits of 0-9a-f", quote(k.Domain), chainDigits)
	case !isHex(k.ID, domainIDDigits):
		return fmt.Errorf("id %s is not %d digits of 0-9a-f", quote(k.ID), domainIDDigits)
	}
	return nil
}

// EncodeKeys writes the raw bytes of a page of keys, or says which of them no reader would take.
func EncodeKeys(keys []DomainKeys) ([]byte, error) {
	b := endLine(appendHeader(nil, kindKeys))
	for i := range keys {
		k := &keys[i]
		if err := k.check(); err != nil {
			return nil, fmt.Errorf("keys page: %w", err)
		}
		b = appendStringMember(append(b, '{'), "domain", k.Domain)
		b = appendStringMember(b, "id", k.ID)
		b = appendKeyMember(b, "chunk_name", &k.ChunkName)
		b = appendKeyMember(b, "cutting", &k.Cutting)
		b = endLine(b)
	}
	return b, nil
}

func appendKeyMember(dst []byte, name string, key *[32]byte) []byte {
	dst = append(appendKey(dst, name), '"')
	dst = plainBase64.AppendEncode(dst, key[:])
	return append(dst, '"')
}

// DecodeKeys reads the raw bytes of a page of keys.
func DecodeKeys(data []byte) ([]DomainKeys, error) {
	var keys []DomainKeys
	err := readLines(data, kindKeys, noMembers, nil, func(j *jsonReader) error {
		var k DomainKeys
		seen, err := j.object(func(name string) error {
			switch name {
			case "domain":
				return j.string(&k.Domain)
			case "id":
				return j.string(&k.ID)
			case "chunk_name":
				return j.key(&k.ChunkName)
			case "cutting":
				return j.key(&k.Cutting)
			}
			return j.skip()
		})
		if err != nil {
			return err
		}
		keys = append(keys, k)
		return cmp.Or(seen.need("domain", "id", "chunk_name", "cutting"), k.check())
	})
	if err != nil {
		return nil, err
	}
	return keys, nil
}

// EncodeState writes the raw bytes of a page of capture state. The lines are without their line feeds, and none may be in them.
func EncodeState(of string, lines [][]byte) ([]byte, error) {
	if !utf8.ValidString(of) {
		return nil, fmt.Errorf("state page: of %s is not UTF-8", quote(of))
	}
	b := endLine(appendStringMember(appendHeader(nil, kindState), "of", of))
	for i, line := range lines {
		if len(line) >= maxLine || bytes.IndexByte(line, '\n') >= 0 {
			return nil, fmt.Errorf("state page: line %d is longer than %d bytes or has a line feed in it", i+1, maxLine)
		}
		b = append(append(b, line...), '\n')
	}
	return b, nil
}

// DecodeState reads the raw bytes of a page of capture state. The lines are copies.
func DecodeState(data []byte) (of string, lines [][]byte, err error) {
	l := newLineReader(bytes.NewReader(data), kindState)
	err = l.header(func(j *jsonReader, name string) error {
		if name == "of" {
			return j.string(&of)
		}
		return j.skip()
	})
	for err == nil {
		var line []byte
		if line, err = l.next(); err == nil {
			lines = append(lines, bytes.Clone(line))
		}
	}
	if err != io.EOF {
		return "", nil, err
	}
	return of, lines, nil
}

// AppendLinesHeader appends the first line of a page of lines. The lines of a part follow as they are.
func AppendLinesHeader(dst []byte) []byte { return endLine(appendHeader(dst, kindLines)) }

// ReadLines reads the header of a page of lines from r and returns a stream of the lines behind it, which r buffers.
func ReadLines(r io.Reader) (io.Reader, error) {
	l := newLineReader(r, kindLines)
	if err := l.header(noMembers); err != nil {
		return nil, err
	}
	return l.r, nil
}
