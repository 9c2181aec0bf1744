package audit

import (
	"slices"
	"time"

	"farshore/agent/report"
	"farshore/agent/verify/bound"
)

// liesOfItems are about the items that were put together, and those that the commits state.
func liesOfItems() []lie {
	restored := func(a *report.Audit, n int64) {
		a.Items = report.ItemCounts{Tried: true, Drawn: n, Restored: n}
	}
	return []lie{
		{"more items than the snapshots hold", sampled, func(_ *run, a *report.Audit) { a.Population.Items++ }, "how many items"},
		{"fewer bytes of items", sampled, func(_ *run, a *report.Audit) { a.Population.ItemBytes-- }, "how many items"},
		{"more read back when it was written", sampled, func(_ *run, a *report.Audit) {
			a.Written.Items, a.Written.ItemsRead = a.Written.Items+9, a.Written.ItemsRead+9
		}, "read back"},
		{"a bound of items of which none was tried", sampled, func(_ *run, a *report.Audit) {
			a.Bounds = append(a.Bounds, bound.Of(report.UnitItems, 0, 50, 0, true))
		}, "of which none was tried"},
		{"no bound of items", sampled, func(_ *run, a *report.Audit) { restored(a, 5) }, "bound of items is left out"},
		{"a better bound of items", sampled, func(_ *run, a *report.Audit) {
			restored(a, 5)
			a.Bounds = append(a.Bounds, report.Bound{Unit: report.UnitItems, Sampled: 5, Method: report.MethodBinomial, Upper95: 0.01, Upper99: 0.02})
		}, "bound of items"},
		{"a bound of more items than were drawn", sampled, func(_ *run, a *report.Audit) {
			restored(a, 5)
			a.Bounds = append(a.Bounds, bound.Of(report.UnitItems, 0, 50, 0, true))
		}, "bound of items"},
		{"locked items that the bound leaves out", sampled, func(_ *run, a *report.Audit) {
			restored(a, 5)
			a.Items.Drawn, a.Items.Locked, a.Verdict = 7, 2, report.VerdictIncomplete
			a.Bounds = append(a.Bounds, bound.Of(report.UnitItems, 0, 7, 0, true))
		}, "bound of items"},
		{"items that were not put together left out", sampled, func(_ *run, a *report.Audit) {
			a.NotChecked = slices.DeleteFunc(a.NotChecked, func(n report.NotChecked) bool { return n.What == whatItems })
		}, "of items that were not put together"},
	}
}

// liesOfLocks are about what the store said of locks.
func liesOfLocks() []lie {
	of := func(change func(l *report.LockState, a *report.Audit)) func(*run, *report.Audit) {
		return func(_ *run, a *report.Audit) {
			a.Locks = &report.LockState{Needed: 10, Asked: 10, Locked: 10, First: a.Started.Add(time.Hour), FirstObject: "vault/1-x"}
			a.NotChecked = slices.DeleteFunc(a.NotChecked, func(n report.NotChecked) bool { return n.What == "locks" })
			change(a.Locks, a)
		}
	}
	return []lie{
		{"fewer locks than were asked for", sampled, of(func(l *report.LockState, _ *report.Audit) { l.Locked = 9 }), "it says of 9"},
		{"objects without a lock left out", sampled, of(func(l *report.LockState, _ *report.Audit) { l.Needed = 12 }), "which is no estimate"},
		{"a sample of locks, and nothing of the rest", sampled, of(func(l *report.LockState, _ *report.Audit) { l.Needed, l.Estimated = 12, true }), "of locks it says 0"},
		{"unknown locks, and nothing of them", sampled, of(func(l *report.LockState, _ *report.Audit) { l.Locked, l.Unknown = 9, 1 }), "of locks that were asked for it says 0"},
		{"locks without an end", sampled, of(func(l *report.LockState, _ *report.Audit) { l.First, l.FirstObject = time.Time{}, "" }), "of none it says when it ends"},
		{"an end of no lock", sampled, of(func(l *report.LockState, _ *report.Audit) { l.Locked, l.Liftable = 0, 10 }), "none binds everybody"},
		{"an end of no object", sampled, of(func(l *report.LockState, _ *report.Audit) { l.FirstObject = "" }), "without its end"},
		{"a lock that was over", sampled, of(func(l *report.LockState, a *report.Audit) { l.First = a.Started }), "none is over"},
		{"locks that nobody was asked for", sampled, func(_ *run, a *report.Audit) { a.NotChecked = nil }, "of locks it says 0"},
	}
}

