package agent_test

import (
	"context"
	"errors"
	"testing"

	"filippo.io/age"

	"farshore/agent"
	"farshore/agent/record"
	"farshore/agent/source"
	"farshore/agent/vault"
	"farshore/providers"
)

// namedSource is a source in memory with a name of its own.
type namedSource struct {
	*fakeSource
	name string
}

func newNamed(name string) *namedSource { return &namedSource{newFakeSource(), name} }

// Place has the name.
func (n *namedSource) Place() record.Place {
	return record.Place{Name: n.name, Kind: "mem", Place: "mem://" + n.name}
}

// options are those of the rig's agent.
func (r *rig) options(local *agent.Local) agent.SessionOptions {
	return agent.SessionOptions{
		Owner: r.owner.Public(), Recipients: []string{r.recipient}, Identities: []age.Identity{r.metadata}, Key: r.agent, State: r.dir, Local: local, ReadBack: r.back,
		OnReset: func(reason string) { r.t.Errorf("the local state was reset: %s", reason) },
	}
}

// local is the rig's local state, which is never damaged.
func (r *rig) local() *agent.Local {
	return agent.NewLocal(r.dir, func(reason string) { r.t.Errorf("the local state was reset: %s", reason) })
}

// pass makes a pass as a daemon does: with a Session of its own, over a driver of its own, and the local state that it shares with others.
func (r *rig) pass(ctx context.Context, local *agent.Local, d providers.Driver, src source.Source, o agent.Options) (*agent.Summary, error) {
	s, err := agent.Open(ctx, providers.New(d, quick), r.options(local))
	if err != nil {
		return nil, err
	}
	sum, err := s.Replicate(ctx, src, nil, nil, o)
	return sum, errors.Join(err, s.Close())
}

// chainNamed returns the only chain of a source, nil where it has none yet. It has nothing to say of it.
func chainNamed(t *testing.T, v *vault.Vault, name string) *vault.Chain {
	t.Helper()
	chains, err := v.Chains(context.Background())
	must(t, err)
	var found *vault.Chain
	for _, c := range chains {
		for _, f := range c.Findings {
			t.Errorf("finding: %+v", f)
		}
		switch {
		case c.Source.Name != name:
		case found != nil:
			t.Fatalf("source %s has two chains, %s and %s", name, found.ID, c.ID)
		default:
			found = c
		}
	}
	return found
}

// head reads what the newest commit of a source has.
func (r *rig) head(t *testing.T, name string) map[string][]byte {
	t.Helper()
	v := r.open()
	return r.contents(v, chainNamed(t, v, name).Head())
}

// checkChains verifies the vault, and counts each chain's objects on their own: chains share none.
func checkChains(t *testing.T, r *rig) {
	t.Helper()
	checkVerified(t, r)
	chains, err := r.open().Chains(context.Background())
	must(t, err)
	for _, chain := range chains {
		c := newCensus(t, r)
		for _, k := range chain.Commits {
			c.commit(k)
		}
		if h := chain.Newest(); h != nil {
			c.chunksOnce(h)
		}
	}
}

// checkSettled holds that the local state opens as it is, and that nothing in it waits for a commit or is damaged.
func checkSettled(t *testing.T, r *rig) {
	t.Helper()
	s := r.state()
	defer func() { must(t, s.Close()) }()
	must(t, s.Broken())
	chains, err := r.open().Chains(context.Background())
	must(t, err)
	for _, c := range chains {
		packs, err := s.Uncommitted(c.ID)
		must(t, err)
		bad, err := s.Damaged(c.ID)
		must(t, err)
		if len(packs)+len(bad) > 0 {
			t.Errorf("source %s: %d packs wait for a commit, %d objects are marked as damaged", c.Source.Name, len(packs), len(bad))
		}
		if h, found, err := s.Head(c.ID); err != nil || !found || h.Hash != c.Head().Hash {
			t.Errorf("source %s: the local state has commit %d for its head, the vault %d: %v", c.Source.Name, h.Seq, c.Head().Seq, err)
		}
	}
}
