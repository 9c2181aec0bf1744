package agent_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"farshore/agent"
	"farshore/agent/record"
	"farshore/agent/vault"
	"farshore/agent/verify"
	"farshore/crypto/seal"
	"farshore/crypto/sign"
	"farshore/providers"
	"farshore/providers/mem"
)

// TestOwnerKey opens a vault with no, the right and a wrong owner's key.
func TestOwnerKey(t *testing.T) {
	r := newRig(t)
	mallory, err := sign.Generate()
	must(t, err)
	ctx := context.Background()
	v, err := vault.Open(ctx, r.bucket, vault.Options{})
	must(t, err)
	res, err := verify.Full(ctx, v, verify.Options{})
	must(t, err)
	if v.Pinned() || res.Pinned || v.Owner() != r.owner.Public() || v.ID() != r.id {
		t.Errorf("unpinned: %v, %v, %v", v.Pinned(), res.Pinned, v.Owner())
	}
	if v, err = vault.Open(ctx, r.bucket, vault.Options{ID: r.id}); err != nil || v.Pinned() {
		t.Errorf("with the id alone: %v", err)
	}
	wrong := mallory.Public()
	_, err = vault.Open(ctx, r.bucket, vault.Options{Owner: &wrong})
	var none *vault.NoVaultError
	if err == nil || errors.As(err, &none) || !strings.Contains(err.Error(), "not the vault that the key belongs to") {
		t.Errorf("a wrong owner's key: %v", err)
	}
	right := r.owner.Public()
	if _, err = vault.Open(ctx, r.bucket, vault.Options{Owner: &right, ID: strings.Repeat("0", 64)}); err == nil || !strings.Contains(err.Error(), "begins another vault") {
		t.Errorf("a wrong id: %v", err)
	}
	_, err = vault.Open(ctx, providers.New(mem.New(), providers.Options{}), vault.Options{Owner: &right})
	if !errors.As(err, &none) {
		t.Errorf("an empty place: %v", err)
	}
	// A second first statement, by somebody else, makes the unpinned reader ask and the pinned one note it.
	st := *v.Statement()
	st.Owner = wrong.String()
	name, b := envelope(t, &st, sign.NoVault, mallory)
	r.driver.(*mem.Driver).Set(name, b)
	if _, err := vault.Open(ctx, r.bucket, vault.Options{}); err == nil || !strings.Contains(err.Error(), "the owner's key is needed") {
		t.Errorf("two first statements, unpinned: %v", err)
	}
	if v, err := vault.Open(ctx, r.bucket, vault.Options{Owner: &right}); err != nil || len(v.Findings()) != 1 || v.ID() != r.id {
		t.Errorf("two first statements, pinned: %v", err)
	}
}

// declare places the owner's next statement, a changed copy of the newest.
func (r *rig) declare(change func(*record.Statement)) {
	r.t.Helper()
	v := r.open()
	st := *v.Statement()
	var prev record.Hash
	for name := range r.driver.(*mem.Driver).Objects() {
		if n, h, err := record.ParseStatementName(name); err == nil && n == st.N {
			prev = h
		}
	}
	st.N, st.Prev, st.Time = st.N+1, &prev, st.Time.Add(time.Second)
	change(&st)
	name, b := envelope(r.t, &st, r.id, r.owner)
	r.driver.(*mem.Driver).Set(name, b)
}

// revokeRig has commits 1 (nothing), 2, 3 and 4, and the contents of each.
func revokeRig(t *testing.T) (*rig, *fakeSource, *vault.Chain, []map[string][]byte) {
	r, src := newRig(t), newFakeSource()
	contents := []map[string][]byte{{}}
	for i := range 3 {
		src.put("a", fmt.Appendf(nil, "version %d", i))
		src.put(fmt.Sprint("k", i), noise(uint64(i), 1000))
		contents = append(contents, src.copy())
		r.mustReplicate(src, agent.Options{})
	}
	return r, src, r.chain(r.open()), contents
}

// TestRevokeOneCommit takes one commit out of force: those after it stay.
func TestRevokeOneCommit(t *testing.T) {
	r, src, chain, contents := revokeRig(t)
	bad := chain.Commits[2]
	r.declare(func(st *record.Statement) { st.Revoked = []record.Revocation{{Commit: &bad.Hash}} })
	v := r.open()
	c := r.chain(v)
	if len(c.Commits) != 4 || !c.Commits[2].Revoked || c.Number(3) != nil || c.Number(4) == nil {
		t.Errorf("%d commits, number 3 is %+v", len(c.Commits), c.Number(3))
	}
	if k := c.AsOf(bad.Time); k == nil || k.Seq != 2 {
		t.Errorf("as of the revoked commit: %+v, want commit 2", k)
	}
	diff(t, "the commit after it", r.contents(v, c.Newest()), contents[3])
	checkVerified(t, r)
	r.goesOn(src, chain.ID)
}

