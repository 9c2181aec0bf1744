package impact

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/vault"
	"farshore/agent/verify/live"
)

// scan is a snapshot whose records are read, and the damages of which it is the newest that needs them.
type scan struct {
	chain   *vault.Chain
	commit  *vault.Commit
	damages set
}

// scans lists what to read, newest commits first.
func (f *fill) scans() []scan {
	by := map[*vault.Commit]*scan{}
	for i := range f.uses {
		for _, s := range f.uses[i].chains {
			if by[s.newest] == nil {
				by[s.newest] = &scan{chain: s.chain, commit: s.newest}
			}
			by[s.newest].damages = append(by[s.newest].damages, int32(i))
		}
	}
	out := make([]scan, 0, len(by))
	for _, s := range by {
		out = append(out, *s)
	}
	slices.SortFunc(out, func(a, b scan) int {
		return cmp.Or(b.commit.Time.Compare(a.commit.Time), cmp.Compare(a.commit.Chain, b.commit.Chain), cmp.Compare(b.commit.Seq, a.commit.Seq))
	})
	return out
}

// rest finds the items that rest on each damage, in the newest snapshot of each chain that needs it.
func (f *fill) rest(ctx context.Context) error {
	for i, s := range f.scans() {
		if i >= maxScanned {
			f.notKnown(s.damages)
			continue
		}
		if err := f.scan(ctx, s); err != nil {
			f.notKnown(s.damages)
			return err
		}
	}
	return nil
}

func (f *fill) notKnown(damages set) {
	for _, i := range damages {
		f.uses[i].unknown = true
	}
}

func (f *fill) scan(ctx context.Context, s scan) error {
	wanted := builder{}
	for _, i := range s.damages {
		if f.holdsItems(i) {
			wanted[i] = true
		} else if role := f.needs.roles[i]; role == record.LiveRoot {
			f.uses[i].items += s.commit.Counts.Items
			f.uses[i].about = true
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	snap, err := f.v.Snapshot(ctx, s.commit)
	if err != nil {
		f.notKnown(wanted.set())
		return f.passOver(ctx, err)
	}
	for _, rng := range snap.Ranges() {
		if err := f.scanRange(ctx, snap, rng, s.chain, wanted); err != nil {
			return err
		}
	}
	return f.past(ctx, snap, s.chain, wanted)
}

// past finds what rests on those of the damages on which nothing of this snapshot does: earlier versions of items, which segments still have beneath newer ones.
func (f *fill) past(ctx context.Context, snap *vault.Snapshot, c *vault.Chain, wanted builder) error {
	none := builder{}
	for i := range wanted {
		if u := &f.uses[i]; u.items == 0 && !u.unknown {
			none[i] = true
		}
	}
	for _, ref := range snap.Segments() {
		if !slices.ContainsFunc(f.needs.segments[ref.Name], func(i int32) bool { return none[i] }) {
			continue
		}
		for rec, err := range f.v.Segment(ctx, ref) {
			if err != nil {
				f.notKnown(none.set())
				return f.passOver(ctx, err)
			}
			hits, _, err := f.touched(ctx, rec, none)
			if err != nil {
				return err
			}
			for _, i := range hits {
				f.uses[i].past = true
				f.add(i, c, rec)
			}
		}
	}
	return nil
}

// holdsItems reports whether records tell which items rest on the damage.
func (f *fill) holdsItems(i int32) bool {
	switch f.needs.roles[i] {
	case record.LiveRoot, record.LiveTable, record.LiveKeys, record.LiveState, roleList:
		return false
	}
	return true
}

// passOver returns err unless it is of what is lost or locked, which is told otherwise.
func (f *fill) passOver(ctx context.Context, err error) error {
	if ctx.Err() == nil && (errors.Is(err, vault.ErrLocked) || f.needs.lost(ctx, err)) {
		return nil
	}
	return cmp.Or(ctx.Err(), err)
}

// scanRange reads the records of one range, where a segment of its stack names one of the wanted.
func (f *fill) scanRange(ctx context.Context, snap *vault.Snapshot, rng record.RootRange, c *vault.Chain, wanted builder) error {
	here, gone := builder{}, false
	for _, s := range rng.Segments {
		if i, ok := f.needs.meta[s.Name]; ok && wanted[i] {
			f.uses[i].items += int64(s.Records)
			f.uses[i].about = true
			gone = true
		}
		for _, i := range f.needs.segments[s.Name] {
			if wanted[i] {
				here[i] = true
			}
		}
	}
	if len(here) == 0 {
		return nil
	}
	if gone {
		f.notKnown(here.set())
		return nil
	}
	for rec, err := range snap.Records(ctx, rng.From, rng.To) {
		if err != nil {
			f.notKnown(here.set())
			return f.passOver(ctx, err)
		}
		hits, whole, err := f.touched(ctx, rec, here)
		if err != nil {
			return err
		}
		if !whole {
			f.notKnown(f.packsIn(here))
		}
		for _, i := range hits {
			f.add(i, c, rec)
		}
	}
	return nil
}

// packsIn are those of the damages that are packs.
func (f *fill) packsIn(here builder) set {
	b := builder{}
	for _, i := range f.needs.packs {
		if here[i] {
			b[i] = true
		}
	}
	return b.set()
}

// touched returns which of the damages in here the record's parts rest on, and whether all its extents could be read.
func (f *fill) touched(ctx context.Context, rec *record.Record, here builder) (hits set, whole bool, err error) {
	b, whole := builder{}, true
	take := func(i int32, ok bool) {
		if ok && here[i] {
			b[i] = true
		}
	}
	for r := rec; r != nil; r = r.Last {
		for k := range r.Parts {
			p := &r.Parts[k]
			for _, page := range slices.Concat(p.Pages, p.Lines) {
				i, ok := f.needs.meta[page.Name]
				take(i, ok)
			}
			err := f.v.Extents(ctx, p, func(e record.Extent) error {
				i, ok := f.needs.packs[e.Pack.Name]
				take(i, ok)
				return nil
			})
			if err != nil {
				if err := f.passOver(ctx, err); err != nil {
					return nil, false, err
				}
				whole = false // what is behind a page that can't be read is not known
			}
		}
	}
	return b.set(), whole, nil
}

// add counts an item, names it while there is room, and keeps it to be asked about.
func (f *fill) add(i int32, c *vault.Chain, rec *record.Record) {
	u := &f.uses[i]
	u.items++
	if len(u.names) < report.MaxRefs {
		if n := f.o.Name(c.Source.Name, rec.Path); n > 0 && !slices.Contains(u.names, n) {
			u.names = append(u.names, n)
		}
	}
	good := live.Good(rec)
	if good == nil || len(u.looked) >= report.MaxRefs || f.looks >= maxLooks {
		return
	}
	f.looks++
	at := slices.IndexFunc(u.chains, func(s span) bool { return s.chain == c })
	u.looked = append(u.looked, look{rec: good, span: u.chains[at]})
}
