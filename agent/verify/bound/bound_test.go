package bound

import (
	"math"
	"math/rand"
	"testing"
	"testing/quick"
	"time"

	"golang.org/x/sys/unix"
	"gonum.org/v1/gonum/mathext"

	"farshore/agent/report"
)

// near reports whether a and b agree to so many digits relatively.
func near(a, b, digits float64) bool {
	return math.Abs(a-b) <= math.Pow(10, -digits)*math.Max(math.Abs(a), math.Abs(b))
}

// TestBinomialTables: S. S. Wilks' sizes for tolerance limits of 95/95 and 95/99, and the tables of Clopper and Pearson.
func TestBinomialTables(t *testing.T) {
	for k, n := range []int64{59, 93, 124, 153, 181, 208} {
		if at, before := Binomial(n, int64(k), 0.95), Binomial(n-1, int64(k), 0.95); at > 0.05 || before <= 0.05 {
			t.Errorf("%d of %d: %v, with one draw less %v", k, n, at, before)
		}
	}
	for _, c := range []struct {
		n, k       int64
		confidence float64
		want       float64
		places     float64 // after the point
	}{
		{10, 0, 0.975, 0.3085, 4}, {10, 1, 0.975, 0.4450, 4}, {10, 2, 0.975, 0.5561, 4}, {10, 5, 0.975, 0.8129, 4},
		{10, 0, 0.95, 0.2589, 4}, {10, 1, 0.95, 0.3942, 4}, {10, 2, 0.95, 0.5069, 4}, {100, 0, 0.975, 0.0362, 4},
		{300, 0, 0.95, 0.0099, 4}, {1000, 0, 0.95, 0.0030, 4}, {10_000, 0, 0.95, 0.00030, 5},
		{1000, 1, 0.95, 0.0047, 4}, {1000, 2, 0.95, 0.0063, 4}, {1000, 3, 0.95, 0.0077, 4},
		{1, 0, 0.95, 0.95, 9}, {1, 1, 0.95, 1, 9}, {2, 1, 0.95, math.Sqrt(0.95), 9},
	} {
		if got := Binomial(c.n, c.k, c.confidence); math.Abs(got-c.want) > 0.5000001*math.Pow(10, -c.places) {
			t.Errorf("%d of %d at %v: %v, the table says %v", c.k, c.n, c.confidence, got, c.want)
		}
	}
}

// TestBinomialAgainstBeta: the bound is a quantile of the beta distribution. Another library's incomplete beta function has to say of it that the tail is what it should be.
func TestBinomialAgainstBeta(t *testing.T) {
	for _, n := range []int64{2, 3, 10, 1000, 1_000_000, 10_000_000} {
		for _, k := range []int64{0, 1, 2, 3, 17, 100, n / 100, n / 3, n / 2, n - 2, n - 1} {
			if k < 0 || k >= n {
				continue
			}
			for _, alpha := range []float64{0.05, 0.01, 0.5, 0.9} {
				if alpha >= 0.5 && n > 1_000_000 {
					continue // that function's continued fraction does not converge there
				}
				p := Binomial(n, k, 1-alpha)
				if tail := mathext.RegIncBeta(float64(n-k), float64(k+1), 1-p); !near(tail, alpha, 6) {
					t.Errorf("%d of %d at %v: %v, whose tail is %v", k, n, 1-alpha, p, tail)
				}
			}
		}
	}
	// Of an odd number of fair draws, less than half are bad in half of all cases.
	if got := Binomial(9_999_999, 4_999_999, 0.5); !near(got, 0.5, 12) {
		t.Errorf("the median of fair draws: %v", got)
	}
	if got, want := Binomial(10_000_000, 0, 0.95), -math.Expm1(math.Log(0.05)/1e7); !near(got, want, 14) {
		t.Errorf("%v, and the closed form says %v", got, want)
	}
}

