package agent_test

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"farshore/agent"
	"farshore/agent/record"
	"farshore/agent/source"
	"farshore/agent/vault"
	"farshore/providers"
	"farshore/providers/mem"
)

// TestClockJumps lets this machine's clock jump: commits never go back in time, and a time finds what it should.
func TestClockJumps(t *testing.T) {
	d := &clocked{Driver: mem.New()}
	r, src := newRigOn(t, d), newFakeSource()
	begin := time.Now().UTC().Truncate(time.Second)
	now := begin
	r.now = func() time.Time { return now }
	d.now = r.now // the store's clock goes with the machine's: nobody else can tell
	var contents []map[string][]byte
	for i, jump := range []time.Duration{0, time.Hour, -30 * time.Minute, -3 * time.Hour, 0, 0, 5 * time.Hour, -time.Second, 2 * time.Second} {
		now = now.Add(jump)
		src.put("a", fmt.Appendf(nil, "pass %d", i))
		r.mustReplicate(src, agent.Options{})
		contents = append(contents, src.copy())
	}
	v := r.open()
	c := r.chain(v)
	for i, k := range c.Commits {
		if i > 0 && !k.Time.After(c.Commits[i-1].Time) {
			t.Errorf("commit %d at %v is not after commit %d at %v", k.Seq, k.Time, k.Seq-1, c.Commits[i-1].Time)
		}
		if i == 0 {
			continue
		}
		diff(t, fmt.Sprintf("as of commit %d", k.Seq), r.contents(v, c.AsOf(k.Time)), contents[i-1])
		if before := c.AsOf(k.Time.Add(-1)); i > 1 && before.Seq >= k.Seq || i == 1 && before != nil {
			t.Errorf("just before commit %d: %+v", k.Seq, before)
		}
	}
	if k := c.AsOf(begin.Add(time.Hour)); k == nil || k.Seq != 3 {
		t.Errorf("an hour after the beginning: %+v, want commit 3", k)
	}
	if k := c.AsOf(begin.Add(1000 * time.Hour)); k != c.Head() {
		t.Errorf("long after: %+v", k)
	}
	if k := c.AsOf(begin.Add(-time.Hour)); k != nil {
		t.Errorf("before the beginning: %+v", k)
	}
}

// clocked is a store with a clock of its own.
type clocked struct {
	*mem.Driver
	now func() time.Time
}

func (c *clocked) Stat(ctx context.Context, name string) (providers.Info, error) {
	info, err := c.Driver.Stat(ctx, name)
	if c.now != nil {
		info.Modified = c.now()
	}
	return info, err
}

// TestStoreClock holds that a clock which is far off the store's is not believed, and that this is said.
func TestStoreClock(t *testing.T) {
	for _, c := range []struct {
		off   time.Duration
		store bool // the store's time is used
	}{{0, false}, {4 * time.Minute, false}, {-4 * time.Minute, false}, {6 * time.Minute, true}, {-6 * time.Minute, true}, {10000 * time.Hour, true}, {-10000 * time.Hour, true}} {
		t.Run(c.off.String(), func(t *testing.T) {
			d := &clocked{Driver: mem.New()}
			r, src := newRigOn(t, d), newFakeSource()
			theirs := time.Now().UTC().Truncate(time.Second)
			d.now = func() time.Time { return theirs }
			r.now = func() time.Time { return theirs.Add(c.off) }
			for i := range 3 {
				if i < 2 { // the last pass changes nothing
					src.put("a", fmt.Append(nil, i))
				}
				sum := r.mustReplicate(src, agent.Options{})
				ours, told := sum.Head.Time.Sub(theirs).Abs(), ""
				for _, f := range sum.Notices {
					if strings.Contains(f.Text, "clock") {
						told = f.Text
					}
				}
				if c.store && (ours > time.Second || !strings.Contains(told, "off the store's; the commit carries the store's time")) {
					t.Errorf("pass %d: committed %v off the store's time; said %q", i, ours, told)
				}
				if !c.store && (ours < c.off.Abs()-time.Second || told != "") {
					t.Errorf("pass %d: committed %v off the store's time, this machine's clock is %v off; said %q", i, ours, c.off, told)
				}
			}
		})
	}
}

