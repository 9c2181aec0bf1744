package page

import (
	"bufio"
	"io"
	"strings"

	"golang.org/x/text/width"
)

// Widths of a text, in columns of a terminal.
const (
	minWidth, maxWidth = 60, 100
	labelWidth         = 24
	minColumn          = 16 // below which a table is written row by row
)

// Text writes the view as plain text of at most so many columns, 60 to 100; 0 or less is 100. colour adds the terminal's colours, and nothing that only they say. An error is the
// writer's.
func Text(w io.Writer, v *View, columns int, colour bool) error {
	if columns <= 0 {
		columns = maxWidth
	}
	p := &printer{w: bufio.NewWriter(w), width: max(minWidth, min(columns, maxWidth)), colour: colour}
	p.document(&v.doc)
	return p.w.Flush()
}

// brief are the sections of Brief, and whether their tables are shown.
var brief = map[string]bool{"checked": true, "bounds": false, "coverage": false, "sources": true, "drill": true, "not-checked": true}

// Brief writes what somebody wants to know who has just run an audit: the verdict, what to do, and what was checked and what was not, in numbers. What they mean and rest on is
// in Text. Its arguments are those of Text.
func Brief(w io.Writer, v *View, columns int, colour bool) error {
	short := v.doc
	short.Sections = nil
	for _, s := range v.doc.Sections {
		table, wanted := brief[s.ID]
		if !wanted {
			continue
		}
		s.Strip, s.Notes = nil, nil
		if !table {
			s.Table = nil
		}
		short.Sections = append(short.Sections, s)
	}
	return Text(w, &View{doc: short}, columns, colour)
}

// printer writes lines. Errors stay in its bufio.Writer, whose Flush returns the first.
type printer struct {
	w      *bufio.Writer
	width  int
	colour bool
}

// colours are the terminal's for each tone.
var colours = map[tone]string{good: "32", muted: "2", warn: "33", bad: "31", tamper: "35"}

func (p *printer) paint(s string, t tone) string {
	if c := colours[t]; p.colour && c != "" && s != "" {
		return "\x1b[" + c + "m" + s + "\x1b[0m"
	}
	return s
}

func (p *printer) line(s string) {
	_, _ = p.w.WriteString(strings.TrimRight(s, " "))
	_ = p.w.WriteByte('\n')
}

// para writes a text with a first line that begins with head, of headWidth columns, and the others indented as far.
func (p *printer) para(head string, headWidth int, s string) {
	for i, l := range wrap(s, p.width-headWidth) {
		if i > 0 {
			head = strings.Repeat(" ", headWidth)
		}
		p.line(head + l)
	}
}

func (p *printer) heading(s string) {
	p.line("")
	p.line(p.bold(strings.ToUpper(s)))
}

func (p *printer) bold(s string) string {
	if p.colour {
		return "\x1b[1m" + s + "\x1b[0m"
	}
	return s
}

func (p *printer) document(d *document) {
	p.line(p.bold(d.Title))
	p.line("")
	word := strings.ToUpper(d.Verdict.Word)
	p.para(p.paint(word, d.Verdict.Tone)+"  ", cols(word)+2, d.Verdict.Sentence)
	if d.Verdict.Basis != "" {
		p.para("  ", 2, d.Verdict.Basis)
	}
	p.line("")
	p.facts(d.Meta)
	p.acts(d)
	for i := range d.Sections {
		if d.Sections[i].Only == "" {
			p.section(&d.Sections[i])
		}
	}
}

func (p *printer) acts(d *document) {
	if len(d.Acts)+len(d.Notices) == 0 && d.MoreActs == "" {
		return
	}
	p.heading("What was found, and what to do")
	for _, a := range d.Acts {
		word := strings.ToUpper(a.Word)
		p.para("  "+p.paint(word, a.Tone)+"  ", cols(word)+4, a.Title)
		for _, l := range a.Lines {
			p.para("    ", 4, l)
		}
		if a.Advice != "" {
			p.para("    → ", 6, a.Advice)
		}
	}
	if d.MoreActs != "" {
		p.para("  ", 2, d.MoreActs)
	}
	for _, n := range d.Notices {
		p.para("  notice  ", 10, n)
	}
}

func (p *printer) section(s *section) {
	p.heading(s.Title)
	for _, t := range s.Paras {
		p.para("  ", 2, t)
	}
	p.facts(s.Facts)
	if s.Strip != nil {
		p.strip(s.Strip)
	}
	if s.Table != nil {
		if len(s.Facts)+len(s.Paras) > 0 {
			p.line("")
		}
		p.table(s.Table)
	}
	for _, n := range s.Notes {
		p.para("  ", 2, n)
	}
}

