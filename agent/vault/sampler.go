package vault

import "math/rand/v2"

// sampler chooses which parts are read back: runs of neighbours, spread evenly over the bytes of all from a random beginning on, which is systematic sampling. A part that is
// larger than a run is taken whole, with a chance that makes the share right on the average; where it is left, the parts behind it are taken in its place.
type sampler struct {
	all      bool
	run      float64 // bytes of a run
	interval float64 // bytes from one run's beginning to the next one's
	next     float64 // where the next run begins
	at       float64 // bytes that were offered so far
	owed     float64 // bytes of the runs so far that were not taken; negative: what was taken beyond them
	chance   func() float64
}

// newSampler plans for so many bytes.
func newSampler(r ReadBack, total int64) *sampler { return newSamplerWith(r, total, rand.Float64) }

// newSamplerWith takes its chances from a function that returns numbers from 0 to 1, excluded.
func newSamplerWith(r ReadBack, total int64, chance func() float64) *sampler {
	want := max(r.Share*float64(total), float64(r.Least))
	s := &sampler{run: float64(r.Run), chance: chance}
	if want >= float64(total) {
		s.all = true
		return s
	}
	if s.run > want {
		s.run = want
	}
	runs := want / s.run
	if whole := float64(int64(runs)); whole < runs {
		runs = whole + 1
	}
	s.interval = float64(total) / runs
	s.next = s.chance() * s.interval
	s.owed = max(0, s.next+s.run-s.interval) // the last run goes on at the beginning
	return s
}

// take says whether the next part, of size bytes, is read. One that can't be counts as offered all the same.
func (s *sampler) take(size int64, can bool) bool {
	if s.all {
		return can
	}
	n := float64(size)
	s.at += n
	for s.next < s.at {
		s.owed += s.run
		s.next += s.interval
	}
	if !can || s.owed <= 0 {
		return false
	}
	if n <= s.run {
		s.owed -= n // what is too much is taken from the next run
		return true
	}
	if n > s.owed && s.chance()*n >= s.owed {
		return false
	}
	s.owed = max(0, s.owed-n)
	return true
}
