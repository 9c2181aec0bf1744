package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"filippo.io/age"

	"farshore/agent/internal/state"
	"farshore/agent/record"
	"farshore/agent/source"
	"farshore/agent/vault"
	"farshore/crypto/sign"
	"farshore/providers"
)

// SessionOptions say who writes to a vault, and what the agent's configuration pins.
type SessionOptions struct {
	// Owner is the pinned owner's key; the agent refuses to write without.
	Owner sign.PublicKey
	// Recipients are the pinned recovery recipients: the vault's statement must name exactly these.
	Recipients []string
	// Identities open the vault's pages: the agent's metadata identity.
	Identities []age.Identity
	// Key is the agent's signing key.
	Key sign.PrivateKey
	// State is the directory of the local state.
	State string
	// MinLockLeft is for how long what a new snapshot rests on must still be locked in the store; 0 asks for nothing.
	MinLockLeft time.Duration
	// ReadBack is how much of what a commit adds is read back before it; the zero value: nothing.
	ReadBack vault.ReadBack
	// Damaged returns the packs and pages that are known to be damaged or missing; nil: none. It is asked once, when the vault is open.
	Damaged func(context.Context, *vault.Vault) map[record.Hash]bool
	// OnReset is told when the local state was damaged and begun anew; may be nil.
	OnReset func(reason string)
}

// Session is an agent at work in a vault, with its local state locked.
type Session struct {
	Vault *vault.Vault
	local *state.Store
	key   sign.PrivateKey
	left  time.Duration // MinLockLeft
	back  vault.ReadBack
	bad   map[record.Hash]bool // known to be damaged
}

// ErrRecipients says that the vault's recovery recipients are not those that the configuration pins.
var ErrRecipients = errors.New("the vault's recovery recipients are not those that the configuration pins")

// ErrLocked says that another process, or another Session of this one, works with the local state.
var ErrLocked = errors.New("another run of this agent is at work")

// Open opens the vault and the local state. The caller closes the Session.
func Open(ctx context.Context, b *providers.Bucket, o SessionOptions) (*Session, error) {
	v, err := vault.Open(ctx, b, vault.Options{Owner: &o.Owner, Identities: o.Identities})
	if err != nil {
		return nil, err
	}
	if err := checkRecipients(v.Statement(), o.Recipients); err != nil {
		return nil, err
	}
	id, err := record.ParseHash(v.ID())
	if err != nil {
		return nil, err
	}
	local, err := state.Open(o.State, state.Options{Vault: id, OnReset: o.OnReset})
	if errors.Is(err, state.ErrLocked) {
		return nil, fmt.Errorf("%w: %w", ErrLocked, err)
	}
	if err != nil {
		return nil, err
	}
	s := &Session{Vault: v.WithCache(local), local: local, key: o.Key, left: o.MinLockLeft, back: o.ReadBack}
	if o.Damaged != nil {
		s.bad = o.Damaged(ctx, s.Vault)
	}
	return s, nil
}

// Close gives the local state up.
func (s *Session) Close() error { return s.local.Close() }

// checkRecipients holds the statement to the pinned recipients: what is sealed to anybody else, or not to all of them, must not be written unseen.
func checkRecipients(st *record.Statement, pinned []string) error {
	var stated []string
	for _, r := range st.Recipients {
		if r.Role == record.RoleRecovery {
			stated = append(stated, r.Recipient)
		}
	}
	want := slices.Sorted(slices.Values(pinned))
	slices.Sort(stated)
	if !slices.Equal(want, stated) {
		return fmt.Errorf("%w: statement %d names %s, the configuration %s", ErrRecipients, st.N, brief(stated), brief(want))
	}
	return nil
}

// brief names recipients by their beginnings: post-quantum ones are two thousand characters long.
func brief(recipients []string) string {
	var out []string
	for _, r := range recipients {
		out = append(out, r[:min(len(r), 24)]+"…")
	}
	return strings.Join(out, ", ")
}

// Replicate makes one pass over the source and commits. include and exclude are the patterns in force, for the record; o.Match applies them.
func (s *Session) Replicate(ctx context.Context, src source.Source, include, exclude []string, o Options) (*Summary, error) {
	w, err := s.begin(ctx, src.Place(), include, exclude)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	return Replicate(ctx, w, src, o)
}

// Retire ends the source's chain with a commit that says so. A source that was never replicated has nothing to end: then the commit is nil.
func (s *Session) Retire(ctx context.Context, place record.Place) (*vault.Commit, error) {
	known, err := s.replicated(ctx, place.Name)
	if err != nil || !known {
		return nil, err
	}
	w, err := s.begin(ctx, place, nil, nil)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	c, err := w.Retire(ctx)
	if err != nil {
		return nil, err
	}
	return c, s.local.ClearChain(place.Name)
}

func (s *Session) replicated(ctx context.Context, name string) (bool, error) {
	chains, err := s.Vault.Chains(ctx)
	if err != nil {
		return false, err
	}
	for _, c := range chains {
		if c.Source.Name == name && c.Head() != nil && c.Commits[0].Signer == s.key.ID() && !c.Retired() {
			return true, nil
		}
	}
	return false, nil
}

func (s *Session) begin(ctx context.Context, place record.Place, include, exclude []string) (*vault.Writer, error) {
	return s.Vault.Begin(ctx, vault.BeginOptions{
		Source: place, Include: include, Exclude: exclude, Agent: s.key, Local: s.local, MinLockLeft: s.left, ReadBack: s.back, Damaged: s.bad,
	})
}
