package vault

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"farshore/agent/record"
	"farshore/crypto/seal"
	"farshore/crypto/sign"
)

// ErrNothing says that an edit would leave the statement as it is.
var ErrNothing = errors.New("nothing to do")

// AddAgent names a new agent with its signing key, the recipient of its metadata identity and the sources that it may commit for, "*" for all. A metadata recipient that another
// agent had moves to this one: it is then the same identity, taken to another host.
func AddAgent(key sign.PublicKey, metadata string, sources []string) Edit {
	return func(st *record.Statement) error {
		if len(sources) == 0 || slices.Contains(sources, "") {
			return errors.New("an agent needs the names of the sources that it may commit for, or * for all")
		}
		if err := addSigner(st, key, record.RoleAgent, sources); err != nil {
			return err
		}
		return addMetadata(st, metadata, key.ID())
	}
}

// AddAuditor names a new auditor with its signing key.
func AddAuditor(key sign.PublicKey) Edit {
	return func(st *record.Statement) error { return addSigner(st, key, record.RoleAuditor, nil) }
}

func addSigner(st *record.Statement, key sign.PublicKey, role string, sources []string) error {
	if key.String() == st.Owner {
		return errors.New("this is the owner's own key: it signs statements alone, and must not lie on any other machine")
	}
	if s := st.Signer(key.ID()); s != nil {
		return fmt.Errorf("key %s is named already%s: make a new key", s.ID, ended(s))
	}
	st.Signers = append(st.Signers, record.Signer{
		ID: key.ID(), Algorithm: sign.Algorithm, Key: key.String(), Roles: []string{role}, Sources: slices.Clone(sources),
	})
	return nil
}

func ended(s *record.Signer) string {
	if s.Until.IsZero() {
		return ""
	}
	return ", and was ended at " + record.FormatTime(s.Until)
}

func addMetadata(st *record.Statement, metadata, signer string) error {
	class, err := seal.Class(metadata)
	if err != nil {
		return fmt.Errorf("metadata recipient: %w", err)
	}
	for i := range st.Recipients {
		r := &st.Recipients[i]
		switch had, err := seal.Class(r.Recipient); {
		case r.Recipient == metadata && r.Role == record.RoleRecovery:
			return errors.New("the metadata recipient is a recovery recipient: an agent must not hold a recovery identity")
		case r.Recipient == metadata:
			r.Signer = signer
			return nil
		case err == nil && had != class:
			return fmt.Errorf("the metadata recipient is of class %s, and the vault's are %s: age refuses to mix them", class, had)
		}
	}
	st.Recipients = append(st.Recipients, record.Recipient{Recipient: metadata, Role: record.RoleMetadata, Signer: signer})
	return nil
}

// RetireSigner ends an agent or auditor: what it signed before the statement's time goes on to count, and its metadata recipient is no longer sealed to. It is for an
// agent that is no longer needed; one whose key may be stolen is revoked.
func RetireSigner(id string) Edit {
	return func(st *record.Statement) error {
		s, err := signerOf(st, id)
		if err != nil {
			return err
		}
		if !s.Until.IsZero() && !s.Until.After(st.Time) {
			return fmt.Errorf("%w: key %s was ended at %s", ErrNothing, id, record.FormatTime(s.Until))
		}
		endSigner(st, s)
		return nil
	}
}

func signerOf(st *record.Statement, id string) (*record.Signer, error) {
	if s := st.Signer(id); s != nil {
		return s, nil
	}
	var known []string
	for i := range st.Signers {
		known = append(known, st.Signers[i].ID)
	}
	if len(known) == 0 {
		return nil, fmt.Errorf("statement %d names no signer", st.N-1)
	}
	return nil, fmt.Errorf("statement %d names no key %.40q; it names %s", st.N-1, id, strings.Join(known, ", "))
}

