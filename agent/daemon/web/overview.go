package web

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"farshore/agent/daemon"
	"farshore/agent/units"
)

// glance is what the first page says at a glance, and all of it that the script keeps up to date: /live.json is this.
type glance struct {
	// Version changes when something changed that only the server draws.
	Version string `json:"version"`
	// Busy says that something runs or waits.
	Busy bool `json:"busy"`
	// At is when all of this was known.
	At    string `json:"at"`
	Tone  tone   `json:"tone"`
	Word  string `json:"word"`
	Lead  string `json:"lead"`
	Basis string `json:"basis"`
	Cards []card `json:"cards"`
	Acts  []act  `json:"acts"`
	// MoreActs says how many were left out, "" for none.
	MoreActs string `json:"more_acts"`
	Sources  []row  `json:"sources"`
	Checks   []row  `json:"checks"`
}

// card is a number that matters, with what it means.
type card struct {
	Key   string `json:"key"`
	Label string `json:"label"`
	Value string `json:"value"`
	Note  string `json:"note"`
	Tone  tone   `json:"tone"`
	Href  string `json:"href,omitempty"`
}

// builder makes what is shown of one moment.
type builder struct {
	st    *daemon.Status
	c     clock
	guard guard
	audit lastAudit
}

func (s *site) builder() *builder {
	st := s.o.Status()
	if st.Now.IsZero() {
		st.Now = s.o.Now()
	}
	b := &builder{st: &st, c: newClock(st.Now, st.Zone)}
	b.guard = guardOf(s.protection(), st.Probe, b.c)
	b.audit = newestAudit(&st, s.o.Shelf)
	return b
}

// lastAudit is the newest audit that is known: this daemon's, or one that somebody left in the vault.
type lastAudit struct {
	known         bool
	verdict, line string
	hash          string
	time          time.Time
	coverage      *float64 // of the stored bytes that were verified at some time; nil where that is not known
}

func newestAudit(st *daemon.Status, shelf Shelf) lastAudit {
	var a lastAudit
	if j := st.Verify; j != nil && j.Last != nil && j.Last.Audit != nil && j.Last.Audit.Verdict != "" {
		own := j.Last.Audit
		a = lastAudit{true, own.Verdict, own.Line, own.Report, j.Last.Ended, own.Coverage}
	}
	reports, _ := shelf.Reports()
	for i := range reports {
		if r := &reports[i]; r.Verdict != "" {
			if !a.known || r.Time.After(a.time) && r.Hash != a.hash {
				a = lastAudit{true, r.Verdict, r.Line, r.Hash, r.Time, nil}
			}
			break
		}
	}
	return a
}

// href is where the report is, "" where none was left.
func (a *lastAudit) href() string {
	if !isHash(a.hash) {
		return ""
	}
	return "/report/" + a.hash
}

// within counts the sources whose newest good snapshot is not older than it may be, whatever else is wrong with them.
const within = "within"

// glance puts together what the first page says.
func (b *builder) glance() *glance {
	g := &glance{Version: b.version(), At: b.c.exact(b.st.Now)}
	count := map[string]int{}
	for i := range b.st.Sources {
		s := &b.st.Sources[i]
		r := sourceRow(s, b.c)
		count[r.State]++
		if s.Good != nil && s.MaxAgeSeconds > 0 && !s.Late {
			count[within]++
		}
		g.Sources = append(g.Sources, r)
		g.Busy = g.Busy || s.Running != nil || !s.Waiting.IsZero()
	}
	g.Checks = b.checks()
	for _, j := range []*daemon.JobStatus{b.st.Probe, b.st.Verify} {
		g.Busy = g.Busy || j != nil && (j.Running != nil || !j.Waiting.IsZero())
	}
	all := b.acts()
	g.Acts = all[:min(len(all), maxActs)]
	if n := len(all) - len(g.Acts); n > 0 {
		g.MoreActs = fmt.Sprintf("… and %s more: each source's own page says what is wrong with it.", units.Count(int64(n)))
	}
	b.judge(g, all, count)
	g.Cards = b.cards(count)
	return g
}

