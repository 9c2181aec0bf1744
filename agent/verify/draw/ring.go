package draw

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/verify/census"
)

// maxArcs is the most arcs of a ledger that is written: a plan cuts one of them in two, and has a sweep for each at the most.
const maxArcs = min(report.MaxArcs, report.MaxSweeps) - 1

// slack is by how much a time in the ledger may be later than now: hosts' clocks differ by seconds, and are set back by some.
const slack = time.Hour

// ring is a ledger as it is looked up: the circle of names, cut into arcs.
type ring struct {
	arcs  []arc
	heads int
}

// arc is a run of names that begins at from and ends where the next begins.
type arc struct {
	from uint64
	// time is when what commits up to seqs name was verified; zero where nothing was.
	time time.Time
	// seqs are by index of the heads; nil where nothing was verified.
	seqs []int64
}

// prefix is the part of a name that arcs and sweeps are cut by.
func prefix(name record.Hash) uint64 { return binary.BigEndian.Uint64(name[:8]) }

func formatPrefix(p uint64) string { return fmt.Sprintf("%016x", p) }

func parsePrefix(s string) (uint64, error) {
	v, err := strconv.ParseUint(s, 16, 64)
	if err != nil || len(s) != 16 || s != strings.ToLower(s) || s[0] == '+' {
		return 0, fmt.Errorf("%.40q is no beginning of a name: 16 digits of 0-9a-f", s)
	}
	return v, nil
}

// parseLedger reads a ledger. Times that lie in the future by more than the slack say nothing.
func parseLedger(l report.Ledger, heads []report.Head, now time.Time) (*ring, error) {
	r := &ring{heads: len(heads)}
	if len(l.Arcs) > maxArcs || len(l.Positions) > report.MaxPositions {
		return nil, fmt.Errorf("the ledger has %d arcs and %d positions: at most %d and %d", len(l.Arcs), len(l.Positions), maxArcs, report.MaxPositions)
	}
	if len(l.Arcs) == 0 {
		r.arcs = []arc{{}}
		return r, nil
	}
	seqs := make([][]int64, len(l.Positions))
	for i, p := range l.Positions {
		seqs[i] = along(p, heads)
	}
	for i, a := range l.Arcs {
		from, err := parsePrefix(a.From)
		if err != nil {
			return nil, fmt.Errorf("the ledger's arc %d: %w", i, err)
		}
		if i == 0 && from != 0 || i > 0 && from <= r.arcs[i-1].from {
			return nil, fmt.Errorf("the ledger's arc %d begins at %s: they ascend, and the first begins at the first name", i, a.From)
		}
		to := arc{from: from}
		if !a.Time.IsZero() {
			if a.Position < 0 || a.Position >= int64(len(seqs)) {
				return nil, fmt.Errorf("the ledger's arc %d has position %d of %d", i, a.Position, len(seqs))
			}
			if a.Time.Sub(now) <= slack {
				to.time, to.seqs = earlier(a.Time, now), seqs[a.Position]
			}
		}
		r.arcs = append(r.arcs, to)
	}
	return r, nil
}

// along returns the position's numbers by index of the heads, 0 where it has none.
func along(p report.Position, heads []report.Head) []int64 {
	out := make([]int64, len(heads))
	for i, h := range heads {
		if seq, ok := seqOf(p, h.Chain); ok {
			out[i] = seq
		}
	}
	return out
}

// seqOf returns the number that a position has for a chain.
func seqOf(p report.Position, chain string) (int64, bool) {
	i, ok := slices.BinarySearchFunc(p, chain, func(c report.ChainPosition, chain string) int { return strings.Compare(c.Chain, chain) })
	if !ok {
		return 0, false
	}
	return p[i].Seq, true
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// verified reports whether the arc has the object, which lies in it, as verified.
func (a *arc) verified(o census.Object) bool { return a.seqs != nil && o.Seq <= a.seqs[o.Chain] }

// walker follows objects along the ring, in ascending order.
type walker struct {
	ring *ring
	bad  map[record.Hash]bool
	i    int
	last census.Object
	any  bool
}

// next returns the arc of the next object, when it was verified, and whether it was. It fails where the object can't be: out of order, of no chain, or with an impossible size.
func (w *walker) next(o census.Object) (i int, t time.Time, verified bool, err error) {
	switch {
	case w.any && census.Compare(w.last, o) >= 0:
		return 0, t, false, fmt.Errorf("%s comes after %s: what the vault should hold is out of order", o.Path(), w.last.Path())
	case o.Chain < 0 || int(o.Chain) >= w.ring.heads:
		return 0, t, false, fmt.Errorf("%s is of chain %d, and there are %d", o.Path(), o.Chain, w.ring.heads)
	case o.Size < 0 || o.Size > maxBytes:
		return 0, t, false, fmt.Errorf("%s is said to have %d bytes", o.Path(), o.Size)
	}
	w.last, w.any = o, true
	for p := prefix(o.Name); w.i+1 < len(w.ring.arcs) && w.ring.arcs[w.i+1].from <= p; {
		w.i++
	}
	a := &w.ring.arcs[w.i]
	return w.i, a.time, a.verified(o) && !w.bad[o.Name], nil
}

// Verified returns when the ledger has an object as verified: at that time or later. It does not know what was found bad, and believes times that lie in the future. The heads are
// those that the object's Chain is an index into. A ledger that is malformed there has it as never verified.
func Verified(l *report.Ledger, heads []report.Head, o census.Object) (time.Time, bool) {
	from := formatPrefix(prefix(o.Name))
	i := sort.Search(len(l.Arcs), func(i int) bool { return l.Arcs[i].From > from }) - 1
	if i < 0 || l.Arcs[i].Time.IsZero() || o.Chain < 0 || int(o.Chain) >= len(heads) {
		return time.Time{}, false
	}
	a := l.Arcs[i]
	if a.Position < 0 || a.Position >= int64(len(l.Positions)) {
		return time.Time{}, false
	}
	if seq, ok := seqOf(l.Positions[a.Position], heads[o.Chain].Chain); !ok || o.Seq > seq {
		return time.Time{}, false
	}
	return a.Time, true
}

// errTooMuch is that sizes add up to more than any store holds.
var errTooMuch = errors.New("the sizes that commits state add up to more than any store holds")