func TestDetectionTables(t *testing.T) {
	if got := SampleSize(10_000, 100, 0.95); got != 294 {
		t.Errorf("95 %%: %d", got)
	}
	if got := SampleSize(10_000, 100, 0.99); got != 448 {
		t.Errorf("99 %%: %d", got)
	}
	if got := Detection(10_000, 1, 9501); got < 0.9501 || got > 0.95011 {
		t.Errorf("one bad among 10,000: %v", got)
	}
	// 95 % of 10,000 is 9,500 exactly; it takes 9,501 to be above.
	if got := SampleSize(10_000, 1, 0.95+1e-9); got != 9501 {
		t.Errorf("one bad among 10,000: %d", got)
	}
	// Of a population so large, drawing without replacement is as with it: the figures for a share of bad ones.
	const N = 1_000_000_000_000
	for _, c := range []struct {
		share float64
		want  [4]int64
	}{
		{0.1, [4]int64{22, 29, 44, 66}}, {0.05, [4]int64{45, 59, 90, 135}}, {0.01, [4]int64{230, 299, 459, 688}}, {0.005, [4]int64{460, 598, 919, 1379}},
		{0.001, [4]int64{2302, 2995, 4603, 6905}}, {0.0001, [4]int64{23025, 29956, 46050, 69075}},
	} {
		for i, confidence := range []float64{0.9, 0.95, 0.99, 0.999} {
			if got := SampleSize(N, int64(c.share*N), confidence); got != c.want[i] {
				t.Errorf("share %v at %v: %d, want %d", c.share, confidence, got, c.want[i])
			}
		}
	}
}

// TestDetectionProduct holds Detection against the product that defines it.
func TestDetectionProduct(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	for range 300 {
		N := r.Int63n(100_000) + 1
		bad, n := r.Int63n(N+1), r.Int63n(min(N, 500)+1)
		missed := 1.0
		for i := range n {
			missed *= max(0, float64(N-bad-i)/float64(N-i))
		}
		if got := Detection(N, bad, n); math.Abs(got-(1-missed)) > 1e-10 {
			t.Fatalf("N %d, bad %d, n %d: %v, the product says %v", N, bad, n, got, 1-missed)
		}
	}
	for _, c := range [][4]int64{{0, 0, 0, 0}, {10, 0, 5, 0}, {10, 5, 0, 0}, {10, 1, 10, 1}, {10, 20, 1, 1}, {-3, 2, 2, 0}, {10, -1, 3, 0}, {1_000_000_000, 1_000_000_000, 1, 1}} {
		if got := Detection(c[0], c[1], c[2]); got != float64(c[3]) {
			t.Errorf("%v: %v", c, got)
		}
	}
	if SampleSize(10, 0, 0.95) != 10 || SampleSize(0, 1, 0.95) != 0 || SampleSize(10, 1, 1) != 10 || SampleSize(10, 1, math.NaN()) != 10 {
		t.Error("where no sample is enough, it is all")
	}
}

func TestNothingKnown(t *testing.T) {
	for _, v := range []float64{
		Hypergeometric(10, 0, 0, 0.95), Hypergeometric(10, 11, 0, 0.95), Hypergeometric(10, 5, 6, 0.95), Hypergeometric(10, 5, -1, 0.95), Hypergeometric(0, 0, 0, 0.95),
		Hypergeometric(10, 5, 0, 1), Hypergeometric(10, 5, 0, 0), Hypergeometric(10, 5, 0, math.NaN()), Binomial(0, 0, 0.95), Binomial(5, 6, 0.95), Binomial(5, -1, 0.95),
		Binomial(5, 0, 2), Hypergeometric(-1, -1, 0, 0.95), Binomial(-1, 0, 0.95), Binomial(math.MaxInt64, math.MaxInt64, 0.95),
	} {
		if v != 1 {
			t.Errorf("%v, and nothing is known", v)
		}
	}
}

