package bound

import (
	"fmt"
	"math"
	"math/big"
	"testing"
)

// TestSmallPopulations holds the bound against whole numbers, for every population up to 60, every sample of it and every number of bad ones: it is the largest number that is
// possible, and over all samples it holds as often as it says.
func TestSmallPopulations(t *testing.T) {
	for _, level := range []struct {
		confidence float64
		one        uint64 // 1 / (1 - confidence)
	}{{0.95, 20}, {0.99, 100}} {
		for N := 1; N <= 60; N++ {
			for n := 1; n <= N; n++ {
				small(t, N, n, level.confidence, level.one)
			}
		}
	}
}

var pascal = func() (c [61][61]uint64) {
	for n := range c {
		c[n][0] = 1
		for k := 1; k <= n; k++ {
			c[n][k] = c[n-1][k-1] + c[n-1][k]
		}
	}
	return c
}()

// ways is in how many samples of n from N with M bad ones x are bad.
func ways(N, n, M, x int) uint64 {
	if x > M || x > n || n-x > N-M {
		return 0
	}
	return pascal[M][x] * pascal[N-M][n-x]
}

func small(t *testing.T, N, n int, confidence float64, one uint64) {
	t.Helper()
	upper := make([]int, n+1)
	for k := range upper {
		upper[k] = int(math.Round(Hypergeometric(int64(N), int64(n), int64(k), confidence) * float64(N)))
	}
	all := pascal[N][n]
	for M := range N + 1 {
		var tail, missed uint64
		for k := range n + 1 {
			tail += ways(N, n, M, k)
			if M < k || N-M < n-k {
				continue // k can't be seen
			}
			// Where the tail is the limit exactly, either is right: the bound takes the larger.
			if possible := tail*one >= all; possible && upper[k] < M || !possible && upper[k] >= M {
				t.Fatalf("N %d, n %d, k %d: the bound is %d, and %d is possible: %v", N, n, k, upper[k], M, possible)
			}
			if M > upper[k] {
				missed += ways(N, n, M, k)
			}
		}
		if missed*one > all {
			t.Fatalf("N %d, n %d: with %d bad the bound is wrong in %d of %d samples", N, n, M, missed, all)
		}
	}
}

// TestLargePopulations holds the tails against exact arithmetic where the logarithms of factorials would lose digits.
func TestLargePopulations(t *testing.T) {
	for _, c := range []struct{ N, n, k int64 }{
		{10_000, 294, 0}, {1_000_000, 1000, 2}, {1_000_000_000, 1_000_000, 0}, {1_000_000_000, 1_000_000, 3}, {1_000_000_000, 2000, 5}, {1_000_000_000_000, 1_000_000, 1},
	} {
		t.Run(fmt.Sprint(c.N, c.n, c.k), func(t *testing.T) {
			M := int64(math.Round(Hypergeometric(c.N, c.n, c.k, 0.95) * float64(c.N)))
			if at, above := exactTail(c.N, M, c.n, c.k), exactTail(c.N, M+1, c.n, c.k); at < 0.05*(1-2*tolerance) || above > 0.05*(1+2*tolerance) {
				t.Errorf("%d are possible with probability %v, %d with %v", M, at, M+1, above)
			}
			if got, want := math.Exp(hyperTail(c.N, M, c.n, c.k)), exactTail(c.N, M, c.n, c.k); !near(got, want, 10) {
				t.Errorf("the tail is %v, exactly %v", got, want)
			}
		})
	}
}

// exactTail sums the tail with 300 bits: no bad one is drawn with probability C(N-M, n) / C(N, n), a product over the smaller of M and n, and each term comes of the one before.
func exactTail(N, M, n, k int64) float64 {
	number := func(v int64) *big.Float { return new(big.Float).SetPrec(300).SetInt64(v) }
	term := number(1)
	few, many := min(M, n), max(M, n)
	for i := range few {
		term.Mul(term, number(N-many-i))
		term.Quo(term, number(N-i))
	}
	sum := new(big.Float).Copy(term)
	for x := range k {
		term.Mul(term, number(M-x))
		term.Mul(term, number(n-x))
		term.Quo(term, number(x+1))
		term.Quo(term, number(N-M-n+x+1))
		sum.Add(sum, term)
	}
	v, _ := sum.Float64()
	return v
}
