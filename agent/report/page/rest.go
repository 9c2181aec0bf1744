package page

import (
	"fmt"
	"strings"
	"time"

	"farshore/agent/report"
	"farshore/agent/units"
)

// sizes is what the vault holds.
func (b *builder) sizes() section {
	p := b.a.Population
	if b.nothing() && p.Commits == 0 {
		return section{}
	}
	s := section{ID: "sizes", Title: "Size"}
	s.Facts = []fact{
		{Label: "Packs", Value: fmt.Sprintf("%s, %s", units.Count(p.Packs), units.Bytes(p.PackBytes))},
		{Label: "Pages", Value: fmt.Sprintf("%s, %s", units.Count(p.Pages), units.Bytes(p.PageBytes))},
		{Label: "Named by", Value: fmt.Sprintf("%s of %s", units.Plural(p.Commits, "commit"), units.Plural(p.Chains, "chain"))},
	}
	if p.Items > 0 {
		s.Facts = append(s.Facts, fact{Label: "Newest snapshots hold", Value: fmt.Sprintf("%s, %s", units.Plural(p.Items, "item"), units.Bytes(p.ItemBytes))})
	}
	if g := b.growth(); g != "" {
		s.Facts = append(s.Facts, fact{Label: "Growth", Value: g})
	}
	return s
}

// growth says how much more is stored than about thirty days before, by the audits on record.
func (b *builder) growth() string {
	const span = 30 * 24 * time.Hour
	var then *report.Audit
	for _, e := range b.past {
		if a := e.Audit; a != b.a && storedBytes(a) > 0 && (then == nil || !a.Time.After(b.a.Time.Add(-span))) {
			then = a
		}
	}
	if then == nil {
		return ""
	}
	before, now := storedBytes(then), storedBytes(b.a)
	sign, grown := "+", now-before
	if grown < 0 {
		sign, grown = "−", -grown
	}
	return fmt.Sprintf("%s%s since %s", sign, units.Bytes(grown), day(then.Time))
}

func storedBytes(a *report.Audit) int64 {
	return sum(a.Population.PackBytes, a.Population.PageBytes)
}

// notChecked is what the audit did not check, as numbers.
func (b *builder) notChecked() section {
	s := section{ID: "not-checked", Title: "Not checked"}
	if len(b.a.NotChecked) == 0 {
		s.Paras = []string{"The report lists nothing that was left unchecked at the levels above. What no level is about, it says nothing of."}
		return s
	}
	t := &table{Caption: "What was not checked, and why", Head: []column{{Title: "What"}, {"How many", true}, {Title: "Why"}}}
	for i, n := range b.a.NotChecked {
		if i == maxRows {
			t.More = fmt.Sprintf("… and %d more", len(b.a.NotChecked)-i)
			break
		}
		count := "not known"
		if n.Count >= 0 {
			count = units.Count(n.Count)
		}
		t.Rows = append(t.Rows, row{{Text: prose(n.What)}, {Text: count}, {Text: prose(n.Why)}})
	}
	s.Table = t
	return s
}

// provenance is what anybody needs to check the report.
func (b *builder) provenance() section {
	a := b.a
	s := section{ID: "provenance", Title: "How to check this report", Folded: true}
	s.Facts = originFacts(b.e)
	s.Facts = append(s.Facts, fact{Label: "Program", Value: prose(a.Program)})
	s.Facts = append(s.Facts, fact{Label: "Owner's statement", Value: fmt.Sprintf("number %d", a.Statement)})
	if a.Commitment != nil {
		s.Facts = append(s.Facts, fact{Label: "Commitment", Value: a.Commitment.String(), Code: true})
	}
	if a.Seed != nil {
		s.Facts = append(s.Facts, fact{Label: "Seed", Value: a.Seed.String(), Code: true})
	}
	if a.Prev != nil {
		s.Facts = append(s.Facts, fact{Label: "Report before it", Value: a.Prev.String(), Code: true})
	}
	switch {
	case b.e.Name == "":
		s.Paras = []string{"This run left no report in the vault, so that nobody else can check it."}
	case a.Commitment == nil:
		s.Paras = []string{"The report is signed and chained to the one before it. It drew nothing, so that there is nothing to draw again."}
	default:
		s.Paras = []string{fmt.Sprintf("`farshore report check %s` draws again: it checks the signature, that the commitment was stored before, that the seed is the one committed to, and that what was read is what the seed draws.", safe(b.e.Name, maxPath))}
	}
	s.Table = b.headTable()
	return s
}

// originFacts say which object a report is.
func originFacts(e *report.Entry) []fact {
	if e.Name == "" {
		return nil
	}
	out := []fact{{Label: "Report", Value: safe(e.Name, maxPath), Code: true}}
	if !e.Hash.IsZero() {
		out = append(out, fact{Label: "SHA-256", Value: e.Hash.String(), Code: true})
	}
	return append(out, fact{Label: "Signer", Value: fmt.Sprintf("%s, key %s", roleWord(e.Role), safe(e.Signer, maxName))})
}

