package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"farshore/agent/record"
)

// Bounds of a segment: its records and about its stored bytes. They make a range of paths the unit of rewriting, small enough to
// rewrite for some changes, large enough for few objects. segmentPacks bounds the header line.
const (
	segmentRecords = 128 << 10
	segmentStored  = 12 << 20
	segmentPacks   = 32 << 10
)

// segmentBuilder gathers the records of one segment. Not safe for concurrent use.
type segmentBuilder struct {
	w       *Writer
	page    *pageBuilder
	from    string
	records int
	packs   []record.Ref        // by names that may be temporary
	index   map[record.Hash]int // positions in packs; a pack may have two names here
	pages   []record.Ref        // extents pages and pages of lines
	paged   map[record.Hash]bool
	behind  []record.Ref // packs that extents pages point to: for the public list, pages have their own positions
}

// pendingSegment is a segment on its way to the store: it waits for its packs.
type pendingSegment struct {
	done    chan struct{}
	packs   []record.Ref // that it waits for, among others
	records int
	ref     record.Ref
	section record.ListSection
	err     error
}

func newSegmentBuilder(w *Writer, from string) *segmentBuilder {
	return &segmentBuilder{w: w, page: newPageBuilder(w.vault.codec, w.params.FrameSize), from: from, index: map[record.Hash]int{}, paged: map[record.Hash]bool{}}
}

func (b *segmentBuilder) full() bool {
	return b.records >= segmentRecords || b.page.estimate() >= segmentStored || len(b.packs) >= segmentPacks
}

// add appends a record.
func (b *segmentBuilder) add(ctx context.Context, r *record.Record) error {
	if err := r.Check(); err != nil {
		return fmt.Errorf("record of %q: %w", r.Path, err)
	}
	if n := r.LineSize(); n > record.MaxRecord+64<<10 {
		return fmt.Errorf("record of %q: its line would have %d bytes, and no reader takes so many", r.Path, n)
	}
	if err := b.refer(ctx, r); err != nil {
		return err
	}
	b.page.took(record.AppendRecord(b.page.room(), r, b.position))
	b.records++
	b.w.records++
	return nil
}

func (b *segmentBuilder) position(pack record.Hash) int { return b.index[pack] }

// refer makes sure that everything that the record's parts point to is known to the header and to the public list.
func (b *segmentBuilder) refer(ctx context.Context, r *record.Record) error {
	for i := range r.Parts {
		p := &r.Parts[i]
		for _, e := range p.Extents {
			b.pack(e.Pack)
		}
		for _, page := range p.Pages {
			if err := b.referPage(ctx, page); err != nil {
				return err
			}
		}
		for _, page := range p.Lines {
			if !b.paged[page.Name] {
				b.paged[page.Name] = true
				b.pages = append(b.pages, page.Ref)
			}
		}
	}
	if r.Last != nil {
		return b.refer(ctx, r.Last)
	}
	return nil
}

func (b *segmentBuilder) pack(ref record.Ref) {
	if _, ok := b.index[ref.Name]; ok {
		return
	}
	i, ok := b.index[b.w.packer.otherName(ref.Name)]
	if !ok {
		i = len(b.packs)
		b.packs = append(b.packs, ref)
	}
	b.index[ref.Name] = i
}

// referPage adds an extents page, and the packs that it points to, which only reading it tells.
func (b *segmentBuilder) referPage(ctx context.Context, page record.PartPage) error {
	if b.paged[page.Name] {
		return nil
	}
	b.paged[page.Name] = true
	b.pages = append(b.pages, page.Ref)
	extents, err := b.w.vault.extentPage(ctx, page)
	if err != nil {
		var damage *DamageError
		if errors.As(err, &damage) && b.w.damaged[page.Name] {
			return nil // nobody can tell any more; the record is kept for the day that the page is brought back
		}
		return b.w.noteUnread(err)
	}
	seen := map[record.Hash]bool{}
	for _, e := range extents {
		if !seen[e.Pack.Name] {
			seen[e.Pack.Name] = true
			b.behind = append(b.behind, e.Pack)
		}
	}
	return nil
}

// refs is how many packs the segment's section will have.
func (b *segmentBuilder) refs() int { return len(b.packs) + len(b.behind) }

// finish stores the segment, which ends before to, in the background once its packs are stored.
func (b *segmentBuilder) finish(ctx context.Context, to string) *pendingSegment {
	ps := &pendingSegment{done: make(chan struct{}), packs: slices.Clone(b.packs), records: b.records}
	b.w.segments.Go(func() {
		defer close(ps.done)
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(b.w.packer.ctx, cancel)()
		ps.err = b.seal(ctx, to, ps)
	})
	return ps
}

func (b *segmentBuilder) seal(ctx context.Context, to string, ps *pendingSegment) error {
	for i := range b.packs {
		ref, err := b.w.packer.resolve(b.packs[i])
		if err != nil {
			return err
		}
		if ref.Size <= 0 {
			return fmt.Errorf("a record points to pack %s, which is not known to be stored", ref.Name)
		}
		b.packs[i] = ref
	}
	h := record.SegmentHeader{From: b.from, To: to, Records: b.records, Packs: b.packs}
	ref, err := b.w.put(ctx, b.page, record.AppendSegmentHeader(nil, &h))
	if err != nil {
		return err
	}
	if err := b.w.guard.noteStuck(ctx, ref.Name, b.packs); err != nil {
		return err
	}
	ps.ref = ref
	ps.section = record.ListSection{Segment: ref.Name, Packs: distinct(append(b.packs, b.behind...)), Meta: b.pages}
	b.page, b.index = nil, nil
	return b.w.noteDamage(&ps.section)
}

// distinct returns the references without repetition.
func distinct(refs []record.Ref) []record.Ref {
	seen := make(map[record.Hash]bool, len(refs))
	out := make([]record.Ref, 0, len(refs))
	for _, r := range refs {
		if !seen[r.Name] {
			seen[r.Name] = true
			out = append(out, r)
		}
	}
	return out
}
