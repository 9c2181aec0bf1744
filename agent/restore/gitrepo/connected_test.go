package gitrepo_test

import (
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"farshore/agent/repo/gitcmd"
	"farshore/agent/repo/gittest"
	"farshore/agent/repo/refs"
	"farshore/agent/restore/gitrepo"
)

// TestTooLittle holds that a repository whose packs came from a server, and do not have all that its refs reach, is not taken for a whole one.
func TestTooLittle(t *testing.T) {
	repo := gittest.New(t, filepath.Join(t.TempDir(), "app.git"), "sha1", true)
	repo.Commit("main", map[string]string{"a": "1\n"})
	c := newCapture(t, repo, "app.git")
	c.take()
	c.tips = append(c.tips, repo.Commit("main", map[string]string{"a": "2\n"})) // which the server leaves out
	repo.Commit("main", map[string]string{"b": "3\n"})
	c.take()
	for i := range c.rec.Parts {
		delete(c.rec.Parts[i].Attrs, "ids") // nobody but the server knew them
	}
	_, err := gitrepo.Build(t.Context(), c.mem, c.set(), filepath.Join(t.TempDir(), "out.git"), gitrepo.Options{})
	if err == nil || !strings.Contains(err.Error(), "do not have all that the refs reach") {
		t.Errorf("error %v", err)
	}
}

// TestAlone holds that a fork's repository is restored without what only the repository reaches whose packs it shares, and checked with it.
func TestAlone(t *testing.T) {
	repo := gittest.New(t, filepath.Join(t.TempDir(), "app.git"), "sha1", true)
	repo.Commit("main", map[string]string{"a": "1\n"})
	secret := repo.Commit("private", map[string]string{"secret": "words\n"})
	c := newCapture(t, repo, "fork.git")
	m := c.take()
	fork := *m
	fork.Refs = slices.DeleteFunc(slices.Clone(m.Refs), func(r refs.Ref) bool { return r.Name != "refs/heads/main" })
	c.with(&fork)
	c.rec.Attrs["shared"] = "1"
	for _, asStored := range []bool{true, false} {
		dir := filepath.Join(t.TempDir(), "out.git")
		if _, err := gitrepo.Build(t.Context(), c.mem, c.set(), dir, gitrepo.Options{AsStored: asStored}); err != nil {
			t.Fatal(err)
		}
		got := &gitcmd.Git{Dir: dir}
		if err := got.Run(t.Context(), nil, io.Discard, "cat-file", "-e", secret); (err == nil) != asStored {
			t.Errorf("as stored %v: the other repository's commit: %v", asStored, err)
		}
		problems, err := gitrepo.Check(t.Context(), c.mem, c.set(), dir)
		if err != nil || len(problems) > 0 {
			t.Errorf("as stored %v: %v, %v", asStored, problems, err)
		}
	}
}
