// Package page shows an audit to people: as text that fits a terminal, and as one self-contained page of HTML. It is pure: it reads nothing but what it is given, looks at
// no clock, and its output hangs on its input alone. It claims nothing that the audit does not say: a share that was checked is rounded down, a bound up, and every number
// stands with its level and its time. Strings of a report are a stranger's: none of them can move a cursor, end a tag or turn the direction of what is beside it.
package page

import (
	"slices"
	"time"

	"farshore/agent/report"
)

// View is what is shown of a report. It is not changed after NewView, and may be shown by several goroutines at once.
type View struct {
	doc document
}

// Bounds of what is shown: the report's JSON has everything.
const (
	maxActs    = 60  // findings with what to do about them
	maxNotices = 60  // findings that ask for nothing
	maxRows    = 200 // of a table
	maxHeads   = 200 // of the heads
)

// NewView makes a view of a report, of whatever kind. names may be nil: then sources are shown by their chain's id and items not at all. history are the shelf's entries, in any
// order; it may hold the entry itself, and what is newer is left out. An entry without Hash is of a run that left no report. Nothing that is passed in is kept or changed.
func NewView(e *report.Entry, names *report.Names, history []*report.Entry) *View {
	if e == nil {
		e = new(report.Entry)
	}
	switch {
	case e.Audit != nil:
		b := &builder{e: e, a: e.Audit, names: names}
		b.past = pastOf(e, history)
		if e.Signer != "" && !e.Hash.IsZero() {
			b.dropped = report.Dropped(history, e)
		}
		return &View{doc: b.document()}
	case e.Drill != nil:
		return &View{doc: headerDocument(e)}
	case e.Commitment != nil:
		return &View{doc: commitmentDocument(e)}
	}
	return &View{doc: document{
		Title:   "Report",
		Verdict: verdict{Word: "Empty", Tone: muted, Sentence: "There is nothing in this report that this program can show."},
	}}
}

// builder makes the document of an audit.
type builder struct {
	e     *report.Entry
	a     *report.Audit
	names *report.Names
	past  []*report.Entry // audits up to and with this one, oldest first
	// dropped are commitments of the signer's before this audit, of which nobody told what came.
	dropped []*report.Entry
}

// tone says how something is meant; a style, never the only sign of it.
type tone string

const (
	plain  tone = ""
	good   tone = "good"
	muted  tone = "muted"
	warn   tone = "warn"
	bad    tone = "bad"
	tamper tone = "tamper"
)

// document is what both forms show, in its order.
type document struct {
	Title    string
	Verdict  verdict
	Meta     []fact // who, when, of what
	Cards    []card
	Acts     []act
	MoreActs string // says how many acts were left out
	Notices  []string
	Sections []section
}

// verdict is the one thing that everybody reads.
type verdict struct {
	Word     string
	Tone     tone
	Sentence string
	// Basis are the levels and numbers that it rests on.
	Basis string
}

// card is a number that matters, with what it means.
type card struct {
	Label, Value, Note string
	Tone               tone
}

// act is something that was found and what to do about it.
type act struct {
	Tone   tone
	Word   string // what the tone says
	Title  string
	Lines  []string
	Advice string
}

// section is a part of the document.
type section struct {
	ID, Title string
	Paras     []string
	Facts     []fact
	Table     *table
	Notes     []string // below the table
	Strip     *strip
	Charts    []chart
	// Only "html": not in the text.
	Only string
	// Folded sections are closed at first, where there is something to fold.
	Folded bool
}

// fact is a labelled value.
type fact struct {
	Label, Value string
	Tone         tone
	Code         bool // an identifier, to be shown letter by letter
}

// table is a table with a caption.
type table struct {
	Caption string
	Head    []column
	Rows    []row
	More    string
}

type column struct {
	Title  string
	Number bool
}

type row []cell

type cell struct {
	Text string
	Tone tone
	Bar  *bar
	Code bool
}

// bar is a bullet: a share of the width, and where the target is.
type bar struct {
	Value, Target float64 // 0 to 100
	Tone          tone
}

// document puts the sections together.
func (b *builder) document() document {
	d := document{Title: "Audit of vault " + short(b.a.Vault.String()), Verdict: b.verdict(), Meta: b.meta(), Cards: b.cards()}
	d.Acts, d.MoreActs, d.Notices = b.acts()
	for _, s := range []section{
		b.checked(), b.drill(), b.bounds(), b.coverage(), b.history(), b.sources(), b.kept(), b.locks(), b.keys(), b.sizes(), b.notChecked(), b.provenance(),
	} {
		if s.ID != "" {
			d.Sections = append(d.Sections, s)
		}
	}
	return d
}

// pastOf returns the audits of the history that are not newer than the entry, and the entry: oldest first, each once, at most report's own bound of them.
func pastOf(e *report.Entry, history []*report.Entry) []*report.Entry {
	var out []*report.Entry
	for _, h := range history {
		if h == nil || h == e || h.Audit == nil || h.Audit.Time.After(e.Audit.Time) {
			continue
		}
		if h.Name != "" && h.Name == e.Name || !h.Hash.IsZero() && h.Hash == e.Hash || !sane(h.Audit.Time) {
			continue
		}
		out = append(out, h)
	}
	slices.SortStableFunc(out, func(x, y *report.Entry) int { return x.Audit.Time.Compare(y.Audit.Time) })
	if sane(e.Audit.Time) {
		out = append(out, e)
	}
	return out
}

// sane reports whether a time can be drawn on an axis.
func sane(t time.Time) bool {
	return t.Year() >= 1970 && t.Year() <= 9999
}
