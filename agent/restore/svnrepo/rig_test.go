package svnrepo_test

import (
	"path/filepath"
	"testing"

	"farshore/agent/record"
	"farshore/agent/repo/svntest"
	"farshore/agent/restore/svnrepo"
	"farshore/agent/source"
	"farshore/agent/source/sourcetest"
	"farshore/agent/source/svn"
	"farshore/providers/servers"
)

// rig captures one repository again and again, with nothing kept between captures but the last records.
type rig struct {
	t    *testing.T
	o    svn.Options
	mem  *sourcetest.Memory
	last map[string]*record.Record // by kind

	stored int64 // bytes given to be stored of the repository, without what lies beside it
}

func newRig(t *testing.T, o svn.Options) *rig {
	t.Helper()
	svntest.Need(t, servers.Missing, "svn", "svnadmin", "svnlook", "svnrdump", "svnserve")
	o.Name = "svn"
	return &rig{t: t, o: o, mem: &sourcetest.Memory{}, last: map[string]*record.Record{}}
}

// local is a rig for the repositories below a folder.
func local(t *testing.T, root string) *rig {
	t.Helper()
	return newRig(t, svn.Options{Address: "svn+file://" + root})
}

func (r *rig) source() *svn.Source {
	r.t.Helper()
	s, err := svn.New(r.o)
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

// pass captures what changed, and returns how many records it made.
func (r *rig) pass() int {
	r.t.Helper()
	s, n := r.source(), 0
	for _, e := range sourcetest.List(r.t, s, source.Range{}) {
		last := r.last[e.Kind]
		if last != nil && s.Unchanged(e, last) {
			continue
		}
		before := r.mem.Stored
		rec, err := s.Capture(r.t.Context(), e, last, r.mem)
		if err != nil {
			r.t.Fatalf("capture %s %s: %v", e.Kind, e.Path, err)
		}
		r.last[e.Kind] = rec
		if e.Kind == record.KindSVN {
			r.stored += r.mem.Stored - before
		}
		n++
	}
	return n
}

func (r *rig) svn() *record.Record { return r.last[record.KindSVN] }

func (r *rig) set() svnrepo.Set {
	return svnrepo.Set{SVN: r.svn(), Sidecar: r.last[record.KindSidecar]}
}

// restore builds the repository in a new folder and checks it.
func (r *rig) restore(o svnrepo.Options) (string, *svnrepo.Report) {
	r.t.Helper()
	dir := filepath.Join(r.t.TempDir(), "restored")
	report, err := svnrepo.Build(r.t.Context(), r.mem, r.set(), dir, o)
	if err != nil {
		r.t.Fatalf("build: %v", err)
	}
	if p := r.check(dir); len(p) > 0 {
		r.t.Fatalf("check: %q", p)
	}
	return dir, report
}

func (r *rig) check(dir string) []string {
	r.t.Helper()
	problems, err := svnrepo.Check(r.t.Context(), r.mem, r.set(), dir)
	if err != nil {
		r.t.Fatalf("check: %v", err)
	}
	return problems
}

// same restores and compares a whole dump with the original's, byte for byte.
func (r *rig) same(original string) {
	r.t.Helper()
	dir, _ := r.restore(svnrepo.Options{})
	want, got := svntest.Dump(r.t, original), svntest.Dump(r.t, dir)
	if got != want {
		i := 0
		for i < min(len(got), len(want)) && got[i] == want[i] {
			i++
		}
		from := max(0, i-300)
		r.t.Fatalf("the dumps differ at byte %d:\n%q\nwant\n%q", i, got[from:min(len(got), i+200)], want[from:min(len(want), i+200)])
	}
}

func (r *rig) count(kind string) (n int) {
	for i := range r.svn().Parts {
		if r.svn().Parts[i].Kind == kind {
			n++
		}
	}
	return n
}
