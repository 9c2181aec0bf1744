package web

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"farshore/agent/daemon"
	"farshore/agent/daemon/history"
	"farshore/agent/units"
)

// fact is a labelled value.
type fact struct {
	Label, Value string
	Code         bool
}

// overview is the first page.
type overview struct {
	*glance
	Meta   []fact
	Strips *strips
	Charts []chart
	// Empty values for the templates that the script makes new rows of.
	NoRow  row
	NoAct  act
	NoCard card
}

func (s *site) overviewPage() (*doc, error) {
	b := s.builder()
	p := pastOf(s.o.Runs(b.c.now.Add(-auditsAge), maxRuns), b.st, b.c)
	o := &overview{glance: b.glance(), Meta: b.meta(), NoRow: row{Age: -1, Done: -1, Tone: muted}, NoAct: act{Tone: muted}, NoCard: card{Tone: muted}}
	if len(b.st.Sources) > 0 {
		all := p.all()
		o.Strips = b.strips(p)
		o.Charts = []chart{storedChart("chart-stored", p.days, all), b.auditChart(p)}
	}
	d := b.doc("overview", o.Word, "/", o)
	d.Script = true
	return d, nil
}

// meta says what this is about.
func (b *builder) meta() []fact {
	c := &b.st.Config
	list := []fact{{"Vault", safe(b.st.Vault, maxPlace), true}, {"Configuration", safe(c.Path, maxPlace), true}}
	if !c.Loaded.IsZero() {
		list = append(list, fact{"In force since", b.c.dated(c.Loaded), false})
	}
	if !b.st.Started.IsZero() {
		list = append(list, fact{"Running since", b.c.dated(b.st.Started) + ", for " + span(b.c.now.Sub(b.st.Started)), false})
	}
	zone := safe(b.st.Zone, maxName)
	if name, _ := b.c.now.Zone(); zone == "" || zone == "Local" {
		zone = "this machine's (" + name + ")"
	}
	return append(list, fact{"Time zone of schedules", zone, false}, fact{"Passes at a time", fmt.Sprintf("at most %d", b.st.Parallel), false})
}

// sourceBody is the page of one source.
type sourceBody struct {
	Row    row
	Acts   []act
	Facts  []fact
	Charts []chart
	Runs   table
}

// maxTable is how many runs a table lists.
const maxTable = 100

func (s *site) sourcePage(name string) (*doc, error) {
	b := s.builder()
	src := sourceOf(b.st, name)
	if src == nil {
		return nil, errNowhere
	}
	// Older runs than those of the charts are looked for only as far as the history goes back anyway.
	runs := s.o.Runs(time.Time{}, maxRuns)
	own := runsOf(runs, name)
	p := pastOf(own, b.st, b.c)
	days := p.passes[name]
	body := &sourceBody{Row: sourceRow(src, b.c), Facts: b.facts(src), Charts: []chart{lengthChart("chart-length", p.days, days), storedChart("chart-stored", p.days, days)}}
	one := *b.st
	one.Sources = []daemon.SourceStatus{*src}
	body.Acts = (&builder{st: &one, c: b.c}).sourceActs()
	for i := range body.Acts {
		body.Acts[i].Href = ""
	}
	body.Runs = b.runTable(own, src)
	return b.doc("source", body.Row.Name, "", body), nil
}

func sourceOf(st *daemon.Status, name string) *daemon.SourceStatus {
	for i := range st.Sources {
		if st.Sources[i].Name == name {
			return &st.Sources[i]
		}
	}
	return nil
}

// runsOf are the passes of a source.
func runsOf(runs []history.Run, name string) []history.Run {
	var out []history.Run
	for i := range runs {
		if runs[i].Kind == history.KindPass && runs[i].Source == name {
			out = append(out, runs[i])
		}
	}
	return out
}

func (b *builder) facts(s *daemon.SourceStatus) []fact {
	list := []fact{{"Newest good snapshot", "none is known", false}}
	if g := s.Good; g != nil {
		list[0].Value = fmt.Sprintf("%d, of %s", g.Seq, b.c.dated(g.Time))
		list = append(list, fact{"Its commit", safe(Head{Seq: g.Seq, Hash: g.Hash}.Text(), maxName), true}, fact{"Its chain", safe(g.Chain, maxName), true})
	}
	most := "nobody said"
	if s.MaxAgeSeconds > 0 {
		most = lasting(s.MaxAgeSeconds)
	}
	list = append(list, fact{"May be old", most, false}, fact{"Schedule", b.scheduleOf(&s.JobStatus), false}, fact{"Next passes", b.nextTimes(&s.JobStatus), false}, fact{"Waits for capture", backlogOf(s), false})
	return list
}

