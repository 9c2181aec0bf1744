package providers_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"farshore/providers"
	"farshore/providers/faults"
	"farshore/providers/mem"
)

// past is a Bucket over scripted faults over memory with versions.
type past struct {
	*providers.Bucket
	mem    *mem.Versioned
	faults *faults.Faults
}

func newPast(script ...faults.Fault) past {
	m := mem.NewVersioned()
	f := faults.New(m)
	f.Add(script...)
	return past{providers.New(f, providers.Options{Attempts: 3}), m, f}
}

func (p past) names(ctx context.Context, prefix, after string) (names []providers.Name, err error) {
	for n, err := range p.Names(ctx, prefix, after) {
		if err != nil {
			return names, err
		}
		names = append(names, n)
	}
	return names, nil
}

// model is what a name should look like, told from what was done to it.
type model struct {
	ids     []string // oldest first
	marker  []bool
	content []string
}

func (m *model) check(n providers.Name) error {
	first := slices.Index(m.marker, false)
	versions := 0
	for _, marker := range m.marker {
		if !marker {
			versions++
		}
	}
	if n.Versions != versions || n.Markers != len(m.ids)-versions {
		return fmt.Errorf("%d versions and %d markers, want %d and %d", n.Versions, n.Markers, versions, len(m.ids)-versions)
	}
	var oldest []string
	for _, v := range n.Oldest {
		oldest = append(oldest, v.ID)
	}
	if want := m.ids[:min(len(m.ids), providers.MaxHistory)]; !slices.Equal(oldest, want) {
		return fmt.Errorf("oldest are %q, want %q", oldest, want)
	}
	if first < 0 {
		if n.ID != "" || !n.Hidden || n.Size != 0 {
			return fmt.Errorf("only markers: %+v", n)
		}
		return nil
	}
	if hidden := first < len(m.ids)-1; n.ID != m.ids[first] || n.Size != int64(len(m.content[first])) || n.Hidden != hidden || n.Plain() != (len(m.ids) == 1) {
		return fmt.Errorf("%s of %d bytes, hidden %v, plain %v; want %s of %d, %v", n.ID, n.Size, n.Hidden, n.Plain(), m.ids[first], len(m.content[first]), hidden)
	}
	return nil
}

// TestNames does things at random to a few names and holds Names and History to what was done, with pages of every small size.
func TestNames(t *testing.T) {
	for seed := range uint64(12) {
		r := rand.New(rand.NewPCG(seed, 1))
		p, all := newPast(), map[string]*model{}
		for range r.IntN(200) {
			name := fmt.Sprintf("%s/%d", []string{"a", "b", "b/c", "d"}[r.IntN(4)], []int{0, 1, 2, 11}[r.IntN(4)])
			m := all[name]
			if m == nil {
				m = &model{}
				all[name] = m
			}
			if r.IntN(3) == 0 {
				m.ids, m.marker, m.content = append(m.ids, p.mem.Hide(name)), append(m.marker, true), append(m.content, "")
			} else {
				b := strings.Repeat("x", r.IntN(100))
				m.ids, m.marker, m.content = append(m.ids, p.mem.Set(name, []byte(b))), append(m.marker, false), append(m.content, b)
			}
		}
		for _, size := range []int{1, 2, 3, 7, 1000} {
			p.SetListPage(size)
			for _, prefix := range []string{"", "b/", "b/c/", "e"} {
				for _, after := range []string{"", "a/2", "b/1", "b/12", "z"} {
					want := slices.DeleteFunc(slices.Sorted(maps.Keys(all)), func(n string) bool { return !strings.HasPrefix(n, prefix) || n <= after })
					got, err := p.names(t.Context(), prefix, after)
					if err != nil || len(got) != len(want) {
						t.Fatalf("seed %d, Names(%q, %q) by %d: %d names, %v; want %d", seed, prefix, after, size, len(got), err, len(want))
					}
					for i, n := range got {
						if err := all[want[i]].check(n); err != nil || n.Name != want[i] {
							t.Fatalf("seed %d, Names(%q, %q) by %d: %s for %s: %v", seed, prefix, after, size, n.Name, want[i], err)
						}
					}
				}
			}
			for name, m := range all {
				n, err := p.History(t.Context(), name)
				if err == nil {
					err = m.check(n)
				}
				if err != nil {
					t.Fatalf("seed %d, History(%q) by %d: %v", seed, name, size, err)
				}
			}
		}
	}
}

