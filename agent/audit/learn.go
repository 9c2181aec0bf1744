package audit

import (
	"cmp"
	"slices"

	"farshore/agent/report"
	"farshore/agent/vault"
	"farshore/agent/verify"
	"farshore/agent/verify/census"
	"farshore/providers"
)

// learn takes what reading an object for the first time showed.
func (r *run) learn(o census.Object, a answer) {
	path := o.Path()
	for _, f := range a.e.Findings {
		r.notes.add(f)
	}
	r.tell(o, a)
	if a.outcome == unread {
		r.reads.unread++
		r.withhold(o, a)
		return
	}
	r.reads.dealt++
	if a.outcome == intact && !r.misstated(o) {
		r.reads.right++
		r.reads.bytes += o.Size
	}
	if a.e.State != verify.Absent {
		r.gave(o.Meta)
	}
	if a.outcome == intact {
		r.found.whole(path)
		return
	}
	r.damaged(path, a.kind, a.e.Why)
}

// tell passes on what came of an object, with the words in which it is noted.
func (r *run) tell(o census.Object, a answer) {
	if r.reads.tell == nil {
		return
	}
	e := a.e
	switch {
	case a.outcome == unread && a.kind == "":
		e.State = verify.Unread
	case a.outcome == unread:
		e.Why = withheldWords(a)
	case e.State == verify.Absent && r.found.list[o.Path()] != nil:
		e.Why = missingWords
	}
	if e.State != verify.Intact && e.State != verify.Unread {
		r.reads.told++
	}
	r.reads.tell(verify.Found{Object: o.Name, Meta: o.Meta, Examined: e})
}

// missingWords say what is wrong with an object that the listing does not show.
const missingWords = "it is missing; a commit names it"

func withheldWords(a answer) string {
	return "the store lists it and does not give it: " + providers.KindOf(a.e.Err).String()
}

// damaged notes a damaged object, and says so once. What a whole listing has shown is not counted again where it is counted alone.
func (r *run) damaged(path, kind, why string) {
	listed := r.a.Inventory.Done && (kind == report.DamageMissing || kind == report.DamageSize)
	if listed && r.found.full() && r.found.list[path] == nil {
		return
	}
	if r.found.add(path, kind) {
		r.notes.note(vault.Damage, path, "%s", why)
	}
}

// withhold notes an object that the store does not give. As long as it gave none of a room, it may be that the reader may not read there: then it is no damage.
func (r *run) withhold(o census.Object, a answer) {
	q, room := r.reads, index(o.Meta)
	if a.kind == "" {
		return // too slow, perhaps by the line
	}
	w := withheld{o.Path(), o.Meta, withheldWords(a)}
	if q.gave[room] {
		r.damaged(w.path, report.DamageWithheld, w.why)
		return
	}
	q.refusal[room] = cmp.Or(q.refusal[room], a.e.Err)
	q.refused[room]++
	if len(q.withheld) < report.MaxDamaged {
		q.withheld = append(q.withheld, w)
	}
}

// gave notes that the store gave an object of a room: what it did not give of it until then, it withholds.
func (r *run) gave(meta bool) {
	q, room := r.reads, index(meta)
	if q.gave[room] {
		return
	}
	q.gave[room], q.refused[room], q.refusal[room] = true, 0, nil
	for _, w := range q.withheld {
		if w.meta == meta {
			r.damaged(w.path, report.DamageWithheld, w.why)
		}
	}
	q.withheld = slices.DeleteFunc(q.withheld, func(w withheld) bool { return w.meta == meta })
}
