package agent_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"farshore/agent"
	"farshore/agent/record"
	"farshore/agent/repo/gittest"
	"farshore/agent/restore/repos"
	"farshore/agent/source/git"
	"farshore/agent/vault"
)

// gits makes a source of the git repositories of a folder.
func gits(t testing.TB, root string) *git.Source {
	t.Helper()
	s, err := git.New(git.Options{Name: "gits", Place: "git+file:///git", Address: "git+file://" + root, LFS: "off"})
	must(t, err)
	return s
}

// head makes a pass over the only source, and returns the commit that it made.
func (m *repoModel) head(src *git.Source) *vault.Commit {
	m.t.Helper()
	m.rig.mustReplicate(src, agent.Options{})
	return m.chainOf(m.rig.open(), "git").Head()
}

// packsIn is how many packs a repository's record has in a snapshot.
func packsIn(t testing.TB, v *vault.Vault, k *vault.Commit, path string) (n int) {
	t.Helper()
	snap, err := v.Snapshot(t.Context(), k)
	must(t, err)
	for rec, err := range snap.Records(t.Context(), path, path+"\x00") {
		must(t, err)
		for _, p := range rec.Parts {
			if p.Kind == record.PartPack {
				n++
			}
		}
	}
	return n
}

// TestManyIncrements captures a repository after each of more commits than a chain has packs: increments are merged on the way, and the commits before and
// after that restore.
func TestManyIncrements(t *testing.T) {
	t.Parallel()
	root := memDir(t)
	app := gittest.Large(t, filepath.Join(root, "app.git"), 120, 1)
	r := newRig(t)
	m := &repoModel{t: t, rig: r}
	states := map[int64]string{}    // by commit
	const passes, mergedAt = 63, 61 // increments, of which there are sixty at most
	local := r.state()
	for i := range passes {
		app.Commit("main", map[string]string{fmt.Sprint("small", i%7): fmt.Sprint(i)})
		if i == passes/2 { // the disk is lost
			must(t, local.Close())
			must(t, os.RemoveAll(r.dir))
			local = r.state()
		}
		_, err := r.replicateWith(t.Context(), local, gits(t, root), agent.Options{})
		must(t, err)
		if i >= mergedAt-1 || long() {
			states[m.chainOf(r.open(), "git").Head().Seq] = stateAt(t, "git", app.Dir)
		}
	}
	must(t, local.Close())
	v := r.open()
	chain := m.chainOf(v, "git")
	most, merged := 0, int64(0)
	for _, k := range chain.Commits {
		n := packsIn(t, v, k, "app.git")
		if n < most && merged == 0 {
			merged = k.Seq
		}
		most = max(most, n)
	}
	if most != 61 || merged == 0 {
		t.Errorf("the longest chain has %d packs, and is merged in commit %d", most, merged)
	}
	c := &comeback{t: t, v: v, kind: "git"}
	for _, k := range chain.Commits {
		if states[k.Seq] == "" {
			continue
		}
		snap, err := v.Snapshot(t.Context(), k)
		must(t, err)
		if got := c.restored(snap, "app.git"); got != states[k.Seq] {
			t.Errorf("commit %d is something else", k.Seq)
		}
	}
	checkVault(t, r)
}

// TestSquashedRepositories changes one repository of many at a time, so that segments lie in stacks and are squashed, and restores every commit.
func TestSquashedRepositories(t *testing.T) {
	t.Parallel()
	root := memDir(t)
	var all []*gittest.Repo
	for i := range 13 {
		name := fmt.Sprintf("r%02d.git", i)
		g := gittest.New(t, filepath.Join(root, name), "", true)
		g.Commit("main", map[string]string{"a": name})
		all = append(all, g)
	}
	r, now := newRig(t), moment{}
	m := &repoModel{t: t, rig: r, moments: map[record.Hash]moment{}}
	for i := range 6 {
		for n, g := range all {
			if i == 0 || n == i {
				now[filepath.Base(g.Dir)] = stateAt(t, "git", g.Dir)
			}
		}
		r.mustReplicate(gits(t, root), agent.Options{})
		m.arrived("git", maps.Clone(now))
		all[i+1].Commit("main", map[string]string{"a": strconv.Itoa(i)})
	}
	v := r.open()
	segments := 0
	for _, k := range m.chainOf(v, "git").Commits {
		if k.Root == nil {
			continue
		}
		snap, err := v.Snapshot(t.Context(), k)
		must(t, err)
		segments = max(segments, len(snap.Segments()))
	}
	if segments < 3 || segments > record.MaxStack {
		t.Errorf("at most %d segments", segments)
	}
	c := &comeback{t: t, v: v, kind: "git", moments: m.moments, seen: map[string]string{}}
	c.moments[m.chainOf(v, "git").Commits[0].Hash] = moment{}
	c.chain(m.chainOf(v, "git"))
	checkVault(t, r)
}

// TestManyRefs takes a great many refs through the whole path, and then a few changes of them.
func TestManyRefs(t *testing.T) {
	t.Parallel()
	many := 20_000
	if long() {
		many = 100_000
	}
	root := memDir(t)
	g := gittest.New(t, filepath.Join(root, "many.git"), "", true)
	var ids []string
	for i := range 5 {
		ids = append(ids, g.Commit("main", map[string]string{"a": fmt.Sprint(i)}))
	}
	var packed strings.Builder
	packed.WriteString("# pack-refs with: peeled fully-peeled sorted \n")
	for i := range many {
		fmt.Fprintf(&packed, "%s refs/changes/%02d/%06d/head\n", ids[i%len(ids)], i/1000, i)
	}
	must(t, os.WriteFile(filepath.Join(g.Dir, "packed-refs"), []byte(packed.String()), 0o600))
	r := newRig(t)
	m := &repoModel{t: t, rig: r}
	states := []string{stateAt(t, "git", g.Dir)}
	first := m.head(gits(t, root))
	g.Set("refs/changes/07/007000/head", g.Commit("main", map[string]string{"a": "new"}))
	g.Delete("refs/changes/08/008000/head")
	states = append(states, stateAt(t, "git", g.Dir))
	second := m.head(gits(t, root))
	v := r.open()
	for i, k := range []*vault.Commit{first, second} {
		snap, err := v.Snapshot(t.Context(), k)
		must(t, err)
		dir := memDir(t)
		(&comeback{t: t, v: v, kind: "git"}).run(snap, dir, repos.Options{})
		if stateAt(t, "git", filepath.Join(dir, "many.git")) != states[i] {
			t.Errorf("commit %d has other refs", k.Seq)
		}
	}
	if added := second.AddedBytes; added > 100_000 {
		t.Errorf("two changed refs of %d added %d bytes", many, added)
	}
	checkVerified(t, r)
}
