package page

import (
	"fmt"
	"slices"
	"strings"

	"farshore/agent/report"
	"farshore/agent/units"
)

// acts are what asks for something to be done, the worst first, and what was left out of them; notices ask for nothing.
func (b *builder) acts() (list []act, more string, notices []string) {
	list = append(list, b.contradiction()...)
	list = append(list, b.tampering()...)
	list = append(list, b.damages()...)
	list = append(list, b.broken()...)
	list = append(list, b.states()...)
	slices.SortStableFunc(list, func(x, y act) int { return rank(x.Tone) - rank(y.Tone) })
	if n := len(list); n > maxActs {
		list = list[:maxActs]
		more = fmt.Sprintf("%s more are in the report's JSON (`farshore report show --format json`).", units.Count(int64(n-maxActs)))
	}
	hidden := sum(b.a.Omitted, b.a.MoreDamaged)
	if hidden > 0 {
		more = strings.TrimSpace(more + fmt.Sprintf(" The report counts %s more that it does not list.", units.Count(hidden)))
	}
	if b.e.Trimmed {
		notices = append(notices, "The lists of this older report were not read with it: its parts, findings, damages and sources are only counted.")
	}
	for _, f := range b.a.Findings {
		if f.Severity != "tampering" && f.Severity != "damage" {
			notices = append(notices, b.findingText(f))
		}
	}
	if n := len(notices); n > maxNotices {
		notices = append(notices[:maxNotices], fmt.Sprintf("… and %s more", units.Count(int64(n-maxNotices))))
	}
	return list, more, notices
}

func rank(t tone) int { return slices.Index([]tone{tamper, bad, warn}, t) }

func newAct(t tone, title, advice string, lines ...string) act {
	word := map[tone]string{tamper: "Tampering", bad: "Damage", warn: "Attention"}[t]
	return act{Tone: t, Word: word, Title: title, Advice: advice, Lines: lines}
}

func (b *builder) contradiction() []act {
	if b.worst() == b.a.Verdict {
		return nil
	}
	return []act{newAct(warn, fmt.Sprintf("The report calls itself %s and says otherwise", prose(b.a.Verdict)),
		"Do not rely on it. Look at who signed it, and run `farshore verify` from a machine that you trust.")}
}

// tampering are the findings of that severity.
func (b *builder) tampering() []act {
	var out []act
	for _, f := range b.a.Findings {
		if f.Severity == "tampering" {
			out = append(out, newAct(tamper, b.findingText(f), ""))
		}
	}
	if len(out) > 0 {
		out[0].Advice = "Find out whose credential did it, and replace it. Restore nothing over what you still have until you know since when. The right versions are read from beneath, where the store still has them."
	}
	return out
}

// findingText writes a finding with the names that it is about.
func (b *builder) findingText(f report.AuditFinding) string {
	s := prose(f.Text)
	if f.Item > 0 {
		s = b.item(f.Item) + ": " + s
	}
	if f.Object != "" {
		s = safe(f.Object, maxPath) + ": " + s
	}
	return s
}

// damages are the objects that are known to be damaged, those that hit the most first.
func (b *builder) damages() []act {
	list := slices.Clone(b.a.Damaged)
	slices.SortStableFunc(list, func(x, y report.Damage) int {
		if x.Snapshots != y.Snapshots {
			return int(max(-1, min(1, y.Snapshots-x.Snapshots)))
		}
		return strings.Compare(x.Object, y.Object)
	})
	var out []act
	for i := range list {
		out = append(out, b.damage(&list[i]))
	}
	return out
}

var damageWords = map[string]string{
	report.DamageMissing:  "is missing: the store does not have it",
	report.DamageBytes:    "is damaged: its bytes do not have the hash in its name",
	report.DamageSize:     "is damaged: it has another size than its commit says",
	report.DamageWithheld: "is withheld: the store lists it and does not give it",
	report.DamageSeal:     "can't be opened: its bytes are right, and the recovery key does not open it",
	report.DamageContent:  "is wrong within: it opens, and what it holds is not what the records say",
}

func (b *builder) damage(d *report.Damage) act {
	word := damageWords[d.Kind]
	if word == "" {
		word = "is damaged: " + prose(d.Kind)
	}
	advice := ended(prose(d.Advice))
	if advice == "" {
		advice = remedyWords[d.Remedy]
	}
	if advice == "" {
		advice = remedyWords[report.RemedyUnknown]
	}
	out := newAct(bad, safe(d.Object, maxPath)+" "+word, advice)
	if !d.Since.IsZero() {
		out.Lines = append(out.Lines, "Found first on "+when(d.Since)+".")
	}
	out.Lines = append(out.Lines, b.needs(d)...)
	return out
}

