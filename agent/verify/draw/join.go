package draw

import (
	"cmp"
	"math"
	"slices"
	"time"

	"farshore/agent/report"
)

// join makes the book as small as it can be without a loss, and then as small as it has to be.
func (b *book) join() {
	b.tidy()
	for len(b.arcs) > maxArcs {
		b.joinArcs()
		b.tidy()
	}
	for len(b.positions) > 1 && (len(b.positions) > report.MaxPositions || b.numbers() > report.MaxPlaces) {
		b.joinPositions()
		b.tidy()
	}
}

func (b *book) numbers() (n int) {
	for _, p := range b.positions {
		n += len(p)
	}
	return n
}

// tidy drops positions that no arc has and that stand twice, orders them from the earliest, and joins arcs that say the same.
func (b *book) tidy() {
	used := make([]bool, len(b.positions))
	for i := range b.arcs {
		if a := &b.arcs[i]; a.time.IsZero() {
			a.position = 0
		} else {
			used[a.position] = true
		}
	}
	var order []int
	for i := range b.positions {
		if used[i] {
			order = append(order, i)
		}
	}
	slices.SortFunc(order, func(i, j int) int { return comparePositions(b.positions[i], b.positions[j]) })
	to := make([]int, len(b.positions))
	var kept []report.Position
	for _, i := range order {
		if len(kept) == 0 || !slices.Equal(kept[len(kept)-1], b.positions[i]) {
			kept = append(kept, b.positions[i])
		}
		to[i] = len(kept) - 1
	}
	b.positions = kept
	for i := range b.arcs {
		if !b.arcs[i].time.IsZero() {
			b.arcs[i].position = to[b.arcs[i].position]
		}
	}
	b.arcs = slices.CompactFunc(b.arcs, func(a, b stretch) bool { return a.time.Equal(b.time) && a.position == b.position })
}

// comparePositions orders positions by how many commits they take in, and those of as many in some way that is always the same.
func comparePositions(p, q report.Position) int {
	return cmp.Or(cmp.Compare(commits(p), commits(q)), slices.CompareFunc(p, q, func(a, b report.ChainPosition) int {
		return cmp.Or(cmp.Compare(a.Chain, b.Chain), cmp.Compare(a.Seq, b.Seq))
	}))
}

// commits is how many commits a position takes in, near enough.
func commits(p report.Position) (n float64) {
	for _, c := range p {
		n += float64(c.Seq)
	}
	return n
}

// width is how much of the circle an arc has, from 0 to 1.
func (b *book) width(i int) float64 {
	if i+1 == len(b.arcs) {
		return 1 - float64(b.arcs[i].from)/math.Exp2(64)
	}
	return float64(b.arcs[i+1].from-b.arcs[i].from) / math.Exp2(64)
}

// joinArcs joins the two neighbours of which least is forgotten.
func (b *book) joinArcs() {
	best, least := 0, math.Inf(1)
	for i := range len(b.arcs) - 1 {
		if loss := b.loss(i); loss < least {
			best, least = i, loss
		}
	}
	x, y := b.arcs[best], b.arcs[best+1]
	joined := stretch{from: x.from}
	if !x.time.IsZero() && !y.time.IsZero() {
		joined.time, joined.position = earlier(x.time, y.time), x.position
		if x.position != y.position {
			b.positions = append(b.positions, lower(b.positions[x.position], b.positions[y.position]))
			joined.position = len(b.positions) - 1
		}
	}
	b.arcs[best] = joined
	b.arcs = slices.Delete(b.arcs, best+1, best+2)
}

// loss says how much is forgotten where an arc and its next are joined: days by width, a commit as much as a day, and a thousand years for having been verified at all. Products
// are rounded before they are added, so that it is the same on every machine.
func (b *book) loss(i int) float64 {
	const never = 365_000
	x, y := b.arcs[i], b.arcs[i+1]
	switch {
	case x.time.IsZero() && y.time.IsZero():
		return 0
	case x.time.IsZero():
		return never * b.width(i+1)
	case y.time.IsZero():
		return never * b.width(i)
	}
	newer := b.width(i)
	if y.time.After(x.time) {
		newer = b.width(i + 1)
	}
	days := math.Abs(float64(y.time.Sub(x.time)) / float64(24*time.Hour))
	px, py := commits(b.positions[x.position]), commits(b.positions[y.position])
	further := b.width(i)
	if py > px {
		further = b.width(i + 1)
	}
	return float64(days*newer) + float64(math.Abs(px-py)*further)
}

// lower is what both positions take in.
func lower(p, q report.Position) report.Position {
	var out report.Position
	for _, c := range p {
		if seq, ok := seqOf(q, c.Chain); ok {
			out = append(out, report.ChainPosition{Chain: c.Chain, Seq: min(c.Seq, seq)})
		}
	}
	return out
}

// joinPositions joins the two neighbours, in the order of how far they are, of which least is forgotten.
func (b *book) joinPositions() {
	widths := make([]float64, len(b.positions))
	for i, a := range b.arcs {
		if !a.time.IsZero() {
			widths[a.position] += b.width(i)
		}
	}
	best, least := 0, math.Inf(1)
	for i := range len(b.positions) - 1 {
		p, q := b.positions[i], b.positions[i+1]
		both := commits(lower(p, q))
		if loss := float64((commits(p)-both)*widths[i]) + float64((commits(q)-both)*widths[i+1]); loss < least {
			best, least = i, loss
		}
	}
	b.positions = append(b.positions, lower(b.positions[best], b.positions[best+1]))
	for i := range b.arcs {
		if a := &b.arcs[i]; a.position == best || a.position == best+1 {
			a.position = len(b.positions) - 1
		}
	}
}
