package census

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/providers"
	"farshore/providers/mem"
)

// synthetic is a census of so many packs, and a store that has them.
func synthetic(t testing.TB, packs int64) (*Census, *mem.Driver) {
	t.Helper()
	f := newFake()
	d := mem.New()
	var refs []record.Ref
	bodies := map[string]int{}
	for i := range packs {
		p := ref(i, i%50)
		refs = append(refs, p)
		bodies[record.PackName(p.Name)] = int(p.Size)
	}
	for _, name := range slices.Sorted(maps.Keys(bodies)) {
		d.Set(name, make([]byte, bodies[name]))
	}
	f.commit(f.chain("1"), refs, nil)
	return f.take(t, 0), d
}

// TestManyMissing takes inventory of a store that lost much, and of one whose listing has nothing though it has all: requests by name are bounded in both.
func TestManyMissing(t *testing.T) {
	c, d := synthetic(t, 4000)
	b := providers.New(mem.New(), providers.Options{Attempts: 1})
	l, err := inventoryOf(t.Context(), c, b)
	must(t, err)
	if l.Missing != 4000 || l.Present != 0 || !l.Done || len(l.told) != 4000 || b.Stats().Stats < maxAsked || b.Stats().Stats > maxAsked+workers {
		t.Errorf("%+v, %d told, %+v", l.Inventory, len(l.told), b.Stats())
	}
	b = providers.New(forgetful{d, func(string) bool { return true }}, providers.Options{Attempts: 1})
	l, err = inventoryOf(t.Context(), c, b)
	if err == nil || !strings.Contains(err.Error(), "such a listing says nothing") || l.Done || l.Missing != 0 || b.Stats().Stats > maxAsked+workers {
		t.Errorf("%v, %+v, %+v", err, l.Inventory, b.Stats())
	}
}

// TestManyJunk counts every name that is none and tells a bounded number of them.
func TestManyJunk(t *testing.T) {
	c, d := synthetic(t, 10)
	for i := range maxJunk + 500 {
		d.Set(fmt.Sprintf("packs/%05d", i), []byte("x"))
	}
	l, err := inventoryOf(t.Context(), c, providers.New(d, providers.Options{}))
	must(t, err)
	if l.Junk != maxJunk+500 || l.Unnamed != l.Junk || l.UnnamedBytes != l.Junk || len(l.told) != maxJunk || l.Present != 10 {
		t.Errorf("%+v, %d told", l.Inventory, len(l.told))
	}
}

// TestSpans lists a room in any number of spans: together they come to the same numbers and sightings, in the same order, as one listing does.
func TestSpans(t *testing.T) {
	c, d := synthetic(t, 3000)
	r := rand.New(rand.NewPCG(7, 7))
	for o, err := range c.Objects(t.Context()) {
		must(t, err)
		switch r.IntN(20) {
		case 0:
			d.Remove(o.Path())
		case 1:
			d.Set(o.Path(), make([]byte, 99))
		}
	}
	for i := range 200 { // strangers, and names at and around the bounds of spans
		d.Set(record.PackName(ref(int64(10_000+i), 0).Name), []byte("x"))
		for _, form := range []string{"packs/%02x", "packs/%02x/", "packs/%02x/x", "packs/%02x0", "packs/%02X~", "packs/ %02x"} {
			if name := fmt.Sprintf(form, r.IntN(256)); r.IntN(2) == 0 && !strings.HasSuffix(name, "/") {
				d.Set(name, []byte("junk"))
			}
		}
	}
	d.Set("packs/canary/01", nil)
	list := func(objects int64) (report.Inventory, []string) {
		var told []string
		spans := splits("packs/", false, objects)
		n, err := c.list(t.Context(), providers.New(d, providers.Options{}), spans, func(s Sighting) error {
			told = append(told, fmt.Sprint(s.Kind, s.Object, s.Name))
			return nil
		})
		must(t, err)
		return n, told
	}
	want, told := list(0)
	if want.Missing == 0 || want.WrongSize == 0 || want.Unnamed < 200 || want.Junk == 0 || want.Present+want.Missing != 3000 || len(told) < 500 {
		t.Fatalf("%+v, %d told", want, len(told))
	}
	seen := map[int]bool{}
	for objects := int64(1); objects < 1<<24; objects *= 2 {
		seen[len(splits("packs/", false, objects))] = true
		if got, gold := list(objects); got != want || !slices.Equal(gold, told) {
			t.Fatalf("%d spans: %+v, wanted %+v; %d told, wanted %d", len(splits("packs/", false, objects)), got, want, len(gold), len(told))
		}
	}
	if !seen[1] || !seen[2] || !seen[256] || len(seen) != 9 {
		t.Errorf("numbers of spans: %v", seen)
	}
}

