package vault_test

import (
	"errors"
	"strings"
	"testing"

	"farshore/agent/record"
	"farshore/agent/vault"
	"farshore/agent/verify"
)

func TestParseSeen(t *testing.T) {
	full := strings.Repeat("0123456789abcdef", 4)
	for _, c := range []struct {
		text, err string
		digits    int
	}{
		{text: "7:" + full},
		{text: "1:" + full[:16], digits: 16},
		{text: "9999999999:" + full[:63], digits: 63},
		{text: "7:" + full[:15], err: "16 to 64 digits"},
		{text: "7:" + full + "0", err: "16 to 64 digits"},
		{text: "7:" + strings.ToUpper(full), err: "0-9a-f"},
		{text: "7:" + full[:20] + "xyz", err: "0-9a-f"},
		{text: "0:" + full, err: "number from 1"},
		{text: "-1:" + full, err: "number from 1"},
		{text: "07:" + full, err: "number from 1"},
		{text: "+7:" + full, err: "number from 1"},
		{text: ":" + full, err: "number from 1"},
		{text: "99999999999999999999:" + full, err: "number from 1"},
		{text: full, err: "no colon"},
		{text: "", err: "no colon"},
		{text: "7: " + full, err: "digits"},
	} {
		got, err := vault.ParseSeen(c.text)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%q: %v", c.text, err)
			}
			continue
		}
		must(t, err)
		if got.String() != c.text || got.Digits != c.digits || got.Chain != "" {
			t.Errorf("%q became %+v, %s", c.text, got, got)
		}
		hash, err := record.ParseHash(full)
		must(t, err)
		other := hash
		other[0]++
		if !got.Matches(hash) || got.Matches(other) {
			t.Errorf("%q matches wrongly", c.text)
		}
	}
}

// mark returns the high-water mark of a commit, as a person gives it where short.
func mark(t *testing.T, c *vault.Chain, k *vault.Commit, short bool) vault.Seen {
	t.Helper()
	if !short {
		return vault.Seen{Chain: c.ID, Seq: k.Seq, Hash: k.Hash}
	}
	m, err := vault.ParseSeen(vault.Seen{Seq: k.Seq, Hash: k.Hash, Digits: 32}.String())
	must(t, err)
	return m
}

// destroy removes names for good.
func (r *rig) destroy(match func(name string) bool) {
	r.t.Helper()
	for _, name := range r.names() {
		if match(name) {
			r.store.RemoveVersion(name, r.history(name).ID)
		}
	}
}

