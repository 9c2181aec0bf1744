package audit

import (
	"fmt"
	"slices"
	"strings"

	"farshore/agent/report"
	"farshore/agent/units"
	"farshore/agent/vault"
	"farshore/agent/verify/bound"
)

// numbers holds the report's numbers to one another, as far as one follows from others: for that nothing is read.
func (c *checker) numbers() {
	c.verdict()
	c.failures()
	c.itemBound()
	c.locks()
	c.read()
	c.notChecked()
}

// agree says of numbers whether they contradict each other.
func (c *checker) agree(what string, contradictions ...string) {
	lies := len(c.Lies)
	for _, s := range contradictions {
		if s != "" {
			c.lie("%s: %s", what, s)
		}
	}
	if len(c.Lies) == lies {
		c.ok("%s", what)
	}
}

// where returns the words where a contradiction is there.
func where(contradiction bool, format string, args ...any) string {
	if !contradiction {
		return ""
	}
	return fmt.Sprintf(format, args...)
}

// verdict computes the verdict from what the report counts and lists.
func (c *checker) verdict() {
	a := c.a
	has := func(s vault.Severity) bool {
		return slices.ContainsFunc(a.Findings, func(f report.AuditFinding) bool { return grave(f) == s })
	}
	left := slices.ContainsFunc(a.NotChecked, func(n report.NotChecked) bool { return n.What == whatChains })
	c.Verdict = judge(a, has(vault.Damage), has(vault.Tampering), left)
	switch {
	case a.Verdict == c.Verdict:
		c.ok("the verdict %s, from what the report says that failed, was found and was not reached", a.Verdict)
	case worse(a.Verdict, c.Verdict) && c.unlisted():
		c.claim("the verdict %s, and what it lists and counts comes to %s: what it rests on is not listed", a.Verdict, c.Verdict)
		c.Verdict = a.Verdict
	default:
		c.lie("the verdict: the report says %s, and what it lists and counts comes to %s", a.Verdict, c.Verdict)
	}
}

// worse reports whether a verdict is worse than another one.
func worse(a, b string) bool {
	order := []string{report.VerdictIntact, report.VerdictIncomplete, report.VerdictTampered, report.VerdictDamaged}
	return slices.Index(order, a) > slices.Index(order, b)
}

// unlisted reports whether an honest verdict can be worse than what is listed and counted: by findings or chains that are not listed, by those of a full verification, which
// counts what is wrong with reports as damage, and by items that the budget did not reach, which are nowhere counted.
func (c *checker) unlisted() bool {
	a, i := c.a, &c.a.Items
	cut := slices.ContainsFunc(a.NotChecked, func(n report.NotChecked) bool { return n.Count < 0 && strings.HasPrefix(n.What, "items") })
	items := cut || i.Tried || i.Compared+i.Changed+i.Unseen > 0
	switch {
	case a.Omitted > 0, a.MoreSources > 0:
		return true
	case a.Verdict == report.VerdictIncomplete:
		return a.Mode == report.ModeSample && items
	}
	return a.Mode == report.ModeFull && slices.ContainsFunc(a.Findings, func(f report.AuditFinding) bool { return f.Severity == string(vault.Damage) })
}

// failures holds what failed to the list of what is damaged, on which the ledger rests: what was read and failed counts as never verified by that alone.
func (c *checker) failures() {
	a, i := c.a, &c.a.Inventory
	reckoned := a.End == report.EndDone || a.Coverage.Verified+a.Coverage.Never > 0
	if a.Mode == report.ModeDrill || !reckoned {
		return // a run that was cut short may not have come to its list, and then has no coverage either
	}
	listed := int64(len(a.Damaged)) + a.MoreDamaged
	why := []string{
		where(i.Missing > listed, "%d are missing", i.Missing),
		where(i.WrongSize > listed, "%d have another size", i.WrongSize),
	}
	for _, p := range a.Parts {
		if p.Part == report.PartBytes {
			p.Failed = min(p.Failed, 1) // one pack may have been drawn again and again
		}
		why = append(why, where(p.Failed > listed, "%d of part %s failed", p.Failed, p.Part))
	}
	c.agree("what failed is among the "+units.Plural(listed, "object")+" known to be damaged", why...)
}

// maxItems is how many items a sample may have for its bound to be reckoned again: the reckoning takes the longer the more there are.
const maxItems = 1 << 20

// itemBound reckons the bound of items from the items that were put together and that were not.
func (c *checker) itemBound() {
	a, i := c.a, &c.a.Items
	at := slices.IndexFunc(a.Bounds, func(b report.Bound) bool { return b.Unit == report.UnitItems })
	due := a.Mode == report.ModeSample && i.Tried && i.Restored+i.Failed > 0
	switch {
	case at < 0 && !due:
		return
	case at < 0:
		c.lie("the bound of items is left out: %d were put together, and %d could not be", i.Restored, i.Failed)
		return
	case !due:
		c.lie("there is a bound of items, of which none was tried")
		return
	}
	b := a.Bounds[at]
	if n := max(b.Sampled, i.Drawn); n > maxItems {
		c.unsure("the bound of items: %d were drawn, too many to reckon it again", n)
		return
	}
	comes := bound.Of(report.UnitItems, b.Population, i.Drawn, i.Failed+i.Locked, b.Population == 0)
	if sameBound(b, comes) {
		comes = b
	}
	c.same("bound of items", b, comes)
}

