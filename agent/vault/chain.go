package vault

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"farshore/agent/record"
	"farshore/crypto/seal"
	"farshore/crypto/sign"
)

// Commit is one commit of a chain that counts, without the lists of what it adds.
type Commit struct {
	record.Commit
	// Hash is the hash of the stored bytes.
	Hash record.Hash
	// Signer is the id of the agent's key.
	Signer string
	// Revoked is true when the owner declared that this one commit does not count; its successors may.
	Revoked bool
	// StoredSize is the size of the commit object itself in bytes.
	StoredSize int64
	// AddedBytes is the sum of the stored sizes of what the commit adds.
	AddedBytes int64
	// AddedPacks is how many packs the commit adds, AdoptedPacks how many of them were stored before the agent restarted and found again.
	AddedPacks, AdoptedPacks int64
	// Version is the store's id of the version that was read, where the name has others or is hidden; else empty.
	Version string
}

// Chain is the commits of one source by one agent.
type Chain struct {
	ID string
	// Commits are those that count, from number 1 on without gap.
	Commits []*Commit
	// Source describes what is protected; its name is empty when no key at hand opens it.
	Source record.Place
	// Revoked is true when the owner revoked any of its commits: whoever wrote them begins another chain, and another deduplication domain.
	Revoked bool
	// RolledBack says that the chain ends before a commit that was seen earlier (Options.Seen), or has another in its place; it wraps
	// ErrRolledBack. Nil: it does not, as far as is known.
	RolledBack error
	// Findings are what was noticed in this chain.
	Findings []Finding

	cut      *Commit       // what the chain ends before, where that is a commit which the owner revoked
	met      map[Seen]bool // high-water marks that the chain has
	withheld error         // the chain ends before a commit that the store does not give: its answer
}

// Head is the newest commit that counts, or nil.
func (c *Chain) Head() *Commit {
	if len(c.Commits) == 0 {
		return nil
	}
	return c.Commits[len(c.Commits)-1]
}

// Retired reports whether the chain's last commit says that the source is no longer replicated.
func (c *Chain) Retired() bool { return c.Head() != nil && c.Head().Commit.Retired }

func (c *Chain) note(s Severity, object, format string, args ...any) {
	c.Findings = append(c.Findings, Finding{s, object, fmt.Sprintf(format, args...)})
}

// Chains reads and checks all chains of the vault, in the order of their ids. Memory is in proportion to the number of commits that count, without the lists
// of what they add. High-water marks that no chain meets are findings, of their chain or of one without an id: see Unseen.
func (v *Vault) Chains(ctx context.Context) ([]*Chain, error) {
	s := v.newChainsReader()
	junk := 0
	for n, err := range v.bucket.Names(ctx, "commits/", "") {
		if err != nil {
			return nil, err
		}
		if record.IsCanary(n.Name) {
			continue
		}
		id, _, err := record.ParseCommitName(n.Name)
		if err != nil {
			junk++
			continue
		}
		if err := s.add(ctx, id, n); err != nil {
			return nil, err
		}
	}
	chains, err := s.close(ctx)
	if err != nil {
		return nil, err
	}
	if err := nothingGiven(chains); err != nil {
		return nil, err
	}
	chains, err = v.checkSeen(ctx, chains)
	if junk > 0 {
		chains = append(chains, &Chain{Findings: []Finding{{Tampering, "commits/", fmt.Sprintf("%d objects whose names are not those of commits were ignored", junk)}}})
	}
	return chains, err
}

// nothingGiven returns why no commit was read where the store withheld some and none counts: then it is the reader who may not read commits.
func nothingGiven(chains []*Chain) (err error) {
	for _, c := range chains {
		if c.Head() != nil || c.Revoked {
			return nil
		}
		err = cmp.Or(err, c.withheld)
	}
	return err
}

// bare reports whether there is nothing to say of the chain: its names have only delete markers.
func (c *Chain) bare() bool { return len(c.Commits) == 0 && len(c.Findings) == 0 && !c.Revoked }

