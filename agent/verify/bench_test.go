package verify_test

import (
	"runtime"
	"testing"
	"time"

	"farshore/agent/internal/vast"
	"farshore/agent/vault"
	"farshore/agent/verify"
	"farshore/providers"
)

// live is what the heap holds that is no garbage.
func live() int64 {
	runtime.GC()
	runtime.GC() // what finalizers held
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// whole verifies all of a vast vault, and returns how many bytes it held for each object at its end, when nothing of it was given up.
func whole(tb testing.TB, packs int) (perObject float64) {
	tb.Helper()
	s, err := vast.New(tb.Context(), packs, 200)
	must(tb, err)
	owner := s.Owner.Public()
	v, err := vault.Open(tb.Context(), providers.New(s, providers.Options{}), vault.Options{Owner: &owner})
	must(tb, err)
	before := live()
	res, err := verify.Full(tb.Context(), v, verify.Options{})
	must(tb, err)
	held := live() - before
	if !res.OK() || res.Objects != int64(packs)+2 || res.Unreferenced != 0 {
		tb.Fatalf("%+v", res)
	}
	runtime.KeepAlive(res)
	runtime.KeepAlive(s)
	return float64(held) / float64(packs)
}

// TestHeld holds that a verification of everything holds no more of each object than it says.
func TestHeld(t *testing.T) {
	held := whole(t, 40_000)
	t.Logf("%.1f bytes an object", held)
	if held > 64 {
		t.Errorf("%.1f bytes are held for each object", held)
	}
}

// BenchmarkWhole verifies a vault of a million packs whole, without a key, on a store that answers at once.
func BenchmarkWhole(b *testing.B) {
	for b.Loop() {
		start := time.Now()
		b.ReportMetric(whole(b, 1_000_000), "B-held/object")
		b.ReportMetric(time.Since(start).Seconds(), "s")
	}
}
