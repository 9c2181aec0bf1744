package restore

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestAncestorsAgainstAllPairs compares with looking at all pairs of paths.
func TestAncestorsAgainstAllPairs(t *testing.T) {
	const letters = "a!/-0b"
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		var paths []string
		for range 1 + rng.IntN(30) {
			b := make([]byte, 1+rng.IntN(6))
			for i := range b {
				b[i] = letters[rng.IntN(len(letters))]
			}
			paths = append(paths, string(b))
		}
		slices.Sort(paths)
		paths = slices.Compact(paths)
		var a ancestors
		for i, path := range paths {
			want := false
			for _, up := range paths[:i] {
				want = want || strings.HasPrefix(path, up+"/")
			}
			if got := a.below(path); got != want {
				t.Fatalf("%q of %q: %v, want %v", path, paths, got, want)
			}
			if len(a) > len(path) {
				t.Fatalf("%d ancestors are kept of %q", len(a), path)
			}
		}
	}
}
