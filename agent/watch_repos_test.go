package agent_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"farshore/agent/repo/gittest"
	"farshore/agent/repo/svntest"
	"farshore/agent/source/svn"
	"farshore/agent/tripwire"
	"farshore/providers/servers"
)

// watchedRepos replicates a folder of repositories under the default thresholds.
func watchedRepos(t *testing.T) (*watched, string) {
	t.Helper()
	return &watched{rig: newRig(t), src: newFakeSource()}, memDir(t)
}

// TestForcedPush rewrites the default branch of a repository, and puts it back.
func TestForcedPush(t *testing.T) {
	w, root := watchedRepos(t)
	r := gittest.New(t, filepath.Join(root, "r.git"), "", true)
	other := gittest.New(t, filepath.Join(root, "other.git"), "", true)
	first := r.Commit("main", map[string]string{"a": "1\n"})
	r.Commit("main", map[string]string{"a": "2\n"})
	other.Commit("main", map[string]string{"a": "1\n"})
	pass := func(what string, codes ...string) int64 {
		t.Helper()
		w.as = gits(t, root)
		return w.pass(what, codes...).Head.Seq
	}
	pass("first")
	other.Commit("main", map[string]string{"b": "1\n"})
	newest := r.Commit("main", map[string]string{"a": "3\n"})
	good := pass("moved forward")
	r.Force("main", first)
	bad := pass("forced push", tripwire.RefsRewritten)
	w.good("forced push", good, nil)
	other.Commit("main", map[string]string{"b": "2\n"})
	w.forget()
	since := fmt.Sprintf("since-%d", bad)
	pass("another repository goes on", tripwire.RefsRewritten, since)
	r.Commit("main", map[string]string{"c": "1\n"})
	pass("and this one", tripwire.RefsRewritten, since)
	r.Force("main", newest)
	pass("put back")
	r.Force("main", first)
	last := pass("forced push again", tripwire.RefsRewritten)
	must(t, os.Rename(filepath.Join(root, "r.git"), filepath.Join(root, "r.away")))
	pass("and it vanished", tripwire.RefsRewritten, fmt.Sprintf("since-%d", last))
	pass("and still is", tripwire.RefsRewritten, fmt.Sprintf("since-%d", last))
	must(t, os.Rename(filepath.Join(root, "r.away"), filepath.Join(root, "r.git")))
	o := w.options()
	o.Accept = last
	w.as = gits(t, root)
	w.passWith("accepted", o)
	pass("usual by now")
}

// TestVanishedRefs deletes what no other ref reaches, and what others do.
func TestVanishedRefs(t *testing.T) {
	w, root := watchedRepos(t)
	r := gittest.New(t, filepath.Join(root, "r.git"), "", true)
	r.Commit("main", map[string]string{"a": "1\n"})
	for i := range 30 {
		r.Commit(fmt.Sprintf("own%d", i), map[string]string{"b": fmt.Sprint(i)})
		r.Branch(fmt.Sprintf("merged%d", i), "main")
	}
	pass := func(what string, codes ...string) {
		t.Helper()
		w.as = gits(t, root)
		w.pass(what, codes...)
	}
	pass("first")
	for i := range 30 {
		r.Delete(fmt.Sprintf("refs/heads/merged%d", i))
	}
	pass("merged branches deleted")
	for i := range 30 {
		r.Delete(fmt.Sprintf("refs/heads/own%d", i))
	}
	pass("branches deleted", tripwire.RefsVanished)
}

// TestVanishedRepositories takes most of a folder's repositories away: they are recorded as unreadable, never as deleted.
func TestVanishedRepositories(t *testing.T) {
	w, root := watchedRepos(t)
	for i := range 5 {
		gittest.New(t, filepath.Join(root, fmt.Sprintf("r%d.git", i)), "", true).Commit("main", map[string]string{"a": "1\n"})
	}
	w.as = gits(t, root)
	w.pass("first")
	for i := range 4 {
		must(t, os.RemoveAll(filepath.Join(root, fmt.Sprintf("r%d.git", i))))
	}
	w.as = gits(t, root)
	w.pass("four of five gone", tripwire.UnreadableShare)
}

// TestReplacedSubversion puts another repository in the place of one: its history is another one.
func TestReplacedSubversion(t *testing.T) {
	svntest.Need(t, servers.Missing, "svn", "svnadmin", "svnlook")
	w, root := watchedRepos(t)
	dir := filepath.Join(root, "s")
	r := svntest.New(t, dir)
	r.Commit("one", svntest.Node{Path: "a", Action: "add", Text: []byte("1")})
	source := func() {
		s, err := svn.New(svn.Options{Name: "svns", Place: "svn+file:///svn", Address: "svn+file://" + root})
		must(t, err)
		w.as = s
	}
	source()
	w.pass("first")
	r.Commit("two", svntest.Node{Path: "b", Action: "add", Text: []byte("2")})
	source()
	w.pass("grown")
	must(t, os.Rename(dir, filepath.Join(memDir(t), "was")))
	svntest.New(t, dir).Commit("other", svntest.Node{Path: "c", Action: "add", Text: []byte("3")})
	source()
	bad := w.pass("another", tripwire.RefsRewritten)
	source()
	w.pass("still", tripwire.RefsRewritten, fmt.Sprintf("since-%d", bad.Head.Seq))
}