func (b *builder) scheduleOf(j *daemon.JobStatus) string {
	out := safe(j.Schedule, maxPlace)
	if out == "" {
		out = "not known"
	}
	if j.Jitter > 0 {
		out += ", put off by up to " + lasting(j.Jitter)
	}
	return out
}

func (b *builder) nextTimes(j *daemon.JobStatus) string {
	if len(j.Next) == 0 {
		return "none: the schedule is off"
	}
	var list []string
	for _, t := range j.Next[:min(len(j.Next), 3)] {
		list = append(list, b.c.at(t))
	}
	if j.Retry {
		list[0] += " (another try)"
	}
	return strings.Join(list, ", ")
}

// backlogOf says what is known to wait.
func backlogOf(s *daemon.SourceStatus) string {
	switch b := s.Backlog; {
	case b.Items > 0:
		return units.Plural(b.Items, "item") + ", " + units.Bytes(max(b.Bytes, 0))
	case b.Bytes > 0:
		return units.Bytes(b.Bytes)
	case s.Last == nil && s.Running == nil:
		return "not known yet"
	}
	return "nothing is known to wait"
}

// runTable lists the newest passes of a source.
func (b *builder) runTable(runs []history.Run, s *daemon.SourceStatus) table {
	t := table{Caption: "The newest passes", Head: []column{{Title: "Began"}, {Title: "Result"}, {"Took", true}, {"Listed", true}, {"New", true}, {"Changed", true}, {"Deleted", true}, {"Read", true}, {"Stored", true}, {"Snapshot", true}}}
	for i := range runs {
		if i == maxTable {
			t.More = fmt.Sprintf("%s older ones are in the history of this daemon.", units.Count(int64(len(runs)-i)))
			break
		}
		t.Rows = append(t.Rows, b.runCells(&runs[i], current(&runs[i], &s.JobStatus)))
		if i > 0 && sameTrouble(&runs[i], &runs[i-1]) {
			t.Rows[i][1].Note = "the same again"
		}
	}
	return t
}

// sameTrouble reports whether two runs failed in the same way: that is said once.
func sameTrouble(a, b *history.Run) bool {
	return a.Text != "" && a.Text == b.Text && outcomeOf(a) == outcomeOf(b) && outcomeOf(a) != suspicious
}

func (b *builder) runCells(r *history.Run, now bool) []cell {
	o := outcomeOf(r)
	result := cell{Text: o.word(), Tone: o.tone(), Sign: true, Note: strings.Join(nonEmpty([]string{trouble(r), adviceOf(r.Hint)}), " ")}
	if o == suspicious && r.Pass != nil {
		result.Note = ended(strings.Join(proseList(r.Pass.Suspicious, maxLines), "; "))
	}
	if r.Pass != nil && r.Pass.Unreadable > 0 {
		result.Note = strings.TrimSpace(result.Note + " " + units.Plural(r.Pass.Unreadable, "item") + " could not be read.")
	}
	if now {
		result = cell{Text: "Running", Tone: muted}
	}
	length := "not known"
	if d := took(r); d > 0 {
		length = span(d)
	}
	row := []cell{{Text: b.c.dated(r.Started), Note: strings.TrimLeft(causeOf(r.Cause), ", ")}, result, {Text: length}}
	p := r.Pass
	if p == nil {
		for range 7 {
			row = append(row, cell{Text: "–"})
		}
		return row
	}
	for _, n := range []int64{p.Listed, p.New, p.Changed, p.Deleted} {
		row = append(row, cell{Text: units.Count(n)})
	}
	snapshot := "none"
	if p.Seq > 0 {
		snapshot = units.Count(p.Seq)
	}
	return append(row, cell{Text: units.Bytes(max(p.ReadBytes, 0))}, cell{Text: units.Bytes(max(p.StoredBytes, 0))}, cell{Text: snapshot})
}

// list is a page of one table.
type list struct {
	Title, Lead string
	Table       table
	Empty       string
	Text        string // to be copied
}