// judge is the one thing that everybody reads.
func (b *builder) judge(g *glance, all []act, count map[string]int) {
	g.Basis = b.basis(count)
	unknown := b.unknown(count)
	worst := muted
	if len(all) > 0 {
		worst = all[0].Tone
	}
	switch {
	case b.st.Stopping:
		g.Word, g.Tone, g.Lead = "Stopping", muted, "The daemon is coming to its end: what runs commits what is whole, and nothing is begun."
	case len(all) > 0:
		g.Word, g.Tone, g.Lead = map[tone]string{bad: "Needs you now", tamper: "Suspicious"}[worst], worst, ended(capital(all[0].Title))
		if g.Word == "" {
			g.Word = "Needs a look"
		}
		if n := len(all) - 1; n > 0 {
			g.Lead += fmt.Sprintf(" And %s.", units.Plural(int64(n), "more thing")+" below")
		}
	case len(b.st.Sources) == 0:
		g.Word, g.Tone, g.Lead = "Nothing to protect", muted, "The configuration names no source: `farshore source add` adds one."
	case count["Fresh"]+count["No limit set"] == 0:
		g.Word, g.Tone, g.Lead = "Not known yet", muted, "This daemon knows of no good snapshot yet. Nothing has failed either."
	case len(unknown) > 0:
		g.Word, g.Tone, g.Lead = "No trouble known", muted, "Nothing is known to be wrong. But "+joined(unknown)+"."
	default:
		g.Word, g.Tone, g.Lead = "All well", good, "Each source has a good snapshot that is as fresh as it should be, the agent's credential is proven to add only, and the newest audit found nothing damaged in what it checked."
	}
}

// unknown are what keeps the page from saying that all is well.
func (b *builder) unknown(count map[string]int) []string {
	var out []string
	if n := count["Not known yet"]; n > 0 {
		out = append(out, "of "+units.Plural(int64(n), "source")+" no good snapshot is known")
	}
	if n := count["No limit set"]; n > 0 {
		out = append(out, "of "+units.Plural(int64(n), "source")+" nobody said how old a snapshot may be (`max_age`)")
	}
	if b.guard.tone == muted {
		out = append(out, "nothing is known of the agent's credential")
	}
	if !b.audit.known {
		out = append(out, "no audit of the vault is known")
	}
	return out
}

// basis is what the verdict rests on: with its numbers and times.
func (b *builder) basis(count map[string]int) string {
	n := len(b.st.Sources)
	if n == 0 {
		return ""
	}
	out := []string{fmt.Sprintf("%s of %s known to be fresh enough.", units.Count(int64(count[within])), units.Plural(int64(n), "source"))}
	if n == 1 {
		out[0] = map[bool]string{true: "The source is known to be fresh enough.", false: "The source is not known to be fresh enough."}[count[within] == 1]
	}
	if !b.guard.tried.IsZero() && b.guard.proof != nil {
		out = append(out, "The credential was last tried "+b.c.at(b.guard.tried)+": "+strings.ToLower(b.guard.word)+".")
	}
	if b.audit.known {
		word, _ := verdictWord(b.audit.verdict)
		out = append(out, "The newest audit, of "+b.c.at(b.audit.time)+": "+strings.ToLower(word)+".")
	}
	return strings.Join(out, " ")
}

func (b *builder) cards(count map[string]int) []card {
	return []card{b.freshCard(count), b.runningCard(), b.guardCard(), b.auditCard()}
}

