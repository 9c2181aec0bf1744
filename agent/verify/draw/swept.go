package draw

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"iter"
	"slices"
	"time"

	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/verify/census"
)

// maxRuns is how many times the objects are gone over for a list of sweeps: a plan has two ascending lists, each of which may go round the end once.
const maxRuns = 4

// sweep is a report.Sweep as it is looked up; to is 0 for the end.
type sweep struct {
	from, to uint64
	fresh    bool
}

func (s *sweep) begun(p uint64) bool { return p >= s.from }
func (s *sweep) over(p uint64) bool  { return s.to != 0 && p >= s.to }

// parseSweeps reads a list of sweeps, which must not overlap.
func parseSweeps(list []report.Sweep) ([]sweep, error) {
	if len(list) > report.MaxSweeps {
		return nil, fmt.Errorf("there are %d sweeps, and at most %d in a plan", len(list), report.MaxSweeps)
	}
	out := make([]sweep, len(list))
	for i, l := range list {
		if l.Only != report.SweepNew && l.Only != report.SweepAll {
			return nil, fmt.Errorf("sweep %d is over %.20q: it is new or all", i, l.Only)
		}
		out[i].fresh = l.Only == report.SweepNew
		var err error
		if out[i].from, err = parsePrefix(l.From); err != nil {
			return nil, fmt.Errorf("sweep %d: %w", i, err)
		}
		if l.To == "" {
			continue
		}
		if out[i].to, err = parsePrefix(l.To); err != nil {
			return nil, fmt.Errorf("sweep %d: %w", i, err)
		}
		if out[i].to <= out[i].from {
			return nil, fmt.Errorf("sweep %d ends at %s, before it begins at %s", i, l.To, l.From)
		}
	}
	ascending := slices.SortedFunc(slices.Values(out), func(a, b sweep) int { return cmp.Compare(a.from, b.from) })
	for i := 1; i < len(ascending); i++ {
		if before := ascending[i-1]; before.to == 0 || before.to > ascending[i].from {
			return nil, fmt.Errorf("two sweeps go over names that begin with %s", formatPrefix(ascending[i].from))
		}
	}
	return out, nil
}

// Swept yields the objects that sweeps go over, in their order: what the coverage part of a plan reads, and the digest of its part is of. The input is the one that the plan was
// drawn from; Seed and Bytes don't matter. Objects are gone over once for each run of ascending sweeps, four times at most. The first error ends it: those of Draw, and sweeps that no plan has.
func Swept(ctx context.Context, in Input, sweeps []report.Sweep) iter.Seq2[census.Object, error] {
	return func(yield func(census.Object, error) bool) {
		if err := swept(ctx, in, sweeps, func(o census.Object) bool { return yield(o, nil) }); err != nil && !errors.Is(err, errStopped) {
			yield(census.Object{}, err)
		}
	}
}

// errStopped is that whoever takes the objects wants no more.
var errStopped = errors.New("stopped")

func swept(ctx context.Context, in Input, sweeps []report.Sweep, yield func(census.Object) bool) error {
	list, err := parseSweeps(sweeps)
	if err != nil {
		return err
	}
	r, err := parseLedger(in.Ledger, in.Heads, in.Now)
	if err != nil {
		return err
	}
	for runs := 0; len(list) > 0; runs++ {
		if runs == maxRuns {
			return errors.New("the sweeps go round more often than those of a plan")
		}
		n := 1
		for n < len(list) && list[n].from > list[n-1].from {
			n++
		}
		if err := runOf(ctx, in, r, list[:n], yield); err != nil {
			return err
		}
		list = list[n:]
	}
	return nil
}

// errEnd is that a run of sweeps is over before the objects are.
var errEnd = errors.New("over")

// runOf goes over the objects once, for ascending sweeps.
func runOf(ctx context.Context, in Input, r *ring, list []sweep, yield func(census.Object) bool) error {
	err := eachObject(ctx, in.Objects, &walker{ring: r, bad: in.Bad}, func(o census.Object, arc int, _ time.Time, verified bool) error {
		p := prefix(o.Name)
		for len(list) > 0 && list[0].over(p) {
			list = list[1:]
		}
		switch {
		case len(list) == 0:
			return errEnd
		case !list[0].begun(p) || list[0].fresh && verified:
			return nil
		case !yield(o):
			return errStopped
		}
		return nil
	})
	if errors.Is(err, errEnd) {
		return nil
	}
	return err
}

// Digest is the SHA-256 over objects, in the order in which they are added, as report.Part has it: of each a byte, 0 for a pack and 1 for a page, and the 32 bytes of its name.
// The zero value is ready.
type Digest struct {
	h   hash.Hash
	buf []byte
}

// Add appends an object.
func (d *Digest) Add(o census.Object) {
	if d.h == nil {
		d.h = sha256.New()
	}
	d.buf = appendObject(d.buf[:0], o)
	d.h.Write(d.buf)
}

// Sum returns the digest of what was added so far; more can be added.
func (d *Digest) Sum() record.Hash {
	if d.h == nil {
		return sha256.Sum256(nil)
	}
	return record.Hash(d.h.Sum(nil))
}
