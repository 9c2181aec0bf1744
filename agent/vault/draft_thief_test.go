package vault

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"farshore/agent/internal/state"
	"farshore/agent/record"
)

// TestRevokeAfterThief revokes a stolen key's commits after a number: a chain that the thief begins, under the statement from before, does not count either.
func TestRevokeAfterThief(t *testing.T) {
	o := newOwned(t)
	ctx := context.Background()
	stale := o.open()
	begin := func(name string) *Writer {
		id, err := record.ParseHash(o.id)
		must(t, err)
		s, err := state.Open(filepath.Join(t.TempDir(), name), state.Options{Vault: id})
		must(t, err)
		t.Cleanup(func() { must(t, s.Close()) })
		w, err := stale.Begin(ctx, BeginOptions{Source: record.Place{Name: "shop", Kind: "mem", Place: "mem://s"}, Agent: o.agent, Local: s})
		must(t, err)
		t.Cleanup(w.Close)
		return w
	}
	good := begin("good").Chain()
	d, err := o.open().Draft(ctx, time.Now(), "", RevokeAfter(o.agent.ID(), []Point{{good.ID, 1}}))
	must(t, err)
	o.place(d)
	begin("thief")
	chains, err := o.open().Chains(ctx)
	must(t, err)
	for _, c := range chains {
		if c.ID == good.ID && len(c.Commits) != 1 {
			t.Errorf("the good chain has %d commits", len(c.Commits))
		}
		if c.ID != good.ID && len(c.Commits) != 0 {
			t.Errorf("the thief's chain counts, up to number %d", c.Head().Seq)
		}
	}
	if len(chains) != 2 {
		t.Errorf("%d chains", len(chains))
	}
	// All of it, after all.
	d, err = o.open().Draft(ctx, time.Now().Add(time.Second), "", RevokeSigner(o.agent.ID()))
	must(t, err)
	if got := texts(Changes(o.open().Statement(), d.Next)); strings.Contains(got, dangerRestored) || !strings.Contains(got, "are revoked, and were after number 1") {
		t.Error(got)
	}
	o.place(d)
	if chains, err = o.open().Chains(ctx); err != nil || chains[0].Head() != nil || chains[1].Head() != nil {
		t.Errorf("%v, and something counts", err)
	}
}
