package metrics

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"
)

// shown is what a scrape of the board shows.
func shown(t *testing.T, b *Board) string {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	if err := r.Register(b); err != nil {
		t.Fatal(err)
	}
	found, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, f := range found {
		if _, err := expfmt.MetricFamilyToText(&out, f); err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

func put(t *testing.T, b *Board, s *Set, sources ...string) {
	t.Helper()
	if err := b.Update(s, sources); err != nil {
		t.Fatal(err)
	}
}

// TestBoard holds a board to what Update does with a file: the same sets one after the other show the same numbers.
func TestBoard(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f.prom")
	b := new(Board)
	if got := shown(t, b); got != "" {
		t.Errorf("an empty board shows\n%s", got)
	}
	shop := new(Set)
	shop.Replace(Pass, "shop")
	shop.Put("farshore_pass_success", 0, "shop")
	odd := new(Set)
	odd.Put("farshore_audit_verdict", 1, "a\xff")
	odd.Put("farshore_audit_verdict", 2, "a?")
	for i, k := range []struct {
		set     *Set
		sources []string
	}{{whole(), []string{"shop", "logs"}}, {shop, []string{"shop", "logs"}}, {odd, []string{"shop", "logs"}}, {new(Set), []string{"logs"}}} {
		file := update(t, path, k.set, k.sources...)
		put(t, b, k.set, k.sources...)
		other := new(Board)
		if err := other.Load(path); err != nil {
			t.Fatal(err)
		}
		if got, want := shown(t, b), shown(t, other); got != want || strings.Count(got, "\n") != strings.Count(file, "\n") {
			t.Errorf("step %d: the board shows\n%s\nthe file has\n%s", i, got, file)
		}
	}
	if got := shown(t, b); strings.Contains(got, "shop") || !strings.Contains(got, `farshore_pass_success{source="logs"} 1`) || !strings.Contains(got, `farshore_audit_verdict{verdict="a?"} 2`) {
		t.Error(got)
	}
	wrong := new(Set)
	wrong.Put("farshore_pass_success", 1)
	before := shown(t, b)
	if err := b.Update(wrong, []string{"logs"}); err == nil || shown(t, b) != before {
		t.Error("a set with wrong labels changed the board, or was taken")
	}
	if problems, err := testutil.CollectAndLint(b); err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
}

// TestKept holds that numbers survive a restart, and that a file that is not this program's is none.
func TestKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "metrics.prom")
	b, again := new(Board), new(Board)
	put(t, b, whole(), "shop", "logs")
	for range 2 {
		if err := b.Save(t.Context(), path); err != nil {
			t.Fatal(err)
		}
	}
	if err := again.Load(path); err != nil || shown(t, again) != shown(t, b) || shown(t, b) == "" {
		t.Error(err)
	}
	for name, content := range map[string]string{"torn": "farshore_pass_success{", "twice": strings.Repeat("farshore_audit_success 1\n", 2), "huge": strings.Repeat("#", maxFile+1), "label": "farshore_build_info{version=\"\xff\"} 1\n"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := again.Load(path); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		shown(t, again)
	}
	if err := again.Load(filepath.Join(t.TempDir(), "none")); err != nil || shown(t, again) != "" {
		t.Error("numbers of a file that is not there", err)
	}
	if err := again.Load(filepath.Dir(path)); err == nil {
		t.Error("a directory was read")
	}
	if err := b.Save(t.Context(), filepath.Join(t.TempDir(), "none", "f")); err == nil {
		t.Error("a directory was made")
	}
}

// TestManySides updates, scrapes and saves at once.
func TestManySides(t *testing.T) {
	path := filepath.Join(t.TempDir(), "metrics.prom")
	b := new(Board)
	var names []string
	for i := range 8 {
		names = append(names, fmt.Sprint("s", i))
	}
	var all sync.WaitGroup
	for _, name := range names {
		all.Go(func() {
			s := new(Set)
			s.Replace(Pass, name)
			s.Put("farshore_pass_success", 1, name)
			if err := b.Update(s, names); err != nil {
				t.Error(err)
			}
		})
		all.Go(func() { testutil.CollectAndCount(b) })
	}
	all.Go(func() {
		if err := b.Save(t.Context(), path); err != nil {
			t.Error(err)
		}
	})
	all.Wait()
	if n := testutil.CollectAndCount(b, "farshore_pass_success"); n != len(names) {
		t.Errorf("%d sources", n)
	}
}
