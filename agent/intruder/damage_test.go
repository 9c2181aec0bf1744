package intruder

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/vault"
	"farshore/providers"
)

// packsOf is how many packs a vault of the damage tests has.
func packsOf(small bool) int {
	switch {
	case testing.Short():
		return 40
	case small:
		return 60
	}
	return 1000
}

// manyPacks makes a vault of three snapshots with so many packs, one for each item; some are needed by older snapshots alone.
func manyPacks(t *testing.T, at *place, n int) *scene {
	t.Helper()
	s := emptyScene(t, at)
	s.state(func(st *record.Statement) error {
		st.Parameters.PackSize, st.Parameters.FrameSize = 4096, 4096
		return nil
	})
	add := func(from, to int) {
		for i := from; i < to; i++ {
			s.src.items[fmt.Sprintf("%02d/%05d", i%7, i)] = noise(uint64(i), 5000)
		}
		must(t, s.replicate())
	}
	add(0, n*6/10)
	for i := range n / 20 {
		delete(s.src.items, fmt.Sprintf("%02d/%05d", i%7, i))
	}
	add(n*6/10, n*9/10)
	add(n*9/10, n)
	return s
}

// wreck is a vault of many packs whose store can be damaged.
type wreck struct {
	*scene
	*yard
	items map[string][]string // by pack
	packs []string            // that an item of the newest snapshot rests on
	old   []string            // that only older snapshots need
	page  string              // a page that the newest snapshot needs
}

func newWreck(t *testing.T, y *yard, n int) *wreck {
	t.Helper()
	w := &wreck{scene: manyPacks(t, y.where, n), yard: y}
	w.items = w.contents()
	for pack, items := range w.items {
		path := strings.TrimPrefix(items[0], "shop: ")
		if _, now := w.last().items[path]; now {
			w.packs = append(w.packs, pack)
		} else {
			w.old = append(w.old, pack)
		}
	}
	slices.Sort(w.packs)
	slices.Sort(w.old)
	c, err := w.open(y.where.restorer()).Chain(w.ctx, w.last().chain)
	must(t, err)
	w.page = record.MetaName(c.Head().Root.Name)
	if len(w.packs)+len(w.old) < n*9/10 || len(w.old) == 0 {
		t.Fatalf("%d packs, and %d old ones", len(w.packs), len(w.old))
	}
	return w
}

// mishap is one thing that goes wrong with a store.
type mishap struct {
	name string
	// do damages some of the victims, which have the same size, and returns the kinds by object.
	do func(w *wreck, victims []string) map[string]string
	// listed says that a listing shows it, without a byte being read.
	listed bool
}

var mishaps = []mishap{
	{"one flipped bit in one pack", func(w *wreck, p []string) map[string]string {
		w.set(p[0], flipped(w.stored(p[0])))
		return map[string]string{p[0]: report.DamageBytes}
	}, false},
	{"a missing pack", func(w *wreck, p []string) map[string]string {
		w.remove(p[0])
		return map[string]string{p[0]: report.DamageMissing}
	}, true},
	{"a truncated pack", func(w *wreck, p []string) map[string]string {
		b := w.stored(p[0])
		w.set(p[0], b[:len(b)-1])
		return map[string]string{p[0]: report.DamageSize}
	}, true},
	{"an emptied pack", func(w *wreck, p []string) map[string]string {
		w.set(p[0], nil)
		return map[string]string{p[0]: report.DamageSize}
	}, true},
	{"two packs swapped", func(w *wreck, p []string) map[string]string {
		a, b := w.stored(p[0]), w.stored(p[1])
		w.set(p[0], b)
		w.set(p[1], a)
		return map[string]string{p[0]: report.DamageBytes, p[1]: report.DamageBytes}
	}, false},
	{"an older pack over a newer one", func(w *wreck, p []string) map[string]string {
		w.set(p[0], w.stored(w.old[0]))
		return map[string]string{p[0]: report.DamageBytes}
	}, false},
	{"a page in a pack's place", func(w *wreck, p []string) map[string]string {
		w.set(p[0], w.stored(w.page))
		return map[string]string{p[0]: report.DamageSize}
	}, true},
}

// flipped is a copy with one bit in the middle changed.
func flipped(b []byte) []byte {
	b = bytes.Clone(b)
	b[len(b)/2] ^= 4
	return b
}

// TestDamage damages a vault's packs in one way at a time. A listing alone finds what it can see, and says of the rest that it was not read; audits that read what a promise of three
// days needs find all of it with the third; and a whole audit at once. Each names the object, the snapshots and the items that need it, and what makes it good. What
// is damaged is stored anew by the next pass, and everything else is restored throughout.
func TestDamage(t *testing.T) {
	for _, y := range yards {
		t.Run(y.name, func(t *testing.T) {
			w := newWreck(t, y.make(t), packsOf(y.small))
			if w.layers {
				w.overlaid()
				return
			}
			for i, m := range mishaps {
				if testing.Short() && i > 1 || i%y.every != y.from {
					continue
				}
				t.Run(m.name, func(t *testing.T) { w.suffers(t, m, w.packs[3*i:3*i+3]) })
			}
		})
	}
}

