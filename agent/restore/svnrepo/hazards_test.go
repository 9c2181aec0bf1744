package svnrepo_test

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
	"farshore/agent/repo/svncmd"
	"farshore/agent/repo/svntest"
	"farshore/agent/restore/svnrepo"
	"farshore/agent/source"
	"farshore/agent/source/sourcetest"
	"farshore/agent/source/svn"
)

// trunk makes a repository with two files in it.
func trunk(t *testing.T, dir string, create ...string) *svntest.Repo {
	t.Helper()
	r := svntest.New(t, dir, create...)
	r.Commit("a trunk",
		svntest.Node{Path: "trunk", Action: "add", Dir: true},
		svntest.Node{Path: "trunk/a", Action: "add", Text: []byte("one\n"), Props: map[string]string{"svn:eol-style": "native"}},
		svntest.Node{Path: "trunk/b", Action: "add", Text: []byte{0, 1, 2, 255, '\r', '\n'}})
	return r
}

func change(text string) svntest.Node {
	return svntest.Node{Path: "trunk/a", Action: "change", Text: []byte(text)}
}

// TestEmpty captures an empty repository, fills it, and captures it again.
func TestEmpty(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	r := local(t, root)
	dir := filepath.Join(root, "app")
	repo := svntest.New(t, dir)
	r.pass()
	r.same(dir)
	repo.Commit("x", svntest.Node{Path: "a", Action: "add", Text: []byte("a")})
	r.pass()
	r.same(dir)
}

// TestReplaced puts another repository in the place of one that was captured: a new chain is begun, and the older record still restores.
func TestReplaced(t *testing.T) {
	tests := []struct {
		name string
		put  func(r *svntest.Repo) // in an empty repository with the same id
		why  string
	}{
		{"an older state", func(r *svntest.Repo) { r.Commit("other", svntest.Node{Path: "x", Action: "add", Dir: true}) }, "the youngest revision was 2 and is 1"},
		{"another last revision", func(r *svntest.Repo) {
			for range 4 {
				r.Commit("other", svntest.Node{Path: fmt.Sprint("x", r.Next()), Action: "add", Dir: true})
			}
		}, "revision 2 is not what it was"},
		{"another earlier dump", func(r *svntest.Repo) {
			r.Commit("a trunk", svntest.Node{Path: "trunk", Action: "add", Dir: true}, svntest.Node{Path: "trunk/a", Action: "add", Text: []byte("secret")})
			r.Commit("x", change("two"))
		}, "revision 1 is not what it was"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			root := t.TempDir()
			r := local(t, root)
			dir := filepath.Join(root, "app")
			repo := trunk(t, dir)
			r.pass()
			repo.Commit("x", change("two"))
			r.pass()
			before, old := svntest.Dump(t, dir), r.svn()
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
			other := svntest.New(t, dir)
			svntest.Run(t, nil, svncmd.Admin, "setuuid", dir, old.Attrs["uuid"])
			test.put(other)
			r.pass()
			if got := r.svn().Attrs["rewritten"]; !strings.HasSuffix(got, ": "+test.why) {
				t.Errorf("rewritten is %q, want %q", got, test.why)
			}
			if r.count(record.PartDump) != 1 || r.svn().Attrs[record.AttrOmitted] != "" {
				t.Errorf("a new chain has %d dumps and omits %q", r.count(record.PartDump), r.svn().Attrs[record.AttrOmitted])
			}
			r.same(dir)
			r.last[record.KindSVN] = old
			if restored, _ := r.restore(svnrepo.Options{}); svntest.Dump(t, restored) != before {
				t.Error("the older record restores to something else")
			}
		})
	}
}

