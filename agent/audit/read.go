package audit

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/verify"
	"farshore/agent/verify/census"
	"farshore/agent/verify/draw"
	"farshore/providers"
)

const (
	// ahead is how many objects may have been read behind one that is slow, before its turn came to count.
	ahead = 256
	// maxKnown is how many objects are remembered as read, so that another part does not read them again.
	maxKnown = 1 << 20
	// slowest is how long one object may take, of at most 64 MiB: a store that gives it drop by drop does not hold up the rest.
	slowest = 20 * time.Minute
	// grace is how long the objects that were asked for may take when the time of the budget is over.
	grace = 2 * time.Minute
	// refusals is how many objects of a room are asked for in a row, when none of it was given: then it is the reader who may not read there. As many reads may fail of a store
	// that answers else, or take longer than the slowest: more, and it is the store that fails.
	refusals = 16
)

// errSlow ends the reading of an object that the store did not give in time.
var errSlow = errors.New("the store did not give it in time")

// place is a name in packs/ or meta/: the same bytes may lie in both.
type place struct {
	name record.Hash
	meta bool
}

func placeOf(o census.Object) place { return place{o.Name, o.Meta} }

// outcome is what came of reading an object.
type outcome uint8

const (
	intact outcome = iota
	failed
	unread // the store did not give it
)

// answer is an outcome with what it rests on. Err is why an object could not be read that is no matter of this object alone.
type answer struct {
	outcome
	kind string // of damage, where there is one
	e    verify.Examined
	old  bool // it was counted before
	err  error
}

// reads is what was read, each object once. Its fields are the collecting goroutine's, but for those behind the lock.
type reads struct {
	failures atomic.Int64 // of reads, while the store answered else

	mu     sync.Mutex
	known  map[place]outcome
	flight map[place]chan struct{}

	gave     [2]bool    // of packs/ and meta/: the store gave one
	refused  [2]int     // in a row, while none was given
	withheld []withheld // while none was given: at most report.MaxDamaged

	dealt        int64 // different objects that were judged: all that are drawn outside of the sweeps are remembered, and no two sweeps overlap
	right, bytes int64 // of those, the ones that were read whole and have the hash in their name, and their bytes
	unread       int64 // different objects that the store did not give

	tell    func(verify.Found) // is told of each object that was judged, or that the store did not give; nil: nobody is
	told    int64              // objects that are not as they should be, of which it was told
	refusal [2]error           // why the store gave no object of packs/ and meta/, as long as it gave none
}

// withheld is an object that the store lists and does not give.
type withheld struct {
	path string
	meta bool
	why  string
}

func newReads() *reads {
	return &reads{known: map[place]outcome{}, flight: map[place]chan struct{}{}}
}

// stretch is a run of objects that is read in its order, as a part of the report counts it.
type stretch struct {
	part   *report.Part
	digest draw.Digest
	until  time.Duration // since the run began; 0: no bound
	sweep  bool          // the ledger rests on it: what does not hold for all of it must be on the list of damaged objects
	all    bool          // it goes on and counts where the ledger can't follow

	halted  atomic.Bool // no further object is asked for
	timely  bool        // the time was over
	broken  bool        // what comes behind does not count
	stopped *census.Object
	err     error           // the first failure of the store as a whole
	open    []census.Object // with all: the first of those that are not as they should be and on no list, at most maxOpen
	bad     [2]int64        // packs and pages that are not as they should be
	lost    int64           // bytes of those packs, as their commits state
}

const (
	// maxHoles is how many names the ledger leaves out of a full audit, each of which can cut an arc in three; it ends before the next.
	maxHoles = 256
	// maxOpen leaves room for what a store can have refused, and be waited for, until it gave an object of that room.
	maxOpen = maxHoles + 2*(refusals+2*ahead)
)

// stop says that the stretch came to its end before an object.
func (s *stretch) stop(at census.Object) {
	if s.stopped == nil {
		s.stopped = &at
	}
	s.halted.Store(true)
}

// count counts the next object of the stretch.
func (s *stretch) count(o census.Object, what outcome) {
	p := s.part
	p.Checked++
	p.Bytes += o.Size
	if what != intact {
		s.bad[index(o.Meta)]++
		if !o.Meta {
			s.lost += o.Size
		}
	}
	switch what {
	case intact:
		p.Intact++
	case failed:
		p.Failed++
	default:
		p.Unread++
	}
	s.digest.Add(o)
}

// future is an object that is being read, in the order of its stretch. Without done it is the first that is not asked for.
type future struct {
	object census.Object
	done   chan answer
}

// read reads the objects, so many at a time, and counts them in their order: the longest run from the beginning that was dealt with. When the stretch has to stop, because time is
// over or the store failed, what was asked for by then is waited for and counts, also when it is not given: so no store can keep what it does not want to show out of the count
// by being slow. Only somebody who stops the run drops what is under way.
func (r *run) read(ctx context.Context, objects iter.Seq2[census.Object, error], s *stretch) error {
	rctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	queue := make(chan future, ahead)
	var listing error
	go func() {
		defer close(queue)
		listing = r.dispatch(rctx, stop, objects, s, queue)
	}()
	for f := range queue {
		if f.done == nil {
			s.stop(f.object)
			continue
		}
		r.take(ctx, s, f.object, <-f.done)
	}
	s.part.Digest = s.digest.Sum()
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case s.err != nil:
		return s.err
	}
	return listing
}

