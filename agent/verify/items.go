package verify

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sync/errgroup"

	"farshore/agent/record"
	"farshore/agent/vault"
	"farshore/providers"
)

// maxSeen bounds how many parts are remembered as checked; beyond that a part that several segments carry is checked again.
const maxSeen = 1 << 20

// items reads the records of every segment that any snapshot has and, where asked, puts every item together. Each segment is read once, so that items
// of older snapshots are checked too.
func (r *run) items(ctx context.Context) error {
	it := &itemRun{run: r, reader: r.v.NewReader(), seen: map[[16]byte]struct{}{}, segments: map[record.Hash]bool{}}
	for _, c := range r.chains {
		for i := len(c.Commits) - 1; i >= 0; i-- {
			if err := it.commit(ctx, c.Commits[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

type itemRun struct {
	*run
	reader   *vault.Reader
	seen     map[[16]byte]struct{}
	segments map[record.Hash]bool
}

func (it *itemRun) commit(ctx context.Context, k *vault.Commit) error {
	if k.Root == nil {
		return nil
	}
	snap, err := it.v.Snapshot(ctx, k)
	if errors.Is(err, vault.ErrLocked) {
		return fmt.Errorf("the identity does not open the records of chain %s: %w", k.Chain, err)
	}
	if err != nil {
		return it.damage(err)
	}
	for _, ref := range snap.Segments() {
		if it.segments[ref.Name] {
			continue
		}
		it.segments[ref.Name] = true
		if err := it.segment(ctx, ref); err != nil {
			return err
		}
	}
	return nil
}

// segment reads one segment's records and checks their parts.
func (it *itemRun) segment(ctx context.Context, ref record.Ref) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(it.o.Workers)
	for rec, err := range it.v.Segment(gctx, ref) {
		if err != nil {
			if derr := it.damage(err); derr != nil {
				return errorOf(g, derr)
			}
			break
		}
		it.res.Records++
		if !it.o.Items {
			continue
		}
		for _, p := range it.unchecked(rec) {
			g.Go(func() error { return it.part(gctx, rec.Path, p) })
		}
	}
	return g.Wait()
}

// unchecked returns the parts of a record that were not checked before.
func (it *itemRun) unchecked(rec *record.Record) []*record.Part {
	var out []*record.Part
	for ; rec != nil; rec = rec.Last {
		for i := range rec.Parts {
			key := partKey(&rec.Parts[i])
			if _, ok := it.seen[key]; ok {
				continue
			}
			if len(it.seen) < maxSeen {
				it.seen[key] = struct{}{}
			}
			out = append(out, &rec.Parts[i])
		}
	}
	return out
}

// partKey identifies a part by its hash and its place.
func partKey(p *record.Part) (key [16]byte) {
	h := sha256.New()
	h.Write(p.SHA256[:])
	for _, e := range p.Extents {
		h.Write(e.Pack.Name[:])
		_ = binary.Write(h, binary.BigEndian, [2]int64{e.Offset, e.Length}) // a hash takes everything
	}
	for _, e := range p.Pages {
		h.Write(e.Name[:])
	}
	copy(key[:], h.Sum(nil))
	return key
}

func (it *itemRun) part(ctx context.Context, path string, p *record.Part) error {
	err := it.reader.Copy(ctx, io.Discard, p)
	var damage *vault.DamageError
	switch {
	case err == nil:
		it.o.Progress.Items.Add(1)
		it.o.Progress.ItemBytes.Add(p.Size)
		return nil
	case errors.As(err, &damage):
		it.note(vault.Damage, damage.Object, "item %q can't be restored: %v", path, damage.Err)
		return nil
	case errors.Is(err, vault.ErrContent):
		it.note(vault.Damage, fmt.Sprintf("item %q", path), "%v", err)
		return nil
	case errors.Is(err, vault.ErrLocked):
		return fmt.Errorf("item %q: %w: checking items needs the recovery identity", path, err)
	case providers.KindOf(err) == providers.Corrupt:
		it.note(vault.Damage, fmt.Sprintf("item %q", path), "%v", err)
		return nil
	}
	return err
}