// endSigner ends a signer as of the statement's time, or takes one out that had not begun, and stops sealing to its metadata recipients.
func endSigner(st *record.Statement, s *record.Signer) {
	id := s.ID
	if s.Until.IsZero() || s.Until.After(st.Time) {
		s.Until = st.Time
	}
	if !s.From.IsZero() && !s.Until.After(s.From) {
		st.Signers = slices.DeleteFunc(st.Signers, func(x record.Signer) bool { return x.ID == id })
	}
	st.Recipients = slices.DeleteFunc(st.Recipients, func(r record.Recipient) bool { return r.Role == record.RoleMetadata && r.Signer == id })
}

// RevokeSigner takes all of a signer's commits out of force, in every chain, and ends it.
func RevokeSigner(id string) Edit {
	return func(st *record.Statement) error {
		s, err := signerOf(st, id)
		if err != nil {
			return err
		}
		endSigner(st, s)
		st.Revoked = slices.DeleteFunc(st.Revoked, func(r record.Revocation) bool { return r.Signer == id && r.Chain != "" }) // they would except their chains
		revoke(st, record.Revocation{Signer: id})
		return nil
	}
}

// Point is a commit of a chain by its number; 0 stands before the first.
type Point struct {
	Chain string
	Seq   int64
}

// RevokeAfter takes a signer's commits after the points out of force, each in its own chain, and all of its other chains, those too that a thief begins later; and ends
// it.
func RevokeAfter(id string, points []Point) Edit {
	return func(st *record.Statement) error {
		s, err := signerOf(st, id)
		if err != nil {
			return err
		}
		endSigner(st, s)
		revoke(st, record.Revocation{Signer: id})
		for _, p := range points {
			revoke(st, record.Revocation{Signer: id, Chain: p.Chain, Seq: p.Seq})
		}
		return nil
	}
}

// RevokeCommits takes single commits out of force, by the hashes of their stored bytes. Whoever wrote them goes on, in another chain.
func RevokeCommits(hashes []record.Hash) Edit {
	return func(st *record.Statement) error {
		before := len(st.Revoked)
		for _, h := range hashes {
			revoke(st, record.Revocation{Commit: &h})
		}
		if len(st.Revoked) == before {
			return fmt.Errorf("%w: these commits are revoked already", ErrNothing)
		}
		return nil
	}
}

// revoke adds a revocation that is not there yet.
func revoke(st *record.Statement, r record.Revocation) {
	if !slices.ContainsFunc(st.Revoked, func(x record.Revocation) bool { return revocationKey(x) == revocationKey(r) }) {
		st.Revoked = append(st.Revoked, r)
	}
}

// revocationKey makes revocations comparable.
func revocationKey(r record.Revocation) string {
	if r.Commit != nil {
		return r.Commit.String()
	}
	return fmt.Sprintf("%s %s %d", r.Signer, r.Chain, r.Seq)
}

// AddRecovery adds a recovery recipient, which everything is sealed to from then on.
func AddRecovery(recipient string) Edit {
	return func(st *record.Statement) error {
		class, err := seal.Class(recipient)
		if err != nil {
			return err
		}
		for _, r := range st.Recipients {
			if r.Recipient == recipient {
				return fmt.Errorf("%s is a recipient already, with the role %s", brief(recipient), r.Role)
			}
			if had, err := seal.Class(r.Recipient); err == nil && had != class {
				return fmt.Errorf("%s is of class %s, and the vault's recipients are %s: age refuses to mix them", brief(recipient), class, had)
			}
		}
		st.Recipients = append(st.Recipients, record.Recipient{Recipient: recipient, Role: record.RoleRecovery})
		return nil
	}
}

// leastPrefix is how many characters name a recipient at least: the first eight of each class are the same.
const leastPrefix = 16

