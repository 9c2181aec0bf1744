package record

import (
	"fmt"
	"io"
	"slices"
	"strconv"
)

const (
	kindSegment = "segment"
	kindExtents = "extents"
)

// SegmentHeader is the first line of a segment.
type SegmentHeader struct {
	// From and To are the range of paths that the segment covers, To excluded; an empty To means to the end.
	From, To string
	// Records is the number of records that follow.
	Records int
	// Packs are the packs that the records' extents refer to by their position here, with their stored sizes.
	Packs []Ref
}

// AppendSegmentHeader appends the header's line to dst.
func AppendSegmentHeader(dst []byte, h *SegmentHeader) []byte {
	dst = appendHeader(dst, kindSegment)
	dst = appendBounds(dst, h.From, h.To)
	dst = appendIntMember(dst, "records", int64(h.Records))
	dst = appendPairs(dst, "packs", h.Packs)
	return endLine(dst)
}

// AppendRecord appends the record's line to dst. pack gives a pack's position in the segment's header. The line is readable when
// r.Check returns nil; neighbouring extents are the caller's to join.
func AppendRecord(dst []byte, r *Record, pack func(Hash) int) []byte {
	dst = appendPath(append(dst, '{'), "path", r.Path)
	dst = appendTextMember(dst, "version", r.Version)
	dst = appendTextMember(dst, "kind", r.Kind)
	dst = appendRecordRest(dst, r, pack)
	if r.Last != nil {
		dst = append(appendKey(dst, "last"), '{')
		dst = appendRecordRest(dst, r.Last, pack)
		dst = append(dst, '}')
	}
	return endLine(dst)
}

// appendRecordRest writes the members that a last record has too.
func appendRecordRest(dst []byte, r *Record, pack func(Hash) int) []byte {
	dst = appendTextMember(dst, "state", r.State)
	dst = appendTextMember(dst, "reason", r.Reason)
	dst = appendTextMember(dst, "detail", r.Detail)
	dst = appendAttrs(dst, r.Attrs)
	if len(r.Parts) == 0 {
		return dst
	}
	dst = append(appendKey(dst, "parts"), '[')
	for i := range r.Parts {
		dst = appendPart(appendSep(dst), &r.Parts[i], pack)
	}
	return append(dst, ']')
}

func appendAttrs(dst []byte, attrs Attrs) []byte {
	if len(attrs) == 0 {
		return dst
	}
	var few [24]string
	keys := few[:0]
	for key := range attrs {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	dst = append(appendKey(dst, "attrs"), '{')
	for i, key := range keys {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendText(dst, key), ':')
		dst = appendText(dst, attrs[key])
	}
	return append(dst, '}')
}