// TestSight holds what is asked, and what is remembered.
func TestSight(t *testing.T) {
	const look = `versions  after "" "" limit 1`
	tests := map[string]struct {
		script []faults.Fault
		empty  bool
		want   providers.Sight
		kind   providers.Kind
		ops    []string // of two calls
	}{
		"seen":   {want: providers.SightSeen, ops: []string{look + " ok"}},
		"denied": {script: []faults.Fault{{Op: "versions", Action: faults.Before, Err: kindFault(providers.Denied)}}, want: providers.SightDenied, ops: []string{look + " fault before: access denied"}},
		"none":   {script: []faults.Fault{{Op: "versions", Action: faults.Before, Err: kindFault(providers.Unsupported)}}, want: providers.SightNone, ops: []string{look + " fault before: not supported"}},
		"retried": {script: []faults.Fault{{Op: "versions", Action: faults.Before}}, want: providers.SightSeen,
			ops: []string{look + " fault before: temporary failure", look + " ok"}},
		"fails, then seen": {script: []faults.Fault{{Op: "versions", Action: faults.Before, Err: kindFault(providers.Unauthenticated)}}, kind: providers.Unauthenticated,
			ops: []string{look + " fault before: credential not accepted", look + " ok"}},
		"nothing there": {empty: true, want: providers.SightSeen, ops: []string{look + " ok", `list  after "" limit 1 ok`, look + " ok", `list  after "" limit 1 ok`}},
		"created meanwhile": {script: []faults.Fault{{Op: "versions", Action: faults.ListMissing}}, want: providers.SightSeen,
			ops: []string{look + " fault list-missing: ok", `list  after "" limit 1 ok`, look + " ok"}},
		"lists no versions": {script: []faults.Fault{{Op: "versions", Times: 2, Action: faults.ListMissing}, {Op: "versions", Times: 2, Action: faults.ListFalseEnd}}, want: providers.SightNone,
			ops: []string{look + " fault list-missing: ok", `list  after "" limit 1 ok`, look + " fault list-missing: ok", `list  after "" limit 1 ok`}},
	}
	for name, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			p := newPast(tt.script...)
			if !tt.empty {
				p.mem.Set("packs/a", nil)
			}
			got, err := p.Sight(t.Context())
			if got != tt.want || providers.KindOf(err) != tt.kind || (err != nil) != (tt.kind != providers.Other) {
				t.Errorf("%s: %q, %v; want %q", name, got, err, tt.want)
			}
			if again, err := p.Sight(t.Context()); err != nil || tt.want != "" && again != tt.want {
				t.Errorf("%s: then %q, %v", name, again, err)
			}
			for i, op := range p.faults.Transcript() {
				if i >= len(tt.ops) || strings.Join(strings.Fields(op), " ") != strings.Join(strings.Fields(tt.ops[i]), " ") {
					t.Errorf("%s: operations %q, want %q", name, p.faults.Transcript(), tt.ops)
					break
				}
			}
		})
	}
}

