package agent_test

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"farshore/agent/record"
	"farshore/agent/repo/gittest"
	"farshore/agent/repo/svntest"
	"farshore/agent/restore"
	"farshore/agent/restore/repos"
	"farshore/agent/vault"
)

// stateAt is a hash of what a repository is: refs and the objects that they reach, or a dump.
func stateAt(t testing.TB, kind, dir string) string {
	t.Helper()
	h := sha256.New()
	if kind == "svn" {
		fmt.Fprint(h, svntest.Dump(t, dir))
	} else {
		r := gittest.At(t, dir)
		fmt.Fprintln(h, r.Refs(), r.Objects())
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// comeback restores the commits of a chain. What has the same records as in an earlier commit is not restored again.
type comeback struct {
	t       *testing.T
	v       *vault.Vault
	kind    string
	moments map[record.Hash]moment
	seen    map[string]string // what came of records, by these
}

func (c *comeback) chain(chain *vault.Chain) {
	before := map[string]string{}
	for _, k := range chain.Commits {
		if k.Root == nil {
			continue
		}
		got := c.commit(k)
		c.compare(k, got, before)
		if c.t.Failed() {
			return
		}
		before = got
	}
	c.whole(chain.Head(), before)
}

// compare holds what a commit gave back against the moment at which it was made.
func (c *comeback) compare(k *vault.Commit, got, before map[string]string) {
	now := c.moments[k.Hash]
	for path, is := range now {
		switch {
		case is == "" && got[path] == before[path], is != "" && got[path] == is, !k.Complete && got[path] == before[path]:
		default:
			c.t.Errorf("%s commit %d (complete: %v): %s is neither what it was nor what it is", c.kind, k.Seq, k.Complete, path)
		}
	}
	for path := range got {
		if _, ok := now[path]; !ok {
			c.t.Errorf("%s commit %d: %s should not be there", c.kind, k.Seq, path)
		}
	}
}

// commit restores the repositories of a commit, each on its own, and returns what they are.
func (c *comeback) commit(k *vault.Commit) map[string]string {
	c.t.Helper()
	snap, err := c.v.Snapshot(c.t.Context(), k)
	must(c.t, err)
	out := map[string]string{}
	for path, key := range c.records(snap) {
		if _, ok := c.seen[key]; !ok {
			c.seen[key] = c.restored(snap, path)
		}
		out[path] = c.seen[key]
	}
	return out
}

// records returns a key for the records of each path that has a history.
func (c *comeback) records(snap *vault.Snapshot) map[string]string {
	c.t.Helper()
	keys, has := map[string]string{}, map[string]bool{}
	for rec, err := range snap.Records(c.t.Context(), "", "") {
		must(c.t, err)
		good := rec
		if rec.State == record.Unreadable {
			if good = rec.Last; rec.Reason != record.ReasonVanished {
				c.t.Errorf("commit %d: %s %s is unreadable: %s: %s", snap.Commit.Seq, rec.Path, rec.Kind, rec.Reason, rec.Detail)
			}
		}
		if good == nil {
			continue
		}
		has[rec.Path] = has[rec.Path] || rec.Kind == c.kind
		keys[rec.Path] += fmt.Sprintln(rec.Path, rec.Kind, good.Attrs, good.Parts)
	}
	maps.DeleteFunc(keys, func(path, _ string) bool { return !has[path] })
	return keys
}

// restored restores one repository and returns what it is.
func (c *comeback) restored(snap *vault.Snapshot, path string) string {
	c.t.Helper()
	dir := memDir(c.t)
	sum := c.run(snap, dir, repos.Options{Item: path})
	if sum.Restored.Items != 1 {
		c.t.Errorf("commit %d: %s: %+v", snap.Commit.Seq, path, sum)
		return ""
	}
	state := stateAt(c.t, c.kind, filepath.Join(dir, path))
	must(c.t, os.RemoveAll(dir))
	return state
}

func (c *comeback) run(snap *vault.Snapshot, dir string, o repos.Options) *restore.Summary {
	c.t.Helper()
	sum, err := repos.Run(c.t.Context(), snap, c.v.NewReader(), repos.Destination{Dir: dir}, o)
	must(c.t, err)
	if sum.Damage() || sum.Failed.Items+sum.Differs.Items+sum.Unrestorable.Items > 0 {
		c.t.Errorf("commit %d: %+v", snap.Commit.Seq, sum)
	}
	return sum
}

// whole restores a commit in one go.
func (c *comeback) whole(k *vault.Commit, want map[string]string) {
	c.t.Helper()
	snap, err := c.v.Snapshot(c.t.Context(), k)
	must(c.t, err)
	dir := memDir(c.t)
	c.run(snap, dir, repos.Options{})
	for path, is := range want {
		if got := stateAt(c.t, c.kind, filepath.Join(dir, path)); got != is {
			c.t.Errorf("%s commit %d as a whole: %s is something else", c.kind, k.Seq, path)
		}
	}
}
