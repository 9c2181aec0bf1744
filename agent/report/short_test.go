package report

import "testing"

// TestShort holds what makes an audit of which nothing failed an incomplete one. The end of its time does where it had bytes to read, and not where its time was all that bounded it.
func TestShort(t *testing.T) {
	time := func(a *Audit) { a.End, a.Budget = EndTime, Budget{Seconds: 60, EverySeconds: 1} }
	for name, c := range map[string]struct {
		change func(*Audit)
		short  bool
	}{
		"done":                             {func(*Audit) {}, false},
		"interrupted":                      {func(a *Audit) { a.End = EndInterrupted }, true},
		"failed":                           {func(a *Audit) { a.End = EndFailed }, true},
		"a part not done":                  {func(a *Audit) { a.Parts[0].Planned = 9 }, true},
		"not given":                        {func(a *Audit) { a.Parts[0].Unread = 1 }, true},
		"not listed":                       {func(a *Audit) { a.Inventory.Done = false }, true},
		"a drill, not listed":              {func(a *Audit) { a.Mode, a.Inventory.Done = ModeDrill, false }, false},
		"its time alone":                   {time, false},
		"its time alone, and parts left":   {func(a *Audit) { time(a); a.Parts[0].Planned = 9 }, false},
		"its time, before its bytes":       {func(a *Audit) { time(a); a.Budget.Bytes = 1 }, true},
		"its time, with no pack read":      {func(a *Audit) { time(a); a.Parts[0].Checked, a.Parts[0].Intact = 0, 0 }, true},
		"its time, with nothing at risk":   {func(a *Audit) { time(a); a.Parts[0].Part, a.Parts[0].Checked, a.Parts[0].Intact = PartRisk, 0, 0 }, false},
		"its time, and something withheld": {func(a *Audit) { time(a); a.Parts[0].Unread = 1 }, true},
		"its time, not listed":             {func(a *Audit) { time(a); a.Inventory.Done = false }, true},
		"its time, of everything":          {func(a *Audit) { time(a); a.Mode = ModeFull }, true},
	} {
		a := &Audit{Mode: ModeSample, End: EndDone, Budget: Budget{Bytes: 1 << 30}, Inventory: Inventory{Done: true}, Parts: []Part{{Part: PartPacks, Planned: 2, Checked: 2, Intact: 2}}}
		c.change(a)
		if a.Short() != c.short {
			t.Errorf("%s: %v", name, a.Short())
		}
	}
}
