package audit

import (
	"runtime"
	"testing"
	"time"

	"farshore/agent/internal/vast"
	"farshore/agent/report"
	"farshore/agent/vault"
	"farshore/providers"
)

// BenchmarkCost audits a vault of a million packs with a budget of 1 % of what is stored: how many requests of each kind that takes, and how much memory. Packs have 64 bytes in place
// of 32 MiB, which changes neither.
func BenchmarkCost(b *testing.B) {
	const packs = 1_000_000
	s, err := vast.New(b.Context(), packs, 200)
	must(b, err)
	s.Versioned = true
	bucket := providers.New(s, providers.Options{})
	owner := s.Owner.Public()
	for b.Loop() {
		v, err := vault.Open(b.Context(), bucket, vault.Options{Owner: &owner})
		must(b, err)
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		before, most := bucket.Stats(), m.HeapAlloc
		done := make(chan struct{})
		go watch(done, &most)
		res, err := Run(b.Context(), v, Options{Key: &s.Agent, Bytes: packs * vast.PackSize / 100, Coverage: 100 * 24 * time.Hour, Every: 24 * time.Hour, Scratch: b.TempDir()})
		close(done)
		must(b, err)
		a, after := res.Audit, bucket.Stats()
		if a.End != report.EndDone || a.Inventory.Missing != 0 || len(a.Damaged) != 0 || a.Inventory.Present != packs+2 {
			b.Fatalf("%+v, %+v, %+v", a.End, a.Inventory, a.Damaged)
		}
		checked := int64(0)
		for _, p := range a.Parts {
			checked += p.Checked
		}
		b.ReportMetric(float64(checked), "objects-drawn")
		b.ReportMetric(float64(after.Opens-before.Opens), "opens")
		b.ReportMetric(float64(after.Lists-before.Lists), "lists")
		b.ReportMetric(float64(after.Stats-before.Stats), "stats")
		b.ReportMetric(float64(after.Creates-before.Creates), "creates")
		b.ReportMetric(float64(len(res.Stored)), "B-report")
		b.ReportMetric(float64(most-m.HeapAlloc)/(1<<20), "MiB-heap") // garbage included; the store itself is not
	}
}

// watch notes how large the heap becomes.
func watch(done <-chan struct{}, most *uint64) {
	for tick := time.NewTicker(50 * time.Millisecond); ; {
		select {
		case <-done:
			tick.Stop()
			return
		case <-tick.C:
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			*most = max(*most, m.HeapAlloc)
		}
	}
}
