package providers_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"testing"

	"farshore/providers"
	"farshore/providers/mem"
)

// flood is a store in which one name has n versions, of which the oldest is ours, made up while they are listed.
type flood struct {
	*mem.Driver
	n, peak uint64
	upward  bool
}

func (f *flood) OldestFirst() bool { return f.upward }

func (f *flood) OpenVersion(context.Context, string, string, int64, int64) (io.ReadCloser, error) {
	return nil, errors.New("nothing to read")
}

func (f *flood) Versions(_ context.Context, _ string, after providers.Mark, limit int) (page []providers.Version, next providers.Mark, more bool, err error) {
	var at uint64
	if after.ID != "" {
		if _, err := fmt.Sscan(after.ID, &at); err != nil {
			return nil, next, false, err
		}
	}
	for range limit {
		age := at // of a name whose newest has age 0
		if f.upward {
			age = f.n - 1 - at
		}
		page = append(page, providers.Version{Info: providers.Info{Name: "commits/1", Size: int64(age)}, ID: fmt.Sprint("version ", age), Current: age == 0})
		if at++; at == f.n {
			break
		}
	}
	if at%(f.n/4) == 0 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		f.peak = max(f.peak, m.HeapAlloc)
	}
	return page, providers.Mark{Name: "commits/1", ID: fmt.Sprint(at)}, at < f.n, nil
}

// TestFlood holds that a name with a great many versions is counted to the end, its oldest found, and the rest forgotten.
func TestFlood(t *testing.T) {
	for _, upward := range []bool{false, true} {
		f := &flood{Driver: mem.New(), n: 400_000, upward: upward}
		b := providers.New(f, providers.Options{})
		var before runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		names := 0
		for n, err := range b.Names(t.Context(), "", "") {
			if err != nil {
				t.Fatal(err)
			}
			names++
			if n.Versions != int(f.n) || n.ID != fmt.Sprint("version ", f.n-1) || !n.Hidden || len(n.Oldest) != providers.MaxHistory {
				t.Errorf("upward %v: %d versions, the oldest %q, hidden %v, %d remembered", upward, n.Versions, n.ID, n.Hidden, len(n.Oldest))
			}
			for i, v := range n.Oldest {
				if v.ID != fmt.Sprint("version ", int(f.n)-1-i) {
					t.Errorf("upward %v: version %d of the oldest is %q", upward, i, v.ID)
				}
			}
		}
		// All of them would be some 50 MB.
		if grown := int64(f.peak) - int64(before.HeapAlloc); names != 1 || grown > 8<<20 {
			t.Errorf("upward %v: %d names, and %d bytes more in use", upward, names, grown)
		}
	}
}

// TestFloodInMemory does the same with the store of the tests and 10,000 versions.
func TestFloodInMemory(t *testing.T) {
	p := newPast()
	p.mem.Set("commits/0", []byte("before"))
	id := p.mem.Set("commits/1", []byte("ours"))
	for range 10_000 {
		p.mem.Set("commits/1", []byte("junk"))
	}
	p.mem.Set("commits/2", []byte("behind"))
	p.SetListPage(100)
	names, err := p.names(t.Context(), "commits/", "")
	if err != nil || len(names) != 3 {
		t.Fatalf("%d names, %v", len(names), err)
	}
	n := names[1]
	if n.Versions != 10_001 || n.ID != id || cap(n.Oldest) > 2*providers.MaxHistory {
		t.Errorf("%d versions, the oldest %s, room for %d", n.Versions, n.ID, cap(n.Oldest))
	}
	if b, err := p.ReadVersion(t.Context(), "commits/1", n.ID, 100); err != nil || string(b) != "ours" {
		t.Errorf("read %q, %v", b, err)
	}
	count := 0
	for _, err := range p.Versions(t.Context(), "commits/1") {
		if err != nil {
			t.Fatal(err)
		}
		count++
	}
	if count != 10_001 {
		t.Errorf("Versions yields %d", count)
	}
}
