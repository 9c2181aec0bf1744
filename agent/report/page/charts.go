package page

import (
	"fmt"
	"math"
	"strings"
	"time"

	"farshore/agent/report"
	"farshore/agent/units"
)

// history are the charts of the audits on record.
func (b *builder) history() section {
	s := section{ID: "history", Title: "History", Only: "html"}
	s.Charts = []chart{b.coverageChart(), b.checkedChart(), b.growthChart(), b.drillChart()}
	if n := len(b.past); n > 1 {
		s.Paras = []string{fmt.Sprintf("%s on record, from %s to %s.", units.Plural(int64(n), "audit"), day(b.past[0].Audit.Time), day(b.past[n-1].Audit.Time))}
	}
	return s
}

// period is a stretch of the calendar, of which a chart shows one value.
type period struct {
	from   time.Time
	audits []*report.Audit // oldest first
}

// periods puts audits, oldest first, into stretches of equal kind, at most maxPoints of them, and says what one is.
func periods(list []*report.Audit) ([]period, string) {
	if len(list) == 0 {
		return nil, ""
	}
	for _, k := range calendar {
		var out []period
		for _, a := range list {
			from := k.floor(a.Time.UTC())
			if n := len(out); n == 0 || !out[n-1].from.Equal(from) {
				out = append(out, period{from: from})
			}
			p := &out[len(out)-1]
			p.audits = append(p.audits, a)
		}
		if len(out) <= maxPoints {
			return out, k.name
		}
	}
	return nil, "" // more than 60 times a thousand years
}

// calendar are the kinds of stretches, the shortest first.
var calendar = []struct {
	name  string
	floor func(time.Time) time.Time
}{
	{"minute", func(t time.Time) time.Time { return t.Truncate(time.Minute) }},
	{"hour", func(t time.Time) time.Time { return t.Truncate(time.Hour) }},
	{"day", func(t time.Time) time.Time { return t.Truncate(day24) }},
	{"week", func(t time.Time) time.Time { return t.Truncate(7 * day24) }}, // from Monday: the zero time was one
	{"month", func(t time.Time) time.Time { return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC) }},
	{"year", func(t time.Time) time.Time { return time.Date(t.Year(), 1, 1, 0, 0, 0, 0, time.UTC) }},
	{"thousand years", func(t time.Time) time.Time { return time.Date(t.Year()/1000*1000, 1, 1, 0, 0, 0, 0, time.UTC) }},
}

// each is what one stretch is called: "audit" where no stretch has two.
func each(list []period, kind string) string {
	for _, p := range list {
		if len(p.audits) > 1 {
			return kind
		}
	}
	return "audit"
}

// time is where the stretch is drawn: at its newest audit.
func (p period) time() time.Time { return p.newest().Time }

func (p period) newest() *report.Audit { return p.audits[len(p.audits)-1] }

// own are the audits that the report's signer made: what one signer verified is not in another's ledger.
func (b *builder) own(keep func(*report.Audit) bool) []*report.Audit {
	var out []*report.Audit
	for _, e := range b.past {
		if e.Signer == b.e.Signer && keep(e.Audit) {
			out = append(out, e.Audit)
		}
	}
	return out
}

// all are the audits of every signer.
func (b *builder) all(keep func(*report.Audit) bool) []*report.Audit {
	var out []*report.Audit
	for _, e := range b.past {
		if keep(e.Audit) {
			out = append(out, e.Audit)
		}
	}
	return out
}

const noHistory = "One audit so far: there is no history to draw."

