package report

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"farshore/agent/record"
)

// check refuses what no commitment can be.
func (c *Commitment) check() error { return checkHeads(c.Heads) }

// check refuses what no audit can have come to: sums that are none, and a verdict that the numbers contradict.
func (a *Audit) check() error {
	switch {
	case a.Started.After(a.Time):
		return errors.New("started is later than time")
	case !known(a.Mode, ModeSample, ModeFull, ModeDrill):
		return fmt.Errorf("mode %.40q is not known", a.Mode)
	case !known(a.End, EndDone, EndInterrupted, EndTime, EndFailed):
		return fmt.Errorf("end %.40q is not known", a.End)
	case a.End == EndFailed && a.Why == "":
		return errors.New("end is failed, and why is missing")
	case a.Commitment != nil && a.Seed == nil:
		return errors.New("there is a commitment, and no seed")
	case (a.Drill != nil) != (a.Mode == ModeDrill):
		return errors.New("drill is there in mode drill, and in no other")
	}
	return cmp.Or(checkHeads(a.Heads), a.checkInventory(), a.checkParts(), a.checkBounds(), a.checkCoverage(), a.Ledger.check(), a.checkCounts(), a.checkSources(), a.Drill.check(),
		a.checkDamaged(), a.checkFindings(), a.checkVerdict())
}

func known(s string, words ...string) bool { return slices.Contains(words, s) }

// objects is how many there are.
func (p *Population) objects() int64 { return p.Packs + p.Pages }

func (a *Audit) checkInventory() error {
	i, n := &a.Inventory, a.Population.objects()
	switch {
	case !known(i.Versions, "seen", "none", "denied", ""):
		return fmt.Errorf("inventory: versions %.40q is not known", i.Versions)
	case i.Present+i.Missing > n || i.WrongSize > n || i.Hidden > n:
		return fmt.Errorf("inventory: more objects were seen or missed than the %d that there are", n)
	case i.Done && i.Present+i.Missing != n:
		return fmt.Errorf("inventory: it is done, and present and missing are not together the %d objects that there are", n)
	}
	return nil
}

func (a *Audit) checkParts() error {
	var seen []string
	for i := range a.Parts {
		p := &a.Parts[i]
		switch {
		case !known(p.Part, PartPacks, PartPages, PartBytes, PartRisk, PartCoverage, PartAll) || slices.Contains(seen, p.Part):
			return fmt.Errorf("parts[%d]: part %.40q is not known, or stands twice", i, p.Part)
		case p.Checked > p.Planned:
			return fmt.Errorf("parts[%d]: checked is %d, and planned %d", i, p.Checked, p.Planned)
		case p.Intact+p.Failed+p.Unread != p.Checked:
			return fmt.Errorf("parts[%d]: intact, failed and unread are not together the %d that were checked", i, p.Checked)
		case p.Part == PartPacks && p.Planned > a.Population.Packs, p.Part == PartPages && p.Planned > a.Population.Pages, known(p.Part, PartRisk, PartCoverage, PartAll) && p.Planned > a.Population.objects():
			return fmt.Errorf("parts[%d]: planned is %d, more than there are", i, p.Planned)
		case len(p.Sweeps) > 0 && !known(p.Part, PartCoverage, PartAll):
			return fmt.Errorf("parts[%d]: part %s has no sweeps", i, p.Part)
		}
		for j, s := range p.Sweeps {
			if !isHex(s.From, nameDigits) || s.To != "" && (!isHex(s.To, nameDigits) || s.To <= s.From) || !known(s.Only, SweepNew, SweepAll) {
				return fmt.Errorf("parts[%d]: sweeps[%d] is none", i, j)
			}
		}
		seen = append(seen, p.Part)
	}
	return a.checkRead()
}

// checkRead holds the number of objects that were read to those that there are, and to those that a part has as intact: of PartBytes, which may draw one again and again, one.
func (a *Audit) checkRead() error {
	least := int64(0)
	for _, p := range a.Parts {
		if p.Part == PartBytes {
			p.Intact = min(p.Intact, 1)
		}
		least = max(least, p.Intact)
	}
	switch p := &a.Population; {
	case a.ReadObjects < least:
		return fmt.Errorf("read_objects is %d, and a part has %d as intact", a.ReadObjects, least)
	case a.ReadObjects > p.objects() || a.ReadObjectBytes > p.PackBytes+p.PageBytes:
		return fmt.Errorf("read_objects is %d of %d bytes, more than there are", a.ReadObjects, a.ReadObjectBytes)
	case a.ReadObjects == 0 && a.ReadObjectBytes > 0:
		return errors.New("read_object_bytes has bytes of no object")
	}
	return nil
}

