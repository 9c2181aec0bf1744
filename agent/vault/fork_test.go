package vault_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
	"testing"

	"farshore/agent/record"
	"farshore/agent/vault"
	"farshore/providers"
	"farshore/providers/faults"
)

// forkText returns what is said of forks in the vault's chain, and holds that a verification says it as well.
func (r *rig) forkText(name string) string {
	r.t.Helper()
	v := r.open()
	said := about(r.chain(v).Findings, vault.Tampering, name)
	res, err := verifyFull(r)
	must(r.t, err)
	if !strings.Contains(about(res.Findings, vault.Tampering, name), said) {
		r.t.Errorf("verification does not say %q: %v", said, res.Findings)
	}
	return said
}

// TestForkOnTop puts a second, validly signed body over each commit: the older ones count, and each fork is told of.
func TestForkOnTop(t *testing.T) {
	r := newRig(t).fill(3)
	r.store.SetBy("thief")
	c := r.chain(r.open())
	for _, k := range c.Commits {
		name := record.CommitName(c.ID, k.Seq)
		r.store.Set(name, r.forged(name))
		r.restored()
		if said := r.forkText(name); !strings.Contains(said, "a fork") || !strings.Contains(said, r.agent.ID()) || !strings.Contains(said, `by "thief"`) {
			t.Errorf("commit %d: %q", k.Seq, said)
		}
	}
	r.verified()
	r.continued()
}

// TestForkBeneath has the thief's body lie beneath the agent's: the older one counts, the agent's is told of as a fork.
func TestForkBeneath(t *testing.T) {
	r := newRig(t).fill(2)
	c := r.chain(r.open())
	name := record.CommitName(c.ID, c.Head().Seq)
	mine, forged := r.original(name), r.forged(name)
	r.store.RemoveVersion(name, r.history(name).ID)
	r.store.Set(name, forged)
	r.store.Set(name, mine)
	if got := r.chain(r.open()).Head(); got.Hash != record.Hash(sha256.Sum256(forged)) || got.Version == "" {
		t.Errorf("the head is %s, version %q", got.Hash, got.Version)
	}
	if said := r.forkText(name); !strings.Contains(said, "a fork") || !strings.Contains(said, c.Head().Hash.String()) {
		t.Errorf("%q", said)
	}
	// The agent knows what it wrote.
	if _, _, err := r.begin(); err == nil || !strings.Contains(err.Error(), vault.ErrRolledBack.Error()) {
		t.Errorf("the agent goes on: %v", err)
	}
}

// TestSquattedCommit has garbage lie beneath a commit: the oldest valid body counts.
func TestSquattedCommit(t *testing.T) {
	r := newRig(t).fill(2)
	c := r.chain(r.open())
	for _, k := range c.Commits {
		name := record.CommitName(c.ID, k.Seq)
		mine := r.original(name)
		r.store.RemoveVersion(name, r.history(name).ID)
		r.store.Set(name, []byte("farshore commit 1\n"))
		r.store.Hide(name)
		r.store.Set(name, mine)
	}
	r.restored()
	res := r.verified()
	name := record.CommitName(c.ID, 2)
	if said := about(res.Findings, vault.Tampering, name); !strings.Contains(said, "was there before it") || !strings.Contains(said, "hid the name before") {
		t.Errorf("%q", said)
	}
}

// TestFloodedCommit bounds what a reader looks at under one name, and says so.
func TestFloodedCommit(t *testing.T) {
	r := newRig(t).fill(1)
	c := r.chain(r.open())
	name := record.CommitName(c.ID, c.Head().Seq)
	mine := r.original(name)
	r.store.RemoveVersion(name, r.history(name).ID)
	for range providers.MaxHistory {
		r.store.Set(name, []byte("junk"))
	}
	r.store.Set(name, mine)
	before := r.count("open-version", "")
	got := r.chain(r.open())
	if n := r.count("open-version", "") - before; n > providers.MaxHistory {
		t.Errorf("%d versions were read", n)
	}
	if said := about(got.Findings, vault.Tampering, name); !strings.Contains(said, "the 1 newer ones were not looked at") || len(got.Commits) != 1 {
		t.Errorf("%d commits: %q", len(got.Commits), said)
	}
}

// TestManyForks bounds how many further bodies are read to see whether they are forks.
func TestManyForks(t *testing.T) {
	r := newRig(t).fill(20)
	c := r.chain(r.open())
	for _, k := range c.Commits {
		name := record.CommitName(c.ID, k.Seq)
		for range 60 {
			r.store.Set(name, []byte("junk"))
		}
	}
	before := r.count("open-version", "")
	got := r.chain(r.open())
	if n := r.count("open-version", "") - before; n > 1000+len(c.Commits) {
		t.Errorf("%d versions were read", n)
	}
	if len(got.Commits) != len(c.Commits) {
		t.Errorf("%d of %d commits count", len(got.Commits), len(c.Commits))
	}
}

func (r *rig) history(name string) providers.Name {
	r.t.Helper()
	n, err := r.bucket().History(r.t.Context(), name)
	must(r.t, err)
	return n
}

// loose is a store that takes a second version of a name: what others store meanwhile is scripted.
type loose struct {
	providers.Driver
	rig           *rig
	before, after func(name string, body []byte)
}

// Traits says that a second writer is not refused.
func (l *loose) Traits() providers.Traits {
	t := l.Driver.Traits()
	t.CreateOnly = providers.CreateOnlyNone
	return t
}

