package vault_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"farshore/agent/record"
	"farshore/agent/vault"
	"farshore/agent/verify"
	"farshore/crypto/sign"
	"farshore/providers"
	"farshore/providers/faults"
)

// keeping is a store that lists some versions and does not give them: a thief stored them under a key of his own, or in an archive.
type keeping struct {
	*faults.Faults
	rig  *rig
	kind providers.Kind
	kept map[string]bool // ids
}

// withhold makes the store keep back the newest version of a name.
func (r *rig) withhold(kind providers.Kind, names ...string) {
	r.t.Helper()
	k, ok := r.driver.(*keeping)
	if !ok {
		k = &keeping{Faults: r.script, rig: r, kept: map[string]bool{}}
		r.driver = k
	}
	k.kind = kind
	for _, name := range names {
		n := r.history(name)
		k.kept[n.Oldest[len(n.Oldest)-1].ID] = true
	}
}

func (k *keeping) refuse(name string) error {
	return &providers.Error{Kind: k.kind, Op: "read", Name: name, Err: errors.New("it is not for you")}
}

// Open refuses what is kept back.
func (k *keeping) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	page, _, _, err := k.rig.store.Versions(ctx, name, providers.Mark{}, 1)
	if err == nil && len(page) > 0 && page[0].Name == name && k.kept[page[0].ID] {
		return nil, k.refuse(name)
	}
	return k.Faults.Open(ctx, name, off, n)
}

// OpenVersion refuses what is kept back.
func (k *keeping) OpenVersion(ctx context.Context, name, id string, off, n int64) (io.ReadCloser, error) {
	if k.kept[id] {
		return nil, k.refuse(name)
	}
	return k.Faults.OpenVersion(ctx, name, id, off, n)
}

// withheldKinds are what stores answer for an object under another's key, or in an archive.
var withheldKinds = []providers.Kind{providers.Denied, providers.Unsupported, providers.Other}

// TestWithheldOverwrite overwrites every object with what no reader is given: everything is restored from beneath, and each is told of.
func TestWithheldOverwrite(t *testing.T) {
	for _, kind := range withheldKinds {
		t.Run(kind.String(), func(t *testing.T) {
			r := newRig(t).fill(2)
			names := r.names()
			for _, name := range names {
				r.store.Set(name, make([]byte, len(r.original(name)))) // of the same size, so that it has to be read to be told apart
				r.withhold(kind, name)
			}
			r.restored()
			res := r.verified()
			for _, name := range names {
				if said := about(res.Findings, vault.Tampering, name); !strings.Contains(said, "could not be read") {
					t.Errorf("%s: %q", name, said)
				}
			}
			if res.Snapshots != int64(len(r.want)) {
				t.Errorf("%d snapshots are whole", res.Snapshots)
			}
			r.continued()
		})
	}
}

// TestWithheldSquats stores what no reader is given under new names of each room: it keeps nobody from the rest, and is told of.
func TestWithheldSquats(t *testing.T) {
	for _, kind := range withheldKinds {
		t.Run(kind.String(), func(t *testing.T) {
			r := newRig(t).fill(2)
			c := r.chain(r.open())
			names := []string{
				record.CommitName(c.ID, c.Head().Seq+1), record.CommitName(strings.Repeat("0", 32), 1), record.CommitName(strings.Repeat("f", 32), 1),
				record.PackName(sha256.Sum256([]byte("p"))), record.MetaName(sha256.Sum256([]byte("m"))),
			}
			for _, name := range names {
				r.store.Set(name, []byte("junk"))
			}
			r.withhold(kind, names...)
			v := r.open()
			chains, err := v.Chains(t.Context())
			must(t, err)
			var mine *vault.Chain
			for _, x := range chains {
				if x.ID == c.ID {
					mine = x
				}
			}
			if mine == nil || len(mine.Commits) != len(c.Commits) {
				t.Fatalf("%+v", chains)
			}
			alone, err := v.Chain(t.Context(), c.ID)
			must(t, err)
			if len(alone.Commits) != len(c.Commits) || alone.RolledBack != nil {
				t.Errorf("alone it has %d commits: %v", len(alone.Commits), alone.RolledBack)
			}
			res, err := verifyFull(r)
			must(t, err)
			for _, name := range names {
				if said := about(res.Findings, vault.Damage, name); !strings.Contains(said, "it is not for you") {
					t.Errorf("%s: %q in %v", name, said, res.Findings)
				}
			}
			if res.Snapshots != int64(len(r.want)) || res.OK() {
				t.Errorf("%d snapshots are whole: %v", res.Snapshots, res.Findings)
			}
		})
	}
}

