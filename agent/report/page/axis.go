package page

import (
	"math"
	"strconv"
	"time"

	"farshore/agent/plot"
	"farshore/agent/units"
)

// chart is a drawing with its axes, in the units of its own box, and the numbers that it shows.
type chart struct {
	ID, Title, Desc string
	W, H            int
	// Left, Right, Top, Bottom are the box of the data.
	Left, Right, Top, Bottom string
	XTicks, YTicks           []tick
	Areas, Lines             []path
	Bars                     []rect
	Dots                     []dot
	Legend                   []stripKey
	Numbers                  *table
	// Empty says why there is nothing to draw.
	Empty string
}

type tick struct {
	At, Text string
	Class    string // start, middle or end; minor where it may be left out
}

type path struct{ D, Class string }

type rect struct{ X, Y, W, H, Class, Title string }

type dot struct{ X, Y, Class, Title string }

// Sizes of a chart's box and of the margins around its data.
const (
	chartW, chartH        = 440, 200
	chartLeft, chartRight = 62, 428
	chartTop, chartBottom = 14, 172
	maxPoints             = 60 // of a chart
	xTicks, yTicks        = 4, 4
	day24                 = 24 * time.Hour
	minBar, maxBar        = 2.0, 26.0
)

func newChart(id, title, desc string) chart {
	return chart{
		ID: id, Title: title, Desc: desc, W: chartW, H: chartH,
		Left: num(chartLeft), Right: num(chartRight), Top: num(chartTop), Bottom: num(chartBottom),
	}
}

// timeAxis maps times to the box.
type timeAxis struct{ from, to time.Time }

func (a timeAxis) at(t time.Time) float64 {
	span := a.to.Sub(a.from)
	if span <= 0 {
		return (chartLeft + chartRight) / 2
	}
	f := float64(t.Sub(a.from)) / float64(span)
	return chartLeft + max(0, min(1, f))*(chartRight-chartLeft)
}

// ticks are dates along the axis.
func (a timeAxis) ticks() []tick {
	span := a.to.Sub(a.from)
	layout := "2006-01-02"
	switch {
	case span <= 0:
		return []tick{{num(a.at(a.from)), a.from.UTC().Format(layout), "middle"}}
	case span < 2*day24:
		layout = "02 Jan 15:04"
	case span < 300*day24:
		layout = "2 Jan"
	case span > 4*365*day24:
		layout = "2006"
	default:
		layout = "Jan 2006"
	}
	var out []tick
	last := ""
	for i := range xTicks + 1 {
		t := a.from.Add(span / xTicks * time.Duration(i))
		text := t.UTC().Format(layout)
		if text == last {
			continue
		}
		last = text
		class := [xTicks + 1]string{"start", "middle minor", "middle", "middle minor", "end"}[i]
		out = append(out, tick{num(a.at(t)), text, class})
	}
	return out
}

// valueAxis maps values from 0 to its top to the box.
type valueAxis struct{ plot.Scale }

func (a valueAxis) at(v float64) float64 { return a.Height(v, chartTop, chartBottom) }

func (a valueAxis) ticks() []tick {
	var out []tick
	for _, m := range a.Marks() {
		out = append(out, tick{num(a.at(m.Value)), m.Text, "end"})
	}
	return out
}

func newValueAxis(top, step float64, write func(float64) string) valueAxis {
	return valueAxis{plot.Scale{Top: top, Step: step, Write: write}}
}

// countAxis is one of whole numbers.
func countAxis(most float64) valueAxis {
	step := math.Ceil(max(plot.Nice(max(most, 1), yTicks), 1))
	return newValueAxis(step*math.Ceil(max(most, 1)/step), step, func(v float64) string { return compact(v) })
}

// compact writes a number on an axis: 1,200 as 1.2 k.
func compact(v float64) string {
	for _, u := range []struct {
		n float64
		s string
	}{{1e18, " E"}, {1e15, " P"}, {1e12, " T"}, {1e9, " G"}, {1e6, " M"}, {1e4, " k"}} {
		if v >= u.n {
			if u.n == 1e4 {
				u.n = 1e3
			}
			return strconv.FormatFloat(v/u.n, 'f', -1, 64) + u.s
		}
	}
	return units.Count(int64(v))
}

// bytesAxis is one of bytes, in steps of round numbers of their unit.
func bytesAxis(most float64) valueAxis {
	unit := 1.0
	for most/unit >= 1000 && unit < 1<<60 {
		unit *= 1024
	}
	step := max(plot.Nice(most/unit, yTicks)*unit, 1)
	return newValueAxis(step*math.Ceil(max(most, 1)/step), step, func(v float64) string { return sizeTick(v, unit) })
}

func sizeTick(v, unit float64) string {
	i := int(math.Round(math.Log2(unit) / 10))
	return strconv.FormatFloat(v/unit, 'f', -1, 64) + " " + []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}[i]
}

// timesAxis is one of durations, given in seconds.
func timesAxis(most float64) valueAxis {
	for _, step := range []float64{1, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 2 * 86400, 7 * 86400, 14 * 86400, 28 * 86400, 91 * 86400} {
		if step*yTicks >= most {
			return newValueAxis(step*math.Ceil(max(most, 1)/step), step, spanTick)
		}
	}
	step := math.Ceil(most/yTicks/(365*86400)) * 365 * 86400
	return newValueAxis(step*yTicks, step, spanTick)
}

func spanTick(v float64) string {
	for _, u := range []struct {
		n float64
		s string
	}{{86400, " d"}, {3600, " h"}, {60, " min"}} {
		if v >= u.n {
			return strconv.FormatFloat(math.Round(v/u.n*10)/10, 'f', -1, 64) + u.s
		}
	}
	return strconv.FormatFloat(v, 'f', -1, 64) + " s"
}

// percentAxis is one from 0 to 100 %.
func percentAxis() valueAxis {
	return newValueAxis(100, 25, func(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) + " %" })
}
