package page

import (
	"fmt"
	"slices"
	"strings"

	"farshore/agent/report"
	"farshore/agent/units"
)

// verdict says what the audit came to, what that rests on, and nothing more.
func (b *builder) verdict() verdict {
	v := verdict{Basis: b.basis()}
	switch b.worst() {
	case report.VerdictIntact:
		v.Word, v.Tone, v.Sentence = "Intact", good, b.intact()
		if d := b.a.Drill; b.a.Mode == report.ModeDrill && d != nil {
			v.Word = "Restored"
			if d.Met != nil && !*d.Met {
				v.Word, v.Tone = "Restored, but late", warn
			}
		}
	case report.VerdictIncomplete:
		v.Word, v.Tone, v.Sentence = "Incomplete", warn, b.incomplete()
	case report.VerdictDamaged:
		v.Word, v.Tone, v.Sentence = "Damaged", bad, b.damaged()
		if b.severity("tampering") {
			v.Sentence += " And something was changed, hidden or forged by somebody who was not entitled to it."
		}
	case report.VerdictTampered:
		v.Word, v.Tone = "Tampered", tamper
		v.Sentence = "Something in the vault was changed, hidden or forged by somebody who was not entitled to it."
		if n := b.lost(); n > 0 {
			v.Sentence += " " + b.damaged()
		}
	default:
		v.Word, v.Tone, v.Sentence = "Unknown", warn, fmt.Sprintf("The report's verdict is a word that this program does not know: %q.", prose(b.a.Verdict))
	}
	if b.worst() != b.a.Verdict {
		v.Sentence += fmt.Sprintf(" (The report calls itself %s, and contradicts itself: see below.)", prose(b.a.Verdict))
	}
	return v
}

// worst is the report's verdict, or a worse one where the report itself lists what it does not admit.
func (b *builder) worst() string {
	order := []string{report.VerdictIntact, report.VerdictIncomplete, report.VerdictTampered, report.VerdictDamaged}
	stated := slices.Index(order, b.a.Verdict)
	if stated < 0 || stated > 1 { // damage and tampering are as grave as each other, and a report with both calls itself damaged
		return b.a.Verdict
	}
	least := 0
	switch {
	case b.lost() > 0 || b.severity("damage") || b.failed() > 0:
		least = 3
	case b.severity("tampering"):
		least = 2
	case b.a.End != report.EndDone && !b.a.InTime():
		least = 1
	}
	return order[max(stated, least)]
}

func (b *builder) severity(s string) bool {
	return slices.ContainsFunc(b.a.Findings, func(f report.AuditFinding) bool { return f.Severity == s })
}

// lost is how many objects are known to be damaged or missing.
func (b *builder) lost() int64 {
	return sum(int64(len(b.a.Damaged)), b.a.MoreDamaged)
}

// failed counts what was checked and found bad, at whatever level.
func (b *builder) failed() int64 {
	n := sum(b.a.Items.Failed, b.a.Items.Differ, b.a.Repos.Problems, b.a.Inventory.Missing, b.a.Inventory.WrongSize)
	for _, p := range b.a.Parts {
		n = sum(n, p.Failed)
	}
	if b.a.Drill != nil {
		n = sum(n, b.a.Drill.Failed)
	}
	return n
}

func (b *builder) intact() string {
	a := b.a
	switch p := b.part(report.PartAll); {
	case a.Mode == report.ModeDrill && a.Drill != nil:
		return b.drilled()
	case b.nothing():
		return "The vault holds nothing yet: there was nothing to check."
	case a.Mode == report.ModeFull && p != nil && p.Intact == p.Planned && p.Planned == sum(a.Population.Packs, a.Population.Pages):
		return fmt.Sprintf("All %s that the vault should hold were read, and each has the hash in its name.", units.Plural(p.Planned, "object"))
	}
	if a.InTime() {
		return "Nothing that was checked is damaged. How much that is, the run’s time decided: see below."
	}
	return "Nothing that was checked is damaged."
}

func (b *builder) incomplete() string {
	s := "Nothing that was checked is damaged, but not all was checked that was to be: "
	switch b.a.End {
	case report.EndInterrupted:
		return s + "the run was stopped. What it had verified until then counts."
	case report.EndTime:
		return s + "the time that it was given was over."
	case report.EndFailed:
		if b.a.Why != "" {
			return s + "it could not go on. " + capital(ended(prose(b.a.Why)))
		}
		return s + "it could not go on."
	}
	return s + "see “Not checked”."
}

func (b *builder) damaged() string {
	n := b.lost()
	if n == 0 {
		return "Some of what was checked is damaged."
	}
	verb := "are"
	if n == 1 {
		verb = "is"
	}
	return fmt.Sprintf("%s %s damaged or missing%s.", units.Plural(n, "stored object"), verb, b.hit())
}

