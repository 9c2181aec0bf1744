// Package bound is the arithmetic of sampling: how large a share may be damaged where so many of a sample were, how probable it is that a sample meets damage, and how
// large a sample has to be. The bounds are exact: tails of the distributions are summed, never approximated by a normal or a Poisson one. It is pure.
package bound

import (
	"math"
	"sort"

	"farshore/agent/report"
)

// tolerance is by how much, relatively, a tail's probability may be off for the arithmetic of floating point: where a tail is that close to the limit, the bounds take the side
// on which they are too large. It holds for populations up to 1e12, and was measured against rational arithmetic.
const tolerance = 1e-9

// Hypergeometric returns the exact one-sided upper confidence bound on the share of bad ones in a population of N, from 0 to 1, where n were drawn without replacement and k of
// them were bad: the largest share whose probability to show k or fewer is more than 1 - confidence. Whatever the true share, the bound is below it in at most 1 - confidence of
// all samples. With n = N it is k/N. Numbers that contradict each other, an empty sample and a confidence that is not between 0 and 1 give 1: nothing is known.
//
// Source: T. Wright, Exact Confidence Bounds when Sampling from Small Finite Universes, 1991, section 2: the tail is inverted over the number of bad ones.
func Hypergeometric(N, n, k int64, confidence float64) float64 {
	if !valid(n, k, confidence) || n > N {
		return 1
	}
	limit := math.Log1p(-confidence) - tolerance
	// k are bad, and of those not drawn any may be. The tail falls as more are bad.
	undrawn := int(N - n)
	more := sort.Search(undrawn, func(i int) bool { return hyperTail(N, k+int64(i)+1, n, k) <= limit })
	return float64(k+int64(more)) / float64(N)
}

// Binomial is Hypergeometric for draws with replacement, or from a population of unknown size: n draws, of which k were bad.
//
// Source: C. J. Clopper and E. S. Pearson, The use of confidence or fiducial limits illustrated in the case of the binomial, Biometrika 26, 1934. For k = 0 it is
// 1 - (1 - confidence)^(1/n).
func Binomial(n, k int64, confidence float64) float64 {
	if !valid(n, k, confidence) || k == n {
		return 1
	}
	if k == 0 {
		return -math.Expm1(math.Log1p(-confidence) / float64(n))
	}
	limit := math.Log1p(-confidence) - tolerance
	low, high := 0.0, 1.0
	for {
		middle := low + (high-low)/2
		if middle == low || middle == high {
			return high
		}
		if binomialTail(n, k, middle) <= limit {
			high = middle
		} else {
			low = middle
		}
	}
}

// valid reports whether a sample says anything.
func valid(n, k int64, confidence float64) bool {
	return n > 0 && k >= 0 && k <= n && confidence > 0 && confidence < 1
}

// Detection returns the probability that n drawn without replacement from N, of which so many are bad, meet at least one bad one. Numbers beyond N are taken as N, negative
// ones as 0.
func Detection(N, bad, n int64) float64 {
	N = max(N, 0)
	bad, n = clamp(bad, N), clamp(n, N)
	if bad == 0 || n == 0 {
		return 0
	}
	if n > N-bad {
		return 1
	}
	return -math.Expm1(hyperLog(N, bad, n, 0))
}

// SampleSize returns the smallest n with which Detection is at least the confidence, and N where none is: with nothing bad in it, no sample shows that.
func SampleSize(N, bad int64, confidence float64) int64 {
	N = max(N, 0)
	if bad <= 0 || !(confidence < 1) {
		return N
	}
	return int64(sort.Search(int(N), func(n int) bool { return Detection(N, bad, int64(n)) >= confidence }))
}

func clamp(v, most int64) int64 { return min(max(v, 0), most) }

// Of states what a part of the draw says of a population: both bounds, each rounded up to nine digits, and the method. Without replacement and all drawn it is a census; with
// replacement, or from a population of unknown size (0 or less), the binomial bound holds. Of an empty sample the bound is 1.
func Of(unit string, population, sampled, failed int64, replacement bool) report.Bound {
	b := report.Bound{Unit: unit, Population: max(population, 0), Sampled: sampled, Failed: failed}
	upper := func(confidence float64) float64 { return Hypergeometric(population, sampled, failed, confidence) }
	switch {
	case replacement || population <= 0:
		b.Method = report.MethodBinomial
		upper = func(confidence float64) float64 { return Binomial(sampled, failed, confidence) }
	case sampled == population:
		b.Method = report.MethodCensus
	default:
		b.Method = report.MethodHypergeometric
	}
	b.Upper95, b.Upper99 = roundUp(upper(0.95)), roundUp(upper(0.99))
	return b
}

// roundUp returns the least number of nine digits after the point that is not below v, at most 1.
func roundUp(v float64) float64 {
	const scale = 1e9
	n := math.Ceil(v * scale)
	if n/scale < v {
		n++
	}
	return min(n/scale, 1)
}