// TestListingFails has each request of an inventory fail, and its context end there: the error says so, what was seen is counted, and nothing is called missing for it.
func TestListingFails(t *testing.T) {
	for _, versions := range []bool{false, true} {
		var d providers.Driver = mem.New()
		if versions {
			d = mem.NewVersioned()
		}
		r := newRig(t, d)
		r.passes(2)
		c := r.take()
		for _, ends := range []bool{false, true} {
			for k := 0; ; k++ {
				ctx, cancel := context.WithCancel(t.Context())
				f := &failing{Driver: d, after: k, stop: func() {
					if ends {
						cancel()
					}
				}}
				if h, ok := d.(providers.Historian); ok {
					f.h = h
				}
				l, err := inventoryOf(ctx, c, r.bucket(f))
				cancel()
				if f.calls <= k {
					must(t, err)
					break
				}
				if err == nil || ends && !errors.Is(err, context.Canceled) || l.Done || l.Missing+l.WrongSize+l.Hidden+l.Unnamed != 0 || len(l.told) != 0 {
					t.Fatalf("request %d: %v, %+v", k, err, l)
				}
			}
		}
	}
}

// failing fails each request after so many.
type failing struct {
	providers.Driver
	h     providers.Historian
	after int
	stop  func()

	mu    sync.Mutex
	calls int
}

func (f *failing) Can() (historian, keeper bool) { return f.h != nil, false }

func (f *failing) pass(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.calls++; f.calls <= f.after {
		return nil
	}
	f.stop()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return &providers.Error{Kind: providers.Other, Op: "list", Err: errors.New("broken")}
}

func (f *failing) List(ctx context.Context, prefix, after string, limit int) ([]providers.Info, bool, error) {
	if err := f.pass(ctx); err != nil {
		return nil, false, err
	}
	return f.Driver.List(ctx, prefix, after, limit)
}

func (f *failing) Versions(ctx context.Context, prefix string, after providers.Mark, limit int) ([]providers.Version, providers.Mark, bool, error) {
	if err := f.pass(ctx); err != nil {
		return nil, providers.Mark{}, false, err
	}
	return f.h.Versions(ctx, prefix, after, limit)
}

// TestFnFails has the caller give up at each sighting, with many spans at work: its error is returned and nothing hangs.
func TestFnFails(t *testing.T) {
	c, _ := synthetic(t, 500)
	enough := errors.New("enough")
	b := providers.New(mem.New(), providers.Options{Attempts: 1})
	for _, at := range []int{1, 2, 50, 499, 500} {
		n := 0
		_, err := c.list(t.Context(), b, splits("packs/", false, 1<<30), func(Sighting) error {
			if n++; n == at {
				return enough
			}
			return nil
		})
		if !errors.Is(err, enough) || n != at {
			t.Errorf("at %d: %v, after %d", at, err, n)
		}
	}
	// One span, which waits for what it found to be told, asks for nothing more.
	b = providers.New(mem.New(), providers.Options{Attempts: 1})
	if _, err := c.list(t.Context(), b, splits("packs/", false, 0), func(Sighting) error { return enough }); !errors.Is(err, enough) || b.Stats().Stats > 3*ahead {
		t.Errorf("%v after %+v", err, b.Stats())
	}
}

// TestFlood lays more over and under a name than is remembered.
func TestFlood(t *testing.T) {
	f := newFake()
	f.commit(f.chain("1"), []record.Ref{ref(1, 10), ref(2, 10), ref(3, 10)}, nil)
	c := f.take(t, 0)
	d := mem.NewVersioned()
	under, over, other := record.PackName(ref(1, 0).Name), record.PackName(ref(2, 0).Name), record.PackName(ref(3, 0).Name)
	const flood = providers.MaxHistory + 10
	d.Set(over, make([]byte, 10))
	for i := range flood {
		d.Hide(under)
		d.Set(over, make([]byte, i+11))
		d.Set(other, make([]byte, i+11))
	}
	d.Set(under, make([]byte, 10))
	l, err := inventoryOf(t.Context(), c, providers.New(d, providers.Options{}))
	must(t, err)
	l.holds(t, "a flood", report.Inventory{Done: true, Present: 3, Hidden: 2, WrongSize: 1, ExtraVersions: 2*flood - 1, Markers: flood, Versions: "seen"},
		"extra "+under, "hidden "+over, "size "+other)
}
