// Package svndump reads and writes Subversion's dump format, versions 1 to 3, as a stream: it holds one record's headers and properties at a time, never a file's
// content. It computes the digests by which a revision in one repository is compared with the same revision in another, whatever version of Subversion dumped it.
// It never runs a program.
package svndump

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Headers of the format.
const (
	headVersion  = "SVN-fs-dump-format-version"
	headUUID     = "UUID"
	headRevision = "Revision-number"
	headPath     = "Node-path"
)

// Limits: what is beyond them is no dump that a repository gives.
const (
	maxHeaders = 1 << 20   // bytes of a record's headers
	maxProps   = 256 << 20 // bytes of a record's properties
	maxLength  = 1 << 60   // bytes of a content
)

// FormatError says that a stream is no valid dump, or one that is cut off.
type FormatError struct {
	// Offset is about where in the stream the record begins, in bytes.
	Offset int64
	Detail string
}

// Error says where and what.
func (e *FormatError) Error() string {
	return fmt.Sprintf("svn dump: at byte %d: %s", e.Offset, e.Detail)
}

// Property is a property that a record sets, or removes when Deleted. Name and Value are bytes.
type Property struct {
	Name, Value string
	Deleted     bool
}

// Record is one record of a dump: its head, a UUID, a revision, or a node.
type Record struct {
	// Head are the bytes of the headers, each ending in a line feed, without the empty line after them.
	Head []byte
	// Props are the bytes of the properties, nil when the record has no such block.
	Props []byte
	// TextLength is how many bytes of content follow; -1 when the record has no content.
	TextLength int64

	offset int64
	fields map[string]string
}

// Get returns the header of that name, "" when there is none.
func (r *Record) Get(name string) string { return r.fields[name] }

// Has reports whether the record has the header.
func (r *Record) Has(name string) bool {
	_, ok := r.fields[name]
	return ok
}

// Revision returns the number of the revision that the record begins; false for records of other kinds.
func (r *Record) Revision() (int64, bool) {
	n, err := number(r.fields[headRevision])
	return n, err == nil && r.Has(headRevision)
}

// Node reports whether the record is one of a node, a change to a path.
func (r *Record) Node() bool { return r.Has(headPath) }

// Properties parses the record's properties, in the order of the dump.
func (r *Record) Properties() ([]Property, error) {
	props, err := parseProps(r.Props)
	if err != nil {
		return nil, &FormatError{r.offset, err.Error()}
	}
	return props, nil
}

// Reader reads a dump record by record. Not safe for concurrent use.
type Reader struct {
	br     *bufio.Reader
	offset int64
	left   int64 // bytes of the last record's content that were not read yet
	any    bool
}

// NewReader returns a reader of the dump in r.
func NewReader(r io.Reader) *Reader { return &Reader{br: bufio.NewReaderSize(r, 128<<10)} }

// Next returns the next record, io.EOF at the end of the dump, a *FormatError, or what the stream failed with. It passes over what was not read of the last one's
// content. The record is valid until the next call.
func (d *Reader) Next() (*Record, error) {
	if _, err := io.Copy(io.Discard, contentOf{d}); err != nil {
		return nil, err
	}
	rec := &Record{TextLength: -1, fields: map[string]string{}}
	if err := d.head(rec); err != nil {
		return nil, err
	}
	if err := d.check(rec); err != nil {
		return nil, err
	}
	return rec, d.sizes(rec)
}

// Content reads the content of the record that Next returned last.
func (d *Reader) Content() io.Reader { return contentOf{d} }

type contentOf struct{ d *Reader }

// Read reads on in the content.
func (c contentOf) Read(p []byte) (int, error) {
	d := c.d
	if d.left == 0 {
		return 0, io.EOF
	}
	n, err := d.br.Read(p[:min(int64(len(p)), d.left)])
	d.left -= int64(n)
	d.offset += int64(n)
	if err == io.EOF {
		err = d.bad("the dump ends within a content")
	}
	return n, err
}