// TestRevokeNewestCommit takes the newest commit out of force.
func TestRevokeNewestCommit(t *testing.T) {
	r, src, chain, contents := revokeRig(t)
	r.declare(func(st *record.Statement) { st.Revoked = []record.Revocation{{Commit: &chain.Commits[3].Hash}} })
	v := r.open()
	diff(t, "the newest in force", r.contents(v, r.chain(v).Newest()), contents[2])
	r.goesOn(src, chain.ID)
}

// TestRevokeAllAfter takes all commits of a key after one out of force.
func TestRevokeAllAfter(t *testing.T) {
	for _, c := range []struct {
		name  string
		revoc func(chain string, signer string) record.Revocation
		left  int
	}{
		{"in this chain", func(chain, signer string) record.Revocation {
			return record.Revocation{Signer: signer, Chain: chain, Seq: 2}
		}, 2},
		{"in another chain", func(_, signer string) record.Revocation {
			return record.Revocation{Signer: signer, Chain: strings.Repeat("ab", 16), Seq: 0}
		}, 4},
		{"by another key", func(chain, _ string) record.Revocation {
			return record.Revocation{Signer: strings.Repeat("ab", 16), Chain: chain, Seq: 0}
		}, 4},
		{"everywhere", func(_, signer string) record.Revocation { return record.Revocation{Signer: signer} }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, src, chain, contents := revokeRig(t)
			r.declare(func(st *record.Statement) { st.Revoked = []record.Revocation{c.revoc(chain.ID, r.agent.ID())} })
			v := r.open()
			chains, err := v.Chains(context.Background())
			must(t, err)
			if len(chains) != 1 || len(chains[0].Commits) != c.left {
				t.Fatalf("%d commits are left, want %d", len(chains[0].Commits), c.left)
			}
			if c.left == 0 {
				return
			}
			diff(t, "the newest in force", r.contents(v, chains[0].Newest()), contents[c.left-1])
			r.goesOn(src, chain.ID)
		})
	}
}

// goesOn makes another pass after the owner's statement, and holds that everything is there: in the same chain or in one that continues it. It does so with the
// state directory and without.
func (r *rig) goesOn(src *fakeSource, old string) {
	r.t.Helper()
	src.put("after", []byte("the statement"))
	for _, lost := range []bool{false, true} {
		next, d := r.in(r.t, world{objects: r.driver.(*mem.Driver).Objects(), dir: map[bool]string{false: r.dir}[lost]})
		next.mustReplicate(src, agent.Options{})
		if lost {
			next.mustReplicate(src, agent.Options{})
		}
		v := next.open()
		chains, err := v.Chains(context.Background())
		must(r.t, err)
		found := false
		for _, c := range chains {
			k := c.Newest()
			if k == nil || !maps.Equal(hashes(next.contents(v, k)), hashes(src.copy())) {
				continue
			}
			found = true
			if c.ID != old && (c.Commits[0].Continues == nil || c.Commits[0].Continues.Chain != old) {
				r.t.Errorf("state lost %v: the new chain does not say that it continues %s", lost, old)
			}
		}
		if !found {
			r.t.Errorf("state lost %v: after the statement, no chain of %d has what the source has", lost, len(chains))
		}
		if len(chains) > 2 {
			r.t.Errorf("state lost %v: there are %d chains", lost, len(chains))
		}
		for name := range d.Objects() {
			if strings.HasPrefix(name, "commits/") && len(name) != len(record.CommitName(old, 1)) {
				r.t.Errorf("%s", name)
			}
		}
	}
}