// TestWithheldRoom holds that a reader who may not read a room at all is told so, and that nothing is called damaged for it.
func TestWithheldRoom(t *testing.T) {
	for _, room := range []string{"commits/", "packs/", "meta/"} {
		for _, hide := range []bool{false, true} {
			r := newRig(t).fill(2)
			if hide {
				for _, name := range r.names() {
					if strings.HasPrefix(name, room) {
						r.store.Hide(name)
					}
				}
			}
			denied := &providers.Error{Kind: providers.Denied, Err: errors.New("not this room")}
			r.script.Add(faults.Fault{Op: "open", Prefix: room, Times: -1, Err: denied}, faults.Fault{Op: "open-version", Prefix: room, Times: -1, Err: denied})
			pub := r.owner.Public()
			v, err := vault.Open(t.Context(), r.bucket(), vault.Options{Owner: &pub})
			must(t, err)
			res, err := verify.Full(t.Context(), v, verify.Options{})
			if providers.KindOf(err) != providers.Denied || res.Damaged > 0 {
				t.Errorf("%s: %v: %v", room, err, res.Findings)
			}
		}
	}
}

// TestStoreGone holds that a store which stops answering, in whatever words, is not taken for one that withholds objects.
func TestStoreGone(t *testing.T) {
	for _, kind := range withheldKinds {
		for at := 2; at < 5; at++ {
			r := newRig(t).fill(3)
			v := r.open()
			gone := &providers.Error{Kind: kind, Err: errors.New("no answer")}
			r.script.Add(faults.Fault{Op: "open", Prefix: "commits/", At: at, Times: -1, Err: gone}, faults.Fault{Op: "open", Prefix: "vault/", Times: -1, Err: gone})
			if chains, err := v.Chains(t.Context()); err == nil {
				t.Errorf("%s, %d: %d commits, %v", kind, at, len(chains[0].Commits), chains[0].Findings)
			}
		}
	}
}

// TestLostBeneath has the oldest version of a commit be lost, under a fork that the thief signed: the fork is not taken in silence.
func TestLostBeneath(t *testing.T) {
	for _, kind := range append(withheldKinds, providers.NotFound, providers.Corrupt) {
		t.Run(kind.String(), func(t *testing.T) {
			r := newRig(t).fill(2)
			c := r.chain(r.open())
			name := record.CommitName(c.ID, c.Head().Seq)
			forged := r.forged(name)
			r.withhold(kind, name)
			r.store.Set(name, forged)
			got := r.chain(r.open())
			if said := about(got.Findings, vault.Damage, name); !strings.Contains(said, "whether that one is the commit is not known") {
				t.Errorf("%q of %v", said, got.Findings)
			}
			res, err := verifyFull(r)
			must(t, err)
			if said := about(res.Findings, vault.Damage, name); !strings.Contains(said, "is not known") {
				t.Errorf("verification says %q", said)
			}
			for _, f := range res.Findings {
				if f.Object == name && strings.Contains(f.Text, "not what belongs there") {
					t.Errorf("it was not read: %q", f.Text)
				}
			}
			// Who has seen the head is told that it is another.
			m := vault.Seen{Chain: c.ID, Seq: c.Head().Seq, Hash: c.Head().Hash}
			if got := r.chain(r.open(m)); !errors.Is(got.RolledBack, vault.ErrRolledBack) {
				t.Errorf("%v", got.RolledBack)
			}
		})
	}
}

// TestManyTwins holds that nothing is said of the bytes of repeated uploads that were not looked at.
func TestManyTwins(t *testing.T) {
	r := newRig(t).fill(1)
	for _, name := range r.names() {
		if strings.HasPrefix(name, "packs/") {
			for range 4 {
				r.store.Set(name, r.original(name))
			}
		}
	}
	res := r.verified()
	for _, f := range res.Findings {
		if strings.Contains(f.Text, "overwritten") {
			t.Errorf("%+v", f)
		}
	}
}

// TestWithheldStatement stores what no reader is given, and junk in numbers, below vault/: it closes the vault to nobody, and is told of.
func TestWithheldStatement(t *testing.T) {
	for _, kind := range withheldKinds {
		t.Run(kind.String(), func(t *testing.T) {
			r := newRig(t).fill(1)
			r.state(func(st *record.Statement) { st.Note = "the second" })
			var names []string
			for n := range int64(4) {
				names = append(names, record.StatementName(n+1, sha256.Sum256([]byte{byte(n)})))
				r.store.Set(names[n], []byte("junk"))
			}
			r.withhold(kind, names...)
			v := r.restored()
			if v.Statement().N != 2 || v.ID() != r.id {
				t.Errorf("statement %d of %s", v.Statement().N, v.ID())
			}
			for _, name := range names {
				if said := about(v.Findings(), vault.Damage, name); !strings.Contains(said, "it is not for you") {
					t.Errorf("%s: %q", name, said)
				}
			}
		})
	}
	// Who is given nothing at all is told why, and not that there is no vault.
	r := newRig(t)
	r.withhold(providers.Denied, r.names()...)
	pub := r.owner.Public()
	if _, err := vault.Open(t.Context(), r.bucket(), vault.Options{Owner: &pub}); providers.KindOf(err) != providers.Denied {
		t.Errorf("%v", err)
	}
}

