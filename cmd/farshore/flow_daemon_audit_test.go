package main

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"farshore/agent/daemon/history"
	"farshore/agent/report"
)

// TestDaemonAuditsAsWriter has the daemon audit with a credential that may not read packs, as a writer's may not: that is no failure, and nothing is claimed of packs. That it may not any
// more is one.
func TestDaemonAuditsAsWriter(t *testing.T) {
	r, vault := newOverseas(t)
	d := newDesk(r)
	packs := "/" + vault + "/v/packs/"
	deny := func() {
		r.gate.set(func(w http.ResponseWriter, q *http.Request) bool {
			if q.Method != http.MethodGet || !strings.HasPrefix(q.URL.Path, packs) {
				return false
			}
			http.Error(w, "<Error><Code>AccessDenied</Code><Message>not for a writer</Message></Error>", http.StatusForbidden)
			return true
		})
	}
	deny()
	for i := range 20 { // more packs than are asked for when none is given
		r.put(map[string]string{"n": strings.Repeat("x", i)})
		r.ok("replicate", "--quiet")
	}
	d.forget()
	s := r.serve("schedule: \"off\"\n")
	audit := func(exit int) history.Run {
		t.Helper()
		r.run("trigger", "--verify", "--wait").ends(exit)
		run := s.ran("verify", 1)
		if run.Exit != exit || run.Audit == nil {
			t.Fatalf("%+v, %+v", run, run.Audit)
		}
		return run
	}
	s.ran("verify", 1)
	for range 2 {
		if run := audit(exitDone); run.Audit.Verdict != report.VerdictIncomplete || !strings.Contains(run.Audit.Line, "may not read packs") || strings.Contains(run.Audit.Line, "every pack") {
			t.Errorf("%+v", run.Audit)
		}
	}
	r.ok("status", "--check").says("may not read packs", "farshore install --verifier")
	s.metrics("farshore_audit_success 1", `farshore_audit_verdict{verdict="incomplete"} 1`, `farshore_audit_verdict{verdict="intact"} 0`)
	if got := d.titles("hook", 0); len(got) > 0 {
		t.Errorf("it was told: %q", got)
	}
	r.ok("report").says("INCOMPLETE")
	r.ok("report", "check")

	r.gate.set(nil)
	if run := audit(exitDone); run.Audit.Verdict != report.VerdictIntact || strings.Contains(run.Audit.Line, "may not read") {
		t.Errorf("%+v", run.Audit)
	}
	deny()
	audit(exitIncomplete)
	if got := d.titles("hook", 1); !slices.Equal(got, []string{"farshore: audit of the vault ended with a warning"}) {
		t.Errorf("%q", got)
	}
	audit(exitDone)
	// Whoever asks for it by hand is told that it is not what he may think.
	r.run("verify").ends(exitIncomplete).says("INCOMPLETE", "the credential may not read them")
	s.stop()
}

// forget forgets what came until now.
func (d *desk) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.bodies, d.pings = map[string][]string{}, nil
}
