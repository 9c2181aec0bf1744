package draw

import (
	"fmt"
	"math/rand"
	"reflect"
	"strings"
	"testing"
	"time"

	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/verify/census"
)

func heads(seqs ...int64) (out []report.Head) {
	for i, seq := range seqs {
		out = append(out, report.Head{Chain: fmt.Sprintf("%032x", i+1), Seq: seq})
	}
	return out
}

// text writes a ledger in short: of each arc the first digit of its names, the day, and the numbers of its position.
func text(l report.Ledger) string {
	var out []string
	for _, a := range l.Arcs {
		if a.Time.IsZero() {
			out = append(out, a.From[:1]+" never")
			continue
		}
		numbers := []string{}
		for _, c := range l.Positions[a.Position] {
			numbers = append(numbers, fmt.Sprint(c.Seq))
		}
		out = append(out, fmt.Sprintf("%s day %d to %s", a.From[:1], a.Time.Sub(start)/day, strings.Join(numbers, ",")))
	}
	return strings.Join(out, "; ")
}

// over is a sweep from one digit to another; 0 for the end.
func over(from, to byte, only string) report.Sweep {
	s := report.Sweep{From: string(from) + strings.Repeat("0", 15), Only: only}
	if to != 0 {
		s.To = string(to) + strings.Repeat("0", 15)
	}
	return s
}

func TestApply(t *testing.T) {
	var l report.Ledger
	at := func(p uint64) *census.Object { return &census.Object{Name: named(p, 1)} }
	for _, c := range []struct {
		day     time.Duration
		seqs    []int64
		sweeps  []report.Sweep
		stopped *census.Object
		want    string
	}{
		{1, []int64{5, 7}, nil, nil, ""},
		{1, []int64{5, 7}, []report.Sweep{over('0', '8', "new")}, nil, "0 day 1 to 5,7; 8 never"},
		{2, []int64{6, 7}, []report.Sweep{over('4', 0, "new")}, nil, "0 day 1 to 5,7; 4 day 1 to 6,7; 8 day 2 to 6,7"},
		{3, []int64{6, 7}, []report.Sweep{over('0', 0, "new")}, nil, "0 day 1 to 6,7; 8 day 2 to 6,7"},
		{4, []int64{6, 9}, []report.Sweep{over('0', '2', "all"), over('8', '9', "all")}, nil, "0 day 4 to 6,9; 2 day 1 to 6,7; 8 day 4 to 6,9; 9 day 2 to 6,7"},
		// Stopped in the second sweep: the first counts whole, the second up to there, and the third not at all.
		{5, []int64{7, 9}, []report.Sweep{over('2', '3', "all"), over('9', 0, "all"), over('3', '4', "all")}, at(0xa << 60),
			"0 day 4 to 6,9; 2 day 5 to 7,9; 3 day 1 to 6,7; 8 day 4 to 6,9; 9 day 5 to 7,9; a day 2 to 6,7"},
		// Stopped at the first object of a sweep, and outside of all.
		{6, []int64{8, 9}, []report.Sweep{over('0', '1', "all")}, at(0), "0 day 4 to 6,9; 2 day 5 to 7,9; 3 day 1 to 6,7; 8 day 4 to 6,9; 9 day 5 to 7,9; a day 2 to 6,7"},
		{6, []int64{8, 9}, []report.Sweep{over('0', '1', "all")}, at(0xb << 60), "0 day 4 to 6,9; 2 day 5 to 7,9; 3 day 1 to 6,7; 8 day 4 to 6,9; 9 day 5 to 7,9; a day 2 to 6,7"},
		// Sweeps that no plan has change nothing.
		{6, []int64{8, 9}, []report.Sweep{over('0', '4', "all"), over('3', 0, "all")}, nil, "0 day 4 to 6,9; 2 day 5 to 7,9; 3 day 1 to 6,7; 8 day 4 to 6,9; 9 day 5 to 7,9; a day 2 to 6,7"},
		// The clock was set back: what was read now was verified now or later, and what was before stays as it is.
		{2, []int64{8, 9}, []report.Sweep{over('0', '3', "new"), over('9', 0, "all")}, nil, "0 day 2 to 8,9; 3 day 1 to 6,7; 8 day 4 to 6,9; 9 day 2 to 8,9"},
		{7, []int64{8, 9}, []report.Sweep{over('0', 0, "all")}, nil, "0 day 7 to 8,9"},
		// A chain less, and a new one.
		{8, []int64{8}, []report.Sweep{over('0', '8', "all")}, nil, "0 day 8 to 8; 8 day 7 to 8,9"},
	} {
		before := text(l)
		next := Apply(l, c.sweeps, c.stopped, start.Add(c.day*day), heads(c.seqs...))
		if text(l) != before {
			t.Fatalf("the ledger that was given changed")
		}
		if got := text(next); got != c.want {
			t.Fatalf("day %d %v:\n%s, want\n%s", c.day, c.sweeps, got, c.want)
		}
		l = next
	}
}