// RetireRecovery takes a recovery recipient away, which may be named by its beginning. What is stored stays sealed to it.
func RetireRecovery(name string) Edit {
	return func(st *record.Statement) error {
		name := strings.TrimSuffix(name, "…")
		if len(name) < leastPrefix {
			return fmt.Errorf("%q is too short to name a recipient: at least its first %d characters", name, leastPrefix)
		}
		match := func(r record.Recipient) bool {
			return r.Role == record.RoleRecovery && strings.HasPrefix(r.Recipient, name)
		}
		var found, all []string
		for _, r := range st.Recipients {
			if match(r) {
				found = append(found, r.Recipient)
			}
			if r.Role == record.RoleRecovery {
				all = append(all, brief(r.Recipient))
			}
		}
		switch {
		case len(found) == 0:
			return fmt.Errorf("no recovery recipient begins with %s; there are %s", brief(name), strings.Join(all, ", "))
		case len(found) > 1:
			return fmt.Errorf("%d recovery recipients begin with %s: give more of it", len(found), name)
		case len(all) == 1:
			return errors.New("it is the only recovery recipient: nobody could restore what is stored from then on; add another first")
		}
		st.Recipients = slices.DeleteFunc(st.Recipients, match)
		return nil
	}
}

// Upgrade raises the format that writers write to the version to, WritesFormat for this program's. ErrNothing says that it is that already.
func Upgrade(to int) Edit {
	return func(st *record.Statement) error {
		switch {
		case st.Format == to:
			return fmt.Errorf("%w: the vault's format is %d, which is what this program writes", ErrNothing, to)
		case st.Format > to:
			return fmt.Errorf("the vault's format is %d, and this program writes %d: it is the program that must be upgraded", st.Format, to)
		}
		st.Format = to
		return nil
	}
}

// brief names a recipient by its beginning: post-quantum ones are two thousand characters long.
func brief(recipient string) string {
	const head = 24
	if len(recipient) <= head {
		return recipient
	}
	return recipient[:head] + "…"
}

// Standing says in a sentence why the statement does not let the key write to the vault at a time, as an agent; nil where it does.
func Standing(st *record.Statement, id string, now time.Time) error {
	s := st.Signer(id)
	if isRevoked(st, id) {
		return fmt.Errorf("%w: the owner's statement %d revoked this agent's key %s", ErrNotNamed, st.N, id)
	}
	switch {
	case s == nil:
		return fmt.Errorf("%w: the owner's statement %d does not name this agent's key %s", ErrNotNamed, st.N, id)
	case !s.RolesHas(record.RoleAgent):
		return fmt.Errorf("%w: the owner's statement %d names this key %s for %s, and not as an agent", ErrNotNamed, st.N, id, strings.Join(s.Roles, ", "))
	case !s.Until.IsZero() && !now.Before(s.Until):
		return fmt.Errorf("%w: the owner's statement %d ended this agent's key %s at %s", ErrNotNamed, st.N, id, record.FormatTime(s.Until))
	case !s.Covers(now):
		return fmt.Errorf("%w: the owner's statement %d lets this agent's key %s commit from %s on", ErrNotNamed, st.N, id, record.FormatTime(s.From))
	}
	return nil
}

// ErrNotNamed says that the owner's newest statement does not let this agent write.
var ErrNotNamed = errors.New("this agent may not write to the vault")

// isRevoked reports whether a statement takes all of a signer's commits out of force, but for those of chains that it names.
func isRevoked(st *record.Statement, id string) bool {
	return slices.ContainsFunc(st.Revoked, func(r record.Revocation) bool { return r.Signer == id && r.Chain == "" })
}

// outOfForce reports whether the statement takes a signer's commit number seq of a chain out of force: an entry that names the chain decides for it, one without a chain for all
// chains that none names. So a key can be revoked but for what is known to be good, and no chain that a thief begins later counts.
func outOfForce(st *record.Statement, signer, chain string, seq int64) bool {
	named := false
	for _, r := range st.Revoked {
		if r.Commit == nil && r.Signer == signer && r.Chain == chain {
			if named = true; seq > r.Seq {
				return true
			}
		}
	}
	return !named && isRevoked(st, signer)
}
