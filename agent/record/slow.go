package record

import (
	"errors"
	"fmt"
)

// slowRecord reads any line that holds a record: white space, members in any order, escapes, members that are not known.
// It does not check what Record.Check does.
func slowRecord(line []byte, packs []Ref) (*Record, error) {
	r := new(Record)
	err := readJSON(line, func(j *jsonReader) error { return j.record(r, packs) })
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (j *jsonReader) record(r *Record, packs []Ref) error {
	seen, err := j.object(func(name string) error {
		switch name {
		case "path":
			return j.string(&r.Path) // may be empty: the object whose key is the source's prefix
		case "path64":
			return j.path64(&r.Path)
		case "version":
			return j.text(&r.Version)
		case "kind":
			return j.text(&r.Kind)
		case "last":
			r.Last = new(Record)
			return j.lastRecord(r.Last, packs)
		}
		return j.recordMember(r, packs, name)
	})
	if err != nil {
		return err
	}
	if !seen["path"] && !seen["path64"] {
		return errors.New("a record has no path")
	}
	return seen.notBoth("path", "path64")
}

func (j *jsonReader) lastRecord(r *Record, packs []Ref) error {
	_, err := j.object(func(name string) error {
		switch name {
		case "path", "path64", "version", "kind", "last":
			return errors.New("has no place in a last record")
		}
		return j.recordMember(r, packs, name)
	})
	return err
}

func (j *jsonReader) recordMember(r *Record, packs []Ref, name string) error {
	switch name {
	case "state":
		return j.text(&r.State)
	case "reason":
		return j.text(&r.Reason)
	case "detail":
		return j.text(&r.Detail)
	case "attrs":
		return j.attrs(&r.Attrs)
	case "parts":
		return j.array(func() error {
			r.Parts = append(r.Parts, Part{})
			return j.part(&r.Parts[len(r.Parts)-1], packs)
		})
	}
	return j.skip()
}

func (j *jsonReader) attrs(dst *Attrs) error {
	attrs := Attrs{}
	_, err := j.object(func(name string) error {
		key, err := parseText(name)
		if err != nil {
			return err
		}
		var value string
		err = j.text(&value)
		attrs[key] = value
		return err
	})
	if len(attrs) > 0 {
		*dst = attrs
	}
	return err
}

func (j *jsonReader) part(p *Part, packs []Ref) error {
	seen, err := j.object(func(name string) error {
		switch name {
		case "kind":
			return j.text(&p.Kind)
		case "encoding":
			return j.text(&p.Encoding)
		case "base":
			return j.text(&p.Base)
		case "attrs":
			return j.attrs(&p.Attrs)
		case "size":
			return j.int64(&p.Size, 0, maxInt)
		case "sha256":
			return j.hash(&p.SHA256)
		case "extents":
			return j.array(func() error { return j.extent(&p.Extents, packs) })
		case "pages":
			return j.array(func() error { return j.partPage(&p.Pages) })
		case "inline":
			return j.text(&p.Inline)
		case "lines":
			return j.array(func() error { return j.partPage(&p.Lines) })
		}
		return j.skip()
	})
	if err != nil {
		return err
	}
	return seen.need("size", "sha256")
}

// extent reads [p, offset, length] and appends it to dst.
func (j *jsonReader) extent(dst *[]Extent, packs []Ref) error {
	var n [3]int64
	if err := j.tuple(&n[0], &n[1], &n[2]); err != nil {
		return err
	}
	if n[0] >= int64(len(packs)) {
		return fmt.Errorf("pack %d is not among the header's %d packs", n[0], len(packs))
	}
	*dst = append(*dst, Extent{Pack: packs[n[0]], Offset: n[1], Length: n[2]})
	return nil
}

// tuple reads an array of exactly so many integers.
func (j *jsonReader) tuple(dst ...*int64) error {
	i := 0
	err := j.array(func() error {
		if i == len(dst) {
			return fmt.Errorf("is one more than %d numbers", len(dst))
		}
		i++
		return j.int64(dst[i-1], 0, maxInt)
	})
	if err == nil && i < len(dst) {
		return fmt.Errorf("has %d numbers in place of %d", i, len(dst))
	}
	return err
}

func (j *jsonReader) partPage(dst *[]PartPage) error {
	var p PartPage
	seen, err := j.object(func(name string) error {
		switch name {
		case "offset":
			return j.int64(&p.Offset, 0, maxInt)
		case "length":
			return j.int64(&p.Length, 0, maxInt)
		}
		return j.refMember(&p.Ref, name)
	})
	if err != nil {
		return err
	}
	*dst = append(*dst, p)
	return seen.need("name", "size", "offset", "length")
}