func (a *Audit) checkBounds() error {
	var seen []string
	for i, b := range a.Bounds {
		switch {
		case !known(b.Unit, UnitPacks, UnitPages, UnitBytes, UnitItems) || slices.Contains(seen, b.Unit):
			return fmt.Errorf("bounds[%d]: unit %.40q is not known, or stands twice", i, b.Unit)
		case !known(b.Method, MethodHypergeometric, MethodBinomial, MethodCensus):
			return fmt.Errorf("bounds[%d]: method %.40q is not known", i, b.Method)
		case b.Failed > b.Sampled:
			return fmt.Errorf("bounds[%d]: failed is %d, of %d", i, b.Failed, b.Sampled)
		case b.Method != MethodBinomial && b.Sampled > b.Population, b.Method == MethodCensus && b.Sampled != b.Population:
			return fmt.Errorf("bounds[%d]: sampled is %d, of %d, by the method %s", i, b.Sampled, b.Population, b.Method)
		case b.Upper95 > b.Upper99 || b.Upper99 > 1:
			return fmt.Errorf("bounds[%d]: upper_95 and upper_99 are not ascending from 0 to 1", i)
		case b.Sampled == 0 && b.Population > 0 && b.Upper95 < 1, b.Sampled > 0 && b.Upper95 < float64(b.Failed)/float64(b.Sampled):
			return fmt.Errorf("bounds[%d]: upper_95 is less than what was found", i)
		}
		seen = append(seen, b.Unit)
	}
	return nil
}

func (a *Audit) checkCoverage() error {
	c := &a.Coverage
	switch {
	case c.Verified+c.Never > a.Population.objects():
		return fmt.Errorf("coverage: verified and never are together more than the %d objects that there are", a.Population.objects())
	case c.Overdue > c.Verified+c.Never:
		return errors.New("coverage: more objects are overdue than there are")
	case c.Met != nil && *c.Met && c.Overdue > 0:
		return errors.New("coverage: the promise is met, and objects are overdue")
	case c.Verified == 0 && !c.Oldest.IsZero() || c.Never == 0 && !c.NeverSince.IsZero():
		return errors.New("coverage: there is a time of what there is not")
	}
	return nil
}

// check holds the ledger to its order, and each arc to a position that is there.
func (l *Ledger) check() error {
	for i, a := range l.Arcs {
		switch {
		case !isHex(a.From, nameDigits) || i == 0 && a.From != firstName || i > 0 && a.From <= l.Arcs[i-1].From:
			return fmt.Errorf("ledger: arcs[%d] does not begin at %s, or is not behind the one before it", i, firstName)
		case a.Time.IsZero() && a.Position != 0, !a.Time.IsZero() && a.Position >= int64(len(l.Positions)):
			return fmt.Errorf("ledger: arcs[%d]: position %d is none", i, a.Position)
		}
	}
	places := 0
	for i, p := range l.Positions {
		places += len(p)
		for j, c := range p {
			if !isHex(c.Chain, chainDigits) || c.Seq < 1 || c.Seq > maxSeq || j > 0 && c.Chain <= p[j-1].Chain {
				return fmt.Errorf("ledger: positions[%d][%d] is none, or is not behind the one before it", i, j)
			}
		}
	}
	if places > MaxPlaces {
		return fmt.Errorf("ledger: the positions have more than %d elements together", MaxPlaces)
	}
	return nil
}

func (a *Audit) checkCounts() error {
	i, w := &a.Items, &a.Written
	switch {
	case i.Restored+i.Failed+i.Locked != i.Drawn:
		return errors.New("items: restored, failed and locked are not together drawn")
	case i.Same+i.Differ != i.Compared:
		return errors.New("items: same and differ are not together compared")
	case !i.Tried && i.Restored+i.Failed > 0:
		return errors.New("items: none was tried, and some were put together")
	case w.ItemsRead > w.Items || w.BytesRead > w.Bytes:
		return errors.New("read_back: more was read back than was stored")
	case a.Keys.DrillOpened+a.Keys.DrillFailed > a.Keys.DrillDrawn:
		return errors.New("keys: more headers were opened or not than were drawn")
	}
	return nil
}

