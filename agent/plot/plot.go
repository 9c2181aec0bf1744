// Package plot is the arithmetic of what pages draw: scales with round steps. It knows neither colours nor boxes.
package plot

import "math"

// maxMarks bounds the marks of a scale.
const maxMarks = 12

// Scale is one from 0 to its top, with marks at each step.
type Scale struct {
	Top, Step float64
	// Write says a mark's value; 0 is always "0".
	Write func(float64) string
}

// Height is where a value lies in a box whose coordinates grow downwards: at bottom for 0, at top for the scale's own, and never beyond. What is no number lies at the bottom.
func (s Scale) Height(v, top, bottom float64) float64 {
	if s.Top <= 0 || math.IsNaN(v) {
		return bottom
	}
	return bottom - max(0, min(1, v/s.Top))*(bottom-top)
}

// Mark is a value of a scale with its text.
type Mark struct {
	Value float64
	Text  string
}

// Marks are those of the scale from 0 on.
func (s Scale) Marks() []Mark {
	out := []Mark{{0, "0"}}
	for i := 1; i < maxMarks; i++ {
		v := float64(i) * s.Step
		if v > s.Top*1.0001 {
			break
		}
		out = append(out, Mark{v, s.Write(v)})
	}
	return out
}

// Nice is the smallest step of 1, 2, 2.5 or 5 times a power of ten that reaches v in so many steps; 1 for what is no positive number.
func Nice(v float64, steps int) float64 {
	if v <= 0 || math.IsInf(v, 0) || math.IsNaN(v) {
		return 1
	}
	raw := v / float64(steps)
	pow := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, m := range []float64{1, 2, 2.5, 5} {
		if m*pow >= raw*0.9999 {
			return m * pow
		}
	}
	return 10 * pow
}
