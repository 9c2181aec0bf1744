package vault

import (
	"context"

	"farshore/agent/record"
)

// Modes of writing a range anew.
type mode int

const (
	// push puts a segment with what changed on top of the range's stack.
	push mode = iota
	// squash writes what changed together with all that the stack has above its base, and leaves the base.
	squash
	// rewrite writes everything that is left as a new base.
	rewrite
)

// Thresholds of the stack. A range is rewritten when what lies above its base comes to an eighth of it, and squashed at squashAt segments, so that
// neither reading nor writing grows with the number of passes: each record is rewritten a bounded number of times for each eightfold growth.
const (
	squashAt     = 4
	rewriteShare = 8
)

// Span is a run of ranges that a pass works on as one: its listing is joined with its old records, and what comes of it is written.
type Span struct {
	From, To string
	// Splits are remembered keys at which the span's listing may be cut.
	Splits  []string
	ranges  []record.RootRange
	mode    mode
	short   ends // packs of its segments whose locks end too soon; nil without BeginOptions.MinLockLeft
	damaged bool // its segments refer to objects that are known to be damaged
}

// Rewrites reports whether records that did not change have to be handed to Keep all the same.
func (s *Span) Rewrites() bool { return s.mode != push }

// plan groups the ranges of the base into spans. Runs of small neighbours become one range, so that passes which were cut short leave no
// lasting trace.
func plan(ranges []record.RootRange) []*Span {
	var spans []*Span
	for i := 0; i < len(ranges); {
		n, records := 1, count(ranges[i])
		for i+n < len(ranges) && records+count(ranges[i+n]) <= segmentRecords {
			records += count(ranges[i+n])
			n++
		}
		if n < 3 {
			n = 1
		}
		spans = append(spans, newSpan(ranges[i:i+n]))
		i += n
	}
	return spans
}

// SplitEvery is how many listed items lie between two keys that a pass remembers with Split.
const SplitEvery = 10_000

// most bounds the records of a range by the keys that were remembered in it: the counts of its segments are those of the range before it was cut.
func most(r record.RootRange) int { return (len(r.Splits) + 2) * SplitEvery }

func newSpan(ranges []record.RootRange) *Span {
	s := &Span{From: ranges[0].From, To: ranges[len(ranges)-1].To, ranges: ranges}
	for i, r := range ranges {
		if i > 0 {
			s.Splits = append(s.Splits, r.From)
		}
		s.Splits = append(s.Splits, r.Splits...)
	}
	if len(ranges) > 1 {
		s.mode = rewrite
		return s
	}
	s.mode = stackMode(ranges[0])
	return s
}

func stackMode(r record.RootRange) mode {
	stack := r.Segments
	if len(stack) == 0 || !stack[len(stack)-1].Base {
		return rewrite
	}
	above := 0
	for _, s := range stack[:len(stack)-1] {
		above += s.Records
	}
	switch {
	case above*rewriteShare >= min(stack[len(stack)-1].Records, most(r)) && above > 0:
		return rewrite
	case len(stack) >= squashAt:
		return squash
	}
	return push
}

func count(r record.RootRange) (n int) {
	for _, s := range r.Segments {
		n += s.Records
	}
	return min(n, most(r))
}

// Pass is one pass over a source: spans in order, each read through Old and written through Begin, Keep, Put, Delete and End. Old may be used by
// another goroutine than the rest, ahead of it.
type Pass struct {
	w       *Writer
	spans   []*Span
	done    []rangeOut // what is written, up to the current position
	cur     *Span
	curAt   int // index of cur in spans
	from    string
	splits  []string
	over    *segmentBuilder // changes, shared by ranges that are not rewritten
	fresh   *segmentBuilder // a base being written
	inRange int             // records of over that lie in the current range
	last    string          // path of the last record written
	waiting []*pendingSegment
	overRef *segmentHandle       // what ranges refer to over by, until it is closed
	refs    int                  // packs in the public list of the next commit
	added   record.ReadBack      // what is new of the records put since the last commit
	lost    map[record.Hash]bool // segments that can't be read any more; the lister's
}

