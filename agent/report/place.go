package report

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"time"

	"farshore/agent/record"
	"farshore/agent/vault"
	"farshore/crypto/sign"
	"farshore/providers"
)

var (
	// ErrOutdated says that a signed report does not follow the newest of its signer any more.
	ErrOutdated = errors.New("another report of this key was placed since this one was signed")
	// ErrNotEntitled says that the owner did not name the key for this.
	ErrNotEntitled = errors.New("the owner did not name the key for such reports")
)

// LateError says that a report bears a time before that of its signer's newest, so that no reader would let it count.
type LateError struct{ Last time.Time }

// Error says so.
func (e *LateError) Error() string {
	return "its time lies before that of the newest report of its key, " + record.FormatTime(e.Last)
}

// placeAttempts is how often a number is chosen: each time but the last, somebody else was quicker, or had hidden something under it.
const placeAttempts = 16

// Entitled returns nil when reports of the type that the key signs at that time count, else ErrNotEntitled.
func Entitled(v *vault.Vault, key string, at time.Time, kind string) error {
	if roleOf(v, key, at, kind) != "" {
		return nil
	}
	who := "neither the owner's (%s) nor an auditor's or an agent's"
	if kind == TypeHeaderDrill {
		who = "neither the owner's (%s) nor an auditor's"
	}
	return fmt.Errorf("%w: key %s is "+who, ErrNotEntitled, key, v.Owner().ID())
}

// Sign returns the stored bytes of the report, which says what goes before it. It sets an empty Type, and changes nothing else.
func Sign(v *vault.Vault, b Body, k sign.PrivateKey) ([]byte, error) {
	c := b.common()
	if err := Entitled(v, k.ID(), c.time, c.kind); err != nil {
		return nil, err
	}
	if c.vault.String() != v.ID() {
		return nil, errors.New("the report says that it is about another vault")
	}
	body, err := Encode(b)
	if err != nil {
		return nil, err
	}
	return sign.Envelope(sign.KindReport, v.ID(), body, k)
}

// Last returns the hash of the signer's newest report that counts, which its next one names as its predecessor; nil where there is none.
func Last(ctx context.Context, v *vault.Vault, signer string) (*record.Hash, error) {
	l, err := laneOf(ctx, v, signer, record.Hash{})
	if err != nil {
		return nil, err
	}
	return l.prev(), nil
}

// laneOf reads one signer's reports.
func laneOf(ctx context.Context, v *vault.Vault, signer string, wanted record.Hash) (*lane, error) {
	s := &shelf{v: v, lane: lane{signer: signer, free: 1, wanted: wanted}}
	s.lane.key, s.lane.known = s.keyOf(signer)
	if err := s.read(ctx, Room+signer+"/"); err != nil {
		return nil, err
	}
	if s.names > maxNames || s.flooded {
		return nil, fmt.Errorf("%s%s/ has more objects, or more bytes of them, than are looked at: somebody floods it, and the owner has to take that credential away; then he names another key in place of this one", Room, signer)
	}
	return &s.lane, nil
}

// Place signs the body as the signer's next report, for which it sets its Prev, and stores it create-only; an audit it makes fit. Where somebody else was quicker it signs anew.
// It returns the stored bytes too where they could be signed, so that they can be placed later. Errors are ErrNotEntitled, *LateError, those of Encode, and the store's.
func Place(ctx context.Context, v *vault.Vault, b Body, k sign.PrivateKey) (name string, stored []byte, err error) {
	if a, ok := b.(*Audit); ok {
		a.Fit()
	}
	taken := int64(0)
	for range placeAttempts {
		l, err := laneOf(ctx, v, k.ID(), record.Hash{})
		if err != nil {
			return "", stored, err
		}
		if b.common().time.Before(l.time) {
			return "", stored, &LateError{l.time}
		}
		*b.common().prev = l.prev()
		if stored, err = Sign(v, b, k); err != nil {
			return "", nil, err
		}
		name, seq, err := createNext(ctx, v, l, taken, stored)
		if providers.KindOf(err) != providers.Exists {
			return name, stored, err
		}
		taken = seq
	}
	return "", stored, fmt.Errorf("%d numbers below %s%s/ were taken by others while this was placed", placeAttempts, Room, k.ID())
}

