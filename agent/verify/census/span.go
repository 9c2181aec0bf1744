package census

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"farshore/agent/record"
	"farshore/providers"
)

// joiner joins the listing of a span with the objects that should be there, both in the order of names.
type joiner struct {
	*span
	i    *inventory
	ctx  context.Context
	tell chan<- Sighting
	want *cursor
}

// list lists the span. Sightings go to tell, in order.
func (s *span) list(ctx context.Context, i *inventory, tell chan<- Sighting) error {
	j := &joiner{span: s, i: i, ctx: ctx, tell: tell, want: i.c.table.from(ctx, s.first)}
	j.skip()
	for n, err := range i.b.Names(ctx, s.room, s.after) {
		if err != nil {
			return err
		}
		if s.upto != "" && n.Name > s.upto {
			break
		}
		i.c.progress.Listed.Add(1)
		if err := j.name(&n); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return j.missing(nil)
}

// skip goes to the next object of the room, if the one at hand is none.
func (j *joiner) skip() {
	for j.want.ok && j.want.head.meta() != j.meta {
		j.want.next()
	}
	if j.want.ok && int(j.want.head.name[0]) >= j.end {
		j.want.ok = false
	}
}

// name takes the next name that the store lists.
func (j *joiner) name(n *providers.Name) error {
	if record.IsCanary(n.Name) {
		return nil
	}
	parse := record.ParsePackName
	if j.meta {
		parse = record.ParseMetaName
	}
	name, err := parse(n.Name)
	if err != nil {
		j.count.Junk++
		return j.stranger(n, KindJunk)
	}
	if err := j.missing(&name); err != nil {
		return err
	}
	if !j.want.ok || j.want.head.name != name {
		return j.stranger(n, KindUnnamed)
	}
	o := j.want.head.object()
	j.want.next()
	j.skip()
	return j.there(o, n)
}

// missing takes the objects below a name that the store listed, which it passed over; all that are left where it is nil.
func (j *joiner) missing(before *record.Hash) error {
	for j.want.ok && (before == nil || bytes.Compare(j.want.head.name[:], before[:]) < 0) {
		o := j.want.head.object()
		j.want.next()
		j.skip()
		if err := j.unlisted(o); err != nil {
			return err
		}
	}
	return j.want.err
}

// unlisted takes an object that the listing did not show: the store is asked for it by name.
func (j *joiner) unlisted(o Object) error {
	if j.i.asked.Load() < maxAsked {
		n, err := j.i.b.History(j.ctx, o.Path())
		switch {
		case err == nil && j.i.omitted.Add(1) > maxAsked:
			return fmt.Errorf("the store has %s, and its listing of %s left it out, as it did %d others: such a listing says nothing", o.Path(), j.room, maxAsked)
		case err == nil:
			return j.there(o, &n)
		case j.ctx.Err() != nil:
			return err
		case providers.KindOf(err) != providers.NotFound && !j.i.c.withheld(j.ctx, err):
			return err
		}
		j.i.asked.Add(1)
	}
	j.count.Missing++
	return j.say(o, nil, KindMissing)
}

// there takes an object of which the store shows something.
func (j *joiner) there(o Object, n *providers.Name) error {
	j.layers(n)
	if n.Versions == 0 {
		j.count.Missing++
		return j.say(o, n, KindMissing)
	}
	kind := ""
	if !n.Plain() {
		kind = KindExtra
	}
	j.count.Present++
	if n.Hidden {
		kind = KindHidden
		j.count.Hidden++
	}
	if !hasSize(n, o.Size) {
		kind = KindSize
		j.count.WrongSize++
	}
	if kind == "" {
		return nil
	}
	return j.say(o, n, kind)
}

// hasSize reports whether a version that is remembered has the size: which one is right only its bytes tell.
func hasSize(n *providers.Name, size int64) bool {
	return n.Size == size || slices.ContainsFunc(n.Oldest, func(v providers.Version) bool { return !v.Marker && v.Size == size })
}

// stranger takes what no commit names. What only delete markers are left of is no object.
func (j *joiner) stranger(n *providers.Name, kind string) error {
	j.layers(n)
	if n.Versions > 0 {
		j.count.Unnamed++
		j.count.UnnamedBytes = sum(j.count.UnnamedBytes, n.Size)
	}
	return j.say(Object{}, n, kind)
}

// layers counts what lies with a name.
func (j *joiner) layers(n *providers.Name) {
	j.count.ExtraVersions += int64(max(0, n.Versions-1))
	j.count.Markers += int64(n.Markers)
}

// say passes a sighting on, with a copy of the name: so that those of which there is nothing to say need none.
func (j *joiner) say(o Object, n *providers.Name, kind string) error {
	s := Sighting{Object: o, Kind: kind}
	if n != nil {
		own := *n
		s.Name = &own
	}
	select {
	case j.tell <- s:
		return nil
	case <-j.ctx.Done():
		return context.Cause(j.ctx)
	}
}
