package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"farshore/agent/record"
	"farshore/agent/source"
	"farshore/agent/vault"
)

// Bounds of a pass. The window is how many items may be between listing and segment: it bounds memory while a large item holds the order up.
// inFlight is how many bytes of items are read at a time; a large item counts half of it.
const (
	window        = 2048
	inFlight      = 64 << 20
	largeShare    = inFlight / 2
	smallCost     = 32 << 10
	commitRecords = 1 << 20
	readBurst     = 256 << 10 // bytes that are read at once under a limit
	// grace is how long items that are being read when the pass is interrupted may take to come to their end: the small ones do, and what is whole
	// reaches that much further.
	grace = 3 * time.Second
)

// Replicate makes one pass over the source: it joins the listing with the newest snapshot, captures what is new or changed, and commits. When the
// context ends, or the source fails, what is whole is committed and the error returned; the next pass goes on from there. After the context's end that takes as long as the store takes, or
// o.Finish.
func Replicate(ctx context.Context, w *vault.Writer, src source.Source, o Options) (*Summary, error) {
	o.defaults()
	p := newPass(ctx, w, src, o)
	defer p.stop()
	var err error
	if p.watch, err = newWatch(p.ctx, w, src, o); err != nil {
		close(p.ops) // nobody lists
		p.watch.close()
		return p.summary(), err
	}
	defer p.watch.close()
	p.start()
	// What is being stored is brought to its end even when the pass is interrupted; each request has its own deadline.
	store, stop := p.untilGivenUp(ctx)
	defer stop()
	err = p.write(store)
	if err == nil {
		err = p.listing
	}
	if err == nil {
		err = ctx.Err()
	}
	p.stop()
	return p.finish(store, err)
}

// pass is one pass under way: a goroutine lists and joins, some capture, and the caller's writes in order.
type pass struct {
	w      *vault.Writer
	src    source.Source
	o      Options
	out    *vault.Pass
	ctx    context.Context // the lister's
	cancel context.CancelFunc
	// reading is the context of items under way: it outlives an interruption by a grace.
	reading     context.Context
	stopReading context.CancelFunc
	noGrace     func() bool // takes the grace back where there was no interruption
	interrupted <-chan struct{}
	wg          sync.WaitGroup
	ops         chan *op // in order of paths
	work        chan *op // those that need a capture
	budget      *semaphore.Weighted
	pace        pace // of contents read
	sum         Summary
	mu          sync.Mutex // guards sum's unreadable items, and fading
	fading      fading
	damaged     damaged
	watch       *watch // over what the source lost

	ended      int    // spans listed to their end
	open       bool   // a span was begun and neither ended nor cut
	next       string // the first path of the open span that was not dealt with
	failed     bool   // nothing more may be committed
	listing    error  // what listings failed with
	sinceBytes int64
	sinceRecs  int
	lastCommit time.Time
}

func newPass(ctx context.Context, w *vault.Writer, src source.Source, o Options) *pass {
	p := &pass{
		w: w, src: src, o: o, out: w.NewPass(), ops: make(chan *op, window), work: make(chan *op, o.Captures),
		budget: semaphore.NewWeighted(inFlight), lastCommit: time.Now(),
		sum: Summary{Source: src.Place(), Unreadable: map[string]int64{}, Started: time.Now()}, interrupted: ctx.Done(),
	}
	if o.ReadRate > 0 {
		p.pace.rate = rate.NewLimiter(rate.Limit(o.ReadRate), readBurst)
	}
	p.pace.common = o.Reads
	p.ctx, p.cancel = context.WithCancel(ctx)
	p.reading, p.stopReading = context.WithCancel(context.WithoutCancel(ctx))
	p.noGrace = context.AfterFunc(ctx, func() { time.AfterFunc(grace, p.stopReading) })
	return p
}

func (p *pass) start() {
	p.wg.Go(func() {
		defer close(p.ops)
		defer close(p.work)
		p.list()
	})
	for range p.o.Captures {
		p.wg.Go(func() {
			for op := range p.work {
				p.capture(op)
			}
		})
	}
}

// stop ends listing and captures, and waits for them.
func (p *pass) stop() {
	p.cancel()
	p.noGrace()
	p.stopReading()
	for range p.ops { // unblocks the lister
	}
	p.wg.Wait()
}

