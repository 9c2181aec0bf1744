package agent_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"filippo.io/age"

	"farshore/agent"
	"farshore/agent/internal/state"
	"farshore/agent/record"
	"farshore/agent/vault"
	"farshore/providers"
	"farshore/providers/mem"
)

// twin is the same agent on another machine: the same keys and vault, and a copy of the state directory.
func (r *rig) twin() *rig {
	r.t.Helper()
	out := *r
	out.dir = filepath.Join(r.t.TempDir(), "state")
	must(r.t, os.CopyFS(out.dir, os.DirFS(r.dir)))
	return &out
}

// writer opens the chain for writing and closes everything with the test.
func (r *rig) writer(s *state.Store, src *fakeSource) (*vault.Writer, error) {
	pub := r.owner.Public()
	v, err := vault.Open(context.Background(), r.bucket, vault.Options{Owner: &pub, Identities: []age.Identity{r.metadata}, Cache: s})
	if err != nil {
		return nil, err
	}
	w, err := v.Begin(context.Background(), vault.BeginOptions{Source: src.Place(), Agent: r.agent, Local: s, Now: r.now})
	if err == nil {
		r.t.Cleanup(w.Close)
	}
	return w, err
}

func (r *rig) openState() *state.Store {
	s := r.state()
	r.t.Cleanup(func() { must(r.t, s.Close()) })
	return s
}

// TestSecondAgentStops has two agents with one key and one state begin at the same commit: the first to commit wins, the other stops, now and later.
func TestSecondAgentStops(t *testing.T) {
	r, src := newRig(t), newFakeSource()
	src.put("a", []byte("1"))
	r.mustReplicate(src, agent.Options{})
	rival := r.twin()
	mine, theirs := newFakeSource(), newFakeSource()
	for i := range 20 {
		mine.put(fmt.Sprint("mine", i), noise(uint64(i), 1000))
		theirs.put(fmt.Sprint("theirs", i), noise(uint64(i), 1000))
	}
	w1, err := r.writer(r.openState(), mine)
	must(t, err)
	w2, err := rival.writer(rival.openState(), theirs)
	must(t, err)
	_, err = agent.Replicate(context.Background(), w1, mine, agent.Options{})
	must(t, err)
	objects := r.driver.(*mem.Driver).Objects()
	for range 2 { // it does not try again under the next number
		_, err = agent.Replicate(context.Background(), w2, theirs, agent.Options{CommitEvery: 1})
		if err == nil {
			t.Fatal("the second agent committed")
		}
	}
	if _, err := agent.Replicate(context.Background(), w2, theirs, agent.Options{}); err == nil {
		t.Error("the second agent committed at last")
	}
	for name, b := range objects {
		if string(r.driver.(*mem.Driver).Objects()[name]) != string(b) {
			t.Errorf("%s is not what it was", name)
		}
	}
	v := r.open()
	diff(t, "the first agent's", r.contents(v, r.chain(v).Head()), mine.copy())
	checkVerified(t, r)
}

// TestRacingAgents lets two agents go at each other: each number is won once, every loser is told, and nothing that was won is lost.
func TestRacingAgents(t *testing.T) {
	rounds := 8
	if long() {
		rounds = 400
	}
	for round := range rounds {
		r, src := newRig(t), newFakeSource()
		src.put("a", []byte("1"))
		r.mustReplicate(src, agent.Options{})
		agents := []*rig{r, r.twin(), r.twin()}
		sources := make([]*fakeSource, len(agents))
		errs := make([]error, len(agents))
		sums := make([]*agent.Summary, len(agents))
		var wg sync.WaitGroup
		for i, a := range agents {
			sources[i] = newFakeSource()
			for k := range 10 {
				sources[i].put(fmt.Sprintf("%d/%d", i, k), noise(uint64(i), 500))
			}
			wg.Go(func() {
				sums[i], errs[i] = a.replicate(context.Background(), sources[i], agent.Options{CommitEvery: 1})
			})
		}
		wg.Wait()
		won := 0
		for i, err := range errs {
			switch {
			case err == nil:
				won++
			case !errors.Is(err, vault.ErrForeignCommit):
				t.Errorf("round %d: agent %d failed in another way: %v", round, i, err)
			}
		}
		if won > 1 {
			t.Errorf("round %d: %d agents finished their passes", round, won)
		}
		v := r.open()
		chain := r.chain(v)
		for i := range agents {
			if errs[i] == nil {
				diff(t, "the winner's", r.contents(v, chain.Head()), sources[i].copy())
			}
			if sums[i] == nil || sums[i].Head == nil {
				continue
			}
			if k := chain.Number(sums[i].Head.Seq); k == nil || k.Hash != sums[i].Head.Hash {
				t.Errorf("round %d: agent %d was told of commit %d and it is not there", round, i, sums[i].Head.Seq)
			}
		}
		checkVerified(t, r)
		// Of all states one may go on at most: the one that wrote the last commit.
		good := 0
		for i, a := range agents {
			switch _, err := a.replicate(context.Background(), sources[i], agent.Options{}); {
			case err == nil:
				good++
			case !errors.Is(err, vault.ErrForeignCommit):
				t.Errorf("round %d: agent %d failed in another way later: %v", round, i, err)
			}
		}
		if good != 1 {
			t.Errorf("round %d: %d agents go on, want 1", round, good)
		}
	}
}