// TestDeniedOnce holds that a statement which the store gives only when it is asked again counts.
func TestDeniedOnce(t *testing.T) {
	r := newRig(t)
	r.state(func(st *record.Statement) { st.Note = "the second" })
	r.script.Add(faults.Fault{Op: "open", Prefix: "vault/2-", Err: &providers.Error{Kind: providers.Denied}})
	if v := r.open(); v.Statement().N != 2 || len(v.Findings()) > 0 {
		t.Errorf("statement %d: %v", v.Statement().N, v.Findings())
	}
}

// TestFloodedStatements fills vault/ with more junk than a reader lists: statements that strangers signed, and no statements at all. The vault opens, by its owner's key.
func TestFloodedStatements(t *testing.T) {
	r := newRig(t).fill(1)
	r.state(func(st *record.Statement) { st.Note = "the second" })
	thief, err := sign.Generate()
	must(t, err)
	st := *r.open().Statement()
	for n := range int64(3000) {
		st.N, st.Owner = n%5+1, thief.Public().String()
		st.Note = fmt.Sprint(n)
		if st.N == 1 {
			st.Prev = nil
		} else {
			st.Prev = &record.Hash{1}
		}
		body, err := record.EncodeStatement(&st)
		must(t, err)
		id := r.id
		if st.N == 1 {
			id = "-"
		}
		stored, err := sign.Envelope("statement", id, body, thief)
		must(t, err)
		r.store.Set(record.StatementName(st.N, sha256.Sum256(stored)), stored)
	}
	const more = 5_000
	for i := range more {
		r.store.Set(record.StatementName(9, record.Hash{byte(i >> 16), byte(i >> 8), byte(i)}), nil)
	}
	v := r.restored()
	if v.Statement().N != 2 || v.ID() != r.id {
		t.Errorf("statement %d of %s", v.Statement().N, v.ID())
	}
	all := v.Findings()
	if said := about(all, vault.Tampering, "vault/"); len(all) != 1001 || !strings.Contains(said, fmt.Sprint(3000+more-1000, " more findings")) {
		t.Errorf("%d findings: %q", len(all), said)
	}
}

// TestManyChains holds that commits of many chains are read at the same time: whoever can create can begin any number.
func TestManyChains(t *testing.T) {
	r := newRig(t).fill(1)
	c := r.chain(r.open())
	for i := range 60 {
		r.store.Set(record.CommitName(fmt.Sprintf("%032x", i), 1), []byte("junk"))
	}
	r.store.Hide(record.CommitName(strings.Repeat("e", 32), 1))
	meet := make(chan struct{})
	var met atomic.Bool
	r.driver = &hooked{Faults: r.script, open: func(name string) {
		if met.Load() || !strings.HasPrefix(name, "commits/") {
			return
		}
		select { // until another read is under way too
		case meet <- struct{}{}:
			met.Store(true)
		case <-meet:
			met.Store(true)
		case <-time.After(20 * time.Second):
		}
	}}
	v := r.open()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	chains, err := v.Chains(ctx)
	must(t, err)
	if !met.Load() {
		t.Error("one commit was read after the other")
	}
	if len(chains) != 61 {
		t.Errorf("%d chains", len(chains))
	}
	for i, x := range chains {
		if i > 0 && chains[i-1].ID >= x.ID || (x.ID == c.ID) != (len(x.Commits) == 2) || x.ID != c.ID && len(x.Findings) != 1 {
			t.Errorf("%d: %s has %d commits, %v", i, x.ID, len(x.Commits), x.Findings)
		}
	}
}

// TestRepeatedReport holds that what an upload leaves whose answer was lost is no tampering below reports/ either, and that another version there is.
func TestRepeatedReport(t *testing.T) {
	r := newRig(t).fill(1)
	name := "reports/" + strings.Repeat("ab", 16) + "/0000000001"
	r.store.Set(name, []byte("a report"))
	r.store.Set(name, []byte("a report"))
	res := r.verified()
	if said := about(res.Findings, vault.Notice, name); !res.OK() || !strings.Contains(said, "stored once more") {
		t.Errorf("%q of %v", said, res.Findings)
	}
	r.store.Set(name, []byte("junk by x"))
	if said := about(r.verified().Findings, vault.Tampering, name); !strings.Contains(said, "overwritten") {
		t.Errorf("%q", said)
	}
	oldest := r.history(name).ID
	k := &keeping{Faults: r.script, rig: r, kind: providers.Denied, kept: map[string]bool{oldest: true}}
	r.driver = k
	if said := about(r.verified().Findings, vault.Tampering, name); !strings.Contains(said, "3 versions") || !strings.Contains(said, "not for you") {
		t.Errorf("%q", said)
	}
}
