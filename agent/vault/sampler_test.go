package vault

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestSampler draws from populations of different kinds, many times: the share is met on the average, each part has the same chance a byte, and no draw is far off.
func TestSampler(t *testing.T) {
	equal := func(n int, size int64) []int64 {
		out := make([]int64, n)
		for i := range out {
			out[i] = size
		}
		return out
	}
	mixed := equal(2000, 10_000)
	for i := range mixed {
		mixed[i] = 1 + int64(i*i%70_000)
	}
	huge := append(equal(500, 10_000), 5_000_000, 20_000_000)
	for _, tt := range []struct {
		name  string
		r     ReadBack
		sizes []int64
		want  float64 // share
		slack float64 // of one draw, in bytes
	}{
		{"a share", ReadBack{Share: 0.05, Run: 100_000}, equal(2000, 10_000), 0.05, 100_000},
		{"the least", ReadBack{Share: 0.05, Least: 4_000_000, Run: 100_000}, equal(2000, 10_000), 0.2, 100_000},
		{"a run is more than the share", ReadBack{Share: 0.01, Run: 1 << 30}, equal(2000, 10_000), 0.01, 100_000},
		{"sizes differ", ReadBack{Share: 0.1, Run: 300_000}, mixed, 0.1, 500_000},
		{"one is large", ReadBack{Share: 0.1, Run: 100_000}, huge, 0.1, math.Inf(1)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.r = tt.r.defaults()
			rng := rand.New(rand.NewPCG(1, 2))
			var total int64
			for _, n := range tt.sizes {
				total += n
			}
			const draws = 4000
			var sum float64
			hits := make([]int, len(tt.sizes))
			for range draws {
				s := newSamplerWith(tt.r, total, rng.Float64)
				var got int64
				for i, n := range tt.sizes {
					if s.take(n, true) {
						got += n
						hits[i]++
					}
				}
				sum += float64(got)
				if d := math.Abs(float64(got) - tt.want*float64(total)); d > tt.slack {
					t.Fatalf("a draw took %d of %d bytes, want %.3f", got, total, tt.want)
				}
			}
			if share := sum / draws / float64(total); share < tt.want*0.98 || share > tt.want*1.35 {
				t.Errorf("took %.4f on the average, want %.4f", share, tt.want)
			}
			for i, n := range hits {
				if n == 0 {
					t.Fatalf("part %d of %d bytes was never taken", i, tt.sizes[i])
				}
			}
		})
	}
}

// TestSamplerAll takes everything where there is less than the least, and nothing that can't be read.
func TestSamplerAll(t *testing.T) {
	s := newSampler(AutoReadBack().defaults(), 1<<30)
	if !s.take(1<<30, true) || s.take(1, false) {
		t.Error("not all was taken")
	}
	s = newSampler(ReadBack{Share: 1}.defaults(), 100)
	for range 10 {
		if !s.take(10, true) {
			t.Error("not all was taken")
		}
	}
}
