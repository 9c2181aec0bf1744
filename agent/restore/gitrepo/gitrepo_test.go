package gitrepo_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"farshore/agent/record"
	"farshore/agent/repo/gittest"
	"farshore/agent/repo/refs"
	"farshore/agent/restore/gitrepo"
	"farshore/agent/restore/internal/workplace"
)

// TestHistories restores repositories as of each of several captures, and compares refs, HEAD and objects with the source.
func TestHistories(t *testing.T) {
	long := os.Getenv("FARSHORE_TEST_LONG") == "1"
	text := func(n int) map[string]string {
		return map[string]string{"a.txt": strings.Repeat(fmt.Sprintf("line %d\n", n), 200), fmt.Sprintf("dir/%d", n): fmt.Sprint(n)}
	}
	for name, steps := range map[string][]func(r *gittest.Repo){
		"branches: empty, filled, pushed by force, deleted, names that become folders of names": {
			func(*gittest.Repo) {},
			func(r *gittest.Repo) {
				r.Commit("main", text(1))
				r.Commit("main", text(2))
				r.Branch("old", "refs/heads/main")
				r.Branch("topic", "refs/heads/main")
			},
			func(r *gittest.Repo) {
				r.Force("main", "refs/heads/main~1")
				r.Delete("refs/heads/old")
				r.Delete("refs/heads/topic")
				r.Branch("topic/x", "refs/heads/main")
			},
			func(r *gittest.Repo) {
				r.Commit("main", text(3))
				r.Delete("refs/heads/topic/x")
				r.Branch("topic", "refs/heads/main")
				r.Commit("topic", text(4))
				r.Tag("v1", "refs/heads/main", "annotated")
			},
		},
		"HEAD: detached, left behind, unborn, on another branch than one with its id": {
			func(r *gittest.Repo) {
				r.Commit("main", text(1))
				r.Run("update-ref", "--no-deref", "HEAD", r.Run("rev-parse", "main"))
			},
			func(r *gittest.Repo) { r.Commit("main", text(2)) },
			func(r *gittest.Repo) { r.Run("symbolic-ref", "HEAD", "refs/heads/not/there") },
			func(r *gittest.Repo) {
				r.Branch("develop", "refs/heads/main")
				r.Run("symbolic-ref", "HEAD", "refs/heads/develop")
			},
		},
		"odd refs: tags of blobs and trees, replaced objects, odd places": {
			func(r *gittest.Repo) {
				c := r.Commit("main", text(1))
				r.Set("refs/blobs/x", r.Blob("only here"))
				r.Set("refs/trees/x", r.Run("rev-parse", c+"^{tree}"))
				r.Tag("blob", r.Blob("a tagged blob"), "of a blob")
				r.Tag("tree", r.Run("rev-parse", c+"^{tree}"), "of a tree")
				r.Set("refs/remotes/origin/x", c)
				r.Run("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/x")
				r.Set("refs/pull/1/head", c)
				r.Set("refs/heads/caf\xe9", c)
				r.Set("refs/heads/"+strings.Repeat("long", 50), c)
				r.Set("refs/replace/"+c, r.Commit("other", text(2)))
			},
			func(r *gittest.Repo) { r.Delete("refs/blobs/x"); r.Commit("main", text(3)) },
		},
	} {
		for _, format := range []string{"sha1", "sha256"} {
			if format == "sha256" && !strings.HasPrefix(name, "branches") && !long {
				continue
			}
			t.Run(name[:strings.IndexByte(name, ':')]+"/"+format, func(t *testing.T) {
				t.Parallel()
				src := gittest.New(t, filepath.Join(t.TempDir(), "src.git"), format, true)
				c := newCapture(t, src, "team/app.git")
				for i, step := range steps {
					step(src)
					m := c.take()
					got, rep := c.build(c.set(), gitrepo.Options{})
					c.equal(got)
					if rep.Refs != len(m.Refs) || rep.Packs != len(c.packs()) {
						t.Errorf("step %d: the report says %+v", i, rep)
					}
					if bare := got.Run("config", "core.bare"); bare != "true" {
						t.Errorf("core.bare is %s", bare)
					}
					if i == len(steps)-1 || long {
						c.bundled(got)
					}
				}
			})
		}
	}
}

