package draw

import (
	"cmp"
	"math"
	"math/rand"
	"slices"
	"testing"
	"time"

	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/verify/census"
)

// years is a simulation: a vault that grows, an audit a day, and damage.
type years struct {
	t *testing.T
	v *vaultful
	// promise and every are the options, budget what an audit may read of what there is, in thousandths; growth packs are added a day.
	promise, every time.Duration
	budget         uint64
	growth, days   int
	bursts         map[int]int // packs that are added on a day
	interrupt      float64     // the probability that an audit is stopped on its way

	ledger  report.Ledger
	damaged map[place]time.Time // since when
	bad     map[record.Hash]bool
	read    map[place]time.Time // when an object was last read whole by coverage
	delays  []time.Duration

	audits, infeasible, broken, found int
	arcs, positions                   int // the most that there were
	feasible, calm                    bool
}

func (y *years) run(days int) {
	y.t.Helper()
	y.damaged, y.bad, y.read = map[place]time.Time{}, map[record.Hash]bool{}, map[place]time.Time{}
	for d := range days {
		now := start.Add(time.Duration(d) * y.every)
		y.v.commit(now.Add(-time.Hour), y.growth+y.bursts[d], 1, y.v.sized)
		if d > 0 {
			y.damage(now)
		}
		y.audit(now)
	}
}

// damage hits single packs, one in a thousand, or a hundredth that lies together, on random days.
func (y *years) damage(now time.Time) {
	hit := func(i int) {
		if at := placeOf(y.v.objects[i%len(y.v.objects)]); y.damaged[at].IsZero() {
			y.damaged[at] = now.Add(-time.Duration(y.v.r.Int63n(int64(y.every))))
		}
	}
	n, first := len(y.v.objects), y.v.r.Intn(len(y.v.objects))
	switch x := y.v.r.Float64(); {
	case x < 0.05:
		hit(first)
	case x < 0.06:
		for range max(1, n/1000) {
			hit(y.v.r.Intn(n))
		}
	case x < 0.065:
		for i := range max(1, n/100) {
			hit(first + i)
		}
	}
}

func (y *years) audit(now time.Time) {
	y.t.Helper()
	in := y.v.input(now, max(share(y.v.bytes, y.budget), 1))
	in.Promise, in.Every, in.Ledger, in.Bad = y.promise, y.every, y.ledger, y.bad
	p := draw(y.t, in)
	y.audits++
	check := y.audits%50 < 3 || long() && y.audits%10 == 0
	var swept []census.Object
	if check {
		swept = checkPlan(y.t, y.v, in, p)
	} else {
		swept = sweptOf(y.t, in, p.Sweeps)
	}
	y.judge(now, p)

	var stopped *census.Object
	y.calm = true
	if y.v.r.Float64() < y.interrupt && len(swept) > 0 {
		i := y.v.r.Intn(len(swept))
		stopped, swept, y.calm = &swept[i], swept[:i], false
	}
	for _, o := range slices.Concat(swept, p.Packs, p.Pages, p.Bytes, p.Risk) {
		y.look(now, o)
	}
	for _, o := range swept {
		y.read[placeOf(o)] = now
	}
	y.ledger = Apply(y.ledger, p.Sweeps, stopped, now, in.Heads)
	y.arcs, y.positions = max(y.arcs, len(y.ledger.Arcs)), max(y.positions, len(y.ledger.Positions))
	if check {
		y.holdLedger(now)
	}
}

// judge holds the promise: where the audit before said that it can be kept, and came to its end, it is.
func (y *years) judge(now time.Time, p *Plan) {
	y.t.Helper()
	late := 0
	for _, o := range y.v.objects {
		since := y.read[placeOf(o)]
		if since.IsZero() {
			since = y.v.when(o)
		}
		if !y.bad[o.Name] && now.Sub(since) > y.promise {
			late++
		}
	}
	if late > 0 {
		y.broken++
		if y.feasible && y.calm {
			y.t.Fatalf("%v: the promise is broken for %d objects, and the audit before said that it is kept", now, late)
		}
	}
	if len(y.bad) == 0 && *p.Before.Met && late > 0 {
		y.t.Fatalf("%v: the promise is said to be kept, and %d objects are late", now, late)
	}
	if y.feasible = *p.Before.Feasible; !y.feasible {
		y.infeasible++
	}
}

// look reads an object: damage that is found is made good by the next audit.
func (y *years) look(now time.Time, o census.Object) {
	at := placeOf(o)
	if since := y.damaged[at]; !since.IsZero() {
		y.found++
		y.delays = append(y.delays, now.Sub(since))
		delete(y.damaged, at)
		y.bad[o.Name] = true
	} else {
		delete(y.bad, o.Name)
	}
}

// holdLedger: what the ledger claims was done, at that time or later.
func (y *years) holdLedger(now time.Time) {
	y.t.Helper()
	for _, o := range y.v.objects {
		if at, ok := Verified(&y.ledger, y.v.heads, o); ok && y.read[placeOf(o)].Before(at) {
			y.t.Fatalf("%v: the ledger has %s as verified at %v, and it was read at %v", now, o.Path(), at, y.read[placeOf(o)])
		}
	}
}

