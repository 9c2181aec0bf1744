package bucket

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"net/http"
	"strings"
)

// errMismatch says that the bytes read do not have the checksum that the store states.
var errMismatch = errors.New("the bytes do not have the checksum that the store states")

// checksums are the algorithms that are compared, cheapest first: of several that a store states, one is enough.
var checksums = []struct {
	header string
	make   func() hash.Hash
}{
	{"X-Amz-Checksum-Crc32c", func() hash.Hash { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) }},
	{"X-Amz-Checksum-Crc32", func() hash.Hash { return crc32.NewIEEE() }},
	{crc64Header, newCRC64NVME},
	{"X-Amz-Checksum-Sha256", sha256.New},
	{"X-Amz-Checksum-Sha1", sha1.New},
}

const (
	crc64Header    = "X-Amz-Checksum-Crc64nvme"
	checksumPrefix = "X-Amz-Checksum-"
	checksumType   = "X-Amz-Checksum-Type"
)

// stated is a checksum that the store states of the whole object, ready to be compared.
type stated struct {
	name string
	hash hash.Hash
	want []byte
}

// statement picks the checksum to compare from an answer's headers; nil where there is none. A checksum of parts ("…-5") can't be compared with
// the whole; it is recorded and counted.
func (s *Source) statement(h http.Header) *stated {
	composite := h.Get(checksumType) == "COMPOSITE"
	for _, c := range checksums {
		v := h.Get(c.header)
		if v == "" || c.header == crc64Header && s.o.SkipCRC64NVME {
			continue
		}
		want, err := base64.StdEncoding.DecodeString(v)
		if composite || err != nil {
			composite = true
			continue
		}
		return &stated{name: strings.TrimPrefix(c.header, checksumPrefix), hash: c.make(), want: want}
	}
	if composite {
		s.notes.composite.Add(1)
		return nil
	}
	if m := s.md5(h); m != nil {
		return m
	}
	s.notes.unchecked.Add(1)
	return nil
}

// md5 takes the ETag as a checksum where it is one: 32 digits, and neither SSE-KMS nor SSE-C.
func (s *Source) md5(h http.Header) *stated {
	if !s.o.CheckMD5 || strings.HasPrefix(h.Get("X-Amz-Server-Side-Encryption"), "aws:") || h.Get("X-Amz-Server-Side-Encryption-Customer-Algorithm") != "" {
		return nil
	}
	want, err := hex.DecodeString(bareETag(h.Get("Etag")))
	if err != nil || len(want) != md5.Size {
		return nil
	}
	return &stated{name: "MD5", hash: md5.New(), want: want}
}

// checked reads an object to its end and refuses to end well when length or checksum differ. It remembers its failure, so that the
// caller can tell it from the sink's. Not safe for concurrent use.
type checked struct {
	r      io.Reader
	left   int64
	sum    *stated // nil: none to compare
	failed error   // what ended it but the end
	ended  bool
}

// Read reads on. The end is told only after the checks.
func (c *checked) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.left -= int64(n)
	if c.sum != nil {
		c.sum.hash.Write(p[:n])
	}
	if err == io.EOF {
		err = c.end()
	}
	if err != nil && err != io.EOF {
		c.failed = err
	}
	return n, err
}

func (c *checked) end() error {
	c.ended = true
	if c.left != 0 {
		return fmt.Errorf("the store sent %d bytes too few", c.left)
	}
	if c.sum != nil {
		if got := c.sum.hash.Sum(nil); string(got) != string(c.sum.want) {
			return fmt.Errorf("%w: %s is %s, stated %s", errMismatch, c.sum.name,
				base64.StdEncoding.EncodeToString(got), base64.StdEncoding.EncodeToString(c.sum.want))
		}
	}
	return io.EOF
}
