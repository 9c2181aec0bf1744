package items

import (
	"testing"

	"farshore/agent/record"
)

// TestAffordable holds that a budget is kept whatever sizes records state: one item is dealt with even where it takes somewhat more, and none that takes many times as much; and
// sizes that add up beyond all numbers are no small ones.
func TestAffordable(t *testing.T) {
	of := func(sizes ...int64) (picks []pick) {
		for j, n := range sizes {
			picks = append(picks, pick{j, &item{rec: &record.Record{Parts: []record.Part{{Size: n}, {Size: n}}}}})
		}
		return picks
	}
	const most, gib = 1<<53 - 1, 1 << 30
	var many []int64
	for range 600 {
		many = append(many, most)
	}
	for name, c := range map[string]struct {
		budget int64
		picks  []pick
		want   int
	}{
		"all fit":                  {gib, of(1000, 1000, 1000), 3},
		"one fits not":             {gib, of(1000, gib, 1000), 1},
		"the first is over":        {gib, of(2 * gib), 1},
		"the first is far over":    {gib, of(6 * gib), 0},
		"a budget of next to none": {1, of(1<<20, 1<<20), 1},
		"an item without end":      {gib, of(most), 0},
		"more than numbers go":     {most, of(many...), 1},
		"no budget, and no bound":  {0, of(many...), 600},
		"records that are lost":    {gib, []pick{{0, &item{}}, {1, &item{}}}, 2},
	} {
		r := newRun(nil, Options{Bytes: c.budget})
		if got := len(r.affordable(c.picks)); got != c.want {
			t.Errorf("%s: %d in place of %d", name, got, c.want)
		}
		if r.short != (c.want < len(c.picks)) {
			t.Errorf("%s: that some are left out is %v", name, r.short)
		}
	}
}
