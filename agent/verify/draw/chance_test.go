package draw

import (
	"cmp"
	"math"
	"slices"
	"testing"

	"farshore/agent/report"
	"farshore/agent/verify/bound"
	"farshore/agent/verify/census"
)

// The tests here draw many times with seeds that are always the same, and hold how often something came to pass against its probability. The limits are those that a right draw passes
// but once in a million.

// atMost returns a number that a binomial variable exceeds but once in a million.
func atMost(n int, p float64) int {
	k := 0
	for bound.Binomial(int64(n), int64(k), 1e-6) <= p {
		k++
	}
	return k
}

func TestAtMost(t *testing.T) {
	// The mean is 100 and the standard deviation 9.75: 4.75 of them, and a little for the skew.
	if k := atMost(2000, 0.05); k < 140 || k > 155 {
		t.Errorf("%d", k)
	}
}

// within reports whether hits of n trials fit the probability p.
func within(hits, n int, p float64) bool { return hits <= atMost(n, p) && n-hits <= atMost(n, 1-p) }

// heavy is a vault of so many packs and pages whose sizes differ by a factor of a thousand.
func heavy(seed int64, packs, pages int) *vaultful {
	v := newVault(seed, 2)
	for range 10 {
		v.commit(start, packs/10, pages/10, func(bool) int64 { return int64(math.Exp(v.r.Float64()*7) * 1000) })
	}
	return v
}

// TestUniform: each pack is drawn as often as each other, whatever its size; and bytes in proportion to sizes.
func TestUniform(t *testing.T) {
	const trials = 3000
	v := heavy(21, 100, 20)
	packs, drawn, hits := 0, map[place]int{}, map[place]int{}
	n, places := 0, 0
	for i := range trials {
		p := draw(t, v.input(start, v.bytes/10*9))
		if i > 0 && (len(p.Packs) != n || len(p.Bytes) != places) {
			t.Fatalf("%d packs and %d bytes, and before %d and %d: how many are drawn hangs on the draw", len(p.Packs), len(p.Bytes), n, places)
		}
		n, places = len(p.Packs), len(p.Bytes)
		for _, o := range p.Packs {
			drawn[placeOf(o)]++
		}
		for _, o := range p.Bytes {
			hits[placeOf(o)]++
		}
	}
	var square, weighted float64
	var packBytes int64
	for _, o := range v.objects {
		if !o.Meta {
			packs++
			packBytes += o.Size
		}
	}
	for _, o := range v.objects {
		if o.Meta {
			continue
		}
		share := float64(n) / float64(packs)
		square += math.Pow(float64(drawn[placeOf(o)])-trials*share, 2) / (trials * share * (1 - share))
		expect := trials * float64(places) * float64(o.Size) / float64(packBytes)
		weighted += math.Pow(float64(hits[placeOf(o)])-expect, 2) / expect
	}
	// 99 degrees of freedom, once in a million: 180.
	if packs != 100 || n < 2 || places < 2 || square > 180 || weighted > 180 || square < 50 || weighted < 50 {
		t.Errorf("%d packs: χ² of packs %.1f (%d a draw), of bytes %.1f (%d)", packs, square, n, weighted, places)
	}
}

// TestDetection: the uniform part meets damage as often as theory says.
func TestDetection(t *testing.T) {
	const trials = 2000
	v := heavy(22, 400, 0)
	bad := map[place]bool{}
	for i := range 20 {
		bad[placeOf(v.objects[i*20])] = true
	}
	met, n := 0, 0
	for range trials {
		p := draw(t, v.input(start, v.bytes/2))
		n = len(p.Packs)
		if slices.ContainsFunc(p.Packs, func(o census.Object) bool { return bad[placeOf(o)] }) {
			met++
		}
	}
	if p := bound.Detection(400, 20, int64(n)); !within(met, trials, p) || p < 0.2 || p > 0.95 {
		t.Errorf("%d of %d samples of %d met damage, theory says %.3f", met, trials, n, p)
	}
}