func TestVerified(t *testing.T) {
	l := Apply(report.Ledger{}, []report.Sweep{over('4', '8', "all")}, nil, start, heads(5, 7))
	for _, c := range []struct {
		o    census.Object
		want bool
	}{
		{census.Object{Name: named(4<<60, 0), Chain: 0, Seq: 5}, true},
		{census.Object{Name: named(8<<60-1, 255), Chain: 1, Seq: 7}, true},
		{census.Object{Name: named(4<<60-1, 255), Chain: 0, Seq: 1}, false},
		{census.Object{Name: named(8<<60, 0), Chain: 0, Seq: 1}, false},
		{census.Object{Name: named(5<<60, 0), Chain: 0, Seq: 6}, false},
		{census.Object{Name: named(5<<60, 0), Chain: 2, Seq: 1}, false}, // a chain that came later
		{census.Object{Name: named(5<<60, 0), Chain: 3, Seq: 1}, false}, // of none
		{census.Object{Name: named(5<<60, 0), Chain: -1, Seq: 1}, false},
	} {
		at, ok := Verified(&l, heads(9, 9, 9), c.o)
		if ok != c.want || ok && !at.Equal(start) {
			t.Errorf("%+v: %v at %v", c.o, ok, at)
		}
	}
	for name, broken := range malformed(l) {
		for i := range broken.Arcs {
			broken.Arcs[i].Position = 99
		}
		if _, ok := Verified(&broken, heads(9, 9), census.Object{Name: named(5<<60, 0), Seq: 1}); ok {
			t.Errorf("%s: believed", name)
		}
	}
	if _, ok := Verified(&report.Ledger{}, nil, census.Object{}); ok {
		t.Error("an empty ledger verifies something")
	}
}

// malformed are ledgers that are none.
func malformed(l report.Ledger) map[string]report.Ledger {
	with := func(change func(l *report.Ledger)) report.Ledger {
		c := report.Ledger{Arcs: append([]report.Arc(nil), l.Arcs...), Positions: append([]report.Position(nil), l.Positions...)}
		change(&c)
		return c
	}
	return map[string]report.Ledger{
		"the first arc begins later": with(func(l *report.Ledger) { l.Arcs = l.Arcs[1:] }),
		"arcs twice":                 with(func(l *report.Ledger) { l.Arcs = append(l.Arcs, l.Arcs[len(l.Arcs)-1]) }),
		"not digits":                 with(func(l *report.Ledger) { l.Arcs[1].From = "+000000000000000" }),
		"capitals":                   with(func(l *report.Ledger) { l.Arcs[1].From = "400000000000000A" }),
		"short":                      with(func(l *report.Ledger) { l.Arcs[1].From = "4" }),
		"no such position":           with(func(l *report.Ledger) { l.Arcs[1].Position = int64(len(l.Positions)) }),
		"position below":             with(func(l *report.Ledger) { l.Arcs[1].Position = -1 }),
		"too many arcs": with(func(l *report.Ledger) {
			for i := range uint64(report.MaxArcs + 1) {
				l.Arcs = append(l.Arcs, report.Arc{From: formatPrefix(1<<63 + i)})
			}
		}),
		"too many positions": with(func(l *report.Ledger) { l.Positions = make([]report.Position, report.MaxPositions+1) }),
	}
}

