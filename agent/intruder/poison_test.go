package intruder

import (
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"farshore/agent/internal/state"
	"farshore/agent/record"
	"farshore/agent/vault"
	"farshore/providers"
	"farshore/providers/faults"
	"farshore/providers/mem"
)

// TestPoisonedTable has the thief say, in a chunk table and a commit that the stolen key signs validly, that what the source holds next lies in packs of his. The
// agent stops; once the owner has taken the key out of force a new domain begins, which believes none of it.
func TestPoisonedTable(t *testing.T) {
	onEach(t, func(t *testing.T, at *place) {
		s := newScene(t, at)
		s.src.items["wanted"] = noise(77, 90_000)
		thief := s.agent
		thief.state = filepath.Join(t.TempDir(), "stolen")
		must(t, os.CopyFS(thief.state, os.DirFS(s.agent.state)))
		garbage := s.poison(thief)
		if _, err := s.replicateAs(thief, at.agent()); err != nil {
			t.Fatalf("the thief's commit: %v", err)
		}
		forged := s.pop()
		if forged.seq != s.last().seq+1 || forged.chain != s.last().chain {
			t.Fatalf("the thief wrote commit %d of chain %s", forged.seq, forged.chain)
		}
		if err := s.replicate(); !errors.Is(err, vault.ErrForeignCommit) {
			t.Errorf("the agent, in whose chain the thief wrote: %v", err)
		}
		s.says(s.after(), vault.Damage, record.PackName(garbage))

		s.replaceAgent()
		if s.last().items["wanted"] != sha256.Sum256(s.src.items["wanted"]) {
			t.Error("the new snapshot does not have what was poisoned")
		}
		s.says(s.after(), vault.Notice, record.CommitName(forged.chain, forged.seq), "the owner revoked its signer's commits")
	})
}

// poison puts packs of garbage into the vault, and into the stolen local state that these packs hold what the source has now. It learns how the agent names chunks from a
// pass into a copy of the vault, which comes to no commit.
func (s *scene) poison(thief host) (garbage record.Hash) {
	s.t.Helper()
	script := faults.New(s.copied())
	script.Add(faults.Fault{Op: "create", Prefix: "commits/", Times: -1, Err: &providers.Error{Kind: providers.Denied}})
	if _, err := s.replicateAs(thief, providers.New(script, providers.Options{Attempts: 1})); err == nil {
		s.t.Fatal("a pass into the copy came to a commit")
	}
	id, err := record.ParseHash(s.id)
	must(s.t, err)
	local, err := state.Open(thief.state, state.Options{Vault: id})
	must(s.t, err)
	packs, err := local.Uncommitted(s.last().chain)
	must(s.t, err)
	if len(packs) == 0 {
		s.t.Fatal("the pass into the copy stored no pack")
	}
	for i, p := range packs {
		body := noise(uint64(900+i), int(p.Size))
		garbage = sha256.Sum256(body)
		must(s.t, s.at.thief.put(record.PackName(garbage), body))
		must(s.t, local.Forget(s.last().chain, p.Name))
		must(s.t, local.AddPack(s.last().chain, state.Pack{Name: garbage, Size: p.Size, Chunks: p.Chunks}, false))
	}
	must(s.t, local.Close())
	return garbage
}

// copied is a copy of all that the agent's credential can read.
func (s *scene) copied() *mem.Driver {
	s.t.Helper()
	out, b := mem.New(), s.at.agent()
	for _, room := range []string{"vault/", "commits/", "meta/"} {
		for info, err := range b.List(s.ctx, room, "") {
			must(s.t, err)
			body, err := b.ReadAll(s.ctx, info.Name, 1<<20)
			must(s.t, err)
			out.Set(info.Name, body)
		}
	}
	return out
}
