package page

import (
	"fmt"
	"math"
	"slices"
	"time"

	"farshore/agent/report"
	"farshore/agent/units"
)

// cards are the numbers that a reader looks for first.
func (b *builder) cards() []card {
	if b.a.Mode == report.ModeDrill && b.a.Drill != nil {
		return drillCards(b.a.Drill)
	}
	list := []card{b.protectionCard(), b.freshCard(), b.coverageCard(), b.boundCard(), b.restoreCard(), b.keyCard()}
	return slices.DeleteFunc(list, func(c card) bool { return c.Label == "" })
}

func (b *builder) protectionCard() card {
	c := card{Label: "Append-only", Value: "Not known here", Note: "this run knew of no probe of the agent's credential", Tone: warn}
	p := b.a.Protection
	if p == nil {
		return c
	}
	c.Note = ""
	if !p.Time.IsZero() {
		c.Note = "tried " + when(p.Time)
	}
	switch p.Verdict {
	case protected:
		c.Value, c.Tone = "Protected", good
		if !p.Expires.IsZero() && p.Expires.Before(b.a.Time) {
			c.Value, c.Tone, c.Note = "Proof too old", warn, c.Note+"; it held until "+day(p.Expires)
		}
	case unprotected:
		c.Value, c.Tone = "Not protected", bad
	case unproven:
		c.Value, c.Tone = "Not proven", warn
	default:
		c.Value, c.Tone = capital(middle(prose(p.Verdict), maxName)), warn
	}
	return c
}

// Verdicts of the probe, as a Protection has them.
const (
	protected   = "protected"
	unproven    = "unproven"
	unprotected = "unprotected"
)

func (b *builder) freshCard() card {
	c := card{Label: "Newest snapshots"}
	live := b.liveSources()
	if len(live) == 0 {
		c.Value, c.Note, c.Tone = "None", "no source has a chain", muted
		return c
	}
	var oldest time.Duration
	late, back, without, targets := 0, 0, 0, 0
	for _, s := range live {
		if s.Late {
			late++
		}
		if s.RolledBack {
			back++
		}
		if s.Seq == 0 {
			without++
		}
		if s.TargetSeconds > 0 {
			targets++
		}
		oldest = max(oldest, time.Duration(min(s.AgeSeconds, 1<<33))*time.Second)
	}
	c.Value, c.Note, c.Tone = units.Duration(oldest), fmt.Sprintf("the oldest of %s", units.Plural(int64(len(live)), "source")), good
	switch {
	case back > 0:
		c.Value, c.Tone, c.Note = fmt.Sprintf("%d of %d rolled back", back, len(live)), tamper, "their chains end before a commit that was seen earlier"
	case late > 0:
		c.Value, c.Tone, c.Note = fmt.Sprintf("%d of %d late", late, len(live)), warn, "the oldest newest snapshot is "+units.Duration(oldest)+" old"
	case without > 0:
		c.Value, c.Tone, c.Note = fmt.Sprintf("%d of %d missing", without, len(live)), warn, "sources without a complete snapshot"
	case targets == 0:
		c.Tone, c.Note = plain, c.Note+"; nobody said how old they may be"
	default:
		c.Note += ", all in time"
	}
	return c
}

func (b *builder) coverageCard() card {
	v := b.a.Coverage
	all := sum(v.VerifiedBytes, v.NeverBytes)
	c := card{Label: "Read and hashed, ever", Value: share(v.VerifiedBytes, all), Note: "of the stored bytes"}
	switch {
	case all == 0:
		c.Value, c.Note, c.Tone = "Nothing stored", "", muted
	case v.Met == nil:
		c.Note += "; no term is promised"
	case *v.Met:
		c.Tone, c.Note = good, fmt.Sprintf("of the stored bytes; the promise of %s is kept", units.Plural(b.a.Budget.CoverageDays, "day"))
	default:
		c.Tone, c.Note = warn, fmt.Sprintf("%s overdue: the promise is %s", units.Plural(v.Overdue, "object"), units.Plural(b.a.Budget.CoverageDays, "day"))
	}
	return c
}

