package items

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/source"
	"farshore/agent/vault"
	"farshore/agent/verify/live"
	"farshore/providers"
)

// damaged reports whether the vault does not have something as it was stored.
func damaged(err error) bool {
	var d *vault.DamageError
	return errors.As(err, &d) || errors.Is(err, vault.ErrContent) || err != nil && providers.KindOf(err) == providers.Corrupt
}

// failedToAnswer reports whether err says something of the source as a whole, and not of one item.
func failedToAnswer(err error) bool {
	var u *source.Unreadable
	return err != nil && !errors.As(err, &u) && !errors.Is(err, live.ErrLarge)
}

// restore puts the item together and compares it with its record. What is wrong with it is its outcome; the error is of the store or the context.
func (r *run) restore(ctx context.Context, it *item) error {
	for i := range it.rec.Parts {
		p := &it.rec.Parts[i]
		err := r.reader.Copy(ctx, io.Discard, p)
		if err == nil {
			it.once.bytes += p.Size
			r.o.Progress.Bytes.Add(p.Size)
			continue
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return r.failed(ctx, it, p, err)
	}
	it.once.restored = true
	r.o.Progress.Items.Add(1)
	return nil
}

// failed says what it means that a part can't be put together.
func (r *run) failed(ctx context.Context, it *item, p *record.Part, err error) error {
	lost := &Lost{Source: it.place.source, Path: it.rec.Path, Why: err.Error()}
	switch {
	case errors.Is(err, vault.ErrLocked):
		object, lerr := r.sealed(ctx, p)
		if lerr != nil {
			return lerr
		}
		if it.once.locked = object == ""; it.once.locked {
			return ctx.Err()
		}
		// Bytes that are not those in its name are damage, whatever they are sealed to. Otherwise, who holds the key of a recovery recipient that all statements name opens
		// every pack that was sealed as it should be; a pack that another key does not open may be from before, or from after, its time, and nothing is wrong with it.
		lost.Object, lost.Kind = object, r.diagnose(ctx, object)
		if lost.Kind == report.DamageContent {
			lost.Kind = report.DamageSeal
			if it.once.locked = !r.v.OpensAll(); it.once.locked {
				return ctx.Err()
			}
		}
	case damaged(err):
		lost.Object = objectOf(err, p)
		lost.Kind = r.diagnose(ctx, lost.Object)
	case r.v.Withheld(ctx, err):
		lost.Object, lost.Kind = objectOf(err, p), report.DamageWithheld
	default:
		return err
	}
	it.once.lost = lost
	return ctx.Err()
}

// lostRecord says what it means that an item's record can't be read.
func (r *run) lostRecord(ctx context.Context, it *item) (lost *Lost, locked bool) {
	lost = &Lost{Object: objectOf(it.err, nil), Source: it.place.source, Why: it.err.Error()}
	if errors.Is(it.err, vault.ErrLocked) {
		if lost.Kind = r.diagnose(ctx, lost.Object); lost.Kind == report.DamageContent {
			lost.Kind = report.DamageSeal
		}
		// As of packs: who holds a key that all statements name opens every page that was sealed as it should be.
		if lost.Kind == report.DamageSeal && !r.v.OpensAll() {
			return nil, true
		}
		return lost, false
	}
	if damaged(it.err) {
		lost.Kind = r.diagnose(ctx, lost.Object)
	} else {
		lost.Kind = report.DamageWithheld
	}
	return lost, false
}

// objectOf is the stored object that err is about. Bytes that are not those of the record name none: then it is the part's only pack, or unknown.
func objectOf(err error, p *record.Part) string {
	var d *vault.DamageError
	var locked *vault.LockedError
	var store *providers.Error
	switch {
	case errors.As(err, &d):
		return d.Object
	case errors.As(err, &locked):
		return locked.Object
	case errors.As(err, &store):
		return store.Name
	case p == nil || len(p.Extents) == 0 || len(p.Pages) > 0:
		return ""
	}
	for _, e := range p.Extents {
		if e.Pack.Name != p.Extents[0].Pack.Name {
			return ""
		}
	}
	return record.PackName(p.Extents[0].Pack.Name)
}

// errFound ends a walk over extents.
var errFound = errors.New("found")

// sealed returns the first of a part's packs that no key at hand opens: "" where it is a page that none opens.
func (r *run) sealed(ctx context.Context, p *record.Part) (object string, err error) {
	tried := map[record.Hash]bool{}
	err = r.v.Extents(ctx, p, func(e record.Extent) error {
		if tried[e.Pack.Name] {
			return nil
		}
		tried[e.Pack.Name] = true
		one := &record.Part{Size: 1, Extents: []record.Extent{{Pack: e.Pack, Offset: e.Offset, Length: 1}}}
		err := r.reader.Copy(ctx, io.Discard, one) // that a single byte has another hash says nothing
		switch {
		case errors.Is(err, vault.ErrLocked):
			object = record.PackName(e.Pack.Name)
			return errFound
		case err == nil, damaged(err), r.v.Withheld(ctx, err):
			return nil
		}
		return err
	})
	switch {
	case errors.Is(err, errFound), errors.Is(err, vault.ErrLocked), damaged(err), r.v.Withheld(ctx, err):
		return object, nil
	}
	return object, err
}

// maxDiagnosed bounds how many stored objects are read again to say what is wrong with them.
const maxDiagnosed = 64

// diagnose says what is wrong with a stored object that is not what it should be: it is missing, its bytes do not have the hash in its name, or they do, and what they hold is wrong.
func (r *run) diagnose(ctx context.Context, object string) string {
	r.mu.Lock()
	kind, known := r.judged[object]
	full := len(r.judged) >= maxDiagnosed
	r.mu.Unlock()
	if known || full || object == "" {
		if kind == "" {
			kind = report.DamageContent
		}
		return kind
	}
	kind = r.examine(ctx, object)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.judged[object] = kind
	return kind
}

// examine reads the object whole.
func (r *run) examine(ctx context.Context, object string) string {
	want, err := record.ParsePackName(object)
	if err != nil {
		if want, err = record.ParseMetaName(object); err != nil {
			return report.DamageContent
		}
	}
	h := sha256.New()
	body, err := r.v.Bucket().OpenStream(ctx, object)
	if err == nil {
		_, err = io.Copy(h, body)
		err = errors.Join(err, body.Close())
	}
	switch {
	case providers.KindOf(err) == providers.NotFound:
		return report.DamageMissing
	case err == nil && record.Hash(h.Sum(nil)) == want:
		return report.DamageContent
	case err == nil, providers.KindOf(err) == providers.Corrupt:
		return report.DamageBytes
	case r.v.Withheld(ctx, err):
		return report.DamageWithheld
	}
	return report.DamageContent
}

// textOf says what is wrong, without a name of an item: reports are read by who has no key.
func textOf(kind string) string {
	switch kind {
	case report.DamageMissing:
		return "a drawn item can't be put together: the store does not have this object"
	case report.DamageBytes:
		return "a drawn item can't be put together: the bytes of this object do not have the hash in its name"
	case report.DamageSeal:
		return "a drawn item can't be put together: the recovery key does not open this object, though every statement names that key"
	case report.DamageWithheld:
		return "a drawn item can't be put together: the store does not give this object"
	}
	return "a drawn item can't be put together: what is stored is not what its record states"
}

// unnamed counts things for people.
func unnamed(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}
