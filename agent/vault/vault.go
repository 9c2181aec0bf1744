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
	"strings"

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
	cache      Cache
	id         string
	owner      sign.PublicKey
	pinned     bool
	statements []*record.Statement
	hashes     []record.Hash // of statements
	findings   []Finding
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

// Findings are what opening the vault noticed.
func (v *Vault) Findings() []Finding { return v.findings }

// Bucket is the store that the vault lies in.
func (v *Vault) Bucket() *providers.Bucket { return v.bucket }

// CanOpen reports whether any identity was given.
func (v *Vault) CanOpen() bool { return !v.opener.Empty() }

func (v *Vault) note(s Severity, object, format string, args ...any) {
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

// loadStatements reads vault/, keeps the chain that leads from the owner's key, and notes the rest.
func (v *Vault) loadStatements(ctx context.Context, o Options) error {
	byNumber, err := v.readStatements(ctx)
	if err != nil {
		return err
	}
	first, err := v.chooseFirst(byNumber[1], o)
	if err != nil {
		return err
	}
	v.accept(first)
	for n := int64(2); ; n++ {
		next, err := v.chooseNext(n, byNumber[n])
		if err != nil {
			return err
		}
		if next == nil {
			v.noteBeyond(n, byNumber)
			return nil
		}
		v.accept(next)
	}
}

type candidate struct {
	name string
	hash record.Hash
	sig  sign.Signed
	st   *record.Statement
}

// maxStatements bounds how many objects below vault/ a reader looks at.
const maxStatements = 100_000

func (v *Vault) readStatements(ctx context.Context) (map[int64][]candidate, error) {
	byNumber := map[int64][]candidate{}
	seen := 0
	for n, err := range v.bucket.Names(ctx, "vault/", "") {
		if err != nil {
			return nil, err
		}
		if record.IsCanary(n.Name) {
			continue
		}
		if n.Versions == 0 {
			v.sightings.add(layers(&n, -1, nil)...)
			continue
		}
		if seen++; seen > maxStatements {
			return nil, fmt.Errorf("vault/ has more than %d objects: somebody floods it", maxStatements)
		}
		c, err := v.readStatement(ctx, &n)
		if err != nil {
			var d *DamageError
			if !errors.As(err, &d) {
				return nil, err
			}
			v.note(Tampering, n.Name, "ignored: %v", d.Err)
			continue
		}
		byNumber[c.st.N] = append(byNumber[c.st.N], c)
	}
	return byNumber, nil
}

// readStatement reads what is named as a statement. Where the name has several versions it takes the one with the hash, which says nothing yet of who signed it.
func (v *Vault) readStatement(ctx context.Context, at *providers.Name) (candidate, error) {
	bad := func(err error) (candidate, error) { return candidate{}, &DamageError{at.Name, err} }
	n, hash, err := record.ParseStatementName(at.Name)
	if err != nil {
		return bad(err)
	}
	stored, err := v.statementBytes(ctx, at, hash)
	if err != nil {
		return candidate{}, err
	}
	sig, err := sign.Parse(kindStatement, stored)
	if err != nil {
		return bad(err)
	}
	st, err := record.DecodeStatement(sig.JSON)
	if err != nil {
		return bad(err)
	}
	if st.N != n {
		return bad(fmt.Errorf("it says it is number %d", st.N))
	}
	return candidate{at.Name, hash, sig, st}, nil
}

func (v *Vault) statementBytes(ctx context.Context, at *providers.Name, hash record.Hash) ([]byte, error) {
	if at.Plain() {
		if at.Size > providers.MaxObject {
			return nil, &DamageError{at.Name, fmt.Errorf("it has %d bytes, and an object of a vault at most %d", at.Size, providers.MaxObject)}
		}
		return v.readNamed(ctx, at.Name, hash)
	}
	s, err := v.Search(ctx, at, hash)
	v.sightings.add(s.Findings...)
	switch {
	case s.Right != nil:
		return v.readVersion(ctx, at.Name, s.Right.ID, hash)
	case err != nil:
		return nil, err
	}
	return nil, &DamageError{at.Name, errors.New("none of its versions has the hash in its name")}
}

func (v *Vault) chooseFirst(cands []candidate, o Options) (*candidate, error) {
	var good []candidate
	for _, c := range cands {
		owner, err := sign.ParsePublic(c.st.Owner)
		if err != nil {
			v.note(Tampering, c.name, "ignored: %v", err)
			continue
		}
		switch {
		case o.Owner != nil && owner.String() != o.Owner.String():
			v.note(Tampering, c.name, "ignored: it is signed by %s, not by the owner of this vault", owner)
		case c.sig.Verify("-", owner) != nil:
			v.note(Tampering, c.name, "ignored: its signature is wrong")
		case o.ID != "" && c.hash.String() != o.ID:
			v.note(Tampering, c.name, "ignored: it begins another vault than %s", o.ID)
		default:
			good = append(good, c)
		}
	}
	switch len(good) {
	case 1:
		owner, _ := sign.ParsePublic(good[0].st.Owner)
		v.owner, v.pinned, v.id = owner, o.Owner != nil, good[0].hash.String()
		return &good[0], nil
	case 0:
		if len(cands) == 0 && len(v.findings) == 0 {
			return nil, &NoVaultError{Place: v.bucket.Traits().Place}
		}
		return nil, fmt.Errorf("%s: no first statement by the expected owner%s: this is not the vault that the key belongs to, or it was tampered with", v.bucket.Traits().Place, v.findingText())
	}
	if o.Owner == nil && o.ID == "" {
		return nil, fmt.Errorf("%s has %d first statements by different keys: the owner's key is needed to tell which is the vault's", v.bucket.Traits().Place, len(good))
	}
	return nil, fmt.Errorf("the owner signed %d different first statements in %s: the vault's id is needed to tell them apart", len(good), v.bucket.Traits().Place)
}

func (v *Vault) findingText() string {
	var b strings.Builder
	for i, f := range v.findings {
		if i == 3 {
			b.WriteString("; …")
			break
		}
		fmt.Fprintf(&b, "; %s: %s", f.Object, f.Text)
	}
	return b.String()
}

// NoVaultError says that a place has no vault.
type NoVaultError struct{ Place string }

// Error names the place.
func (e *NoVaultError) Error() string {
	return e.Place + " holds no vault: it has no owner's statement"
}

func (v *Vault) chooseNext(n int64, cands []candidate) (*candidate, error) {
	var good []candidate
	for _, c := range cands {
		switch {
		case c.sig.Verify(v.id, v.owner) != nil:
			v.note(Tampering, c.name, "ignored: the owner did not sign it")
		case c.st.Owner != v.owner.String() || c.st.Prev == nil || *c.st.Prev != v.hashes[n-2]:
			v.note(Tampering, c.name, "ignored: it does not follow statement %d", n-1)
		default:
			good = append(good, c)
		}
	}
	if len(good) > 1 {
		return nil, fmt.Errorf("the owner signed two different statements number %d (%s, %s): nobody can tell which holds", n, good[0].name, good[1].name)
	}
	if len(good) == 0 {
		return nil, nil
	}
	return &good[0], nil
}

func (v *Vault) accept(c *candidate) {
	v.statements = append(v.statements, c.st)
	v.hashes = append(v.hashes, c.hash)
}

func (v *Vault) noteBeyond(n int64, byNumber map[int64][]candidate) {
	for m, cands := range byNumber {
		if m <= n {
			continue
		}
		for _, c := range cands {
			if c.sig.Verify(v.id, v.owner) == nil {
				v.note(Damage, c.name, "the owner signed it, but statement %d, which it follows, is missing", n)
			} else {
				v.note(Tampering, c.name, "ignored: the owner did not sign it")
			}
		}
	}
}

// WithCache returns the same vault with a cache of meta objects.
func (v *Vault) WithCache(c Cache) *Vault {
	w := *v
	w.cache = c
	return &w
}
