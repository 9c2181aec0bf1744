package draw

import (
	"cmp"
	"context"
	"math"
	"math/bits"
	"slices"
	"time"

	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/verify/census"
)

// survey is what the first pass over the objects counts.
type survey struct {
	tally
	arcs []load // by index of the ring's

	packs, packBytes int64
	pages, pageBytes int64
	squareHi         uint64 // the sum of the squares of packs' sizes
	squareLo         uint64
	bytes            int64 // of all
}

// load is what an arc has.
type load struct {
	time time.Time // as in the ring
	// never are those that were never verified, and waiting is the time, in seconds, of the earliest commit that added one of them.
	never, neverBytes int64
	waiting           int64
	// old were.
	old, oldBytes int64
}

func takeSurvey(ctx context.Context, in Input, r *ring) (*survey, error) {
	s := &survey{tally: tally{now: in.Now, promise: in.Promise}, arcs: make([]load, len(r.arcs))}
	for i := range r.arcs {
		s.arcs[i] = load{time: r.arcs[i].time, waiting: math.MaxInt64}
	}
	err := eachObject(ctx, in.Objects, &walker{ring: r, bad: in.Bad}, func(o census.Object, arc int, t time.Time, verified bool) error {
		added := in.Added(o)
		s.add(o, added, t, verified)
		s.arcs[arc].add(o, added, verified)
		return s.count(o)
	})
	return s, err
}

// eachObject calls fn for each object, with what the ring says of it.
func eachObject(ctx context.Context, objects Objects, w *walker, fn func(o census.Object, arc int, t time.Time, verified bool) error) error {
	for o, err := range objects(ctx) {
		if err != nil {
			return err
		}
		arc, t, verified, err := w.next(o)
		if err != nil {
			return err
		}
		if err := fn(o, arc, t, verified); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

func (l *load) add(o census.Object, added time.Time, verified bool) {
	if verified {
		l.old++
		l.oldBytes += o.Size
		return
	}
	l.never++
	l.neverBytes += o.Size
	l.waiting = min(l.waiting, added.Unix())
}

func (s *survey) count(o census.Object) error {
	s.bytes += o.Size
	if o.Meta {
		s.pages++
		s.pageBytes += o.Size
	} else {
		s.packs++
		s.packBytes += o.Size
		hi, lo := bits.Mul64(uint64(o.Size), uint64(o.Size))
		var carry uint64
		s.squareLo, carry = bits.Add64(s.squareLo, lo, 0)
		s.squareHi += hi + carry
	}
	if s.bytes > maxBytes {
		return errTooMuch
	}
	return nil
}

// tally is the coverage of objects, one after the other.
type tally struct {
	now     time.Time
	promise time.Duration
	c       report.Coverage
}

func (t *tally) add(o census.Object, added, at time.Time, verified bool) {
	since := at
	if verified {
		t.c.Verified++
		t.c.VerifiedBytes += o.Size
		if t.c.Oldest.IsZero() || at.Before(t.c.Oldest) {
			t.c.Oldest = at
		}
	} else {
		since = added
		t.c.Never++
		t.c.NeverBytes += o.Size
		if t.c.NeverSince.IsZero() || added.Before(t.c.NeverSince) {
			t.c.NeverSince = added
		}
	}
	if t.promise > 0 && since.Add(t.promise).Before(t.now) {
		t.c.Overdue++
		t.c.OverdueBytes += o.Size
	}
}

func (t *tally) coverage() report.Coverage {
	c := t.c
	if t.promise > 0 {
		met := c.Overdue == 0
		c.Met = &met
	}
	return c
}

// CoverageOf says what a ledger covers of the objects, at the time now. Its arguments are as in Input. Feasible and NeededBytes are left alone: Plan.Before has them. It goes over the
// objects once. Errors are those of Draw.
func CoverageOf(ctx context.Context, objects Objects, added func(census.Object) time.Time, l report.Ledger, heads []report.Head, bad map[record.Hash]bool, now time.Time, promise time.Duration) (report.Coverage, error) {
	r, err := parseLedger(l, heads, now)
	if err != nil {
		return report.Coverage{}, err
	}
	t := tally{now: now, promise: promise}
	err = eachObject(ctx, objects, &walker{ring: r, bad: bad}, func(o census.Object, _ int, at time.Time, verified bool) error {
		t.add(o, added(o), at, verified)
		if t.c.VerifiedBytes+t.c.NeverBytes > maxBytes {
			return errTooMuch
		}
		return nil
	})
	if err != nil {
		return report.Coverage{}, err
	}
	return t.coverage(), nil
}

// due is a run of names that has to be gone over before a time, in seconds.
type due struct{ time, bytes int64 }

// needed says what an audit has to read in all so that the promise is kept, at most everything, and whether a budget (0 or less: everything) does so. ok is false without a
// promise or where nobody says when the next audit is.
//
// The audits that come before something falls due have to go over it, and over all that comes before it: what was never verified, and then what was longest ago. So with D(k) the
// bytes that come up to what falls due before audit k+1, this one being the first, coverage needs the largest D(k)/k. The next is reckoned to come a tenth late, and so on for
// those after it: a rest of growth and delays. And when all is spread evenly, it needs ceil(1.1 × all × Every / Promise). Coverage has 70 % of what is
// read, unless everything is.
//
// Between two audits the promise holds where Feasible is true, whatever was added between; with growth, a later audit may find that its budget does not do any more.
func (s *survey) needed(promise, every time.Duration, budget int64) (bytes int64, feasible, ok bool) {
	if promise <= 0 || every <= 0 {
		return 0, false, false
	}
	p, e := max(int64(promise/time.Second), 1), max(int64(every/time.Second), 1)
	if every > promise {
		return s.bytes, false, true // not even by reading everything each time
	}
	most := min(mulDiv(s.bytes, uint64(11*e), uint64(10*p), uint64(10*p-1)), s.bytes)
	var fresh, first, later []due
	var never int64
	for _, a := range s.arcs {
		if a.never > 0 {
			fresh = append(fresh, due{a.waiting + p, a.neverBytes})
			never += a.neverBytes
		}
		if a.old > 0 {
			first = append(first, due{a.time.Unix() + p, a.oldBytes})
			later = append(later, due{a.time.Unix() + p, a.oldBytes + a.neverBytes})
		}
	}
	most = max(most, s.pace(fresh, 0, 1, e), s.pace(first, never, 1, e), s.pace(later, never, 2, e))
	bytes = min(mulDiv(most, 1000, shareCoverage, shareCoverage-1), s.bytes)
	return bytes, budget <= 0 || budget >= bytes, true
}

// pace returns what each audit has to go over so that nothing of the list is late, where so much comes before it. Only what an audit from the given one on has to have done
// counts; what an audit before it must have done is reckoned as of the given one.
func (s *survey) pace(list []due, before, from, every int64) int64 {
	slices.SortFunc(list, func(a, b due) int { return cmp.Compare(a.time, b.time) })
	now, sum, most := s.now.Unix(), before, int64(0)
	for _, d := range list {
		sum += d.bytes
		k := int64(1)
		if d.time > now {
			k += (d.time - now) * 10 / (11 * every)
		}
		if k >= from {
			most = max(most, (sum+k-1)/k)
		}
	}
	return most
}
