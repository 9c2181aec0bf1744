package web

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"farshore/agent/daemon"
	"farshore/agent/units"
)

// strip are the days of a source, side by side: the worst that its passes came to on each.
type strip struct {
	Name, Href string
	// Desc says in words what the strip shows.
	Desc  string
	Marks []mark // one path for each outcome
}

// strips are those of the sources, the ones with trouble first.
type strips struct {
	From, To string
	List     []strip
	More     string
	Legend   []key
	Numbers  table
}

// maxStrips is how many sources are drawn, and listed in the table beside.
const maxStrips = 40

// cellSize is the size of a day in a strip, in the strip's own units.
const cellSize = 10

func (b *builder) strips(p *past) *strips {
	s := &strips{From: p.days.begin[0].Format("2 Jan"), To: "today", Legend: keys("complete", "incomplete", "suspicious", "failed", "stopped", "none")}
	s.Numbers = table{Caption: "Passes of each source in 30 days", Head: []column{{Title: "Source"}, {"Passes", true}, {"Complete", true}, {Title: "Worst"}, {"Longest", true}, {"Read", true}, {"Stored", true}}}
	list := slices.Clone(b.st.Sources)
	totals := make(map[string]*day, len(list))
	for name, days := range p.passes {
		t := new(day)
		for i := range days {
			t.merge(&days[i])
		}
		totals[name] = t
	}
	if len(list) > maxStrips {
		slices.SortStableFunc(list, func(x, y daemon.SourceStatus) int { return cmp.Compare(totals[y.Name].worst, totals[x.Name].worst) })
		s.More = fmt.Sprintf("The %d sources with the worst passes of %s; each source's own page has its charts.", maxStrips, units.Count(int64(len(list))))
		list = list[:maxStrips]
	}
	for i := range list {
		name := list[i].Name
		s.List = append(s.List, stripOf(name, p.passes[name]))
		t := totals[name]
		longest := "not known"
		if t.longest > 0 {
			longest = span(t.longest)
		}
		s.Numbers.Rows = append(s.Numbers.Rows, []cell{
			{Text: title(name), Href: sourceHref(name)}, {Text: units.Count(int64(t.runs))}, {Text: units.Count(int64(t.fine))}, {Text: t.worst.word(), Tone: t.worst.tone(), Sign: true},
			{Text: longest}, {Text: units.Bytes(t.read)}, {Text: units.Bytes(t.stored)},
		})
	}
	return s
}

func stripOf(name string, days *[chartDays]day) strip {
	s := strip{Name: title(name), Href: sourceHref(name)}
	paths, count := [outcomes]strings.Builder{}, [outcomes]int{}
	for i := range days {
		o := days[i].worst
		count[o]++
		paths[o].WriteString(shape(o.class(), (float64(i)+.5)*cellSize, cellSize/2, 4))
	}
	var words []string
	for o := outcomes - 1; o >= noRun; o-- {
		if count[o] == 0 {
			continue
		}
		s.Marks = append(s.Marks, mark{D: paths[o].String(), Class: "m-" + o.class()})
		words = append(words, fmt.Sprintf("%s %s", units.Plural(int64(count[o]), "day"), dayWords[o]))
	}
	s.Desc = s.Name + ", the worst of each of 30 days: " + joined(words)
	return s
}

var dayWords = [outcomes]string{"without a pass", "complete", "stopped", "with an end that was not seen", "incomplete", "suspicious", "failed", "with an alarm"}
