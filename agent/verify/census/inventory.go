package census

import (
	"context"
	"fmt"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/providers"
)

// What is not as it should be with a name.
const (
	KindMissing = "missing" // the store does not have it, or only delete markers of it
	KindSize    = "size"    // no version that is remembered has the size that its commit states
	KindHidden  = "hidden"  // a newer version or a delete marker lies over the oldest
	KindExtra   = "extra"   // a delete marker lies beneath it
	KindUnnamed = "unnamed" // no commit names it
	KindJunk    = "junk"    // no object of a vault has such a name
)

// Sighting is a name that is not as it should be.
type Sighting struct {
	// Object is what should be there; zero where Kind is KindUnnamed or KindJunk.
	Object Object
	// Name is what is there; nil where nothing is.
	Name *providers.Name
	// Kind is the worst of what holds, in the order of the constants.
	Kind string
}

// Bounds of an inventory.
const (
	// maxJunk is how many names that are none are told: whoever may create can make any number. All are counted.
	maxJunk = 1000
	// maxAsked is how many objects that the listing did not show are asked for by name, and not there either, before the listing's word is taken for others; and how many
	// may be there before the listing is worth nothing.
	maxAsked = 1000
	// ahead is how many sightings of a span wait until those before them were told.
	ahead = 4
)

// Inventory lists packs/ and meta/ and holds what is there against the objects. fn is called from this goroutine with each name that is not as it should be, packs first and
// each room in ascending order; names that are none are told up to a bound. An object that the listing does not show is asked for by name before it counts as missing, up to
// a bound. Objects that were stored after the census are unnamed. Where the listing did not come to its end, or fn failed, the numbers are of what was seen until then,
// Done is false and the error says why. Memory does not grow with the number of names. Canaries of the probe are passed over.
func (c *Census) Inventory(ctx context.Context, b *providers.Bucket, fn func(Sighting) error) (report.Inventory, error) {
	sight, err := b.Sight(ctx)
	if err != nil {
		return report.Inventory{}, err
	}
	spans := append(splits("packs/", false, c.counts.Packs), splits("meta/", true, c.counts.Pages)...)
	total, err := c.list(ctx, b, spans, fn)
	total.Versions, total.Done = string(sight), err == nil
	return total, err
}

// list lists the spans, several at a time, and calls fn in their order.
func (c *Census) list(ctx context.Context, b *providers.Bucket, spans []span, fn func(Sighting) error) (total report.Inventory, err error) {
	i := &inventory{c: c, b: b}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(workers)
	out := make([]chan Sighting, len(spans))
	for k := range out {
		out[k] = make(chan Sighting, ahead)
	}
	begun := make(chan struct{})
	go func() {
		defer close(begun)
		for k := range spans {
			g.Go(func() error {
				defer close(out[k])
				return spans[k].list(gctx, i, out[k])
			})
		}
	}()
	err = i.tell(out, fn)
	if err != nil {
		stop(err)
		for _, o := range out {
			for range o {
			}
		}
	}
	<-begun
	if gerr := g.Wait(); err == nil {
		err = gerr
	}
	for k := range spans {
		spans[k].count.addTo(&total)
	}
	return total, err
}

// inventory is a listing under way.
type inventory struct {
	c       *Census
	b       *providers.Bucket
	asked   atomic.Int64 // objects that were not there by name
	omitted atomic.Int64 // those that were, and that no listing showed
}

// tell calls fn with the sightings of all spans in order.
func (i *inventory) tell(out []chan Sighting, fn func(Sighting) error) error {
	junk := 0
	for _, o := range out {
		for s := range o {
			if s.Kind == KindJunk {
				if junk++; junk > maxJunk {
					continue
				}
			}
			if err := fn(s); err != nil {
				return err
			}
		}
	}
	return nil
}

// count has the numbers of a span.
type count report.Inventory

func (n *count) addTo(to *report.Inventory) {
	to.Present += n.Present
	to.Missing += n.Missing
	to.WrongSize += n.WrongSize
	to.Hidden += n.Hidden
	to.ExtraVersions += n.ExtraVersions
	to.Markers += n.Markers
	to.Unnamed += n.Unnamed
	to.UnnamedBytes = sum(to.UnnamedBytes, n.UnnamedBytes)
	to.Junk += n.Junk
}

// span is a part of a room: the names behind one name, up to another. Together the spans of a room have every name that can be in it, whatever it looks like.
type span struct {
	room        string
	meta        bool
	after, upto string // upto is the last name, "" for the end of the room
	first       record.Hash
	end         int // the first byte of the names of objects behind it, 256 for none
	count       count
}

// Spans of a large room are listed at a time. Each costs half a page of names more than one listing would, on average, so that there are at least so many pages for each.
const (
	pageNames    = 1000
	pagesOfASpan = 8
	mostSpans    = 256
)

// splits cuts a room that should have so many objects.
func splits(room string, meta bool, objects int64) []span {
	n := 1
	for n < mostSpans && objects/int64(2*n) >= pagesOfASpan*pageNames {
		n *= 2
	}
	out := make([]span, n)
	at := func(i int) string { return fmt.Sprintf("%s%02x", room, i*256/n) }
	for i := range out {
		out[i] = span{room: room, meta: meta, end: (i + 1) * 256 / n}
		if i > 0 {
			out[i].after, out[i].first[0] = at(i), byte(i*256/n)
		}
		if i < n-1 {
			out[i].upto = at(i + 1)
		}
	}
	return out
}
