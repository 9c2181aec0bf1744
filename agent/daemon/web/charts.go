package web

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"farshore/agent/units"
)

// chart is a drawing with its axes, in the units of its own box, and the numbers that it shows as a table.
type chart struct {
	ID, Title, Desc          string
	W, H                     int
	Left, Right, Top, Bottom string
	XTicks, YTicks           []tick
	Line                     string
	Bars                     []bar
	Marks                    []mark
	Legend                   []key
	Numbers                  table
	// Empty says why there is nothing to draw.
	Empty string
}

type bar struct{ X, Y, W, H, Class, Title string }

// mark is a sign whose shape says what its colour says.
type mark struct{ D, Class, Title string }

// key explains a sign.
type key struct{ D, Class, Text string }

// table is a table with a caption. What is a number stands to the right.
type table struct {
	Caption string
	Head    []column
	Rows    [][]cell
	More    string
}

type column struct {
	Title  string
	Number bool
}

type cell struct {
	Text string
	Href string
	Note string
	Tone tone
	// Sign says that the tone's sign stands before the text.
	Sign, Code bool
}

func newChart(id, title, desc string) chart {
	return chart{
		ID: id, Title: title, Desc: desc, W: chartW, H: chartH,
		Left: num(chartLeft), Right: num(chartRight), Top: num(chartTop), Bottom: num(chartBottom),
	}
}

// shape is the outline of an outcome's sign around a point; its size is about 2 r.
func shape(class string, x, y, r float64) string {
	switch class {
	case "complete":
		return fmt.Sprintf("M%s %sh%sv%sh-%sz", num(x-r*.85), num(y-r*.85), num(r*1.7), num(r*1.7), num(r*1.7))
	case "incomplete":
		return fmt.Sprintf("M%s %sl%s %sh-%sz", num(x), num(y-r), num(r), num(r*1.85), num(2*r))
	case "suspicious":
		return fmt.Sprintf("M%s %sl%s %sl-%s %sl-%s -%sz", num(x), num(y-r*1.1), num(r*1.1), num(r*1.1), num(r*1.1), num(r*1.1), num(r*1.1), num(r*1.1))
	case "failed":
		return fmt.Sprintf("M%s %sl%s %sm0 -%sl-%s %s", num(x-r*.8), num(y-r*.8), num(r*1.6), num(r*1.6), num(r*1.6), num(r*1.6), num(r*1.6))
	case "stopped":
		return fmt.Sprintf("M%s %sh%s", num(x-r*.8), num(y), num(r*1.6))
	}
	return fmt.Sprintf("M%s %sh.01", num(x), num(y))
}

// keys explain the signs of outcomes, on a box of 10 by 10.
func keys(classes ...string) []key {
	words := map[string]string{"complete": "complete", "incomplete": "incomplete", "suspicious": "suspicious", "failed": "failed, or damage", "stopped": "stopped, or its end was not seen", "none": "no pass"}
	var out []key
	for _, c := range classes {
		out = append(out, key{shape(c, 5, 5, 4), "m-" + c, words[c]})
	}
	return out
}

// dayTicks are dates below the columns of days.
func dayTicks(k *calendar) []tick {
	date := func(i int) string { return k.begin[i].Format("2 Jan") }
	return []tick{{num(chartLeft), date(0), "start"}, {num(column30(chartDays / 2)), date(chartDays / 2), "middle"}, {num(chartRight), date(chartDays - 1), "end"}}
}

// column30 is the middle of a day's column.
func column30(i int) float64 {
	return chartLeft + (float64(i)+.5)*(chartRight-chartLeft)/chartDays
}

const barWidth = float64(chartRight-chartLeft) / chartDays * .68

// dayBars draws a value of each day as a bar, with the sign of what was not complete above it.
func dayBars(c *chart, k *calendar, days *[chartDays]day, a scale, value func(*day) float64, text func(*day) string) {
	seen := map[string]bool{}
	for i := range days {
		d := &days[i]
		if d.runs == 0 {
			continue
		}
		title := k.begin[i].Format("2 January") + ": " + text(d)
		x, top := column30(i), a.at(value(d))
		if h := chartBottom - top; h > 0 {
			c.Bars = append(c.Bars, bar{num(x - barWidth/2), num(top), num(barWidth), num(h), "b-plain", title})
		}
		if class := d.worst.class(); class != "complete" {
			seen[class] = true
			c.Marks = append(c.Marks, mark{shape(class, x, max(top-7, 7), 4), "m-" + class, title})
		}
	}
	for _, class := range []string{"incomplete", "suspicious", "failed", "stopped"} {
		if seen[class] {
			c.Legend = append(c.Legend, keys(class)...)
		}
	}
	c.XTicks, c.YTicks = dayTicks(k), a.ticks()
}

