package audit

import (
	"slices"

	"farshore/agent/report"
	"farshore/providers"
)

// verdict says in a word what came of an audit.
func verdict(a *report.Audit, done progress, n *notes) string {
	return judge(a, n.damage, n.tampered, done.left > 0 || done.items && !done.full)
}

// judge says it from the numbers of an audit, and from what they do not have: whether there were findings of damage and of tampering, and whether something was left out that no
// number counts. Damage comes before tampering: what something lies over, and is whole beneath, can be restored.
func judge(a *report.Audit, damage, tampered, left bool) string {
	failed := slices.ContainsFunc(a.Parts, func(p report.Part) bool { return p.Failed > 0 })
	rolled := slices.ContainsFunc(a.Sources, func(s report.SourceState) bool { return s.RolledBack })
	switch {
	case len(a.Damaged) > 0, a.MoreDamaged > 0, failed, a.Inventory.Missing > 0, a.Inventory.WrongSize > 0, damage, a.Items.Failed > 0, a.Items.Differ > 0, a.Repos.Problems > 0,
		a.Drill != nil && a.Drill.Failed > 0:
		return report.VerdictDamaged
	case tampered, rolled:
		return report.VerdictTampered
	case left || short(a):
		return report.VerdictIncomplete
	}
	return report.VerdictIntact
}

// short reports whether something was not checked that was to be checked.
func short(a *report.Audit) bool { return a.Short() || a.Items.Locked > 0 || a.Repos.Unchecked > 0 }

// packsDenied reports whether all that was left out is packs that the credential may not read, as a writer's may not. The parts that draw packs are judged by that alone.
func (r *run) packsDenied() bool {
	if r.reads.refused[0] == 0 || r.reads.gave[0] || providers.KindOf(r.reads.refusal[0]) != providers.Denied || r.done.left > 0 || r.done.items && !r.done.full {
		return false
	}
	rest := *r.a
	rest.Parts = slices.DeleteFunc(slices.Clone(rest.Parts), func(p report.Part) bool { return p.Part != report.PartPages })
	return !short(&rest)
}

// unchecked says what was not checked, as numbers.
func (r *run) unchecked() (out []report.NotChecked) {
	a := r.a
	out = undone(a)
	add := func(what string, count int64, why string) { out = more(out, what, count, why) }
	add(whatChains, r.done.left, "there are more than a report can list, which no sources of yours make: have the owner revoke what the key signed that began them")
	over := r.over.more + r.over.left
	if a.Mode == report.ModeFull && r.done.full {
		over = 0 // what did not fit into the list was looked into all the same
	}
	add("repositories that were drawn to be checked", a.Repos.Unchecked, "this machine could not restore or check them, or no key at hand opens them: the findings say which")
	add("names that something lies over or beneath", over, "more than this run could look into: whether the right bytes are among them is not known")
	r.uncheckedObjects(add, a.Population.Packs+a.Population.Pages)
	r.uncheckedItems(add)
	return out
}

// What was not checked, where more than the words of it rests on them.
const (
	whatChains  = "chains"
	whatObjects = "objects that were not read whole"
	whatItems   = "items that were not put together"
)

// more adds what was not checked, where there is any of it.
func more(list []report.NotChecked, what string, count int64, why string) []report.NotChecked {
	if count == 0 {
		return list
	}
	return append(list, report.NotChecked{What: what, Count: count, Why: why})
}

// undone says what was not checked as far as it follows from the audit's other numbers, so that nobody can leave it out.
func undone(a *report.Audit) (out []report.NotChecked) {
	add := func(what string, count int64, why string) { out = more(out, what, count, why) }
	all := a.Population.Packs + a.Population.Pages
	if !a.Inventory.Done {
		add("objects in the store's listing", max(0, all-a.Inventory.Present-a.Inventory.Missing), "the listing did not come to its end")
	}
	if a.Inventory.Versions == "denied" {
		add("versions of names", -1, "the credential may not list them: what lies over or beneath an object is not known")
	}
	for _, p := range a.Parts {
		add("drawn objects of part "+p.Part, p.Planned-p.Checked, "the run ended before")
	}
	if l := a.Locks; l == nil {
		add("locks", -1, "the store can't be asked for them, or was not")
	} else {
		add("locks", max(0, l.Needed-l.Asked), "a sample was asked for")
		add("locks that were asked for", l.Unknown, "the store did not tell, or does not have the object as it was stored")
	}
	if a.Keys.DrillOpened+a.Keys.DrillFailed == 0 {
		add("headers of packs", a.Population.Packs, "no header drill is on record: that the recovery key opens the packs was not tried, other than by items that were restored")
	}
	return out
}

// uncheckedObjects counts the objects that were not read.
func (r *run) uncheckedObjects(add func(string, int64, string), all int64) {
	for room, what := range []string{"packs", "pages"} {
		if n := r.reads.refused[room]; n > 0 && !r.reads.gave[room] {
			add(what+" that were asked for", int64(n), "the credential may not read them, or the store gives none of them")
		}
	}
	add(whatObjects, all-r.reads.dealt, "not drawn, not reached, or not given by the store, in this run")
}

// uncheckedItems counts the items and sources that were not put together and compared.
func (r *run) uncheckedItems(add func(string, int64, string)) {
	a := r.a
	why := "not drawn, or not reached; one that was drawn twice counts twice"
	switch {
	case !r.v.CanOpen():
		why = "no key at hand opens them"
	case !r.o.Recovery:
		why = "no recovery identity at hand: only a comparison with the source was possible"
	case r.o.Source != "":
		why = "not drawn, not reached, or not of the source that was asked for"
	}
	left := apart(a)
	if a.Mode == report.ModeFull && a.Items.Tried && r.done.full && r.o.Source == "" {
		left, why = a.Items.Locked, "no key at hand opens them"
	}
	add(whatItems, left, why)
	missing := int64(0)
	for _, c := range r.chains {
		if k, _ := newest(c); k != nil && !c.Retired() && !(r.done.answered[c.Source.Name] && slices.Contains(r.chosen(), c)) {
			missing++
		}
	}
	why = "they are not at hand here, they did not answer, or nothing of them was drawn or reached"
	if a.Mode == report.ModeFull {
		why = "they are not at hand here, they did not answer or were not reached, or they hold objects: those only a sample compares"
	}
	add("sources that were not compared", missing, why)
}

// apart is how many items of the newest snapshots were not put together; one that was drawn twice counts twice.
func apart(a *report.Audit) int64 { return max(0, a.Population.Items-a.Items.Restored-a.Items.Failed) }
