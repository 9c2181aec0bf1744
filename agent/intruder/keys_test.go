package intruder

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"farshore/agent/record"
	"farshore/agent/vault"
	"farshore/agent/verify"
	"farshore/crypto/seal"
	"farshore/crypto/sign"
)

// object is what the thief stores.
type object struct {
	name string
	body []byte
}

// heist is an attack with what the host's keys can make.
type heist struct {
	name string
	make func(s *scene) []object
	// severity and words are what a verification says of each object that the store took; no severity: it can't know.
	severity vault.Severity
	words    []string
	// over says that it lies on names of the vault, which a store without versions would lose.
	over bool
	// stops says that the agent must not write any more before the owner has acted.
	stops bool
}

var heists = []heist{
	{name: "a second body for every number", severity: vault.Tampering, words: []string{"a fork: a second commit with this number, validly signed"}, over: true, make: func(s *scene) (out []object) {
		for seq := int64(1); seq <= s.last().seq; seq++ {
			c := s.commit(seq)
			c.Suspicious = append(c.Suspicious, "forged")
			out = append(out, object{record.CommitName(c.Chain, seq), s.signed(c, s.agent.key)})
		}
		return out
	}},
	{name: "an empty snapshot as the next commit", stops: true, make: func(s *scene) []object {
		return []object{s.next(func(c *record.Commit) { c.Root, c.List, c.Counts = s.commit(1).Root, s.commit(1).List, record.Counts{} })}
	}},
	{name: "the next commit, a hundred years ahead", stops: true, make: func(s *scene) []object {
		return []object{s.next(func(c *record.Commit) { c.Time = c.Time.AddDate(100, 0, 0) })}
	}},
	{name: "a continuation from an earlier commit", severity: vault.Tampering, words: []string{"it does not name the hash of the commit before it"}, stops: true, make: func(s *scene) []object {
		return []object{s.next(func(c *record.Commit) { c.Prev = s.commit(s.last().seq).Prev })}
	}},
	{name: "a commit from before its predecessor", severity: vault.Tampering, words: []string{"lies before that of the commit before it"}, stops: true, make: func(s *scene) []object {
		return []object{s.next(func(c *record.Commit) { c.Time = c.Time.AddDate(0, 0, -1) })}
	}},
	{name: "a commit number left out", severity: vault.Damage, words: []string{"the commit before it is missing"}, make: func(s *scene) []object {
		o := s.next(func(c *record.Commit) { c.Seq++ })
		return []object{{record.CommitName(s.last().chain, s.last().seq+2), o.body}}
	}},
	{name: "garbage under the next number", severity: vault.Tampering, words: []string{"not a well-formed signed object"}, stops: true, make: func(s *scene) []object {
		return []object{{record.CommitName(s.last().chain, s.last().seq+1), noise(3, 4000)}}
	}},
	{name: "an old commit replayed under the next number", severity: vault.Tampering, words: []string{"it says that it is"}, stops: true, make: func(s *scene) []object {
		return []object{{record.CommitName(s.last().chain, s.last().seq+1), s.stored(record.CommitName(s.last().chain, 2))}}
	}},
	{name: "old commits replayed in another chain", severity: vault.Tampering, words: []string{"it says that it is"}, make: func(s *scene) (out []object) {
		chain := randomChain()
		for seq := int64(1); seq <= s.last().seq; seq++ {
			out = append(out, object{record.CommitName(chain, seq), s.stored(record.CommitName(s.last().chain, seq))})
		}
		return out[:1] // the others are counted with the first
	}},
	{name: "a chain of the thief's own, under the source's name", make: func(s *scene) []object {
		c := s.commit(1)
		c.Chain, c.Time = randomChain(), time.Now()
		return []object{{record.CommitName(c.Chain, 1), s.signed(c, s.agent.key)}}
	}},
	{name: "a chain signed by a stranger", severity: vault.Tampering, words: []string{"the owner never named its signer"}, make: func(s *scene) []object {
		c := s.commit(1)
		c.Chain = randomChain()
		stranger, err := sign.Generate()
		must(s.t, err)
		return []object{{record.CommitName(c.Chain, 1), s.signed(c, stranger)}}
	}},
	{name: "packs whose bytes are not those of their names", severity: vault.Damage, words: []string{"do not have the hash in its name"}, make: func(s *scene) []object {
		return []object{{record.PackName(sha256.Sum256([]byte("a"))), noise(1, 30_000)}, {record.MetaName(sha256.Sum256([]byte("b"))), noise(2, 3000)}}
	}},
	{name: "names that no object has", severity: vault.Tampering, words: []string{"no object of a vault has such a name"}, make: func(*scene) []object {
		return []object{{"packs/zz/garbage", noise(1, 3000)}, {"meta/latest", noise(2, 3000)}}
	}},
	{name: "well-named garbage that nothing refers to", make: func(*scene) []object {
		a, b := noise(1, 30_000), noise(2, 3000)
		return []object{{record.PackName(sha256.Sum256(a)), a}, {record.MetaName(sha256.Sum256(b)), b}}
	}},
	{name: "a vault of the thief's own in the same place", severity: vault.Tampering, words: []string{"not by the owner of this vault"}, make: func(s *scene) []object {
		mine, err := sign.Generate()
		must(s.t, err)
		return []object{s.statement(1, mine, sign.NoVault, func(st *record.Statement) { st.Owner, st.Prev = mine.Public().String(), nil })}
	}},
	{name: "recipients swapped, signed by the agent's key", severity: vault.Tampering, words: []string{"ignored: the owner did not sign it"}, make: func(s *scene) []object {
		return []object{s.statement(2, s.agent.key, s.id, func(*record.Statement) {})}
	}},
	{name: "recipients swapped, signed by a key that calls itself the owner", severity: vault.Tampering, words: []string{"ignored: the owner did not sign it"}, make: func(s *scene) []object {
		mine, err := sign.Generate()
		must(s.t, err)
		return []object{s.statement(2, mine, s.id, func(st *record.Statement) { st.Owner = mine.Public().String() })}
	}},
	{name: "statement numbers squatted", severity: vault.Tampering, words: []string{"ignored"}, make: func(s *scene) []object {
		junk := []byte("mine")
		return []object{{record.StatementName(2, sha256.Sum256(junk)), junk}, s.statement(99, s.agent.key, s.id, func(*record.Statement) {})}
	}},
}

