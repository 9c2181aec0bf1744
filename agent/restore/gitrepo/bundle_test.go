package gitrepo_test

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"farshore/agent/repo/gittest"
	"farshore/agent/restore/gitrepo"
	"farshore/agent/restore/internal/workplace"
)

// bundled makes a bundle and holds that git verifies it, and fetches all refs of the repository from it.
func (c *capture) bundled(want *gittest.Repo) {
	c.t.Helper()
	dir := c.t.TempDir()
	file := filepath.Join(dir, "app.bundle")
	c.must(workplace.NewFile(file, func(w io.Writer) error { return gitrepo.Bundle(c.t.Context(), c.mem, c.set(), w, dir) }))
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		c.t.Fatalf("%d entries were left in the scratch folder", len(entries))
	}
	if same, err := gitrepo.SameBundle(c.t.Context(), c.mem, c.set(), file); err != nil || !same {
		c.t.Fatalf("the bundle is not its own: %v", err)
	}
	m := c.manifest()
	if len(m.Tips()) == 0 {
		return // git verifies and fetches no bundle without refs
	}
	got := gittest.New(c.t, filepath.Join(dir, "fetched.git"), c.repo.Format, true)
	got.Run("bundle", "verify", file)
	got.Run("fetch", "--quiet", file, "+refs/*:refs/*")
	have := got.Refs()
	for _, r := range m.Refs {
		if have[r.Name] != r.OID {
			c.t.Fatalf("%q is %q in the bundle, and %q at the source", r.Name, have[r.Name], r.OID)
		}
	}
	if objects := got.Objects(); len(m.HeadOID) == 0 && !slices.Equal(objects, want.Objects()) {
		c.t.Fatalf("%d objects in place of %d", len(objects), len(want.Objects()))
	}
}

// TestBundleClone holds that git clone takes a bundle, and finds the branch of HEAD among several with the same id.
func TestBundleClone(t *testing.T) {
	for _, format := range []string{"sha1", "sha256"} {
		src := gittest.New(t, filepath.Join(t.TempDir(), "src.git"), format, true)
		src.Commit("alpha", map[string]string{"a": "1"})
		src.Branch("zulu", "refs/heads/alpha")
		src.Run("symbolic-ref", "HEAD", "refs/heads/zulu")
		c := newCapture(t, src, "app.git")
		c.take()
		src.Commit("zulu", map[string]string{"a": "2"})
		src.Run("update-ref", "refs/heads/alpha", "refs/heads/zulu")
		c.take()
		dir := t.TempDir()
		file, clone := filepath.Join(dir, "app.bundle"), filepath.Join(dir, "clone")
		c.must(workplace.NewFile(file, func(w io.Writer) error { return gitrepo.Bundle(t.Context(), c.mem, c.set(), w, "") }))
		src.Run("clone", "--quiet", file, clone)
		if text := read(t, clone, "a"); text != "2" {
			t.Errorf("the file has %q", text)
		}
		if head := read(t, clone, ".git", "HEAD"); head != "ref: refs/heads/zulu\n" {
			t.Errorf("HEAD is %q", head)
		}
	}
}

// TestSameBundle holds that a bundle is taken for its own only when it is whole and has the same refs.
func TestSameBundle(t *testing.T) {
	c := three(t)
	file := filepath.Join(t.TempDir(), "b")
	c.must(workplace.NewFile(file, func(w io.Writer) error { return gitrepo.Bundle(t.Context(), c.mem, c.set(), w, "") }))
	whole := []byte(read(t, file))
	flipped := slices.Clone(whole)
	flipped[len(flipped)-100] ^= 1
	for name, b := range map[string][]byte{"flipped": flipped, "cut": whole[:len(whole)-50], "header": whole[:40], "nothing": nil} {
		c.must(os.WriteFile(file, b, 0o644))
		if same, err := gitrepo.SameBundle(t.Context(), c.mem, c.set(), file); err != nil || same {
			t.Errorf("%s: %v %v", name, same, err)
		}
	}
	c.must(os.WriteFile(file, whole, 0o644))
	c.repo.Branch("new", "refs/heads/main")
	c.take()
	if same, err := gitrepo.SameBundle(t.Context(), c.mem, c.set(), file); err != nil || same {
		t.Errorf("other refs: %v %v", same, err)
	}
}