// hit says what rests on what is damaged, as far as it is known.
func (b *builder) hit() string {
	var items, most int64
	snapshots := map[report.ChainPosition]bool{}
	more := false
	for _, d := range b.a.Damaged {
		items = sum(items, d.Items)
		for _, p := range d.First {
			snapshots[p] = true
		}
		most = max(most, d.Snapshots)
		more = more || d.Snapshots > int64(len(d.First)) || d.Items < 0
	}
	// Those that need two objects may be the same: what is sure is the larger number.
	n := max(most, int64(len(snapshots)))
	if n == 0 {
		return ""
	}
	least := ""
	if more || b.a.MoreDamaged > 0 {
		least = "at least "
	}
	s := fmt.Sprintf("; %s%s need", least, units.Plural(n, "snapshot"))
	if n == 1 {
		s += "s"
	}
	if s += " what they held"; items > 0 {
		s += fmt.Sprintf(", and %s rest on it", units.Plural(items, "item"))
	}
	return s
}

// drilled says what came of a restore drill.
func (b *builder) drilled() string {
	d := b.a.Drill
	took := seconds(d.Seconds)
	switch {
	case d.Met != nil && *d.Met:
		return fmt.Sprintf("A whole snapshot was restored elsewhere in %s, within the %s that were asked for.", took, length(d.TargetSeconds))
	case d.Met != nil:
		return fmt.Sprintf("A whole snapshot was restored elsewhere, and it took %s: longer than the %s that were asked for.", took, length(d.TargetSeconds))
	}
	return fmt.Sprintf("A whole snapshot was restored elsewhere in %s.", took)
}

// nothing reports whether the vault holds nothing that could be checked.
func (b *builder) nothing() bool {
	return b.a.Population.Packs == 0 && b.a.Population.Pages == 0
}

// basis are the levels, numbers and the time under the verdict's sentence.
func (b *builder) basis() string {
	a, all := b.a, sum(b.a.Population.Packs, b.a.Population.Pages)
	var list []string
	if a.Mode == report.ModeDrill && a.Drill != nil {
		list = append(list, fmt.Sprintf("%s (%s) restored", units.Plural(a.Drill.Items, "item"), units.Bytes(a.Drill.Bytes)))
	}
	switch n := a.Inventory.Present; {
	case n > 0 && n == all:
		list = append(list, fmt.Sprintf("all %s listed", units.Plural(all, "object")))
	case n > 0:
		list = append(list, fmt.Sprintf("%s objects listed", of(n, all)))
	}
	if n := a.ReadObjects; n > 0 {
		list = append(list, fmt.Sprintf("%s (%s) read whole and right", units.Plural(n, "object"), units.Bytes(a.ReadObjectBytes)))
	}
	if a.Items.Restored > 0 {
		list = append(list, fmt.Sprintf("%s put together from packs", units.Plural(a.Items.Restored, "item")))
	}
	if a.Items.Compared > 0 {
		list = append(list, fmt.Sprintf("%s compared with the source", units.Plural(a.Items.Compared, "item")))
	}
	s := "Checked until " + when(a.Time) + ": "
	if len(list) == 0 {
		s += "nothing."
	} else {
		s += strings.Join(list, "; ") + "."
	}
	if !a.Items.Tried && a.Mode != report.ModeDrill {
		s += " No item was put together: " + b.untried() + "."
	}
	return s
}

// untried says why no item was put together. A run that ended early may have had a key all the same: the report does not say.
func (b *builder) untried() string {
	if b.a.End != report.EndDone {
		return "the run ended before it came to that, or no key that opens packs was at hand"
	}
	return "no key that opens packs was at hand"
}

func (b *builder) part(name string) *report.Part {
	for i := range b.a.Parts {
		if b.a.Parts[i].Part == name {
			return &b.a.Parts[i]
		}
	}
	return nil
}

// meta says who ran what, when.
func (b *builder) meta() []fact {
	a := b.a
	kind := map[string]string{report.ModeSample: "sample within a budget", report.ModeFull: "everything", report.ModeDrill: "restore drill"}[a.Mode]
	if kind == "" {
		kind = prose(a.Mode)
	}
	ended := when(a.Time)
	if took := a.Time.Sub(a.Started); took > 0 && !a.Started.IsZero() {
		ended += ", after " + units.Duration(took)
	}
	by := "nobody: no report was left in the vault"
	if b.e.Signer != "" {
		by = fmt.Sprintf("%s, key %s", roleWord(b.e.Role), safe(b.e.Signer, maxName))
	}
	return []fact{
		{Label: "Run", Value: kind}, {Label: "Ended", Value: ended}, {Label: "Signed by", Value: by},
		{Label: "Vault", Value: a.Vault.String(), Code: true},
	}
}

func roleWord(role string) string {
	if role == "" {
		return "unknown role"
	}
	return "the " + prose(role)
}
