package audit

import (
	"context"
	"math"
	"slices"

	"farshore/agent/report"
	"farshore/agent/vault"
	"farshore/agent/verify/draw"
)

// compared are the promises, in days, that an estimate reckons with beside the one that was asked for.
var compared = []int64{30, 90, 365}

// pageNames is how many names a store lists at a time.
const pageNames = 1000

// Plan says what a run with these options would read, and what promises of coverage cost, and stores nothing. A run draws anew: it reads other objects, and about as many.
func Plan(ctx context.Context, v *vault.Vault, o Options) (*Estimate, error) {
	r, err := begin(ctx, v, o, report.ModeSample)
	if err != nil {
		return nil, err
	}
	defer r.close()
	if err := r.throw(); err != nil {
		return nil, err
	}
	if err := r.draw(ctx); err != nil {
		return nil, err
	}
	a, p := r.a, r.plan
	e := &Estimate{
		Population: a.Population, Coverage: p.Before, Budget: a.Budget.Bytes, Bytes: p.TotalBytes, Commits: a.Population.Commits,
		Lists: 2 + (a.Population.Packs+a.Population.Pages)/pageNames,
	}
	if e.Objects, err = r.different(ctx); err != nil {
		return nil, err
	}
	e.Opens = e.Objects
	if b := a.Budget.Bytes; v.CanOpen() && r.o.Recovery {
		if e.ItemBytes = a.Population.ItemBytes; b > 0 {
			e.ItemBytes = min(e.ItemBytes, b/itemShare)
		}
	}
	asked := a.Budget.CoverageDays
	for _, d := range slices.Compact(slices.Sorted(slices.Values(append([]int64{asked}, compared...)))) {
		if d > 0 {
			e.Promises = append(e.Promises, r.promise(d, d == asked))
		}
	}
	return e, nil
}

// promise says what a promise of so many days costs.
func (r *run) promise(n int64, asked bool) Promise {
	bytes, feasible := r.plan.Needs(days(n), every(r.a.Budget))
	out := Promise{Days: n, Asked: asked, Feasible: feasible, RunBytes: bytes}
	if day := float64(bytes) * float64(day) / float64(every(r.a.Budget)); day < math.MaxInt64 {
		out.DayBytes = int64(math.Ceil(day))
	} else {
		out.DayBytes = math.MaxInt64
	}
	return out
}

// different counts the objects of the plan, each once.
func (r *run) different(ctx context.Context) (int64, error) {
	drawn := map[place]struct{}{}
	for _, o := range slices.Concat(r.plan.Packs, r.plan.Pages, r.plan.Bytes, r.plan.Risk) {
		drawn[placeOf(o)] = struct{}{}
	}
	n := int64(len(drawn))
	for o, err := range draw.Swept(ctx, r.input(), r.plan.Sweeps) {
		if err != nil {
			return 0, err
		}
		if _, again := drawn[placeOf(o)]; !again {
			n++
		}
	}
	return n, nil
}
