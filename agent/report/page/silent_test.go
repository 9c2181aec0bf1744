package page_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"farshore/agent/report"
)

// TestSilentDraws holds that draws of which an audit's signer told nothing are shown with it, whatever it found, and those of nobody else.
func TestSilentDraws(t *testing.T) {
	a := intact(end)
	e := entry(a, 2000)
	var history []*report.Entry
	for i := range int64(12) {
		c := &report.Entry{Name: report.Name(agent, 1980+i), Seq: 1980 + i, Hash: hashOf(fmt.Sprint("drawn", i)), Signer: agent, Time: end.Add(-time.Hour), Kind: report.TypeCommitment, Commitment: &report.Commitment{}}
		history = append(history, c)
	}
	text := textOf(t, sample{entry: e, history: history}, 100, false)
	if !strings.Contains(text, "12 other draws") || !strings.Contains(text, "… and 2 more") || !strings.Contains(text, history[0].Name) {
		t.Errorf("%s", text)
	}
	for _, c := range history {
		c.Signer = "ffffffffffffffffffffffffffffffff"
	}
	if text := textOf(t, sample{entry: e, history: history}, 100, false); strings.Contains(text, "other draw") {
		t.Errorf("another's are shown: %s", text)
	}
}