// dispatch asks for the objects in order until the stretch stops.
func (r *run) dispatch(ctx context.Context, cancel context.CancelCauseFunc, objects iter.Seq2[census.Object, error], s *stretch, queue chan<- future) error {
	slots := make(chan struct{}, r.o.Workers)
	for o, err := range objects {
		if err != nil {
			return err
		}
		slots <- struct{}{}
		if s.until > 0 && r.clock.elapsed() >= s.until {
			s.timely = true
			late := time.AfterFunc(grace, func() { cancel(errSlow) })
			context.AfterFunc(ctx, func() { late.Stop() }) // ctx ends with the stretch
		}
		if s.timely || s.halted.Load() || ctx.Err() != nil {
			queue <- future{object: o}
			return nil
		}
		f := future{o, make(chan answer, 1)}
		queue <- f
		go func() {
			a := r.once(ctx, o)
			if a.err != nil {
				s.halted.Store(true) // not only when its turn comes to count: others would be asked for in vain
			}
			f.done <- a
			<-slots
		}()
	}
	return nil
}

// once reads an object, unless it was read, or is being read: nothing is read twice.
func (r *run) once(ctx context.Context, o census.Object) answer {
	p, q := placeOf(o), r.reads
	for {
		q.mu.Lock()
		if what, ok := q.known[p]; ok {
			q.mu.Unlock()
			return answer{outcome: what, old: true}
		}
		other := q.flight[p]
		if other == nil {
			break
		}
		q.mu.Unlock()
		<-other
	}
	mine := make(chan struct{})
	q.flight[p] = mine
	q.mu.Unlock()
	a := r.examine(ctx, providers.Name{Info: providers.Info{Name: o.Path()}, Versions: 1}, o)
	q.mu.Lock()
	if a.err == nil && q.tell == nil && len(q.known) < maxKnown { // a full audit has each object once
		q.known[p] = a.outcome
	}
	delete(q.flight, p)
	q.mu.Unlock()
	close(mine)
	return a
}

// examine reads one object whole and judges it.
func (r *run) examine(ctx context.Context, n providers.Name, o census.Object) answer {
	octx, stop := context.WithTimeoutCause(ctx, slowest, errSlow)
	defer stop()
	e, err := verify.Examine(octx, r.v, n, o.Name)
	r.o.Progress.Bytes.Add(e.Bytes)
	if err != nil && errors.Is(context.Cause(octx), errSlow) {
		if ctx.Err() == nil && r.reads.failures.Add(1) > refusals {
			return answer{outcome: unread, err: errSlow} // it is not this object: so the run would take for ever
		}
		return answer{outcome: unread, e: verify.Examined{Plain: true, Why: errSlow.Error()}}
	}
	if err != nil && providers.Retryable(err) && r.v.Answers(ctx) && r.reads.failures.Add(1) <= refusals {
		return answer{outcome: unread, e: verify.Examined{Plain: true, Why: words(err)}}
	}
	if err != nil {
		return answer{outcome: unread, err: err}
	}
	r.o.Progress.Objects.Add(1)
	a := answer{outcome: failed, e: e}
	switch {
	case e.State == verify.Absent:
		a.kind = report.DamageMissing
	case e.State == verify.Withheld:
		a.outcome, a.kind = unread, report.DamageWithheld
	case e.State == verify.Wrong:
		a.kind = report.DamageBytes
	case e.Size != o.Size:
		a.kind, a.e.Why = report.DamageSize, "its bytes have the hash in its name, and another number than its commit says"
	default:
		a.outcome = intact
	}
	return a
}

// take counts an answer, in the order of the stretch.
func (r *run) take(ctx context.Context, s *stretch, o census.Object, a answer) {
	if a.err != nil && ctx.Err() != nil {
		s.broken = true
		s.stop(o)
		return
	}
	if !a.old && a.err == nil {
		r.learn(o, a)
	}
	if a.outcome == intact && r.misstated(o) {
		a.outcome = failed
	}
	if s.broken {
		return
	}
	s.count(o, a.outcome)
	if a.err != nil {
		s.err = cmp.Or(s.err, a.err)
		s.halted.Store(true)
	}
	if a.outcome == unread && r.reads.refused[index(o.Meta)] >= refusals {
		s.halted.Store(true)
	}
	switch {
	case !s.sweep || a.outcome == intact || r.found.list[o.Path()] != nil:
	case !s.all:
		s.broken = true
		s.stop(o)
	case len(s.open) < maxOpen:
		s.open = append(s.open, o)
	}
}

// misstated reports whether the store states another size of an object than its commit. Whatever was read of it then, it does not count as intact: one of the two is a lie.
func (r *run) misstated(o census.Object) bool {
	if r.a.Inventory.WrongSize == 0 {
		return false
	}
	x := r.found.list[o.Path()]
	return x != nil && x.fresh && x.Kind == report.DamageSize
}

func index(meta bool) int {
	if meta {
		return 1
	}
	return 0
}