func randomChain() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // crypto/rand never fails: it ends the program instead
	return hex.EncodeToString(id[:])
}

// stored are an object's bytes, as the thief read them before.
func (s *scene) stored(name string) []byte {
	s.t.Helper()
	b, err := s.at.owner().ReadAll(s.ctx, name, 1<<20)
	must(s.t, err)
	return b
}

// commit is a commit of the agent's chain, to make others of.
func (s *scene) commit(seq int64) *record.Commit {
	s.t.Helper()
	signed, err := sign.Parse(sign.KindCommit, s.stored(record.CommitName(s.last().chain, seq)))
	must(s.t, err)
	c, err := record.DecodeCommit(signed.JSON)
	must(s.t, err)
	return c
}

func (s *scene) signed(c *record.Commit, key sign.PrivateKey) []byte {
	s.t.Helper()
	body, err := record.EncodeCommit(c)
	must(s.t, err)
	stored, err := sign.Envelope(sign.KindCommit, s.id, body, key)
	must(s.t, err)
	return stored
}

// next is a commit that follows the agent's last by the rules, signed with its stolen key, and then changed.
func (s *scene) next(change func(*record.Commit)) object {
	s.t.Helper()
	c := s.commit(s.last().seq)
	hash := s.last().hash
	c.Seq, c.Prev, c.Time = c.Seq+1, &hash, c.Time.Add(time.Second)
	c.Packs, c.Meta, c.Adopted = nil, nil, nil
	change(c)
	return object{record.CommitName(c.Chain, s.last().seq+1), s.signed(c, s.agent.key)}
}