func appendPart(dst []byte, p *Part, pack func(Hash) int) []byte {
	dst = appendTextMember(append(dst, '{'), "kind", p.Kind)
	dst = appendTextMember(dst, "encoding", p.Encoding)
	dst = appendTextMember(dst, "base", p.Base)
	dst = appendAttrs(dst, p.Attrs)
	dst = appendIntMember(dst, "size", p.Size)
	dst = appendHash(appendKey(dst, "sha256"), &p.SHA256)
	if len(p.Extents) > 0 {
		dst = append(appendKey(dst, "extents"), '[')
		for i := range p.Extents {
			e := &p.Extents[i]
			dst = appendExtent(appendSep(dst), pack(e.Pack.Name), e.Offset, e.Length)
		}
		dst = append(dst, ']')
	}
	if len(p.Pages) > 0 {
		dst = append(appendKey(dst, "pages"), '[')
		for i := range p.Pages {
			dst = appendPartPage(appendSep(dst), &p.Pages[i])
		}
		dst = append(dst, ']')
	}
	dst = appendTextMember(dst, "inline", p.Inline)
	if len(p.Lines) > 0 {
		dst = append(appendKey(dst, "lines"), '[')
		for i := range p.Lines {
			dst = appendPartPage(appendSep(dst), &p.Lines[i])
		}
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

func appendExtent(dst []byte, pack int, off, length int64) []byte {
	dst = append(dst, '[')
	dst = strconv.AppendInt(dst, int64(pack), 10)
	dst = append(dst, ',')
	dst = strconv.AppendInt(dst, off, 10)
	dst = append(dst, ',')
	dst = strconv.AppendInt(dst, length, 10)
	return append(dst, ']')
}

func appendPartPage(dst []byte, p *PartPage) []byte {
	dst = appendRefMembers(append(dst, '{'), &p.Ref)
	dst = appendIntMember(dst, "offset", p.Offset)
	dst = appendIntMember(dst, "length", p.Length)
	return append(dst, '}')
}

// SegmentReader reads the raw bytes of a segment, record by record. It is not safe for concurrent use.
type SegmentReader struct {
	lines  *lineReader
	header SegmentHeader
	fast   fastReader
	read   int
	prev   Record // the key of the record before, without the rest
	err    error
}

// NewSegmentReader reads the header from r, which it buffers. It holds no more than one line and the list of packs.
func NewSegmentReader(r io.Reader) (*SegmentReader, error) {
	s := &SegmentReader{lines: newLineReader(r, kindSegment)}
	var b bound
	h := &s.header
	err := s.lines.header(func(j *jsonReader, name string) error {
		switch name {
		case "records":
			return j.int(&h.Records, 0, maxInt)
		case "packs":
			return j.pairs(&h.Packs)
		}
		return j.boundMember(&b, name)
	}, "records")
	if err != nil {
		return nil, err
	}
	h.From, h.To = b.from, b.to
	if err := checkRange(h.From, h.To); err != nil {
		return nil, s.lines.fail(err)
	}
	s.fast = newFastReader(h.Packs)
	return s, nil
}

// checkRange refuses a range in which no path can lie.
func checkRange(from, to string) error {
	if to != "" && from >= to {
		return fmt.Errorf("the range from %s to %s is empty", quote(from), quote(to))
	}
	return nil
}

// Header returns the segment's header. Its packs must not be changed.
func (s *SegmentReader) Header() *SegmentHeader { return &s.header }

// Next returns the next record, which is the caller's, and io.EOF behind the last one. It refuses records that are out of order or
// of the range, and a segment that has more or fewer than its header says. An error stays.
func (s *SegmentReader) Next() (*Record, error) {
	if s.err != nil {
		return nil, s.err
	}
	r, err := s.next()
	if err != nil {
		s.err = err
		return nil, err
	}
	s.prev.Path, s.prev.Version, s.prev.Kind = r.Path, r.Version, r.Kind
	s.read++
	return r, nil
}

func (s *SegmentReader) next() (*Record, error) {
	line, err := s.lines.next()
	if err == io.EOF && s.read != s.header.Records {
		return nil, fmt.Errorf("segment page: ends after %d of %d records", s.read, s.header.Records)
	}
	if err != nil {
		return nil, err
	}
	r, ok := s.fast.record(line)
	if !ok {
		if r, err = slowRecord(line, s.header.Packs); err != nil {
			return nil, s.lines.fail(err)
		}
	}
	return r, s.lines.fail(s.checkNext(r))
}

// checkNext holds a record against the segment that it stands in.
func (s *SegmentReader) checkNext(r *Record) error {
	switch {
	case s.read >= s.header.Records:
		return fmt.Errorf("the segment goes on after its %d records", s.header.Records)
	case r.Path < s.header.From, s.header.To != "" && r.Path >= s.header.To:
		return fmt.Errorf("path %s lies outside of the segment's range", quote(r.Path))
	case s.read > 0 && Compare(&s.prev, r) >= 0:
		return fmt.Errorf("path %s is not behind the record before it", quote(r.Path))
	}
	return r.Check()
}