// locks holds what the store said of locks to how many it was asked for.
func (c *checker) locks() {
	l := c.a.Locks
	if l == nil {
		return
	}
	said := l.Locked + l.Liftable + l.Expired + l.Unlocked + l.Unknown
	c.agree("what was said of "+units.Plural(l.Asked, "lock")+" that were asked for",
		where(said != l.Asked, "it says of %d what came of them, and asked for %d", said, l.Asked),
		where(!l.Estimated && l.Needed != l.Asked, "%d objects need one, which is no estimate, and %d were asked for", l.Needed, l.Asked),
		where(l.First.IsZero() != (l.FirstObject == ""), "the first that ends is named without its end, or the other way round"),
		where(l.Locked > 0 && l.First.IsZero(), "nobody can lift %d of them, and of none it says when it ends", l.Locked),
		where(l.Locked+l.Expired == 0 && !l.First.IsZero(), "none binds everybody, and the first of those ends on %s", l.First),
		where(l.Expired == 0 && !l.First.IsZero() && !l.First.After(c.a.Started), "none is over, and the first ended on %s", l.First),
	)
}

// read holds how many objects were read whole to the parts, where these have every one.
func (c *checker) read() {
	a, n := c.a, &c.a.Population
	var p report.Part
	for _, x := range a.Parts {
		if x.Part == report.PartAll || x.Part == report.PartPacks || x.Part == report.PartPages {
			p.Checked, p.Intact, p.Unread = p.Checked+x.Checked, p.Intact+x.Intact, p.Unread+x.Unread
		}
	}
	if a.Mode == report.ModeDrill || p.Checked != n.Packs+n.Pages {
		return
	}
	bytes := n.PackBytes + n.PageBytes
	left := c.count(whatObjects)
	c.agree("how much was read whole, where each was dealt with of "+units.Plural(p.Checked, "object"),
		where(a.ReadObjects != p.Intact, "read_objects is %d, and its parts have %d as intact", a.ReadObjects, p.Intact),
		where(p.Intact == p.Checked && a.ReadObjectBytes != bytes, "read_object_bytes is %d, and all that is stored has %d", a.ReadObjectBytes, bytes),
		where(left != p.Unread, "it says that %d were not read whole, and its parts have %d that the store did not give", left, p.Unread),
	)
}

// count is how many of something the report says that were not checked.
func (c *checker) count(what string) int64 {
	for _, n := range c.a.NotChecked {
		if n.What == what {
			return n.Count
		}
	}
	return 0
}

// notChecked holds the report to naming what it did not check, where its own numbers say so.
func (c *checker) notChecked() {
	a := c.a
	if len(a.NotChecked) >= report.MaxNotChecked {
		return // it names no more than that
	}
	list := undone(a)
	if a.Mode != report.ModeFull { // which counts the items of all snapshots
		list = more(list, whatItems, apart(a), "")
	}
	var why []string
	for _, n := range list {
		says := c.count(n.What)
		why = append(why, where(says != n.Count, "of %s it says %d, and it comes to %d", n.What, says, n.Count))
	}
	c.agree("what it says that it did not check, where its own numbers tell", why...)
}

// claims names what can't be computed again by anybody.
func (c *checker) claims() {
	a := c.a
	add := func(there bool, format string, args ...any) {
		if there {
			c.claim(format, args...)
		}
	}
	i, r := &a.Items, &a.Repos
	add(len(a.Parts) > 0, "that the objects which count as intact were whole, and that those which failed, or were not given, did or were not: another signer's audit reads them itself")
	add(a.Inventory.Done || a.Inventory.Present > 0, "what the store listed: %d objects there, %d missing, %d hidden", a.Inventory.Present, a.Inventory.Missing, a.Inventory.Hidden)
	add(i.Drawn > 0, "that items were restored, %d, or could not be, %d, and which were drawn: that takes a key which opens them", i.Restored, i.Failed)
	add(i.Compared+i.Changed+i.Unseen > 0, "what the sources had of items: %d the same, %d other bytes, %d changed, %d not seen", i.Same, i.Differ, i.Changed, i.Unseen)
	add(r.Checked+r.Problems > 0, "what git and Subversion said of %s", units.Plural(r.Checked+r.Problems, "repository"))
	add(a.Locks != nil, "what the store said of each lock, and how many objects need one")
	add(a.Store != nil || a.Protection != nil, "how the store is set, and what the agent's credential may destroy")
	add(a.Drill != nil, "the drill: that the snapshot was restored, whole, and in that time")
	add(len(a.Findings) > 0, "that there was what its findings say, and nothing else")
	c.claim("what it says of each source, of header drills, and of what the run cost: this is not computed again")
}
