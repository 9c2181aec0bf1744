package agent_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"farshore/agent"
	"farshore/agent/record"
	"farshore/agent/repo/gittest"
	"farshore/agent/repo/svntest"
	"farshore/agent/vault"
	"farshore/providers/mem"
	"farshore/providers/servers"
)

// damagedNow has the next pass take all packs that the vault has for damaged, and returns their names.
func (m *repoModel) damagedNow() (names []string) {
	m.rig.bad = map[record.Hash]bool{}
	for name := range m.store.Objects() {
		if h, err := record.ParsePackName(name); err == nil {
			m.rig.bad[h] = true
			names = append(names, name)
		}
	}
	return names
}

// TestKnownDamagedRepositories has passes over repositories told that the packs below their chains are damaged: the next capture is a full one, whether something changed or
// not, and the new snapshots restore without those packs.
func TestKnownDamagedRepositories(t *testing.T) {
	svntest.Need(t, servers.Missing, "svn", "svnadmin", "svnlook")
	for _, changes := range []bool{false, true} {
		t.Run(fmt.Sprint("changes: ", changes), func(t *testing.T) {
			m := newRepoModel(t, 5)
			for range 3 {
				m.live()
				for _, kind := range []string{"git", "svn"} {
					sum := m.rig.mustReplicate(m.sources[kind], agent.Options{})
					if k := sum.ReadBack; k.Items != k.OfItems || k.Bytes != k.OfBytes || sum.New+sum.Changed > 0 && sum.StoredBytes > 0 && k.Items == 0 {
						t.Errorf("%s: read back %+v", kind, k)
					}
				}
			}
			bad := m.damagedNow()
			if changes {
				m.live()
			}
			for name, r := range m.repos {
				if r.away { // what is away can't be stored anew
					m.move(name, false)
				}
			}
			m.start()
			mended := int64(0)
			for _, kind := range []string{"git", "svn"} {
				sum := m.rig.mustReplicate(m.sources[kind], agent.Options{})
				mended += sum.Mended
			}
			if mended < 3 {
				t.Errorf("%d items were stored anew", mended)
			}
			for _, name := range bad {
				m.store.Remove(name)
			}
			m.newest()
			captured := len(m.damagedNow())
			m.rig.bad = nil
			m.start()
			for _, kind := range []string{"git", "svn"} {
				if sum := m.rig.mustReplicate(m.sources[kind], agent.Options{}); sum.Mended > 0 || len(sum.Notices) > 0 {
					t.Errorf("%s: a pass later %+v", kind, sum)
				}
			}
			if n := len(m.damagedNow()); n > captured {
				t.Errorf("%d packs more a pass later", n-captured)
			}
		})
	}
}

// newest restores the newest snapshots and compares them with the sources.
func (m *repoModel) newest() {
	m.t.Helper()
	v := m.rig.open()
	for _, kind := range []string{"git", "svn"} {
		c := &comeback{t: m.t, v: v, kind: kind, seen: map[string]string{}}
		got := c.commit(m.chainOf(v, kind).Head())
		for path, is := range m.now(kind) {
			if is != "" && got[path] != is {
				m.t.Errorf("%s: %s is not what it is at the source", kind, path)
			}
		}
	}
}

// TestReadBackIncrements reads of a repository's chain no more back than what the pass added, and finds it damaged.
func TestReadBackIncrements(t *testing.T) {
	root := memDir(t)
	app := gittest.Large(t, filepath.Join(root, "app.git"), 60, 1)
	store := newUntrue()
	r := newRigOn(t, store)
	r.back = vault.AutoReadBack()
	first := r.mustReplicate(gits(t, root), agent.Options{}).ReadBack
	app.Commit("main", map[string]string{"small": "1"})
	second := r.mustReplicate(gits(t, root), agent.Options{}).ReadBack
	if second.Items != 1 || second.OfItems != 1 || second.Bytes != second.OfBytes || second.Bytes*10 > first.Bytes {
		t.Errorf("read back %+v, then %+v", first, second)
	}
	app.Commit("main", map[string]string{"small": "2"})
	store.keep = func(name string, body []byte) []byte {
		if strings.HasPrefix(name, "packs/") {
			return body[:len(body)/2]
		}
		return body
	}
	_, err := r.replicate(t.Context(), gits(t, root), agent.Options{})
	store.keep = nil
	if err == nil || len(store.lied) != 1 {
		t.Fatalf("%v, %d lies", err, len(store.lied))
	}
	r.mustReplicate(gits(t, root), agent.Options{})
	for name := range store.lied {
		store.Remove(name)
	}
	m := &repoModel{t: t, rig: r, store: mem.New()}
	v := r.open()
	snap, err := v.Snapshot(t.Context(), m.chainOf(v, "git").Head())
	must(t, err)
	c := &comeback{t: t, v: v, kind: "git"}
	if c.restored(snap, "app.git") != stateAt(t, "git", app.Dir) {
		t.Error("it restores as something else")
	}
}
