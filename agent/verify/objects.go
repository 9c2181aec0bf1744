package verify

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"io"

	"golang.org/x/sync/errgroup"

	"farshore/agent/record"
	"farshore/agent/vault"
	"farshore/providers"
)

// hashAll reads every object below packs/ and meta/ and compares it with its name.
func (r *run) hashAll(ctx context.Context) error {
	for _, room := range []string{"packs/", "meta/"} {
		if err := r.hashRoom(ctx, room); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) hashRoom(ctx context.Context, room string) error {
	r.kept = withheld{}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(r.o.Workers)
	for n, err := range r.v.Bucket().Names(gctx, room, "") {
		if err != nil {
			return errorOf(g, err)
		}
		name, ok := r.parse(room, &n)
		if !ok {
			continue
		}
		g.Go(func() error {
			o, err := r.object(gctx, n, name)
			if err == nil && o != nil {
				r.mu.Lock()
				r.stored[place{name, room == "meta/"}] = *o
				r.mu.Unlock()
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return r.noteWithheld()
}

// withheld are the objects of a room that the store lists and does not give.
type withheld struct {
	given bool // it gave another
	err   error
	list  []vault.Finding // at most maxFindings
	more  int64
}

// withhold remembers that the store does not give an object, where the failure is of that one alone; otherwise it returns it.
func (r *run) withhold(ctx context.Context, object string, err error) error {
	if !r.v.Withheld(ctx, err) {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept.err = cmp.Or(r.kept.err, err)
	if len(r.kept.list) == maxFindings {
		r.kept.more++
		return nil
	}
	r.kept.list = append(r.kept.list, vault.Finding{Severity: vault.Damage, Object: object, Text: fmt.Sprintf("the store lists it and does not give it: %v", err)})
	return nil
}

// noteWithheld notes what the store does not give of a room. Where it gave nothing at all, it is the reader who may not read there, and the error says so.
func (r *run) noteWithheld() error {
	if r.kept.err != nil && !r.kept.given {
		return r.kept.err
	}
	for _, f := range r.kept.list {
		r.add(f)
	}
	r.res.Damaged += r.kept.more
	return nil
}

// gave counts an object that was read whole.
func (r *run) gave(bytes int64) {
	r.o.Progress.Objects.Add(1)
	r.o.Progress.Bytes.Add(bytes)
	r.mu.Lock()
	r.kept.given = true
	r.mu.Unlock()
}

// errorOf prefers a worker's error, which is why the listing's context ended.
func errorOf(g *errgroup.Group, err error) error {
	if werr := g.Wait(); werr != nil {
		return werr
	}
	return err
}

func (r *run) parse(room string, n *providers.Name) (record.Hash, bool) {
	if record.IsCanary(n.Name) {
		return record.Hash{}, false
	}
	parse := record.ParsePackName
	if room == "meta/" {
		parse = record.ParseMetaName
	}
	name, err := parse(n.Name)
	if err != nil {
		r.note(vault.Tampering, n.Name, "no object of a vault has such a name: ignored")
		return name, false
	}
	return name, true
}

// object checks one object, whichever of its versions is the right one. Nil says that nothing is there.
func (r *run) object(ctx context.Context, n providers.Name, name record.Hash) (*object, error) {
	if !n.Plain() {
		return r.beneath(ctx, &n, name)
	}
	if n.Size > providers.MaxObject {
		r.note(vault.Damage, n.Name, "it has %d bytes, and an object of a vault at most %d: it was not read", n.Size, providers.MaxObject)
		return &object{size: n.Size}, nil
	}
	wrong, err := r.hash(ctx, n.Info, name)
	if (wrong != "" || err != nil && ctx.Err() == nil) && r.res.Versions == providers.SightSeen {
		// It may have been overwritten or hidden since it was listed.
		now, herr := r.v.Bucket().History(ctx, n.Name)
		if herr != nil && providers.KindOf(herr) != providers.NotFound {
			return nil, herr
		}
		if herr == nil && !now.Plain() {
			return r.beneath(ctx, &now, name)
		}
	}
	if err != nil {
		return &object{size: n.Size}, r.withhold(ctx, n.Name, err)
	}
	if wrong != "" {
		r.note(vault.Damage, n.Name, "%s", wrong)
	}
	return &object{size: n.Size, intact: wrong == ""}, nil
}

// hash reads one object whole and says what is wrong with it, nothing where it is intact.
func (r *run) hash(ctx context.Context, info providers.Info, name record.Hash) (wrong string, err error) {
	body, err := r.v.Bucket().OpenStream(ctx, info.Name)
	if err != nil {
		return unreadable(err)
	}
	h := sha256.New()
	n, err := io.Copy(h, body)
	if cerr := body.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return unreadable(err)
	}
	r.gave(n)
	if record.Hash(h.Sum(nil)) != name {
		return fmt.Sprintf("its %d bytes do not have the hash in its name", n), nil
	}
	return "", nil
}

// unreadable says what is wrong with an object that the store lists and does not give; other failures end the verification.
func unreadable(err error) (wrong string, _ error) {
	switch providers.KindOf(err) {
	case providers.NotFound:
		return "the store lists it and does not have it", nil
	case providers.Corrupt:
		return fmt.Sprintf("it can't be read whole: %v", err), nil
	}
	return "", err
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
