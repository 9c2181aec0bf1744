package vault

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"farshore/agent/record"
	"farshore/providers"
)

// maxTwins is how many further versions of the right one's size are read to see whether they have its bytes: what a repeated upload leaves is no tampering.
const maxTwins = 2

// Search is what looking through the versions of a name came to.
type Search struct {
	// Right is the oldest version whose bytes have the hash; nil where none of those that were looked at has.
	Right *providers.Version
	// Findings say what else lies under the name, a finding for each version and marker that is remembered: see providers.MaxHistory.
	Findings []Finding
	// Bytes were read for it.
	Bytes int64
}

// Search looks through the versions of a name, the oldest first, for the one whose bytes have the hash. It reads them whole and keeps none. The error is of the store,
// which could not be asked; where one version is not gone or damaged but could not be read, and none of the others is right, it is the one that this version failed with.
func (v *Vault) Search(ctx context.Context, n *providers.Name, want record.Hash) (Search, error) {
	var s Search
	var failure error
	right, tried, known := -1, 0, map[int]beside{}
	for i := range n.Oldest {
		o := &n.Oldest[i]
		if o.Marker || o.Size > providers.MaxObject {
			continue
		}
		if right >= 0 {
			if o.Size != n.Oldest[right].Size {
				continue
			}
			if tried++; tried > maxTwins {
				known[i] = unread
				continue
			}
		}
		ok, read, err := v.matches(ctx, o, want)
		s.Bytes += read
		if err != nil && (ctx.Err() != nil || right < 0 && stops(err)) {
			return s, err
		}
		switch {
		case err != nil:
			known[i] = unread
			if kind := providers.KindOf(err); failure == nil && kind != providers.NotFound && kind != providers.Corrupt {
				failure = err
			}
		case ok && right < 0:
			right, s.Right = i, o
		case ok:
			known[i] = twin
		}
	}
	s.Findings = layers(n, right, known)
	if right < 0 && failure != nil {
		return s, failure
	}
	return s, nil
}

// stops reports whether a store's failure is one that says nothing of the version that was asked for: the next one would fail likewise.
func stops(err error) bool {
	switch providers.KindOf(err) {
	case providers.Unauthenticated, providers.Throttled, providers.Temporary:
		return true
	}
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// matches reads one version whole and compares it with the hash.
func (v *Vault) matches(ctx context.Context, o *providers.Version, want record.Hash) (ok bool, n int64, err error) {
	body, err := v.bucket.OpenVersionStream(ctx, o.Name, o.ID)
	if err == nil {
		h := sha256.New()
		n, err = io.Copy(h, io.LimitReader(body, providers.MaxObject+1))
		_ = body.Close() // every byte that counts was read
		ok = err == nil && record.Hash(h.Sum(nil)) == want
	}
	return ok, n, err
}

// errBlind says why the versions of a name were not looked at.
var errBlind = errors.New("the credential may not list versions, so whether the right bytes lie beneath is not known")

// history returns a name with its versions, and nil where the store shows none or nothing has the name. It makes no request on a store without versions.
func (v *Vault) history(ctx context.Context, object string) (*providers.Name, error) {
	sight, err := v.bucket.Sight(ctx)
	switch {
	case err != nil:
		return nil, err
	case sight == providers.SightDenied:
		return nil, errBlind
	case sight != providers.SightSeen:
		return nil, nil
	}
	n, err := v.bucket.History(ctx, object)
	if providers.KindOf(err) == providers.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &n, nil
}

// beneath looks for the version of a name whose bytes have the hash, where the plain read does not give them, and notes what lies over it. Nil says that there is none.
func (v *Vault) beneath(ctx context.Context, object string, want record.Hash) (*providers.Version, error) {
	n, err := v.history(ctx, object)
	if err != nil || n == nil || n.Plain() {
		return nil, err
	}
	s, err := v.Search(ctx, n, want)
	v.sightings.add(s.Findings...)
	return s.Right, err
}

// readNamed reads a whole object whose name is its hash. Where a plain read does not give these bytes, it takes the version that has them.
func (v *Vault) readNamed(ctx context.Context, object string, name record.Hash) ([]byte, error) {
	b, err := v.readVersion(ctx, object, "", name)
	if err == nil || !amiss(err) {
		return b, err
	}
	right, serr := v.beneath(ctx, object, name)
	if serr != nil {
		return nil, both(err, serr)
	}
	if right == nil {
		return nil, err
	}
	return v.readVersion(ctx, object, right.ID, name)
}

// readVersion reads one version, or what a plain read sees where id is empty, and checks its hash.
func (v *Vault) readVersion(ctx context.Context, object, id string, name record.Hash) ([]byte, error) {
	b, err := v.bucket.ReadVersion(ctx, object, id, providers.MaxObject)
	if err != nil {
		return nil, asDamage(object, err)
	}
	if record.Hash(sha256.Sum256(b)) != name {
		return nil, &DamageError{object, errors.New("its bytes do not have the hash in its name")}
	}
	return b, nil
}

// amiss reports whether a plain read failed in a way that what lies beneath may mend: the object is missing, is not what it should be, or is kept back: whoever may
// overwrite may do so under a key, or in a storage class, that the reader can't have.
func amiss(err error) bool {
	var d *DamageError
	return errors.As(err, &d) || keptBack(err)
}

// keptBack reports whether a store's failure may be of one object alone and say nothing of others.
func keptBack(err error) bool {
	var store *providers.Error
	return errors.As(err, &store) && !stops(err)
}

// Withheld reports whether a failed read is of that object alone: of a kind that is not of the store as a whole, while the store still gives the owner's first
// statement. Whoever may create can store an object that no reader is given, by a key or a storage class, and must not keep them from the rest by it.
func (v *Vault) Withheld(ctx context.Context, err error) bool {
	return ctx.Err() == nil && keptBack(err) && v.Answers(ctx)
}

// Answers reports whether the store still gives the owner's first statement.
func (v *Vault) Answers(ctx context.Context) bool {
	if ctx.Err() != nil || len(v.hashes) == 0 {
		return false
	}
	_, err := v.readNamed(ctx, record.StatementName(1, v.hashes[0]), v.hashes[0])
	return err == nil
}

// both is a plain read's failure together with what kept the reader from looking beneath. A store that did not answer is no damage.
func both(plain, beneath error) error {
	if !amiss(plain) {
		return plain
	}
	if stops(beneath) {
		return beneath
	}
	var d *DamageError
	if errors.As(plain, &d) {
		return &DamageError{d.Object, fmt.Errorf("%w; %v", d.Err, beneath)}
	}
	return fmt.Errorf("%w; %v", plain, beneath)
}
