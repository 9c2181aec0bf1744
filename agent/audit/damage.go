package audit

import (
	"cmp"
	"iter"
	"slices"
	"time"

	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/verify/census"
)

// damages are the objects that are known to be damaged: of this audit, and those of earlier ones that nobody found whole since. At most report.MaxDamaged are listed; what the signer's
// own last audit listed has its place, because his ledger rests on it: it counts what lies between as verified. Not safe for concurrent use.
type damages struct {
	list  map[string]*damaged
	spare int // of the list, that only another signer's audit has and this one did not find: they make room
	more  int64
}

type damaged struct {
	report.Damage
	fresh bool // this audit found it
	own   bool // the signer's last audit had it
	whole bool // this audit read it whole, and it is what it should be
}

// newDamages begins with what is known from earlier audits: the signer's last one, and the newest of each other signer, of which his own last one could not know yet: what it knew
// it has on its list, or found to be whole. What they say is not believed beyond that these objects are to be looked at. So nothing is taken over that a look does not disprove from
// who can't know it, which is that an object is sealed wrongly: an agent has no key to find that; and nothing that is said in the future.
func newDamages(signer string, shelf *report.Shelf, last *report.Audit, now time.Time) *damages {
	d := &damages{list: map[string]*damaged{}}
	known := time.Time{}
	if last != nil {
		d.earlier(last, nil)
		known = last.Started.Add(-headSlack)
	}
	for _, e := range shelf.Entries { // newest first
		if e.Audit == nil || e.Signer == signer || !e.Time.After(known) || e.Time.After(now.Add(maxBehind)) {
			continue
		}
		if newest := shelf.LastAudit(e.Signer); newest != nil && newest.Seq > e.Seq {
			continue
		} else if newest != nil && newest.Seq == e.Seq {
			e = newest // whole
		}
		d.earlier(e.Audit, e)
	}
	return d
}

// earlier takes what an audit lists: another signer's, which is by, or the signer's own.
func (d *damages) earlier(a *report.Audit, by *report.Entry) {
	for _, x := range a.Damaged {
		if _, _, ok := parse(x.Object); !ok || d.list[x.Object] != nil || len(d.list) >= report.MaxDamaged {
			continue
		}
		if by != nil && by.Role == report.RoleAgent && stays(x.Kind) {
			continue
		}
		if by != nil {
			d.spare++
		}
		d.list[x.Object] = &damaged{Damage: report.Damage{Object: x.Object, Kind: x.Kind, Since: x.Since, Items: -1, Remedy: report.RemedyUnknown}, own: by == nil}
	}
}

// stays reports whether damage of the kind is not disproved by right bytes.
func stays(kind string) bool { return kind == report.DamageSeal || kind == report.DamageContent }

// parse reads the name of a pack or page.
func parse(object string) (name record.Hash, meta, ok bool) {
	if name, err := record.ParsePackName(object); err == nil {
		return name, false, true
	}
	name, err := record.ParseMetaName(object)
	return name, true, err == nil
}

// bad are the names that the draw counts as never verified and looks at first: those of the signer's last audit, so that whoever redraws it needs no other.
func bad(last *report.Audit) map[record.Hash]bool {
	out := map[record.Hash]bool{}
	if last != nil {
		for _, x := range last.Damaged {
			if name, _, ok := parse(x.Object); ok {
				out[name] = true
			}
		}
	}
	return out
}

// add notes an object that this audit found damaged, and reports whether that is new. Since is filled in at the end.
func (d *damages) add(object, kind string) bool {
	if x := d.list[object]; x != nil {
		again := x.fresh
		// What a listing or the bytes show comes before what earlier ones said.
		if !x.fresh && !x.own {
			d.spare--
		}
		if !x.fresh || x.Kind == report.DamageContent {
			x.Kind = kind
		}
		x.fresh, x.whole = true, false
		return !again
	}
	if len(d.list) >= report.MaxDamaged && !d.makeRoom() {
		d.more++
		return true
	}
	d.list[object] = &damaged{Damage: report.Damage{Object: object, Kind: kind, Items: -1, Remedy: report.RemedyUnknown}, fresh: true}
	return true
}

// full reports whether another object is only counted.
func (d *damages) full() bool { return len(d.list) >= report.MaxDamaged && d.spare == 0 }

// makeRoom drops one that only another signer's audit has.
func (d *damages) makeRoom() bool {
	if d.spare == 0 {
		return false
	}
	for object, x := range d.list {
		if !x.fresh && !x.own {
			delete(d.list, object)
			d.spare--
			break
		}
	}
	return true
}

// whole notes an object that this audit read and found to be what it should be. Damage that right bytes do not disprove stays.
func (d *damages) whole(object string) {
	x := d.list[object]
	if x == nil || x.fresh || stays(x.Kind) {
		return
	}
	x.whole = true
}

// result lists what is damaged at the end, in the order of names, and what was damaged and is whole now. named reports whether any commit still names an object.
func (d *damages) result(end time.Time, named map[string]bool) (list []report.Damage, mended []report.Damage) {
	for object, x := range d.list {
		switch {
		case !named[object]:
			continue
		case x.whole:
			mended = append(mended, x.Damage)
			continue
		}
		if x.Since.IsZero() || x.Since.After(end) {
			x.Since = end
		}
		list = append(list, x.Damage)
	}
	slices.SortFunc(list, byObject)
	slices.SortFunc(mended, byObject)
	return list, mended
}

func byObject(a, b report.Damage) int { return cmp.Compare(a.Object, b.Object) }

// named returns which of the objects on the list the census has; with none on the list it reads nothing.
func (d *damages) named(objects iter.Seq2[census.Object, error]) (map[string]bool, error) {
	if len(d.list) == 0 {
		return nil, nil
	}
	wanted := map[place]string{}
	for object := range d.list {
		name, meta, _ := parse(object)
		wanted[place{name, meta}] = object
	}
	out := map[string]bool{}
	for o, err := range objects {
		if err != nil {
			return nil, err
		}
		if object, ok := wanted[placeOf(o)]; ok {
			out[object] = true
		}
	}
	return out, nil
}
