package vault

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"farshore/agent/record"
	"farshore/providers"
)

// ErrRolledBack says that the vault shows less of a chain than somebody has seen of it: the agent that writes it, or a reader.
var ErrRolledBack = errors.New("the chain ends before, or differs from, what was seen of it")

// Seen is a high-water mark: a commit that somebody has seen. A chain that ends before it, or has another in its place, was rolled back. It is comparable.
type Seen struct {
	// Chain is the id of its chain. Empty: a mark that a person gives, which some chain of the vault must have.
	Chain string
	// Seq is the commit's number, from 1.
	Seq int64
	// Hash is the hash of its stored bytes.
	Hash record.Hash
	// Digits says how many hexadecimal digits of Hash are known, from its beginning; 0: all. The rest of Hash is zero.
	Digits int
}

// minSeenDigits is how many digits of a hash a mark has at least: 64 bits, which nobody hits by chance.
const minSeenDigits = 16

// ParseSeen reads a mark SEQ:HASH as the commands print heads; at least the first 16 digits of the hash are needed. It has no chain.
func ParseSeen(text string) (Seen, error) {
	bad := func(why string) (Seen, error) {
		return Seen{}, fmt.Errorf("%.100q is no commit of the form SEQ:HASH: %s", text, why)
	}
	number, digits, ok := strings.Cut(text, ":")
	if !ok {
		return bad("there is no colon")
	}
	seq, err := strconv.ParseInt(number, 10, 64)
	if err != nil || seq < 1 || strconv.FormatInt(seq, 10) != number {
		return bad("SEQ is a number from 1")
	}
	full := 2 * len(record.Hash{})
	if len(digits) < minSeenDigits || len(digits) > full {
		return bad(fmt.Sprintf("HASH has %d to %d digits, and this one %d", minSeenDigits, full, len(digits)))
	}
	hash, err := record.ParseHash(digits + strings.Repeat("0", full-len(digits)))
	if err != nil {
		return bad("HASH has the digits 0-9a-f")
	}
	s := Seen{Seq: seq, Hash: hash}
	if len(digits) < full {
		s.Digits = len(digits)
	}
	return s, nil
}

// String writes the mark as ParseSeen reads it, without its chain.
func (s Seen) String() string { return fmt.Sprintf("%d:%s", s.Seq, s.digits(s.Hash)) }

// Matches reports whether a commit with this hash is the one that was seen, as far as the digits tell.
func (s Seen) Matches(h record.Hash) bool { return s.digits(h) == s.digits(s.Hash) }

func (s Seen) digits(h record.Hash) string {
	text := h.String()
	if s.Digits > 0 && s.Digits < len(text) {
		text = text[:s.Digits]
	}
	return text
}

// Seen returns the mark of the chain's newest commit that counts, for whoever keeps it; false where there is none.
func (c *Chain) Seen() (Seen, bool) {
	h := c.Head()
	if h == nil {
		return Seen{}, false
	}
	return Seen{Chain: c.ID, Seq: h.Seq, Hash: h.Hash}, true
}

// Unseen returns the marks of Options.Seen that none of the chains meets. The chains are those that Chains returned.
func (v *Vault) Unseen(chains []*Chain) []Seen {
	return slices.DeleteFunc(slices.Clone(v.seen), func(m Seen) bool {
		return slices.ContainsFunc(chains, func(c *Chain) bool { return c.met[m] })
	})
}

// checkSeen holds the chains to the marks. A chain that has gone altogether is put in its place in the order, without commits.
func (v *Vault) checkSeen(ctx context.Context, chains []*Chain) ([]*Chain, error) {
	var nowhere []Finding
	for _, m := range v.seen {
		if m.Chain == "" {
			found, err := v.somewhere(ctx, chains, m)
			if err != nil {
				return nil, err
			}
			if !found {
				nowhere = append(nowhere, Finding{Tampering, "commits/", fmt.Sprintf("no chain has the commit %s that was seen earlier: one was rolled back, or this is another vault", m)})
			}
			continue
		}
		i, found := slices.BinarySearchFunc(chains, m.Chain, func(c *Chain, id string) int { return strings.Compare(c.ID, id) })
		if !found {
			chains = slices.Insert(chains, i, &Chain{ID: m.Chain})
		}
		v.hold(chains[i], m)
	}
	if len(nowhere) > 0 {
		chains = append(chains, &Chain{Findings: nowhere})
	}
	return chains, nil
}