func (b *builder) freshCard(count map[string]int) card {
	n := len(b.st.Sources)
	k := card{Key: "fresh", Label: "Fresh sources", Value: fmt.Sprintf("%s of %s", units.Count(int64(count[within])), units.Count(int64(n))), Tone: muted}
	var rest []string
	for _, state := range []string{"Alarm", "Late", "Suspicious", "Failing", "Incomplete", "No limit set", "Not known yet"} {
		if count[state] > 0 {
			rest = append(rest, units.Count(int64(count[state]))+" "+strings.ToLower(state))
		}
	}
	switch {
	case n > 0 && count["Fresh"] == n:
		k.Tone, k.Note = good, "each within its max_age"
	case count["Alarm"]+count["Late"] > 0:
		k.Tone = bad
	case count["Suspicious"] > 0:
		k.Tone = tamper
	case count["Failing"]+count["Incomplete"] > 0:
		k.Tone = warn
	}
	if len(rest) > 0 {
		k.Note = joined(rest)
	}
	return k
}

func (b *builder) runningCard() card {
	running, waiting := 0, 0
	var next time.Time
	first := ""
	for i := range b.st.Sources {
		s := &b.st.Sources[i]
		switch {
		case s.Running != nil:
			running++
		case !s.Waiting.IsZero():
			waiting++
		case len(s.Next) > 0 && (next.IsZero() || s.Next[0].Before(next)):
			next, first = s.Next[0], title(s.Name)
		}
	}
	k := card{Key: "running", Label: "Passes under way", Value: strconv.Itoa(running), Tone: muted}
	if running == 0 {
		k.Value = "None"
	}
	var list []string
	if waiting > 0 {
		list = append(list, units.Count(int64(waiting))+" waiting, "+units.Count(int64(b.st.Parallel))+" at a time")
	}
	if !next.IsZero() {
		list = append(list, "next: "+first+", "+b.c.until(next))
	}
	if k.Note = strings.Join(list, "; "); k.Note == "" && running == 0 {
		k.Note = "nothing is scheduled"
	}
	return k
}

func (b *builder) guardCard() card {
	g := &b.guard
	return card{Key: "guard", Label: "Agent's credential", Value: g.word, Note: g.note, Tone: g.tone}
}

func (b *builder) auditCard() card {
	k := card{Key: "audit", Label: "Newest audit", Value: "Not known yet", Note: "No audit of the vault is known to this daemon.", Tone: muted, Href: b.audit.href()}
	if !b.audit.known {
		return k
	}
	k.Value, k.Tone = verdictWord(b.audit.verdict)
	k.Note = "of " + b.c.at(b.audit.time)
	if b.audit.coverage != nil {
		k.Note += "; " + percent(*b.audit.coverage) + " of the stored bytes were read and checked at some time"
	}
	return k
}

// checks are the probe and the audits, where this daemon makes them.
func (b *builder) checks() []row {
	var out []row
	if j := b.st.Probe; j != nil {
		r := jobRow("probe", "Probe of the credential", "", j, b.c)
		if b.guard.tone != muted {
			r.State, r.Tone = b.guard.word, b.guard.tone
		}
		out = append(out, r)
	}
	if j := b.st.Verify; j != nil {
		r := jobRow("verify", "Audit of the vault", "", j, b.c)
		if j.Last != nil && j.Last.Audit != nil && j.Last.Audit.Verdict != "" {
			r.State, r.Tone = verdictWord(j.Last.Audit.Verdict)
			r.Why = ended(capital(prose(j.Last.Audit.Line)))
			if isHash(j.Last.Audit.Report) {
				r.Href = "/report/" + j.Last.Audit.Report
			}
		}
		out = append(out, r)
	}
	return out
}

// version is a short hash of what only the server draws: charts, tables and what the configuration says.
func (b *builder) version() string {
	h := sha256.New()
	note := func(j *daemon.JobStatus) {
		if j != nil && j.Last != nil {
			_, _ = fmt.Fprintf(h, "%q %d\n", j.Job, j.Last.Ended.UnixNano())
		}
	}
	_, _ = fmt.Fprintf(h, "%s %d %d %q\n", b.st.Version, b.st.Started.UnixNano(), b.st.Config.Loaded.UnixNano(), b.audit.hash)
	for i := range b.st.Sources {
		note(&b.st.Sources[i].JobStatus)
	}
	note(b.st.Probe)
	note(b.st.Verify)
	return hex.EncodeToString(h.Sum(nil)[:8])
}
