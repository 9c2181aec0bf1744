package vault

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"farshore/agent/record"
	"farshore/providers"
)

// ReadBack says how much of what a commit adds is read back before it: restored from the vault and compared with the SHA-256 that was taken at the source. The zero value
// reads nothing.
type ReadBack struct {
	// Share of the new contents' bytes, from 0 to 1, and Least bytes at the least: everything where there is less.
	Share float64
	Least int64
	// Run is how many bytes of neighbouring items are read in a row, which share packs and frames; 0 is 32 MiB.
	Run int64
	// Grace and GraceBytes bound what is read once a pass was interrupted; 0 is 10 s and 64 MiB.
	Grace      time.Duration
	GraceBytes int64
}

// AutoReadBack is the usual share: everything below 1 GiB, else 5 % and 1 GiB at the least.
func AutoReadBack() ReadBack { return ReadBack{Share: 0.05, Least: 1 << 30} }

func (r ReadBack) off() bool { return r.Share <= 0 && r.Least <= 0 }

// defaults fills in what is not set.
func (r ReadBack) defaults() ReadBack {
	if r.Run <= 0 {
		r.Run = 32 << 20
	}
	if r.Grace <= 0 {
		r.Grace = 10 * time.Second
	}
	if r.GraceBytes <= 0 {
		r.GraceBytes = 64 << 20
	}
	return r
}

// readBackWorkers is how many parts are restored at a time. Neighbours share what is fetched.
const readBackWorkers = 4

var (
	errHurry  = errors.New("the pass was interrupted")
	errUnseen = errors.New("the agent's credential may not read packs")
	// errReadBack says what a damaged object is that was just stored.
	errReadBack = errors.New("it was stored in this pass, and does not read back as it was: nothing was committed; the next pass stores its content anew")
)

// countNew counts what of a record was stored in this run.
func (p *Pass) countNew(ctx context.Context, r *record.Record) error {
	items := int64(0)
	for i := range r.Parts {
		fresh, _, err := p.w.recall.rests(ctx, p.w.vault, &r.Parts[i])
		if err != nil {
			return err
		}
		if fresh {
			items = 1
			p.added.OfBytes += r.Parts[i].Size
		}
	}
	p.added.OfItems += items
	return nil
}

// backRead is the reading back before one commit.
type backRead struct {
	w       *Writer
	bare    *Vault // without a cache: what is read comes from the store
	reader  *Reader
	sample  *sampler
	out     record.ReadBack
	items   atomic.Int64
	bytes   atomic.Int64
	told    func(int64) // of bytes; may be nil
	hurry   <-chan struct{}
	hurried int64 // bytes since the interruption
	g       *errgroup.Group
}

// readBack restores a share of what the records of the segments rest on, and returns how much. What does not read back as it was stored is a *DamageError, and is remembered
// as damaged.
func (p *Pass) readBack(ctx context.Context, segments []record.ListSection, info CommitInfo) (*record.ReadBack, error) {
	w := p.w
	out := p.added
	if w.back.off() || w.unseen {
		return &out, nil
	}
	b := &backRead{w: w, sample: newSampler(w.back, out.OfBytes), out: out, told: info.Restored, hurry: info.Hurry}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer b.watch(cancel)()
	b.open(ctx)
	err := b.segments(b.reader.life, segments)
	if werr := b.g.Wait(); werr != nil && (err == nil || !errors.Is(werr, errHurry)) {
		err = werr // the first that failed ended the others
	}
	switch {
	case errors.Is(err, errHurry):
		w.notice(Notice, "packs/", "the pass was interrupted: not all that was to be read back was")
	case errors.Is(err, errUnseen):
		w.unseen = true
		w.notice(Notice, "packs/", "nothing is read back: the agent's credential may not read packs")
	case err != nil:
		return nil, err
	}
	return b.result(), nil
}

// watch ends the reading a while after the pass was interrupted. The function that it returns ends the watch.
func (b *backRead) watch(cancel context.CancelCauseFunc) func() {
	done := make(chan struct{})
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		select {
		case <-done:
			return
		case <-b.hurry:
		}
		timer := time.NewTimer(b.w.back.Grace)
		defer timer.Stop()
		select {
		case <-done:
		case <-timer.C:
			cancel(errHurry)
		}
	}()
	return func() { close(done); <-gone }
}

// open makes the reader, with what opens the packs of this run.
func (b *backRead) open(ctx context.Context) {
	bare := *b.w.vault
	bare.cache = nil
	b.bare = &bare
	b.g, ctx = errgroup.WithContext(ctx)
	b.g.SetLimit(readBackWorkers)
	b.reader = b.bare.newReader(4, 12<<20, 24)
	b.reader.life, b.reader.keys = ctx, b.w.recall.opener
}

func (b *backRead) result() *record.ReadBack {
	out := b.out
	out.Items, out.Bytes = b.items.Load(), b.bytes.Load()
	// What was new when it was put is new now; that it can't be more is the commit's to rely on.
	out.OfItems, out.OfBytes = max(out.OfItems, out.Items), max(out.OfBytes, out.Bytes)
	return &out
}

