// Package draw decides what an audit reads: from the 32 random bytes that it committed to, what the vault should hold, its budget, and the ledger of what was verified when.
// It is pure: the same input gives the same plan on every machine, so that whoever holds the report can redraw it. It reads nothing but the iterator that it is given.
//
// Of the budget, 70 % goes to coverage: what was never verified, and then what was longest ago, in runs of names. 20 % is uniform, also over what was just verified, or the
// store would know when it may drop something: of it 45 % over packs, 45 % over their bytes and 10 % over pages. 10 % is for what was found bad before, and the newest.
//
// How many objects the uniform parts draw is fixed by the population and the budget before one is drawn: their share of the budget over what a draw takes on the average. To
// stop where the bytes are spent would favour small objects, and the bounds would not hold where damage goes by size. So a uniform part can take somewhat more or less than
// its share. Coverage and risk, from which nothing is inferred, end before the first object that does not fit. Each part has one object at least, where there is one.
package draw

import (
	"context"
	"fmt"
	"iter"
	"math"
	"math/bits"
	"time"

	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/verify/census"
)

// MaxDrawn is the most objects that a part other than coverage draws, some 60 bytes of memory each.
const MaxDrawn = 250_000

// Shares of the budget, in thousandths.
const (
	shareCoverage = 700
	sharePacks    = 90
	shareBytes    = 90
	sharePages    = 20
	shareRisk     = 100
)

// maxBytes is the most that sizes may add up to: beyond it a commit states nonsense.
const maxBytes = math.MaxInt64 / 16

// Objects yields what the vault should hold: each object once, ascending by census.Compare. It is called several times, one after the other.
type Objects = func(context.Context) iter.Seq2[census.Object, error]

// Input is all that a draw rests on.
type Input struct {
	// Seed is the 32 random bytes that the audit's commitment has the hash of.
	Seed record.Hash
	// Bytes is the budget; 0 or less: no bound, and everything is drawn. So it is where the budget is not less than what there is.
	Bytes int64
	// Now is the start of the audit, as its report states it.
	Now time.Time
	// Promise is within how long every object is to be verified; 0: there is no promise. Every is how long after this audit the next is expected; where it is 0,
	// whether a promise can be kept is not reckoned.
	Promise, Every time.Duration
	// Ledger is that of the signer's last audit; the zero Ledger at first. Times in it that are later than Now by more than an hour are of a clock that was wrong: when
	// those objects were verified is not known, and they count as never verified. Within the hour they are taken as Now.
	Ledger report.Ledger
	// Heads are those that Objects are as of, ascending by chain: census.Object.Chain is an index into them.
	Heads   []report.Head
	Objects Objects
	// Added is the time of the commit that names an object first.
	Added func(census.Object) time.Time
	// Bad are the names of objects that were found bad before, and not whole since. They count as never verified.
	Bad map[record.Hash]bool
}

// Plan is what an audit reads.
type Plan struct {
	// Packs, Pages, Bytes and Risk are the parts of those names, in the order of the draw, at most MaxDrawn each. An object can stand in several, and in Bytes several times.
	Packs, Pages, Bytes, Risk []census.Object
	// Sweeps are what the coverage part goes over, in this order, at most report.MaxSweeps. No two of them overlap.
	Sweeps []report.Sweep
	// SweepObjects and SweepBytes are what that comes to.
	SweepObjects, SweepBytes int64
	// Before is the coverage before this audit, with Feasible and NeededBytes for its budget.
	Before report.Coverage
	// TotalBytes are the distinct bytes of all parts together, as the commits state them.
	TotalBytes int64

	budget int64
	survey *survey
}

// Draw plans an audit. It goes over the objects twice, and its memory does not grow with their number. Errors are the iterator's, the context's, and those of an input that contradicts
// itself: a ledger that is none, objects out of order, or a chain that is not among the heads.
func Draw(ctx context.Context, in Input) (*Plan, error) {
	r, err := parseLedger(in.Ledger, in.Heads, in.Now)
	if err != nil {
		return nil, err
	}
	s, err := takeSurvey(ctx, in, r)
	if err != nil {
		return nil, err
	}
	p := &Plan{Before: s.coverage(), budget: in.Bytes, survey: s}
	if needed, feasible, ok := s.needed(in.Promise, in.Every, in.Bytes); ok {
		p.Before.Feasible, p.Before.NeededBytes = &feasible, needed
	}
	budget := min(in.Bytes, s.bytes)
	everything := in.Bytes <= 0 || in.Bytes >= s.bytes
	if everything {
		budget = s.bytes
	}
	c := s.choose(share(budget, shareCoverage), everything)
	d := newDrawer(in, s, budget, everything)
	if err := secondPass(ctx, in, r, s, c, d); err != nil {
		return nil, err
	}
	c.settle(s)
	p.Sweeps, p.SweepObjects, p.SweepBytes = c.sweeps(r), c.objects, c.spent
	p.Packs, p.Pages, p.Bytes, p.Risk = d.packs.list(), d.pages.list(), d.bytes.drawn, d.risk.list()
	p.TotalBytes = p.SweepBytes + p.beside(r, c, in.Bad)
	return p, nil
}

// Needs is what NeededBytes and Feasible of Before would be with another promise; both durations are above 0.
func (p *Plan) Needs(promise, every time.Duration) (bytes int64, feasible bool) {
	bytes, feasible, _ = p.survey.needed(promise, every, p.budget)
	return bytes, feasible
}

// secondPass shows each object to the parts, and finds where the run that is not gone over whole ends.
func secondPass(ctx context.Context, in Input, r *ring, s *survey, c *choice, d *drawer) error {
	w := walker{ring: r, bad: in.Bad}
	var seen int64
	for o, err := range in.Objects(ctx) {
		if err != nil {
			return err
		}
		arc, _, verified, err := w.next(o)
		if err != nil {
			return err
		}
		seen += o.Size
		c.cut.see(o, arc, verified)
		d.see(o, in)
	}
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if seen != s.bytes || !d.bytes.done() {
		return fmt.Errorf("what the vault should hold changed while it was drawn from: %d bytes, and then %d", s.bytes, seen)
	}
	return nil
}

// beside adds up what the parts read that no sweep goes over, each object once.
func (p *Plan) beside(r *ring, c *choice, bad map[record.Hash]bool) int64 {
	type object struct {
		name record.Hash
		meta bool
	}
	seen := map[object]bool{}
	var sum int64
	for _, list := range [][]census.Object{p.Packs, p.Pages, p.Bytes, p.Risk} {
		for _, o := range list {
			if at := (object{o.Name, o.Meta}); !seen[at] && !c.covers(r, o, bad) {
				seen[at] = true
				sum += o.Size
			}
		}
	}
	return sum
}

// share returns so many thousandths of v, rounded down.
func share(v int64, thousandths uint64) int64 { return mulDiv(v, thousandths, 1000, 0) }

// mulDiv returns (v·m + add) / d, at most math.MaxInt64, for v not below 0.
func mulDiv(v int64, m, d, add uint64) int64 {
	hi, lo := bits.Mul64(uint64(v), m)
	lo, carry := bits.Add64(lo, add, 0)
	hi += carry
	if hi >= d {
		return math.MaxInt64
	}
	q, _ := bits.Div64(hi, lo, d)
	return int64(min(q, math.MaxInt64))
}