// TestWithoutHistory holds that a store without history looks as its plain listing does, and is not asked for more.
func TestWithoutHistory(t *testing.T) {
	plain := newRig(providers.Options{})
	denied := newPast(faults.Fault{Op: "versions", Times: -1, Action: faults.Before, Err: kindFault(providers.Denied)})
	for _, b := range []*providers.Bucket{plain.Bucket, denied.Bucket} {
		for _, name := range []string{"a", "b"} {
			body, sum := section([]byte(name))
			if _, _, err := b.Create(t.Context(), name, body, sum); err != nil {
				t.Fatal(err)
			}
		}
		var names []string
		for n, err := range b.Names(t.Context(), "", "") {
			if err != nil || !n.Plain() || n.ID != "" || len(n.Oldest) != 1 || !n.Oldest[0].Current || n.Size != 1 {
				t.Errorf("%+v, %v", n, err)
			}
			names = append(names, n.Name)
		}
		if !slices.Equal(names, []string{"a", "b"}) {
			t.Errorf("names %q", names)
		}
		if n, err := b.History(t.Context(), "b"); err != nil || !n.Plain() || n.Name != "b" {
			t.Errorf("History: %+v, %v", n, err)
		}
		if _, err := b.History(t.Context(), "c"); providers.KindOf(err) != providers.NotFound {
			t.Errorf("History of nothing: %v", err)
		}
		if got, err := b.ReadVersion(t.Context(), "a", "", 10); err != nil || string(got) != "a" {
			t.Errorf("plain read: %q, %v", got, err)
		}
	}
	if _, err := plain.ReadVersion(t.Context(), "a", "1", 10); providers.KindOf(err) != providers.Unsupported {
		t.Errorf("a version of a store without: %v", err)
	}
	if _, err := plain.Lock(t.Context(), "a", ""); providers.KindOf(err) != providers.Unsupported {
		t.Errorf("a lock of a store without: %v", err)
	}
	if s, err := plain.Settings(t.Context()); err != nil || s.Unknown["all"] == "" || s.Versioning != "" {
		t.Errorf("settings of a store without: %+v, %v", s, err)
	}
	for _, err := range plain.Versions(t.Context(), "a") {
		if providers.KindOf(err) != providers.Unsupported {
			t.Errorf("Versions of a store without: %v", err)
		}
	}
	for _, op := range plain.faults.Transcript() {
		if strings.HasPrefix(op, "versions") || strings.HasPrefix(op, "open-version") {
			t.Errorf("asked a store without history: %s", op)
		}
	}
	if n := len(slices.DeleteFunc(denied.faults.Transcript(), func(op string) bool { return !strings.HasPrefix(op, "versions") })); n != 1 {
		t.Errorf("asked %d times after a refusal", n)
	}
}

// versionLiar lists what it is told to.
type versionLiar struct {
	*mem.Driver
	pages [][]string // names; a star marks the current version
	next  []providers.Mark
	asked int
}

func (l *versionLiar) OpenVersion(context.Context, string, string, int64, int64) (io.ReadCloser, error) {
	return nil, errors.New("nothing to read")
}

func (l *versionLiar) Versions(_ context.Context, _ string, _ providers.Mark, limit int) (page []providers.Version, next providers.Mark, more bool, err error) {
	if limit == 1 {
		return []providers.Version{{Info: providers.Info{Name: "packs/a"}}}, next, false, nil // the look of Sight
	}
	i := l.asked % len(l.pages)
	l.asked++
	for _, name := range l.pages[i] {
		name, current := strings.CutSuffix(name, "*")
		page = append(page, providers.Version{Info: providers.Info{Name: name}, Current: current})
	}
	if len(l.next) == 0 {
		return page, next, false, nil
	}
	return page, l.next[l.asked%len(l.next)], true, nil
}

func TestWrongVersions(t *testing.T) {
	mark := func(name, id string) providers.Mark { return providers.Mark{Name: name, ID: id} }
	for name, l := range map[string]*versionLiar{
		"other prefix":           {pages: [][]string{{"packs/6", "pbcks/b"}}},
		"backwards":              {pages: [][]string{{"packs/7", "packs/6"}}},
		"before after":           {pages: [][]string{{"packs/4"}}},
		"after itself":           {pages: [][]string{{"packs/5"}}},
		"no name":                {pages: [][]string{{""}}},
		"nothing but more":       {pages: [][]string{{}}, next: []providers.Mark{mark("packs/6", "1")}},
		"no further":             {pages: [][]string{{"packs/6"}}, next: []providers.Mark{mark("packs/5", "")}},
		"back":                   {pages: [][]string{{"packs/6"}}, next: []providers.Mark{mark("packs/55", "")}},
		"in a circle":            {pages: [][]string{{"packs/6"}}, next: []providers.Mark{mark("packs/6", "1"), mark("packs/6", "2"), mark("packs/6", "3")}},
		"current behind another": {pages: [][]string{{"packs/6", "packs/6*"}}},
	} {
		l.Driver = mem.New()
		var last error
		for n, err := range providers.New(l, providers.Options{}).Names(t.Context(), "packs/", "packs/5") {
			if last != nil {
				t.Fatalf("%s: it went on after an error", name)
			}
			if last = err; err == nil && n.Name == "packs/6" {
				t.Errorf("%s: the name that was not listed to its end was yielded", name)
			}
		}
		if last == nil || providers.Retryable(last) {
			t.Errorf("%s: error %v, want a lasting one", name, last)
		}
		if pages := map[bool]int{false: 1, true: 8}[name == "in a circle"]; l.asked > pages {
			t.Errorf("%s: seen after %d pages, want %d at most", name, l.asked, pages)
		}
	}
	p := newPast()
	for _, prefix := range []string{"/", "a//", "../", "a\n"} {
		if _, err := p.names(t.Context(), prefix, ""); err == nil {
			t.Errorf("prefix %q was listed", prefix)
		}
	}
	_, err := p.History(t.Context(), "../a")
	_, lockErr := p.Lock(t.Context(), "", "")
	if _, readErr := p.ReadVersion(t.Context(), "a//b", "1", 1); err == nil || lockErr == nil || readErr == nil || p.faults.Ops() != 0 {
		t.Errorf("names that no vault has: %v, %v, %v, %d operations", err, lockErr, readErr, p.faults.Ops())
	}
}