// TestStatementsForAgents holds agents to what the owner's newest statement lets them do.
func TestStatementsForAgents(t *testing.T) {
	other, err := sign.Generate()
	must(t, err)
	for _, c := range []struct {
		name   string
		change func(*record.Statement)
		want   string // in the error; empty: it may go on
		commit bool   // earlier commits still count
	}{
		{"a note", func(st *record.Statement) { st.Note = "hello" }, "", true},
		{"a newer format", func(st *record.Statement) { st.Format = 2 }, "asks for format 2", true},
		{"another agent in its place", func(st *record.Statement) {
			st.Signers = []record.Signer{{ID: other.ID(), Algorithm: "ed25519", Key: other.Public().String(), Roles: []string{record.RoleAgent}, Sources: []string{"*"}}}
		}, "does not name this agent's key", true},
		{"no longer an agent", func(st *record.Statement) { st.Signers[0].Roles = []string{record.RoleAuditor} }, "does not name this agent's key", true},
		{"until yesterday", func(st *record.Statement) { st.Signers[0].Until = time.Now().Add(-24 * time.Hour) }, "does not name this agent's key", true},
		{"from tomorrow", func(st *record.Statement) { st.Signers[0].From = time.Now().Add(24 * time.Hour) }, "does not name this agent's key", true},
		{"for another source", func(st *record.Statement) { st.Signers[0].Sources = []string{"else"} }, `source "fake"`, true},
		{"for this source", func(st *record.Statement) { st.Signers[0].Sources = []string{"fake"} }, "", true},
		{"smaller packs and frames", func(st *record.Statement) { st.Parameters.PackSize, st.Parameters.FrameSize = 100_000, 30_000 }, "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, src := newRig(t), newFakeSource()
			src.put("a", noise(1, 200_000))
			r.mustReplicate(src, agent.Options{})
			before := src.copy()
			r.declare(func(st *record.Statement) {
				st.Signers = append([]record.Signer(nil), st.Signers...)
				c.change(st)
			})
			src.put("b", noise(2, 400_000))
			_, err := r.replicate(context.Background(), src, agent.Options{})
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("replicate: %v, want %q", err, c.want)
			}
			want := before
			if err == nil {
				want = src.copy()
			}
			v := r.open()
			diff(t, "afterwards", r.contents(v, r.chain(v).Head()), want)
			checkVerified(t, r)
		})
	}
}

// TestNewRecipients seals to the recipients of the newest statement: what was sealed before stays closed to a new one, until it is written anew.
func TestNewRecipients(t *testing.T) {
	r, src := newRig(t), newFakeSource()
	src.put("a", []byte("for the first key"))
	r.mustReplicate(src, agent.Options{})
	id, recipient, err := seal.GenerateX25519()
	must(t, err)
	r.declare(func(st *record.Statement) {
		st.Recipients = append(st.Recipients, record.Recipient{Recipient: recipient, Role: record.RoleRecovery})
	})
	second := *r
	second.recovery, err = seal.ParseIdentity(id)
	must(t, err)
	src.put("b", []byte("for both keys"))
	r.mustReplicate(src, agent.Options{}) // on top of a base that the second key does not open
	diff(t, "with the first key", r.contents(r.open(), r.chain(r.open()).Head()), src.copy())
	if err := second.read("b"); !errors.Is(err, vault.ErrLocked) {
		t.Errorf("a base that is not for the key: %v", err)
	}
	r.mustReplicate(src, agent.Options{}) // writes the base anew
	diff(t, "with the first key", r.contents(r.open(), r.chain(r.open()).Head()), src.copy())
	if err := second.read("b"); err != nil {
		t.Errorf("an item for both keys: %v", err)
	}
	if err := second.read("a"); !errors.Is(err, vault.ErrLocked) {
		t.Errorf("an item for the first key alone: %v", err)
	}
}

// read reads one item of the newest snapshot.
func (r *rig) read(path string) error {
	r.t.Helper()
	ctx, v := context.Background(), r.open()
	chains, err := v.Chains(ctx)
	must(r.t, err)
	snap, err := v.Snapshot(ctx, chains[0].Head())
	if err != nil {
		return err
	}
	rec, err := snap.Find(ctx, path)
	if err != nil {
		return err
	}
	return v.NewReader().Copy(ctx, io.Discard, &rec.Parts[0])
}

// TestReplacedAgent has another agent take a source over, which reads the pages of the one before: its chain says that it goes on from there, and what the source had
// then stays restorable.
func TestReplacedAgent(t *testing.T) {
	r, src := newRig(t), newFakeSource()
	src.put("a", words(1, 5000))
	old := r.mustReplicate(src, agent.Options{}).Head
	other, err := sign.Generate()
	must(t, err)
	r.declare(func(st *record.Statement) {
		st.Signers = append(st.Signers, record.Signer{ID: other.ID(), Algorithm: "ed25519", Key: other.Public().String(), Roles: []string{record.RoleAgent}, Sources: []string{"*"}})
	})
	next := *r
	next.agent, next.dir = other, filepath.Join(t.TempDir(), "state")
	src.put("b", words(2, 5000))
	head := next.mustReplicate(src, agent.Options{}).Head
	if head.Chain == old.Chain {
		t.Fatal("the new agent wrote to the old one's chain")
	}
	v := r.open()
	chains, err := v.Chains(context.Background())
	must(t, err)
	for _, c := range chains {
		switch first := c.Commits[0]; c.ID {
		case head.Chain:
			if k := first.Continues; k == nil || k.Chain != old.Chain || k.Seq != old.Seq || k.Hash != old.Hash {
				t.Errorf("the new chain continues %+v", k)
			}
			diff(t, "the new chain", r.contents(v, c.Newest()), src.copy())
		case old.Chain:
			if got := r.contents(v, c.Newest()); len(got) != 1 {
				t.Errorf("the old chain has %d items", len(got))
			}
		}
	}
}
