package audit

import (
	"context"
	"fmt"
	"math"
	"slices"

	"farshore/agent/report"
	"farshore/agent/units"
)

// bounds reckons the bounds of the parts again. Of the bytes of packs that are not whole, where all were asked for, it goes by what the report says, and holds that to the packs.
func (c *checker) bounds(ctx context.Context) error {
	says := slices.DeleteFunc(slices.Clone(c.a.Bounds), func(b report.Bound) bool { return b.Unit == report.UnitItems })
	lost := lostOf(says)
	comes := bounds(c.a, lost)
	if slices.EqualFunc(says, comes, sameBound) {
		comes = says
	}
	c.same("bounds", says, comes)
	for _, p := range c.a.Parts {
		if p.Part == report.PartPacks && p.Checked == c.a.Population.Packs {
			return c.lost(ctx, p.Failed+p.Unread, p.Unread, lost)
		}
	}
	return nil
}

// lostOf is how many bytes a census of bytes counts as damaged; 0 where there is none.
func lostOf(bounds []report.Bound) int64 {
	for _, b := range bounds {
		if b.Unit == report.UnitBytes && b.Method == report.MethodCensus {
			return b.Failed
		}
	}
	return 0
}

// rounding is by how much bounds may differ that two machines reckon: one in the last digit that a report has, and what is left of it in floating point.
const rounding = 2e-9

// sameBound reports whether two bounds are the same, as far as machines agree on them.
func sameBound(a, b report.Bound) bool {
	near := math.Abs(a.Upper95-b.Upper95) <= rounding && math.Abs(a.Upper99-b.Upper99) <= rounding
	a.Upper95, a.Upper99 = b.Upper95, b.Upper99
	return near && a == b
}

// lost holds the bytes that a census counts as lying in packs which are not whole, of which there are bad ones, unread of them at the most not given: they are those of the
// packs that are listed as damaged, where these are all, and else as many as so many packs can have.
func (c *checker) lost(ctx context.Context, bad, unread, says int64) error {
	listed := map[string]bool{}
	for _, d := range c.a.Damaged {
		listed[d.Object] = d.Kind == report.DamageMissing || d.Kind == report.DamageBytes || d.Kind == report.DamageSize
	}
	var n, bytes, most int64
	least := c.a.Population.PackBytes
	for o, err := range c.census.Objects(ctx) {
		switch {
		case err != nil:
			return err
		case o.Meta:
			continue
		case listed[o.Path()]:
			n, bytes = n+1, bytes+o.Size
		}
		least, most = min(least, o.Size), max(most, o.Size)
	}
	if c.a.MoreDamaged == 0 && unread == 0 && n == bad {
		c.agree("the bytes of the packs that are not whole, "+units.Count(bytes), where(says != bytes, "the report says %d", says))
		return nil
	}
	least, most = bad*least, bad*most
	c.agree(fmt.Sprintf("the bytes of the packs that are not whole are between %d and %d", least, most), where(says < least || says > most, "the report says %d", says))
	c.claim("how many bytes lie in the %d packs that failed or were not given, beyond that: which packs they are is not all listed", bad)
	return nil
}