// Chain reads one chain whole. A chain that the vault does not have is one without commits.
func (v *Vault) Chain(ctx context.Context, id string) (*Chain, error) {
	s := v.newChainsReader()
	for n, err := range v.bucket.Names(ctx, "commits/"+id+"/", "") {
		if err != nil {
			return nil, err
		}
		if _, _, err := record.ParseCommitName(n.Name); err != nil {
			continue
		}
		if err := s.add(ctx, id, n); err != nil {
			return nil, err
		}
	}
	chains, err := s.close(ctx)
	if err == nil {
		err = nothingGiven(chains)
	}
	if err != nil {
		return nil, err
	}
	c := &Chain{ID: id}
	if len(chains) > 0 {
		c = chains[0]
	}
	for _, m := range v.seen {
		if m.Chain == id {
			v.hold(c, m)
		}
	}
	return c, nil
}

func addedBytes(c *record.Commit) int64 { return storedSize(c.Packs) + storedSize(c.Meta) }

var errRevoked = errors.New("the owner revoked its signer's commits from here on")

var errCommitMissing = errors.New("the commit before it is missing")

// checkCommit verifies one stored commit as the successor of prev (nil: it must be the first). With errRevoked it returns the commit too.
func (v *Vault) checkCommit(object string, stored []byte, readErr error, prev *Commit) (*Commit, error) {
	if readErr != nil {
		return nil, fmt.Errorf("it can't be read: %w", readErr)
	}
	chain, seq, err := record.ParseCommitName(object)
	if err != nil {
		return nil, err
	}
	signed, err := sign.Parse(kindCommit, stored)
	if err != nil {
		return nil, err
	}
	body, err := v.verifyCommit(signed)
	if err != nil {
		return nil, err
	}
	if body.Chain != chain || body.Seq != seq {
		return nil, fmt.Errorf("it says that it is %s", record.CommitName(body.Chain, body.Seq))
	}
	if err := follows(body, prev); err != nil {
		return nil, err
	}
	c := &Commit{Commit: *body, Hash: sha256.Sum256(stored), Signer: signed.KeyID, StoredSize: int64(len(stored))}
	c.Revoked = v.revoked(c)
	if v.revokedAfter(c) {
		return c, errRevoked
	}
	return c, nil
}

func follows(c *record.Commit, prev *Commit) error {
	switch {
	case prev == nil && c.Seq != 1, prev != nil && c.Seq > prev.Seq+1:
		return errCommitMissing
	case prev == nil && c.Prev != nil:
		return errors.New("it is the first and names a predecessor")
	case prev == nil:
		return nil
	case c.Seq != prev.Seq+1:
		return errors.New("its number repeats")
	case c.Prev == nil || *c.Prev != prev.Hash:
		return errors.New("it does not name the hash of the commit before it")
	case c.Time.Before(prev.Time):
		return fmt.Errorf("its time %s lies before that of the commit before it", record.FormatTime(c.Time))
	}
	return nil
}

// verifyCommit checks the signature against the signers that the owner named, and decodes the body.
func (v *Vault) verifyCommit(signed sign.Signed) (*record.Commit, error) {
	var found bool
	for i := len(v.statements) - 1; i >= 0; i-- {
		s := v.statements[i].Signer(signed.KeyID)
		if s == nil || !s.RolesHas(record.RoleAgent) {
			continue
		}
		found = true
		key, err := sign.ParsePublic(s.Key)
		if err != nil {
			return nil, err
		}
		if err := signed.Verify(v.id, key); err != nil {
			return nil, errors.New("its signature is wrong")
		}
		c, err := record.DecodeCommit(signed.JSON)
		if err != nil {
			return nil, err
		}
		from := v.statementIndex(c.Statement)
		if from < 0 {
			return nil, fmt.Errorf("it names a statement that the owner did not sign: %s", c.Statement)
		}
		if i >= from && s.Covers(c.Time) {
			return c, nil
		}
	}
	if found {
		return nil, fmt.Errorf("key %s might not sign commits at its time", signed.KeyID)
	}
	return nil, fmt.Errorf("the owner never named its signer %s as an agent", signed.KeyID)
}

func (v *Vault) statementIndex(h record.Hash) int {
	for i := range v.hashes {
		if v.hashes[i] == h {
			return i
		}
	}
	return -1
}

