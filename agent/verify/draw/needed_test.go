package draw

import (
	"math"
	"testing"
	"time"

	"farshore/agent/report"
	"farshore/agent/verify/census"
)

// TestNeeded: what an audit has to read so that a promise is kept. Coverage has 70 % of it.
func TestNeeded(t *testing.T) {
	const size, n = 1000, 1600
	all := int64(size * n)
	build := func() *vaultful {
		v := newVault(71, 1)
		v.heads[0].Seq = 1
		for i := range uint64(n) {
			o := census.Object{Name: named(i<<52, 1), Seq: 1, Size: size}
			v.objects, v.bytes = append(v.objects, o), v.bytes+size
			v.added[placeOf(o)] = start
		}
		return v
	}
	v := build()
	whole := []report.Sweep{over('0', 0, report.SweepAll)}
	half := []report.Sweep{{From: formatPrefix(0), To: formatPrefix(800 << 52), Only: report.SweepAll}}
	once := Apply(report.Ledger{}, whole, nil, start, v.heads)
	steady := func(v int64, every, promise float64) float64 {
		return math.Ceil(1.1 * float64(v) * every / promise)
	}
	total := func(coverage float64) int64 { return int64(math.Ceil(coverage / 0.7)) }
	for _, c := range []struct {
		name           string
		ledger         report.Ledger
		now            time.Duration
		promise, every time.Duration
		want           int64
		possible       bool
	}{
		// All new: 30 audits of 1.1 days come before it is due, and with this one it is a 28th.
		{"new", report.Ledger{}, 0, 30 * day, day, total(steady(all, 1, 30)), true},
		// The same 20 days later: there are ten left.
		{"late", report.Ledger{}, 20 * day, 30 * day, day, total(float64(all) / 10), true},
		{"last day", report.Ledger{}, 29 * day, 30 * day, day, all, true},
		{"too late", report.Ledger{}, 50 * day, 30 * day, day, all, true},
		{"verified", once, 0, 30 * day, day, total(steady(all, 1, 30)), true},
		{"verified long ago", once, 25 * day, 30 * day, day, total(float64(all) / 5), true},
		// A half is due in five days, the other in 25: 800,000 in 5 audits.
		{"a half earlier", Apply(once, half, nil, start.Add(20*day), v.heads), 25 * day, 30 * day, day, total(float64(all) / 2 / 5), true},
		{"weekly", once, 0, 30 * day, 7 * day, total(math.Max(steady(all, 7, 30), float64(all)/4)), true},
		{"as often as promised", once, 0, day, day, all, true},
		{"less often than promised", once, 0, day, 25 * time.Hour, all, false},
		{"seconds", once, 0, time.Second, time.Millisecond, all, true},
		{"centuries", once, 0, math.MaxInt64, math.MaxInt64, all, true},
		{"often, for centuries", once, 0, math.MaxInt64, 1, 2, true},
	} {
		in := v.input(start.Add(c.now), all/3)
		in.Ledger, in.Promise, in.Every = c.ledger, c.promise, c.every
		p := draw(t, in)
		if got := *p.Before.Feasible; p.Before.NeededBytes != c.want || got != (c.possible && c.want <= all/3) {
			t.Errorf("%s: %d are needed, want %d; feasible with %d: %v", c.name, p.Before.NeededBytes, c.want, all/3, got)
		}
		if bytes, feasible := p.Needs(c.promise, c.every); bytes != p.Before.NeededBytes || feasible != *p.Before.Feasible {
			t.Errorf("%s: asked again, %d and %v", c.name, bytes, feasible)
		}
		in.Bytes = 0
		if got := draw(t, in).Before; *got.Feasible != c.possible {
			t.Errorf("%s: by reading everything: %v", c.name, *got.Feasible)
		}
		// With exactly what is needed, and no less, it is feasible.
		in.Bytes = c.want
		if got := draw(t, in).Before; *got.Feasible != c.possible {
			t.Errorf("%s: with what is needed: %v", c.name, *got.Feasible)
		}
		in.Bytes = c.want - 1
		if in.Bytes > 0 && *draw(t, in).Before.Feasible {
			t.Errorf("%s: with a byte less", c.name)
		}
	}
	for _, c := range [][2]time.Duration{{0, day}, {-day, day}, {day, 0}, {day, -1}} {
		in := v.input(start, all/3)
		in.Promise, in.Every = c[0], c[1]
		if b := draw(t, in).Before; b.Feasible != nil || b.NeededBytes != 0 || (b.Met != nil) != (c[0] > 0) {
			t.Errorf("%v: %+v", c, b)
		}
	}
}

