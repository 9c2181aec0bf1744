package census

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"farshore/agent/internal/small"
	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/vault"
	"farshore/providers"
	"farshore/providers/faults"
	"farshore/providers/mem"
)

// listing is what an inventory came to.
type listing struct {
	report.Inventory
	told []string // "kind path", in the order in which they came
}

func (r *rig) inventory(c *Census, d providers.Driver) listing {
	r.t.Helper()
	l, err := inventoryOf(r.t.Context(), c, r.bucket(d))
	must(r.t, err)
	return l
}

func inventoryOf(ctx context.Context, c *Census, b *providers.Bucket) (l listing, err error) {
	l.Inventory, err = c.Inventory(ctx, b, func(s Sighting) error {
		path := ""
		if s.Name != nil {
			path = s.Name.Name
		}
		if s.Object != (Object{}) {
			path = s.Object.Path()
		}
		l.told = append(l.told, s.Kind+" "+path)
		return nil
	})
	return l, err
}

// holds holds an inventory to its numbers and its sightings, in any order of these.
func (l listing) holds(t *testing.T, what string, want report.Inventory, told ...string) {
	t.Helper()
	got, told := slices.Sorted(slices.Values(l.told)), slices.Sorted(slices.Values(told))
	if l.Inventory != want || !slices.Equal(got, told) {
		t.Errorf("%s: %+v\n%q\nwanted %+v\n%q", what, l.Inventory, got, want, told)
	}
}

// tamperer is what the stores in memory can do and no Driver.
type tamperer interface {
	providers.Driver
	Objects() map[string][]byte
}

// paths returns the names of what a commit added, packs first.
func paths(c *Census) (packs, pages []string) {
	for o, err := range c.Objects(context.Background()) {
		if err != nil {
			panic(err)
		}
		if o.Meta {
			pages = append(pages, o.Path())
		} else {
			packs = append(packs, o.Path())
		}
	}
	return packs, pages
}

// TestWhole takes the census of sound vaults: it has every stored object below packs/ and meta/, with its size, and the inventory finds nothing.
func TestWhole(t *testing.T) {
	for name, d := range map[string]tamperer{"mem": mem.New(), "versioned": mem.NewVersioned()} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, d)
			r.take()
			r.passes(3)
			c := r.take()
			var want, got []string
			for path, body := range d.Objects() {
				if strings.HasPrefix(path, "packs/") || strings.HasPrefix(path, "meta/") {
					want = append(want, fmt.Sprint(path, len(body)))
				}
			}
			for o, err := range c.Objects(t.Context()) {
				must(t, err)
				got = append(got, fmt.Sprint(o.Path(), o.Size))
			}
			if slices.Sort(want); !slices.Equal(slices.Sorted(slices.Values(got)), want) {
				t.Errorf("objects %q, wanted %q", got, want)
			}
			p := c.Population()
			if p.Chains != 2 || p.Commits < 6 || len(c.Heads()) != 2 || p.Packs+p.Pages != int64(len(want)) {
				t.Errorf("%+v", p)
			}
			d.Create(t.Context(), "packs/canary/x1", bytesOf("x"), sumOf("x"))
			versions := map[string]string{"mem": "none", "versioned": "seen"}[name]
			r.inventory(c, d).holds(t, "sound", report.Inventory{Done: true, Present: p.Packs + p.Pages, Versions: versions})
		})
	}
}

