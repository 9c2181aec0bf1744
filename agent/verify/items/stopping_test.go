package items

import (
	"math/rand/v2"
	"testing"

	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/verify/bound"
)

// TestBudgetBounds holds that the bound of items is no less sure for a budget that ends the sample: nothing that was drawn is passed over, so that what does not fit ends the run, and a long run
// without large items says how rare they are. Damaged are 2 % of all (or 0.5 %), which are the large ones, or some of these, or small ones.
func TestBudgetBounds(t *testing.T) {
	const runs, mib = 4000, 1 << 20
	for i, c := range []struct {
		size, large int64 // bytes of large items, and how many of 1,000 are
		damaged     func(x int64) bool
		share       float64
	}{
		{40 * mib, 20, func(x int64) bool { return x < 20 }, 0.02},
		{190 * mib, 20, func(x int64) bool { return x < 20 }, 0.02},
		{1024 * mib, 5, func(x int64) bool { return x < 5 }, 0.005}, // more than the budget has
		{40 * mib, 300, func(x int64) bool { return x < 20 }, 0.02},
		{40 * mib, 50, func(x int64) bool { return x >= 980 }, 0.02},
	} {
		rng, wrong := rand.New(rand.NewPCG(7, uint64(i))), 0
		for range runs {
			if upper := bounded(rng, c.size, c.large, c.damaged); upper < c.share {
				wrong++
			}
		}
		if wrong > runs*6/100 { // three deviations above 5 %; the seed is fixed
			t.Errorf("%d MiB, %d of 1,000: the bound was too low in %d of %d runs", c.size/mib, c.large, wrong, runs)
		}
	}
}

// bounded draws items within a budget of 200 MiB and returns the upper bound of the damaged share, with 95 % confidence.
func bounded(rng *rand.Rand, size, large int64, damaged func(int64) bool) float64 {
	r := newRun(nil, Options{Bytes: 200 << 20})
	bad := map[*item]bool{}
	var picks []pick
	for j := range 201 { // beyond which the budget never goes
		x, n := rng.Int64N(1000), int64(1<<20)
		if x < large {
			n = size
		}
		it := &item{rec: &record.Record{Parts: []record.Part{{Size: n}}}}
		picks, bad[it] = append(picks, pick{j, it}), damaged(x)
	}
	var failed int64
	due := r.affordable(picks)
	for _, it := range due {
		if bad[it] {
			failed++
		}
	}
	return bound.Of(report.UnitItems, 0, int64(len(due)), failed, true).Upper95
}