// statement is one that seals everything to the thief, under a number, in place of the owner's.
func (s *scene) statement(n int64, key sign.PrivateKey, vaultID string, change func(*record.Statement)) object {
	s.t.Helper()
	st := *s.open(s.at.owner()).Statement()
	first, err := record.ParseHash(s.id)
	must(s.t, err)
	_, mine, err := seal.GenerateX25519()
	must(s.t, err)
	st.N, st.Prev, st.Time = n, &first, time.Now()
	st.Recipients = []record.Recipient{{Recipient: mine, Role: record.RoleRecovery}}
	change(&st)
	body, err := record.EncodeStatement(&st)
	must(s.t, err)
	stored, err := sign.Envelope(sign.KindStatement, vaultID, body, key)
	must(s.t, err)
	return object{record.StatementName(n, sha256.Sum256(stored)), stored}
}

// place stores the objects with the stolen credential, and returns what the store took. A failure that is no refusal fails the test.
func (s *scene) place(objects []object, expect effect) (taken []object) {
	s.t.Helper()
	for _, o := range objects {
		err := s.at.thief.put(o.name, o.body)
		switch {
		case err == nil:
			taken = append(taken, o)
		case !s.at.thief.denied(err):
			s.t.Fatalf("%s: %v is neither leave nor a refusal", o.name, err)
		}
	}
	s.t.Logf("%d of %d objects were taken", len(taken), len(objects))
	if expect == refused && len(taken) > 0 || expect != refused && len(taken) != len(objects) {
		s.t.Errorf("of %d objects the store took %d, and is documented as: %s", len(objects), len(taken), expect)
	}
	return taken
}

// TestStolenKeys makes with the host's keys what a thief would, and stores it with the host's credential, on each store. What was there is restored, the next
// verification tells what can be told, the agent stops where somebody else wrote in its chain, and the owner has a way on.
func TestStolenKeys(t *testing.T) {
	onEach(t, func(t *testing.T, at *place) {
		for i, h := range heists {
			if testing.Short() && i%3 != 0 {
				continue
			}
			t.Run(h.name, func(t *testing.T) { robbed(t, at.again(t), h) })
		}
	})
}

func robbed(t *testing.T, at *place, h heist) {
	if h.over && at.overwrites == lost {
		t.Skip("whoever may write to this store may replace what it holds: see TestRollback for what readers notice there")
	}
	s := newScene(t, at)
	objects := h.make(s)
	expect := lost
	switch {
	case h.over:
		expect = at.overwrites
	case strings.HasPrefix(objects[0].name, "vault/"):
		expect = at.foreignRoom
	}
	taken := s.place(objects, expect)
	res := s.after()
	s.told(res, h, taken)
	s.change()
	err := s.replicate()
	if h.stops && !errors.Is(err, vault.ErrForeignCommit) {
		t.Errorf("the agent, in whose chain somebody else wrote: %v", err)
	} else if !h.stops {
		must(t, err)
		s.ours()
	}
	s.replaceAgent()
	s.ours()
	s.after()
}

// told holds that a verification names what the store took, and nothing where it took nothing.
func (s *scene) told(res *verify.Result, h heist, taken []object) {
	s.t.Helper()
	if len(taken) == 0 || h.severity == "" {
		s.clean(res)
		return
	}
	for _, o := range taken {
		s.says(res, h.severity, o.name, h.words...)
	}
}

// ours holds that what the agent stored is sealed to the owner's recipients alone: the recovery key opens every pack that a snapshot needs, which after has shown, and
// none has a recipient more than there are in the owner's statement.
func (s *scene) ours() {
	s.t.Helper()
	st := s.open(s.at.owner()).Statement()
	if len(st.Recipients) < 1 || st.Recipients[0].Recipient != s.recipient {
		s.t.Fatalf("the vault's recipients are %v", st.Recipients)
	}
	for info, err := range s.at.restorer().List(s.ctx, "packs/", "") {
		must(s.t, err)
		b, err := s.at.restorer().ReadAll(s.ctx, info.Name, 1<<20)
		must(s.t, err)
		header, _, _ := strings.Cut(string(b), "\n--- ")
		if n := strings.Count(header, "\n-> "); strings.HasPrefix(header, "age-encryption.org/") && n != 1 {
			s.t.Errorf("%s is sealed to %d recipients", info.Name, n)
		}
	}
}