// TestSightings does each thing that an inventory should see, to vaults with and without versions.
func TestSightings(t *testing.T) {
	for name, d := range map[string]tamperer{"mem": mem.New(), "versioned": mem.NewVersioned()} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, d)
			r.passes(5)
			c := r.take()
			packs, pages := paths(c)
			if len(packs) < 8 || len(pages) < 8 {
				t.Fatalf("only %d packs and %d pages", len(packs), len(pages))
			}
			all := int64(len(packs) + len(pages))
			body := d.Objects()
			stranger := record.PackName(record.Hash{1})
			want := report.Inventory{Done: true, Present: all - 2, Missing: 2, WrongSize: 1, Versions: "none", Unnamed: 3, UnnamedBytes: 1 + 2 + 3, Junk: 2}
			told := []string{"missing " + packs[0], "missing " + pages[0], "size " + packs[1], "unnamed " + stranger, "junk packs/aa/readme", "junk meta/zz"}
			if m, ok := d.(*mem.Driver); ok {
				m.Remove(packs[0])
				m.Remove(pages[0])
				m.Set(packs[1], body[packs[1]][1:])
				m.Set(stranger, []byte("x"))
				m.Set("packs/aa/readme", []byte("xy"))
				m.Set("meta/zz", []byte("xyz"))
				r.inventory(c, d).holds(t, name, want, told...)
				return
			}
			m := d.(*mem.Versioned)
			remove := func(path string) {
				for v, err := range r.bucket(d).Versions(t.Context(), path) {
					must(t, err)
					m.RemoveVersion(path, v.ID)
				}
			}
			remove(packs[0])
			remove(pages[0])
			m.Hide(pages[0])                     // only a marker is left
			remove(packs[1])                     // and has another size
			m.Set(packs[1], body[packs[1]][1:])  //
			m.Set(packs[2], []byte("overwrite")) // over it
			m.Hide(packs[3])
			m.Set(packs[4], body[packs[4]]) // the same bytes again
			m.Set(packs[5], []byte("other"))
			m.Hide(packs[5])
			m.RemoveVersion(packs[6], "") // nothing has that id
			remove(packs[6])
			m.Hide(packs[6])
			m.Set(packs[6], body[packs[6]]) // a marker beneath it
			m.Set(stranger, []byte("x"))
			m.Set("packs/aa/readme", []byte("xy"))
			m.Set("meta/zz", []byte("xyz"))
			m.Set("meta/zz", []byte("over it"))
			m.Hide("packs/gone") // nothing but a marker
			want.Versions, want.Hidden, want.ExtraVersions, want.Markers, want.Junk = "seen", 4, 4, 5, 3
			told = append(told, "hidden "+packs[2], "hidden "+packs[3], "hidden "+packs[4], "hidden "+packs[5], "extra "+packs[6], "junk packs/gone")
			r.inventory(c, d).holds(t, name, want, told...)
		})
	}
}

// TestLater stores what the census does not have: it is unnamed, and no error.
func TestLater(t *testing.T) {
	d := mem.New()
	r := newRig(t, d)
	r.passes(1)
	c := r.take()
	p := c.Population()
	before := len(d.Objects())
	r.pass(&small.Source{Name: "three", All: map[string]string{"a": "12345678 is new"}})
	l := r.inventory(c, d)
	if l.Present != p.Packs+p.Pages || l.Missing != 0 || l.Unnamed == 0 || l.Unnamed >= int64(len(d.Objects())-before) || !l.Done {
		t.Errorf("%+v", l)
	}
	for _, s := range l.told {
		if !strings.HasPrefix(s, KindUnnamed) {
			t.Error(s)
		}
	}
}

// TestAsOfVault takes the census of a vault as of heads that it had earlier, after more was stored and a commit was revoked.
func TestAsOfVault(t *testing.T) {
	r := newRig(t, mem.New())
	r.passes(2)
	then := r.take()
	want := collect(t, then.Objects(t.Context()))
	r.passes(3)
	v, chains := r.open()
	now, err := TakeAsOf(t.Context(), v, chains, then.Heads(), Options{})
	must(t, err)
	defer now.Close()
	if got := collect(t, now.Objects(t.Context())); !slices.Equal(got, want) || now.Population() != then.Population() || !slices.Equal(now.Heads(), then.Heads()) {
		t.Errorf("%d objects, %+v; wanted %d, %+v", len(got), now.Population(), len(want), then.Population())
	}
	head := then.Heads()[0]
	r.declare(vault.RevokeAfter(r.options.Key.Public().ID(), []vault.Point{{Chain: head.Chain, Seq: head.Seq - 1}}))
	v, chains = r.open()
	_, err = TakeAsOf(t.Context(), v, chains, then.Heads(), Options{})
	wrong(t, "a head that was revoked", err)
}

