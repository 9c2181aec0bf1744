package draw

import (
	"cmp"
	"slices"
	"time"

	"farshore/agent/report"
	"farshore/agent/verify/census"
)

// Apply returns the ledger after sweeps that were gone over up to, and not including, the object where they stopped; nil: to their end. t is the start of the audit, so that each was
// verified at t or later, and the heads are those that the objects were of. What was swept counts as verified: what was found bad meanwhile is told by the list of the
// damaged, and the audit stops where that is full. A ledger that is malformed counts as empty, and sweeps that are change nothing. The result shares nothing with its arguments.
//
// It is kept below report.MaxArcs arcs and within report.MaxPositions by joining neighbours: the older time, and of each chain the lower number, hold for both. So it can forget, and never
// claims more than was done.
func Apply(l report.Ledger, sweeps []report.Sweep, stopped *census.Object, t time.Time, heads []report.Head) report.Ledger {
	b := openLedger(l)
	list, err := parseSweeps(sweeps)
	if err == nil {
		b.apply(finished(list, stopped), t, positionOf(heads))
	}
	b.join()
	return b.ledger()
}

// positionOf is how far the chains are.
func positionOf(heads []report.Head) report.Position {
	p := make(report.Position, len(heads))
	for i, h := range heads {
		p[i] = report.ChainPosition{Chain: h.Chain, Seq: h.Seq}
	}
	slices.SortFunc(p, func(a, b report.ChainPosition) int { return cmp.Compare(a.Chain, b.Chain) })
	return p
}

// finished returns the sweeps up to where they stopped. Only whole beginnings of names count.
func finished(list []sweep, stopped *census.Object) []sweep {
	if stopped == nil {
		return list
	}
	p := prefix(stopped.Name)
	for i, s := range list {
		if !s.begun(p) || s.over(p) {
			continue
		}
		list = slices.Clone(list[:i+1])
		if list[i].to = p; p == s.from {
			list = list[:i]
		}
		return list
	}
	return nil // it was in none of them: nothing is known
}

// book is a ledger that is being written.
type book struct {
	arcs      []stretch
	positions []report.Position
}

// stretch is an arc of it.
type stretch struct {
	from     uint64
	time     time.Time // zero: nothing was verified
	position int       // of no meaning without time
}

func openLedger(l report.Ledger) *book {
	empty := &book{arcs: []stretch{{}}}
	if _, err := parseLedger(l, nil, time.Time{}); err != nil || len(l.Arcs) == 0 {
		return empty
	}
	b := new(book)
	for _, p := range l.Positions {
		b.positions = append(b.positions, slices.Clone(p))
	}
	for _, a := range l.Arcs {
		from, _ := parsePrefix(a.From) // parseLedger has read it
		b.arcs = append(b.arcs, stretch{from: from, time: a.Time, position: int(a.Position)})
	}
	return b
}

// split makes an arc begin at from.
func (b *book) split(from uint64) {
	i, ok := slices.BinarySearchFunc(b.arcs, from, func(s stretch, from uint64) int { return cmp.Compare(s.from, from) })
	if !ok {
		s := b.arcs[i-1]
		s.from = from
		b.arcs = slices.Insert(b.arcs, i, s)
	}
}

// apply enters what was swept.
func (b *book) apply(list []sweep, t time.Time, p report.Position) {
	b.positions = append(b.positions, p)
	for _, s := range list {
		b.split(s.from)
		if s.to != 0 {
			b.split(s.to)
		}
	}
	ascending := slices.SortedFunc(slices.Values(list), func(a, b sweep) int { return cmp.Compare(a.from, b.from) })
	for i := range b.arcs {
		a := &b.arcs[i]
		for len(ascending) > 0 && ascending[0].over(a.from) {
			ascending = ascending[1:]
		}
		if len(ascending) == 0 || !ascending[0].begun(a.from) {
			continue
		}
		a.position = len(b.positions) - 1
		if a.time.IsZero() || !ascending[0].fresh || t.Before(a.time) {
			a.time = t
		}
	}
}

// ledger writes it.
func (b *book) ledger() report.Ledger {
	if !slices.ContainsFunc(b.arcs, func(s stretch) bool { return !s.time.IsZero() }) {
		return report.Ledger{}
	}
	l := report.Ledger{Positions: b.positions}
	for _, s := range b.arcs {
		l.Arcs = append(l.Arcs, report.Arc{From: formatPrefix(s.from), Time: s.time, Position: int64(s.position)})
	}
	return l
}
