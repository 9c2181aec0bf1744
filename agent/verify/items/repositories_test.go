package items_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"farshore/agent/repo/gittest"
	"farshore/agent/report"
	"farshore/agent/source"
	"farshore/agent/source/git"
	"farshore/agent/verify/internal/rig"
	"farshore/agent/verify/items"
)

// fleet is a vault with three git repositories.
func fleet(t *testing.T) (*scene, *git.Source, *gittest.Repo) {
	t.Helper()
	s := &scene{Rig: rig.New(t), t: t}
	root := t.TempDir()
	var first *gittest.Repo
	for _, name := range []string{"secret-one.git", "secret-two.git", "secret-three.git"} {
		g := gittest.New(t, filepath.Join(root, name), "", true)
		g.Commit("main", map[string]string{"file": strings.Repeat("a text of "+name+"\n", 300)})
		if first == nil {
			first = g
		}
	}
	src, err := git.New(git.Options{Name: "shop", Place: "git+file:///git", Address: "git+file://" + root, LFS: "off"})
	s.Must(err)
	s.Pass(src)
	return s, src, first
}

// TestRepositories restores a few and has git check them; what it can't do is a number.
func TestRepositories(t *testing.T) {
	s, src, _ := fleet(t)
	res := s.restored(items.Options{Live: map[string]source.Source{"shop": src}})
	if res.Repos != (report.RepoCounts{Checked: 3}) || !res.Complete || len(res.Lost) > 0 {
		t.Errorf("%+v", res)
	}
	if c := res.Counts; c.Restored != c.Drawn || c.Drawn < 3 || c.Compared != 0 || c.Changed+c.Unseen != 0 || count(res, "contents of repositories at their source") != 3 {
		t.Errorf("what is said of repositories' contents at their source: %+v", res)
	}
	if res = s.restored(items.Options{Repositories: 1}); res.Repos != (report.RepoCounts{Checked: 1}) || count(res, "repositories restored and checked by their own programs") != 2 {
		t.Errorf("one: %+v", res)
	}
	if res = s.restored(items.Options{Repositories: -1}); res.Repos != (report.RepoCounts{}) {
		t.Errorf("none: %+v", res)
	}
	if res = s.restored(items.Options{Bytes: 1}); res.Repos != (report.RepoCounts{}) || count(res, "repositories restored and checked by their own programs") != 3 {
		t.Errorf("no room: %+v", res)
	}
}

// count is the number of what was not checked.
func count(res *items.Result, what string) int64 {
	for _, n := range res.NotChecked {
		if n.What == what {
			return n.Count
		}
	}
	return 0
}

// TestRepositoryMoved asks the source what it has now.
func TestRepositoryMoved(t *testing.T) {
	s, src, one := fleet(t)
	one.Commit("main", map[string]string{"file": "another\n"})
	res, err := s.sample(t.Context(), s.Store, items.Options{Live: map[string]source.Source{"shop": src}}, s.Metadata)
	s.Must(err)
	if res.Counts.Changed != 1 || count(res, "contents of repositories at their source") != 2 {
		t.Errorf("%+v", res)
	}
	s.Must(os.RemoveAll(one.Dir))
	res, err = s.sample(t.Context(), s.Store, items.Options{Live: map[string]source.Source{"shop": src}}, s.Metadata)
	s.Must(err)
	if res.Counts.Changed+res.Counts.Unseen != 1 {
		t.Errorf("gone: %+v", res)
	}
}

// TestRepositoryLost loses a pack: git's check has nothing to restore from, and the finding names nothing.
func TestRepositoryLost(t *testing.T) {
	s, _, _ := fleet(t)
	for _, name := range s.packs() {
		s.Store.Remove(name)
	}
	res := s.restored(items.Options{})
	if res.Repos.Problems != 3 || res.Counts.Failed == 0 {
		t.Errorf("%+v", res)
	}
	named := false
	for _, l := range res.Lost {
		named = named || l.Source == "shop" && strings.HasPrefix(l.Path, "secret-") && l.Why != ""
	}
	if !named || len(s.notes) < 3 {
		t.Errorf("%+v %+v", res.Lost, s.notes)
	}
}

// TestRepositoryScratch can't restore repositories on this machine: that is told with the reason, and says nothing of the vault.
func TestRepositoryScratch(t *testing.T) {
	s, _, _ := fleet(t)
	res := s.restored(items.Options{Scratch: "/proc/scratch"}) // where nobody can make anything
	if res.Repos != (report.RepoCounts{Unchecked: 3}) || len(res.Lost) > 0 {
		t.Errorf("%+v", res)
	}
	if len(s.notes) != 1 || !strings.HasSuffix(s.notes[0].Text, "no scratch directory could be made: a directory is not there") {
		t.Errorf("%+v", s.notes)
	}
}

// TestRepositoryBudget draws repositories that fit the budget one by one and not together: the others are counted, and the sample is no less complete.
func TestRepositoryBudget(t *testing.T) {
	s, _, _ := fleet(t)
	all := s.restored(items.Options{})
	some := s.restored(items.Options{Bytes: all.Counts.Bytes * 2 / 3})
	if n := some.Repos.Checked; n < 1 || n > 2 || count(some, "repositories restored and checked by their own programs") != 3-n || !some.Complete {
		t.Errorf("%+v, of %d bytes", some, all.Counts.Bytes)
	}
}