// TestNamesUnderFaults holds that a listing that breaks is gone on with or ends with an error, for a fault at each request.
func TestNamesUnderFaults(t *testing.T) {
	build := func(script ...faults.Fault) past {
		p := newPast(script...)
		for i := range 20 {
			for range i%4 + 1 {
				p.mem.Set(fmt.Sprintf("packs/%02d", i), nil)
			}
		}
		p.SetListPage(7)
		return p
	}
	clean := build()
	want, err := clean.names(t.Context(), "packs/", "")
	if err != nil || len(want) != 20 {
		t.Fatalf("%d names, %v", len(want), err)
	}
	for k := 1; k <= clean.faults.Ops(); k++ {
		for _, action := range []faults.Action{faults.Before, faults.After} {
			synctest.Test(t, func(t *testing.T) {
				got, err := build(faults.Fault{At: k, Times: 2, Action: action}).names(t.Context(), "packs/", "")
				if err != nil || fmt.Sprint(namesOf(got)) != fmt.Sprint(namesOf(want)) {
					t.Errorf("request %d fails %v: %v, %v", k, action, namesOf(got), err)
				}
			})
		}
		synctest.Test(t, func(t *testing.T) {
			got, err := build(faults.Fault{At: k, Times: -1, Action: faults.Before}).names(t.Context(), "packs/", "")
			if providers.KindOf(err) != providers.Temporary {
				t.Errorf("request %d fails for good: %v", k, err)
			}
			if fmt.Sprint(namesOf(got)) != fmt.Sprint(namesOf(want[:len(got)])) {
				t.Errorf("request %d fails for good: %v", k, namesOf(got))
			}
		})
	}
}

func namesOf(names []providers.Name) (out []string) {
	for _, n := range names {
		out = append(out, fmt.Sprintf("%s %d", n.Name, n.Versions))
	}
	return out
}

// TestKeeper holds that questions for locks and settings are passed on, retried and counted.
func TestKeeper(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPast(faults.Fault{Op: "lock", Action: faults.Before}, faults.Fault{Op: "settings", Action: faults.After})
		p.mem.Configure(providers.Settings{Versioning: "on", Lock: true, Mode: providers.Compliance, Retention: 5})
		id := p.mem.Set(object, nil)
		lock, err := p.Lock(t.Context(), object, id)
		if err != nil || lock.Mode != providers.Compliance || !lock.Mode.Binding() {
			t.Errorf("Lock: %+v, %v", lock, err)
		}
		s, err := p.Settings(t.Context())
		if err != nil || s.Versioning != "on" || s.Retention != 5 {
			t.Errorf("Settings: %+v, %v", s, err)
		}
		if got := p.Stats(); got.Stats != 4 || got.Retries != 2 {
			t.Errorf("counts %+v", got)
		}
		if _, err := p.Lock(t.Context(), "packs/none", ""); providers.KindOf(err) != providers.NotFound {
			t.Errorf("a lock of nothing: %v", err)
		}
	})
}
