package vault

import (
	"context"
	"errors"
	"time"

	"farshore/agent/internal/state"
	"farshore/agent/record"
)

// Renew looks for what span i of the pass rests on: where a segment is damaged, or a pack or page which it refers to, and, under BeginOptions.MinLockLeft, where the lock of one
// ends too soon, the span is written anew, and such objects are remembered for Damaged and Short. It is called before Begin of the span, and costs no request where nothing is known
// to be damaged and all locks are known to last.
func (p *Pass) Renew(ctx context.Context, i int) error {
	if p.w.guard == nil && len(p.w.damaged) == 0 {
		return nil
	}
	s := p.spans[i]
	seen := map[record.Hash]bool{}
	for _, r := range s.ranges {
		for _, seg := range r.Segments {
			if seen[seg.Name] {
				continue
			}
			seen[seg.Name] = true
			if len(p.w.damaged) > 0 {
				if err := p.mendSegment(ctx, s, seg.Ref); err != nil {
					return p.w.noteUnread(err)
				}
			}
			if p.w.guard == nil || p.lost[seg.Name] {
				continue
			}
			if err := p.renewSegment(ctx, s, seg.Ref); err != nil {
				return p.w.noteUnread(err)
			}
		}
	}
	return nil
}

func (p *Pass) renewSegment(ctx context.Context, s *Span, seg record.Ref) error {
	g := p.w.guard
	_, ok, err := g.metaLasts(ctx, seg)
	if err != nil {
		return err
	}
	if !ok {
		s.mode = rewrite
	}
	end, known, err := p.w.local.Lock(p.w.domain, state.LockOfRefs, seg.Name)
	if err != nil || known && !end.Before(g.need()) {
		return err
	}
	packs, err := p.w.vault.SegmentPacks(ctx, seg.Name)
	if err != nil {
		return err
	}
	if len(packs) == 0 {
		return nil
	}
	var last extreme
	first, err := g.earliest(ctx, packs, func(pack record.Ref, end time.Time) {
		s.remember(pack, end)
		last.latest(end)
	})
	if err != nil {
		return err
	}
	// What could not be stored anew when the segment was written can't be now, in all likelihood: it is no reason to write the segment again.
	stuck, known, err := p.w.local.Lock(p.w.domain, state.LockOfStuck, seg.Name)
	if err != nil {
		return err
	}
	if last.any && (!known || last.end.Truncate(time.Second).After(stuck)) {
		s.mode = rewrite
	}
	return g.keep(state.LockOfRefs, seg.Name, first)
}

// noteStuck remembers of a segment that was just written which of its packs, by the latest end of their locks, could not be stored anew.
func (g *guard) noteStuck(ctx context.Context, segment record.Hash, packs []record.Ref) error {
	if g == nil || len(packs) == 0 {
		return nil
	}
	var last extreme
	if _, err := g.earliest(ctx, packs, func(_ record.Ref, end time.Time) { last.latest(end) }); err != nil || !last.any {
		return err
	}
	return g.keep(state.LockOfStuck, segment, last.end)
}

// ends is until when packs are locked; zero for one that is not.
type ends map[record.Hash]time.Time

// remember notes a pack whose lock ends too soon.
func (s *Span) remember(pack record.Ref, end time.Time) {
	if s.short == nil {
		s.short = ends{}
	}
	s.short[pack.Name] = end
}

// Short reports whether a record of the span rests on an object whose lock ends too soon, and when the first of them does, zero for one that has no lock. It may be used
// concurrently once Renew has returned.
func (p *Pass) Short(ctx context.Context, s *Span, r *record.Record) (end time.Time, short bool, err error) {
	if p.w.guard == nil || r == nil {
		return end, false, nil
	}
	var first extreme
	err = p.short(ctx, s, r, &first)
	return first.end, first.any, err
}

// extreme is the earliest of several ends, or the latest.
type extreme struct {
	end time.Time
	any bool
}

func (f *extreme) latest(end time.Time) {
	if !f.any || end.After(f.end) {
		f.end, f.any = end, true
	}
}

func (f *extreme) earliest(end time.Time) {
	if !f.any || end.Before(f.end) {
		f.end, f.any = end, true
	}
}

func (p *Pass) short(ctx context.Context, s *Span, r *record.Record, first *extreme) error {
	for i := range r.Parts {
		part := &r.Parts[i]
		for _, e := range part.Extents {
			if end, ok := s.short[e.Pack.Name]; ok {
				first.earliest(end)
			}
		}
		for _, page := range part.Pages {
			if err := p.shortPage(ctx, page, first); err != nil {
				return err
			}
		}
		for _, page := range part.Lines {
			if end, ok, err := p.w.guard.metaLasts(ctx, page.Ref); err != nil {
				return err
			} else if !ok {
				first.earliest(end)
			}
		}
	}
	if r.Last != nil {
		return p.short(ctx, s, r.Last, first)
	}
	return nil
}

// shortPage looks at a page of extents and at the packs behind it, whose earliest end is remembered: it is read again only when that is too near.
func (p *Pass) shortPage(ctx context.Context, page record.PartPage, first *extreme) error {
	g := p.w.guard
	end, ok, err := g.metaLasts(ctx, page.Ref)
	if err != nil {
		return err
	}
	if !ok {
		first.earliest(end)
	}
	end, known, err := p.w.local.Lock(p.w.domain, state.LockOfRefs, page.Name)
	if err != nil || known && !end.Before(g.need()) {
		return err
	}
	extents, err := p.w.vault.extentPage(ctx, page)
	var damage *DamageError
	if errors.As(err, &damage) { // what can't be read does not last: the item is captured again, if it can be
		first.earliest(time.Time{})
		return nil
	}
	if err != nil {
		return err
	}
	packs := make([]record.Ref, 0, len(extents))
	for _, e := range extents {
		packs = append(packs, e.Pack)
	}
	end, err = g.earliest(ctx, distinct(packs), func(_ record.Ref, end time.Time) { first.earliest(end) })
	if err != nil {
		return err
	}
	return g.keep(state.LockOfRefs, page.Name, end)
}

// freshKeys returns the page of the chain's keys, stored anew where it is known to be damaged and can still be read, or its lock ends too soon.
func (w *Writer) freshKeys(ctx context.Context, ref record.Ref) (record.Ref, error) {
	ok, err := w.metaLasts(ctx, ref)
	if err != nil || ok {
		return ref, err
	}
	raw, err := w.vault.pageBytes(ctx, ref.Name, maxRaw)
	if err != nil {
		return ref, err
	}
	return w.putBytes(ctx, raw)
}

// freshTables returns the chunk tables, those stored anew that are damaged or whose locks end too soon: without the packs that nothing may rest on any more, so that what is stored again and again in the
// course of years does not make them ever larger.
func (w *Writer) freshTables(ctx context.Context, tables []record.Ref) ([]record.Ref, error) {
	if w.guard == nil && len(w.damaged) == 0 {
		return tables, nil
	}
	out := make([]record.Ref, 0, len(tables))
	for _, t := range tables {
		ok, err := w.metaLasts(ctx, t)
		kept := true
		if err == nil && !ok {
			t, kept, err = w.rewriteTables(ctx, []record.Ref{t}, func(pack record.Ref) (bool, error) { return w.packLasts(ctx, pack) })
		}
		if err != nil {
			return nil, err
		}
		if kept {
			out = append(out, t)
		}
	}
	return out, nil
}
