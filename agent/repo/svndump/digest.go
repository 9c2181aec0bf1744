package svndump

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"math/bits"
	"strings"
)

// Sum is the digest of a revision or of properties.
type Sum [sha256.Size]byte

// String is the digest in hex.
func (s Sum) String() string { return hex.EncodeToString(s[:]) }

// ParseSum reads a digest in hex.
func ParseSum(text string) (s Sum, err error) {
	if len(text) != 2*len(s) {
		return s, fmt.Errorf("%.80q is no digest", text)
	}
	_, err = hex.Decode(s[:], []byte(text))
	return s, err
}

// Revision is what identifies a revision, whatever version of Subversion, and whichever of its programs, dumped it with deltas.
//
// The digest of a node is the SHA-256 of its fields, in this order and those that it has only: path (without a leading slash), kind, action, copyfrom-path,
// copyfrom-rev, text, then for each property in the order of their names the field set with the name and the field to with the value, or the field
// unset with the name. A field is its name, a space, the number of the value's bytes, a colon, the value, and a line feed. The text is the hex digest that the dump
// gives of the content; the properties are those that the node sets and unsets in comparison with what it was or was copied from. The
// digest of a revision is the SHA-256 of three lines: "revision" and its number, "nodes" and how many there are, "sum" and the sum of the nodes' digests
// as big-endian numbers modulo 2^256, in hex. So it does not depend on the order of nodes, which differs from program to program.
type Revision struct {
	Number int64
	// SHA1 is the digest whose texts are the SHA-1 of contents, where Strong says that the dump gave one for each of them. MD5 is the one whose texts are
	// their MD5, which old repositories and svnrdump give only.
	SHA1, MD5 Sum
	Strong    bool
	// Props is the digest of the revision's own properties: the SHA-256 of their set and to fields.
	Props Sum
	// Nodes is how many nodes the revision has.
	Nodes int64
}

// Line is the line that stands for the revision in a list of digests, with its line feed: number, "sha1" or "md5", and the digest.
func (r *Revision) Line() string {
	if r.Strong {
		return fmt.Sprintf("%d sha1 %s\n", r.Number, r.SHA1)
	}
	return fmt.Sprintf("%d md5 %s\n", r.Number, r.MD5)
}

// Digest is what Line says after the number: the digest with its kind.
func (r *Revision) Digest() string {
	_, d, _ := strings.Cut(strings.TrimSuffix(r.Line(), "\n"), " ")
	return d
}

// Matches reports whether the revision has the digest, as Digest gave it for the same revision elsewhere.
func (r *Revision) Matches(digest string) bool {
	kind, sum, _ := strings.Cut(digest, " ")
	switch kind {
	case "sha1":
		return r.Strong && sum == r.SHA1.String()
	case "md5":
		return sum == r.MD5.String()
	}
	return false
}

// Text names a file's content in a revision.
type Text struct {
	Revision  int64
	Path      string
	SHA1, MD5 string // hex; may be empty
}

// Scan reads a dump to its end and calls revision for each revision, once it is whole, in the order of the dump. text, which may be nil, is called for each
// content. Errors: a *FormatError, what r failed with, or what a callback returned.
func Scan(r io.Reader, revision func(*Revision) error, text func(Text)) error {
	s := &scan{d: NewReader(r), revision: revision, text: text}
	for {
		rec, err := s.d.Next()
		if err == nil {
			err = s.record(rec)
		}
		if err == io.EOF {
			return s.finish()
		}
		if err != nil {
			return err
		}
	}
}

type scan struct {
	d        *Reader
	revision func(*Revision) error
	text     func(Text)

	open bool
	now  Revision
	sha1 adder
	md5  adder
}

func (s *scan) record(rec *Record) error {
	if n, ok := rec.Revision(); ok {
		if err := s.finish(); err != nil {
			return err
		}
		props, err := rec.Properties()
		s.open, s.now, s.sha1, s.md5 = true, Revision{Number: n, Strong: true, Props: PropsSum(props)}, adder{}, adder{}
		return err
	}
	if !rec.Node() {
		return nil
	}
	if !s.open {
		return &FormatError{rec.offset, "a node stands before the first revision"}
	}
	return s.node(rec)
}

func (s *scan) finish() error {
	if !s.open {
		return nil
	}
	s.open = false
	s.now.SHA1, s.now.MD5 = s.sha1.sum(&s.now), s.md5.sum(&s.now)
	return s.revision(&s.now)
}

func (s *scan) node(rec *Record) error {
	s.now.Nodes++
	sha1, md5 := rec.Get("Text-content-sha1"), rec.Get("Text-content-md5")
	if rec.TextLength < 0 {
		sha1, md5 = "", ""
	} else {
		if md5 == "" {
			return &FormatError{rec.offset, fmt.Sprintf("the content of %.100q has no digest", rec.Get(headPath))}
		}
		s.now.Strong = s.now.Strong && sha1 != ""
		if s.text != nil {
			s.text(Text{s.now.Number, rec.Get(headPath), sha1, md5})
		}
	}
	props, err := rec.Properties()
	if err != nil {
		return err
	}
	before, after := nodeFields(rec), propFields(nil, props)
	s.sha1.add(before, sha1, after)
	s.md5.add(before, md5, after)
	return nil
}

func nodeFields(rec *Record) []byte {
	b := appendField(nil, "path", strings.TrimPrefix(rec.Get(headPath), "/"))
	for _, h := range [][2]string{{"Node-kind", "kind"}, {"Node-action", "action"}, {"Node-copyfrom-path", "copyfrom-path"}, {"Node-copyfrom-rev", "copyfrom-rev"}} {
		if rec.Has(h[0]) {
			b = appendField(b, h[1], rec.Get(h[0]))
		}
	}
	return b
}

func propFields(b []byte, props []Property) []byte {
	for _, p := range sorted(props) {
		if p.Deleted {
			b = appendField(b, "unset", p.Name)
			continue
		}
		b = appendField(appendField(b, "set", p.Name), "to", p.Value)
	}
	return b
}

func appendField(b []byte, name, value string) []byte {
	return append(fmt.Appendf(b, "%s %d:%s", name, len(value), value), '\n')
}

// PropsSum is the digest of a revision's properties.
func PropsSum(props []Property) Sum { return sha256.Sum256(propFields(nil, props)) }

// adder adds up digests modulo 2^256; the least limb is first.
type adder [4]uint64

func (a *adder) add(before []byte, text string, after []byte) {
	h := sha256.New()
	_, _ = h.Write(before) // a hash does not fail
	if text != "" {
		_, _ = h.Write(appendField(nil, "text", text))
	}
	_, _ = h.Write(after)
	sum := h.Sum(nil)
	var carry uint64
	for i := range a {
		a[i], carry = bits.Add64(a[i], binary.BigEndian.Uint64(sum[24-8*i:]), carry)
	}
}

func (a *adder) sum(r *Revision) Sum {
	return sha256.Sum256(fmt.Appendf(nil, "revision %d\nnodes %d\nsum %016x%016x%016x%016x\n", r.Number, r.Nodes, a[3], a[2], a[1], a[0]))
}
