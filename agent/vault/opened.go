package vault

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"farshore/agent/pack"
	"farshore/agent/record"
	"farshore/providers"
)

// openPack is a pack whose header was opened and whose seek table was read.
type openPack struct {
	ref     record.Ref
	version string // the store's id of the version that is read; empty: what a plain read sees
	reader  *pack.Reader
	doubted atomic.Bool // damage was met and the versions of the name were looked at for it
}

// open returns an opened pack, of those at hand where it is among them.
func (r *Reader) open(ctx context.Context, ref record.Ref) (*openPack, error) {
	if p := r.atHand(ref.Name); p != nil {
		return p, nil
	}
	got, err, _ := r.flight.Do("open "+ref.Name.String(), func() (any, error) {
		p, err := r.openPack(r.lasting(ctx), ref)
		if err != nil {
			return nil, err
		}
		r.mu.Lock()
		r.packs.put(ref.Name, p)
		r.mu.Unlock()
		return p, nil
	})
	if err != nil {
		return nil, err
	}
	return got.(*openPack), nil
}

func (r *Reader) atHand(name record.Hash) *openPack {
	r.mu.Lock()
	defer r.mu.Unlock()
	p, _ := r.packs.get(name)
	return p
}

// openPack opens the version of a pack that has the hash in its name. Whether the plain read gives that one is asked of the store's history while the first
// reads are under way: age does not say who sealed, so a pack that somebody else put in its place would open as well. A store without
// versions is asked nothing.
func (r *Reader) openPack(ctx context.Context, ref record.Ref) (*openPack, error) {
	object := record.PackName(ref.Name)
	if r.opener(ref.Name).Empty() {
		return nil, &LockedError{Object: object}
	}
	r.mu.Lock()
	version, known := r.right.get(ref.Name)
	r.mu.Unlock()
	if known {
		return r.openVersion(ctx, ref, version)
	}
	var n *providers.Name
	var nerr error
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		n, nerr = r.vault.history(ctx, object)
	}()
	p, err := r.openVersion(ctx, ref, "")
	<-asked
	switch {
	case nerr != nil && err != nil:
		return nil, both(err, nerr)
	case nerr != nil && !errors.Is(nerr, errBlind):
		// The item's own SHA-256 still decides whether what is read is right.
		r.vault.sightings.add(Finding{Notice, object, fmt.Sprintf("its versions could not be looked at: %v", nerr)})
		return p, nil
	case n == nil || n.Plain():
		return p, err
	}
	return r.openBeneath(ctx, ref, n)
}

// openBeneath opens the right one of several versions, and remembers which it is.
func (r *Reader) openBeneath(ctx context.Context, ref record.Ref, n *providers.Name) (*openPack, error) {
	version, err := r.vault.rightPack(ctx, n, ref.Name)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	r.right.put(ref.Name, version)
	r.mu.Unlock()
	return r.openVersion(ctx, ref, version)
}

// rightPack returns the id of the version that has the hash in the name. A single version under delete markers is believed as a single one without markers is: it
// is not read whole for that.
func (v *Vault) rightPack(ctx context.Context, n *providers.Name, want record.Hash) (string, error) {
	if n.Versions == 1 && len(n.Oldest) == n.Versions+n.Markers {
		for i := range n.Oldest {
			if !n.Oldest[i].Marker {
				v.sightings.add(layers(n, i, nil)...)
			}
		}
		return n.ID, nil
	}
	s, err := v.Search(ctx, n, want)
	v.sightings.add(s.Findings...)
	switch {
	case s.Right != nil:
		return s.Right.ID, nil
	case err != nil:
		return "", asDamage(n.Name, err)
	}
	return "", &DamageError{n.Name, errNoVersion(n)}
}

// errNoVersion says that none of a name's versions is right, and how many were not looked at.
func errNoVersion(n *providers.Name) error {
	if more := n.Versions + n.Markers - len(n.Oldest); more > 0 {
		return fmt.Errorf("none of its oldest %d versions has the hash in its name; the %d newer ones were not looked at", len(n.Oldest), more)
	}
	if n.Versions == 0 {
		return errors.New("it is missing: only delete markers are there")
	}
	return fmt.Errorf("none of its %d versions has the hash in its name", n.Versions)
}

func (r *Reader) openVersion(ctx context.Context, ref record.Ref, version string) (*openPack, error) {
	v := r.vault
	object := record.PackName(ref.Name)
	plain, size, err := r.opener(ref.Name).ReaderAt(newBlockReader(ctx, r, ref, version), ref.Size)
	if err != nil {
		return nil, packError(object, err)
	}
	reader, err := pack.NewReader(plain, size, v.codec)
	if err != nil {
		return nil, packError(object, err)
	}
	return &openPack{ref: ref, version: version, reader: reader}, nil
}

// instead returns what to read in place of a pack that err was met in: it may have been overwritten or hidden since it was opened. Nil says that err stands. The
// versions are looked at once for an opened pack.
func (r *Reader) instead(ctx context.Context, p *openPack, err error) *openPack {
	if !amiss(err) || p.version != "" {
		return nil
	}
	got, _, _ := r.flight.Do("instead "+p.ref.Name.String(), func() (any, error) {
		if q := r.atHand(p.ref.Name); q != nil && q.version != "" {
			return q, nil
		}
		if p.doubted.Swap(true) {
			return nil, nil
		}
		ctx := r.lasting(ctx)
		n, err := r.vault.history(ctx, record.PackName(p.ref.Name))
		if err != nil || n == nil || n.Plain() {
			return nil, nil
		}
		q, err := r.openBeneath(ctx, p.ref, n)
		if err != nil {
			return nil, nil
		}
		r.mu.Lock()
		r.packs.put(p.ref.Name, q)
		r.mu.Unlock()
		return q, nil
	})
	q, _ := got.(*openPack)
	return q
}

// holds reports whether the extent lies within the pack.
func (p *openPack) holds(e record.Extent) error {
	if size := p.reader.RawSize(); e.Offset < 0 || e.Length < 0 || e.Length > size || e.Offset > size-e.Length {
		return &DamageError{record.PackName(e.Pack.Name), fmt.Errorf("%d bytes from %d on lie outside its %d", e.Length, e.Offset, size)}
	}
	return nil
}

// frame appends a decoded frame to dst.
func (p *openPack) frame(i int, dst []byte) ([]byte, error) {
	b, err := p.reader.ReadFrame(i, dst)
	if err != nil {
		return nil, packError(record.PackName(p.ref.Name), err)
	}
	return b, nil
}
