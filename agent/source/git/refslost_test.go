package git

import (
	"fmt"
	"path/filepath"
	"testing"

	"farshore/agent/record"
	"farshore/agent/repo/gitserver"
	"farshore/agent/repo/gittest"
	"farshore/agent/repo/refs"
)

// TestRefsLost captures a repository from its folder and from servers while its refs are moved, rewritten and deleted, and compares what the record counts.
func TestRefsLost(t *testing.T) {
	for name, serve := range map[string]func(t *testing.T, root string) string{
		"file": func(_ *testing.T, root string) string { return "git+file://" + root },
		"http": func(t *testing.T, root string) string {
			return "git+" + gitserver.HTTP(t, root, gitserver.HTTPOptions{}) + "/r.git"
		},
	} {
		t.Run(name, func(t *testing.T) { testRefsLost(t, serve) })
	}
}

func testRefsLost(t *testing.T, serve func(t *testing.T, root string) string) {
	root := t.TempDir()
	r := gittest.New(t, filepath.Join(root, "r.git"), "", true)
	first := r.Commit("main", map[string]string{"a": "1\n"})
	for i := range 40 {
		r.Commit(fmt.Sprintf("b%02d", i), map[string]string{"b": fmt.Sprint(i)})
	}
	p := replicate(t, Options{Address: serve(t, root)})
	path := "r.git"
	check := func(what string, want refs.Lost) {
		t.Helper()
		p.must()
		for it := range p.records {
			path = it.path
		}
		if got := refs.ParseLost(p.get(path, record.KindGit).Attrs[record.AttrLost]); got != want {
			t.Errorf("%s: got %+v, want %+v", what, got, want)
		}
	}
	check("first", refs.Lost{})
	r.Commit("main", map[string]string{"a": "2\n"})
	r.Run("tag", "v1", "main")
	check("moved forward", refs.Lost{})
	r.Force("b00", first)
	r.Run("branch", "-D", "b01")
	check("a branch rewritten and one deleted: nothing unusual", refs.Lost{})
	r.Force("main", first)
	check("the default branch rewritten", refs.Lost{Heads: 1, Of: 41})
	r.Commit("main", map[string]string{"a": "3\n"})
	check("and moved forward", refs.Lost{Heads: 1, Of: 41})
	for i := 2; i < 40; i++ {
		r.Commit(fmt.Sprintf("b%02d", i), map[string]string{"b": "more"})
	}
	check("many moved forward", refs.Lost{Heads: 1, Of: 41})
	for i := 2; i < 40; i++ {
		r.Force(fmt.Sprintf("b%02d", i), first)
	}
	check("many rewritten", refs.Lost{Heads: 1, Rewritten: 38, Of: 41})
	for i := 2; i < 40; i++ {
		r.Commit(fmt.Sprintf("b%02d", i), map[string]string{"c": fmt.Sprint(i)})
	}
	check("and filled again", refs.Lost{Heads: 1, Rewritten: 38, Of: 41})
	for i := 2; i < 32; i++ {
		r.Run("branch", "-D", fmt.Sprintf("b%02d", i))
	}
	check("many deleted", refs.Lost{Heads: 1, Rewritten: 38, Vanished: 30, Of: 41})
	r.Run("update-ref", "-d", "refs/heads/main")
	check("the default branch deleted", refs.Lost{Heads: 2, Rewritten: 38, Vanished: 30, Of: 11})
}

// TestMergedBranchesDeleted deletes many branches that others reach, as a forge does: nothing is lost.
func TestMergedBranchesDeleted(t *testing.T) {
	root := t.TempDir()
	r := gittest.New(t, filepath.Join(root, "r.git"), "", true)
	r.Commit("main", map[string]string{"a": "1\n"})
	for i := range 30 {
		r.Branch(fmt.Sprintf("merged%02d", i), "main")
	}
	r.Commit("main", map[string]string{"a": "2\n"})
	p := replicate(t, Options{Address: "git+file://" + root})
	p.must()
	for i := range 30 {
		r.Run("branch", "-D", fmt.Sprintf("merged%02d", i))
	}
	p.must()
	if got := p.get("r.git", record.KindGit).Attrs[record.AttrLost]; got != "" {
		t.Errorf("lost %q", got)
	}
}