// prev is the hash of the newest report that counts, nil where there is none.
func (l *lane) prev() *record.Hash {
	if l.last.IsZero() {
		return nil
	}
	h := l.last
	return &h
}

// createNext stores a report under the signer's next number. A number that the listing does not show, and that was found taken all the same, is passed by.
func createNext(ctx context.Context, v *vault.Vault, l *lane, taken int64, stored []byte) (name string, seq int64, err error) {
	if seq = max(l.free, taken+1); seq > maxSeq {
		return "", seq, fmt.Errorf("%s%s/ has no number left", Room, l.signer)
	}
	name = Name(l.signer, seq)
	return name, seq, create(ctx, v.Bucket(), name, stored)
}

// PlaceSigned stores a signed report create-only, as the next of its signer's. One that is there already has been placed: existed is true. Errors are
// ErrNotEntitled, ErrOutdated, *LateError, those of a file that is no report of this vault's, and the store's.
func PlaceSigned(ctx context.Context, v *vault.Vault, stored []byte) (name string, existed bool, err error) {
	r, err := Open(v, stored)
	if err != nil {
		return "", false, err
	}
	taken := int64(0)
	for range placeAttempts {
		l, err := laneOf(ctx, v, r.Signer, r.Hash)
		if err != nil {
			return "", false, err
		}
		if l.found != "" {
			return l.found, true, nil
		}
		if r.prev != l.last {
			return "", false, fmt.Errorf("%w: its newest is %s", ErrOutdated, orNone(l.last))
		}
		if r.Time.Before(l.time) {
			return "", false, &LateError{l.time}
		}
		name, seq, err := createNext(ctx, v, l, taken, stored)
		if providers.KindOf(err) != providers.Exists {
			return name, false, err
		}
		taken = seq
	}
	return "", false, fmt.Errorf("%d numbers below %s%s/ were taken by others while this was placed", placeAttempts, Room, r.Signer)
}

// Open takes the stored bytes of a report of a known type apart, and holds them to the vault and to who may sign. Its Name is empty.
func Open(v *vault.Vault, stored []byte) (*Entry, error) {
	if len(stored) > MaxSize {
		return nil, fmt.Errorf("%d bytes are more than a report has (%d)", len(stored), MaxSize)
	}
	signed, err := sign.Parse(sign.KindReport, stored)
	if err != nil {
		return nil, err
	}
	s := &shelf{v: v}
	key, known := s.keyOf(signed.KeyID)
	if !known {
		return nil, fmt.Errorf("%w: the owner never named key %s", ErrNotEntitled, signed.KeyID)
	}
	if err := signed.Verify(v.ID(), key); err != nil {
		return nil, err
	}
	r, err := s.open(body{stored: stored, signed: signed})
	if err != nil {
		return nil, err
	}
	if newBody(r.Kind) == nil {
		return nil, errors.New("this report is of a type that this program does not place")
	}
	r.Signer = signed.KeyID
	return r, nil
}

// create stores the bytes, and looks whether they are there where the store can't refuse a second writer.
func create(ctx context.Context, b *providers.Bucket, name string, stored []byte) error {
	body := io.NewSectionReader(bytes.NewReader(stored), 0, int64(len(stored)))
	if _, _, err := b.Create(ctx, name, body, sha256.Sum256(stored)); err != nil {
		return err
	}
	if b.Traits().CreateOnly == providers.CreateOnlyStore {
		return nil
	}
	back, err := b.ReadAll(ctx, name, MaxSize)
	if err == nil && !bytes.Equal(back, stored) {
		err = &providers.Error{Kind: providers.Exists, Op: "create", Name: name, Err: errors.New("somebody else wrote it at the same time")}
	}
	return err
}