// suffers damages, looks at what each level says, and repairs.
func (w *wreck) suffers(t *testing.T, m mishap, victims []string) {
	t.Helper()
	w = &wreck{scene: w.on(t), yard: w.yard, items: w.items, packs: w.packs, old: w.old, page: w.page}
	before := map[string][]byte{}
	for _, p := range victims {
		before[p] = w.stored(p)
	}
	want := m.do(w, victims)
	w.glanced(m, want)
	who := w.promiseKept(want)
	w.restores(want)
	for p, b := range before {
		w.set(p, b)
	}
	a := who.run(who.options()).Audit
	if a.Verdict != report.VerdictIntact {
		t.Errorf("repaired, and the verdict is %s: %+v", a.Verdict, a.Findings)
	}
	for object := range want {
		if !tells(a, vault.Notice, object) {
			t.Errorf("nothing says that %s is whole again: %+v", object, a.Findings)
		}
	}
}

// on is the scene for a part of its test.
func (s *scene) on(t *testing.T) *scene {
	own := *s
	own.t = t
	return &own
}

// glanced holds that a listing finds what it can, and claims nothing of the rest.
func (w *wreck) glanced(m mishap, want map[string]string) {
	w.t.Helper()
	a := w.unsigned().least(w.unsigned().options())
	switch got := kinds(a); {
	case m.listed:
		w.lists(a, want)
		if a.Inventory.Missing+a.Inventory.WrongSize != int64(len(want)) {
			w.t.Errorf("inventory: %+v", a.Inventory)
		}
	case a.Inventory.Missing+a.Inventory.WrongSize+a.Inventory.Hidden > 0:
		w.t.Errorf("a listing shows it: %+v", a.Inventory)
	case len(got) == 0: // none of the few objects that were read is one of them
		if a.Verdict != report.VerdictIntact || unchecked(a, "objects that were not read whole") < a.Population.Packs-5 || a.Bounds[0].Upper95 < 0.9 || a.Coverage.Verified != 0 && a.Coverage.Never == 0 {
			w.t.Errorf("%s, and next to nothing was read: %+v, %+v, %+v", a.Verdict, a.NotChecked, a.Bounds, a.Coverage)
		}
	}
}

// lists holds that an audit lists exactly these objects, and says what their loss means.
func (w *wreck) lists(a *report.Audit, want map[string]string) {
	w.t.Helper()
	got := kinds(a)
	for object, kind := range want {
		if got[object] != kind {
			w.t.Errorf("%s is listed as %q, and it is %q", object, got[object], kind)
		}
		if !tells(a, vault.Damage, object) {
			w.t.Errorf("no finding tells of %s: %+v", object, a.Findings)
		}
	}
	if len(got) != len(want) || a.Verdict != report.VerdictDamaged {
		w.t.Errorf("the verdict is %s, and these are listed: %v, for %v", a.Verdict, got, want)
	}
	for _, d := range a.Damaged {
		if d.Snapshots < 1 || len(d.First) == 0 || d.Advice == "" || d.First[0].Chain != w.last().chain {
			w.t.Errorf("what %s means is not said: %+v", d.Object, d)
		}
	}
}

// promiseKept audits as often as a promise of three days needs, which must find the damage by the end of the third.
func (w *wreck) promiseKept(want map[string]string) *watch {
	w.t.Helper()
	who := w.auditor()
	o := who.promised(3)
	for n := 1; ; n++ {
		a := who.run(o).Audit
		if a.Coverage.Feasible == nil || !*a.Coverage.Feasible {
			w.t.Fatalf("a promise that the audit's own estimate keeps is not feasible: %+v", a.Coverage)
		}
		if len(a.Damaged) == len(want) {
			w.lists(a, want)
			if a.Coverage.Verified+int64(len(want)) > a.Population.Packs+a.Population.Pages {
				w.t.Errorf("what is damaged counts as verified: %+v", a.Coverage)
			}
			return who
		}
		if a.Coverage.Never == 0 {
			w.t.Fatalf("audit %d has verified everything, and lists %v for %v", n, kinds(a), want)
		}
		if n == 3 {
			w.t.Fatalf("not found by the third audit: %+v", a.Coverage)
		}
		who.now = who.now.Add(day)
	}
}