// TestSeen holds chains to high-water marks.
func TestSeen(t *testing.T) {
	commits := func(from int64) func(r *rig, c *vault.Chain) {
		return func(r *rig, c *vault.Chain) {
			r.destroy(func(name string) bool {
				id, seq, err := record.ParseCommitName(name)
				return err == nil && id == c.ID && seq >= from
			})
		}
	}
	revoke := func(after int64) func(r *rig, c *vault.Chain) {
		return func(r *rig, c *vault.Chain) {
			r.state(func(st *record.Statement) {
				st.Revoked = append(st.Revoked, record.Revocation{Signer: r.agent.ID(), Chain: c.ID, Seq: after})
			})
		}
	}
	both := func(a, b func(r *rig, c *vault.Chain)) func(r *rig, c *vault.Chain) {
		return func(r *rig, c *vault.Chain) { a(r, c); b(r, c) }
	}
	replace := func(r *rig, c *vault.Chain) {
		name := record.CommitName(c.ID, 4)
		forged := r.forged(name)
		r.store.RemoveVersion(name, r.history(name).ID)
		r.store.Set(name, forged)
	}
	for _, c := range []struct {
		name string
		do   func(r *rig, c *vault.Chain)
		says string // of a chain that was rolled back
	}{
		{name: "as it was"},
		{name: "hidden", do: func(r *rig, c *vault.Chain) { r.store.Hide(record.CommitName(c.ID, 4)) }},
		{name: "the last is gone", do: commits(4), says: "the chain ends with commit 3"},
		{name: "all are gone", do: commits(1), says: "no commit of the chain counts"},
		{name: "another in its place", do: replace, says: "the vault has "},
		{name: "revoked after 2", do: revoke(2)},
		{name: "revoked after 3", do: revoke(3)},
		{name: "revoked whole", do: func(r *rig, c *vault.Chain) {
			r.state(func(st *record.Statement) {
				st.Revoked = append(st.Revoked, record.Revocation{Signer: r.agent.ID()})
			})
		}},
		{name: "that one revoked", do: func(r *rig, c *vault.Chain) {
			r.state(func(st *record.Statement) {
				st.Revoked = append(st.Revoked, record.Revocation{Commit: &c.Commits[3].Hash})
			})
		}},
		{name: "revoked after 4, and gone", do: both(revoke(4), commits(4)), says: "the chain ends with commit 3"},
		{name: "revoked after 3, and 3 is gone", do: both(revoke(3), commits(3)), says: "the chain ends with commit 2"},
		{name: "an earlier one revoked, and the last gone", do: both(func(r *rig, c *vault.Chain) {
			r.state(func(st *record.Statement) {
				st.Revoked = append(st.Revoked, record.Revocation{Commit: &c.Commits[1].Hash})
			})
		}, commits(4)), says: "the chain ends with commit 3"},
		{name: "another's commits revoked, and the last gone", do: both(func(r *rig, c *vault.Chain) {
			r.state(func(st *record.Statement) {
				st.Revoked = append(st.Revoked, record.Revocation{Signer: strings.Repeat("ab", 16)})
			})
		}, commits(4)), says: "the chain ends with commit 3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t).fill(3)
			chain := r.chain(r.open())
			if len(chain.Commits) != 4 {
				t.Fatal(len(chain.Commits))
			}
			own, byHand := mark(t, chain, chain.Commits[3], false), mark(t, chain, chain.Commits[3], true)
			early := mark(t, chain, chain.Commits[1], false)
			if c.do != nil {
				c.do(r, chain)
			}
			v := r.open(own, byHand)
			chains, err := v.Chains(t.Context())
			must(t, err)
			got := chains[0]
			if got.ID != chain.ID {
				t.Fatalf("the chain is %q", got.ID)
			}
			res, err := verify.Full(t.Context(), v, verify.Options{Source: chain.ID})
			must(t, err)
			single, err := v.Chain(t.Context(), chain.ID)
			must(t, err)
			if (single.RolledBack == nil) != (got.RolledBack == nil) {
				t.Errorf("alone %v, among all %v", single.RolledBack, got.RolledBack)
			}
			if c.says == "" {
				if got.RolledBack != nil || len(v.Unseen(chains)) != 0 {
					t.Errorf("%v, unseen %v", got.RolledBack, v.Unseen(chains))
				}
				return
			}
			if !errors.Is(got.RolledBack, vault.ErrRolledBack) || !strings.Contains(got.RolledBack.Error(), c.says) || !strings.Contains(got.RolledBack.Error(), own.String()) {
				t.Errorf("%v", got.RolledBack)
			}
			if u := v.Unseen(chains); len(u) != 2 || u[0] != own || u[1] != byHand {
				t.Errorf("unseen %v", u)
			}
			if said := about(res.Findings, vault.Tampering, "commits/"+chain.ID); !strings.Contains(said, c.says) {
				t.Errorf("verification says %q", said)
			}
			if said := about(res.Findings, vault.Tampering, "commits/"); !strings.Contains(said, byHand.String()) || res.OK() {
				t.Errorf("verification says %q of the mark given by hand", said)
			}
			if c.name == "the last is gone" {
				v := r.open(early)
				if chains, err := v.Chains(t.Context()); err != nil || chains[0].RolledBack != nil || len(v.Unseen(chains)) != 0 {
					t.Errorf("an earlier mark: %v, %v", chains[0].RolledBack, err)
				}
			}
		})
	}
}

// TestSeenRevokedGone holds that a mark by hand needs the commit to be there, even where the owner revoked it: without its chain nobody can tell which was revoked.
func TestSeenRevokedGone(t *testing.T) {
	r := newRig(t).fill(3)
	chain := r.chain(r.open())
	own, byHand := mark(t, chain, chain.Commits[3], false), mark(t, chain, chain.Commits[3], true)
	r.state(func(st *record.Statement) {
		st.Revoked = append(st.Revoked, record.Revocation{Signer: r.agent.ID(), Chain: chain.ID, Seq: 2})
	})
	r.destroy(func(name string) bool { return name == record.CommitName(chain.ID, 4) })
	v := r.open(own, byHand)
	chains, err := v.Chains(t.Context())
	must(t, err)
	if chains[0].RolledBack != nil {
		t.Errorf("the owner revoked what is gone: %v", chains[0].RolledBack)
	}
	if u := v.Unseen(chains); len(u) != 1 || u[0] != byHand {
		t.Errorf("unseen %v", u)
	}
}

// TestSeenOfGoneChain notices that a chain has gone among others, in its place.
func TestSeenOfGoneChain(t *testing.T) {
	r := newRig(t).fill(1)
	hash := r.chain(r.open()).Head().Hash
	low, high := strings.Repeat("0", 31)+"1", strings.Repeat("f", 32)
	v := r.open(vault.Seen{Chain: high, Seq: 3, Hash: hash}, vault.Seen{Chain: low, Seq: 2, Hash: hash})
	chains, err := v.Chains(t.Context())
	must(t, err)
	if len(chains) != 3 || chains[0].ID != low || chains[2].ID != high || chains[0].RolledBack == nil || chains[1].RolledBack != nil || chains[2].RolledBack == nil {
		t.Errorf("%+v", chains)
	}
	if got, ok := chains[1].Seen(); !ok || got.Hash != hash || got.Seq != 2 || got.Chain != chains[1].ID {
		t.Errorf("%+v, %v", got, ok)
	}
	if _, ok := chains[0].Seen(); ok {
		t.Error("a chain that has gone has a head")
	}
}
