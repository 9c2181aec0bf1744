package state

import (
	"testing"
)

// benchChunks is how many chunks the store has for the look-ups.
const benchChunks = 1_000_000

func benchStore(b *testing.B) *Store {
	b.Helper()
	s := open(b, b.TempDir())
	for i := 0; i < benchChunks; i += 10000 {
		if err := s.AddPack(domainA, numbered(i, 10000), true); err != nil {
			b.Fatal(err)
		}
	}
	return s
}

// BenchmarkLookup looks for chunks in an index of a million: what a first pass (miss) and a later one (hit) do for each chunk.
func BenchmarkLookup(b *testing.B) {
	s := benchStore(b)
	for _, c := range []struct {
		name  string
		first int
		found bool
	}{{"miss", benchChunks, false}, {"hit", 0, true}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				n = (n + 7919) % benchChunks
				if _, found, err := s.Lookup(domainA, chunkName(c.first+n)); err != nil || found != c.found {
					b.Fatal(found, err)
				}
			}
		})
	}
}

// BenchmarkAddPack adds packs of 32 new chunks, as large items give, and of 10,000, as small ones do.
func BenchmarkAddPack(b *testing.B) {
	for name, chunks := range map[string]int{"32": 32, "10000": 10000} {
		b.Run(name, func(b *testing.B) {
			s := open(b, b.TempDir())
			n := 0
			for b.Loop() {
				if err := s.AddPack(domainA, numbered(n, chunks), false); err != nil {
					b.Fatal(err)
				}
				n += chunks
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*chunks), "ns/chunk")
		})
	}
}