// TestDanglingSymref holds that a symbolic ref that points to nothing comes back.
func TestDanglingSymref(t *testing.T) {
	src := gittest.New(t, filepath.Join(t.TempDir(), "src.git"), "", true)
	src.Commit("main", map[string]string{"a": "1"})
	c := newCapture(t, src, "app.git")
	m := c.manifest()
	m.Refs = append([]refs.Ref{{Name: "refs/aliases/gone", Symref: "refs/heads/gone"}}, m.Refs...)
	c.with(m)
	got, _ := c.build(c.set(), gitrepo.Options{})
	if target := got.Run("symbolic-ref", "refs/aliases/gone"); target != "refs/heads/gone" {
		t.Errorf("it points to %q", target)
	}
	same, why, err := gitrepo.Same(t.Context(), c.mem, c.set(), got.Dir)
	if err != nil || !same {
		t.Errorf("same: %v %q %v", same, why, err)
	}
}

// TestWorkingCopy holds that the git directory of a working copy is not bare.
func TestWorkingCopy(t *testing.T) {
	src := gittest.New(t, filepath.Join(t.TempDir(), "src.git"), "", true)
	src.Commit("main", map[string]string{"a": "1"})
	c := newCapture(t, src, "app.git")
	c.take()
	for path, bare := range map[string]string{"team/copy/.git": "false", ".git": "false", "app.git": "true", "team/x.git": "true"} {
		c.rec.Path = path
		got, _ := c.build(c.set(), gitrepo.Options{})
		if have := got.Run("config", "core.bare"); have != bare {
			t.Errorf("%s: core.bare is %s", path, have)
		}
	}
}

// three returns a capture of a base and two thin packs.
func three(t testing.TB) *capture {
	src := gittest.New(t, filepath.Join(t.TempDir(), "src.git"), "", true)
	c := newCapture(t, src, "team/app.git")
	for i := range 3 {
		src.Commit("main", map[string]string{"a.txt": strings.Repeat(fmt.Sprintf("line of %d\n", i/2), 500) + fmt.Sprint(i), fmt.Sprint(i): fmt.Sprint(i)})
		c.take()
	}
	if len(c.packs()) != 3 {
		t.Fatalf("%d packs", len(c.packs()))
	}
	return c
}

// TestDamage holds that what is wrong with a record fails the build with a name, and leaves nothing.
func TestDamage(t *testing.T) {
	good := three(t)
	flip := func(b []byte) []byte { b = slices.Clone(b); b[len(b)/2] ^= 1; return b }
	cut := func(b []byte) []byte { return b[:len(b)/2] }
	more := func(b []byte) []byte { return append(slices.Clone(b), "more"...) }
	change := func(i int, f func([]byte) []byte) func(*capture) gitrepo.Parts {
		return func(c *capture) gitrepo.Parts {
			return damaging{c.mem, c.rec.Parts[c.packs()[i]].SHA256, f}
		}
	}
	attr := func(i int, key, value string) func(*capture) gitrepo.Parts {
		return func(c *capture) gitrepo.Parts { c.rec.Parts[c.packs()[i]].Attrs[key] = value; return c.mem }
	}
	for name, tc := range map[string]struct {
		do   func(*capture) gitrepo.Parts
		want string
	}{
		"a pack in the middle is lost": {func(c *capture) gitrepo.Parts { return lossy{c.mem, c.rec.Parts[c.packs()[1]].SHA256} }, "pack 2 of 3"},
		"a pack is not in the record": {func(c *capture) gitrepo.Parts {
			i := c.packs()[1]
			c.rec.Parts = slices.Delete(c.rec.Parts, i, i+1)
			return c.mem
		}, "pack 2 of 2"},
		"the last pack is not there": {func(c *capture) gitrepo.Parts {
			i := c.packs()[2]
			c.rec.Parts = slices.Delete(c.rec.Parts, i, i+1)
			return c.mem
		}, "one is missing"},
		"a flipped bit in the base":    {change(0, flip), "pack 1 of 3"},
		"a flipped bit in a thin pack": {change(2, flip), "pack 3 of 3"},
		"a pack is cut off":            {change(1, cut), "pack 2 of 3"},
		"bytes behind a pack":          {change(1, more), "pack 2 of 3"},
		"another trailer":              {attr(2, "trailer", strings.Repeat("ab", 20)), "trailer"},
		"another number of objects":    {attr(1, "objects", "2"), "objects"},
		"other ids":                    {attr(0, "ids", strings.Repeat("ab", 32)), "ids"},
		"an unknown encoding":          {func(c *capture) gitrepo.Parts { c.rec.Parts[c.packs()[1]].Encoding = "new"; return c.mem }, "encoding"},
		"no refs":                      {func(c *capture) gitrepo.Parts { c.rec.Parts = c.rec.Parts[1:]; return c.mem }, "refs"},
		"refs lost":                    {func(c *capture) gitrepo.Parts { return lossy{c.mem, c.rec.Part(record.PartRefs).SHA256} }, "refs"},
		"another digest of refs":       {func(c *capture) gitrepo.Parts { c.rec.Attrs["refs"] = strings.Repeat("0", 64); return c.mem }, "digest"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := good.in(t)
			parts := tc.do(c)
			dir := t.TempDir()
			rep, err := gitrepo.Build(t.Context(), parts, c.set(), filepath.Join(dir, "app.git"), gitrepo.Options{})
			var part *gitrepo.PartError
			if rep != nil || !errors.As(err, &part) || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "team/app.git") {
				t.Errorf("build: %v, %v; want an error with %q", rep, err, tc.want)
			}
			empty(t, dir)
			if name == "the last pack is not there" || name == "other ids" {
				return // a bundle of one pack has no such check, or the base alone is fine
			}
			if err := gitrepo.Bundle(t.Context(), parts, c.set(), &strings.Builder{}, t.TempDir()); err == nil {
				t.Error("a bundle was made of it")
			}
		})
	}
}

