// Package vault is where codec, key and place meet: it creates vaults, appends packs, pages and commits to them, opens the snapshots of
// their chains, and reads items back. It never deletes or overwrites, never sees a source, and believes nothing that the owner or an
// agent of the owner's did not sign.
package vault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"filippo.io/age"

	"farshore/agent/pack"
	"farshore/agent/record"
	"farshore/crypto/seal"
	"farshore/crypto/sign"
	"farshore/providers"
)

// Kinds of signed objects (docs/format.md, section 2).
const (
	kindStatement = "statement"
	kindCommit    = "commit"
)

// Severity says how bad a finding is.
type Severity string

// Severities. Notice changes nothing, Damage means that something needed is missing or unreadable, Tampering that something is there that
// nobody with the right to do so put there.
const (
	Notice    Severity = "notice"
	Damage    Severity = "damage"
	Tampering Severity = "tampering"
)

// Finding is something that a reader noticed and went on without.
type Finding struct {
	Severity Severity `json:"severity"`
	Object   string   `json:"object"`
	Text     string   `json:"text"`
}

// DamageError says that a stored object is missing, cut short, or not what its name says.
type DamageError struct {
	Object string
	Err    error
}

// Error names the object and what is wrong with it.
func (e *DamageError) Error() string { return e.Object + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *DamageError) Unwrap() error { return e.Err }

// ErrLocked says that a page needs a key that the reader does not have.
var ErrLocked = errors.New("no key at hand opens it")

// LockedError is ErrLocked of one stored object.
type LockedError struct {
	Object string
	Err    error // why; nil where there is no key at all
}

// Error names the object.
func (e *LockedError) Error() string {
	if e.Err == nil {
		return e.Object + ": " + ErrLocked.Error()
	}
	return fmt.Sprintf("%s: %v: %v", e.Object, ErrLocked, e.Err)
}

// Is reports whether the target is ErrLocked.
func (e *LockedError) Is(target error) bool { return target == ErrLocked }

// Unwrap returns the cause.
func (e *LockedError) Unwrap() error { return e.Err }

// Cache keeps stored meta objects close by. It answers only with bytes that have the hash in the name, which it checks itself. Implementations must be safe for
// concurrent use.
type Cache interface {
	Meta(name record.Hash) (stored []byte, found bool, err error)
	PutMeta(name record.Hash, stored []byte) error
}

// Options say how to open a vault.
type Options struct {
	// Owner pins the owner's public key. Nil means unpinned: whoever made the first statement is believed.
	Owner *sign.PublicKey
	// ID pins the vault's id; empty means any.
	ID string
	// Identities open pages and, with a recovery identity, packs. None: only what is public can be read.
	Identities []age.Identity
	// Cache may be nil.
	Cache Cache
	// Seen are high-water marks: commits that the chains are held to.
	Seen []Seen
}

// Vault is an open vault. Its methods may be called concurrently.
type Vault struct {
	bucket     *providers.Bucket
	codec      *pack.Codec
	opener     *seal.Opener
	held       []string // recipients that the identities at hand answer to, as far as they tell
	cache      Cache
	id         string
	owner      sign.PublicKey
	pinned     bool
	statements []*record.Statement
	hashes     []record.Hash // of statements
	findings   []Finding
	unlisted   int // findings beyond those
	sightings  *sightings
	seen       []Seen
}

// Open reads and checks the owner's statements. It fails when there are none, when they do not lead from the pinned owner's key, or when
// two of the owner's contradict each other.
func Open(ctx context.Context, b *providers.Bucket, o Options) (*Vault, error) {
	codec, err := pack.NewCodec()
	if err != nil {
		return nil, err
	}
	v := &Vault{bucket: b, codec: codec, opener: seal.NewOpener(o.Identities...), cache: o.Cache, sightings: newSightings(), seen: slices.Clone(o.Seen)}
	for _, id := range o.Identities {
		if r, err := seal.RecipientOf(id); err == nil {
			v.held = append(v.held, r)
		}
	}
	if err := v.loadStatements(ctx, o); err != nil {
		return nil, err
	}
	return v, nil
}

// ID is the vault's id: the hash of its first statement.
func (v *Vault) ID() string { return v.id }

// Owner is the key that signed the statements.
func (v *Vault) Owner() sign.PublicKey { return v.owner }

// Pinned reports whether the caller named the owner's key; otherwise it was taken from the vault itself.
func (v *Vault) Pinned() bool { return v.pinned }

// Statement is the owner's newest statement. It must not be changed.
func (v *Vault) Statement() *record.Statement { return v.statements[len(v.statements)-1] }

// Findings are what opening the vault noticed: at most 1,000, and one more that counts the rest.
func (v *Vault) Findings() []Finding {
	if v.unlisted == 0 {
		return v.findings
	}
	return append(slices.Clone(v.findings), Finding{Tampering, "vault/", fmt.Sprintf("%d more findings are not listed: somebody floods it", v.unlisted)})
}

// Bucket is the store that the vault lies in.
func (v *Vault) Bucket() *providers.Bucket { return v.bucket }

// CanOpen reports whether any identity was given.
func (v *Vault) CanOpen() bool { return !v.opener.Empty() }

// OpensAll reports whether the identities at hand should open every pack that was ever stored: each of the owner's statements names a recovery recipient that one of them
// answers to. A pack that they do not open is then not sealed as it should be. False says nothing: an identity that does not tell its recipient does not count.
func (v *Vault) OpensAll() bool {
	return !slices.ContainsFunc(v.statements, func(st *record.Statement) bool {
		return !slices.ContainsFunc(recipients(st, record.RoleRecovery), func(r string) bool { return slices.Contains(v.held, r) })
	})
}

func (v *Vault) note(s Severity, object, format string, args ...any) {
	if len(v.findings) == maxNotes {
		v.unlisted++
		return
	}
	v.findings = append(v.findings, Finding{s, object, fmt.Sprintf(format, args...)})
}

func encodeSigned(kind, vaultID string, body func() ([]byte, error), k sign.PrivateKey) ([]byte, error) {
	b, err := body()
	if err != nil {
		return nil, err
	}
	return sign.Envelope(kind, vaultID, b, k)
}

func section(b []byte) *io.SectionReader {
	return io.NewSectionReader(bytes.NewReader(b), 0, int64(len(b)))
}

// recipients returns the statement's recipients with one of the roles.
func recipients(st *record.Statement, roles ...string) []string {
	var out []string
	for _, r := range st.Recipients {
		for _, role := range roles {
			if r.Role == role {
				out = append(out, r.Recipient)
			}
		}
	}
	return out
}

// WithCache returns the same vault with a cache of meta objects.
func (v *Vault) WithCache(c Cache) *Vault {
	w := *v
	w.cache = c
	return &w
}
