package repos

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"farshore/agent/record"
	"farshore/agent/repo/gitserver"
	"farshore/agent/repo/gittest"
	"farshore/agent/repo/refs"
	"farshore/agent/restore"
	"farshore/agent/restore/dir"
	"farshore/agent/restore/gitrepo"
	"farshore/agent/restore/internal/rig"
	"farshore/agent/source"
	"farshore/agent/source/sourcetest"
	"farshore/agent/vault"
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// stored captures a repository as it is into one self-contained pack.
func stored(t testing.TB, sink source.Sink, src *gittest.Repo, path string) *record.Record {
	t.Helper()
	m := &refs.Manifest{Format: src.Format, Head: src.Run("symbolic-ref", "HEAD")}
	for line := range strings.Lines(src.Run("for-each-ref", "--sort=refname", "--format=%(objectname) %(refname)")) {
		oid, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		m.Refs = append(m.Refs, refs.Ref{Name: name, OID: oid})
	}
	rec := &record.Record{Path: path, Kind: record.KindGit, State: record.Present, Attrs: record.Attrs{"format": m.Format, "refs": m.Digest()}}
	full, err := sink.Lines(t.Context(), record.Part{Kind: record.PartRefs}, m.Encode())
	check(t, err)
	b, err := src.Git.Output(t.Context(), strings.NewReader(strings.Join(m.Tips(), "\n")+"\n"), "pack-objects", "--revs", "--stdout", "-q")
	check(t, err)
	attrs := record.Attrs{"objects": strconv.Itoa(int(binary.BigEndian.Uint32(b[8:]))), "trailer": hex.EncodeToString(b[len(b)-20:])}
	pack, err := sink.Part(t.Context(), record.Part{Kind: record.PartPack, Attrs: attrs}, -1, bytes.NewReader(b))
	check(t, err)
	rec.Parts = []record.Part{full, pack}
	return rec
}

// fleet is some repositories in memory.
type fleet struct {
	t       testing.TB
	mem     *sourcetest.Memory
	records []*record.Record
	damaged record.Hash
	down    record.Hash
	src     *gittest.Repo
}

func newFleet(t testing.TB, paths ...string) *fleet {
	t.Helper()
	f := &fleet{t: t, mem: &sourcetest.Memory{}, src: gittest.New(t, filepath.Join(t.TempDir(), "src.git"), "", true)}
	for i, p := range paths {
		f.src.Commit("main", map[string]string{"a": fmt.Sprint(i)})
		f.records = append(f.records, stored(t, f.mem, f.src, p))
	}
	return f
}

// Copy implements gitrepo.Parts.
func (f *fleet) Copy(ctx context.Context, w io.Writer, p *record.Part) error {
	switch p.SHA256 {
	case f.damaged:
		return &vault.DamageError{Object: "packs/00/00", Err: io.ErrUnexpectedEOF}
	case f.down:
		return errors.New("the store is down")
	}
	return f.mem.Copy(ctx, w, p)
}