// segmentHandle is a segment that ranges refer to before it is stored.
type segmentHandle struct{ pending *pendingSegment }

// rangeOut is a range of the root in the making.
type rangeOut struct {
	record.RootRange
	fresh   *segmentHandle // goes on top of Segments
	records int
	base    bool
}

// NewPass plans a pass over everything.
func (w *Writer) NewPass() *Pass {
	if w.passed { // what an earlier pass stored and committed is not new any more
		w.recall.forget()
	}
	w.passed = true
	return &Pass{w: w, spans: plan(w.base.ranges)}
}

// Spans are the pass's spans in order.
func (p *Pass) Spans() []*Span { return p.spans }

// Begin starts span i. Spans are begun in order, and each is ended before the next; what one that was cut short leaves stays as it was.
func (p *Pass) Begin(i int) {
	for _, r := range p.left() {
		p.done = append(p.done, rangeOut{RootRange: r})
	}
	p.cur, p.curAt = p.spans[i], i
	p.from = p.cur.From
	p.inRange = 0
	p.splits = nil
}

// Keep takes a record of the base that stays as it is. Only spans that Rewrites need it.
func (p *Pass) Keep(ctx context.Context, r OldRecord) error {
	switch p.cur.mode {
	case rewrite:
		if r.State == record.Deleted {
			return nil
		}
		return p.emit(ctx, r.Record)
	case squash:
		if !r.based {
			return p.emit(ctx, r.Record)
		}
	}
	return nil
}

// Put takes a record that is new or changed.
func (p *Pass) Put(ctx context.Context, r *record.Record) error {
	if err := p.countNew(ctx, r); err != nil {
		return err
	}
	return p.emit(ctx, r)
}

// Delete says that the item of an old record is gone.
func (p *Pass) Delete(ctx context.Context, r *record.Record) error {
	if p.cur.mode == rewrite {
		return nil
	}
	return p.emit(ctx, &record.Record{Path: r.Path, Version: r.Version, Kind: r.Kind, State: record.Deleted})
}

// Split remembers a key at which the next pass may cut its listing.
func (p *Pass) Split(key string) { p.splits = append(p.splits, key) }

func (p *Pass) emit(ctx context.Context, r *record.Record) error {
	if b := p.builder(); b.full() && r.Path != p.last {
		// A range has all records of a path or none: it is cut between two paths.
		if p.inRange > 0 {
			p.close(ctx, p.last+"\x00")
		} else {
			p.closeOver(ctx, p.from)
		}
		if err := p.settle(2); err != nil {
			return err
		}
	}
	if err := p.builder().add(ctx, r); err != nil {
		return err
	}
	p.inRange++
	p.last = r.Path
	return nil
}

// builder returns the segment that the current span writes to.
func (p *Pass) builder() *segmentBuilder {
	if p.cur.mode == rewrite {
		if p.fresh == nil {
			p.fresh = newSegmentBuilder(p.w, p.from)
		}
		return p.fresh
	}
	if p.over == nil {
		p.over = newSegmentBuilder(p.w, p.from)
		p.overRef = &segmentHandle{}
	}
	return p.over
}

// close ends the current range before key cut, and the segment that it was written to.
func (p *Pass) close(ctx context.Context, cut string) {
	p.endRange(ctx, cut)
	p.closeOver(ctx, cut)
}

// closeOver hands the shared segment of changes to the store.
func (p *Pass) closeOver(ctx context.Context, to string) {
	if p.over != nil {
		p.overRef.pending = p.over.finish(ctx, to)
		p.refs += p.over.refs()
		p.waiting = append(p.waiting, p.overRef.pending)
		p.over, p.overRef = nil, nil
	}
}

