package census

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"farshore/agent/internal/vast"
	"farshore/agent/report"
	"farshore/agent/vault"
	"farshore/providers"
)

// BenchmarkMillion takes the census and the inventory of a vault of a million packs in five thousand commits, on a store that answers at once: what is left is the requests, and
// what they cost here. The commits are read twice, once to check their chain, which is counted apart.
func BenchmarkMillion(b *testing.B) {
	const packs = 1_000_000
	s, err := vast.New(b.Context(), packs, 200)
	must(b, err)
	for _, versioned := range []bool{false, true} {
		b.Run(fmt.Sprintf("versions=%v", versioned), func(b *testing.B) {
			s.Versioned = versioned
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				bucket := providers.New(s, providers.Options{})
				owner := s.Owner.Public()
				v, err := vault.Open(b.Context(), bucket, vault.Options{Owner: &owner})
				must(b, err)
				chains, err := v.Chains(b.Context())
				must(b, err)
				before, base := bucket.Stats(), live()
				spent := cpu()
				b.StartTimer()
				c, err := Take(b.Context(), v, chains, Options{Dir: b.TempDir()})
				must(b, err)
				taken, halfway := bucket.Stats(), cpu()
				l, err := c.Inventory(b.Context(), bucket, func(Sighting) error { return nil })
				must(b, err)
				b.StopTimer()
				end := cpu()
				held := live() - base
				listed := bucket.Stats()
				must(b, c.Close())
				want := report.Inventory{Done: true, Present: packs + 2, Versions: string(providers.SightNone)}
				if versioned {
					want.Versions = string(providers.SightSeen)
				}
				if l != want {
					b.Fatalf("%+v", l)
				}
				b.ReportMetric(float64(taken.Requests()-before.Requests()), "requests-census")
				b.ReportMetric(float64(taken.Received-before.Received)/1e6, "MB-census")
				b.ReportMetric(float64(listed.Requests()-taken.Requests()), "requests-listing")
				b.ReportMetric((halfway - spent).Seconds(), "CPU-s-census")
				b.ReportMetric((end - halfway).Seconds(), "CPU-s-listing")
				b.ReportMetric(float64(held)/(1<<20), "MiB-held")
				b.StartTimer()
			}
		})
	}
}

// cpu is the time that all of this process's processors have spent.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