// TestNeededNew: what is new goes first, and so counts before what is due, in this audit and after.
func TestNeededNew(t *testing.T) {
	v := newVault(72, 1)
	v.commit(start, 1000, 0, func(bool) int64 { return 1000 })
	l := Apply(report.Ledger{}, []report.Sweep{over('0', 0, report.SweepAll)}, nil, start, v.heads)
	v.commit(start.Add(90*day), 300, 0, func(bool) int64 { return 1000 })
	for _, c := range []struct {
		now  time.Duration
		want float64 // of coverage
	}{
		// Of 100 days ten are left: 300,000 that are new, and 1,000,000 with the new again.
		{90, 1_600_000 / 10},
		// One is left: the new count once.
		{99, 1_300_000},
		{101, 1_300_000},
	} {
		in := v.input(start.Add(c.now*day), 1_000_000)
		in.Ledger, in.Promise, in.Every = l, 100*day, day
		want := min(int64(math.Ceil(c.want/0.7)), v.bytes)
		if got := draw(t, in).Before.NeededBytes; got != want {
			t.Errorf("day %d: %d, want %d", c.now, got, want)
		}
	}
}

// TestNeededToday: what is due before the next audit comes after all that is new, and this one has to do both.
func TestNeededToday(t *testing.T) {
	v := newVault(73, 1)
	v.commit(start, 1000, 0, func(bool) int64 { return 1000 })
	l := Apply(report.Ledger{}, []report.Sweep{over('0', 0, report.SweepAll)}, nil, start, v.heads)
	l = Apply(l, []report.Sweep{over('8', 0, report.SweepAll)}, nil, start.Add(95*day), v.heads)
	v.commit(start.Add(98*day), 300, 0, func(bool) int64 { return 1000 })
	var coverage float64
	for _, o := range v.objects {
		if o.Seq == 2 || o.Name[0] < 0x80 {
			coverage += 1000
		}
	}
	in := v.input(start.Add(99*day), 1_000_000)
	in.Ledger, in.Promise, in.Every = l, 100*day, day
	if got, want := draw(t, in).Before.NeededBytes, int64(math.Ceil(coverage/0.7)); got != want || want >= v.bytes {
		t.Errorf("%d, want %d of %d", got, want, v.bytes)
	}
}

func TestMulDiv(t *testing.T) {
	for _, c := range []struct {
		v         int64
		m, d, add uint64
		want      int64
	}{
		{0, 5, 7, 0, 0}, {100, 700, 1000, 0, 70}, {1, 700, 1000, 0, 0}, {10, 1, 3, 2, 4}, {9, 1, 3, 2, 3}, {math.MaxInt64, 700, 1000, 0, 6456360425798343064},
		{math.MaxInt64, 2, 1, 0, math.MaxInt64}, {math.MaxInt64, math.MaxUint64, 1, math.MaxUint64, math.MaxInt64}, {math.MaxInt64, math.MaxUint64, math.MaxUint64, 0, math.MaxInt64},
	} {
		if got := mulDiv(c.v, c.m, c.d, c.add); got != c.want {
			t.Errorf("%v: %d", c, got)
		}
	}
}
