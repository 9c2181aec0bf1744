package bound

import "math"

// Probabilities are kept as natural logarithms, and of binomial coefficients only small differences ever appear: with the logarithms of factorials themselves, nine digits would
// be lost at a population of 1e9.
//
// Source: C. Loader, Fast and Accurate Computation of Binomial Probabilities, 2000: the saddle-point expansion.

// stirling returns ln(n!) less its approximation by Stirling, sqrt(2πn)(n/e)^n.
func stirling(n float64) float64 {
	if n <= 15 {
		lg, _ := math.Lgamma(n + 1)
		return lg - (n+0.5)*math.Log(n) + n - 0.5*math.Log(2*math.Pi)
	}
	m := n * n
	return (1.0/12 - (1.0/360-(1.0/1260-(1.0/1680-1.0/1188/m)/m)/m)/m) / n
}

// deviance returns x·ln(x/m) + m - x, also where x and m are nearly equal, for x and m above 0.
func deviance(x, m float64) float64 {
	if math.Abs(x-m) >= 0.1*(x+m) {
		return x*math.Log(x/m) + m - x
	}
	v := (x - m) / (x + m)
	s := (x - m) * v
	term := 2 * x * v
	for j := 3.0; ; j += 2 {
		term *= v * v
		next := s + term/j
		if next == s {
			return s
		}
		s = next
	}
}

// binomialLog returns ln of the probability that x of n independent draws are bad, each with probability p; q is 1 - p, and both are above 0. x is from 0 to n.
func binomialLog(x, n, p, q float64) float64 {
	switch {
	case n == 0:
		return 0
	case x == 0:
		return n * logOf(q, p)
	case x == n:
		return n * logOf(p, q)
	}
	d := stirling(n) - stirling(x) - stirling(n-x) - deviance(x, n*p) - deviance(n-x, n*q)
	return d - 0.5*(math.Log(2*math.Pi)+math.Log(x)+math.Log1p(-x/n))
}

// logOf returns ln(p), exactly also where p is near 1; q is 1 - p.
func logOf(p, q float64) float64 {
	if q < 0.5 {
		return math.Log1p(-q)
	}
	return math.Log(p)
}

// hyperLog returns ln of the probability that of n drawn without replacement from N, of which M are bad, x are bad. 0 < n < N, and x is possible.
func hyperLog(N, M, n, x int64) float64 {
	p, q := float64(n)/float64(N), float64(N-n)/float64(N)
	return binomialLog(float64(x), float64(M), p, q) + binomialLog(float64(n-x), float64(N-M), p, q) - binomialLog(float64(n), float64(N), p, q)
}

// hyperTail returns ln of the probability that of n drawn without replacement from N, of which M are bad, k or fewer are bad.
func hyperTail(N, M, n, k int64) float64 {
	least, most := max(0, n+M-N), min(n, M)
	if k >= most {
		return 0
	}
	if k < least {
		return math.Inf(-1)
	}
	// The ratio of the probability of x to that of x+1.
	down := func(x int64) float64 {
		return float64(x+1) / float64(M-x) * (float64(N-M-n+x+1) / float64(n-x))
	}
	if float64(k) < float64(n)*(float64(M)/float64(N)) {
		return hyperLog(N, M, n, k) + math.Log(series(k, least, func(x int64) float64 { return down(x - 1) }, -1))
	}
	above := hyperLog(N, M, n, k+1) + math.Log(series(k+1, most, func(x int64) float64 { return 1 / down(x) }, 1))
	return math.Log1p(-min(math.Exp(above), 1))
}

// binomialTail returns ln of the probability that k or fewer of n draws are bad, each with probability p between 0 and 1; 0 < k < n.
func binomialTail(n, k int64, p float64) float64 {
	odds := p / (1 - p)
	down := func(x int64) float64 { return float64(x+1) / float64(n-x) / odds }
	if float64(k) < float64(n)*p {
		return binomialLog(float64(k), float64(n), p, 1-p) + math.Log(series(k, 0, func(x int64) float64 { return down(x - 1) }, -1))
	}
	above := binomialLog(float64(k+1), float64(n), p, 1-p) + math.Log(series(k+1, n, func(x int64) float64 { return 1 / down(x) }, 1))
	return math.Log1p(-min(math.Exp(above), 1))
}

// series sums the terms from the one at from, which is taken as 1, up to the one at to, in steps of 1 or -1; ratio(x) is the quotient of the next term and the one at x. Terms
// beyond the middle of a distribution fall, so that it ends where they no longer count: after some standard deviations.
func series(from, to int64, ratio func(int64) float64, step int64) float64 {
	sum, term := 1.0, 1.0
	for x := from; x != to; x += step {
		r := ratio(x)
		term *= r
		sum += term
		if r < 1 && term < sum*1e-17*(1-r) {
			break // what is left is less than a geometric series of this ratio
		}
	}
	return sum
}
