package audit

import (
	"context"
	"encoding/hex"
	"slices"

	"farshore/agent/report"
	"farshore/agent/verify/census"
	"farshore/agent/verify/draw"
)

// everything holds a full verification to what there was.
func (c *checker) everything(ctx context.Context) error {
	p := report.Part{Part: report.PartAll}
	for _, x := range c.a.Parts {
		if x.Part == report.PartAll {
			p = x
		}
	}
	pop := c.census.Population()
	c.plan = &draw.Plan{Sweeps: p.Sweeps, SweepObjects: pop.Packs + pop.Pages}
	if p.Planned != c.plan.SweepObjects {
		c.lie("part all: the report says %d objects, and there are %d", p.Planned, c.plan.SweepObjects)
		return nil
	}
	if err := c.part(&p, c.census.Objects(ctx)); err != nil {
		return err
	}
	if err := c.censuses(ctx, &p); err != nil {
		return err
	}
	return c.runs(ctx, &p)
}

// runs holds the sweeps of a full verification to what it checked: its ledger has what they go over as verified, and they may leave out what they like.
func (c *checker) runs(ctx context.Context, p *report.Part) error {
	for i, s := range p.Sweeps {
		if s.Only != report.SweepAll || i > 0 && (p.Sweeps[i-1].To == "" || p.Sweeps[i-1].To > s.From) {
			c.lie("part all: its sweeps are none that go over everything once, in order")
			c.plan.Sweeps = nil
			return nil
		}
	}
	n := int64(0)
	for o, err := range c.census.Objects(ctx) {
		if err != nil {
			return err
		}
		if n++; n > p.Checked && slices.ContainsFunc(p.Sweeps, func(s report.Sweep) bool { return within(s, o) }) {
			c.lie("part all: its sweeps go over more than the %d objects that were checked", p.Checked)
			return nil
		}
	}
	return nil
}

func within(s report.Sweep, o census.Object) bool {
	at := hex.EncodeToString(o.Name[:8])
	return s.From <= at && (s.To == "" || at < s.To)
}

// censuses holds the bounds of a full verification to its part: there are some where every object was dealt with, and it went on from there.
func (c *checker) censuses(ctx context.Context, p *report.Part) error {
	if len(c.a.Bounds) == 0 {
		return nil
	}
	if p.Checked < p.Planned {
		c.lie("it has bounds of what it did not read to the end")
		return nil
	}
	failed := map[string]int64{}
	for _, b := range c.a.Bounds {
		failed[b.Unit] = b.Failed
	}
	packs, pages, lies := failed[report.UnitPacks], failed[report.UnitPages], len(c.Lies)
	if bad := p.Failed + p.Unread; packs+pages != bad {
		c.lie("its bounds count %d that failed or were not given, and its part %d", packs+pages, bad)
	}
	c.same("bounds", c.a.Bounds, censuses(&c.a.Population, packs, pages, failed[report.UnitBytes]))
	if len(c.Lies) > lies {
		return nil
	}
	return c.lost(ctx, packs, min(p.Unread, packs), failed[report.UnitBytes])
}