func (a *Audit) checkSources() error {
	for i := range a.Sources {
		if c := a.Sources[i].Chain; !isHex(c, chainDigits) || i > 0 && c <= a.Sources[i-1].Chain {
			return fmt.Errorf("sources[%d]: chain is none, or is not behind the one before it", i)
		}
	}
	return nil
}

func (d *Drill) check() error {
	switch {
	case d == nil:
		return nil
	case !isHex(d.Chain, chainDigits) || d.Seq < 1 || d.Seq > maxSeq:
		return errors.New("drill: chain or seq is none")
	case !known(d.Into, IntoDirectory, IntoBucket, IntoRepositories):
		return fmt.Errorf("drill: into %.40q is not known", d.Into)
	case d.Met != nil && d.TargetSeconds == 0:
		return errors.New("drill: a target is met, or not, that there is not")
	case d.Met != nil && *d.Met && d.Seconds > float64(d.TargetSeconds):
		return errors.New("drill: the target is met, and it took longer")
	}
	return nil
}

func (a *Audit) checkDamaged() error {
	seen := map[string]bool{}
	for i := range a.Damaged {
		d := &a.Damaged[i]
		_, named := d.name()
		switch {
		case !named || seen[d.Object]:
			return fmt.Errorf("damaged[%d]: object %.120q is no pack's or page's name, or stands twice", i, d.Object)
		case !known(d.Kind, DamageMissing, DamageBytes, DamageSize, DamageWithheld, DamageSeal, DamageContent):
			return fmt.Errorf("damaged[%d]: kind %.40q is not known", i, d.Kind)
		case !known(d.Remedy, RemedySource, RemedyPartly, RemedyNone, RemedyUnknown, RemedyNeedless):
			return fmt.Errorf("damaged[%d]: remedy %.40q is not known", i, d.Remedy)
		case slices.ContainsFunc(d.Names, func(n int64) bool { return n < 1 || n > MaxNames }):
			return fmt.Errorf("damaged[%d]: names has what is no index", i)
		case slices.ContainsFunc(d.First, func(c ChainPosition) bool { return !isHex(c.Chain, chainDigits) || c.Seq < 1 || c.Seq > maxSeq }):
			return fmt.Errorf("damaged[%d]: first has what is no commit", i)
		}
		seen[d.Object] = true
	}
	return nil
}

// name returns the hash in the name of the object.
func (d *Damage) name() (record.Hash, bool) {
	h, err := record.ParsePackName(d.Object)
	if err != nil {
		h, err = record.ParseMetaName(d.Object)
	}
	return h, err == nil
}

func (a *Audit) checkFindings() error {
	for i, f := range a.Findings {
		switch {
		case !known(f.Severity, severities()...):
			return fmt.Errorf("findings[%d]: severity %.40q is not known", i, f.Severity)
		case f.Text == "":
			return fmt.Errorf("findings[%d]: text is missing", i)
		case f.Item > MaxNames:
			return fmt.Errorf("findings[%d]: item is no index", i)
		}
	}
	for i, n := range a.NotChecked {
		if n.What == "" {
			return fmt.Errorf("not_checked[%d]: what is missing", i)
		}
	}
	return nil
}

// checkVerdict refuses a verdict that is better than what was found.
func (a *Audit) checkVerdict() error {
	if known(a.Verdict, VerdictDamaged, VerdictTampered) {
		return nil
	}
	if !known(a.Verdict, VerdictIntact, VerdictIncomplete) {
		return fmt.Errorf("verdict %.40q is not known", a.Verdict)
	}
	if what := a.worst(); what != "" {
		return fmt.Errorf("verdict is %s, and %s", a.Verdict, what)
	}
	if a.Verdict == VerdictIncomplete {
		return nil
	}
	if a.Short() {
		return errors.New("verdict is intact, and not all was checked that was to be checked")
	}
	return nil
}

// worst says what was found that is damage or tampering, "" where nothing was.
func (a *Audit) worst() string {
	failed := slices.ContainsFunc(a.Parts, func(p Part) bool { return p.Failed > 0 })
	grave := slices.ContainsFunc(a.Findings, func(f AuditFinding) bool { return f.Severity != severityNotice })
	switch {
	case len(a.Damaged) > 0 || a.MoreDamaged > 0 || failed || a.Inventory.Missing > 0 || a.Inventory.WrongSize > 0:
		return "objects are damaged"
	case a.Items.Failed > 0 || a.Repos.Problems > 0 || a.Drill != nil && a.Drill.Failed > 0:
		return "something could not be restored"
	case grave:
		return "a finding is damage or tampering"
	}
	return ""
}
