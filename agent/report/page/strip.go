package page

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"farshore/agent/report"
)

// strip is the ring of names, cut open and laid flat: how long ago each stretch of it was read whole.
type strip struct {
	Cells  []stripCell
	Legend []stripKey
	Desc   string
}

// stripCell is a stretch, in thousandths of the ring.
type stripCell struct {
	X, W  string
	Class string
	Title string
}

type stripKey struct {
	Class, Text string
	Share       string
	part        float64
}

// stripClasses are the styles of ages, from the youngest on; the last is for what was never read.
var stripClasses = []string{"age0", "age1", "age2", "age3", "never"}

const stripCells = 240

// strip draws the ledger; nil where there is none.
func (b *builder) strip() *strip {
	arcs := ringOf(&b.a.Ledger)
	if len(arcs) == 0 {
		return nil
	}
	terms, words := b.terms()
	s := &strip{Legend: make([]stripKey, len(words))}
	for i, w := range words {
		s.Legend[i] = stripKey{Class: stripClasses[i], Text: w}
	}
	// Each cell shows the worst that lies in it, so that a narrow stretch that was never read does not vanish. The shares are those of the arcs.
	worst := make([]int, stripCells)
	for i, a := range arcs {
		end := 1.0
		if i+1 < len(arcs) {
			end = arcs[i+1].at
		}
		class := classOf(a.time, b.a.Time, terms)
		s.Legend[class].part += end - a.at
		first := int(a.at * stripCells)
		for c := first; c < stripCells && c < max(first+1, int(math.Ceil(end*stripCells))); c++ {
			worst[c] = max(worst[c], class)
		}
	}
	for from := 0; from < stripCells; {
		to := from
		for to < stripCells && worst[to] == worst[from] {
			to++
		}
		k := s.Legend[worst[from]]
		s.Cells = append(s.Cells, stripCell{X: num(float64(from) / stripCells * 1000), W: num(float64(to-from) / stripCells * 1000), Class: k.Class, Title: k.Text})
		from = to
	}
	for i := range s.Legend {
		s.Legend[i].Share = near(s.Legend[i].part)
	}
	s.Desc = "Stretches of names by how long ago every object in them was last read whole. Names are hashes, so that a stretch is a share of all objects; what was stored after a stretch was read is not shown as read before its own turn."
	return s
}

// ringArc is an arc from a position on the ring, from 0 to 1.
type ringArc struct {
	from uint64
	at   float64
	time time.Time
}

// ringOf reads a stranger's ledger: what is no arc, or not behind the one before it, is left out.
func ringOf(l *report.Ledger) []ringArc {
	var out []ringArc
	for _, a := range l.Arcs[:min(len(l.Arcs), report.MaxArcs)] {
		n, err := strconv.ParseUint(a.From, 16, 64)
		if err != nil || len(a.From) != 16 {
			continue
		}
		switch {
		case len(out) == 0 && n != 0:
			out = append(out, ringArc{}) // what lies before the first was never read
		case len(out) > 0 && n <= out[len(out)-1].from:
			continue
		}
		out = append(out, ringArc{n, float64(n>>11) / (1 << 53), a.Time})
	}
	return out
}

// terms are the ages at which a stretch changes its style, and what the styles mean: in quarters of the promise where there is one.
func (b *builder) terms() ([]time.Duration, []string) {
	const d = 24 * time.Hour
	days := []int64{7, 30, 90}
	if p := b.a.Budget.CoverageDays; p >= 4 && p < 1<<16 {
		days = []int64{p / 4, p / 2, p}
	}
	words := []string{
		fmt.Sprintf("within %d days", days[0]), fmt.Sprintf("%d to %d days", days[0], days[1]), fmt.Sprintf("%d to %d days", days[1], days[2]),
		fmt.Sprintf("longer than %d days ago", days[2]), "never",
	}
	return []time.Duration{time.Duration(days[0]) * d, time.Duration(days[1]) * d, time.Duration(days[2]) * d}, words
}

// classOf is the style of a time.
func classOf(t, now time.Time, terms []time.Duration) int {
	if t.IsZero() {
		return len(terms) + 1
	}
	for i, term := range terms {
		if now.Sub(t) <= term {
			return i
		}
	}
	return len(terms)
}

// near writes a share, from 0 to 1, in per cent: rounded, but neither to nothing nor to all.
func near(f float64) string {
	switch {
	case f <= 0:
		return "0 %"
	case f < 0.001:
		return "< 0.1 %"
	case f > 0.999 && f < 1-1e-12:
		return "> 99.9 %"
	}
	return strconv.FormatFloat(math.Round(min(f, 1)*1000)/10, 'f', -1, 64) + " %"
}

// num writes a coordinate.
func num(f float64) string { return strconv.FormatFloat(f, 'f', 1, 64) }