var remedyWords = map[string]string{
	report.RemedySource:   "What it hits is unchanged at its source: the next `farshore replicate` stores it anew. Run `farshore verify` after it.",
	report.RemedyPartly:   "A part of what it hits is unchanged at its source: the next `farshore replicate` stores that anew. For the rest, look for another copy of this object: whatever has the SHA-256 in its name can be put back.",
	report.RemedyNone:     "What it hits is no longer at its source as it was. Look for another copy of this object: whatever has the SHA-256 in its name can be put back. Restore what is whole of the snapshots named before they are needed.",
	report.RemedyUnknown:  "Run `farshore verify` with the recovery identity where the sources can be read: it says what rests on this object and what can make it good.",
	report.RemedyNeedless: "Nothing is lost: no snapshot needs it, or no content rests on it.",
}

// needs says what rests on a damaged object.
func (b *builder) needs(d *report.Damage) []string {
	var out []string
	if d.Snapshots > 0 || len(d.First) > 0 {
		n := max(d.Snapshots, int64(len(d.First)))
		verb := " need it"
		if n == 1 {
			verb = " needs it"
		}
		out = append(out, ended(units.Plural(n, "snapshot")+verb+b.snapshots(d.First, n)))
	}
	switch {
	case d.Items < 0:
		out = append(out, "Which items rest on it is not known: no key that opens the records was at hand.")
	case d.Items > 0:
		verb := " rest on it"
		if d.Items == 1 {
			verb = " rests on it"
		}
		out = append(out, b.named(units.Plural(d.Items, "item")+verb, d)...)
	}
	return out
}

// named adds the names of the items that rest on a damage to a sentence, each on its own line.
func (b *builder) named(s string, d *report.Damage) []string {
	names := d.Names[:min(len(d.Names), report.MaxRefs)]
	switch {
	case len(names) == 0:
		return []string{s + "."}
	case b.names == nil:
		return []string{s + "; which is sealed: who has the metadata key sees it."}
	}
	out := []string{s + ":"}
	for _, n := range names {
		out = append(out, "· "+b.item(n))
	}
	if left := d.Items - int64(len(names)); left > 0 {
		out = append(out, fmt.Sprintf("· … and %s more", units.Count(left)))
	}
	return out
}

// snapshots names the first snapshots of a list of n.
func (b *builder) snapshots(first []report.ChainPosition, n int64) string {
	if len(first) == 0 {
		return ""
	}
	var list []string
	first = first[:min(len(first), report.MaxRefs)]
	for i := 0; i < len(first); {
		chain := first[i].Chain
		var seqs []string
		for ; i < len(first) && first[i].Chain == chain; i++ {
			seqs = append(seqs, fmt.Sprint(first[i].Seq))
		}
		list = append(list, b.source(chain)+" "+strings.Join(seqs, ", "))
	}
	s := ": " + strings.Join(list, "; ")
	if n > int64(len(first)) {
		s += ", …"
	}
	return s
}

// item is an item's name by its index in the sealed names.
func (b *builder) item(i int64) string {
	if b.names == nil || i < 1 || i > int64(len(b.names.Items)) {
		return "(sealed)"
	}
	return safe(b.names.Items[i-1], maxPath)
}

// source is a source's name, or the beginning of its chain's id.
func (b *builder) source(chain string) string {
	if b.names != nil && b.names.Sources[chain] != "" {
		return safe(b.names.Sources[chain], maxName)
	}
	return "chain " + short(chain)
}

// broken are the findings of damage that are about no object that is listed as damaged, and what was counted as failed.
func (b *builder) broken() []act {
	listed := map[string]bool{}
	for _, d := range b.a.Damaged {
		listed[d.Object] = true
	}
	var out []act
	for _, f := range b.a.Findings {
		if f.Severity == "damage" && !listed[f.Object] {
			out = append(out, newAct(bad, b.findingText(f), ""))
		}
	}
	a := b.a
	if a.Items.Differ > 0 {
		out = append(out, newAct(bad, units.Plural(a.Items.Differ, "item")+" at the source had other bytes than the record, though nothing says that they changed",
			"Compare these items with the source by hand. Either the source was changed without its version and time changing, which is what malware does, or one of the two is damaged."))
	}
	if a.Repos.Problems > 0 {
		out = append(out, newAct(bad, some(a.Repos.Problems, "repository")+" did not pass the check of git or Subversion",
			"Restore the snapshot before it into a scratch directory (`farshore restore`), check it there, and run `farshore replicate` with the repository's source whole."))
	}
	if d := a.Drill; d != nil && d.Failed > 0 {
		out = append(out, newAct(bad, units.Plural(d.Failed, "item")+" could not be restored in the drill",
			"Run `farshore verify --full` with the recovery identity: it says which stored objects are the reason."))
	}
	return out
}
