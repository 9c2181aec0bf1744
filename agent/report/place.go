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

// placeAttempts is how often a number is chosen: each time but the last, somebody else was quicker, or had hidden something under it.
const placeAttempts = 16

// Entitled returns nil when header drills that the key signs at that time count, else ErrNotEntitled.
func Entitled(v *vault.Vault, key string, at time.Time) error {
	if roleOf(v, key, at, TypeHeaderDrill) == "" {
		return fmt.Errorf("%w: key %s is neither the owner's (%s) nor an auditor's", ErrNotEntitled, key, v.Owner().ID())
	}
	return nil
}

// Sign returns the stored bytes of the report, which says what goes before it. It changes nothing.
func Sign(v *vault.Vault, d *HeaderDrill, k sign.PrivateKey) ([]byte, error) {
	if err := Entitled(v, k.ID(), d.Time); err != nil {
		return nil, err
	}
	body, err := EncodeHeaderDrill(d)
	if err != nil {
		return nil, err
	}
	return sign.Envelope(sign.KindReport, v.ID(), body, k)
}

// Last returns the hash of the signer's newest report that counts, which its next one names as its predecessor; nil where there is none.
func Last(ctx context.Context, v *vault.Vault, signer string) (*record.Hash, error) {
	l, err := laneOf(ctx, v, signer, record.Hash{})
	if err != nil || l.last.IsZero() {
		return nil, err
	}
	return &l.last, nil
}

// laneOf reads one signer's reports.
func laneOf(ctx context.Context, v *vault.Vault, signer string, wanted record.Hash) (*lane, error) {
	s := &shelf{v: v, lane: lane{wanted: wanted}}
	if err := s.read(ctx, Room+signer+"/"); err != nil {
		return nil, err
	}
	if s.names > maxNames || s.seen > maxRead {
		return nil, fmt.Errorf("%s%s/ has more objects than are looked at: somebody floods it", Room, signer)
	}
	return &s.lane, nil
}

// Place signs the drill as the signer's next report and stores it create-only. Where somebody else was quicker it signs anew. It returns the
// stored bytes too where they could be signed, so that they can be placed later.
func Place(ctx context.Context, v *vault.Vault, d *HeaderDrill, k sign.PrivateKey) (name string, stored []byte, err error) {
	for range placeAttempts {
		if d.Prev, err = Last(ctx, v, k.ID()); err != nil {
			return "", stored, err
		}
		if stored, err = Sign(v, d, k); err != nil {
			return "", nil, err
		}
		name, _, err = PlaceSigned(ctx, v, stored)
		if !errors.Is(err, ErrOutdated) {
			return name, stored, err
		}
	}
	return "", stored, fmt.Errorf("%d times another report was placed first: %w", placeAttempts, err)
}

// PlaceSigned stores a signed report create-only, as the next of its signer's. One that is there already has been placed: existed is true. Errors are
// ErrNotEntitled, ErrOutdated, those of a file that is no report of this vault's, and the store's.
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
		if prev := r.Drill.Prev; prev == nil && !l.last.IsZero() || prev != nil && *prev != l.last {
			return "", false, fmt.Errorf("%w: its newest is %s", ErrOutdated, orNone(l.last))
		}
		// A number that the listing does not show, and that is taken all the same, is passed by.
		seq := max(l.free, taken+1)
		if seq > maxSeq {
			return "", false, fmt.Errorf("%s%s/ has no number left", Room, r.Signer)
		}
		name = Name(r.Signer, seq)
		err = create(ctx, v.Bucket(), name, stored)
		if providers.KindOf(err) != providers.Exists {
			return name, false, err
		}
		taken = seq
	}
	return "", false, fmt.Errorf("%d numbers below %s%s/ were taken by others while this was placed", placeAttempts, Room, r.Signer)
}

// Open takes the stored bytes of a header drill's report apart, and holds them to the vault and to who may sign. Its Name is empty.
func Open(v *vault.Vault, stored []byte) (*Report, error) {
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
	if r.Drill == nil {
		return nil, errors.New("this report is of a type that this program does not place")
	}
	r.Signer = signed.KeyID
	return &r.Report, nil
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