func (p *printer) facts(list []fact) {
	for _, f := range list {
		label := f.Label + strings.Repeat(" ", max(labelWidth-cols(f.Label), 1))
		head := "  " + label
		for i, l := range wrap(f.Value, p.width-cols(head)) {
			if i > 0 {
				head = strings.Repeat(" ", cols(head))
			}
			p.line(head + p.paint(l, f.Tone))
		}
	}
}

// strip writes the shares of the ring, by age.
func (p *printer) strip(s *strip) {
	var list []string
	for _, k := range s.Legend {
		list = append(list, k.Text+" "+k.Share)
	}
	p.facts([]fact{{Label: "Last read, by names", Value: strings.Join(list, " · ")}})
}

// table writes a table, its rows as blocks where its columns do not fit.
func (p *printer) table(t *table) {
	widths, fits := p.widths(t)
	if !fits {
		p.blocks(t)
		return
	}
	head := make(row, len(t.Head))
	for i, c := range t.Head {
		head[i] = cell{Text: c.Title, Tone: muted}
	}
	p.row(t, widths, head)
	for _, r := range t.Rows {
		p.row(t, widths, r)
	}
	if t.More != "" {
		p.line("  " + t.More)
	}
}

// widths are those of the columns; false where they do not fit.
func (p *printer) widths(t *table) ([]int, bool) {
	w := make([]int, len(t.Head))
	total := 0
	for i, c := range t.Head {
		w[i] = cols(c.Title)
		for _, r := range t.Rows {
			w[i] = max(w[i], cols(r[i].Text))
		}
		total += w[i] + 2
	}
	for total > p.width {
		widest := -1
		for i, c := range t.Head {
			if !c.Number && (widest < 0 || w[i] > w[widest]) {
				widest = i
			}
		}
		if widest < 0 || w[widest] <= minColumn {
			return nil, false
		}
		cut := min(total-p.width, w[widest]-minColumn)
		w[widest], total = w[widest]-cut, total-cut
	}
	return w, true
}

func (p *printer) row(t *table, widths []int, r row) {
	cells := make([][]string, len(r))
	height := 1
	for i := range r {
		cells[i] = wrap(r[i].Text, widths[i])
		height = max(height, len(cells[i]))
	}
	for l := range height {
		var b strings.Builder
		for i := range r {
			text := ""
			if l < len(cells[i]) {
				text = cells[i][l]
			}
			pad := strings.Repeat(" ", max(widths[i]-cols(text), 0))
			b.WriteString("  ")
			if t.Head[i].Number {
				b.WriteString(pad)
			}
			b.WriteString(p.paint(text, r[i].Tone))
			if !t.Head[i].Number {
				b.WriteString(pad)
			}
		}
		p.line(b.String())
	}
}

// blocks writes a table's rows one below the other.
func (p *printer) blocks(t *table) {
	for _, r := range t.Rows {
		p.para("  ", 2, r[0].Text)
		for i := 1; i < len(r); i++ {
			label := "    " + t.Head[i].Title + "  "
			p.para(label, cols(label), r[i].Text)
		}
	}
	if t.More != "" {
		p.line("  " + t.More)
	}
}

// wrap breaks a text at spaces into lines of at most so many columns, and a word that is longer where it must; at least one line.
func wrap(s string, most int) []string {
	most = max(most, 8)
	var out []string
	cur, used := "", 0
	for _, word := range strings.Fields(s) {
		n := cols(word)
		if used > 0 && used+1+n <= most {
			cur, used = cur+" "+word, used+1+n
			continue
		}
		if used > 0 {
			out = append(out, cur)
		}
		for n > most {
			head := fit(word, most)
			out, word = append(out, head), word[len(head):]
			n = cols(word)
		}
		cur, used = word, n
	}
	if used > 0 || len(out) == 0 {
		out = append(out, cur)
	}
	return out
}

// fit is the longest beginning of a word that takes at most so many columns.
func fit(word string, most int) string {
	used := 0
	for i, r := range word {
		if used += runeCols(r); used > most {
			return word[:i]
		}
	}
	return word
}

// cols is how many columns a terminal takes for a text.
func cols(s string) int {
	n := 0
	for _, r := range s {
		n += runeCols(r)
	}
	return n
}

// runeCols counts a wide character of East Asia as two. A combining mark counts as one, so that a line is rather too short than too long.
func runeCols(r rune) int {
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}
