package pack

import "testing"

func TestPaddedExamples(t *testing.T) {
	// The table of docs/format.md, section 4.2, and its neighbours.
	for _, c := range []struct{ n, want int64 }{
		{0, 64}, {17, 64}, {48, 64}, {49, 128}, {63, 128}, {64, 64}, {65, 128},
		{1008, 1024}, {1009, 1088}, {1024, 1024}, {1025, 1088}, {1072, 1088}, {1073, 1152},
		{2032, 2048}, {2033, 2176}, {2047, 2176}, {2048, 2048}, {2049, 2176},
		{1<<24 - 16, 1 << 24}, {1<<24 - 15, 1<<24 + 1<<17}, {1 << 24, 1 << 24}, {1<<24 + 1, 1<<24 + 1<<17},
		{1 << 25, 1 << 25}, {1<<25 - 15, 1<<25 + 1<<18},
	} {
		if got := Padded(c.n); got != c.want {
			t.Errorf("Padded(%d) = %d, want %d", c.n, got, c.want)
		}
	}
}

// lengths yields every n up to 2^17, and the surroundings of every step up to 2^26.
func lengths(yield func(int64)) {
	for n := int64(1); n < 1<<17; n++ {
		yield(n)
	}
	for m := int64(1 << 17); m <= 1<<26; m += step(m) {
		for d := int64(-18); d <= 18; d++ {
			yield(m + d)
		}
	}
}

func TestPaddedProperties(t *testing.T) {
	isPermitted := func(n int64) bool { return n > 0 && n%step(n) == 0 }
	lastN, last := int64(0), int64(0)
	lengths(func(n int64) {
		m := Padded(n)
		switch {
		case !isPermitted(m):
			t.Fatalf("Padded(%d) = %d is not permitted", n, m)
		case Padded(m) != m:
			t.Fatalf("Padded(%d) = %d is padded again to %d", n, m, Padded(m))
		case isPermitted(n) != (m == n):
			t.Fatalf("Padded(%d) = %d, and %d is permitted: %v", n, m, n, isPermitted(n))
		case m != n && m < n+minPadding:
			t.Fatalf("Padded(%d) = %d leaves no room for a padding frame", n, m)
		}
		// No smaller permitted size would have done. Steps are at least 64, so that a candidate lies every 64 bytes.
		for c := (n + minPadding + 63) / 64 * 64; m != n && c < m; c += 64 {
			if isPermitted(c) {
				t.Fatalf("Padded(%d) = %d, but %d is permitted and large enough", n, m, c)
			}
		}
		waste, bound := m-n, int64(79)
		switch {
		case n >= 1<<24:
			bound = (n - 1) / 127
		case n > 1024:
			bound = (n - 1) / 13
		}
		if waste > bound {
			t.Fatalf("Padded(%d) wastes %d bytes, more than %d", n, waste, bound)
		}
		// Never falling, but where a size is permitted as it is and its smaller neighbour has no room for a frame.
		if n > lastN && m < last && m != n {
			t.Fatalf("Padded(%d) = %d is less than Padded(%d) = %d", n, m, lastN, last)
		}
		lastN, last = n, m
	})
}

func TestPermittedSizesAreFew(t *testing.T) {
	seen := map[int64]bool{}
	lengths(func(n int64) { seen[Padded(n)] = true })
	// 16 up to 1,024; 16 for each of 14 powers up to 2^24; 128 for each of two beyond.
	if max := 16 + 16*14 + 128*2 + 2; len(seen) > max {
		t.Errorf("%d different sizes up to 64 MiB, want at most %d", len(seen), max)
	}
}
