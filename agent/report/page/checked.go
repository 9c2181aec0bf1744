package page

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"farshore/agent/report"
	"farshore/agent/units"
)

// checked is the table of what was checked, level by level.
func (b *builder) checked() section {
	t := &table{Caption: "What was checked, by level", Head: []column{
		{Title: "Level"}, {Title: "What"}, {"Checked", true}, {"Of", true}, {"Failed", true}, {"Not given", true},
	}}
	if b.a.Mode != report.ModeDrill || b.a.Inventory.Present > 0 {
		t.Rows = append(t.Rows, b.inventoryRow())
	}
	for i := range b.a.Parts {
		t.Rows = append(t.Rows, partRow(&b.a.Parts[i]))
	}
	t.Rows = append(t.Rows, b.itemRows()...)
	t.Rows = append(t.Rows, b.writtenRows()...)
	if k := b.a.Keys; !k.DrillTime.IsZero() {
		t.Rows = append(t.Rows, levelRow("header", "headers of packs, on "+day(k.DrillTime), k.DrillOpened+k.DrillFailed, k.DrillDrawn, k.DrillFailed, k.DrillDrawn-k.DrillOpened-k.DrillFailed))
	}
	if d := b.a.Drill; d != nil {
		t.Rows = append(t.Rows, levelRow("drill", "items of a whole snapshot", d.Items, -1, d.Failed, -1))
	}
	if len(t.Rows) == 0 {
		return section{ID: "checked", Title: "What was checked", Paras: []string{"Nothing."}}
	}
	s := section{ID: "checked", Title: "What was checked", Table: t}
	s.Facts = append(s.Facts, fact{Label: "Budget", Value: b.budget()})
	s.Notes = levelNotes(t)
	if b.repositories() && b.a.Items.Tried {
		s.Notes = append(s.Notes, repositoryItems)
	}
	s.Facts = append(s.Facts, fact{Label: "Cost at the store", Value: fmt.Sprintf("%s, %s read", units.Plural(b.a.Requests, "request"), units.Bytes(b.a.ReadBytes))})
	return s
}

// repositoryItems says what is counted where a source holds repositories.
const repositoryItems = "Of a repository its history, its large files and what lies beside it are an item each."

// repositories reports whether the audit is known to be about some.
func (b *builder) repositories() bool {
	r := b.a.Repos
	return r.Checked > 0 || r.Problems > 0 || r.Unchecked > 0
}

// levels say what each level shows, in the order in which they are explained.
var levels = []struct{ name, words string }{
	{"inventory", "the store lists it, with the size that its commit says"},
	{"ciphertext", "all its bytes came from the store and hash to its name: it is what the agent stored. No key, nothing opened"},
	{"restore", "put together again; the SHA-256 is that of the record, or git's or Subversion's own check passed"},
	{"source", "what is at the source now has the bytes of the record"},
	{"read-back", "restored from the vault, before its commit, by the pass that wrote it, and compared with the source's hash"},
	{"header", "the recovery key opens it. No content was read"},
	{"drill", "restored elsewhere, whole and timed"},
}

// levelNotes explain the levels that a table has.
func levelNotes(t *table) []string {
	var list []string
	for _, l := range levels {
		if slices.ContainsFunc(t.Rows, func(r row) bool { return r[0].Text == l.name && r[0].Tone != muted }) {
			list = append(list, capital(l.name)+": "+l.words+".")
		}
	}
	if len(list) == 0 {
		return nil
	}
	return []string{strings.Join(list, " ")}
}

// levelRow is a row of numbers; of -1: there is no such number.
func levelRow(level, what string, checked, of, failed, unread int64) row {
	return row{{Text: level}, {Text: what}, {Text: orDash(checked)}, {Text: orDash(of)}, {Text: orDash(failed), Tone: alarm(failed, bad)}, {Text: orDash(unread), Tone: alarm(unread, warn)}}
}

func orDash(n int64) string {
	if n < 0 {
		return "–"
	}
	return units.Count(n)
}

func alarm(n int64, t tone) tone {
	if n > 0 {
		return t
	}
	return plain
}

// notTried is the row of a level at which nothing was done.
func notTried(level, why string) row {
	return row{{Text: level, Tone: muted}, {Text: why, Tone: muted}, {Text: "–"}, {Text: "–"}, {Text: "–"}, {Text: "–"}}
}

func (b *builder) inventoryRow() row {
	n, p := b.a.Inventory, b.a.Population
	what := "every object that a commit names"
	if !n.Done {
		what = "the listing did not come to its end"
	}
	failed := sum(n.Missing, n.WrongSize)
	return levelRow("inventory", what, sum(n.Present, n.Missing), sum(p.Packs, p.Pages), failed, -1)
}