// allowedSource reports whether the signer may commit for the source, under the statement that the commit names or any later one. A name that is unknown for
// want of a key is let pass.
func (v *Vault) allowedSource(c *Commit, name string) bool {
	for _, st := range v.statements[v.statementIndex(c.Statement):] {
		s := st.Signer(c.Signer)
		if s != nil && s.RolesHas(record.RoleAgent) && (name == "" || s.SourcesHas(name)) {
			return true
		}
	}
	return false
}

func (v *Vault) revoked(c *Commit) bool {
	for _, r := range v.Statement().Revoked {
		if r.Commit != nil && *r.Commit == c.Hash {
			return true
		}
	}
	return false
}

func (v *Vault) revokedAfter(c *Commit) bool {
	return outOfForce(v.Statement(), c.Signer, c.Chain, c.Seq)
}

// openDescriptor decrypts the first commit's sealed source descriptor where a key at hand can.
func (v *Vault) openDescriptor(c *Chain, first *Commit) {
	if v.opener.Empty() || first.Source == "" {
		return
	}
	place, err := v.openPlace(first.Source)
	if errors.Is(err, seal.ErrWrongKey) {
		return
	}
	if err != nil {
		c.note(Damage, record.CommitName(c.ID, 1), "its source descriptor can't be read: %v", err)
		return
	}
	c.Source = place
}

func (v *Vault) openPlace(sealed string) (record.Place, error) {
	var p record.Place
	b, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil {
		return p, err
	}
	plain, err := seal.OpenBytes(v.opener, b, 1<<20)
	if err != nil {
		return p, err
	}
	return p, json.Unmarshal(plain, &p)
}

// AsOf returns the newest complete, unrevoked commit of the chain not later than t, or nil.
func (c *Chain) AsOf(t time.Time) *Commit {
	for i := len(c.Commits) - 1; i >= 0; i-- {
		if k := c.Commits[i]; k.usable() && k.Complete && !k.Time.After(t) {
			return k
		}
	}
	return nil
}

// NewestGood returns the newest complete, unrevoked commit that is not suspicious, or nil: what is restored where nobody says when.
func (c *Chain) NewestGood() *Commit {
	for i := len(c.Commits) - 1; i >= 0; i-- {
		if k := c.Commits[i]; k.usable() && k.Good() {
			return k
		}
	}
	return nil
}

// Current returns what a restore may be asked for first: the newest snapshot and, where that is another one, the newest good one.
func (c *Chain) Current() []*Commit {
	var out []*Commit
	newest := c.Newest()
	if newest != nil {
		out = append(out, newest)
	}
	if good := c.NewestGood(); good != nil && good != newest {
		out = append(out, good)
	}
	return out
}

// Newest returns the newest commit with a snapshot, complete or not, or nil.
func (c *Chain) Newest() *Commit {
	for i := len(c.Commits) - 1; i >= 0; i-- {
		if c.Commits[i].usable() {
			return c.Commits[i]
		}
	}
	return nil
}

// Number returns the commit with that number, or nil when the chain has none or the owner revoked it.
func (c *Chain) Number(seq int64) *Commit {
	if seq < 1 || seq > int64(len(c.Commits)) || !c.Commits[seq-1].usable() {
		return nil
	}
	return c.Commits[seq-1]
}

// Good reports whether the commit's snapshot is complete and not suspicious.
func (c *Commit) Good() bool { return c.Complete && len(c.Suspicious) == 0 }

func (c *Commit) usable() bool { return !c.Revoked && c.Root != nil }

// Added reads a commit again and returns the packs and meta objects that it says it adds.
func (v *Vault) Added(ctx context.Context, c *Commit) (packs, meta []record.Ref, err error) {
	name := record.CommitName(c.Chain, c.Seq)
	stored, err := v.readNamed(ctx, name, c.Hash)
	if err != nil {
		return nil, nil, err
	}
	signed, err := sign.Parse(kindCommit, stored)
	if err != nil {
		return nil, nil, &DamageError{name, err}
	}
	body, err := record.DecodeCommit(signed.JSON)
	if err != nil {
		return nil, nil, &DamageError{name, err}
	}
	return body.Packs, body.Meta, nil
}
