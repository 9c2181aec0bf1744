package verify

import (
	"context"
	"crypto/sha256"
	"io"
	"sync"

	"golang.org/x/sync/errgroup"

	"farshore/agent/record"
	"farshore/agent/vault"
	"farshore/providers"
)

// hashAll reads every object below packs/ and meta/ and compares it with its name.
func (r *run) hashAll(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(r.o.Workers)
	var mu sync.Mutex
	for _, room := range []string{"packs/", "meta/"} {
		for info, err := range r.v.Bucket().List(ctx, room, "") {
			if err != nil {
				return errorOf(g, err)
			}
			name, ok := r.parse(room, info)
			if !ok {
				continue
			}
			g.Go(func() error {
				intact, err := r.hash(ctx, info, name)
				mu.Lock()
				r.stored[place{name, room == "meta/"}] = object{size: info.Size, intact: intact}
				mu.Unlock()
				return err
			})
		}
	}
	return g.Wait()
}

// errorOf prefers a worker's error, which is why the listing's context ended.
func errorOf(g *errgroup.Group, err error) error {
	if werr := g.Wait(); werr != nil {
		return werr
	}
	return err
}

func (r *run) parse(room string, info providers.Info) (record.Hash, bool) {
	if record.IsCanary(info.Name) {
		return record.Hash{}, false
	}
	parse := record.ParsePackName
	if room == "meta/" {
		parse = record.ParseMetaName
	}
	name, err := parse(info.Name)
	if err != nil {
		r.note(vault.Tampering, info.Name, "no object of a vault has such a name: ignored")
		return name, false
	}
	return name, true
}

// hash reads one object whole.
func (r *run) hash(ctx context.Context, info providers.Info, name record.Hash) (bool, error) {
	body, err := r.v.Bucket().OpenStream(ctx, info.Name)
	if err != nil {
		return false, r.unreadable(info.Name, err)
	}
	h := sha256.New()
	n, err := io.Copy(h, body)
	if cerr := body.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return false, r.unreadable(info.Name, err)
	}
	r.o.Progress.Objects.Add(1)
	r.o.Progress.Bytes.Add(n)
	if record.Hash(h.Sum(nil)) != name {
		r.note(vault.Damage, info.Name, "its %d bytes do not have the hash in its name", n)
		return false, nil
	}
	return true, nil
}

// unreadable notes an object that the store lists and does not give; other failures end the verification.
func (r *run) unreadable(name string, err error) error {
	switch providers.KindOf(err) {
	case providers.NotFound:
		r.note(vault.Damage, name, "the store lists it and does not have it")
		return nil
	case providers.Corrupt:
		r.note(vault.Damage, name, "it can't be read whole: %v", err)
		return nil
	}
	return err
}

// need checks that an object that something names is there with its size and intact, and reports once where it is not.
func (r *run) need(ref record.Ref, meta bool, by string) bool {
	object := record.PackName(ref.Name)
	if meta {
		object = record.MetaName(ref.Name)
	}
	at := place{ref.Name, meta}
	o, ok := r.stored[at]
	switch {
	case !ok:
		r.note(vault.Damage, object, "it is missing; %s needs it", by)
		o.size = ref.Size
	case o.intact && o.size != ref.Size:
		r.note(vault.Damage, object, "it has %d bytes, %s says %d", o.size, by, ref.Size)
		o.intact = false
	}
	o.named = true // also when missing: so it is reported once
	r.stored[at] = o
	return o.intact
}
