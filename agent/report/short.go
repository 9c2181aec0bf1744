package report

import "slices"

// InTime reports whether an audit ended as it was to: by its time, where nothing but that bounded it.
func (a *Audit) InTime() bool {
	return a.Mode == ModeSample && a.End == EndTime && a.Budget.Bytes == 0
}

// Short reports whether an audit's own numbers say that something was not checked which was to be checked. One that only its time bounds is to list everything, and
// to read what the time allows: of the packs drawn uniformly one at the least.
func (a *Audit) Short() bool {
	inTime := a.InTime()
	if a.End != EndDone && !inTime || a.Mode != ModeDrill && !a.Inventory.Done {
		return true
	}
	return slices.ContainsFunc(a.Parts, func(p Part) bool {
		left := p.Checked < p.Planned
		if inTime {
			left = left && p.Part == PartPacks && p.Checked == 0
		}
		return left || p.Unread > 0
	})
}