func (b *builder) boundCard() card {
	best := b.bound(report.UnitPacks)
	if best == nil && len(b.a.Bounds) > 0 {
		best = &b.a.Bounds[0]
	}
	switch {
	case best == nil:
		return card{}
	case best.Method == report.MethodCensus:
		return card{Label: "Damaged " + prose(best.Unit), Value: of(best.Failed, best.Sampled), Note: "all were read: no estimate", Tone: toneOf(best.Failed == 0, bad)}
	}
	return card{
		Label: "Damaged " + prose(best.Unit), Value: "≤ " + upper(best.Upper95), Tone: toneOf(best.Failed == 0, bad),
		Note: fmt.Sprintf("with 95 %% confidence, from %s drawn", units.Count(best.Sampled)),
	}
}

func toneOf(ok bool, otherwise tone) tone {
	if ok {
		return good
	}
	return otherwise
}

func (b *builder) bound(unit string) *report.Bound {
	for i := range b.a.Bounds {
		if b.a.Bounds[i].Unit == unit {
			return &b.a.Bounds[i]
		}
	}
	return nil
}

func (b *builder) restoreCard() card {
	if d := b.lastDrill(); d != nil {
		c := card{Label: "Last restore drill", Value: seconds(d.Seconds), Tone: toneOf(d.Failed == 0, bad), Note: "on " + day(d.Started)}
		switch {
		case d.Failed > 0:
			c.Note += fmt.Sprintf("; %s failed", units.Plural(d.Failed, "item"))
		case d.TargetSeconds > 0:
			c.Note += ", target " + length(d.TargetSeconds)
			if d.Seconds > float64(d.TargetSeconds) {
				c.Tone = warn
			}
		}
		return c
	}
	i := b.a.Items
	if !i.Tried {
		return card{Label: "Restored", Value: "Not tried", Note: b.untried() + ", and no drill is on record", Tone: muted}
	}
	return card{Label: "Restored", Value: of(i.Restored, i.Drawn) + " items", Note: "drawn from the newest complete snapshots; no drill is on record", Tone: toneOf(i.Failed == 0, bad)}
}

func (b *builder) keyCard() card {
	k := b.a.Keys
	c := card{Label: "Recovery key", Value: "Never tried", Note: "`farshore drill header` shows whether it opens what is stored", Tone: warn}
	if k.DrillTime.IsZero() {
		return c
	}
	c.Value, c.Note, c.Tone = of(k.DrillOpened, k.DrillDrawn), "headers opened on "+day(k.DrillTime), good
	if k.DrillFailed > 0 {
		c.Tone = bad
	} else if k.DrillOpened < k.DrillDrawn || k.DrillDrawn == 0 {
		c.Tone = warn
	}
	return c
}

// drillCards are those of a report about a drill alone.
func drillCards(d *report.Drill) []card {
	took := card{Label: "Time to restore", Value: seconds(d.Seconds), Note: "nobody said how long it may take"}
	if d.TargetSeconds > 0 {
		took.Note, took.Tone = "of "+length(d.TargetSeconds)+" that it may take", toneOf(d.Seconds <= float64(d.TargetSeconds), warn)
	}
	list := []card{took, {Label: "Restored", Value: units.Plural(d.Items, "item"), Note: units.Bytes(d.Bytes)}}
	if d.Seconds > 0 && !math.IsInf(d.Seconds, 0) {
		list = append(list, card{Label: "Rate", Value: units.Rate(min(float64(d.Bytes)/d.Seconds, math.MaxInt64/2))})
	}
	if d.Repositories > 0 {
		list = append(list, card{Label: "Repositories", Value: units.Count(d.Repositories), Note: "passed git's or Subversion's own check"})
	}
	return append(list, card{Label: "Failed", Value: units.Plural(d.Failed, "item"), Tone: toneOf(d.Failed == 0, bad)})
}