func packsOnly(v *vaultful, n int, at time.Time) { v.commit(at, n, 0, v.sized) }

// TestThreeYears: an audit a day for three years. Where an audit says that the promise can be kept it is, and where it can't it is said before; damage is found in time.
func TestThreeYears(t *testing.T) {
	scale, days := 1, 1095
	if long() {
		scale = 5
	}
	for _, c := range []struct {
		name   string
		years  years
		first  int
		expect func(t *testing.T, y *years)
	}{
		{"with room", years{promise: 30 * day, every: day, budget: 120, growth: scale}, 300 * scale, func(t *testing.T, y *years) {
			if y.infeasible > 0 || y.broken > 0 {
				t.Errorf("infeasible on %d days, broken on %d", y.infeasible, y.broken)
			}
			if worst := slices.Max(y.delays); worst > 31*day {
				t.Errorf("damage was found after %v", worst)
			}
		}},
		{"too little", years{promise: 30 * day, every: day, budget: 40, growth: scale, days: 400}, 300 * scale, func(t *testing.T, y *years) {
			if y.infeasible < 380 || y.broken < 350 {
				t.Errorf("infeasible on %d days, broken on %d", y.infeasible, y.broken)
			}
		}},
		{"bursts", years{promise: 60 * day, every: day, budget: 45, growth: scale, bursts: map[int]int{200: 400 * scale, 230: 500 * scale, 700: 3000 * scale}}, 200 * scale, func(t *testing.T, y *years) {
			if y.infeasible == 0 || y.infeasible > 500 {
				t.Errorf("infeasible on %d days", y.infeasible)
			}
		}},
		{"interrupted", years{promise: 90 * day, every: day, budget: 60, growth: scale, interrupt: 0.5, days: 600}, 300 * scale, func(t *testing.T, y *years) {
			if y.broken > 0 {
				t.Errorf("broken on %d days", y.broken)
			}
		}},
		{"everything each time", years{promise: 2 * day, every: day, budget: 1000, growth: scale, days: 200}, 20 * scale, func(t *testing.T, y *years) {
			if y.infeasible > 0 || y.broken > 0 || slices.Max(y.delays) > day || y.arcs != 1 {
				t.Errorf("infeasible on %d days, broken on %d, delays up to %v, %d arcs", y.infeasible, y.broken, slices.Max(y.delays), y.arcs)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			y := c.years
			y.t, y.v = t, newVault(11, 3)
			packsOnly(y.v, c.first, start.Add(-day))
			y.run(cmp.Or(y.days, days))
			mean := time.Duration(0)
			for _, d := range y.delays {
				mean += d / time.Duration(len(y.delays))
			}
			t.Logf("infeasible on %d days, broken on %d; %d found after %v, at the most %v; at most %d arcs and %d positions, %d objects", y.infeasible, y.broken, y.found,
				mean.Round(time.Hour), slices.Max(y.delays).Round(time.Hour), y.arcs, y.positions, len(y.v.objects))
			if y.arcs > 800 || y.positions > report.MaxPositions {
				t.Errorf("the ledger came to %d arcs and %d positions", y.arcs, y.positions)
			}
			c.expect(t, &y)
		})
	}
}

// TestDelay: a fifteenth of what there is a day, oldest first, finds damage within 15 days, and in the mean after half of that. The same by chance takes 15 days in the mean, and has
// no end.
func TestDelay(t *testing.T) {
	v := newVault(5, 2)
	v.commit(start, 1500, 0, func(bool) int64 { return 1000 })
	var ledger report.Ledger
	var sum, worst, chance float64
	count, r := 0, rand.New(rand.NewSource(6))
	const audits, share = 800, 15
	last := map[place]int{} // the audit that last swept it
	for n := range audits {
		in := v.input(start.Add(time.Duration(n)*day), v.bytes*10/(7*share)+1)
		in.Ledger = ledger
		p := draw(t, in)
		for _, o := range sweptOf(t, in, p.Sweeps) {
			if before, ok := last[placeOf(o)]; ok && n > 100 {
				// Damage that comes at a random moment between the two is found now.
				delay := float64(n-before) * r.Float64()
				sum, worst, count = sum+delay, max(worst, float64(n-before)), count+1
			}
			last[placeOf(o)] = n
		}
		chance += float64(len(p.Packs))
		ledger = Apply(ledger, p.Sweeps, nil, in.Now, in.Heads)
	}
	if mean := sum / float64(count); math.Abs(mean-share/2.0) > 0.1 || worst > share {
		t.Errorf("found after %.2f days in the mean, %.1f at the most", mean, worst)
	}
	// 9 % of the budget is 9/70 of what coverage has: of 1500 packs, 12.86, rounded down.
	if rate := chance / audits; rate != 12 {
		t.Errorf("%v packs are drawn by chance a day", rate)
	}
}
