package plot_test

import (
	"fmt"
	"math"
	"strconv"
	"testing"

	"farshore/agent/plot"
)

func TestNice(t *testing.T) {
	for _, tt := range []struct {
		v     float64
		steps int
		want  float64
	}{{4, 4, 1}, {5, 4, 2}, {9, 4, 2.5}, {17, 4, 5}, {21, 4, 10}, {0.3, 4, 0.1}, {0, 4, 1}, {-3, 4, 1}, {math.NaN(), 4, 1}, {math.Inf(1), 4, 1}} {
		if got := plot.Nice(tt.v, tt.steps); math.Abs(got-tt.want) > 1e-9*tt.want {
			t.Errorf("Nice(%v, %d) = %v, want %v", tt.v, tt.steps, got, tt.want)
		}
	}
}

func TestScale(t *testing.T) {
	write := func(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
	s := plot.Scale{Top: 10, Step: 2.5, Write: write}
	if got := fmt.Sprint(s.Marks()); got != "[{0 0} {2.5 2.5} {5 5} {7.5 7.5} {10 10}]" {
		t.Errorf("marks are %s", got)
	}
	if n := len(plot.Scale{Top: 1e9, Step: 1, Write: write}.Marks()); n > 12 {
		t.Errorf("%d marks", n)
	}
	for v, want := range map[float64]float64{0: 100, 5: 60, 10: 20, 11: 20, -1: 100, math.Inf(1): 20} {
		if got := s.Height(v, 20, 100); got != want {
			t.Errorf("Height(%v) = %v, want %v", v, got, want)
		}
	}
	if got := s.Height(math.NaN(), 20, 100); got != 100 {
		t.Errorf("what is no number lies at %v", got)
	}
	if got := (plot.Scale{}).Height(3, 20, 100); got != 100 {
		t.Errorf("without a scale a value lies at %v", got)
	}
}