// overwriter is a store without create-only writes, on which somebody else's commit replaces ours at once.
type overwriter struct {
	*mem.Driver
	with []byte
}

func (o *overwriter) Traits() providers.Traits {
	tr := o.Driver.Traits()
	tr.CreateOnly = providers.CreateOnlyNone
	return tr
}

func (o *overwriter) Create(ctx context.Context, name string, body *io.SectionReader, sum [32]byte) (providers.Info, error) {
	info, err := o.Driver.Create(ctx, name, body, sum)
	if err == nil && strings.HasPrefix(name, "commits/") && o.with != nil {
		o.Set(name, o.with)
	}
	return info, err
}

// TestOverwrittenCommit holds that the winner of a race is at least looked for where the store can't refuse the loser.
func TestOverwrittenCommit(t *testing.T) {
	o := &overwriter{Driver: mem.New()}
	r, src := newRigOn(t, o), newFakeSource()
	src.put("a", []byte("1"))
	r.mustReplicate(src, agent.Options{})
	o.with = []byte("somebody else's")
	if _, err := r.replicate(context.Background(), src, agent.Options{}); !errors.Is(err, vault.ErrForeignCommit) {
		t.Errorf("an overwritten commit: %v", err)
	}
}

// TestRollback takes commits away that the agent has seen.
func TestRollback(t *testing.T) {
	for _, c := range []struct {
		name   string
		tamper func(d *mem.Driver, chain string)
	}{
		{"the newest commit is gone", func(d *mem.Driver, chain string) { d.Remove(record.CommitName(chain, 3)) }},
		{"a commit in the middle is gone", func(d *mem.Driver, chain string) { d.Remove(record.CommitName(chain, 2)) }},
		{"the whole chain is gone", func(d *mem.Driver, chain string) {
			for n := range 3 {
				d.Remove(record.CommitName(chain, int64(n+1)))
			}
		}},
		{"the newest commit is damaged", func(d *mem.Driver, chain string) {
			name := record.CommitName(chain, 3)
			b := d.Objects()[name]
			b[len(b)-10] ^= 1
			d.Set(name, b)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, src := newRig(t), newFakeSource()
			src.put("a", []byte("1"))
			r.mustReplicate(src, agent.Options{})
			src.put("a", []byte("2"))
			r.mustReplicate(src, agent.Options{})
			d := r.driver.(*mem.Driver)
			c.tamper(d, r.chain(r.open()).ID)
			before := d.Objects()
			if _, err := r.replicate(context.Background(), src, agent.Options{}); !errors.Is(err, vault.ErrRolledBack) {
				t.Errorf("the next pass: %v", err)
			}
			if after := d.Objects(); len(after) != len(before) {
				t.Errorf("it wrote %d objects all the same", len(after)-len(before))
			}
		})
	}
}

// TestRetire ends a source and begins it again.
func TestRetire(t *testing.T) {
	r, src := newRig(t), newFakeSource()
	src.put("a", []byte("1"))
	r.mustReplicate(src, agent.Options{})
	before := src.copy()
	rival := r.twin()
	s := r.state()
	w, err := r.writer(s, src)
	must(t, err)
	k, err := w.Retire(context.Background())
	must(t, err)
	w.Close()
	must(t, s.Close())
	chain := r.chain(r.open())
	if !chain.Retired() || !k.Retired || chain.Newest().Hash != k.Hash {
		t.Errorf("after retiring: %+v", chain.Head())
	}
	diff(t, "retired", r.contents(r.open(), chain.Head()), before)
	checkVault(t, r)
	if _, err := rival.replicate(context.Background(), src, agent.Options{}); !errors.Is(err, vault.ErrForeignCommit) {
		t.Errorf("an agent whose chain somebody else retired: %v", err)
	}
	src.put("b", []byte("2"))
	r.mustReplicate(src, agent.Options{})
	v := r.open()
	chains, err := v.Chains(context.Background())
	must(t, err)
	if len(chains) != 2 {
		t.Fatalf("%d chains, want the retired one and a new one", len(chains))
	}
	for _, c := range chains {
		want := src.copy()
		if c.Retired() {
			want = before
		}
		diff(t, c.ID, r.contents(v, c.Newest()), want)
	}
	checkVerified(t, r)
}
