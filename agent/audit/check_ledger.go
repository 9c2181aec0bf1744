package audit

import (
	"context"
	"slices"

	"farshore/agent/report"
	"farshore/agent/verify/census"
	"farshore/agent/verify/draw"
)

// coverage reckons the ledger and the coverage again.
func (c *checker) coverage(ctx context.Context) error {
	ledgers, err := c.ledgers(ctx)
	if err != nil {
		return err
	}
	follows := slices.ContainsFunc(ledgers, func(l report.Ledger) bool { return equal(l, c.a.Ledger) })
	switch {
	case follows:
		c.ok("the ledger follows from the signer's audit before it and from what this one read")
	case len(c.a.Ledger.Positions) > 0 && len(c.a.Heads)*len(c.a.Ledger.Positions) > report.MaxPlaces/2:
		c.unsure("the ledger: with so many chains a report forgets some")
	default:
		c.lie("the ledger does not follow from the signer's audit before it and from what this one read")
	}
	cov, err := draw.CoverageOf(ctx, c.census.Objects, c.census.Time, c.a.Ledger, c.a.Heads, bad(c.a), c.a.Time, promise(c.a.Budget))
	if err != nil {
		return err
	}
	cov.Feasible, cov.NeededBytes = c.plan.Before.Feasible, c.plan.Before.NeededBytes
	if c.a.MoreDamaged > 0 && text(cov) != text(c.a.Coverage) {
		c.unsure("the coverage: not all that is damaged is listed")
		return nil
	}
	c.same("coverage", c.a.Coverage, cov)
	return nil
}

// ledgers are those that an honest audit can have come to: as before where its coverage did not begin; else up to the first object that it did not deal with, or, where what it
// found there had no room on the list of the damaged, up to that one.
func (c *checker) ledgers(ctx context.Context) ([]report.Ledger, error) {
	before := c.before()
	var p *report.Part
	for i := range c.a.Parts {
		if x := &c.a.Parts[i]; x.Part == report.PartCoverage || x.Part == report.PartAll {
			p = x
		}
	}
	if p == nil {
		return []report.Ledger{before}, nil
	}
	if p.Part == report.PartAll {
		return []report.Ledger{before, draw.Apply(before, c.plan.Sweeps, nil, c.a.Started, c.a.Heads)}, nil
	}
	var stops []*census.Object
	n := int64(0)
	for o, err := range draw.Swept(ctx, c.input(), c.plan.Sweeps) {
		if err != nil {
			return nil, err
		}
		if n == p.Checked || n == p.Checked-1 && (p.Unread > 0 || c.a.MoreDamaged > 0) {
			stops = append(stops, &o)
		}
		if n++; n > p.Checked {
			break
		}
	}
	if p.Checked == p.Planned {
		stops = append(stops, nil)
	}
	var out []report.Ledger
	if p.Checked == 0 {
		out = append(out, before)
	}
	for _, s := range stops {
		out = append(out, draw.Apply(before, c.plan.Sweeps, s, c.a.Started, c.a.Heads))
	}
	return out, nil
}

// equal compares ledgers, whatever their times were read from.
func equal(a, b report.Ledger) bool {
	arc := func(x, y report.Arc) bool {
		return x.From == y.From && x.Time.Equal(y.Time) && x.Position == y.Position
	}
	return slices.EqualFunc(a.Arcs, b.Arcs, arc) && slices.EqualFunc(a.Positions, b.Positions, slices.Equal[report.Position])
}