// corrupt overwrites bytes of a revision's file and returns what mends it.
func corrupt(t *testing.T, dir string, revision int64) (mend func()) {
	t.Helper()
	file := filepath.Join(dir, "db/revs/0", fmt.Sprint(revision))
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	put := func(b []byte) {
		if err := os.Chmod(file, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	bad := bytes.Clone(good)
	for i := range min(40, len(bad)/2) {
		bad[i] ^= 0x5a
	}
	put(bad)
	return func() { put(good) }
}

// TestCorrupt damages a revision: what is before it is captured, the rest is named, and the next pass goes on once it is mended.
func TestCorrupt(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	r := local(t, root)
	dir := filepath.Join(root, "app")
	repo := trunk(t, dir)
	for i := range 4 {
		repo.Commit("x", change(strings.Repeat(fmt.Sprint(i, "\n"), 100)))
	}
	mend := corrupt(t, dir, 4)
	for range 2 {
		r.pass()
		if got := r.svn().Attrs["youngest"]; got != "3" {
			t.Fatalf("captured up to %s", got)
		}
		if got := r.svn().Attrs[record.AttrOmitted]; !strings.HasPrefix(got, "revisions 4 to 5: ") || strings.Contains(got, "\n") {
			t.Errorf("omitted is %q", got)
		}
		r.restore(svnrepo.Options{})
	}
	mend()
	r.pass()
	if got := r.svn().Attrs[record.AttrOmitted]; got != "" {
		t.Errorf("omitted is %q", got)
	}
	r.same(dir)
}

// TestBroken expects what is wrong with a repository to be told as an unreadable item, and all others to be captured.
func TestBroken(t *testing.T) {
	tests := []struct {
		name, reason, detail string
		harm                 func(t *testing.T, dir string)
	}{
		{"the first revision", record.ReasonBroken, "no revision can be dumped", func(t *testing.T, dir string) { corrupt(t, dir, 0) }},
		{"a back end that is gone", record.ReasonUnsupported, "the back end is bdb", func(t *testing.T, dir string) { put(t, dir, "db/fs-type", "bdb\n") }},
		{"an experiment", record.ReasonUnsupported, "the back end is fsx", func(t *testing.T, dir string) { put(t, dir, "db/fs-type", "fsx\n") }},
		{"no youngest revision", record.ReasonBroken, "db/current", func(t *testing.T, dir string) { put(t, dir, "db/current", "\x00\x00") }},
		{"a newer format", record.ReasonUnsupported, "newer version", func(t *testing.T, dir string) { put(t, dir, "format", "99\n") }},
		{"a newer back end", record.ReasonUnsupported, "newer version", func(t *testing.T, dir string) { put(t, dir, "db/format", "99\n") }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			root := t.TempDir()
			r := local(t, root)
			test.harm(t, trunk(t, filepath.Join(root, "bad")).Dir)
			s := r.source()
			entries := sourcetest.List(t, s, source.Range{})
			i := slices.IndexFunc(entries, func(e source.Entry) bool { return e.Kind == record.KindSVN })
			_, err := s.Capture(t.Context(), entries[i], nil, r.mem)
			var un *source.Unreadable
			if !errors.As(err, &un) || un.Reason != test.reason || !strings.Contains(un.Detail, test.detail) {
				t.Fatalf("capture: %v", err)
			}
		})
	}
}

func put(t *testing.T, dir, name, text string) {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.Remove(file); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestSidecar restores hooks and configuration, aside or in place.
func TestSidecar(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	dir := filepath.Join(root, "app")
	trunk(t, dir)
	put(t, dir, "hooks/post-commit", "#!/bin/sh\nexit 0\n")
	if err := os.Chmod(filepath.Join(dir, "hooks/post-commit"), 0o755); err != nil {
		t.Fatal(err)
	}
	put(t, dir, "conf/authz", "[/]\n* = r\n")
	if err := os.Symlink("post-commit", filepath.Join(dir, "hooks/post-lock")); err != nil {
		t.Fatal(err)
	}
	r := local(t, root)
	r.pass()
	tests := []struct {
		o     svnrepo.Options
		files map[string]os.FileMode
	}{
		{svnrepo.Options{}, map[string]os.FileMode{"farshore-sidecar/hooks/post-commit": 0o644, "farshore-sidecar/conf/authz": 0o600, "farshore-sidecar/hooks/post-lock.link": 0o600, "farshore-sidecar/db/uuid": 0o644}},
		{svnrepo.Options{Hooks: true}, map[string]os.FileMode{"hooks/post-commit": 0o755, "conf/authz": 0o600, "hooks/post-lock": 0o755, "farshore-sidecar/db/fsfs.conf": 0o644}},
	}
	for _, test := range tests {
		dir, report := r.restore(test.o)
		for name, mode := range test.files {
			info, err := os.Stat(filepath.Join(dir, name))
			if err != nil || info.Mode().Perm() != mode {
				t.Errorf("%+v: %s: %v, %v", test.o, name, info, err)
			}
		}
		if _, err := os.Stat(filepath.Join(dir, "hooks/post-commit")); (err == nil) != test.o.Hooks {
			t.Errorf("%+v: the hook in place: %v", test.o, err)
		}
		if report.Files != len(r.last[record.KindSidecar].Parts) || report.UUID != r.svn().Attrs["uuid"] || report.Revisions != 1 {
			t.Errorf("report %+v", report)
		}
	}
}

// TestHostileSidecar expects names that lead out of the folder to be refused, and nothing to be left.
func TestHostileSidecar(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	r := local(t, root)
	trunk(t, filepath.Join(root, "app"))
	r.pass()
	good := r.last[record.KindSidecar].Parts[0]
	for _, name := range []string{"../x", "/x", "hooks/../../x", ""} {
		p := good
		p.Attrs = record.Attrs{"name": name, "mode": "644"}
		to := filepath.Join(t.TempDir(), "to")
		set := svnrepo.Set{SVN: r.svn(), Sidecar: &record.Record{Parts: []record.Part{p}}}
		if _, err := svnrepo.Build(t.Context(), r.mem, set, to, svnrepo.Options{Hooks: true}); err == nil {
			t.Errorf("%q was written", name)
		}
		left(t, filepath.Dir(to))
	}
}

func left(t *testing.T, dir string) {
	t.Helper()
	if all, err := os.ReadDir(dir); err != nil || len(all) > 0 {
		t.Errorf("left in %s: %v, %v", dir, all, err)
	}
}

// TestLostParts expects a restore without any one of the parts that it needs to fail and to leave nothing.
func TestLostParts(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	r := local(t, root)
	repo := trunk(t, filepath.Join(root, "app"))
	r.pass()
	repo.Commit("x", change("two"))
	repo.SetRevprop(1, "svn:log", "edited")
	r.pass()
	n := 0
	for i := range r.svn().Parts {
		p := r.svn().Parts[i]
		if p.Kind != record.PartDump && p.Kind != record.PartRevprops {
			continue
		}
		n++
		mem := &sourcetest.Memory{}
		for j := range r.svn().Parts {
			var b bytes.Buffer
			if err := r.mem.Copy(t.Context(), &b, &r.svn().Parts[j]); err != nil {
				t.Fatal(err)
			}
			if _, err := mem.Part(t.Context(), record.Part{}, -1, &b); err != nil {
				t.Fatal(err)
			}
		}
		mem.Forget(&p)
		to := filepath.Join(t.TempDir(), "to")
		if _, err := svnrepo.Build(t.Context(), mem, svnrepo.Set{SVN: r.svn()}, to, svnrepo.Options{}); err == nil || !strings.Contains(err.Error(), "no part of kind") {
			t.Errorf("without %s: %v", p.Kind, err)
		}
		left(t, filepath.Dir(to))
	}
	if n != 3 {
		t.Errorf("%d parts", n)
	}
}

// TestCheckFinds changes a restored repository in many ways, each of which the check must find.
func TestCheckFinds(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	r := local(t, root)
	repo := trunk(t, filepath.Join(root, "app"))
	repo.Lock("/trunk/b", "bob", "mine")
	repo.Commit("x", change("two"))
	r.pass()
	tests := []struct{ name, finds string }{
		{"setuuid", "uuid is"}, {"rmlocks", "the locks differ"}, {"more", "was not captured"}, {"revprop", "properties of revisions 0 to 2 differ"}, {"corrupt", "svnadmin verify"},
		{"other", "revision 2 differs"}, {"less", "revisions from 1 on are missing"},
	}
	restored, _ := r.restore(svnrepo.Options{})
	for _, test := range tests {
		dir := filepath.Join(t.TempDir(), "restored")
		if err := os.CopyFS(dir, os.DirFS(restored)); err != nil {
			t.Fatal(err)
		}
		switch test.name {
		case "setuuid":
			svntest.Run(t, nil, svncmd.Admin, "setuuid", dir)
		case "rmlocks":
			svntest.Run(t, nil, svncmd.Admin, "rmlocks", dir, "/trunk/b")
		case "more":
			svntest.Run(t, strings.NewReader("SVN-fs-dump-format-version: 2\n\nRevision-number: 3\n\n"), svncmd.Admin, "load", "--quiet", dir)
		case "revprop":
			svntest.Run(t, nil, svncmd.Admin, "delrevprop", dir, "-r1", "svn:log")
		case "corrupt":
			corrupt(t, dir, 2)
		case "other", "less":
			uuid := r.svn().Attrs["uuid"]
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
			other := svntest.New(t, dir)
			svntest.Run(t, nil, svncmd.Admin, "setuuid", dir, uuid)
			if test.name == "other" {
				trunk := svntest.Node{Path: "trunk", Action: "add", Dir: true}
				other.Commit("a trunk", trunk, svntest.Node{Path: "trunk/a", Action: "add", Text: []byte("two")})
				other.Commit("x", change("three"))
			}
		}
		if got := strings.Join(r.check(dir), "\n"); !strings.Contains(got, test.finds) {
			t.Errorf("%s: the check finds %q", test.name, got)
		}
	}
}

// TestDump writes one dump of a chain, which an empty repository takes.
func TestDump(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	r := local(t, root)
	repo := trunk(t, filepath.Join(root, "app"))
	for i := range 3 {
		r.pass()
		repo.SetRevprop(int64(i), "svn:log", "edited")
		repo.Commit("x", change(fmt.Sprint(i)))
	}
	r.pass()
	var buf bytes.Buffer
	if err := svnrepo.Dump(t.Context(), r.mem, r.set(), &buf); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "new")
	svntest.New(t, dir)
	svntest.Run(t, &buf, svncmd.Admin, "load", "--quiet", dir)
	if svntest.Dump(t, dir) != svntest.Dump(t, repo.Dir) {
		t.Error("the dumps differ")
	}
}

// TestVanished moves a repository away.
func TestVanished(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	r := local(t, root)
	trunk(t, filepath.Join(root, "app"))
	r.pass()
	if err := os.Rename(filepath.Join(root, "app"), filepath.Join(t.TempDir(), "gone")); err != nil {
		t.Fatal(err)
	}
	s := r.source()
	if got := sourcetest.List(t, s, source.Range{}); len(got) > 0 {
		t.Errorf("listed %v", got)
	}
	if _, err := s.Capture(t.Context(), source.Entry{Path: "app", Kind: record.KindSVN}, r.svn(), r.mem); !errors.Is(err, source.ErrGone) {
		t.Errorf("capture: %v", err)
	}
	if _, err := s.Look(t.Context(), "app", record.KindSVN); !errors.Is(err, source.ErrGone) {
		t.Errorf("look: %v", err)
	}
	if u := s.Vanished(r.svn()); u == nil || u.Reason != record.ReasonVanished || u.Attrs["uuid"] == "" {
		t.Errorf("vanished: %v", u)
	}
}

var _ source.Lasting = (*svn.Source)(nil)
var _ source.Looker = (*svn.Source)(nil)
