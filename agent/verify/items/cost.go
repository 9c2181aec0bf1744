package items

import "math"

// leastFirst is what the first item may cost whatever the budget is, and timesFirst how many times the budget: one that takes more is not dealt with either. Whoever writes records can
// state an item of any size, of the same bytes again and again.
const (
	leastFirst = 64 << 20
	timesFirst = 10
)

// affordable returns the items that were drawn, each once, as far as the budget goes: at least one, unless that alone is far beyond it. What is found of them has no part in it. That a
// budget ends is what it is for, and cuts nothing short; an item that no run of this budget would ever deal with does. The bound is no less sure for it: no pick is passed over, so that the
// more often an item ends a run, the shorter are the runs.
func (r *run) affordable(picks []pick) (due []*item) {
	const left, why = "items that were drawn and not dealt with", "the next would have taken more bytes than the budget has"
	known := map[*item]bool{}
	var spent int64
	for _, p := range picks {
		if known[p.item] {
			continue
		}
		cost := p.item.cost()
		spent = plus(spent, cost)
		switch {
		case r.o.Bytes <= 0 || spent <= r.o.Bytes:
		case cost > leastFirst && cost/timesFirst > r.o.Bytes:
			r.cut(left, why)
			return due
		case len(due) > 0:
			r.unchecked(left, -1, why)
			return due
		}
		known[p.item] = true
		due = append(due, p.item)
	}
	return due
}

// readUnit is what is read of a pack at the least.
const readUnit = 1 << 20

// cost is about what restoring the item reads.
func (it *item) cost() (n int64) {
	if it.rec == nil {
		return 0
	}
	for i := range it.rec.Parts {
		p := &it.rec.Parts[i]
		for _, e := range p.Extents {
			n = plus(n, max(e.Length, readUnit))
		}
		if len(p.Extents) == 0 {
			n = plus(n, p.Size)
		}
	}
	return n
}

// plus adds sizes, which a liar may have stated.
func plus(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}
