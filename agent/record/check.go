package record

import (
	"errors"
	"fmt"
)

// Check returns what a reader of segments would refuse the record for, or nil. A writer calls it before AppendRecord, which cannot
// fail.
func (r *Record) Check() error {
	switch {
	case r.Kind == "":
		return errors.New("a record has no kind")
	case r.Last != nil && r.State != Unreadable:
		return errors.New("only an unreadable record has a last one")
	}
	if err := r.checkRest(); err != nil {
		return err
	}
	if r.Last == nil {
		return nil
	}
	return at("last", r.Last.checkLast())
}

func (r *Record) checkLast() error {
	if r.Path != "" || r.Version != "" || r.Kind != "" || r.Last != nil {
		return errors.New("has a path, version, kind or last record of its own")
	}
	if r.State == Unreadable {
		return errors.New("is unreadable itself")
	}
	return r.checkRest()
}

func (r *Record) checkRest() error {
	switch r.State {
	case Present, Deleted, DeleteMarker, Unreadable:
	default:
		return fmt.Errorf("state %s is not known", quote(r.State))
	}
	if (r.Reason != "") != (r.State == Unreadable) {
		return fmt.Errorf("state %s does not go with reason %s", r.State, quote(r.Reason))
	}
	if len(r.Parts) > 0 && r.State != Present {
		return fmt.Errorf("state %s does not go with parts", r.State)
	}
	for i := range r.Parts {
		if err := r.Parts[i].check(); err != nil {
			return at("parts", atIndex(i, err))
		}
	}
	return nil
}

func (p *Part) check() error {
	switch {
	case p.Kind == "":
		return errors.New("has no kind")
	case p.Size < 0 || p.Size > maxInt:
		return fmt.Errorf("size %d is out of range", p.Size)
	case p.SHA256.IsZero():
		return errors.New("has no sha256")
	case len(p.Extents) > 0 && len(p.Pages) > 0:
		return errors.New("has both extents and pages")
	case p.places() > 1:
		return errors.New("has more than one place")
	case len(p.Inline) > MaxInline:
		return fmt.Errorf("has %d bytes in place of a page: %d are the most", len(p.Inline), MaxInline)
	}
	n, err := p.placed()
	if err != nil {
		return err
	}
	if n != p.Size && (p.Encoding == "" || n == 0 || p.Size == 0) {
		return fmt.Errorf("has a place for %d bytes of %d", n, p.Size)
	}
	return nil
}

// places counts the kinds of places that the part has.
func (p *Part) places() (n int) {
	for _, there := range []bool{len(p.Extents) > 0, len(p.Pages) > 0, p.Inline != "", len(p.Lines) > 0} {
		if there {
			n++
		}
	}
	return n
}

// placed adds up the bytes that the part's place covers.
func (p *Part) placed() (int64, error) {
	n := int64(len(p.Inline))
	for i := range p.Extents {
		if err := checkExtent(p.Extents[i].Offset, p.Extents[i].Length); err != nil {
			return 0, at("extents", atIndex(i, err))
		}
		n += p.Extents[i].Length
	}
	n, err := paged("pages", p.Pages, n)
	if err != nil {
		return 0, err
	}
	return paged("lines", p.Lines, n)
}

// paged adds to n the bytes that the pages cover, which follow one another.
func paged(what string, pages []PartPage, n int64) (int64, error) {
	for i := range pages {
		g := &pages[i]
		switch {
		case g.Name.IsZero() || g.Size < 0 || g.Size > maxStored:
			return 0, at(what, atIndex(i, errors.New("names no page")))
		case g.Offset != n:
			return 0, at(what, atIndex(i, fmt.Errorf("begins at %d in place of %d", g.Offset, n)))
		case g.Length < 1 || g.Length > maxInt-n:
			return 0, at(what, atIndex(i, fmt.Errorf("covers %d bytes", g.Length)))
		}
		n += g.Length
	}
	return n, nil
}

func checkExtent(off, length int64) error {
	if off < 0 || length < 1 || length > maxRaw || off > maxRaw-length {
		return fmt.Errorf("offset %d and length %d do not lie in a pack", off, length)
	}
	return nil
}

// MaxRecord is the most bytes that the line of a record may have: less than any line, so that it fits as another record's last one as well.
const MaxRecord = maxLine - 64<<10

// LineSize returns how many bytes the record's line comes to, at the most and without looking at each byte where that is little; exactly where it is near
// MaxRecord.
func (r *Record) LineSize() int64 {
	n := r.most()
	if r.Last != nil {
		n += r.Last.most()
	}
	if n <= MaxRecord {
		return n
	}
	return int64(len(AppendRecord(nil, r, func(Hash) int { return MaxPackChunks })))
}

// most is more than the bytes that the record's members come to: each byte of a text may take six.
func (r *Record) most() int64 {
	n := 200 + text(r.Path, r.Version, r.Kind, r.State, r.Reason, r.Detail) + r.Attrs.most()
	for i := range r.Parts {
		p := &r.Parts[i]
		n += 200 + text(p.Kind, p.Encoding, p.Base, p.Inline) + p.Attrs.most() + 50*int64(len(p.Extents)) + 200*int64(len(p.Pages)+len(p.Lines))
	}
	return n
}

func (a Attrs) most() (n int64) {
	for key, value := range a {
		n += text(key, value)
	}
	return n
}

func text(all ...string) (n int64) {
	for _, s := range all {
		n += 6*int64(len(s)) + 20
	}
	return n
}
