package svn_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"farshore/agent/record"
	"farshore/agent/repo/svntest"
	"farshore/agent/restore/svnrepo"
	"farshore/agent/source"
	"farshore/agent/source/sourcetest"
	"farshore/agent/source/svn"
	"farshore/providers/servers"
)

// fleet captures all repositories below a folder, and keeps the newest records.
type fleet struct {
	t    *testing.T
	root string
	mem  *sourcetest.Memory
	recs map[string]*record.Record // by path and kind
	bad  map[string]*source.Unreadable
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	svntest.Need(t, servers.Missing, "svn", "svnadmin", "svnlook")
	root, err := os.MkdirTemp("/dev/shm", "farshore-svn-") // Subversion waits for the disk at each step
	if err != nil {
		root = t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	return &fleet{t: t, root: root, mem: &sourcetest.Memory{}, recs: map[string]*record.Record{}}
}

func (f *fleet) dir(name string) string { return filepath.Join(f.root, name) }

func (f *fleet) pass() {
	f.t.Helper()
	s, err := svn.New(svn.Options{Name: "svn", Address: "svn+file://" + f.root})
	if err != nil {
		f.t.Fatal(err)
	}
	f.bad = map[string]*source.Unreadable{}
	for _, e := range sourcetest.List(f.t, s, source.Range{}) {
		key := e.Path + " " + e.Kind
		if last := f.recs[key]; last != nil && s.Unchanged(e, last) {
			continue
		}
		rec, err := s.Capture(f.t.Context(), e, f.recs[key], f.mem)
		var bad *source.Unreadable
		switch {
		case errors.As(err, &bad):
			f.bad[key] = bad
		case err != nil:
			f.t.Fatalf("%s: %v", key, err)
		default:
			f.recs[key] = rec
		}
	}
}

// restored builds what the newest record has, checks it, and returns its dump.
func (f *fleet) restored(name string) string {
	f.t.Helper()
	set := svnrepo.Set{SVN: f.recs[name+" "+record.KindSVN], Sidecar: f.recs[name+" "+record.KindSidecar]}
	dir, err := os.MkdirTemp(f.root, ".restored-")
	if err != nil {
		f.t.Fatal(err)
	}
	dir = filepath.Join(dir, "repository")
	if _, err := svnrepo.Build(f.t.Context(), f.mem, set, dir, svnrepo.Options{}); err != nil {
		f.t.Fatalf("%s: %v", name, err)
	}
	if problems, err := svnrepo.Check(f.t.Context(), f.mem, set, dir); err != nil || len(problems) > 0 {
		f.t.Errorf("%s: %q, %v", name, problems, err)
	}
	return svntest.Dump(f.t, dir)
}

func (f *fleet) same(name string) {
	f.t.Helper()
	if f.restored(name) != svntest.Dump(f.t, f.dir(name)) {
		f.t.Errorf("%s: the dumps differ", name)
	}
}

// dumps are the hashes of the dumps that the newest record has.
func (f *fleet) dumps(name string) (list []record.Hash) {
	for _, p := range f.recs[name+" "+record.KindSVN].Parts {
		if p.Kind == record.PartDump {
			list = append(list, p.SHA256)
		}
	}
	return list
}

func (f *fleet) repository(name string) *svntest.Repo {
	f.t.Helper()
	r := svntest.New(f.t, f.dir(name))
	r.Commit("first", svntest.Node{Path: "a", Action: "add", Text: []byte(strings.Repeat("a line of "+name+"\n", 40))})
	r.Commit("second", svntest.Node{Path: "a", Action: "change", Text: []byte(strings.Repeat("a line\n", 40))})
	return r
}

func overwrite(t *testing.T, name string, b []byte) {
	t.Helper()
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestOneBroken holds that a broken repository is told as such and keeps no other from being captured, and that its record goes on once it is mended.
func TestOneBroken(t *testing.T) {
	f := newFleet(t)
	for _, name := range []string{"a", "broken", "z"} {
		f.repository(name)
	}
	current := filepath.Join(f.dir("broken"), "db/current")
	good, err := os.ReadFile(current)
	if err != nil {
		t.Fatal(err)
	}
	overwrite(t, current, []byte("none\n"))
	f.pass()
	if bad := f.bad["broken svn"]; bad == nil || bad.Reason != record.ReasonBroken || len(f.bad) != 1 {
		t.Errorf("what is broken: %v", f.bad)
	}
	f.same("a")
	f.same("z")
	overwrite(t, current, good)
	f.pass()
	f.same("broken")
}

// TestRepCache spoils the cache of contents that a repository keeps, as a copy of its files does while it is in use. The cache is never captured; where Subversion's own
// verification stops at it, that is named, what was captured before stays, and without the spoiled cache the next pass goes on.
func TestRepCache(t *testing.T) {
	f := newFleet(t)
	r := f.repository("app")
	f.pass()
	before := svntest.Dump(t, r.Dir)
	r.Commit("third", svntest.Node{Path: "b", Action: "add", Text: []byte("b\n")})
	cache := filepath.Join(r.Dir, "db/rep-cache.db")
	overwrite(t, cache, bytes.Repeat([]byte("torn"), 2000))
	f.pass()
	for _, p := range f.recs["app sidecar"].Parts {
		if strings.Contains(p.Attrs["name"], "rep-cache") {
			t.Errorf("%s is captured", p.Attrs["name"])
		}
	}
	if omitted := f.recs["app svn"].Attrs[record.AttrOmitted]; omitted == "" {
		f.same("app")
	} else if !strings.Contains(omitted, "rep-cache") || f.restored("app") != before {
		t.Errorf("omitted says %q", omitted)
	}
	if err := os.Remove(cache); err != nil {
		t.Fatal(err)
	}
	f.pass()
	f.same("app")
}

// TestPacked packs a repository between captures, at the ends of its shards and within them: nothing is dumped anew for it, and each capture restores.
func TestPacked(t *testing.T) {
	f := newFleet(t)
	h := svntest.NewHistory(t, f.dir("app"), 11) // shards of four revisions
	var dumps []record.Hash
	for range 5 {
		h.Commit("another")
		h.Commit("and one", svntest.Node{Path: fmt.Sprint("folder-", h.Next()), Action: "add", Dir: true})
		f.pass()
		before := f.dumps("app")
		h.Pack()
		f.pass()
		f.same("app")
		if now := f.dumps("app"); !slices.Equal(now, before) || len(now) != len(dumps)+1 || !slices.Equal(now[:len(dumps)], dumps) {
			t.Errorf("the dumps were %v and are %v", before, now)
		}
		dumps = before
	}
}

// TestFlips flips bits of a revision's file at the source: what is captured is what was there before, and what can't be is named.
func TestFlips(t *testing.T) {
	f := newFleet(t)
	f.repository("app").Commit("third", svntest.Node{Path: "b", Action: "add", Text: []byte("b\n")})
	want := svntest.Dump(t, f.dir("app"))
	name := filepath.Join(f.dir("app"), "db/revs/0/2")
	good, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	step := len(good) / 12
	if os.Getenv("FARSHORE_TEST_LONG") == "1" {
		step = 1
	}
	noticed := 0
	for at := 0; at < len(good); at += step {
		b := bytes.Clone(good)
		b[at] ^= 1 << (at % 8)
		overwrite(t, name, b)
		f.recs = map[string]*record.Record{}
		f.pass()
		rec := f.recs["app svn"]
		switch {
		case rec == nil || rec.Attrs[record.AttrOmitted] != "":
			noticed++
			if rec != nil && rec.Attrs["youngest"] != "1" {
				t.Errorf("byte %d: captured up to revision %s", at, rec.Attrs["youngest"])
			}
		case f.restored("app") != want:
			t.Errorf("byte %d: something else was captured", at)
		}
	}
	if noticed == 0 {
		t.Error("no flip was noticed")
	}
}