// TestTaken holds that nothing that is there is touched.
func TestTaken(t *testing.T) {
	c := three(t)
	for name, make := range map[string]func(path string) error{
		"a file":          func(p string) error { return os.WriteFile(p, []byte("x"), 0o644) },
		"an empty folder": func(p string) error { return os.Mkdir(p, 0o755) },
		"a dangling link": func(p string) error { return os.Symlink("/nowhere", p) },
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "app.git")
		c.must(make(path))
		before := mode(t, path)
		if _, err := gitrepo.Build(t.Context(), c.mem, c.set(), path, gitrepo.Options{}); !errors.Is(err, gitrepo.ErrExists) {
			t.Errorf("%s: %v", name, err)
		}
		if entries, _ := os.ReadDir(dir); mode(t, path) != before || len(entries) != 1 {
			t.Errorf("%s: it changed, or something was left", name)
		}
	}
}

// stopping ends the context when the second pack is read.
type stopping struct {
	gitrepo.Parts
	at   record.Hash
	stop context.CancelFunc
}

func (s stopping) Copy(ctx context.Context, w io.Writer, p *record.Part) error {
	if p.SHA256 == s.at {
		s.stop()
		<-ctx.Done()
		return ctx.Err()
	}
	return s.Parts.Copy(ctx, w, p)
}

// TestInterrupted holds that an interrupted build leaves nothing, and that what a killed one left is removed while one at work is left alone.
func TestInterrupted(t *testing.T) {
	c := three(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "app.git")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	_, err := gitrepo.Build(ctx, stopping{c.mem, c.rec.Parts[c.packs()[1]].SHA256, stop}, c.set(), path, gitrepo.Options{})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
	empty(t, dir)

	left := filepath.Join(dir, ".app.git"+workplace.Mark+"123")
	c.must(os.MkdirAll(filepath.Join(left, "objects", "pack"), 0o755))
	c.must(os.WriteFile(filepath.Join(left, "objects", "pack", "x"), nil, 0o400))
	other := filepath.Join(dir, ".other.git"+workplace.Mark+"123")
	c.must(os.MkdirAll(other, 0o755))
	_, err = gitrepo.Build(t.Context(), c.mem, c.set(), path, gitrepo.Options{})
	c.must(err)
	if _, err := os.Lstat(left); !os.IsNotExist(err) {
		t.Errorf("what an interrupted build left is still there: %v", err)
	}
	mode(t, other)
	c.clean(c.set(), path)
}

// TestManyRefs holds that 100,000 refs take seconds.
func TestManyRefs(t *testing.T) {
	src := gittest.New(t, filepath.Join(t.TempDir(), "src.git"), "", true)
	oid := src.Commit("main", map[string]string{"a": "1"})
	c := newCapture(t, src, "app.git")
	m := c.manifest()
	for i := range 100_000 {
		m.Refs = append(m.Refs, refs.Ref{Name: fmt.Sprintf("refs/pull/%06d/head", i), OID: oid})
	}
	c.with(m)
	got, rep := c.build(c.set(), gitrepo.Options{})
	if rep.Refs != 100_001 || got.Run("rev-parse", "refs/pull/099999/head") != oid {
		t.Errorf("%+v", rep)
	}
}
