package items

import (
	"testing"

	"farshore/agent/record"
)

// TestAffordable holds that a budget is kept whatever sizes records state: one item is dealt with even where it takes somewhat more, and none that takes many times as much, which alone
// makes the sample a short one; and sizes that add up beyond all numbers are no small ones.
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
		short  bool
	}{
		"all fit":                  {gib, of(1000, 1000, 1000), 3, false},
		"one fits not":             {gib, of(1000, gib, 1000), 1, false},
		"one is far over":          {gib, of(1000, 6*gib, 1000), 1, true},
		"the first is over":        {gib, of(2 * gib), 1, false},
		"the first is far over":    {gib, of(6 * gib), 0, true},
		"a budget of next to none": {1, of(1<<20, 1<<20), 1, false},
		"an item without end":      {gib, of(most), 0, true},
		"more than numbers go":     {most, of(many...), 1, false},
		"no budget, and no bound":  {0, of(many...), 600, false},
		"records that are lost":    {gib, []pick{{0, &item{}}, {1, &item{}}}, 2, false},
	} {
		r := newRun(nil, Options{Bytes: c.budget})
		if got := len(r.affordable(c.picks)); got != c.want {
			t.Errorf("%s: %d in place of %d", name, got, c.want)
		}
		if told := len(r.res.NotChecked) > 0; r.short != c.short || told != (c.want < len(c.picks)) {
			t.Errorf("%s: short is %v, and that some are left out is told: %v", name, r.short, told)
		}
	}
}
