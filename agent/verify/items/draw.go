package items

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"math/bits"
	"slices"
	"strings"

	"farshore/agent/record"
	"farshore/agent/vault"
	"farshore/agent/verify/live"
)

// How items are drawn. A snapshot's ranges have stacks of segments, and the root says how many records each segment has in each range: never fewer than it has, for a writer
// that follows the format. So a range has no more items than its stack has records. A draw is a position among all stacked records of all ranges: it falls into a range, with
// an index, and stands for the item of that index in the range's records in force, in their order, where there are so many; otherwise it stands for nothing. Each
// item has then the same chance, whatever was superseded or deleted, and each range that was drawn from is read once.

// place is a range of a newest snapshot.
type place struct {
	snap          *vault.Snapshot
	chain, source string
	kind          string // of the source
	rng           record.RootRange
	weight        int64 // records of its stack
	meta          int64 // stored bytes of its stack
	// err says that the snapshot's root can't be read; then weight is the number of items that the commit states.
	err error
}

// maxStackRecords bounds what a root is believed of one segment: more records do not fit into one.
const maxStackRecords = 1 << 24

// places lists the ranges of the newest complete snapshots.
func (r *run) places(ctx context.Context) ([]place, error) {
	var out []place
	for _, c := range r.o.Chains {
		k := newest(c)
		if k == nil {
			continue
		}
		snap, err := r.v.Snapshot(ctx, k)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, vault.ErrLocked) && !r.v.OpensAll():
			r.unchecked("items of a source whose snapshot no key at hand opens", k.Counts.Items, "no key opens it")
			r.short = r.short || r.o.Restore
			continue
		case err != nil && !r.isLoss(ctx, err) && !errors.Is(err, vault.ErrLocked):
			return nil, err
		case err != nil:
			r.expected += k.Counts.Items
			out = append(out, place{chain: c.ID, source: c.Source.Name, kind: c.Source.Kind, weight: min(max(1, k.Counts.Items), maxStackRecords), err: err})
			continue
		}
		r.expected += k.Counts.Items
		out = append(out, placesOf(c, snap)...)
	}
	return out, nil
}

// newest is the newest complete snapshot of a chain that is not retired, suspicious or not, or nil.
func newest(c *vault.Chain) *vault.Commit {
	if c.ID == "" || c.Retired() {
		return nil
	}
	for _, k := range slices.Backward(c.Commits) {
		if k.Complete && !k.Revoked && k.Root != nil {
			return k
		}
	}
	return nil
}

func placesOf(c *vault.Chain, snap *vault.Snapshot) (out []place) {
	for _, rng := range snap.Ranges() {
		p := place{snap: snap, chain: c.ID, source: c.Source.Name, kind: c.Source.Kind, rng: rng}
		for _, s := range rng.Segments {
			p.weight += min(int64(s.Records), maxStackRecords)
			p.meta += s.Size
		}
		if p.weight > 0 {
			out = append(out, p)
		}
	}
	return out
}

// hash is HMAC-SHA256 under the seed of the parts, with a zero byte behind each but the last.
func (r *run) hash(parts ...string) []byte {
	r.mac.Reset()
	r.mac.Write([]byte(strings.Join(parts, "\x00")))
	return r.mac.Sum(nil)
}

// position is the j-th draw among total.
func (r *run) position(j int, total int64) int64 {
	h := r.hash("items", string(binary.BigEndian.AppendUint64(nil, uint64(j))))
	hi, _ := bits.Mul64(binary.BigEndian.Uint64(h), uint64(total))
	return int64(hi)
}

// pick is one draw that stands for something.
type pick struct {
	j    int
	item *item
}

// item is something that was drawn: an item's record, or why there is none.
type item struct {
	place *place
	rec   *record.Record // what was captured, with its path
	err   error          // its record can't be read
	size  int64          // of the record, in memory
	once  outcome        // what came of it, once done
}

// maxHeld bounds the records that are held, as bytes of their lines.
const maxHeld = 64 << 20

// draw returns the picks in the order of the draw. Where all stacks together have no more records than are asked for, these are all items, each once, in random order, and all is true.
func (r *run) draw(ctx context.Context, places []place) (picks []pick, all bool, err error) {
	var total int64
	ends := make([]int64, len(places))
	for i := range places {
		total += places[i].weight
		ends[i] = total
	}
	switch {
	case total == 0:
		return nil, true, nil
	case total <= int64(r.o.Most):
		picks, ok, err := r.everything(ctx, places)
		if ok || err != nil {
			return picks, true, err
		}
	}
	picks, err = r.attempts(ctx, places, ends, total)
	return picks, false, err
}

// try is a draw before it is known what it stands for.
type try struct {
	j  int
	at int64 // index in its place
}

