package vault

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"farshore/agent/internal/state"
	"farshore/agent/record"
	"farshore/crypto/seal"
)

// remember notes what opens a pack that was stored, if it is to be read back.
func (w *Writer) remember(pack record.Hash, key *seal.FileKey) {
	if w.back.off() {
		key.Forget()
		key = nil
	}
	w.recall.pack(pack, key)
}

// loadDamage adds what the local state knows to be damaged, and has it forget where the chunks of damaged packs are.
func (w *Writer) loadDamage() error {
	known, err := w.local.Damaged(w.domain)
	if err != nil {
		return err
	}
	for _, name := range known {
		w.damaged[name] = true
	}
	return w.local.ForgetAll(w.domain, slices.Collect(maps.Keys(w.damaged)))
}

// metaLasts reports whether a page may be named by a new snapshot: it is not known to be damaged, and is locked for long enough.
func (w *Writer) metaLasts(ctx context.Context, ref record.Ref) (bool, error) {
	if w.damaged[ref.Name] {
		return false, nil
	}
	_, ok, err := w.guard.metaLasts(ctx, ref)
	return ok, err
}

// packLasts is metaLasts for a pack.
func (w *Writer) packLasts(ctx context.Context, ref record.Ref) (bool, error) {
	if w.damaged[ref.Name] {
		return false, nil
	}
	_, ok, err := w.guard.packLasts(ctx, ref)
	return ok, err
}

// mendSegment has the span written anew where one of its segments is damaged, or rests on what is and was written before that was known.
func (p *Pass) mendSegment(ctx context.Context, s *Span, seg record.Ref) error {
	w := p.w
	list := w.lists[seg.Name].List
	if w.damaged[seg.Name] || w.damaged[list] {
		s.mode = rewrite
	}
	if p.lost[seg.Name] {
		return nil
	}
	n, err := p.damagedBehind(ctx, seg.Name, list)
	if err != nil || n == 0 {
		return err
	}
	s.damaged = true
	known, ok, err := w.local.Lock(w.domain, state.LockOfDamage, seg.Name)
	if err == nil && (!ok || known.Unix() < n) {
		s.mode = rewrite
	}
	return err
}

// damagedBehind counts the damaged objects that the segment's section in a public list names; the segment's header is what is left where the list can't be read.
func (p *Pass) damagedBehind(ctx context.Context, segment, list record.Hash) (n int64, err error) {
	var refs []record.Ref
	l, err := p.w.vault.List(ctx, list)
	var damage *DamageError
	switch {
	case errors.As(err, &damage):
		if refs, err = p.w.vault.SegmentPacks(ctx, segment); err != nil {
			return 0, err
		}
	case err != nil:
		return 0, err
	default:
		for _, s := range l.Sections {
			if s.Segment == segment {
				refs = append(append(refs, s.Packs...), s.Meta...)
			}
		}
	}
	return p.w.countDamaged(refs), nil
}

func (w *Writer) countDamaged(refs []record.Ref) (n int64) {
	for _, r := range refs {
		if w.damaged[r.Name] {
			n++
		}
	}
	return n
}

// noteDamage remembers of a segment that was just written how many damaged objects it could not leave out: they are no reason to write it again.
func (w *Writer) noteDamage(section *record.ListSection) error {
	n := w.countDamaged(section.Packs) + w.countDamaged(section.Meta)
	if n == 0 {
		return nil
	}
	return w.local.SetLock(w.domain, state.LockOfDamage, section.Segment, time.Unix(n, 0))
}

// findLost tries the segments that are known to be damaged: those that can't be read, not even from the cache, are gone without. What they had is captured from the source afresh.
func (p *Pass) findLost(ctx context.Context) {
	p.lost = map[record.Hash]bool{}
	for _, s := range p.spans {
		for _, r := range s.ranges {
			for _, seg := range r.Segments {
				if !p.w.damaged[seg.Name] || p.lost[seg.Name] {
					continue
				}
				var damage *DamageError
				if _, err := p.w.vault.SegmentPacks(ctx, seg.Name); errors.As(err, &damage) {
					p.lost[seg.Name] = true
					p.w.notice(Damage, record.MetaName(seg.Name), "the records of a range can't be read, and its items are captured afresh: what the source no longer has, or what "+
						"is excluded, is in earlier snapshots only (%v)", damage.Err)
				}
			}
		}
	}
}

// noteUnread remembers a segment that can't be read, so that the next pass does without it.
func (w *Writer) noteUnread(err error) error {
	var damage *DamageError
	if !errors.As(err, &damage) {
		return err
	}
	name, perr := record.ParseMetaName(damage.Object)
	if perr != nil || w.damaged[name] {
		return err
	}
	if merr := w.local.MarkDamaged(w.domain, []record.Hash{name}); merr != nil {
		return errors.Join(err, merr)
	}
	return &DamageError{damage.Object, fmt.Errorf("%w (the next pass does without it, and captures what it had from the source afresh)", damage.Err)}
}

// Damaged reports whether a record of the span rests on an object that is known to be damaged. It may be used concurrently once Renew has returned.
func (p *Pass) Damaged(ctx context.Context, s *Span, r *record.Record) (bool, error) {
	if r == nil || !s.damaged {
		return false, nil
	}
	for i := range r.Parts {
		if bad, err := p.partDamaged(ctx, &r.Parts[i]); err != nil || bad {
			return bad, err
		}
	}
	return p.Damaged(ctx, s, r.Last)
}

func (p *Pass) partDamaged(ctx context.Context, part *record.Part) (bool, error) {
	bad := func(extents []record.Extent) bool {
		return slices.ContainsFunc(extents, func(e record.Extent) bool { return p.w.damaged[e.Pack.Name] })
	}
	if bad(part.Extents) || slices.ContainsFunc(part.Lines, func(l record.PartPage) bool { return p.w.damaged[l.Name] }) {
		return true, nil
	}
	for _, page := range part.Pages {
		if p.w.damaged[page.Name] {
			return true, nil
		}
		extents, err := p.w.vault.extentPage(ctx, page)
		var damage *DamageError
		if errors.As(err, &damage) {
			return true, nil
		}
		if err != nil || bad(extents) {
			return err == nil, err
		}
	}
	return false, nil
}
