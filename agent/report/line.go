package report

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"farshore/agent/units"
)

// maxLine is how many characters Line has at most.
const maxLine = 100

// Line says in one line of at most 100 characters what came of the audit, the gravest first, and no more than was checked: what does not fit is left out, and what was never
// checked is not in it. It has no line break and no control character.
func (a *Audit) Line() string {
	var says []string
	switch a.Verdict {
	case VerdictDamaged:
		says = append([]string{"DAMAGED: " + a.hit()}, a.restored()...)
	case VerdictTampered:
		says = append([]string{"TAMPERED: " + a.tampered()}, a.restored()...)
	default:
		says = a.calm()
	}
	line, sep := says[0], ", "
	if utf8.RuneCountInString(line) > maxLine {
		r := []rune(line)
		line = string(r[:maxLine-1]) + "…"
	}
	for _, s := range says[1:] {
		if s != "" && utf8.RuneCountInString(line+sep+s) <= maxLine {
			line += sep + s
		}
	}
	return line
}

// calm is what an audit that found no damage says.
func (a *Audit) calm() []string {
	word := "intact: "
	if a.Verdict != VerdictIntact {
		word = "INCOMPLETE: "
		switch a.End {
		case EndInterrupted:
			word += "interrupted, "
		case EndTime:
			word += "out of time, "
		case EndFailed:
			return append([]string{word + "it could not go on (" + cutTo(units.Printable(a.Why), 50) + ")"}, a.read(), a.covered(), a.overdue())
		}
	}
	if a.Drill != nil {
		says := a.restored()
		says[0] = word + says[0]
		return says
	}
	return append([]string{word + a.read(), a.bound(), a.overdue(), a.covered(), a.oldest()}, a.restored()...)
}

// read is how many objects were read whole and right.
func (a *Audit) read() string {
	n := a.Population.objects()
	switch {
	case n == 0 && a.Inventory.Done:
		return "nothing is stored yet"
	case a.ReadObjects == 0:
		return "no object was read"
	}
	return fmt.Sprintf("%s of %s read", units.Count(a.ReadObjects), units.Plural(n, "object"))
}

// bound is the bound on damaged packs.
func (a *Audit) bound() string {
	for _, b := range a.Bounds {
		if b.Unit != UnitPacks || b.Sampled == 0 {
			continue
		}
		switch {
		case b.Method == MethodCensus && b.Failed == 0:
			return "every pack"
		case b.Method == MethodCensus && b.Failed == b.Sampled:
			return "no pack"
		case b.Method == MethodCensus:
			return fmt.Sprintf("all but %s of %s", units.Count(b.Failed), units.Plural(b.Sampled, "pack"))
		}
		return fmt.Sprintf("at most %s of packs damaged (95 %%)", percentUp(b.Upper95))
	}
	return ""
}

// percentUp writes a share in per cent, rounded up to one digit behind the point, or to the first digit that is not 0.
func percentUp(share float64) string {
	for digits := 1; digits < 8; digits++ {
		scale := math.Pow10(digits)
		// A share has nine digits, so that what is beyond is no part of it.
		if up := math.Ceil(math.Round(share*1e9)/1e7*scale) / scale; share*100*scale >= 1 || up == 0 {
			return fmt.Sprintf("%.*f %%", digits, up)
		}
	}
	return "0.0000001 %"
}

// covered is how much was ever verified, rounded down.
func (a *Audit) covered() string {
	c := &a.Coverage
	n := c.Verified + c.Never
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d %% covered", int64(float64(c.Verified)/float64(n)*100))
}

func (a *Audit) overdue() string {
	if c := &a.Coverage; c.Met != nil && !*c.Met {
		return units.Plural(c.Overdue, "object") + " overdue"
	}
	return ""
}

// oldest is how long ago the first of what was ever verified was.
func (a *Audit) oldest() string {
	if a.Coverage.Oldest.IsZero() {
		return ""
	}
	return fmt.Sprintf("oldest %s d", units.Count(int64(max(0, a.Time.Sub(a.Coverage.Oldest))/(24*time.Hour))))
}

// restored is what came of items, repositories and a drill.
func (a *Audit) restored() []string {
	if d := a.Drill; d != nil {
		says := []string{fmt.Sprintf("drill restored %s (%s) in %s", units.Plural(d.Items, "item"), units.Bytes(d.Bytes), units.Duration(seconds(d.Seconds)))}
		if d.Met != nil {
			says = append(says, map[bool]string{true: "in time", false: "too late"}[*d.Met])
		}
		return append(says, some(d.Repositories, "repository checked", "repositories checked"))
	}
	return []string{some(a.Items.Restored, "item restored", "items restored"), some(a.Repos.Checked, "repository checked", "repositories checked")}
}

// seconds is a duration of at most some hundred years.
func seconds(s float64) time.Duration { return time.Duration(min(s, 9e9) * float64(time.Second)) }

// some counts things with their verb, "" for none.
func some(n int64, one, many string) string {
	switch n {
	case 0:
		return ""
	case 1:
		return "1 " + one
	}
	return units.Count(n) + " " + many
}

// hit is what is damaged, and what needs it.
func (a *Audit) hit() string {
	var packs, pages, snapshots int64
	for i := range a.Damaged {
		if snapshots = max(snapshots, a.Damaged[i].Snapshots); strings.HasPrefix(a.Damaged[i].Object, "meta/") {
			pages++
		} else {
			packs++
		}
	}
	var says []string
	for _, s := range []string{some(packs, "pack", "packs"), some(pages, "page", "pages"), some(a.MoreDamaged, "more object", "more objects")} {
		if s != "" {
			says = append(says, s)
		}
	}
	if snapshots > 0 {
		least := ""
		if packs+pages+a.MoreDamaged > 1 {
			least = "at least "
		}
		says = append(says, least+units.Plural(snapshots, "snapshot")+" hit")
	}
	failed := a.Items.Failed
	if a.Drill != nil {
		failed += a.Drill.Failed
	}
	for _, s := range []string{some(failed, "item not restorable", "items not restorable"), some(a.Repos.Problems, "repository with problems", "repositories with problems")} {
		if s != "" {
			says = append(says, s)
		}
	}
	if len(says) == 0 {
		return some(a.grave(severityDamage), "finding", "findings") + a.unlisted()
	}
	return strings.Join(says, ", ")
}

func (a *Audit) tampered() string {
	says := some(a.grave(severityTampering), "finding", "findings") + a.unlisted()
	if n := int64(len(a.Damaged)) + a.MoreDamaged; n > 0 {
		says += ", " + units.Plural(n, "object") + " damaged"
	}
	return strings.TrimPrefix(says, ", ")
}

// grave counts the findings of a severity.
func (a *Audit) grave(severity string) (n int64) {
	for i := range a.Findings {
		if a.Findings[i].Severity == severity {
			n++
		}
	}
	return n
}

// unlisted says where findings are only counted.
func (a *Audit) unlisted() string {
	if a.Omitted > 0 {
		return fmt.Sprintf(" (%s not listed)", units.Count(a.Omitted))
	}
	if len(a.Findings) == 0 {
		return "see the report"
	}
	return ""
}
