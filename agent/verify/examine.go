package verify

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"

	"farshore/agent/record"
	"farshore/agent/vault"
	"farshore/providers"
)

// State is what examining a stored object came to.
type State int

// States.
const (
	// Intact: some version has the hash in the name.
	Intact State = iota
	// Wrong: it was read, and none that was looked at has the hash in the name; or it is too large to be one.
	Wrong
	// Absent: the store does not have it, or has no more than markers.
	Absent
	// Withheld: the store does not give it, while it gives others.
	Withheld
	// Unread: reading it failed, or took too long, and nothing is known of it. Examine has an error then in place of this.
	Unread
)

// Examined is what examining one object came to.
type Examined struct {
	State State
	// Size is that of the right version where there is one, else what the name says.
	Size int64
	// Bytes were read for it.
	Bytes int64
	// Plain is false where its name has several versions or is hidden: then Name says what lies there, Version is the store's id of the right one, and Findings tell of the others.
	Plain    bool
	Name     providers.Name
	Version  string
	Findings []vault.Finding
	// Why says what is wrong with an object that is not intact; Err is the store's answer for one that is withheld.
	Why string
	Err error
}

// Examine reads one stored object whole and says whether its bytes have the hash in its name, whichever of its versions is the right one. Where a plain read does not
// give the right bytes and the store shows versions, it looks beneath. Nothing is kept in memory, and it may be called concurrently. The error is the context's,
// or of a store that failed as a whole: then nothing is known of the object.
func Examine(ctx context.Context, v *vault.Vault, n providers.Name, want record.Hash) (Examined, error) {
	if !n.Plain() {
		return beneath(ctx, v, n, want, 0)
	}
	out := Examined{Plain: true, Name: n, Size: n.Size}
	if n.Size > providers.MaxObject {
		out.State, out.Why = Wrong, fmt.Sprintf("it has %d bytes, and an object of a vault at most %d: it was not read", n.Size, providers.MaxObject)
		return out, nil
	}
	err := out.read(ctx, v, want)
	if ctx.Err() != nil && err != nil {
		return out, context.Cause(ctx)
	}
	if out.State != Intact || err != nil {
		// It may have been overwritten or hidden since it was listed.
		now, seen, herr := history(ctx, v, n.Name)
		if herr != nil {
			return out, herr
		}
		if seen {
			return beneath(ctx, v, now, want, out.Bytes)
		}
	}
	return out, out.withhold(ctx, v, err)
}

// read reads what a plain read sees.
func (e *Examined) read(ctx context.Context, v *vault.Vault, want record.Hash) error {
	body, err := v.Bucket().OpenStream(ctx, e.Name.Name)
	if err != nil {
		return e.unreadable(err)
	}
	h := sha256.New()
	e.Bytes, err = io.Copy(h, io.LimitReader(body, providers.MaxObject+1))
	if cerr := body.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return e.unreadable(err)
	}
	e.Size = e.Bytes
	if record.Hash(h.Sum(nil)) != want {
		e.State, e.Why = Wrong, fmt.Sprintf("its %d bytes do not have the hash in its name", e.Bytes)
	}
	return nil
}

// unreadable says what is wrong with an object that the store lists and does not give; other failures are returned.
func (e *Examined) unreadable(err error) error {
	switch providers.KindOf(err) {
	case providers.NotFound:
		e.State, e.Why = Absent, "the store lists it and does not have it"
	case providers.Corrupt:
		e.State, e.Why = Wrong, fmt.Sprintf("it can't be read whole: %v", err)
	default:
		return err
	}
	return nil
}

// withhold says that the store does not give the object, where the failure is of that one alone; otherwise it returns it.
func (e *Examined) withhold(ctx context.Context, v *vault.Vault, err error) error {
	if err == nil || !v.Withheld(ctx, err) {
		return err
	}
	e.State, e.Err, e.Why = Withheld, err, fmt.Sprintf("the store lists it and does not give it: %v", err)
	return nil
}

// history returns a name with what lies beneath, and whether there is more than the one version that was written. It asks nothing where the store shows no versions.
func history(ctx context.Context, v *vault.Vault, object string) (n providers.Name, more bool, err error) {
	sight, err := v.Bucket().Sight(ctx)
	if err != nil || sight != providers.SightSeen {
		return n, false, err
	}
	n, err = v.Bucket().History(ctx, object)
	if providers.KindOf(err) == providers.NotFound {
		return n, false, nil
	}
	return n, err == nil && !n.Plain(), err
}

// beneath examines an object whose name has several versions or is hidden: it is intact where one of them has the hash in the name.
func beneath(ctx context.Context, v *vault.Vault, n providers.Name, want record.Hash, read int64) (Examined, error) {
	s, err := v.Search(ctx, &n, want)
	out := Examined{Name: n, Size: n.Size, Bytes: read + s.Bytes, Findings: s.Findings}
	if err != nil && ctx.Err() != nil {
		return out, context.Cause(ctx)
	}
	switch {
	case s.Right != nil:
		out.Size, out.Version = s.Right.Size, s.Right.ID
	case err != nil:
		return out, out.withhold(ctx, v, err)
	case n.Versions == 0:
		out.State, out.Why = Absent, "no more than delete markers lie there"
	default:
		out.State, out.Why = Wrong, "none of its versions that were looked at has the hash in its name"
	}
	return out, nil
}
