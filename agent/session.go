package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
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
	// State is the directory of the local state, which this Session alone uses. Not looked at where Local is set.
	State string
	// Local is the local state where several Sessions share it; nil: State.
	Local *Local
	// MinLockLeft is for how long what a new snapshot rests on must still be locked in the store; 0 asks for nothing.
	MinLockLeft time.Duration
	// ReadBack is how much of what a commit adds is read back before it; the zero value: nothing.
	ReadBack vault.ReadBack
	// Damaged returns the packs and pages that are known to be damaged or missing; nil: none. It is asked once, when the vault is open.
	Damaged func(context.Context, *vault.Vault) map[record.Hash]bool
	// OnReset is told when the local state was damaged and begun anew; may be nil. Not looked at where Local is set, which has its own.
	OnReset func(reason string)
}

// Session is an agent at work in a vault, with its local state locked against other processes. Passes over different sources may be made at a time; passes that are to be told apart by
// what was found in the vault, or to see the owner's newest statement, want a Session each.
type Session struct {
	Vault  *vault.Vault
	shared *Local
	local  *state.Store
	closed atomic.Bool
	key    sign.PrivateKey
	left   time.Duration // MinLockLeft
	back   vault.ReadBack
	bad    map[record.Hash]bool // known to be damaged
}

// ErrRecipients says that the vault's recovery recipients are not those that the configuration pins.
var ErrRecipients = errors.New("the vault's recovery recipients are not those that the configuration pins")

// ErrLocked says that another process works with the local state, or another Session of this one that does not share its Local.
var ErrLocked = errors.New("another run of this agent is at work")

// Open opens the vault and the local state. It fails with ErrLocked where the state is in use. The caller closes the Session.
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
	shared := o.Local
	if shared == nil {
		shared = NewLocal(o.State, o.OnReset)
	}
	local, err := shared.open(id)
	if err != nil {
		return nil, err
	}
	s := &Session{Vault: v.WithCache(local), shared: shared, local: local, key: o.Key, left: o.MinLockLeft, back: o.ReadBack}
	if o.Damaged != nil {
		s.bad = o.Damaged(ctx, s.Vault)
	}
	return s, nil
}

// Close gives the local state up. No pass of the Session may be under way. To call it again does nothing.
func (s *Session) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	return s.shared.close()
}

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

// Replicate makes one pass over the source and commits. include and exclude are the patterns in force, for the record; o.Match applies them. It fails with ErrBusy where another
// pass over a source of that name is under way with the same local state.
func (s *Session) Replicate(ctx context.Context, src source.Source, include, exclude []string, o Options) (*Summary, error) {
	release, err := s.claim(src.Place().Name)
	if err != nil {
		return nil, err
	}
	defer release()
	w, err := s.begin(ctx, src.Place(), include, exclude)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	return Replicate(ctx, w, src, o)
}

// claim keeps a source for this Session until release.
func (s *Session) claim(name string) (release func(), err error) {
	if s.closed.Load() {
		return nil, errClosed
	}
	return s.shared.claim(name)
}

// errClosed is the error of a pass that is begun with a Session that was closed.
var errClosed = errors.New("the session was closed")

// Retire ends the source's chain with a commit that says so. A source that was never replicated has nothing to end: then the commit is nil. It fails with ErrBusy as Replicate does.
func (s *Session) Retire(ctx context.Context, place record.Place) (*vault.Commit, error) {
	release, err := s.claim(place.Name)
	if err != nil {
		return nil, err
	}
	defer release()
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
