package record

import (
	"cmp"
	"errors"
	"fmt"
)

// Kinds of a root's lines, in the order in which they stand.
const (
	lineRange = iota + 1
	lineRanges
	lineKeys
	lineTable
	lineState
)

// rootLine is one line of a root or of a page of ranges; kind says which field counts.
type rootLine struct {
	kind  int
	rng   RootRange
	ref   Ref
	bound bound
	of    string
}

// rootOrder takes a root's lines in their order.
type rootOrder struct {
	root *Root
	last int
}

func (o *rootOrder) line(j *jsonReader) error {
	var l rootLine
	if err := j.rootLine(&l); err != nil {
		return err
	}
	if l.kind < o.last || l.kind == lineKeys && o.last == lineKeys {
		return errors.New("is out of order: ranges, keys, tables, states")
	}
	o.last = l.kind
	switch r := o.root; l.kind {
	case lineRange:
		r.Ranges = append(r.Ranges, l.rng)
	case lineRanges:
		r.Pages = append(r.Pages, RootPage{Ref: l.ref, From: l.bound.from, To: l.bound.to})
	case lineKeys:
		r.Keys = l.ref
	case lineTable:
		r.Tables = append(r.Tables, l.ref)
	case lineState:
		r.States = append(r.States, StateRef{Ref: l.ref, Of: l.of})
	}
	return nil
}

// rootLine reads a line; exactly one of the members that give it its kind must be there.
func (j *jsonReader) rootLine(l *rootLine) error {
	kinds := 0
	begin := func(kind int) { l.kind = kind; kinds++ }
	seen, err := j.object(func(name string) error {
		switch name {
		case "range":
			begin(lineRange)
			return j.rootRange(&l.rng)
		case "segments":
			return j.array(func() error {
				l.rng.Segments = append(l.rng.Segments, Stacked{})
				return j.stacked(&l.rng.Segments[len(l.rng.Segments)-1])
			})
		case "ranges":
			begin(lineRanges)
			return j.ref(&l.ref)
		case "keys":
			begin(lineKeys)
			return j.ref(&l.ref)
		case "table":
			begin(lineTable)
			return j.ref(&l.ref)
		case "state":
			begin(lineState)
			return j.ref(&l.ref)
		case "of":
			return j.string(&l.of)
		}
		return j.boundMember(&l.bound, name)
	})
	if err != nil {
		return err
	}
	if kinds != 1 {
		return fmt.Errorf("says %d of range, ranges, keys, table and state: it must say one", kinds)
	}
	return seen.oneBound()
}

func (j *jsonReader) rootRange(r *RootRange) error {
	var b bound
	seen, err := j.object(func(name string) error {
		if name == "splits" {
			return readAll(j, &r.Splits, j.path)
		}
		return j.boundMember(&b, name)
	})
	if err != nil {
		return err
	}
	r.From, r.To = b.from, b.to
	return seen.oneBound()
}

// boundMember reads one end of a range of paths.
func (j *jsonReader) boundMember(b *bound, name string) error {
	switch name {
	case "from":
		return j.path(&b.from)
	case "from64":
		return j.path64(&b.from)
	case "to":
		return j.path(&b.to)
	case "to64":
		return j.path64(&b.to)
	}
	return j.skip()
}

// oneBound refuses an end of a range that is given twice.
func (m members) oneBound() error {
	return cmp.Or(m.notBoth("from", "from64"), m.notBoth("to", "to64"))
}

func (j *jsonReader) stacked(s *Stacked) error {
	seen, err := j.object(func(name string) error {
		switch name {
		case "records":
			return j.int(&s.Records, 0, maxInt)
		case "base":
			return j.bool(&s.Base)
		}
		return j.refMember(&s.Ref, name)
	})
	if err != nil {
		return err
	}
	return seen.need("name", "size", "records")
}

func (j *jsonReader) place(p *Place) error {
	_, err := j.object(func(name string) error {
		switch name {
		case "name":
			return j.string(&p.Name)
		case "kind":
			return j.string(&p.Kind)
		case "place":
			return j.string(&p.Place)
		}
		return j.skip()
	})
	return err
}