// restores holds that a whole audit with the recovery key finds what can't be put together, names it, and says what makes it good; and that every other item is restored.
func (w *wreck) restores(want map[string]string) {
	w.t.Helper()
	who := w.unsigned(w.recovery)
	res := who.run(w.recovered(who.options()))
	a := res.Audit
	w.lists(a, want)
	lost := 0
	for _, d := range a.Damaged {
		items := w.items[d.Object]
		if d.Items != int64(len(items)) || d.Remedy != report.RemedySource {
			w.t.Errorf("%s: %d items, %s; and %q rest on it, which are unchanged at their source", d.Object, d.Items, d.Remedy, items)
		}
		for _, n := range d.Names {
			if !slices.Contains(items, res.Names.Name(n)) {
				w.t.Errorf("%s: %q does not rest on it", d.Object, res.Names.Name(n))
			}
		}
		lost += len(items)
	}
	full := who.full(w.recovered(who.options())).Audit
	w.lists(full, want)
	if full.Items.Failed < int64(lost) || full.Items.Failed+full.Items.Restored != full.Items.Drawn {
		w.t.Errorf("%d items of all snapshots can't be restored, and it says %+v", lost, full.Items)
	}
}

// overlaid lays other bytes over packs, and hides one, on a store that keeps what was there: nothing is lost, all of it is told, and everything is restored.
func (w *wreck) overlaid() {
	w.t.Helper()
	over := map[string][]byte{w.packs[0]: flipped(w.stored(w.packs[0])), w.packs[1]: w.stored(w.packs[2]), w.packs[3]: w.stored(w.page), w.packs[4]: nil}
	for name, body := range over {
		w.set(name, body)
	}
	w.remove(w.packs[5])
	over[w.packs[5]] = nil
	none, who := w.unsigned(), w.auditor()
	for _, a := range []*report.Audit{none.least(none.options()), who.run(who.options()).Audit, none.full(none.options()).Audit} {
		if a.Verdict != report.VerdictTampered || len(a.Damaged) > 0 || a.Inventory.Hidden != int64(len(over)) || a.Inventory.Versions != "seen" {
			w.t.Errorf("%s: %v, %+v", a.Verdict, kinds(a), a.Inventory)
		}
		for name := range over {
			if !tells(a, vault.Tampering, name) {
				w.t.Errorf("nothing is told of %s: %+v", name, a.Findings)
			}
		}
	}
	w.restoredAll()
}

// faithless is a store that lists an object and does not give it, or says that it has another size.
type faithless struct {
	providers.Driver
	name     string
	withhold bool
	add      int64 // to its size
}

func (f *faithless) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	if f.withhold && name == f.name {
		return nil, &providers.Error{Kind: providers.Denied, Op: "open", Name: name, Err: errors.New("not this one")}
	}
	return f.Driver.Open(ctx, name, off, n)
}

func (f *faithless) Stat(ctx context.Context, name string) (providers.Info, error) {
	info, err := f.Driver.Stat(ctx, name)
	if name == f.name {
		info.Size += f.add
	}
	return info, err
}

func (f *faithless) List(ctx context.Context, prefix, after string, limit int) ([]providers.Info, bool, error) {
	page, more, err := f.Driver.List(ctx, prefix, after, limit)
	for i := range page {
		if page[i].Name == f.name {
			page[i].Size += f.add
		}
	}
	return page, more, err
}

// TestFaithlessStore audits stores that lie about one object: that list it and do not give it, and that state another size than it has.
func TestFaithlessStore(t *testing.T) {
	for _, c := range []struct {
		name string
		lie  faithless
		kind string
		read bool // it takes reading to find it
	}{
		{"lists and does not give", faithless{withhold: true}, report.DamageWithheld, true},
		{"says that it is larger", faithless{add: 7}, report.DamageSize, false},
		{"says that it is smaller", faithless{add: -7}, report.DamageSize, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			y := directoryYard(t)
			w := newWreck(t, y, 60)
			c.lie.Driver, c.lie.name = y.driver, w.packs[7]
			b := bucketOf(&c.lie)
			w.at = &place{owner: b, agent: b, restorer: b, auditor: b}
			want := map[string]string{w.packs[7]: c.kind}
			none, who := w.unsigned(), w.auditor()
			if a := none.least(none.options()); !c.read {
				w.lists(a, want)
			} else if unread := slices.ContainsFunc(a.Parts, func(p report.Part) bool { return p.Unread > 0 }); len(a.Damaged) == 0 && !unread && a.Verdict != report.VerdictIntact {
				t.Errorf("%s: %+v", a.Verdict, a.Findings)
			}
			for _, a := range []*report.Audit{who.run(who.options()).Audit, none.full(none.options()).Audit} {
				w.lists(a, want)
				if a.Coverage.Never != 1 {
					t.Errorf("coverage: %+v", a.Coverage)
				}
			}
		})
	}
}