func TestMalformedLedger(t *testing.T) {
	v := newVault(31, 2)
	v.commit(start, 10, 10, v.sized)
	l := Apply(report.Ledger{}, []report.Sweep{over('4', '8', "all")}, nil, start, v.heads)
	for name, broken := range malformed(l) {
		in := v.input(start, 0)
		in.Ledger = broken
		if _, err := Draw(t.Context(), in); err == nil {
			t.Errorf("%s: drawn from", name)
		}
		if _, err := CoverageOf(t.Context(), v.iterate, v.when, broken, v.heads, nil, start, day); err == nil {
			t.Errorf("%s: covers", name)
		}
		for _, err := range Swept(t.Context(), in, []report.Sweep{over('0', 0, "all")}) {
			if err == nil {
				t.Errorf("%s: swept", name)
			}
			break
		}
		// Nothing of it is believed, and the next is sound again.
		if got := text(Apply(broken, []report.Sweep{over('0', '1', "new")}, nil, start, heads(5))); got != "0 day 0 to 5; 1 never" {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// TestMalformedSweeps: nothing is swept by a list that no plan has, and no list costs more than four passes.
func TestMalformedSweeps(t *testing.T) {
	v := newVault(32, 1)
	v.commit(start, 10, 10, v.sized)
	var down []report.Sweep
	for _, digit := range []byte("fedcba") {
		down = append(down, over(digit, 0, "all"))
		down[len(down)-1].To = formatPrefix(mustPrefix(t, down[len(down)-1].From) + 1)
	}
	for name, list := range map[string][]report.Sweep{
		"only": {over('0', 0, "some")}, "from": {{From: "x", Only: "all"}}, "to": {{From: formatPrefix(1), To: "2", Only: "all"}}, "turned round": {over('4', '3', "all")},
		"empty": {over('4', '4', "all")}, "twice": {over('4', '8', "all"), over('4', '8', "all")}, "overlapping": {over('4', '8', "all"), over('0', '5', "new")},
		"beyond the end": {over('4', 0, "all"), over('8', 0, "new")}, "many runs": down, "many": make([]report.Sweep, report.MaxSweeps+1),
	} {
		var err error
		for _, e := range Swept(t.Context(), v.input(start, 0), list) {
			err = e
		}
		if err == nil {
			t.Errorf("%s: swept", name)
		}
	}
}

func mustPrefix(t testing.TB, s string) uint64 {
	t.Helper()
	p, err := parsePrefix(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestJoin: a ledger of more arcs or positions than there may be is joined, and never claims what was not done. Commits of five chains come between, and sweeps of all kinds and lengths.
func TestJoin(t *testing.T) {
	for _, c := range []struct {
		name       string
		audits     int
		share      float64 // of the circle that a sweep goes over
		only       string
		full       bool // the first audit goes over everything
		arcs       int  // that there must have been
		positions  int
		objects    int
		mayBeNever float64 // the share of objects that may be forgotten in the end
	}{
		{"arcs", 2500, 0.0002, report.SweepAll, true, maxArcs, 0, 300, 0.2},
		{"positions", 400, 0.03, report.SweepNew, false, 0, report.MaxPositions, 400, 0.5},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewSource(41))
			h := heads(1, 1, 1, 1, 1)
			objects := make([]census.Object, c.objects)
			for i := range objects {
				objects[i] = census.Object{Name: named(r.Uint64(), byte(i)), Chain: int32(i % 5), Seq: 1 + r.Int63n(5)}
			}
			read := map[record.Hash]time.Time{}
			var l report.Ledger
			arcs, positions := 0, 0
			for n := range c.audits {
				now := start.Add(time.Duration(n) * time.Hour)
				h[r.Intn(5)].Seq++
				from := prefix(objects[r.Intn(len(objects))].Name) - uint64(r.Int63n(1<<40))
				if n%2 == 0 {
					from = r.Uint64()
				}
				s := report.Sweep{From: formatPrefix(from), Only: c.only}
				if to := from + uint64(c.share*(1<<32))<<32; to > from {
					s.To = formatPrefix(to)
				}
				if c.full && n == 0 {
					s = over('0', 0, report.SweepAll)
				}
				for _, o := range objects {
					name := formatPrefix(prefix(o.Name))
					if o.Seq > h[o.Chain].Seq || name < s.From || s.To != "" && name >= s.To {
						continue
					}
					if _, known := Verified(&l, h, o); s.Only == report.SweepAll || !known {
						read[o.Name] = now
					}
				}
				l = Apply(l, []report.Sweep{s}, nil, now, h)
				arcs, positions = max(arcs, len(l.Arcs)), max(positions, len(l.Positions))
				if n%50 != 0 && n+1 != c.audits {
					continue
				}
				for _, o := range objects {
					if at, ok := Verified(&l, h, o); ok && read[o.Name].Before(at) {
						t.Fatalf("audit %d: %s is said to be verified at %v, and was read at %v", n, o.Name, at, read[o.Name])
					}
				}
			}
			if arcs < c.arcs || arcs > maxArcs || positions < c.positions || positions > report.MaxPositions {
				t.Errorf("%d arcs and %d positions", arcs, positions)
			}
			if _, err := parseLedger(l, h, start); err != nil {
				t.Error(err)
			}
			forgotten := 0
			for _, o := range objects {
				if _, ok := Verified(&l, h, o); !ok && !read[o.Name].IsZero() {
					forgotten++
				}
			}
			if float64(forgotten) > c.mayBeNever*float64(len(read)) {
				t.Errorf("%d of %d are forgotten", forgotten, len(read))
			}
			t.Logf("%d arcs, %d positions, %d of %d forgotten", arcs, positions, forgotten, len(read))
		})
	}
}

// TestManyChains: the numbers of a ledger are bounded whatever the chains.
func TestManyChains(t *testing.T) {
	h := heads(make([]int64, 3000)...)
	var l report.Ledger
	for n := range 16 {
		for i := range h {
			h[i].Seq++
		}
		digit := "0123456789abcdef"[n]
		s := over(digit, 0, report.SweepNew)
		if n < 15 {
			s.To = over("0123456789abcdef"[n+1], 0, "").From
		}
		l = Apply(l, []report.Sweep{s}, nil, start.Add(time.Duration(n)*day), h)
	}
	numbers := 0
	for _, p := range l.Positions {
		numbers += len(p)
	}
	if numbers > report.MaxPlaces || len(l.Positions) < 10 || len(l.Arcs) != 16 {
		t.Errorf("%d numbers in %d positions, %d arcs", numbers, len(l.Positions), len(l.Arcs))
	}
}

// TestClockSetBack: a time in the ledger that is later than now says nothing of when, and what it is about is gone over as if it never was.
func TestClockSetBack(t *testing.T) {
	v := newVault(33, 1)
	v.commit(start, 20, 5, v.sized)
	l := Apply(report.Ledger{}, []report.Sweep{over('0', 0, report.SweepAll)}, nil, start.Add(day), v.heads)
	for _, c := range []struct {
		now    time.Time
		known  bool
		oldest time.Time
	}{
		{start.Add(2 * day), true, start.Add(day)},
		{start.Add(day), true, start.Add(day)},
		{start.Add(day - time.Minute), true, start.Add(day - time.Minute)},
		{start.Add(day - 2*time.Hour), false, time.Time{}},
		{time.Time{}, false, time.Time{}},
		{time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC).Add(-200 * 365 * day), false, time.Time{}},
	} {
		in := v.input(c.now, v.bytes/2)
		in.Ledger, in.Promise, in.Every = l, 30*day, day
		p := draw(t, in)
		checkPlan(t, v, in, p)
		b := p.Before
		if known := b.Never == 0; known != c.known || b.Never+b.Verified != 25 || !b.Oldest.Equal(c.oldest) {
			t.Errorf("%v: %+v", c.now, b)
		}
		got, err := CoverageOf(t.Context(), v.iterate, v.when, l, v.heads, nil, c.now, in.Promise)
		b.Feasible, b.NeededBytes = nil, 0
		if err != nil || !reflect.DeepEqual(got, b) {
			t.Errorf("%v: %+v and %+v, %v", c.now, got, b, err)
		}
		if p.Sweeps[0].Only == report.SweepNew == c.known && len(p.Sweeps) == 1 {
			t.Errorf("%v: %v", c.now, p.Sweeps)
		}
	}
}