// liesOfVerdict are about the verdict, and about what it rests on.
func liesOfVerdict() []lie {
	return []lie{
		{"intact, and items are locked", sampled, func(_ *run, a *report.Audit) { a.Items.Drawn, a.Items.Locked = 1, 1 }, "the verdict"},
		{"intact, and a source has other bytes", sampled, func(_ *run, a *report.Audit) { a.Items.Compared, a.Items.Differ = 1, 1 }, "the verdict"},
		{"intact, and repositories were not checked", sampled, func(_ *run, a *report.Audit) { a.Repos.Unchecked = 1 }, "the verdict"},
		{"intact, and a chain was rolled back", sampled, func(_ *run, a *report.Audit) { a.Sources[0].RolledBack = true }, "the verdict"},
		{"intact, and chains were left out", sampled, func(_ *run, a *report.Audit) {
			a.NotChecked = append(a.NotChecked, report.NotChecked{What: whatChains, Count: 3, Why: "no room"})
		}, "the verdict"},
		{"damaged, and nothing is", sampled, func(_ *run, a *report.Audit) { a.Verdict = report.VerdictDamaged }, "the verdict"},
		{"tampered, and nothing is", sampled, func(_ *run, a *report.Audit) { a.Verdict = report.VerdictTampered }, "the verdict"},
		{"incomplete, and nothing is missing", sampled, func(_ *run, a *report.Audit) { a.Verdict = report.VerdictIncomplete }, "the verdict"},
		{"tampered, and damaged", hurt, func(_ *run, a *report.Audit) { a.Verdict = report.VerdictTampered }, "the verdict"},
		{"damage that no list has", hurt, func(_ *run, a *report.Audit) { a.Damaged = nil }, "1 of part packs failed"},
		{"missing objects that no list has", sampled, func(_ *run, a *report.Audit) {
			a.Inventory.Missing, a.Inventory.Present, a.Verdict = 2, a.Inventory.Present-2, report.VerdictDamaged
		}, "2 are missing"},
		{"objects of another size that no list has", sampled, func(_ *run, a *report.Audit) {
			a.Inventory.WrongSize, a.Verdict = 2, report.VerdictDamaged
		}, "2 have another size"},
	}
}

// liesOfBytes are about how much was read, and how much of it is damaged.
func liesOfBytes() []lie {
	bytes := func(a *report.Audit) *report.Bound {
		return &a.Bounds[slices.IndexFunc(a.Bounds, func(b report.Bound) bool { return b.Unit == report.UnitBytes })]
	}
	lost := func(change int64) func(*run, *report.Audit) {
		return func(_ *run, a *report.Audit) {
			b := bytes(a)
			*b = bound.Of(b.Unit, b.Population, b.Sampled, b.Failed+change, false)
		}
	}
	return []lie{
		{"fewer bytes damaged", hurt, lost(-1), "bytes of the packs that are not whole"},
		{"more bytes damaged", hurt, lost(1), "bytes of the packs that are not whole"},
		{"a better bound of the bytes damaged", hurt, func(_ *run, a *report.Audit) { bytes(a).Upper99 += 0.01 }, "bounds"},
		{"a bound of positions where every byte was read", hurt, func(_ *run, a *report.Audit) {
			p := partOf(a, report.PartBytes)
			*bytes(a) = bound.Of(report.UnitBytes, a.Population.PackBytes, p.Checked, p.Failed+p.Unread, true)
		}, "bounds"},
		{"no byte that was not given", kept, func(_ *run, a *report.Audit) {
			b := bytes(a)
			*b = bound.Of(b.Unit, b.Population, b.Sampled, 0, false)
		}, "are between"},
		{"all bytes not given, of one pack", kept, func(_ *run, a *report.Audit) {
			b := bytes(a)
			*b = bound.Of(b.Unit, b.Population, b.Sampled, b.Population, false)
		}, "are between"},
		{"a census of bytes, of a sample", sampled, func(_ *run, a *report.Audit) {
			*bytes(a) = bound.Of(report.UnitBytes, a.Population.PackBytes, a.Population.PackBytes, 0, false)
		}, "bounds"},
		{"fewer bytes read than all", whole, func(_ *run, a *report.Audit) { a.ReadObjectBytes-- }, "read_object_bytes"},
		{"more read whole than was", hurt, func(_ *run, a *report.Audit) { a.ReadObjects++ }, "read_objects"},
		{"objects not read whole where all were", whole, func(_ *run, a *report.Audit) {
			a.NotChecked = append(a.NotChecked, report.NotChecked{What: whatObjects, Count: 1, Why: "not drawn"})
		}, "1 were not read whole"},
		{"objects not given left out", kept, func(_ *run, a *report.Audit) {
			a.NotChecked = slices.DeleteFunc(a.NotChecked, func(n report.NotChecked) bool { return n.What == whatObjects })
		}, "0 were not read whole"},
		{"a listing that was cut short, and nothing of the rest", sampled, func(_ *run, a *report.Audit) {
			a.Inventory.Done, a.Inventory.Present, a.Verdict = false, 1, report.VerdictIncomplete
		}, "of objects in the store's listing"},
	}
}