// Can passes on what the driver below is.
func (l *loose) Can() (bool, bool) { return true, true }

// Create stores a version, whatever there is. Commits are what the script is for.
func (l *loose) Create(ctx context.Context, name string, body *io.SectionReader, sum [32]byte) (providers.Info, error) {
	if !strings.HasPrefix(name, "commits/") {
		return l.Driver.Create(ctx, name, body, sum)
	}
	b, err := io.ReadAll(io.NewSectionReader(body, 0, body.Size()))
	if err != nil {
		return providers.Info{}, err
	}
	if l.before != nil {
		l.before(name, b)
	}
	l.rig.store.Set(name, b)
	if l.after != nil {
		l.after(name, b)
	}
	return providers.Info{Name: name, Size: int64(len(b))}, nil
}

// TestPublish holds that a commit stands where it is the oldest valid one of its number, on a store that takes any number, and that the agent stops where it is not.
func TestPublish(t *testing.T) {
	fork := func(r *rig, body []byte) []byte {
		name := record.CommitName(strings.Repeat("ef", 16), 1) // any place to forge from
		r.store.Set(name, body)
		defer r.store.RemoveVersion(name, r.history(name).ID)
		return r.forged(name)
	}
	hide := func(r *rig, name string, _ []byte) { r.store.Hide(name) }
	junk := func(r *rig, name string, _ []byte) { r.store.Set(name, []byte("junk")) }
	signed := func(r *rig, name string, body []byte) { r.store.Set(name, fork(r, body)) }
	for _, c := range []struct {
		name          string
		before, after func(r *rig, name string, body []byte)
		foreign       bool
	}{
		{name: "alone"},
		{name: "junk before", before: junk},
		{name: "junk after", after: junk},
		{name: "hidden after", after: hide},
		{name: "marker before", before: hide},
		{name: "a fork after", after: signed},
		{name: "a fork before", before: signed, foreign: true},
		{name: "a fork before, hidden", before: func(r *rig, name string, b []byte) { signed(r, name, b); hide(r, name, b) }, foreign: true},
		{name: "a flood before", before: func(r *rig, name string, b []byte) {
			for range providers.MaxHistory {
				junk(r, name, b)
			}
		}, foreign: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t).fill(1)
			l := &loose{Driver: r.script, rig: r}
			r.driver = withHistory{l, r.store}
			w, end, err := r.begin()
			must(t, err)
			defer end()
			if c.before != nil {
				l.before = func(name string, b []byte) { c.before(r, name, b) }
			}
			if c.after != nil {
				l.after = func(name string, b []byte) { c.after(r, name, b) }
			}
			items := map[string][]byte{"new": noise(77, 3000)}
			commit, err := r.write(w, items)
			if c.foreign {
				if !isForeign(err) {
					t.Errorf("%v", err)
				}
				return
			}
			must(t, err)
			for path, b := range r.want[len(r.want)-1] {
				items[path] = b
			}
			r.want = append(r.want, items)
			r.restored()
			if got := r.chain(r.open()).Head(); got.Hash != commit.Hash {
				t.Errorf("readers take %s, the agent wrote %s", got.Hash, commit.Hash)
			}
		})
	}
}

// withHistory shows the versions of a store beneath a driver that hides them.
type withHistory struct {
	*loose
	providers.Historian
}

// TestCommitUnderMarker holds that on a store which refuses a second writer, but not over a delete marker, a fork that lies hidden beneath is seen.
func TestCommitUnderMarker(t *testing.T) {
	r := newRig(t).fill(1)
	c := r.chain(r.open())
	next := record.CommitName(c.ID, c.Head().Seq+1)
	w, end, err := r.begin()
	must(t, err)
	defer end()
	// The thief takes the number with what the stolen key signs, and hides it.
	_, thief, err := r.beginElsewhere()
	must(t, err)
	must(t, thief("stolen"))
	r.store.Hide(next)
	if _, err := r.write(w, map[string][]byte{"mine": noise(3, 3000)}); !isForeign(err) {
		t.Errorf("%v", err)
	}
}

// beginElsewhere opens the chain with the same key and a state of its own; the returned function writes one commit.
func (r *rig) beginElsewhere() (*vault.Writer, func(path string) error, error) {
	r.t.Helper()
	other := *r
	other.dir = r.t.TempDir()
	w, end, err := other.begin()
	if err != nil {
		return nil, nil, err
	}
	return w, func(path string) error {
		defer end()
		_, err := other.write(w, map[string][]byte{path: noise(9, 3000)})
		return err
	}, nil
}

// TestChainsFail holds that a store's failure is none of the chain's: it ends the reading, and no commit is taken for missing.
func TestChainsFail(t *testing.T) {
	for _, f := range []faults.Fault{
		{Op: "versions", Prefix: "commits/", Action: faults.Before},
		{Op: "open-version", Prefix: "commits/", Action: faults.Before, At: 2},
		{Op: "open-version", Prefix: "commits/", Action: faults.Before, Times: -1, Err: &providers.Error{Kind: providers.Denied}},
	} {
		t.Run(fmt.Sprintf("%s %d %v", f.Op, f.At, f.Err), func(t *testing.T) {
			r := newRig(t).fill(3)
			v := r.open()
			for _, name := range r.names() {
				if strings.HasPrefix(name, "commits/") {
					r.store.Hide(name)
				}
			}
			r.script.Add(f)
			if chains, err := v.Chains(t.Context()); err == nil {
				t.Errorf("it read %d chains: %v", len(chains), chains[0].Findings)
			}
		})
	}
}