// attempts draws positions and looks up what they stand for.
func (r *run) attempts(ctx context.Context, places []place, ends []int64, total int64) ([]pick, error) {
	n := r.attemptsFor(total)
	tries := map[int][]try{}
	var meta int64
	for j := range n {
		pos := r.position(j, total)
		i, found := slices.BinarySearch(ends, pos)
		if found {
			i++ // pos is the first of the next place
		}
		if _, known := tries[i]; !known {
			if meta += places[i].meta; j > 0 && r.o.Bytes > 0 && meta > max(r.o.Bytes, leastMeta) {
				r.cut("items that were not drawn", "their records lie in segments beyond what may be read")
				break
			}
		}
		tries[i] = append(tries[i], try{j, pos - (ends[i] - places[i].weight)})
	}
	limit, held := math.MaxInt, int64(0)
	var picks []pick
	for i := range places {
		if len(tries[i]) == 0 {
			continue
		}
		found, err := r.lookUp(ctx, &places[i], tries[i])
		if err != nil {
			return nil, err
		}
		picks = append(picks, found...)
		picks, held, limit = trim(picks, held+sizes(found), limit)
	}
	slices.SortFunc(picks, func(a, b pick) int { return cmp.Compare(a.j, b.j) })
	if len(picks) > r.o.Most {
		picks = picks[:r.o.Most]
	} else if limit < math.MaxInt {
		r.cut("items that were not drawn", "the records of those that were take too much memory")
	}
	return picks, nil
}

// leastMeta is how much of segments may be read whatever the budget.
const leastMeta = 64 << 20

// attemptsFor is how many positions are drawn for as many items as are wanted: more, the fewer of the stacked records are in force.
func (r *run) attemptsFor(total int64) int {
	share := float64(min(r.expected, total)) / float64(total)
	n := float64(r.o.Most)/max(share, 1.0/16)*1.2 + 20
	return int(min(n, 16*float64(r.o.Most)+20))
}

func sizes(picks []pick) (n int64) {
	seen := map[*item]bool{}
	for _, p := range picks {
		if !seen[p.item] {
			seen[p.item] = true
			n += p.item.size
		}
	}
	return n
}

// trim leaves out the last draws where the records held are too many: what is left is a run from the beginning of the draw.
func trim(picks []pick, held int64, limit int) ([]pick, int64, int) {
	if held > maxHeld {
		slices.SortFunc(picks, func(a, b pick) int { return cmp.Compare(a.j, b.j) })
		for held = sizes(picks); held > maxHeld/2 && len(picks) > 1; held = sizes(picks) {
			picks = picks[:(len(picks)+1)/2]
		}
		limit = min(limit, picks[len(picks)-1].j)
	}
	return slices.DeleteFunc(picks, func(p pick) bool { return p.j > limit }), held, limit
}

// lookUp reads a place's records and returns what the draws stand for. Where they can't all be read, the draws beyond stand for items that are lost: some of them may
// have stood for nothing, so that this errs on the safe side.
func (r *run) lookUp(ctx context.Context, p *place, tries []try) ([]pick, error) {
	slices.SortFunc(tries, func(a, b try) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.j, b.j)) })
	var picks []pick
	next := 0
	n, err := r.inForce(ctx, p, func(i int64, rec *record.Record) {
		var it *item
		for ; next < len(tries) && tries[next].at == i; next++ {
			if good := live.Good(rec); good != nil {
				if it == nil {
					it = &item{place: p, rec: good, size: good.LineSize()}
				}
				picks = append(picks, pick{tries[next].j, it})
			}
		}
	})
	if err != nil && !r.isLoss(ctx, err) && !errors.Is(err, vault.ErrLocked) {
		return nil, err
	}
	if err != nil {
		it := &item{place: p, err: err}
		for ; next < len(tries); next++ {
			picks = append(picks, pick{tries[next].j, it})
		}
	}
	r.uncounted += max(0, n-p.weight)
	return picks, nil
}

// inForce calls fn with each record of a place that is in force, in order, and returns how many there are.
func (r *run) inForce(ctx context.Context, p *place, fn func(int64, *record.Record)) (n int64, err error) {
	if p.err != nil {
		return 0, p.err
	}
	for rec, err := range p.snap.Records(ctx, p.rng.From, p.rng.To) {
		if err != nil {
			return n, cmp.Or(ctx.Err(), err)
		}
		fn(n, rec)
		n++
	}
	return n, ctx.Err()
}

// everything returns all items in random order; false where they would take too much memory. Where the records of a place can't all be read, each that the root counts
// beyond is a lost item.
func (r *run) everything(ctx context.Context, places []place) ([]pick, bool, error) {
	type ranked struct {
		*item
		rank []byte
	}
	var all []ranked
	var held, uncounted int64
	for i := range places {
		p := &places[i]
		n, err := r.inForce(ctx, p, func(n int64, rec *record.Record) {
			if good := live.Good(rec); good != nil && n < p.weight && held <= maxHeld {
				it := &item{place: p, rec: good, size: good.LineSize()}
				held += it.size
				all = append(all, ranked{it, r.hash("items", p.chain, good.Path, good.Version, good.Kind)})
			}
		})
		if err != nil && !r.isLoss(ctx, err) && !errors.Is(err, vault.ErrLocked) {
			return nil, false, err
		}
		if held > maxHeld {
			return nil, false, nil
		}
		for k := n; err != nil && k < max(p.weight, n+1); k++ {
			all = append(all, ranked{&item{place: p, err: err}, r.hash("items", p.chain, p.rng.From, string(binary.BigEndian.AppendUint64(nil, uint64(k))))})
		}
		uncounted += max(0, n-p.weight)
	}
	r.uncounted = uncounted
	slices.SortFunc(all, func(a, b ranked) int { return bytes.Compare(a.rank, b.rank) })
	picks := make([]pick, len(all))
	for i := range all {
		picks[i] = pick{i, all[i].item}
	}
	return picks, true, nil
}
