package impact_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"filippo.io/age"

	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/source"
	"farshore/agent/vault"
	"farshore/agent/verify/impact"
	"farshore/agent/verify/internal/rig"
	"farshore/providers"
	"farshore/providers/mem"
)

// scene is a vault with two sources and several snapshots of each.
type scene struct {
	*rig.Rig
	t    *testing.T
	a, b *rig.Source
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{Rig: rig.New(t), t: t, a: rig.NewSource("shop"), b: rig.NewSource("yard")}
	for i := range 40 {
		s.a.Put(fmt.Sprintf("secret-%02d", i), rig.Noise(uint64(i), 3000))
	}
	s.b.Put("secret", rig.Noise(1000, 3000))
	s.Pass(s.a)
	s.Pass(s.b)
	s.a.Put("secret-01", rig.Noise(101, 3000))
	delete(s.a.Items, "secret-02")
	s.Pass(s.a)
	s.a.Put("secret-03", rig.Noise(103, 3000))
	s.Pass(s.a)
	s.b.Put("secret", rig.Noise(1001, 3000))
	s.Pass(s.b)
	s.Pass(s.a) // nothing new
	return s
}

// fill fills in one damage of each object.
func (s *scene) fill(ctx context.Context, d providers.Driver, objects []string, o impact.Options, ids ...age.Identity) ([]report.Damage, []string, error) {
	s.t.Helper()
	v, chains := s.Open(d, ids...)
	var names []string
	o.Chains = chains
	o.Name = func(source, path string) int64 {
		name := source + ": " + path
		if i := slices.Index(names, name); i >= 0 {
			return int64(i + 1)
		}
		names = append(names, name)
		return int64(len(names))
	}
	damaged := make([]report.Damage, len(objects))
	for i, name := range objects {
		damaged[i].Object = name
	}
	err := impact.Fill(ctx, v, damaged, o)
	text, jerr := json.Marshal(damaged)
	s.Must(jerr)
	if bytes.Contains(text, []byte("secret")) || bytes.Contains(text, []byte("shop")) {
		s.t.Errorf("a damage names an item or a source: %s", text)
	}
	for _, d := range damaged {
		if d.Remedy == "" || d.Advice == "" || len(d.First) > report.MaxRefs || len(d.Names) > report.MaxRefs {
			s.t.Errorf("%+v", d)
		}
	}
	return damaged, names, err
}

