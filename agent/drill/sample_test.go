package drill

import (
	"crypto/sha256"
	"fmt"
	"testing"

	"farshore/agent/record"
)

func name(i int) record.Hash { return sha256.Sum256(fmt.Append(nil, i)) }

// TestSample holds that a sample has its size, no name twice, and only names that were offered, in order.
func TestSample(t *testing.T) {
	for _, n := range []int{0, 1, 9, 10, 11, 5000} {
		s := newSample(10)
		for i := range n {
			s.offer(name(i), nil)
			s.offer(name(i%7), nil)
		}
		got := s.sorted()
		if len(got) != min(n, 10) || s.named != 2*int64(n) || len(s.taken) != len(got) {
			t.Errorf("of %d: %d drawn, %d named", n, len(got), s.named)
		}
		for i := 1; i < len(got); i++ {
			if got[i-1].name.String() >= got[i].name.String() {
				t.Errorf("of %d: %s behind %s", n, got[i].name, got[i-1].name)
			}
		}
	}
}

// TestSampleUniform holds that every name is as likely to be drawn, that which comes often too. It errs less than once in 10^9 runs: the counts are binomial with
// a deviation of 27, and 8 of those are allowed.
func TestSampleUniform(t *testing.T) {
	const names, size, rounds = 20, 5, 4000
	count := map[record.Hash]int{}
	for range rounds {
		s := newSample(size)
		for i := range names {
			for range 1 + 50*(i/(names-1)) { // the last one comes 51 times
				s.offer(name(i), nil)
			}
		}
		for _, e := range s.sorted() {
			count[e.name]++
		}
	}
	for i := range names {
		if c := count[name(i)]; c < rounds*size/names-8*28 || c > rounds*size/names+8*28 {
			t.Errorf("name %d was drawn %d times, of %d expected", i, c, rounds*size/names)
		}
	}
}