func TestProperties(t *testing.T) {
	config := &quick.Config{MaxCount: 2000, Rand: rand.New(rand.NewSource(2))}
	sample := func(a, b, c uint32, confidence uint16) (N, n, k int64, level float64) {
		N = int64(a)%1_000_000 + 1
		n = int64(b)%N + 1
		return N, n, int64(c) % (min(n, 50) + 1), 0.5 + float64(confidence%4999)/10_000
	}
	holds := func(name string, f func(N, n, k int64, level float64) bool) {
		t.Helper()
		if err := quick.Check(func(a, b, c uint32, confidence uint16) bool { return f(sample(a, b, c, confidence)) }, config); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	holds("more bad ones, a larger bound", func(N, n, k int64, level float64) bool {
		return k == n || Hypergeometric(N, n, k, level) < Hypergeometric(N, n, k+1, level) && Binomial(n, k, level) < Binomial(n, k+1, level)
	})
	holds("more drawn, a smaller bound", func(N, n, k int64, level float64) bool {
		return n == N || Hypergeometric(N, n, k, level) >= Hypergeometric(N, n+1, k, level) && Binomial(n, k, level) >= Binomial(n+1, k, level)
	})
	holds("more confidence, a larger bound", func(N, n, k int64, level float64) bool {
		higher := level + (1-level)/2
		return Hypergeometric(N, n, k, level) <= Hypergeometric(N, n, k, higher) && (k == n || Binomial(n, k, level) < Binomial(n, k, higher))
	})
	holds("without replacement is never worse", func(N, n, k int64, level float64) bool {
		return Hypergeometric(N, n, k, level) <= Binomial(n, k, level)+1e-12
	})
	holds("never below what was seen, nor above what is possible", func(N, n, k int64, level float64) bool {
		v := Hypergeometric(N, n, k, level)
		return v >= float64(k)/float64(N) && v <= float64(N-(n-k))/float64(N)
	})
	holds("detection and the bound agree", func(N, n, _ int64, level float64) bool {
		bad := int64(math.Round(Hypergeometric(N, n, 0, level) * float64(N)))
		return (bad == 0 || Detection(N, bad, n) <= level+1e-8) && (bad == N || Detection(N, bad+1, n) >= level-1e-8)
	})
}

func TestOf(t *testing.T) {
	for _, c := range []struct {
		name                        string
		population, sampled, failed int64
		replacement                 bool
		want                        report.Bound
	}{
		{"a sample", 10_000, 294, 0, false, report.Bound{Unit: "u", Population: 10_000, Sampled: 294, Method: report.MethodHypergeometric, Upper95: 0.0099, Upper99: 0.0153}},
		{"everything", 7, 7, 2, false, report.Bound{Unit: "u", Population: 7, Sampled: 7, Failed: 2, Method: report.MethodCensus, Upper95: 0.285714286, Upper99: 0.285714286}},
		{"all intact", 7, 7, 0, false, report.Bound{Unit: "u", Population: 7, Sampled: 7, Method: report.MethodCensus}},
		{"with replacement", 1_000_000, 300, 0, true, report.Bound{Unit: "u", Population: 1_000_000, Sampled: 300, Method: report.MethodBinomial, Upper95: 0.009936082, Upper99: 0.015233348}},
		{"unknown population", 0, 300, 0, false, report.Bound{Unit: "u", Sampled: 300, Method: report.MethodBinomial, Upper95: 0.009936082, Upper99: 0.015233348}},
		{"nothing sampled", 5, 0, 0, false, report.Bound{Unit: "u", Population: 5, Method: report.MethodHypergeometric, Upper95: 1, Upper99: 1}},
		{"nothing at all", 0, 0, 0, false, report.Bound{Unit: "u", Method: report.MethodBinomial, Upper95: 1, Upper99: 1}},
	} {
		if got := Of("u", c.population, c.sampled, c.failed, c.replacement); got != c.want {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

func TestRoundUp(t *testing.T) {
	for v, want := range map[float64]float64{0: 0, 1: 1, 1e-12: 1e-9, 0.1234567891: 0.12345679, 0.999999999999: 1, 0.25: 0.25, 1e-9: 1e-9} {
		if got := roundUp(v); got != want {
			t.Errorf("%v: %v", v, got)
		}
	}
	// A hair above nine digits is rounded up too, though the product does not show it.
	if v := math.Nextafter(85e-9, 1); roundUp(v) < v {
		t.Errorf("%v was rounded down", v)
	}
	if err := quick.Check(func(n uint64) bool {
		v := float64(n>>11) / (1 << 53)
		up := roundUp(v)
		return up >= v && up < v+1.0001e-9
	}, &quick.Config{MaxCount: 100_000}); err != nil {
		t.Error(err)
	}
}

// worked is the processors' time that this process took so far: other than a clock's, it does not go on while the machine is busy with something else.
func worked(t *testing.T) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestQuick holds the price: an audit asks for a handful of bounds.
func TestQuick(t *testing.T) {
	for _, c := range [][3]int64{{1e9, 1e6, 0}, {1e9, 1e6, 1000}, {1e9, 1e6, 5e5}, {1e9, 1e6, 1e6 - 1}, {1e12, 1e7, 5e6}} {
		start := worked(t)
		Hypergeometric(c[0], c[1], c[2], 0.95)
		Binomial(c[1], c[2], 0.95)
		// Milliseconds each; the limit leaves room for a slow machine.
		if took := worked(t) - start; took > 2*time.Second {
			t.Errorf("%v took %v", c, took)
		}
	}
}

func BenchmarkHypergeometric(b *testing.B) {
	for b.Loop() {
		Hypergeometric(1_000_000_000, 1_000_000, 500_000, 0.95)
	}
}

func BenchmarkBinomial(b *testing.B) {
	for b.Loop() {
		Binomial(10_000_000, 5_000_000, 0.95)
	}
}
