package items

import (
	"bytes"
	"cmp"
	"math"
	"slices"

	"farshore/agent/record"
)

// firstWindow is how many items are dealt with together at the least. Within a window items are dealt with in the order in which they lie, so that neighbours are read together, and what they share is read
// and decoded once. Windows follow the order of the draw, and each takes about as long as those before it together: whoever stops it loses no more than about half of what was done.
const firstWindow = 256

// unit is a run of readUnit raw bytes of a pack.
type unit struct {
	pack record.Hash
	i    int64
}

// inWindows puts the items of each window into the order in which they lie.
func inWindows(due []*item) {
	for spent := int64(0); len(due) > 0; {
		n, cost := window(due, spent)
		asTheyLie(due[:n])
		due, spent = due[n:], plus(spent, cost)
	}
}

// asTheyLie sorts items by where their first bytes lie; those that have none in packs are first.
func asTheyLie(some []*item) {
	type lying struct {
		first record.Extent
		item  *item
	}
	all := make([]lying, len(some))
	for i, it := range some {
		all[i] = lying{it.first(), it}
	}
	slices.SortFunc(all, func(a, b lying) int {
		return cmp.Or(bytes.Compare(a.first.Pack.Name[:], b.first.Pack.Name[:]), cmp.Compare(a.first.Offset, b.first.Offset))
	})
	for i := range all {
		some[i] = all[i].item
	}
}

// first returns the item's first extent, a zero one where it has none.
func (it *item) first() record.Extent {
	if it.rec == nil {
		return record.Extent{}
	}
	for i := range it.rec.Parts {
		if extents := it.rec.Parts[i].Extents; len(extents) > 0 {
			return extents[0]
		}
	}
	return record.Extent{}
}

// window returns how many items, from the first on, are dealt with together, and what that costs, where those before have cost spent. Items that lie beside others of the window cost little, so that small ones
// of a small vault are all in the first window.
func window(due []*item, spent int64) (n int, cost int64) {
	seen := map[unit]bool{}
	limit := int64(math.MaxInt64)
	for n < len(due) {
		with := plus(cost, due[n].costBeside(seen))
		if with > limit {
			break
		}
		n, cost = n+1, with
		if n == firstWindow {
			limit = max(spent, plus(cost, cost))
		}
	}
	return n, cost
}

// costBeside is about what the item costs where the units seen are read anyhow, and adds its own to them. Bytes that are decoded already are hashed, at about a fourth of the price.
func (it *item) costBeside(seen map[unit]bool) (n int64) {
	if it.rec == nil {
		return 0
	}
	for i := range it.rec.Parts {
		p := &it.rec.Parts[i]
		for _, e := range p.Extents {
			at := unit{e.Pack.Name, e.Offset / readUnit}
			if seen[at] {
				n = plus(n, max(0, e.Length-readUnit)+min(e.Length, readUnit)/4)
				continue
			}
			seen[at] = true
			n = plus(n, max(e.Length, readUnit))
		}
		if len(p.Extents) == 0 {
			n = plus(n, p.Size)
		}
	}
	return n
}