func (b *builder) headTable() *table { return headTable(b.a.Heads, b.source) }

// headTable lists the heads that a report is as of.
func headTable(heads []report.Head, source func(string) string) *table {
	if len(heads) == 0 {
		return nil
	}
	t := &table{Caption: "The newest commits of the chains, which the report is as of", Head: []column{{Title: "Chain"}, {"Commit", true}, {Title: "SHA-256"}}}
	for i, h := range heads {
		if i == maxHeads {
			t.More = fmt.Sprintf("… and %s more", units.Plural(int64(len(heads)-i), "chain"))
			break
		}
		t.Rows = append(t.Rows, row{{Text: source(h.Chain)}, {Text: fmt.Sprint(h.Seq)}, {Text: h.Hash.String(), Code: true}})
	}
	return t
}

// headerDocument shows a header drill.
func headerDocument(e *report.Entry) document {
	d := e.Drill
	v := verdict{Word: "Opened", Tone: good, Sentence: fmt.Sprintf("The recovery key opened all %s that were drawn.", units.Plural(d.Drawn, "header"))}
	switch {
	case d.Alarming():
		v = verdict{Word: "Damaged", Tone: bad, Sentence: fmt.Sprintf("The recovery key opened %s headers; something is wrong with the others, or beside them.", of(d.Opened, d.Drawn))}
	case !d.Clean():
		v = verdict{Word: "Incomplete", Tone: warn, Sentence: fmt.Sprintf("The recovery key opened %s headers; the others could not be read, or none was drawn.", of(d.Opened, d.Drawn))}
	}
	v.Basis = fmt.Sprintf("Checked: the headers of %s packs, at the level header. No content was read.", of(d.Drawn, d.Population))
	out := document{Title: "Header drill of vault " + short(d.Vault.String()), Verdict: v, Meta: []fact{
		{Label: "Run", Value: "header drill"}, {Label: "Ended", Value: when(d.Time)}, {Label: "Signed by", Value: roleWord(e.Role) + ", key " + safe(e.Signer, maxName)},
		{Label: "Vault", Value: d.Vault.String(), Code: true},
	}}
	t := &table{Caption: "Headers that were drawn", Head: []column{{"Packs in the vault", true}, {"Drawn", true}, {"Opened", true}, {"Failed", true}, {"Not given", true}},
		Rows: []row{{{Text: units.Count(d.Population)}, {Text: units.Count(d.Drawn)}, {Text: units.Count(d.Opened)}, {Text: units.Count(d.Failed), Tone: alarm(d.Failed, bad)}, {Text: units.Count(d.Unread), Tone: alarm(d.Unread, warn)}}}}
	for _, f := range d.Findings[:min(len(d.Findings), maxActs)] {
		tn := bad
		if f.Kind == report.Unread {
			tn = warn
		}
		out.Acts = append(out.Acts, newAct(tn, fmt.Sprintf("pack %s: %s", f.Pack, strings.ReplaceAll(prose(f.Kind), "-", " ")), "", prose(f.Detail)))
	}
	if n := sum(int64(len(d.Findings)-len(out.Acts)), d.Omitted); n > 0 {
		out.MoreActs = fmt.Sprintf("%s more are not shown here.", units.Count(n))
	}
	out.Sections = []section{
		{ID: "checked", Title: "What was checked", Table: t},
		{ID: "provenance", Title: "How to check this report", Folded: true, Facts: originFacts(e), Table: headTable(d.Heads, func(c string) string { return "chain " + short(c) })},
	}
	return out
}

// commitmentDocument shows a commitment that no audit reveals.
func commitmentDocument(e *report.Entry) document {
	c := e.Commitment
	b := &builder{e: e, a: &report.Audit{Budget: c.Budget}}
	return document{
		Title: "Commitment to an audit of vault " + short(c.Vault.String()),
		Verdict: verdict{Word: "Announced", Tone: muted, Sentence: "An audit was announced, and its draw fixed by the hash of a secret number. This is no result.",
			Basis: "Checked: nothing yet. A commitment that no report follows was abandoned: the run died, or somebody did not like what it found."},
		Meta: []fact{
			{Label: "Stored", Value: when(c.Time)}, {Label: "Signed by", Value: roleWord(e.Role) + ", key " + safe(e.Signer, maxName)},
			{Label: "Budget", Value: b.budget()}, {Label: "Vault", Value: c.Vault.String(), Code: true},
		},
		Sections: []section{{ID: "provenance", Title: "How to check this report", Facts: append(originFacts(e), fact{Label: "Hash of the seed", Value: c.Seed.String(), Code: true}),
			Table: headTable(c.Heads, func(s string) string { return "chain " + short(s) })}},
	}
}