// op is one step of the writer's, in order of paths.
type op struct {
	what  what
	span  int
	path  string
	old   vault.OldRecord // keep, remove; capture: the previous record, if any
	entry source.Entry
	done  chan struct{} // capture: closed when rec and err are set
	rec   *record.Record
	err   error
	good  *record.Record // capture: that of the last good snapshot, if any
	// renews says that the item did not change: it is captured again because what its record rests on is locked for too short, only until then.
	renews bool
	until  time.Time
	// anew says that nothing of the old record is to be built upon, since it rests on what is damaged; mends that this is the only reason to capture the item.
	anew, mends bool
}

// shares reports whether other items may have the step's path: a repository's files lie beside it.
func (o *op) shares() bool {
	switch o.what {
	case keep, remove, lose:
		return o.old.Kind != record.KindObject
	case capture:
		return o.entry.Kind != record.KindObject
	}
	return false
}

type what int

const (
	begin what = iota // of a span
	keep
	remove
	lose // the item is no longer listed: rec says so
	capture
	split
	end // of a span: err nil means listed to its end
)

// write takes the steps in order until the end or the first failure. Its context is the store's, which an interruption does not end: the
// lister's does, and the steps come to an end with it.
func (p *pass) write(ctx context.Context) error {
	var held []*op
	for o := range p.ops {
		if o.what == end && brokeOff(o.err) {
			held = nil // perhaps within that path
		}
		if len(held) > 0 && o.path != held[0].path {
			if err := p.together(ctx, held); err != nil {
				return err
			}
			held = nil
		}
		if o.what == capture {
			if err := p.await(ctx, o); err != nil {
				return err
			}
		}
		if o.shares() {
			held = append(held, o)
			continue
		}
		if err := p.step(ctx, o); err != nil {
			return err
		}
		if err := p.commitIfDue(ctx, o); err != nil {
			return err
		}
	}
	return nil // what is held was cut off by an interruption: the next pass takes its path as a whole
}

// brokeOff reports whether a listing ended with an error that leaves its last path in doubt.
func brokeOff(err error) bool {
	var gap *source.Gap
	return err != nil && !errors.As(err, &gap)
}

// together takes the steps of one path: all of them or, where one can't be taken, none. A snapshot has a repository with what belongs to it.
func (p *pass) together(ctx context.Context, ops []*op) error {
	path := ops[0].path
	for _, o := range ops {
		if o.err != nil && !errors.Is(o.err, source.ErrGone) {
			return errors.Join(p.cut(ctx, path), fmt.Errorf("%q: %w", path, o.err))
		}
	}
	next := p.next
	for _, o := range ops {
		if err := p.step(ctx, o); err != nil {
			p.next, p.failed = next, true // half a path must not be committed
			return err
		}
	}
	return p.commitIfDue(ctx, ops[len(ops)-1])
}

// await waits for a capture; when it takes long, what is whole before it is committed meanwhile.
func (p *pass) await(ctx context.Context, op *op) error {
	select {
	case <-op.done:
		return nil
	default:
	}
	for {
		timer := time.NewTimer(max(time.Second, p.o.CommitEvery-time.Since(p.lastCommit)))
		select {
		case <-op.done:
			timer.Stop()
			return nil
		case <-timer.C:
			if p.sinceRecs > 0 {
				if err := p.commit(ctx, op.path, false); err != nil {
					return err
				}
			}
		}
	}
}

func (p *pass) step(ctx context.Context, op *op) error {
	switch op.what {
	case begin:
		p.open, p.next = true, ""
		p.out.Begin(op.span)
	case keep:
		return p.dealtWith(op, p.out.Keep(ctx, op.old))
	case remove:
		p.sinceRecs++
		return p.dealtWith(op, p.out.Delete(ctx, op.old.Record))
	case lose:
		p.countItem(op.path, op.rec)
		p.sinceRecs++
		return p.dealtWith(op, p.out.Put(ctx, op.rec))
	case split:
		p.out.Split(op.path)
	case capture:
		return p.captured(ctx, op)
	case end:
		if op.err != nil {
			// The span stays as it was from here on; the others are not to suffer for it.
			p.listing = errors.Join(p.listing, op.err)
			return p.cut(ctx, p.next)
		}
		p.open = false
		p.ended++
		return p.out.End(ctx, "", true)
	}
	return nil
}

