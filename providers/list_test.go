package providers_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"farshore/providers"
	"farshore/providers/faults"
	"farshore/providers/mem"
)

// TestList holds paging, order, and that a listing with a hole is never mistaken for one that is complete, as far as it shows.
func TestList(t *testing.T) {
	m := mem.New()
	for i := range 2500 {
		m.Set(fmt.Sprintf("packs/%04d", i), nil)
	}
	m.Set("meta/x", nil)
	tests := map[string]struct {
		after string
		fault *faults.Fault
		want  int
		fails bool
		lists int64
	}{
		"all":        {want: 2500, lists: 3},
		"after":      {after: "packs/2000", want: 499, lists: 1},
		"retried":    {fault: &faults.Fault{At: 2, Action: faults.Before}, want: 2500, lists: 4},
		"disorder":   {fault: &faults.Fault{At: 2, Action: faults.ListDisorder}, want: 1000, fails: true, lists: 2},
		"never":      {fault: &faults.Fault{At: 3, Times: -1, Action: faults.Before}, want: 2000, fails: true, lists: 5},
		"end denied": {fault: &faults.Fault{At: 3, Action: faults.Before, Err: kindFault(providers.Denied)}, want: 2000, fails: true, lists: 3},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := faults.New(m)
				if tt.fault != nil {
					f.Add(*tt.fault)
				}
				b := providers.New(f, providers.Options{Attempts: 3})
				n, failed := 0, false
				for info, err := range b.List(t.Context(), "packs/", tt.after) {
					if failed {
						t.Fatal("it went on after an error")
					}
					if failed = err != nil; failed {
						continue
					}
					if tt.after == "" && info.Name != fmt.Sprintf("packs/%04d", n) {
						t.Fatalf("%s at place %d", info.Name, n)
					}
					n++
				}
				if n != tt.want || failed != tt.fails || b.Stats().Lists != tt.lists {
					t.Errorf("%d objects, failed %v, %d requests; want %d, %v, %d", n, failed, b.Stats().Lists, tt.want, tt.fails, tt.lists)
				}
			})
		})
	}
}

// liar lists what it is told to.
type liar struct {
	*mem.Driver
	names []string
	more  bool
}

func (l liar) List(context.Context, string, string, int) (page []providers.Info, more bool, err error) {
	for _, n := range l.names {
		page = append(page, providers.Info{Name: n})
	}
	return page, l.more, nil
}

func TestWrongLists(t *testing.T) {
	for name, l := range map[string]liar{
		"other prefix": {names: []string{"packs/a", "pbcks/b"}},
		"twice":        {names: []string{"packs/a", "packs/a"}},
		"backwards":    {names: []string{"packs/b", "packs/a"}},
		"before after": {names: []string{"packs/5"}},
		"for ever":     {names: []string{"packs/a"}, more: true},
		"nothing":      {more: true},
	} {
		var last error
		for _, err := range providers.New(l, providers.Options{}).List(t.Context(), "packs/", "packs/5") {
			last = err
		}
		if last == nil || providers.Retryable(last) {
			t.Errorf("%s: error %v, want a lasting one", name, last)
		}
	}
	r := newRig(providers.Options{})
	for _, prefix := range []string{"/", "a//", "../", "a/../b", "a\n"} {
		for _, err := range r.List(t.Context(), prefix, "") {
			if err == nil {
				t.Errorf("prefix %q was listed", prefix)
			}
		}
	}
	if n := r.faults.Ops(); n != 0 {
		t.Errorf("%d operations reached the store", n)
	}
	r.mem.Set("a", nil)
	r.mem.Set("b", nil)
	for range r.List(t.Context(), "", "") {
		break
	}
	if n := r.Stats().Lists; n != 1 {
		t.Errorf("%d requests for a listing that was left", n)
	}
}