func (d *Reader) bad(format string, args ...any) error {
	return &FormatError{d.offset, fmt.Sprintf(format, args...)}
}

// line reads a line without its line feed. At the end of the stream it returns io.EOF.
func (d *Reader) line(room int) ([]byte, error) {
	var line []byte
	for {
		part, err := d.br.ReadSlice('\n')
		line = append(line, part...)
		d.offset += int64(len(part))
		switch {
		case len(line) > room:
			return nil, d.bad("headers have more than %d bytes", maxHeaders)
		case err == nil:
			return line[:len(line)-1], nil
		case err == io.EOF && len(line) > 0:
			return nil, d.bad("the dump ends within a line")
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}

// head reads the headers, and the empty lines before them.
func (d *Reader) head(rec *Record) error {
	for {
		line, err := d.line(maxHeaders - len(rec.Head))
		switch {
		case err == io.EOF && len(rec.Head) > 0:
			return d.bad("the dump ends within headers")
		case err != nil:
			return err
		case len(line) == 0 && len(rec.Head) > 0:
			return nil
		case len(line) == 0:
			continue
		}
		if len(rec.Head) == 0 {
			rec.offset = d.offset - int64(len(line)) - 1
		}
		name, value, ok := strings.Cut(string(line), ": ")
		if !ok || name == "" || rec.Has(name) {
			return d.bad("%.100q is no header", line)
		}
		rec.fields[name] = value
		rec.Head = append(append(rec.Head, line...), '\n')
	}
}

// check holds the record to the kinds that there are.
func (d *Reader) check(rec *Record) error {
	version := rec.Get(headVersion)
	switch {
	case !d.any && version == "":
		return d.bad("it does not begin with %s", headVersion)
	case version != "" && version != "1" && version != "2" && version != "3":
		return d.bad("version %.20q of the dump format is not known", version)
	}
	d.any = true
	n := 0
	for _, kind := range []string{headVersion, headUUID, headRevision, headPath} {
		if rec.Has(kind) {
			n++
		}
	}
	if _, ok := rec.Revision(); n != 1 || rec.Has(headRevision) && !ok {
		return d.bad("a record is of no known kind: %.100q", rec.Head)
	}
	return nil
}

// sizes reads the properties, and how long the content is.
func (d *Reader) sizes(rec *Record) error {
	lengths := map[string]int64{"Prop-content-length": -1, "Text-content-length": -1, "Content-length": -1}
	for name := range lengths {
		if !rec.Has(name) {
			continue
		}
		n, err := number(rec.Get(name))
		if err != nil {
			return d.bad("%s: %v", name, err)
		}
		lengths[name] = n
	}
	props, text, whole := lengths["Prop-content-length"], lengths["Text-content-length"], lengths["Content-length"]
	rest := whole - max(props, 0)
	switch {
	case props > maxProps:
		return d.bad("properties have %d bytes: %d are the most", props, maxProps)
	case whole >= 0 && (rest < 0 || text >= 0 && text != rest):
		return d.bad("Content-length is %d, of properties %d and content %d", whole, props, text)
	case text < 0 && rest > 0:
		text = rest // version 1 gives the sum alone
	}
	rec.TextLength, d.left = text, max(text, 0)
	return d.props(rec, props)
}

func (d *Reader) props(rec *Record, n int64) error {
	if n < 0 {
		return nil
	}
	var buf bytes.Buffer // grows with what is there, not with what is claimed
	m, err := io.CopyN(&buf, d.br, n)
	d.offset += m
	if err == io.EOF {
		return d.bad("the dump ends within properties")
	}
	rec.Props = buf.Bytes()
	if rec.Props == nil {
		rec.Props = []byte{}
	}
	return err
}

// number reads a count or a revision.
func number(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > maxLength || s[0] == '+' {
		return 0, fmt.Errorf("%.40q is no number", s)
	}
	return n, nil
}
