package web

import (
	"math"
	"strconv"

	"farshore/agent/plot"
)

// Sizes of a chart's box and of the margins around its data, in its own units.
const (
	chartW, chartH        = 440, 200
	chartLeft, chartRight = 66, 432
	chartTop, chartBottom = 16, 172
	steps                 = 4 // of a scale, about
)

// scale maps values from 0 to its top to the height of a chart.
type scale struct{ plot.Scale }

func (a scale) at(v float64) float64 { return a.Height(v, chartTop, chartBottom) }

type tick struct{ At, Text, Class string }

func (a scale) ticks() []tick {
	var out []tick
	for _, m := range a.Marks() {
		out = append(out, tick{num(a.at(m.Value)), m.Text, "end"})
	}
	return out
}

// newScale makes one.
func newScale(top, step float64, write func(float64) string) scale {
	return scale{plot.Scale{Top: top, Step: step, Write: write}}
}

// bytesScale is one of bytes, in steps of round numbers of their unit.
func bytesScale(most float64) scale {
	unit, name := 1.0, 0
	for most/unit >= 1000 && name < len(sizes)-1 {
		unit, name = unit*1024, name+1
	}
	step := max(plot.Nice(most/unit, steps)*unit, 1)
	return newScale(step*math.Ceil(max(most, 1)/step), step, func(v float64) string { return strconv.FormatFloat(v/unit, 'f', -1, 64) + " " + sizes[name] })
}

var sizes = [...]string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}

// timeScale is one of durations, in seconds.
func timeScale(most float64) scale {
	for _, step := range []float64{1, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 2 * 86400, 7 * 86400} {
		if step*steps >= most {
			return newScale(step*math.Ceil(max(most, 1)/step), step, lasting)
		}
	}
	step := math.Ceil(most/steps/(30*86400)) * 30 * 86400
	return newScale(step*steps, step, lasting)
}

// shareScale is one of shares from 0 to 1.
func shareScale() scale {
	return newScale(1, 0.25, func(v float64) string { return strconv.FormatFloat(v*100, 'f', -1, 64) + " %" })
}

// num writes a coordinate.
func num(f float64) string { return strconv.FormatFloat(f, 'f', 1, 64) }