// partWords say what a part of the draw is.
var partWords = map[string]string{
	report.PartPacks:    "packs, drawn uniformly",
	report.PartPages:    "pages, drawn uniformly",
	report.PartBytes:    "packs at positions drawn uniformly over all bytes",
	report.PartRisk:     "what was found bad before, and the newest",
	report.PartCoverage: "what was never, or longest ago, read",
	report.PartAll:      "every object",
}

func partRow(p *report.Part) row {
	what := partWords[p.Part]
	if what == "" {
		what = prose(p.Part)
	}
	if p.Bytes > 0 {
		what += " (" + units.Bytes(p.Bytes) + ")"
	}
	return levelRow("ciphertext", what, p.Checked, p.Planned, p.Failed, p.Unread)
}

// itemRows are those of items and repositories.
func (b *builder) itemRows() []row {
	i, r := b.a.Items, b.a.Repos
	var out []row
	switch {
	case i.Tried:
		out = append(out, levelRow("restore", fmt.Sprintf("items put together from packs (%s)", units.Bytes(i.Bytes)), i.Restored+i.Failed, i.Drawn, i.Failed, i.Locked))
	case b.a.Mode != report.ModeDrill:
		out = append(out, notTried("restore", "not tried: "+b.untried()))
	}
	if n := sum(r.Checked, r.Problems, r.Unchecked); n > 0 {
		out = append(out, levelRow("restore", "repositories, checked by git or Subversion", sum(r.Checked, r.Problems), n, r.Problems, r.Unchecked))
	}
	if n := sum(i.Compared, i.Changed, i.Unseen); n > 0 {
		what := "items read at the source"
		if i.Changed > 0 {
			what += fmt.Sprintf("; %s have changed since", units.Count(i.Changed))
		}
		out = append(out, levelRow("source", what, i.Compared, n, i.Differ, i.Unseen))
	}
	return out
}

// writtenRows say what was read back when it was written.
func (b *builder) writtenRows() []row {
	w := b.a.Written
	if w.Items == 0 && w.ItemsRead == 0 {
		return nil
	}
	return []row{levelRow("read-back", fmt.Sprintf("items, in the pass that wrote them (%s of %s)", units.Bytes(w.BytesRead), units.Bytes(w.Bytes)), w.ItemsRead, w.Items, -1, -1)}
}

// bounds says how much may be damaged at the most, and what that assumes.
func (b *builder) bounds() section {
	if len(b.a.Bounds) == 0 {
		return section{}
	}
	t := &table{Caption: "Upper bounds on the damaged share, from what was drawn uniformly", Head: []column{
		{Title: "Unit"}, {"Drawn", true}, {"Of", true}, {"Failed", true}, {"95 % confidence", true}, {"99 % confidence", true},
	}}
	s := section{ID: "bounds", Title: "How much may be damaged", Table: t}
	census := true
	for i := range b.a.Bounds {
		n := &b.a.Bounds[i]
		s.Paras = append(s.Paras, statement(n))
		population := units.Count(n.Population)
		switch {
		case n.Population <= 0:
			population = "not known"
		case n.Unit == report.UnitBytes:
			population = units.Bytes(n.Population)
		}
		t.Rows = append(t.Rows, row{
			{Text: prose(n.Unit)}, {Text: amount(n, n.Sampled)}, {Text: population}, {Text: amount(n, n.Failed), Tone: alarm(n.Failed, bad)},
			{Text: boundWord(n, n.Upper95)}, {Text: boundWord(n, n.Upper99)},
		})
		census = census && n.Method == report.MethodCensus
	}
	if census {
		s.Notes = []string{"All were asked for, so that nothing is estimated. What the store did not give counts as damaged. What is said holds for the time of reading."}
		return s
	}
	s.Notes = []string{
		"This assumes that the store could not foresee the draw, and gave the bytes that it keeps. The hash of the 32 random bytes that fix the draw was stored before anything was drawn, and the report reveals them: `farshore report check` draws again. What the store did not give counts as damaged. It holds for the time of reading, at the level of ciphertext where packs, pages and bytes are meant.",
		"A sample says little of a single object. One damaged pack among many is found by the coverage, within the time that it takes to go round.",
	}
	return s
}

// amount is a number of what was drawn: of a census of bytes they are bytes, of a sample of them positions.
func amount(n *report.Bound, of int64) string {
	if n.Unit == report.UnitBytes && n.Method == report.MethodCensus {
		return units.Bytes(of)
	}
	return units.Count(of)
}