// objects lists what lies in packs/ and meta/.
func (s *scene) objects() (out []string) {
	for name := range s.Store.Objects() {
		if strings.HasPrefix(name, "packs/") || strings.HasPrefix(name, "meta/") {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// model is what the newest snapshots, and all others, need, found by looking at every list and every record.
type model struct {
	snapshots map[string]int64
	items     map[string]int64 // in force in the newest snapshot of each chain that needs the object
}

func (s *scene) model() *model {
	s.t.Helper()
	v, chains := s.Open(s.Store, s.Recovery)
	m := &model{map[string]int64{}, map[string]int64{}}
	for _, c := range chains {
		newest := map[string]*vault.Commit{}
		for _, k := range c.Commits {
			for name := range s.needs(v, k) {
				m.snapshots[name]++
				newest[name] = k
			}
		}
		for name, k := range newest {
			snap, err := v.Snapshot(s.t.Context(), k)
			s.Must(err)
			for rec, err := range snap.Records(s.t.Context(), "", "") {
				s.Must(err)
				if rests(rec, name) {
					m.items[name]++
				}
			}
		}
	}
	return m
}

func (s *scene) needs(v *vault.Vault, k *vault.Commit) map[string]bool {
	need := map[string]bool{record.MetaName(k.Root.Name): true}
	live, err := v.Live(s.t.Context(), *k.List)
	s.Must(err)
	for _, m := range live.Meta {
		need[record.MetaName(m.Name)] = true
	}
	for _, l := range live.Lists {
		need[record.MetaName(l.Name)] = true
	}
	for _, seg := range live.Segments {
		need[record.MetaName(seg.Name)], need[record.MetaName(seg.List)] = true, true
		l, err := v.List(s.t.Context(), seg.List)
		s.Must(err)
		for _, sec := range l.Sections {
			if sec.Segment != seg.Name {
				continue
			}
			for _, p := range sec.Packs {
				need[record.PackName(p.Name)] = true
			}
		}
	}
	return need
}

func rests(rec *record.Record, pack string) bool {
	for _, p := range rec.Parts {
		for _, e := range p.Extents {
			if record.PackName(e.Pack.Name) == pack {
				return true
			}
		}
	}
	return false
}

// TestModel compares, for every object of a vault, alone and together, what is said with a model that looks at everything.
func TestModel(t *testing.T) {
	s := newScene(t)
	m, all := s.model(), s.objects()
	check := func(damaged []report.Damage) {
		t.Helper()
		for _, d := range damaged {
			if d.Snapshots != m.snapshots[d.Object] || int64(len(d.First)) != min(d.Snapshots, report.MaxRefs) {
				t.Errorf("%s: %d snapshots, want %d; %+v", d.Object, d.Snapshots, m.snapshots[d.Object], d)
			}
			if want := m.items[d.Object]; strings.HasPrefix(d.Object, "packs/") && want > 0 && (d.Items != want || int64(len(d.Names)) != min(want, report.MaxRefs)) {
				t.Errorf("%s: %d items, want %d; %+v", d.Object, d.Items, want, d)
			}
		}
	}
	for _, name := range all {
		d, _, err := s.fill(t.Context(), s.Store, []string{name}, impact.Options{}, s.Recovery)
		s.Must(err)
		check(d)
	}
	// Together: of packs alone, because what lies behind a segment that is damaged can't be told.
	packs := slices.DeleteFunc(slices.Clone(all), func(name string) bool { return !strings.HasPrefix(name, "packs/") })
	d, _, err := s.fill(t.Context(), s.Store, packs, impact.Options{}, s.Metadata)
	s.Must(err)
	check(d)
	// Without a key the snapshots are the same, and nothing is said of items.
	d, _, err = s.fill(t.Context(), s.Store, all, impact.Options{})
	s.Must(err)
	for _, d := range d {
		if d.Snapshots != m.snapshots[d.Object] || strings.HasPrefix(d.Object, "packs/") && (d.Items != -1 || d.Remedy != report.RemedyUnknown) {
			t.Errorf("without a key: %+v", d)
		}
	}
}

// packOf is the pack of an item, as the snapshot of that number of the first chain of a source has it.
func (s *scene) packOf(src, path string, seq int64) string {
	s.t.Helper()
	v, chains := s.Open(s.Store, s.Recovery)
	for _, c := range chains {
		if c.Source.Name != src {
			continue
		}
		snap, err := v.Snapshot(s.t.Context(), c.Number(seq))
		s.Must(err)
		rec, err := snap.Find(s.t.Context(), path)
		s.Must(err)
		return record.PackName(rec.Parts[0].Extents[0].Pack.Name)
	}
	s.t.Fatal("no such source")
	return ""
}

// TestRemedy asks sources in every state that they can be in.
func TestRemedy(t *testing.T) {
	s := newScene(t)
	live := map[string]source.Source{"shop": s.a, "yard": s.b}
	_, chains := s.Open(s.Store, s.Recovery)
	seqs := map[string]int64{}
	for _, c := range chains {
		seqs[c.Source.Name] = c.Newest().Seq
	}
	changed := s.packOf("shop", "secret-03", seqs["shop"]) // has the third content of one item alone
	big := s.packOf("shop", "secret-10", seqs["shop"])     // has the first of nearly all
	one := func(what, object, remedy, advice string, o impact.Options) {
		t.Helper()
		kept := s.Store.Objects()[object]
		s.Store.Remove(object)
		defer s.Store.Set(object, kept)
		d, _, err := s.fill(t.Context(), s.Store, []string{object}, o, s.Metadata)
		s.Must(err)
		if d[0].Remedy != remedy || !strings.Contains(d[0].Advice, advice) {
			t.Errorf("%s: %s, %q; want %s, %q", what, d[0].Remedy, d[0].Advice, remedy, advice)
		}
	}
	one("no source at hand", changed, report.RemedyUnknown, "could not be told", impact.Options{})
	one("unchanged", changed, report.RemedySource, "farshore replicate", impact.Options{Live: live})
	one("all unchanged but one of many", big, report.RemedySource, "the 20 items that were looked at are unchanged", impact.Options{Live: live})
	s.a.Put("secret-00", []byte("another"))
	one("partly", big, report.RemedyPartly, "19 of the 20", impact.Options{Live: live})
	s.a.Put("secret-03", []byte("another"))
	one("changed, with an older version", changed, report.RemedyNone, "has an earlier version of 1 of the 1 items", impact.Options{Live: live})
	s.a.Down = true
	one("down", changed, report.RemedyUnknown, "has an earlier version", impact.Options{Live: live})
	s.a.Down = false
	s.a.Items = map[string]*rig.Item{}
	one("gone", big, report.RemedyNone, "keep the damaged object", impact.Options{Live: live})
	first := s.packOf("yard", "secret", 2)
	one("an earlier version", first, report.RemedyNone, "earlier version", impact.Options{Live: live})
	one("nothing needs it", record.PackName(record.Hash{1}), report.RemedyNeedless, "nothing is lost", impact.Options{Live: live})
	one("no object of a vault", "commits/x", report.RemedyUnknown, "neither a pack nor a page", impact.Options{Live: live})
}

// TestPages says of each page what it is.
func TestPages(t *testing.T) {
	s := newScene(t)
	v, chains := s.Open(s.Store, s.Recovery)
	shop := chains[slices.IndexFunc(chains, func(c *vault.Chain) bool { return c.Source.Name == "shop" })]
	k, first := shop.Newest(), shop.Commits[0]
	snap, err := v.Snapshot(t.Context(), k)
	s.Must(err)
	segments := snap.Segments()
	base := segments[len(segments)-1].Name
	for _, c := range []struct {
		what          string
		name          record.Hash
		items         int64
		remedy, words string
	}{
		{"root", k.Root.Name, k.Counts.Items, report.RemedyUnknown, "root of a snapshot"},
		{"the first root", first.Root.Name, 0, report.RemedyNeedless, "root of a snapshot that has no items"},
		{"segment", base, 40, report.RemedyUnknown, "segment"},
		{"list", k.List.Name, 0, report.RemedyNeedless, "public list"},
		{"keys", snap.Root().Keys.Name, 0, report.RemedyNeedless, "keys for deduplication"},
	} {
		object := record.MetaName(c.name)
		kept := s.Store.Objects()[object]
		s.Store.Remove(object)
		d, _, err := s.fill(t.Context(), s.Store, []string{object, object}, impact.Options{}, s.Recovery)
		s.Store.Set(object, kept)
		s.Must(err)
		if d[0].Items != c.items || d[0].Remedy != c.remedy || !strings.Contains(d[0].Advice, c.words) || d[0].Snapshots == 0 {
			t.Errorf("%s: %+v", c.what, d[0])
		}
		if fmt.Sprintf("%+v", d[0]) != fmt.Sprintf("%+v", d[1]) {
			t.Errorf("%s, told twice: %+v", c.what, d[1])
		}
	}
	// With the root gone nothing can be said of the items of the pack that only its snapshot shows.
	object := record.MetaName(k.Root.Name)
	kept := s.Store.Objects()[object]
	s.Store.Remove(object)
	defer s.Store.Set(object, kept)
	d, _, err := s.fill(t.Context(), s.Store, []string{object, s.packOfAll()}, impact.Options{}, s.Recovery)
	s.Must(err)
	if d[1].Items != -1 || d[1].Snapshots == 0 {
		t.Errorf("behind a lost root: %+v", d[1])
	}
}

// packOfAll is a pack of the first source's items.
func (s *scene) packOfAll() string {
	s.t.Helper()
	v, chains := s.Open(s.Store, s.Recovery)
	c := chains[slices.IndexFunc(chains, func(c *vault.Chain) bool { return c.Source.Name == "shop" })]
	live, err := v.Live(s.t.Context(), *c.Newest().List)
	s.Must(err)
	seg := live.Segments[len(live.Segments)-1]
	l, err := v.List(s.t.Context(), seg.List)
	s.Must(err)
	for _, sec := range l.Sections {
		if sec.Segment == seg.Name {
			return record.PackName(sec.Packs[0].Name)
		}
	}
	s.t.Fatal("no section")
	return ""
}

// hooked is a store that calls a function before each read.
type hooked struct {
	*mem.Driver
	hook func(name string) error
}

func (h *hooked) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	if err := h.hook(name); err != nil {
		return nil, err
	}
	return h.Driver.Open(ctx, name, off, n)
}

// TestFails fails, or cancels, at each read in turn: an error, and nothing that is not known is claimed.
func TestFails(t *testing.T) {
	s := newScene(t)
	m, all := s.model(), s.objects()
	for _, cancels := range []bool{false, true} {
		for k := int64(1); ; k += 3 {
			ctx, cancel := context.WithCancel(t.Context())
			var armed atomic.Bool
			var n atomic.Int64
			h := &hooked{s.Store, func(name string) error {
				if !armed.Load() || n.Add(1) < k {
					return nil
				}
				if cancels {
					cancel()
					return nil
				}
				return &providers.Error{Kind: providers.Temporary, Op: "open", Name: name, Err: errors.New("busy")}
			}}
			v, chains := s.Open(h, s.Recovery)
			armed.Store(true)
			damaged := make([]report.Damage, len(all))
			for i := range all {
				damaged[i].Object = all[i]
			}
			err := impact.Fill(ctx, v, damaged, impact.Options{Chains: chains})
			cancel()
			for _, d := range damaged {
				if d.Snapshots > m.snapshots[d.Object] || d.Remedy == "" || strings.HasPrefix(d.Object, "packs/") && d.Items > m.items[d.Object] && m.items[d.Object] > 0 {
					t.Fatalf("at read %d: %+v", k, d)
				}
				if d.Remedy == report.RemedyNeedless && m.items[d.Object] > 0 {
					t.Fatalf("at read %d: needless, and items rest on it: %+v", k, d)
				}
			}
			if n.Load() < k {
				s.Must(err)
				break
			}
			if err == nil {
				t.Fatalf("at read %d: no error", k)
			}
		}
	}
}
