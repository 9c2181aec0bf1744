package config

import (
	"testing"
	"time"
)

func TestShares(t *testing.T) {
	for text, want := range map[string]float64{"5%": 0.05, "0.05": 0.05, "100 %": 1, "1": 1, "0.1%": 0.001} {
		if got, err := ParseShare(text); err != nil || got < want*0.999999 || got > want*1.000001 {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, bad := range []string{"", "0", "0%", "-1%", "101%", "1.5", "NaN", "Inf", "five", "5%%"} {
		if got, err := ParseShare(bad); err == nil {
			t.Errorf("%q was taken for %v", bad, got)
		}
	}
	if got := FormatShare(0.015); got != "1.5%" {
		t.Error(got)
	}
}

// TestGoals holds that a source's own goals go before the common ones, each by itself.
func TestGoals(t *testing.T) {
	c := &Config{Goals: Goals{MaxAge: time.Hour, RecoveryTime: 2 * time.Hour}}
	if got := c.GoalsOf(&Source{}); got != c.Goals {
		t.Error(got)
	}
	if got := c.GoalsOf(&Source{Goals: Goals{MaxAge: time.Minute}}); got != (Goals{time.Minute, 2 * time.Hour}) {
		t.Error(got)
	}
}

// TestRenderGoals holds that an edit of a source keeps its goals.
func TestRenderGoals(t *testing.T) {
	s := Source{Name: "shop", URL: "s3://b/", Goals: Goals{MaxAge: 26 * time.Hour, RecoveryTime: 48 * time.Hour}}
	want := "  - name: shop\n    url: s3://b/\n    max_age: 26h\n    recovery_time: 2d\n"
	if got := renderSource(s, 2); got != want {
		t.Errorf("%q", got)
	}
}