// TestRevokedVault revokes one commit of a real vault: what the snapshots behind it need stays in the census.
func TestRevokedVault(t *testing.T) {
	r := newRig(t, mem.New())
	src := &small.Source{Name: "one", All: map[string]string{}}
	for i := range 4 {
		src.All[fmt.Sprint("item ", i)] = strings.Repeat(fmt.Sprintf("%8d", i), 100)
		r.pass(src)
	}
	v, chains := r.open()
	before := r.take()
	k := chains[0].Commits[len(chains[0].Commits)-2]
	r.declare(vault.RevokeCommits([]record.Hash{k.Hash}))
	c := r.take()
	if c.Revoked() != 1 || c.Population().Commits != before.Population().Commits-1 {
		t.Errorf("%d revoked, %+v", c.Revoked(), c.Population())
	}
	has, lost := map[string]bool{}, 0
	for o := range c.Objects(t.Context()) {
		has[o.Path()] = true
	}
	packs, _, err := v.Added(t.Context(), k)
	must(t, err)
	if len(packs) == 0 {
		t.Fatal("the revoked commit added no pack")
	}
	for _, p := range packs {
		if !has[record.PackName(p.Name)] {
			t.Errorf("pack %s, which the newest snapshot needs, is not in the census", p.Name)
		}
	}
	for o := range before.Objects(t.Context()) {
		if !has[o.Path()] {
			lost++
		}
	}
	if lost == 0 {
		t.Error("nothing of the revoked commit was left out, not even its root")
	}
}

// TestCommitGone removes a commit between the reading of chains and the census: there is no census then.
func TestCommitGone(t *testing.T) {
	d := mem.New()
	r := newRig(t, d)
	r.passes(2)
	v, chains := r.open()
	name := record.CommitName(chains[0].ID, 1)
	d.Set(name, []byte("another body"))
	var damaged *vault.DamageError
	if _, err := Take(t.Context(), v, chains, Options{}); !errors.As(err, &damaged) {
		t.Errorf("error %v", err)
	}
}

// sightless is a store whose versions the credential may not list.
func sightless(d providers.Driver) providers.Driver {
	f := faults.New(d)
	f.Add(faults.Fault{Op: "versions", Times: -1, Action: faults.Before, Err: &providers.Error{Kind: providers.Denied}})
	return f
}

// TestDenied takes inventory of a store that shows no versions.
func TestDenied(t *testing.T) {
	d := mem.NewVersioned()
	r := newRig(t, d)
	r.passes(2)
	c := r.take()
	packs, pages := paths(c)
	d.Hide(packs[0])
	d.Set(packs[1], []byte("over it"))
	want := report.Inventory{Done: true, Present: int64(len(packs) + len(pages) - 1), Missing: 1, WrongSize: 1, Versions: "denied"}
	r.inventory(c, sightless(d)).holds(t, "denied", want, "missing "+packs[0], "size "+packs[1])
}

// forgetful is a store whose listings leave names out that it has.
type forgetful struct {
	providers.Driver
	out func(name string) bool
}

func (f forgetful) List(ctx context.Context, prefix, after string, limit int) ([]providers.Info, bool, error) {
	page, more, err := f.Driver.List(ctx, prefix, after, limit)
	kept := slices.DeleteFunc(slices.Clone(page), func(i providers.Info) bool { return f.out(i.Name) })
	if len(kept) == 0 && more {
		kept = page[len(page)-1:]
	}
	return kept, more, err
}

// TestLateListing has listings that do not show some of what is there: the store is asked for these by name.
func TestLateListing(t *testing.T) {
	d := mem.New()
	r := newRig(t, d)
	r.passes(4)
	c := r.take()
	packs, pages := paths(c)
	d.Remove(packs[1])
	d.Set(packs[2], []byte("short"))
	late := forgetful{d, func(name string) bool { return slices.Contains(packs[:4], name) || name == pages[len(pages)-1] }}
	want := report.Inventory{Done: true, Present: int64(len(packs) + len(pages) - 1), Missing: 1, WrongSize: 1, Versions: "none"}
	r.inventory(c, late).holds(t, "late", want, "missing "+packs[1], "size "+packs[2])
}
