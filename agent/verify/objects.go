package verify

import (
	"cmp"
	"context"

	"golang.org/x/sync/errgroup"

	"farshore/agent/record"
	"farshore/agent/vault"
	"farshore/providers"
)

// hashAll reads every object below packs/ and meta/ and compares it with its name.
func (r *run) hashAll(ctx context.Context) error {
	if r.o.Before != nil {
		if err := r.o.Before(ctx, r.found); err != nil {
			return err
		}
	}
	for _, room := range []string{"packs/", "meta/"} {
		if err := r.hashRoom(ctx, room); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) hashRoom(ctx context.Context, room string) error {
	meta := room == "meta/"
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(r.o.Workers)
	for n, err := range r.v.Bucket().Names(gctx, room, "") {
		if err != nil {
			return errorOf(g, err)
		}
		name, ok := r.parse(room, &n)
		if !ok || r.done(&n) {
			continue
		}
		g.Go(func() error { return r.object(gctx, n, name, meta) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return r.noteWithheld(index(meta))
}

// found takes what reading an object before came to.
func (r *run) found(f Found) {
	r.o.Progress.Bytes.Add(f.Bytes)
	r.judge(&f.Examined, f.Object, f.Meta)
}

// done reports whether an object was read before, with all that lies under its name.
func (r *run) done(n *providers.Name) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	is := r.stored.get(n.Name).is
	return is&told != 0 || is&judged != 0 && n.Plain()
}

// withheld are the objects of a room that the store lists and does not give.
type withheld struct {
	given bool // it gave another
	err   error
	list  []vault.Finding // at most maxFindings
	more  int64
}

// index is that of a room in lists of both.
func index(meta bool) int {
	if meta {
		return 1
	}
	return 0
}

// withhold remembers that the store does not give an object, and gives others.
func (r *run) withhold(room int, object string, e *Examined) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := &r.kept[room]
	k.err = cmp.Or(k.err, e.Err)
	if len(k.list) == maxFindings {
		k.more++
		return
	}
	k.list = append(k.list, vault.Finding{Severity: vault.Damage, Object: object, Text: e.Why})
}

// noteWithheld notes what the store does not give of a room. Where it gave nothing at all, it is the reader who may not read there, and the error says so.
func (r *run) noteWithheld(room int) error {
	k := &r.kept[room]
	if k.err != nil && !k.given {
		return k.err
	}
	for _, f := range k.list {
		r.add(f)
	}
	r.res.Damaged += k.more
	return nil
}

// gave counts an object that was read.
func (r *run) gave(room int) {
	r.o.Progress.Objects.Add(1)
	r.mu.Lock()
	r.kept[room].given = true
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

// object checks one object, whichever of its versions is the right one.
func (r *run) object(ctx context.Context, n providers.Name, name record.Hash, meta bool) error {
	e, err := Examine(ctx, r.v, n, name)
	r.o.Progress.Bytes.Add(e.Bytes)
	if err == nil {
		r.judge(&e, name, meta)
	}
	return err
}

// judge keeps what examining an object came to, unless nothing is there.
func (r *run) judge(e *Examined, name record.Hash, meta bool) {
	path, room := pathOf(name, meta), index(meta)
	if !e.Plain {
		r.extra(&e.Name, e.Findings)
	}
	switch {
	case e.State == Withheld:
		r.withhold(room, path, e)
	case e.State == Unread:
		r.note(vault.Notice, path, "%s", e.Why)
	case e.State == Absent && !e.Plain:
		return
	case e.State != Intact:
		r.note(vault.Damage, path, "%s", e.Why)
	}
	if e.State == Intact || e.State == Wrong && e.Bytes > 0 {
		r.gave(room)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stored.judge(path, e)
}

// need checks that an object that something names is there with its size and intact, and reports once where it is not.
func (r *run) need(ref record.Ref, meta bool, by string) bool {
	object := pathOf(ref.Name, meta)
	switch o := r.stored.need(object, ref.Size); {
	case o.is&judged == 0:
		r.note(vault.Damage, object, "it is missing; %s needs it", by)
		return false
	case o.is&intact != 0 && int64(o.size) != ref.Size:
		r.note(vault.Damage, object, "it has %d bytes, %s says %d", o.size, by, ref.Size)
		return false
	default:
		return o.is&intact != 0
	}
}