// coverageChart is the share of bytes that was ever read whole, and that which was within the promise.
func (b *builder) coverageChart() chart {
	list, kind := periods(b.own(func(a *report.Audit) bool { return sum(a.Coverage.VerifiedBytes, a.Coverage.NeverBytes) > 0 }))
	per := each(list, kind)
	c := newChart("chart-coverage", "Share of the stored bytes that was read whole", "The share of the stored bytes that was read whole at some time, and the share for which the promise was kept. Of each "+per+" the lowest.")
	if len(list) < 2 {
		c.Empty = noHistory
		return c
	}
	x, y := timeAxis{list[0].time(), list[len(list)-1].time()}, percentAxis()
	ever, kept := make([]xy, len(list)), make([]xy, 0, len(list))
	c.Numbers = &table{Caption: c.Title, Head: []column{{Title: "Time"}, {"Read whole", true}, {"Within the promise", true}}}
	for i, p := range list {
		low, within := 100.0, -1.0
		for _, a := range p.audits {
			v := a.Coverage
			total := sum(v.VerifiedBytes, v.NeverBytes)
			low = min(low, percent(v.VerifiedBytes, total))
			if v.Met != nil {
				if w := percent(total-min(max(v.OverdueBytes, 0), total), total); within < 0 || w < within {
					within = w
				}
			}
		}
		ever[i] = xy{x.at(p.time()), y.at(low)}
		word := "no promise"
		if within >= 0 {
			kept, word = append(kept, xy{x.at(p.time()), y.at(within)}), percentWord(within)
		}
		c.Numbers.Rows = append(c.Numbers.Rows, row{{Text: when(p.time())}, {Text: percentWord(low)}, {Text: word}})
	}
	c.Areas = []path{{area(ever), "area1"}}
	c.Lines = []path{{line(ever), "line1"}}
	c.Legend = []stripKey{{Class: "key1", Text: "read whole at some time"}}
	if len(kept) > 1 {
		c.Lines = append(c.Lines, path{line(kept), "line2"})
		c.Legend = append(c.Legend, stripKey{Class: "key2", Text: "within the promise"})
	}
	c.XTicks, c.YTicks = x.ticks(), y.ticks()
	return c
}

func percentWord(f float64) string { return fmt.Sprintf("%.1f %%", math.Floor(f*10+1e-9)/10) }

// xy is a point in the box of a chart.
type xy struct{ x, y float64 }

func line(list []xy) string {
	var s strings.Builder
	for i, p := range list {
		op := byte('L')
		if i == 0 {
			op = 'M'
		}
		fmt.Fprintf(&s, "%c%s %s", op, num(p.x), num(p.y))
	}
	return s.String()
}

func area(list []xy) string {
	return fmt.Sprintf("%sL%s %dL%s %dZ", line(list), num(list[len(list)-1].x), chartBottom, num(list[0].x), chartBottom)
}

// checkedOf is how many objects the parts of an audit dealt with, and how many of them failed; an object of several parts counts in each.
func checkedOf(a *report.Audit) (checked, failed int64) {
	for _, p := range a.Parts {
		checked, failed = sum(checked, p.Checked), sum(failed, p.Failed)
	}
	return checked, failed
}

// checkedChart is what was read and hashed, and what failed.
func (b *builder) checkedChart() chart {
	list, kind := periods(b.own(func(a *report.Audit) bool { return len(a.Parts) > 0 }))
	per := each(list, kind)
	c := newChart("chart-checked", "Objects read and hashed, per "+per, "How many objects were read and compared with their names, per "+per+"; where some failed, a mark stands above. An object that several parts of a draw have counts in each.")
	if len(list) < 2 {
		c.Empty = noHistory
		return c
	}
	type pair struct{ checked, failed int64 }
	values := make([]pair, len(list))
	most := 0.0
	for i, p := range list {
		for _, a := range p.audits {
			n, f := checkedOf(a)
			values[i] = pair{sum(values[i].checked, n), sum(values[i].failed, f)}
		}
		most = max(most, float64(values[i].checked))
	}
	y := countAxis(most)
	x := timeAxis{list[0].time(), list[len(list)-1].time()}
	width := max(minBar, min(maxBar, float64(chartRight-chartLeft)/float64(len(list))*0.72))
	c.Numbers = &table{Caption: c.Title, Head: []column{{Title: "Time"}, {"Checked", true}, {"Failed", true}}}
	failedAny := false
	for i, p := range list {
		// Bars stand beside one another in the order of time: the first and the last stand within the box.
		mid := chartLeft + width/2 + (x.at(p.time())-chartLeft)/(chartRight-chartLeft)*(chartRight-chartLeft-width)
		top := y.at(float64(values[i].checked))
		title := fmt.Sprintf("%s: %s checked, %s failed", when(p.time()), units.Count(values[i].checked), units.Count(values[i].failed))
		c.Bars = append(c.Bars, rect{num(mid - width/2), num(top), num(width), num(chartBottom - top), "bar1", title})
		if values[i].failed > 0 {
			failedAny = true
			c.Dots = append(c.Dots, dot{num(mid), num(max(top-6, chartTop-6)), "dot-bad", title})
		}
		c.Numbers.Rows = append(c.Numbers.Rows, row{{Text: when(p.time())}, {Text: units.Count(values[i].checked)}, {Text: units.Count(values[i].failed), Tone: alarm(values[i].failed, bad)}})
	}
	c.Legend = []stripKey{{Class: "key1", Text: "read and hashed"}}
	if failedAny {
		c.Legend = append(c.Legend, stripKey{Class: "key-bad", Text: "some failed"})
	}
	c.XTicks, c.YTicks = x.ticks(), y.ticks()
	return c
}