// segments reads the segments back, each once and whole, and the parts of their records that the sample takes.
func (b *backRead) segments(ctx context.Context, segments []record.ListSection) error {
	for i := range segments {
		s := &segments[i]
		if b.relevant(s) {
			if err := b.records(ctx, s.Segment); err != nil {
				return err
			}
			continue
		}
		if b.hurrying() {
			continue
		}
		if _, err := b.bare.stored(ctx, s.Segment); err != nil {
			return b.sort(ctx, nil, err)
		}
	}
	return nil
}

// relevant reports whether anything in the segment can be new.
func (b *backRead) relevant(s *record.ListSection) bool {
	for _, p := range s.Packs {
		if stored, _ := b.w.recall.hasPack(p.Name); stored {
			return true
		}
	}
	for _, p := range s.Meta {
		if b.w.recall.hasPage(p.Name) {
			return true
		}
	}
	return false
}

func (b *backRead) records(ctx context.Context, segment record.Hash) error {
	for r, err := range b.bare.Segment(ctx, record.Ref{Name: segment}) {
		if err != nil {
			return b.sort(ctx, nil, err)
		}
		if err := b.record(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// backItem is an item under way: how many of its new parts are not read back, the record itself counted as one.
type backItem struct{ left atomic.Int64 }

func (b *backRead) record(ctx context.Context, r *record.Record) error {
	var it *backItem
	for i := range r.Parts {
		p := &r.Parts[i]
		fresh, opens, err := b.w.recall.rests(ctx, b.bare, p)
		if err != nil {
			return b.sort(ctx, nil, err)
		}
		if !fresh {
			continue
		}
		if it == nil {
			it = new(backItem)
			it.left.Store(1)
		}
		it.left.Add(1)
		if !b.sample.take(p.Size, opens) {
			continue
		}
		if err := b.restore(ctx, it, p); err != nil {
			return err
		}
	}
	if it != nil {
		b.done(it)
	}
	return nil
}

// done counts an item whose last new part was restored.
func (b *backRead) done(it *backItem) {
	if it.left.Add(-1) == 0 {
		b.items.Add(1)
	}
}

// hurrying reports whether the pass was interrupted.
func (b *backRead) hurrying() bool {
	select {
	case <-b.hurry:
		return true
	default:
		return false
	}
}

// restore has a part restored. The first of a run is waited for: it tells whether packs may be read at all.
func (b *backRead) restore(ctx context.Context, it *backItem, p *record.Part) error {
	if b.hurrying() {
		if b.hurried += p.Size; b.hurried > b.w.back.GraceBytes {
			return errHurry
		}
	}
	one := func() error {
		if err := b.reader.Copy(ctx, &told{b, len(p.Extents) > 0 || len(p.Pages) > 0}, p); err != nil {
			return b.sort(ctx, p, err)
		}
		b.bytes.Add(p.Size)
		b.done(it)
		return nil
	}
	if !b.w.seen.Load() {
		return one()
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	b.g.Go(one)
	return nil
}

// sort says what a failure means: damage, which stays so though it was found at the last moment, that there was no time, that packs may not be read, or that the store failed.
func (b *backRead) sort(ctx context.Context, p *record.Part, err error) error {
	var damage *DamageError
	var store *providers.Error
	cause := context.Cause(ctx)
	switch {
	case errors.As(err, &damage) && !(cause != nil && stops(err)):
		return b.damaged([]string{damage.Object}, damage.Err)
	case errors.Is(err, ErrContent) && p != nil:
		return b.damaged(b.packsOf(context.WithoutCancel(ctx), p), err)
	case cause != nil:
		return cause
	case providers.KindOf(err) != providers.Denied || !errors.As(err, &store) || !strings.HasPrefix(store.Name, "packs/"):
	case !b.w.seen.Load():
		return errUnseen
	default:
		return b.damaged([]string{store.Name}, fmt.Errorf("others may be read, and this one may not: %w", err))
	}
	return fmt.Errorf("read back: %w", err)
}

// packsOf are the names of the packs that a part rests on.
func (b *backRead) packsOf(ctx context.Context, p *record.Part) []string {
	var names []string
	err := b.bare.eachExtent(ctx, p, func(e record.Extent) error {
		if name := record.PackName(e.Pack.Name); len(names) == 0 || names[len(names)-1] != name {
			names = append(names, name)
		}
		return nil
	})
	if err != nil || len(names) == 0 {
		return append(names, "packs/")
	}
	return names
}

// damaged remembers objects as damaged and returns the error that says so.
func (b *backRead) damaged(objects []string, err error) error {
	var names []record.Hash
	for _, o := range objects {
		h, err := record.ParsePackName(o)
		if err != nil {
			h, err = record.ParseMetaName(o)
		}
		if err == nil {
			names = append(names, h)
		}
	}
	failed := &DamageError{objects[0], fmt.Errorf("%w (%w)", errReadBack, err)}
	if err := b.w.local.MarkDamaged(b.w.domain, names); err != nil {
		return errors.Join(failed, err)
	}
	return failed
}

// told counts what passes, for who watches.
type told struct {
	b     *backRead
	packs bool // it comes from packs
}

// Write implements io.Writer.
func (t *told) Write(p []byte) (int, error) {
	if t.packs {
		t.b.w.seen.Store(true)
	}
	if t.b.told != nil {
		t.b.told(int64(len(p)))
	}
	return len(p), nil
}