func (f *fleet) all() iter.Seq2[*record.Record, error] {
	return func(yield func(*record.Record, error) bool) {
		for _, r := range f.records {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func (f *fleet) try(dest Destination, o Options) (*restore.Summary, error) {
	r := newRun(f, dest, o)
	err := r.all(f.t.Context(), f.all())
	return &r.sum, err
}

func (f *fleet) run(dest Destination, o Options) *restore.Summary {
	f.t.Helper()
	s, err := f.try(dest, o)
	check(f.t, err)
	return s
}

// counts are restored, equal, differing, overwritten, earlier, unrestorable, damaged, failed, escaped.
func counts(s *restore.Summary) [9]int64 {
	return [9]int64{s.Restored.Items, s.Equal.Items, s.Differs.Items, s.Overwritten.Items, s.Earlier.Items, s.Unrestorable.Items, s.Damaged.Items, s.Failed.Items, s.Escaped.Items}
}

func want(t testing.TB, s *restore.Summary, w [9]int64) {
	t.Helper()
	if got := counts(s); got != w {
		t.Errorf("restored, equal, differing, overwritten, earlier, unrestorable, damaged, failed, escaped: %v, want %v\n%+v", got, w, s)
	}
}

// TestDirectory restores, restores again, changes one, and replaces it.
func TestDirectory(t *testing.T) {
	f := newFleet(t, "a.git", "team/b.git", "team/b.git/modules/c", "team/copy/.git")
	to := filepath.Join(t.TempDir(), "out")
	dest := Destination{Dir: to}
	want(t, f.run(dest, Options{DryRun: true}), [9]int64{4})
	if _, err := os.Lstat(to); err == nil {
		t.Error("a dry run wrote something")
	}
	s := f.run(dest, Options{})
	want(t, s, [9]int64{4})
	for i, rec := range f.records {
		oid := gittest.At(t, filepath.Join(to, rec.Path)).Run("rev-parse", "main")
		if oid != f.src.Run("rev-parse", fmt.Sprintf("main~%d", len(f.records)-1-i)) {
			t.Errorf("%s: main is %s", rec.Path, oid)
		}
	}
	want(t, f.run(dest, Options{}), [9]int64{0, 4})
	changed := gittest.At(t, filepath.Join(to, "a.git"))
	changed.Set("refs/tags/new", "refs/heads/main")
	s = f.run(dest, Options{})
	want(t, s, [9]int64{0, 3, 1})
	if !strings.Contains(s.Differs.Named[0].Why, "refs/tags/new") {
		t.Errorf("%+v", s.Differs.Named)
	}
	for n := 1; n <= 2; n++ {
		want(t, f.run(dest, Options{Overwrite: true}), [9]int64{1, 3, 0, 1})
		gittest.At(t, fmt.Sprintf("%s/a.git.before-restore-%d", to, n)).Run("rev-parse", "refs/tags/new")
		gittest.At(t, filepath.Join(to, "a.git")).Set("refs/tags/new", "refs/heads/main")
	}
}

// TestPlaces holds that odd paths and what is in the way cost no repository, and lead nowhere else.
func TestPlaces(t *testing.T) {
	f := newFleet(t, "../out.git", "/abs.git", "a//b.git", "blocked/x.git", "file.git", "link/x.git", "folder.git")
	to := t.TempDir()
	check(t, os.WriteFile(filepath.Join(to, "blocked"), nil, 0o644))
	check(t, os.WriteFile(filepath.Join(to, "file.git"), nil, 0o644))
	outside := t.TempDir()
	check(t, os.Symlink(outside, filepath.Join(to, "link")))
	check(t, os.MkdirAll(filepath.Join(to, "folder.git", "precious"), 0o755))
	s := f.run(Destination{Dir: to}, Options{Overwrite: true})
	want(t, s, [9]int64{6, 0, 1, 0, 0, 0, 0, 0, 6})
	for _, n := range s.Escaped.Named {
		if n.As != dir.EscapedFolder+"/"+dir.Escape(n.Path) || n.Why == "" {
			t.Errorf("%+v", n)
		}
		gittest.At(t, filepath.Join(to, n.As)).Run("rev-parse", "main")
	}
	if entries, _ := os.ReadDir(outside); len(entries) != 0 {
		t.Error("something was written outside")
	}
	want(t, f.run(Destination{Dir: to}, Options{}), [9]int64{0, 6, 1, 0, 0, 0, 0, 0, 6})
}

// TestStates holds what becomes of repositories that the source could not read, of damaged ones, and of what is none.
func TestStates(t *testing.T) {
	f := newFleet(t, "1-good.git", "2-earlier.git", "3-damaged.git", "5-large.git")
	last := *f.records[1]
	last.Path, last.Kind = "", ""
	f.records[1] = &record.Record{Path: "2-earlier.git", Kind: record.KindGit, State: record.Unreadable, Reason: record.ReasonBroken, Detail: "a bad sector", Last: &last}
	f.damaged = f.records[2].Parts[1].SHA256
	large := f.records[3]
	f.records = append(f.records[:3],
		&record.Record{Path: "4-never.git", Kind: record.KindGit, State: record.Unreadable, Reason: record.ReasonDenied},
		&record.Record{Path: "4-object", Kind: record.KindObject, State: record.Present},
		large, &record.Record{Path: "5-large.git", Kind: record.KindLFS, State: record.Unreadable, Reason: record.ReasonOther},
		&record.Record{Path: "6-alone.git", Kind: record.KindSidecar, State: record.Present})
	s := f.run(Destination{Dir: t.TempDir()}, Options{})
	want(t, s, [9]int64{3, 0, 0, 0, 1, 4, 1})
	if n := s.Earlier.Named[0]; n.Path != "2-earlier.git" || !strings.Contains(n.Why, "a bad sector") {
		t.Errorf("%+v", n)
	}
	if n := s.Damaged.Named[0]; n.Path != "3-damaged.git" || !strings.Contains(n.Why, "pack 1 of 1") {
		t.Errorf("%+v", n)
	}
	if !s.Damage() || !s.Incomplete() {
		t.Error("it is taken for whole")
	}
	f.down = f.records[0].Parts[1].SHA256
	if _, err := f.try(Destination{Dir: t.TempDir()}, Options{}); err == nil || !strings.Contains(err.Error(), "1-good.git") || !strings.Contains(err.Error(), "down") {
		t.Errorf("a vault out of reach: %v", err)
	}
}

// TestBundles restores to files, again, and over others.
func TestBundles(t *testing.T) {
	f := newFleet(t, "a.git", "team/b.git")
	to := t.TempDir()
	dest, o := Destination{Dir: to}, Options{As: AsBundle}
	want(t, f.run(dest, o), [9]int64{2})
	f.src.Run("bundle", "verify", filepath.Join(to, "team/b.git.bundle"))
	want(t, f.run(dest, o), [9]int64{0, 2})
	check(t, os.WriteFile(filepath.Join(to, "a.git.bundle"), []byte("mine"), 0o644))
	want(t, f.run(dest, o), [9]int64{0, 1, 1})
	o.Overwrite = true
	want(t, f.run(dest, o), [9]int64{1, 1, 0, 1})
	if b, err := os.ReadFile(filepath.Join(to, "a.git.bundle.before-restore-1")); err != nil || string(b) != "mine" {
		t.Errorf("%q %v", b, err)
	}
	want(t, f.run(dest, Options{As: AsDump}), [9]int64{0, 0, 0, 0, 0, 2})
}

// TestURL pushes one repository to an address, and several below it.
func TestURL(t *testing.T) {
	root := t.TempDir()
	for _, p := range []string{"one.git", "all/a b.git", "all/team/copy.git"} {
		gittest.New(t, filepath.Join(root, p), "", true)
	}
	url := "git+" + gitserver.HTTP(t, root, gitserver.HTTPOptions{Push: true})
	f := newFleet(t, "a b.git", "team/copy/.git")
	dest := Destination{URL: url + "/all"}
	want(t, f.run(dest, Options{DryRun: true}), [9]int64{2})
	want(t, f.run(dest, Options{}), [9]int64{2})
	want(t, f.run(dest, Options{}), [9]int64{0, 2})
	gittest.At(t, filepath.Join(root, "all/team/copy.git")).Run("rev-parse", "main")
	f.records = append(f.records[:1], &record.Record{Path: "s", Kind: record.KindSidecar, State: record.Present})
	want(t, f.run(Destination{URL: url + "/one.git"}, Options{}), [9]int64{1, 0, 0, 0, 0, 1})
	gittest.At(t, filepath.Join(root, "one.git")).Run("rev-parse", "main")
	want(t, f.run(Destination{URL: url + "/missing.git"}, Options{}), [9]int64{0, 0, 0, 0, 0, 1, 0, 1})
}

// TestRefused holds what is said of options that can't be meant.
func TestRefused(t *testing.T) {
	f := newFleet(t, "a.git")
	for name, tc := range map[string]struct {
		dest Destination
		o    Options
	}{
		"nowhere": {}, "two places": {Destination{Dir: "x", URL: "y"}, Options{}}, "unknown form": {Destination{Dir: "x"}, Options{As: "tar"}},
		"a bundle to a server": {Destination{URL: "https://x"}, Options{As: AsBundle}}, "item and prefix": {Destination{Dir: "x"}, Options{Item: "a", Prefix: "b"}},
	} {
		if _, err := f.try(tc.dest, tc.o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	f.records = nil
	var missing *restore.NotFoundError
	if _, err := f.try(Destination{Dir: t.TempDir()}, Options{Item: "a.git"}); !errors.As(err, &missing) {
		t.Errorf("an item that is not there: %v", err)
	}
}

// scm is a source of the fleet's repositories, for a real vault.
type scm struct{ *fleet }

func (scm) Place() record.Place {
	return record.Place{Name: "code", Kind: "git", Place: "file:///x"}
}
func (scm) Check(context.Context) error                        { return nil }
func (scm) Unchanged(e source.Entry, last *record.Record) bool { return false }
func (s scm) List(_ context.Context, r source.Range, yield func(source.Entry) error) error {
	for _, rec := range s.records {
		if r.Contains(rec.Path) {
			if err := yield(source.Entry{Path: rec.Path, Kind: rec.Kind, Size: -1, Attrs: record.Attrs{}}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s scm) Capture(_ context.Context, e source.Entry, _ *record.Record, sink source.Sink) (*record.Record, error) {
	return stored(s.t, sink, s.src, e.Path), nil
}

// TestVault restores from a real vault: all, a prefix, one, and without the key that opens contents.
func TestVault(t *testing.T) {
	f := newFleet(t, "a.git", "team/b.git", "team/c.git")
	r := rig.New(t)
	r.ReplicateFrom(scm{f})
	snap, reader := r.Snapshot()
	for _, tc := range []struct {
		o Options
		n int64
	}{{Options{}, 3}, {Options{Prefix: "team/"}, 2}, {Options{Item: "team/c.git"}, 1}} {
		p := &restore.Progress{}
		tc.o.Progress = p
		s, err := Run(t.Context(), snap, reader, Destination{Dir: t.TempDir()}, tc.o)
		check(t, err)
		if s.Restored.Items != tc.n || p.Done.Load() != tc.n || p.Read.Load() == 0 || s.Source.Name != "code" || s.Commit == nil {
			t.Errorf("%+v: %+v", tc.o, s)
		}
	}
	snap, reader = r.AgentsSnapshot()
	s, err := Run(t.Context(), snap, reader, Destination{Dir: t.TempDir()}, Options{})
	if !errors.Is(err, vault.ErrLocked) || s.Restored.Items != 0 {
		t.Errorf("without the key: %+v %v", s, err)
	}
}

// TestInside holds that a repository waits for the one that it lies in.
func TestInside(t *testing.T) {
	var w inWork
	check(t, w.enter(t.Context(), "a.git"))
	check(t, w.enter(t.Context(), "a.gitx"))
	entered := make(chan error, 1)
	go func() { entered <- w.enter(t.Context(), "a.git/modules/b") }()
	w.done("a.gitx")
	select {
	case <-entered:
		t.Fatal("it did not wait")
	default:
	}
	w.done("a.git")
	check(t, <-entered)
	w.done("a.git/modules/b")
}

// fakeSVN makes a folder that looks like a repository, with what the record says.
type fakeSVN struct{}

func (fakeSVN) Build(_ context.Context, _ gitrepo.Parts, svn, _ *record.Record, dir string, _ bool) ([]string, error) {
	for _, sub := range []string{"db", "conf", "format"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, err
		}
	}
	return nil, os.WriteFile(filepath.Join(dir, "content"), []byte(svn.Attrs["content"]), 0o644)
}

func (fakeSVN) Same(_ context.Context, _ gitrepo.Parts, svn *record.Record, dir string) (bool, string, error) {
	b, err := os.ReadFile(filepath.Join(dir, "content"))
	return string(b) == svn.Attrs["content"], "its content differs", err
}

func (fakeSVN) Dump(_ context.Context, _ gitrepo.Parts, svn *record.Record, w io.Writer) error {
	_, err := io.WriteString(w, svn.Attrs["content"])
	return err
}

// TestSubversion restores a Subversion repository, again, over another, and as a dump.
func TestSubversion(t *testing.T) {
	f := newFleet(t, "a.git")
	rec := &record.Record{Path: "b-svn", Kind: record.KindSVN, State: record.Present, Attrs: record.Attrs{"content": "one"}}
	f.records = append(f.records, rec)
	to := t.TempDir()
	o := Options{SVN: fakeSVN{}}
	want(t, f.run(Destination{Dir: to}, o), [9]int64{2})
	want(t, f.run(Destination{Dir: to}, o), [9]int64{0, 2})
	rec.Attrs["content"] = "two"
	want(t, f.run(Destination{Dir: to}, o), [9]int64{0, 1, 1})
	o.Overwrite = true
	want(t, f.run(Destination{Dir: to}, o), [9]int64{1, 1, 0, 1})
	for path, content := range map[string]string{"b-svn": "two", "b-svn.before-restore-1": "one"} {
		if b, err := os.ReadFile(filepath.Join(to, path, "content")); err != nil || string(b) != content {
			t.Errorf("%s: %q %v", path, b, err)
		}
	}
	o.As = AsDump
	want(t, f.run(Destination{Dir: to}, o), [9]int64{1, 0, 0, 0, 0, 1})
	if b, err := os.ReadFile(filepath.Join(to, "b-svn.svndump")); err != nil || string(b) != "two" {
		t.Errorf("%q %v", b, err)
	}
	root := t.TempDir()
	gittest.New(t, filepath.Join(root, "a.git"), "", true)
	want(t, f.run(Destination{URL: "file://" + root}, Options{SVN: fakeSVN{}}), [9]int64{1, 0, 0, 0, 0, 1})
}

// abreast is a fakeSVN that reads all parts at the same time, as the chain of dumps and that of edited properties are read, and hides what that failed with, as
// a program does that is given its input through a pipe.
type abreast struct{ fakeSVN }

func (a abreast) Build(ctx context.Context, parts gitrepo.Parts, svn, _ *record.Record, _ string, _ bool) ([]string, error) {
	var all errgroup.Group
	for i := range svn.Parts {
		all.Go(func() error { return parts.Copy(ctx, io.Discard, &svn.Parts[i]) })
	}
	if all.Wait() != nil {
		return nil, errors.New("the program ended badly")
	}
	return nil, nil
}

// TestAbreast reads several parts of a repository at the same time, of which one is damaged: it is that, whichever ends last.
func TestAbreast(t *testing.T) {
	f := newFleet(t)
	rec := &record.Record{Path: "svn", Kind: record.KindSVN, State: record.Present}
	for i := range 8 {
		body := strings.Repeat(strconv.Itoa(i), 100<<i)
		p, err := f.mem.Part(t.Context(), record.Part{Kind: record.PartDump}, int64(len(body)), strings.NewReader(body))
		check(t, err)
		rec.Parts = append(rec.Parts, p)
	}
	f.records = append(f.records, rec)
	f.damaged = rec.Parts[0].SHA256
	sum := f.run(Destination{Dir: t.TempDir()}, Options{SVN: abreast{}})
	if sum.Damaged.Items != 1 || sum.Failed.Items != 0 {
		t.Errorf("damaged %+v, failed %+v", sum.Damaged, sum.Failed)
	}
}

var _ gitrepo.Parts = (*fleet)(nil)