// dayTable has the numbers of all days that had passes, newest first.
func dayTable(caption string, k *calendar, days *[chartDays]day) table {
	t := table{Caption: caption, Head: []column{{Title: "Day"}, {"Passes", true}, {"Complete", true}, {Title: "Worst"}, {"Longest", true}, {"Read", true}, {"Stored", true}}}
	for i := chartDays - 1; i >= 0; i-- {
		d := &days[i]
		if d.runs == 0 {
			continue
		}
		longest := "not known"
		if d.longest > 0 {
			longest = span(d.longest)
		}
		t.Rows = append(t.Rows, []cell{
			{Text: k.begin[i].Format(time.DateOnly)}, {Text: strconv.Itoa(d.runs)}, {Text: strconv.Itoa(d.fine)},
			{Text: d.worst.word(), Tone: d.worst.tone(), Sign: true}, {Text: longest}, {Text: units.Bytes(d.read)}, {Text: units.Bytes(d.stored)},
		})
	}
	return t
}

// storedChart is what passes added to the vault.
func storedChart(id string, k *calendar, days *[chartDays]day) chart {
	c := newChart(id, "New to the vault, per day", "A bar for each of the last 30 days: the bytes that passes stored. A sign above a bar says that a pass of that day was not complete.")
	most, any := 0.0, false
	for i := range days {
		most, any = max(most, float64(days[i].stored)), any || days[i].runs > 0
	}
	if !any {
		c.Empty = "No pass of the last 30 days is known."
		return c
	}
	dayBars(&c, k, days, bytesScale(most), func(d *day) float64 { return float64(d.stored) }, func(d *day) string {
		return units.Bytes(d.stored) + " stored, " + passes(d.runs) + ", at worst " + strings.ToLower(d.worst.word())
	})
	c.Numbers = dayTable(c.Title+", in numbers", k, days)
	return c
}

func passes(n int) string {
	if n == 1 {
		return "1 pass"
	}
	return units.Count(int64(n)) + " passes"
}

// lengthChart is how long passes took.
func lengthChart(id string, k *calendar, days *[chartDays]day) chart {
	c := newChart(id, "Longest pass, per day", "A bar for each of the last 30 days: how long the longest pass took. A sign above a bar says that a pass of that day was not complete.")
	most, any := 0.0, false
	for i := range days {
		most, any = max(most, days[i].longest.Seconds()), any || days[i].runs > 0
	}
	if !any {
		c.Empty = "No pass of the last 30 days is known."
		return c
	}
	dayBars(&c, k, days, timeScale(most), func(d *day) float64 { return d.longest.Seconds() }, func(d *day) string {
		return "the longest of " + passes(d.runs) + " took " + span(d.longest) + ", at worst " + strings.ToLower(d.worst.word())
	})
	c.Numbers = dayTable(c.Title+", in numbers", k, days)
	return c
}

// auditChart is the coverage and the verdicts of this daemon's audits.
func (b *builder) auditChart(p *past) chart {
	c := newChart("chart-audits", "Audits: share of the stored bytes that was ever checked", "A sign for each of this daemon's newest audits, at the share of the stored bytes that was read and checked at some time; its shape says the verdict.")
	n := len(p.audits)
	if n == 0 {
		c.Empty = "No audit that this daemon made is known."
		return c
	}
	a, from, to := shareScale(), p.audits[n-1].Started, p.audits[0].Started
	c.Numbers = table{Caption: "Audits, in numbers", Head: []column{{Title: "Began"}, {Title: "Verdict"}, {"Ever checked", true}, {"Read", true}, {"Damaged", true}}}
	var line []string
	for i := range p.audits {
		r := &p.audits[i]
		x := (chartLeft + chartRight) / 2.0
		if wide := to.Sub(from); wide > 0 {
			x = chartLeft + 6 + float64(r.Started.Sub(from))/float64(wide)*(chartRight-chartLeft-12)
		}
		word, t := verdictWord(r.Audit.Verdict)
		y, share := float64(chartBottom), "not known"
		if v := r.Audit.Coverage; v != nil {
			y, share = a.at(*v), percent(*v)
			line = append(line, num(x)+" "+num(y))
		}
		class := map[tone]string{good: "complete", warn: "incomplete", tamper: "suspicious", bad: "failed"}[t]
		c.Marks = append(c.Marks, mark{shape(class, x, y, 4), "m-" + class, b.c.dated(r.Started) + ": " + strings.ToLower(word) + ", ever checked: " + share})
		c.Numbers.Rows = append(c.Numbers.Rows, []cell{
			{Text: b.c.dated(r.Started)}, {Text: word, Tone: t, Sign: true}, {Text: share}, {Text: units.Bytes(r.Audit.ReadBytes)}, {Text: units.Count(r.Audit.Damaged)},
		})
	}
	if len(line) > 1 {
		c.Line = "M" + strings.Join(line, "L")
	}
	c.Legend = []key{{shape("complete", 5, 5, 4), "m-complete", "intact"}, {shape("incomplete", 5, 5, 4), "m-incomplete", "incomplete"}, {shape("failed", 5, 5, 4), "m-failed", "damaged"}, {shape("suspicious", 5, 5, 4), "m-suspicious", "tampered"}}
	c.YTicks = a.ticks()
	c.XTicks = []tick{{num(chartLeft), from.In(b.c.zone).Format("2 Jan 2006"), "start"}}
	if to.Sub(from) > 24*time.Hour {
		c.XTicks = append(c.XTicks, tick{num(chartRight), to.In(b.c.zone).Format("2 Jan 2006"), "end"})
	}
	return c
}