func boundWord(n *report.Bound, f float64) string {
	if n.Method == report.MethodCensus {
		return share(n.Failed, n.Population)
	}
	return "≤ " + upper(f)
}

// statement is the sentence of one bound.
func statement(n *report.Bound) string {
	noun := map[string]string{report.UnitPacks: "packs", report.UnitPages: "pages", report.UnitBytes: "the packs' stored bytes", report.UnitItems: "items"}[n.Unit]
	if noun == "" {
		noun = prose(n.Unit)
	}
	verb := map[string]string{report.UnitBytes: "lie in damaged packs", report.UnitItems: "can't be restored"}[n.Unit]
	if verb == "" {
		verb = "are damaged"
		if n.Method == report.MethodCensus && n.Failed == 1 {
			verb = "is damaged"
		}
	}
	drawn := units.Count(n.Sampled)
	switch {
	case n.Method == report.MethodCensus && n.Failed == 0:
		none := map[string]string{report.UnitBytes: "none lie in damaged packs", report.UnitItems: "none failed to be restored"}[n.Unit]
		return fmt.Sprintf("Of %s, all of which were checked, %s.", noun, cmp.Or(none, "none are damaged"))
	case n.Method == report.MethodCensus:
		return fmt.Sprintf("Of %s, all of which were checked, %s (%s) %s.", noun, amount(n, n.Failed), share(n.Failed, n.Population), verb)
	case n.Sampled == 0:
		return fmt.Sprintf("Of %s none was drawn: up to 100 %% of them may be damaged, as far as this audit goes.", noun)
	case n.Unit == report.UnitBytes:
		drawn = units.Plural(n.Sampled, "position") + " in them"
	}
	return fmt.Sprintf("With 95 %% confidence at most %s of %s %s: %s drawn, %s of them damaged or not given.", upper(n.Upper95), noun, verb, drawn, units.Count(n.Failed))
}

// coverage says what was ever read whole, and whether the promise is kept.
func (b *builder) coverage() section {
	c := b.a.Coverage
	all, bytes := sum(c.Verified, c.Never), sum(c.VerifiedBytes, c.NeverBytes)
	if all == 0 {
		return section{}
	}
	s := section{ID: "coverage", Title: "Coverage", Strip: b.strip()}
	s.Facts = []fact{
		{Label: "Read whole, ever", Value: fmt.Sprintf("%s objects, %s of %s (%s of the bytes)", of(c.Verified, all), units.Bytes(c.VerifiedBytes), units.Bytes(bytes), share(c.VerifiedBytes, bytes)), Tone: toneOf(c.Never == 0, plain)},
	}
	if !c.Oldest.IsZero() {
		s.Facts = append(s.Facts, fact{Label: "Longest ago", Value: fmt.Sprintf("%s (%s before)", when(c.Oldest), since(c.Oldest, b.a.Time))})
	}
	never := fact{Label: "Never yet", Value: "nothing", Tone: good}
	if c.Never > 0 {
		never.Value, never.Tone = fmt.Sprintf("%s, %s", units.Plural(c.Never, "object"), units.Bytes(c.NeverBytes)), plain
		if !c.NeverSince.IsZero() {
			never.Value += "; the first of them was stored on " + when(c.NeverSince)
		}
	}
	s.Facts = append(s.Facts, never)
	s.Facts = append(s.Facts, b.promiseFacts()...)
	s.Notes = []string{"Read whole is the level ciphertext: every byte came from the store and hashes to the name."}
	return s
}

func (b *builder) promiseFacts() []fact {
	c, g := b.a.Coverage, b.a.Budget
	if c.Met == nil {
		return []fact{{Label: "Promise", Value: "none: nobody said within how many days everything is to be read"}}
	}
	f := fact{Label: "Promise", Value: fmt.Sprintf("everything within %s: kept", units.Plural(g.CoverageDays, "day")), Tone: good}
	if !*c.Met {
		f.Value = fmt.Sprintf("everything within %s: broken, %s (%s) overdue", units.Plural(g.CoverageDays, "day"), units.Plural(c.Overdue, "object"), units.Bytes(c.OverdueBytes))
		f.Tone = warn
	}
	out := []fact{f}
	if c.Feasible != nil {
		need := fact{Label: "To keep it", Value: fmt.Sprintf("an audit reads %s", units.Bytes(c.NeededBytes))}
		if g.EverySeconds > 0 {
			need.Value += " every " + units.Duration(time.Duration(min(g.EverySeconds, 1<<33))*time.Second)
		}
		need.Value += "; the budget is " + b.budgetBytes()
		if !*c.Feasible {
			need.Tone = warn
		}
		out = append(out, need)
	}
	return out
}