// endless is a source of many tiny items that keeps none of them.
type endless struct {
	items    int
	version  string
	listed   func(i int)
	captures atomic.Int64
}

func (e *endless) Place() record.Place {
	return record.Place{Name: "endless", Kind: "mem", Place: "mem://endless"}
}
func (e *endless) Check(context.Context) error { return nil }

func (e *endless) List(ctx context.Context, r source.Range, yield func(source.Entry) error) error {
	for i := range e.items {
		path := fmt.Sprintf("some/where/%09d", i)
		if !r.Contains(path) {
			continue
		}
		if e.listed != nil {
			e.listed(i)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := yield(source.Entry{Path: path, Kind: record.KindObject, Size: 30, Attrs: record.Attrs{"etag": e.version}}); err != nil {
			return err
		}
	}
	return nil
}

func (e *endless) Unchanged(entry source.Entry, last *record.Record) bool {
	return last.State == record.Present && last.Attrs["etag"] == entry.Attrs["etag"]
}

func (e *endless) Capture(ctx context.Context, entry source.Entry, _ *record.Record, sink source.Sink) (*record.Record, error) {
	e.captures.Add(1)
	body := fmt.Sprintf("%s as of %s", entry.Path, e.version)
	part, err := sink.Part(ctx, record.Part{Kind: record.PartContent}, int64(len(body)), strings.NewReader(body))
	return &record.Record{State: record.Present, Attrs: entry.Attrs, Parts: []record.Part{part}}, err
}

// devnull is a store that remembers the small objects and forgets packs at once.
type devnull struct {
	*mem.Driver
	kept atomic.Int64 // bytes
}

func (d *devnull) Create(ctx context.Context, name string, body *io.SectionReader, sum [32]byte) (providers.Info, error) {
	if strings.HasPrefix(name, "packs/") {
		return providers.Info{Name: name, Size: body.Size()}, nil
	}
	d.kept.Add(body.Size())
	return d.Driver.Create(ctx, name, body, sum)
}

// TestMemoryStaysFlat looks at the heap while a pass goes over many items: new, unchanged, and all changed.
func TestMemoryStaysFlat(t *testing.T) {
	items := 80_000
	if long() {
		items = 3_000_000
	}
	store := &devnull{Driver: mem.New()}
	r := newRigOn(t, store)
	src := &endless{items: items, version: "1"}
	base := heap()
	var most atomic.Int64
	src.listed = func(i int) {
		if i%(items/12) == items/24 {
			most.Store(max(most.Load(), heap()-base-store.kept.Load()))
		}
	}
	for _, c := range []struct{ version, what string }{{"1", "new"}, {"1", "unchanged"}, {"2", "changed"}} {
		src.version = c.version
		most.Store(0)
		before := src.captures.Load()
		sum, err := r.replicate(context.Background(), src, agent.Options{})
		must(t, err)
		if n := src.captures.Load() - before; !sum.Complete || (n == 0) != (c.what == "unchanged") || n != 0 && n != int64(items) {
			t.Errorf("%s: %d captures, %+v", c.what, n, sum)
		}
		t.Logf("%s: %d MiB of heap at most, without what the store has", c.what, most.Load()>>20)
		if most.Load() > 120<<20 {
			t.Errorf("%s: %d MiB of heap in use", c.what, most.Load()>>20)
		}
	}
	v := r.open()
	chains, err := v.Chains(context.Background())
	must(t, err)
	n := countRecords(t, v, chains[0].Head())
	if n != items {
		t.Errorf("%d records, want %d", n, items)
	}
	if objects := len(store.Objects()); objects > 60+items/5000 {
		t.Errorf("%d objects beside packs for %d items", objects, items)
	}
}

func countRecords(t *testing.T, v *vault.Vault, k *vault.Commit) (n int) {
	t.Helper()
	snap, err := v.Snapshot(context.Background(), k)
	must(t, err)
	for _, err := range snap.Records(context.Background(), "", "") {
		must(t, err)
		n++
	}
	return n
}

// heap is the number of bytes in use after a collection.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse)
}