// dealtWith remembers how far the span was dealt with, unless err says that this step was not taken.
func (p *pass) dealtWith(op *op, err error) error {
	if err == nil {
		p.next = op.path + "\x00"
	}
	return err
}

// cut ends the open span before the path from which on nothing was dealt with.
func (p *pass) cut(ctx context.Context, upTo string) error {
	p.open = false
	return p.out.End(ctx, upTo, false)
}

// captured writes what came of a capture.
func (p *pass) captured(ctx context.Context, op *op) error {
	switch {
	case errors.Is(op.err, source.ErrGone):
		p.o.Progress.Gone.Add(1)
		if op.old.Record == nil || op.old.State == record.Deleted {
			return p.dealtWith(op, nil)
		}
		if op.renews {
			p.outlived(op.path, op.until)
		}
		if op.anew {
			p.stayed(op.path)
		}
		p.countItem(op.path, op.old.Record)
		p.watch.saw(op.good, op.old.Record)
		return p.dealtWith(op, p.out.Keep(ctx, op.old))
	case op.err != nil:
		return errors.Join(p.cut(ctx, op.path), fmt.Errorf("%q: %w", op.path, op.err))
	case op.renews && op.rec.State == record.Unreadable:
		// What there is of it is as good as ever: it did not change.
		p.outlived(op.path, op.until)
		p.countItem(op.path, op.old.Record)
		return p.dealtWith(op, p.out.Keep(ctx, op.old))
	}
	end, short, err := p.out.Short(ctx, p.out.Spans()[op.span], op.rec)
	if err != nil {
		return err
	}
	if short {
		p.outlived(op.path, end)
	}
	damaged, err := p.out.Damaged(ctx, p.out.Spans()[op.span], op.rec)
	if err != nil {
		return err
	}
	if damaged {
		p.stayed(op.path)
	}
	p.count(op)
	p.watch.saw(op.good, op.rec)
	p.sinceRecs++
	return p.dealtWith(op, p.out.Put(ctx, op.rec))
}

func (p *pass) commitIfDue(ctx context.Context, op *op) error {
	if op.what == begin || op.what == end || op.what == split {
		return nil
	}
	stored, _, _ := p.w.Stored()
	if !p.out.Crowded() && stored-p.sinceBytes < p.o.CommitBytes && p.sinceRecs < commitRecords && (p.sinceRecs == 0 || time.Since(p.lastCommit) < p.o.CommitEvery) {
		return nil
	}
	return p.commit(ctx, op.path+"\x00", false)
}

// commit makes what was written so far a snapshot; upTo is where the current span was cut.
func (p *pass) commit(ctx context.Context, upTo string, complete bool) error {
	if p.o.Allow != nil {
		if err := p.o.Allow(ctx); err != nil {
			p.failed = true
			return err
		}
	}
	c, err := p.out.Commit(ctx, upTo, p.info(complete))
	if err != nil {
		p.failed = true
		return fmt.Errorf("commit: %w", err)
	}
	p.sum.Commits++
	p.sum.Head = c
	p.sum.readBack(c.ReadBack)
	p.watch.committed(c.Counts)
	p.sum.Suspicious, p.sum.Accepted = c.Suspicious, c.Accepted
	p.sinceBytes, _, _ = p.w.Stored()
	p.sinceRecs, p.lastCommit = 0, time.Now()
	return nil
}

// finish makes the pass's last commit and sums up. Nothing is committed when nothing came of an interrupted pass.
func (p *pass) finish(ctx context.Context, err error) (*Summary, error) {
	p.sum.Complete = err == nil && p.ended == len(p.out.Spans())
	if p.failed || errors.Is(err, vault.ErrLockUnread) || errors.Is(err, vault.ErrLockShort) {
		return p.summary(), err
	}
	if p.open { // the listing ended with the context, between two steps
		err = errors.Join(err, p.cut(ctx, p.next))
	}
	if p.sum.Complete || p.sinceRecs > 0 {
		if cerr := p.commit(ctx, "", p.sum.Complete); cerr != nil {
			return p.summary(), errors.Join(err, cerr)
		}
	}
	return p.summary(), err
}
