package record

import (
	"cmp"
	"errors"
	"fmt"
	"unicode/utf8"
)

const (
	kindRoot   = "root"
	kindRanges = "ranges"
)

// Stacked is a segment in a range's stack.
type Stacked struct {
	Ref
	// Records is how many records of the range it has.
	Records int
	// Base is true for a segment that stands for all that lies below it.
	Base bool
}

// RootRange is a range of paths and the segments that tell what it has, newest first.
type RootRange struct {
	// From and To are the range, To excluded; an empty To means to the end.
	From, To string
	// Splits are paths at which a next listing may be cut. Those that are not UTF-8 are not written.
	Splits   []string
	Segments []Stacked
}

// RootPage names a page of ranges and the paths that they cover together.
type RootPage struct {
	Ref
	From, To string
}

// StateRef names a page of capture state.
type StateRef struct {
	Ref
	// Of says what the state is of; its meaning is the source kind's.
	Of string
}

// Root is what a snapshot consists of.
type Root struct {
	Source           Place
	Include, Exclude []string
	// Ranges or Pages cover all paths, ascending; only one of the two is used.
	Ranges []RootRange
	Pages  []RootPage
	// Keys is the page with the domain's keys; zero when there is none.
	Keys Ref
	// Tables are the live chunk tables.
	Tables []Ref
	States []StateRef
}

// EncodeRoot writes the raw bytes of the root's page, or says why no reader would take them.
func EncodeRoot(r *Root) ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("root page: %w", err)
	}
	if len(r.Ranges) > MaxInlineRanges {
		return nil, fmt.Errorf("root page: %d ranges are more than %d: they belong into pages", len(r.Ranges), MaxInlineRanges)
	}
	b := appendHeader(nil, kindRoot)
	b = append(appendKey(b, "source"), '{')
	b = appendStringMember(b, "name", r.Source.Name)
	b = appendStringMember(b, "kind", r.Source.Kind)
	b = append(appendStringMember(b, "place", r.Source.Place), '}')
	b = appendStrings(b, "include", r.Include)
	b = appendStrings(b, "exclude", r.Exclude)
	b = endLine(b)
	b = appendRanges(b, r.Ranges)
	for i := range r.Pages {
		p := &r.Pages[i]
		b = appendRefMember(append(b, '{'), "ranges", &p.Ref)
		b = endLine(appendBounds(b, p.From, p.To))
	}
	if r.Keys != (Ref{}) {
		b = endLine(appendRefMember(append(b, '{'), "keys", &r.Keys))
	}
	for i := range r.Tables {
		b = endLine(appendRefMember(append(b, '{'), "table", &r.Tables[i]))
	}
	for i := range r.States {
		b = appendRefMember(append(b, '{'), "state", &r.States[i].Ref)
		b = endLine(appendStringMember(b, "of", r.States[i].Of))
	}
	if !utf8.Valid(b) {
		return nil, errors.New("root page: a text in it is not UTF-8")
	}
	return b, nil
}

// EncodeRanges writes the raw bytes of a page of ranges.
func EncodeRanges(ranges []RootRange) []byte {
	return appendRanges(endLine(appendHeader(nil, kindRanges)), ranges)
}

func appendRanges(dst []byte, ranges []RootRange) []byte {
	for i := range ranges {
		r := &ranges[i]
		dst = append(appendKey(append(dst, '{'), "range"), '{')
		dst = appendBounds(dst, r.From, r.To)
		dst = appendSplits(dst, r.Splits)
		dst = append(dst, '}')
		if len(r.Segments) > 0 {
			dst = append(appendKey(dst, "segments"), '[')
			for k := range r.Segments {
				dst = appendStacked(appendSep(dst), &r.Segments[k])
			}
			dst = append(dst, ']')
		}
		dst = endLine(dst)
	}
	return dst
}

func appendBounds(dst []byte, from, to string) []byte {
	return appendBound(appendBound(dst, "from", from), "to", to)
}

func appendSplits(dst []byte, splits []string) []byte {
	var written []string
	for _, s := range splits {
		if s != "" && utf8.ValidString(s) {
			written = append(written, s)
		}
	}
	return appendStrings(dst, "splits", written)
}

func appendStacked(dst []byte, s *Stacked) []byte {
	dst = appendRefMembers(append(dst, '{'), &s.Ref)
	dst = appendIntMember(dst, "records", int64(s.Records))
	dst = appendTrueMember(dst, "base", s.Base)
	return append(dst, '}')
}