// maxListed bounds the reports and heads that are listed.
const maxListed = 500

func (s *site) reportsPage() (*doc, error) {
	b := s.builder()
	reports, read := s.o.Shelf.Reports()
	l := &list{Title: "Reports", Table: table{Caption: "Reports in the vault, newest first", Head: []column{{Title: "Made"}, {Title: "Verdict"}, {Title: "What came of it"}, {Title: "Signed by"}}}}
	switch {
	case read.IsZero():
		l.Empty = "The vault's reports have not been read yet."
	case len(reports) == 0:
		l.Empty = "The vault had no report when this was read, at " + b.c.at(read) + ": `farshore verify` leaves one."
	default:
		l.Lead = "Signed reports in the vault, as they were read at " + b.c.at(read) + ". Each opens as a page of its own, without any script."
	}
	for i := range reports {
		if i == maxListed {
			l.Table.More = fmt.Sprintf("%s older ones are not listed: `farshore report list --most %d` lists them.", units.Count(int64(len(reports)-i)), len(reports))
			break
		}
		l.Table.Rows = append(l.Table.Rows, b.reportCells(&reports[i]))
	}
	return b.doc("list", l.Title, "/reports", l), nil
}

func (b *builder) reportCells(r *Report) []cell {
	verdict := cell{Text: safe(r.Kind, maxName)}
	if r.Verdict != "" {
		word, t := verdictWord(r.Verdict)
		verdict = cell{Text: word, Tone: t, Sign: true, Note: safe(r.Kind, maxName)}
	}
	made := cell{Text: b.c.dated(r.Time)}
	if isHash(r.Hash) {
		made.Href = "/report/" + r.Hash
	}
	return []cell{made, verdict, {Text: prose(r.Line)}, {Text: safe(r.Role, maxName), Note: safe(r.Signer, maxName)}}
}

func (s *site) headsPage() (*doc, error) {
	b := s.builder()
	heads, read := s.o.Shelf.Heads()
	l := &list{Title: "Heads", Text: string(s.headsText(maxListed)), Table: table{Caption: "The newest commit of each chain", Head: []column{{Title: "Source"}, {Title: "Head"}, {Title: "Chain"}}}}
	switch {
	case read.IsZero():
		l.Empty, l.Text = "The chains of the vault have not been read yet.", ""
	case len(heads) == 0:
		l.Empty, l.Text = "The vault had no chain when this was read, at "+b.c.at(read)+".", ""
	default:
		l.Lead = "Keep these elsewhere, on paper or with somebody else: given back as `--seen SEQ:HASH`, each shows that the vault has lost nothing since. They were read at " + b.c.at(read) + "."
	}
	for i := range heads {
		if i == maxListed {
			l.Table.More = "More are in `/heads.txt`."
			break
		}
		h := &heads[i]
		l.Table.Rows = append(l.Table.Rows, []cell{{Text: nameOf(h)}, {Text: headText(h), Code: true}, {Text: safe(h.Chain, maxName), Code: true}})
	}
	return b.doc("list", l.Title, "/heads", l), nil
}

func nameOf(h *Head) string {
	if h.Source == "" {
		return "not known"
	}
	return title(h.Source)
}

// headText is a head to be copied, or that there is none.
func headText(h *Head) string {
	if h.Seq < 1 || h.Hash == "" {
		return "none"
	}
	return safe(h.Text(), maxName)
}

// maxHeads bounds the text of heads.
const maxHeads = 20_000

// headsText are at most so many heads, one a line: what --seen takes, the chain, the source. Lines that begin with # are for people.
func (s *site) headsText(most int) []byte {
	heads, read := s.o.Shelf.Heads()
	var b bytes.Buffer
	if read.IsZero() {
		b.WriteString("# the chains of the vault have not been read yet\n")
		return b.Bytes()
	}
	fmt.Fprintf(&b, "# heads of the vault's chains, read %s: SEQ:HASH for --seen, chain, source\n", read.UTC().Format(time.RFC3339))
	for i := range heads[:min(len(heads), most)] {
		h := &heads[i]
		if text := headText(h); text != "none" {
			fmt.Fprintf(&b, "%s\t%s\t%s\n", text, safe(h.Chain, maxName), nameOf(h))
		}
	}
	return b.Bytes()
}