// endRange writes down what the range from p.from to the cut consists of.
func (p *Pass) endRange(ctx context.Context, cut string) {
	out := rangeOut{RootRange: record.RootRange{From: p.from, To: cut}, records: p.inRange}
	out.Splits, p.splits = takeBelow(p.splits, cut)
	switch p.cur.mode {
	case rewrite:
		// An empty range has an empty base: it says that it was listed, which no segment at all would not.
		b := p.builder()
		h := &segmentHandle{pending: b.finish(ctx, cut)}
		p.refs += b.refs()
		p.waiting = append(p.waiting, h.pending)
		out.fresh, out.base = h, true
		p.fresh = nil
	case squash:
		stack := p.cur.ranges[0].Segments
		out.Segments = stack[len(stack)-1:]
		fallthrough
	case push:
		if p.cur.mode == push {
			out.Segments = p.cur.ranges[0].Segments
		}
		if p.inRange > 0 {
			out.fresh = p.overRef
		}
	}
	p.done = append(p.done, out)
	p.from, p.inRange = cut, 0
}

func takeBelow(keys []string, cut string) (below, rest []string) {
	for i, k := range keys {
		if cut != "" && k >= cut {
			return keys[:i], keys[i:]
		}
	}
	return keys, nil
}

// End finishes the current span. Where it was cut short, upTo is the first path that was not dealt with, and the rest stays as it was.
func (p *Pass) End(ctx context.Context, upTo string, whole bool) error {
	if whole {
		upTo = p.cur.To
	}
	if upTo > p.from || whole && upTo == "" {
		p.endRange(ctx, upTo)
	}
	if whole {
		p.cur = nil
		p.curAt++
	}
	return p.settle(2)
}

// settle waits until at most n segments are on their way; the open pack is closed early when they would wait for it.
func (p *Pass) settle(n int) error {
	for len(p.waiting) > n {
		ps := p.waiting[0]
		if err := p.w.packer.flushFor(ps.packs); err != nil {
			return err
		}
		<-ps.done
		if ps.err != nil {
			return ps.err
		}
		p.waiting = p.waiting[1:]
	}
	return nil
}

// Crowded reports whether the segments since the last commit refer to so many packs that the commit's public list would become too large.
func (p *Pass) Crowded() bool { return p.refs >= maxRefs }

// maxRefs is how many packs the sections of one list may have, at about 80 bytes each.
const maxRefs = 256 << 10

// left returns what of the current span the pass has not dealt with, as the base has it.
func (p *Pass) left() []record.RootRange {
	if p.cur == nil {
		return nil
	}
	var out []record.RootRange
	for _, r := range p.cur.ranges {
		if r.To != "" && r.To <= p.from {
			continue
		}
		r.From = max(r.From, p.from)
		_, r.Splits = takeBelow(r.Splits, r.From)
		out = append(out, r)
	}
	return out
}

// rest returns the ranges that the pass has not dealt with, as the base has them.
func (p *Pass) rest() []record.RootRange {
	out := p.left()
	next := p.curAt
	if p.cur != nil {
		next++
	}
	for _, s := range p.spans[min(next, len(p.spans)):] {
		out = append(out, s.ranges...)
	}
	return out
}

// ranges resolves everything written so far and returns the ranges of the root.
func (p *Pass) ranges() ([]record.RootRange, []record.ListSection, error) {
	var sections []record.ListSection
	seen := map[*pendingSegment]bool{}
	out := make([]record.RootRange, 0, len(p.done)+8)
	for i := range p.done {
		d := &p.done[i]
		if d.fresh != nil {
			ps := d.fresh.pending
			<-ps.done
			if ps.err != nil {
				return nil, nil, ps.err
			}
			if !seen[ps] {
				seen[ps] = true
				sections = append(sections, ps.section)
			}
			top := record.Stacked{Ref: ps.ref, Records: d.records, Base: d.base}
			d.Segments = append([]record.Stacked{top}, d.Segments...)
			d.fresh = nil
		}
		out = append(out, d.RootRange)
	}
	return append(out, p.rest()...), sections, nil
}
