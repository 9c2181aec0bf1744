package census

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"flag"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"farshore/agent/internal/vast"
	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/vault"
	"farshore/providers"
)

// endless makes up a vault's commits as they are asked for: of the packs 0 to n-1, so many a commit, each named by two commits.
type endless struct {
	*fake
	each int64
	base uint64

	mu    sync.Mutex
	reads int
	most  uint64 // live bytes on the heap, above base, at the most
}

// newEndless returns one that names so many packs.
func newEndless(packs, each int64) *endless {
	f := &endless{fake: newFake(), each: each}
	for _, id := range []string{"1", "2"} {
		c := f.chain(id)
		for range packs / each {
			f.commit(c, nil, nil)
		}
	}
	f.base = live()
	return f
}

func (f *endless) Added(_ context.Context, c *vault.Commit) (packs, meta []record.Ref, err error) {
	packs = make([]record.Ref, f.each)
	for i := range packs {
		n := (c.Seq-1)*f.each + int64(i)
		packs[i] = record.Ref{Name: sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(n))), Size: n % 1000}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.reads++; f.reads%1000 == 0 {
		f.look()
	}
	return packs, nil, nil
}

// look notes how much is live.
func (f *endless) look() {
	if now := live(); now > f.base {
		f.most = max(f.most, now-f.base)
	}
}

// live is how many bytes on the heap something refers to.
func live() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// large takes a census of so many packs, goes over it, and says how much memory and disk that took.
func (f *endless) large(t testing.TB, packs, memory int64) (peak uint64, disk int64) {
	t.Helper()
	dir := t.TempDir()
	c, err := take(t.Context(), f, counting(f.chains), Options{Dir: dir, Memory: memory})
	must(t, err)
	defer c.Close()
	f.look()
	var last Object
	n, bytes := int64(0), int64(0)
	for o, err := range c.Objects(t.Context()) {
		must(t, err)
		if n > 0 && Compare(last, o) >= 0 || o.Chain != 0 {
			t.Fatalf("%v behind %v", o, last)
		}
		if last, n, bytes = o, n+1, bytes+o.Size; n%500_000 == 0 {
			f.look()
		}
	}
	if p := c.Population(); n != packs || p.Packs != packs || p.PackBytes != bytes || c.Disputed() != 0 {
		t.Errorf("%d objects, %+v", n, p)
	}
	must(t, filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			info, ierr := d.Info()
			must(t, ierr)
			disk += info.Size()
		}
		return err
	}))
	return f.most, disk
}

// TestLarge takes two million names of a million objects in little memory.
func TestLarge(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	const packs, memory = 1_000_000, 8 << 20
	peak, disk := newEndless(packs, 500).large(t, packs, memory)
	t.Logf("at most %d KiB live, %d bytes of scratch", peak>>10, disk)
	if peak > memory*5/4 || disk != packs*entrySize {
		t.Errorf("at most %d bytes live of the %d allowed; %d bytes of scratch", peak, memory, disk)
	}
}

// TestVast holds the vault that the benchmarks make up to what a census finds of it, with versions and without.
func TestVast(t *testing.T) {
	s, err := vast.New(t.Context(), 20_000, 300)
	must(t, err)
	for _, s.Versioned = range []bool{false, true} {
		b := providers.New(s, providers.Options{Attempts: 1})
		owner := s.Owner.Public()
		v, err := vault.Open(t.Context(), b, vault.Options{Owner: &owner})
		must(t, err)
		chains, err := v.Chains(t.Context())
		must(t, err)
		c, err := Take(t.Context(), v, chains, Options{Dir: t.TempDir(), Memory: 1 << 20})
		must(t, err)
		before := b.Stats()
		l, err := inventoryOf(t.Context(), c, b)
		must(t, err)
		sight := map[bool]string{false: "none", true: "seen"}[s.Versioned]
		l.holds(t, "a vault that was made up", report.Inventory{Done: true, Present: 20_002, Versions: sight})
		if p := c.Population(); p.Packs != 20_000 || p.PackBytes != 20_000*vast.PackSize || p.Commits != 67 || c.table.file == nil {
			t.Errorf("%+v", p)
		}
		if lists := b.Stats().Lists - before.Lists; b.Stats().Stats != 0 || lists < 21 || lists > 23 { // two spans of packs, and meta/
			t.Errorf("%d listings, %+v", lists, b.Stats())
		}
		for o, err := range c.Objects(t.Context()) {
			must(t, err)
			body, err := b.ReadAll(t.Context(), o.Path(), 1<<20)
			must(t, err)
			if sha256.Sum256(body) != o.Name || int64(len(body)) != o.Size {
				t.Fatalf("%v has %d bytes, or others", o, len(body))
			}
			if !o.Meta && o.Name[0] > 3 {
				break
			}
		}
		must(t, c.Close())
	}
}

var huge = flag.Bool("huge", false, "BenchmarkHuge: twenty million names of ten million objects")

// BenchmarkHuge needs 1.6 GB of disk.
func BenchmarkHuge(b *testing.B) {
	if !*huge {
		b.Skip("with -huge")
	}
	const packs = 10_000_000
	for b.Loop() {
		peak, disk := newEndless(packs, 1000).large(b, packs, 0)
		b.ReportMetric(float64(peak)/(1<<20), "MiB-live")
		b.ReportMetric(float64(disk)/packs, "disk-B/object")
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)*1e9/packs/2, "ns/name")
}