// check refuses a root that does not say what holds for each path.
func (r *Root) check() error {
	if len(r.Ranges) > 0 && len(r.Pages) > 0 {
		return errors.New("has both ranges and pages of ranges")
	}
	bounds := make([]bound, 0, len(r.Ranges)+len(r.Pages))
	for i := range r.Pages {
		p := &r.Pages[i]
		if err := p.Ref.check(); err != nil {
			return fmt.Errorf("page %d of ranges: %w", i+1, err)
		}
		bounds = append(bounds, bound{p.From, p.To})
	}
	for i := range r.Ranges {
		bounds = append(bounds, bound{r.Ranges[i].From, r.Ranges[i].To})
	}
	if n := len(bounds); n == 0 || bounds[0].from != "" || bounds[n-1].to != "" {
		return errors.New("its ranges do not cover all paths")
	}
	if err := checkBounds(bounds); err != nil {
		return err
	}
	if err := checkStacks(r.Ranges); err != nil {
		return err
	}
	return r.checkRefs()
}

func (r *Root) checkRefs() error {
	if r.Keys != (Ref{}) {
		if err := r.Keys.check(); err != nil {
			return fmt.Errorf("keys: %w", err)
		}
	}
	for i := range r.Tables {
		if err := r.Tables[i].check(); err != nil {
			return fmt.Errorf("table %d: %w", i+1, err)
		}
	}
	for i := range r.States {
		if err := r.States[i].Ref.check(); err != nil {
			return fmt.Errorf("state %d: %w", i+1, err)
		}
	}
	return nil
}

// check refuses a reference that no stored object can have.
func (r *Ref) check() error {
	if r.Name.IsZero() {
		return errors.New("names nothing: its hash is zero")
	}
	return between(r.Size, 0, maxStored)
}

type bound struct{ from, to string }

// checkBounds refuses ranges with a gap or an overlap.
func checkBounds(list []bound) error {
	for i, b := range list {
		if err := checkRange(b.from, b.to); err != nil {
			return err
		}
		if i > 0 && (b.from == "" || b.from != list[i-1].to) {
			return fmt.Errorf("a range begins at %s, but the one before it ends at %s", quote(b.from), quote(list[i-1].to))
		}
	}
	return nil
}

func checkStacks(ranges []RootRange) error {
	for i := range ranges {
		stack := ranges[i].Segments
		if len(stack) > MaxStack {
			return fmt.Errorf("the range from %s has %d segments: %d are the most", quote(ranges[i].From), len(stack), MaxStack)
		}
		for k := range stack {
			if stack[k].Base && k < len(stack)-1 {
				return fmt.Errorf("the range from %s has a base that is not its last segment", quote(ranges[i].From))
			}
			if err := stack[k].Ref.check(); err != nil {
				return fmt.Errorf("the range from %s: segment %d: %w", quote(ranges[i].From), k+1, err)
			}
		}
	}
	return nil
}

// DecodeRoot reads the raw bytes of a root's page and checks that its ranges cover all paths, once each.
func DecodeRoot(data []byte) (*Root, error) {
	r := new(Root)
	order := rootOrder{root: r}
	header := func(j *jsonReader, name string) error {
		switch name {
		case "source":
			return j.place(&r.Source)
		case "include":
			return j.strings(&r.Include)
		case "exclude":
			return j.strings(&r.Exclude)
		}
		return j.skip()
	}
	if err := readLines(data, kindRoot, header, []string{"source"}, order.line); err != nil {
		return nil, err
	}
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("root page: %w", err)
	}
	return r, nil
}

// DecodeRanges reads the raw bytes of a page of ranges and checks that they have no gap and no overlap.
func DecodeRanges(data []byte) ([]RootRange, error) {
	var list []RootRange
	err := readLines(data, kindRanges, noMembers, nil, func(j *jsonReader) error {
		l := rootLine{}
		if err := j.rootLine(&l); err != nil {
			return err
		}
		if l.kind != lineRange {
			return errors.New("is not the line of a range")
		}
		list = append(list, l.rng)
		return nil
	})
	if err != nil {
		return nil, err
	}
	bounds := make([]bound, len(list))
	for i := range list {
		bounds[i] = bound{list[i].From, list[i].To}
	}
	if err := cmp.Or(checkBounds(bounds), checkStacks(list)); err != nil {
		return nil, fmt.Errorf("ranges page: %w", err)
	}
	return list, nil
}
