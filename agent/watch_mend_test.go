package agent_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"farshore/agent/record"
	"farshore/agent/repo/gittest"
	"farshore/agent/repo/svntest"
	"farshore/agent/source/svn"
	"farshore/agent/tripwire"
	"farshore/providers/mem"
	"farshore/providers/servers"
)

// damageAll has the next passes take all packs that there are now for damaged.
func (w *watched) damageAll() {
	w.bad = map[record.Hash]bool{}
	for name := range w.driver.(*mem.Driver).Objects() {
		if h, err := record.ParsePackName(name); err == nil {
			w.bad[h] = true
		}
	}
}

// TestMendedRewrite captures a repository in full, since what its chain rests on is damaged: it stays as suspicious as it was, and what was rewritten since is seen all the same.
func TestMendedRewrite(t *testing.T) {
	w, root := watchedRepos(t)
	r := gittest.New(t, filepath.Join(root, "r.git"), "", true)
	first := r.Commit("main", map[string]string{"a": "1\n"})
	newest := r.Commit("main", map[string]string{"a": "2\n"})
	pass := func(what string, codes ...string) int64 {
		t.Helper()
		w.as = gits(t, root)
		return w.pass(what, codes...).Head.Seq
	}
	pass("first")
	r.Force("main", first)
	bad := pass("forced push", tripwire.RefsRewritten)
	w.damageAll()
	pass("mended", tripwire.RefsRewritten, fmt.Sprintf("since-%d", bad))
	w.bad = nil
	pass("and again", tripwire.RefsRewritten, fmt.Sprintf("since-%d", bad))
	r.Force("main", newest)
	pass("put back")
	w.damageAll()
	r.Force("main", first)
	pass("forced push and mended", tripwire.RefsRewritten)
}

// TestMendedSubversion is TestMendedRewrite for a repository in the place of another one.
func TestMendedSubversion(t *testing.T) {
	svntest.Need(t, servers.Missing, "svn", "svnadmin", "svnlook")
	w, root := watchedRepos(t)
	dir := filepath.Join(root, "s")
	make := func(text string) {
		svntest.New(t, dir).Commit("one", svntest.Node{Path: "a", Action: "add", Text: []byte(text)})
	}
	pass := func(what string, codes ...string) int64 {
		t.Helper()
		s, err := svn.New(svn.Options{Name: "svns", Place: "svn+file:///svn", Address: "svn+file://" + root})
		must(t, err)
		w.as = s
		return w.pass(what, codes...).Head.Seq
	}
	away := func(name string) { must(t, os.Rename(dir, filepath.Join(memDir(t), name))) }
	make("1")
	pass("first")
	away("first")
	make("2")
	bad := pass("another", tripwire.RefsRewritten)
	since := fmt.Sprintf("since-%d", bad)
	w.damageAll()
	pass("mended", tripwire.RefsRewritten, since)
	w.bad = nil
	o := w.options()
	o.Accept = w.chain(w.open()).Head().Seq
	w.passWith("accepted", o)
	away("second")
	make("3")
	w.damageAll()
	pass("a third one, and mended", tripwire.RefsRewritten)
}