// hold holds a chain to a mark of its own.
func (v *Vault) hold(c *Chain, m Seen) {
	var what string
	switch {
	case m.Seq < 1:
		return // nothing was seen
	case c.has(m) || m.Seq > int64(len(c.Commits)) && v.endsRightly(c, m.Seq):
		c.meet(m)
		return
	case m.Seq <= int64(len(c.Commits)):
		what = fmt.Sprintf("the vault has %s in its place", c.Commits[m.Seq-1].Hash)
	case len(c.Commits) == 0:
		what = "no commit of the chain counts any more"
	case c.withheld != nil:
		what = fmt.Sprintf("the store does not give commit %d", len(c.Commits)+1)
	default:
		what = fmt.Sprintf("the chain ends with commit %d", len(c.Commits))
	}
	err := fmt.Errorf("%w: commit %s was seen, and %s", ErrRolledBack, m, what)
	if c.RolledBack == nil {
		c.RolledBack = err
	}
	c.note(Tampering, "commits/"+c.ID, "%v", err)
}

// has reports whether the commit that was seen is one of those that count.
func (c *Chain) has(m Seen) bool {
	return m.Seq >= 1 && m.Seq <= int64(len(c.Commits)) && m.Matches(c.Commits[m.Seq-1].Hash)
}

func (c *Chain) meet(m Seen) {
	if c.met == nil {
		c.met = map[Seen]bool{}
	}
	c.met[m] = true
}

// endsRightly reports whether the owner's newest statement says that the chain ends where it does, before commit seq: then that one no longer counts, and is
// not missed. A chain that ends even earlier was rolled back all the same.
func (v *Vault) endsRightly(c *Chain, seq int64) bool {
	for _, r := range v.Statement().Revoked {
		if r.Commit != nil || r.Chain != "" && r.Chain != c.ID || seq <= r.Seq || int64(len(c.Commits)) < r.Seq {
			continue
		}
		if c.cut != nil && c.cut.Signer == r.Signer || slices.ContainsFunc(c.Commits, func(k *Commit) bool { return k.Signer == r.Signer }) {
			return true
		}
	}
	return false
}

// somewhere looks for a chain that has the commit of a mark without chain. One that the owner revoked counts as well: it is still stored.
func (v *Vault) somewhere(ctx context.Context, chains []*Chain, m Seen) (bool, error) {
	for _, c := range chains {
		if c.has(m) {
			c.meet(m)
			return true, nil
		}
	}
	for _, c := range chains {
		if c.cut == nil || m.Seq < c.cut.Seq {
			continue
		}
		stored, err := v.storedAs(ctx, record.CommitName(c.ID, m.Seq), m)
		if err != nil {
			return false, err
		}
		if stored {
			c.meet(m)
			return true, nil
		}
	}
	return false, nil
}

// storedAs reports whether any version of a commit's name, valid or not, is the one that was seen.
func (v *Vault) storedAs(ctx context.Context, name string, m Seen) (bool, error) {
	versions := []providers.Version{{}}
	n, err := v.history(ctx, name)
	if err != nil && !errors.Is(err, errBlind) {
		return false, err
	}
	if n != nil {
		versions = n.Oldest
	}
	for i := range versions {
		if versions[i].Marker {
			continue
		}
		b, err := v.commitBody(ctx, name, versions[i].ID, versions[i].Size)
		if err != nil {
			return false, err
		}
		if b.err == nil && m.Matches(sha256.Sum256(b.stored)) {
			return true, nil
		}
	}
	return false, nil
}