// TestBounds: whichever packs are damaged, few, many, the small or the large, the truth lies above the bound in at most 5 % of audits, and 1 %. Of packs, of pages and of bytes alike.
func TestBounds(t *testing.T) {
	trials := 1000
	if long() {
		trials = 20_000
	}
	bySize := func(a, b census.Object) int { return cmp.Compare(a.Size, b.Size) }
	for _, c := range []struct {
		name  string
		order func(a, b census.Object) int
		n     int
	}{
		{"anywhere, few", census.Compare, 15}, {"anywhere, many", census.Compare, 150}, {"the small", bySize, 60},
		{"the large", func(a, b census.Object) int { return bySize(b, a) }, 20}, {"the larger half", func(a, b census.Object) int { return bySize(b, a) }, 150},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			v := heavy(23, 300, 100)
			bad := map[place]bool{}
			for _, o := range slices.SortedFunc(slices.Values(v.objects), c.order)[:c.n] {
				bad[placeOf(o)] = true
			}
			truth := v.shares(bad)
			above95, above99 := map[string]int{}, map[string]int{}
			for range trials {
				p := draw(t, v.input(start, v.bytes/2))
				for _, b := range []report.Bound{
					bound.Of(report.UnitPacks, 300, int64(len(p.Packs)), failed(p.Packs, bad), false),
					bound.Of(report.UnitPages, 100, int64(len(p.Pages)), failed(p.Pages, bad), false),
					bound.Of(report.UnitBytes, 1, int64(len(p.Bytes)), failed(p.Bytes, bad), true),
				} {
					if truth[b.Unit] > b.Upper95 {
						above95[b.Unit]++
					}
					if truth[b.Unit] > b.Upper99 {
						above99[b.Unit]++
					}
				}
			}
			for unit := range truth {
				if above95[unit] > atMost(trials, 0.05) || above99[unit] > atMost(trials, 0.01) {
					t.Errorf("%s: %.3f are damaged, above the bound in %d and %d of %d audits", unit, truth[unit], above95[unit], above99[unit], trials)
				}
			}
			t.Logf("above the bounds: %v, %v", above95, above99)
		})
	}
}

func failed(list []census.Object, bad map[place]bool) (n int64) {
	for _, o := range list {
		if bad[placeOf(o)] {
			n++
		}
	}
	return n
}

// shares are the damaged shares, by unit.
func (v *vaultful) shares(bad map[place]bool) map[string]float64 {
	var all, hit [3]float64
	for _, o := range v.objects {
		unit, size := 0, float64(o.Size)
		if o.Meta {
			unit, size = 1, 0
		}
		all[unit]++
		all[2] += size
		if bad[placeOf(o)] {
			hit[unit]++
			hit[2] += size
		}
	}
	return map[string]float64{report.UnitPacks: hit[0] / all[0], report.UnitPages: hit[1] / all[1], report.UnitBytes: hit[2] / all[2]}
}

// TestSpent: how many are drawn is fixed by the mean size, so that what the parts come to is about the budget.
func TestSpent(t *testing.T) {
	v := newVault(24, 1)
	v.commit(start, 3000, 600, v.sized)
	budget := v.bytes / 5
	var sums [5]int64
	const trials = 20
	for range trials {
		in := v.input(start, budget)
		p := draw(t, in)
		for i, list := range [][]census.Object{p.Packs, p.Bytes, p.Pages, p.Risk} {
			for _, o := range list {
				sums[i] += o.Size
			}
		}
		sums[4] += p.SweepBytes
		if p.TotalBytes > budget+budget/20 {
			t.Errorf("%d bytes are read, the budget is %d", p.TotalBytes, budget)
		}
	}
	for i, want := range []float64{0.09, 0.09, 0.02, 0.1, 0.7} {
		got := float64(sums[i]) / trials / float64(budget)
		if i == 2 {
			// There are not that many pages.
			continue
		}
		if math.Abs(got-want) > 0.003 {
			t.Errorf("part %d takes %.4f of the budget, not %.2f", i, got, want)
		}
	}
}