// growthChart is what the vault holds.
func (b *builder) growthChart() chart {
	list, kind := periods(b.all(func(a *report.Audit) bool { return storedBytes(a) > 0 }))
	c := newChart("chart-growth", "Bytes stored in the vault", "The bytes of packs and pages that commits name, at the last audit of each "+each(list, kind)+".")
	if len(list) < 2 {
		c.Empty = noHistory
		return c
	}
	most := 0.0
	for _, p := range list {
		most = max(most, float64(storedBytes(p.newest())))
	}
	x, y := timeAxis{list[0].time(), list[len(list)-1].time()}, bytesAxis(most)
	points := make([]xy, len(list))
	c.Numbers = &table{Caption: c.Title, Head: []column{{Title: "Time"}, {"Stored", true}}}
	for i, p := range list {
		n := storedBytes(p.newest())
		points[i] = xy{x.at(p.time()), y.at(float64(n))}
		c.Numbers.Rows = append(c.Numbers.Rows, row{{Text: when(p.time())}, {Text: units.Bytes(n)}})
	}
	c.Areas, c.Lines = []path{{area(points), "area1"}}, []path{{line(points), "line1"}}
	c.XTicks, c.YTicks = x.ticks(), y.ticks()
	return c
}

// drills are the restore drills on record, oldest first, the newest maxPoints of them.
func (b *builder) drills() []*report.Drill {
	var out []*report.Drill
	for _, a := range b.all(func(a *report.Audit) bool { return a.Drill != nil && sane(a.Drill.Started) && a.Drill.Seconds >= 0 }) {
		out = append(out, a.Drill)
	}
	return out[max(0, len(out)-maxPoints):]
}

func (b *builder) lastDrill() *report.Drill {
	if list := b.drills(); len(list) > 0 {
		return list[len(list)-1]
	}
	return b.a.Drill
}

// drillChart is how long restore drills took, against how long they may take.
func (b *builder) drillChart() chart {
	list := b.drills()
	c := newChart("chart-drills", "Time that restore drills took", "How long each restore of a whole snapshot took, and how long it may take.")
	if len(list) == 0 {
		c.Empty = "No restore drill is on record: `farshore verify --drill` makes one."
		return c
	}
	most := 0.0
	x := timeAxis{list[0].Started, list[0].Started}
	for _, d := range list {
		most = max(most, finite(d.Seconds), float64(d.TargetSeconds))
		if d.Started.Before(x.from) {
			x.from = d.Started
		}
		if d.Started.After(x.to) {
			x.to = d.Started
		}
	}
	y := timesAxis(most)
	c.Numbers = &table{Caption: c.Title, Head: []column{{Title: "Began"}, {"Took", true}, {"Target", true}, {"Failed", true}}}
	for _, d := range list {
		class, target := "dot1", "none"
		at, top := x.at(d.Started), y.at(finite(d.Seconds))
		if d.TargetSeconds > 0 {
			target = length(d.TargetSeconds)
			ty := num(y.at(float64(d.TargetSeconds)))
			c.Lines = append(c.Lines, path{fmt.Sprintf("M%s %sH%s", num(max(at-11, chartLeft)), ty, num(min(at+11, chartRight))), "target"})
		}
		if d.Failed > 0 || d.TargetSeconds > 0 && d.Seconds > float64(d.TargetSeconds) {
			class = "dot-bad"
		}
		title := fmt.Sprintf("%s: took %s, target %s", when(d.Started), seconds(d.Seconds), target)
		c.Bars = append(c.Bars, rect{num(at - 0.75), num(top), num(1.5), num(chartBottom - top), "stem", title})
		c.Dots = append(c.Dots, dot{num(at), num(top), class, title})
		c.Numbers.Rows = append(c.Numbers.Rows, row{{Text: when(d.Started)}, {Text: seconds(d.Seconds)}, {Text: target}, {Text: units.Count(d.Failed), Tone: alarm(d.Failed, bad)}})
	}
	c.Legend = []stripKey{{Class: "key1", Text: "took"}, {Class: "key-target", Text: "target"}, {Class: "key-bad", Text: "too long, or something failed"}}
	c.XTicks, c.YTicks = x.ticks(), y.ticks()
	return c
}

// finite bounds a stranger's number for drawing.
func finite(f float64) float64 {
	if math.IsNaN(f) {
		return 0
	}
	return max(0, min(f, 1e9))
}
