package vault

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"farshore/agent/record"
)

// randomRanges covers all paths with ranges of random stacks.
func randomRanges(rng *rand.Rand) []record.RootRange {
	out := make([]record.RootRange, 1+rng.IntN(40))
	for i := range out {
		if i > 0 {
			out[i].From = fmt.Sprintf("%04d", i)
			out[i-1].To = out[i].From
		}
		for k := range rng.IntN(record.MaxStack) {
			s := record.Stacked{Records: rng.IntN(10)}
			if rng.IntN(3) == 0 {
				s.Records = rng.IntN(segmentRecords)
			}
			s.Name[0], s.Name[1] = byte(i), byte(k)
			out[i].Segments = append(out[i].Segments, s)
		}
		if n := len(out[i].Segments); n > 0 {
			out[i].Segments[n-1].Base = rng.IntN(10) > 0
		}
		for k := range rng.IntN(3) {
			out[i].Splits = append(out[i].Splits, fmt.Sprintf("%04d/%d", i, k))
		}
	}
	return out
}

// TestPlanCoversAll holds that spans take each range once, in order, and that a range with a long stack, or without a base, is never pushed upon.
func TestPlanCoversAll(t *testing.T) {
	for seed := range uint64(2000) {
		ranges := randomRanges(rand.New(rand.NewPCG(seed, 2)))
		spans := plan(ranges)
		i := 0
		for _, s := range spans {
			if s.From != ranges[i].From || s.To != ranges[i+len(s.ranges)-1].To {
				t.Fatalf("seed %d: span from %q to %q begins at range %d", seed, s.From, s.To, i)
			}
			records := 0
			for _, r := range s.ranges {
				if r.From != ranges[i].From {
					t.Fatalf("seed %d: range %d is missing or out of order", seed, i)
				}
				records += count(r)
				i++
			}
			if n := len(s.ranges); n > 1 && (s.mode != rewrite || records > segmentRecords || n < 3) {
				t.Errorf("seed %d: %d ranges with %d records in one span, mode %d", seed, n, records, s.mode)
			}
			checkMode(t, seed, s)
			for k, split := range s.Splits {
				if split <= s.From || s.To != "" && split >= s.To || k > 0 && split <= s.Splits[k-1] {
					t.Errorf("seed %d: split %q of the span from %q to %q", seed, split, s.From, s.To)
				}
			}
		}
		if i != len(ranges) {
			t.Errorf("seed %d: %d of %d ranges are in spans", seed, i, len(ranges))
		}
	}
}

func checkMode(t *testing.T, seed uint64, s *Span) {
	t.Helper()
	if len(s.ranges) > 1 {
		return
	}
	stack := s.ranges[0].Segments
	based := len(stack) > 0 && stack[len(stack)-1].Base
	if s.mode == push && (!based || len(stack) >= record.MaxStack) || s.mode == squash && !based {
		t.Errorf("seed %d: mode %d for a stack of %d, base %v", seed, s.mode, len(stack), based)
	}
}

// TestWritingStaysCheap follows one range through many passes of random sizes of change: its stack stays short, and each change is written a bounded number of times.
func TestWritingStaysCheap(t *testing.T) {
	for _, share := range []float64{0, 0.0001, 0.001, 0.01, 0.1, 1} {
		rng := rand.New(rand.NewPCG(uint64(share*1e6), 3))
		const size = 100_000
		var splits []string
		for i := 1; i < size/SplitEvery; i++ {
			splits = append(splits, fmt.Sprintf("%04d", i))
		}
		r := record.RootRange{Splits: splits, Segments: []record.Stacked{{Records: size, Base: true}}}
		changed, written, longest := 0, 0, 0
		for range 2000 {
			n := rng.IntN(int(2*share*size) + 1)
			changed += n
			above := 0
			for _, s := range r.Segments[:len(r.Segments)-1] {
				above += s.Records
			}
			switch stackMode(r) {
			case rewrite:
				written += size
				r.Segments = []record.Stacked{{Records: size, Base: true}}
			case squash:
				written += above + n
				r.Segments = []record.Stacked{{Records: above + n}, {Records: size, Base: true}}
			case push:
				written += n
				if n > 0 {
					r.Segments = append([]record.Stacked{{Records: n}}, r.Segments...)
				}
			}
			longest = max(longest, len(r.Segments))
		}
		t.Logf("%v of the range a pass: %d records changed, %.1f times as many written, longest stack %d", share, changed, float64(written)/float64(max(1, changed)), longest)
		if longest > record.MaxStack {
			t.Errorf("%v of the range a pass: a stack of %d", share, longest)
		}
		if changed > 0 && written > 200*changed {
			t.Errorf("%v of the range a pass: %d records written for %d changed", share, written, changed)
		}
	}
}

// TestAfter holds the end of a prefix's range.
func TestAfter(t *testing.T) {
	for prefix, want := range map[string]string{"": "", "a": "b", "a\xff": "b", "\xff": "", "\xff\xff": "", "a\xff\xff": "b", "a\x00": "a\x01", "dir/": "dir0"} {
		if got := After(prefix); got != want {
			t.Errorf("After(%q) = %q, want %q", prefix, got, want)
		}
	}
}
