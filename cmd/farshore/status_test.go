package main

import (
	"bufio"
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"farshore/agent/daemon"
	"farshore/agent/daemon/history"
)

var update = flag.Bool("update", false, "write the golden texts of status as they are now")

// madeUp is a daemon with sources in every state.
func madeUp() daemon.Status {
	now := time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	in := func(all ...time.Duration) (out []time.Time) {
		for _, d := range all {
			out = append(out, now.Add(d))
		}
		return out
	}
	good := func(seq int64, age time.Duration) *daemon.Snapshot {
		return &daemon.Snapshot{Chain: "c0ffee", Seq: seq, Hash: strings.Repeat("ab", 32), Time: ago(age)}
	}
	run := func(job string, began time.Duration, exit int, code, text string) *history.Run {
		return &history.Run{Job: job, Started: ago(began), Ended: ago(began - 90*time.Second), Exit: exit, Code: code, Text: text}
	}
	left := 754.0
	shop := run("pass shop", 40*time.Minute, exitDone, "", "")
	shop.Pass = &history.Pass{Complete: true, Seq: 17, Listed: 120_345, New: 12, Changed: 3, Deleted: 1, ReadBytes: 5 << 20, StoredBytes: 3 << 20}
	code := run("pass code", 3*time.Hour, exitFailed, "denied", "source code: git ls-remote failed\nauthentication failed")
	code.Hint = "the server does not take the credential"
	mail := run("pass mail", 26*time.Hour, 130, "interrupted", "interrupted")
	mail.Stopped, mail.Pass = true, &history.Pass{LeftItems: 40}
	probe := run("probe", 2*time.Hour, exitDone, "", "")
	probe.Probe = &history.Probe{Required: "append-only", Verdict: "protected", Words: "nothing that the credential may do destroys what is stored"}
	audit := run("verify", 12*time.Hour, exitDone, "", "")
	audit.Audit = &history.Audit{Verdict: "intact", Line: "intact: 320 of 1,300 objects read, at most 1.0 % of packs damaged (95 %), 100 % covered, oldest 34 d"}
	source := func(name string, age time.Duration, maxAge float64, late bool, j daemon.JobStatus, good *daemon.Snapshot) daemon.SourceStatus {
		j.Job, j.Schedule = "pass "+name, "1h"
		return daemon.SourceStatus{Name: name, JobStatus: j, Good: good, AgeSeconds: age.Seconds(), MaxAgeSeconds: maxAge, Late: late}
	}
	st := daemon.Status{
		Version: "1.4.0", Now: now, Started: ago(50 * time.Hour), Zone: "Europe/Berlin", Vault: "gs://example-offsite/vault", Parallel: 4,
		Config: daemon.ConfigStatus{Path: "/etc/farshore/farshore.yaml", Loaded: ago(49 * time.Hour)},
		Sources: []daemon.SourceStatus{
			source("shop", 39*time.Minute, 7200, false, daemon.JobStatus{Next: in(20*time.Minute, 80*time.Minute), Last: shop}, good(17, 39*time.Minute)),
			source("photos", 26*time.Hour, 86400, true, daemon.JobStatus{Running: &daemon.RunningStatus{
				Since: ago(18 * time.Minute), Moved: ago(time.Second), BytesPerSecond: 12 << 20, LeftSeconds: &left,
				Measured: daemon.Measured{Items: 10, TotalItems: 22, Bytes: 3 << 30, TotalBytes: 12 << 30},
			}, Last: shop}, good(4, 26*time.Hour)),
			source("code", 27*time.Hour, 0, false, daemon.JobStatus{Next: in(2*time.Minute, time.Hour), Retry: true, Last: code, Failures: 3}, good(9, 27*time.Hour)),
			source("wiki", 0, 3600, false, daemon.JobStatus{Waiting: ago(time.Minute)}, nil),
			source("mail", 30*time.Hour, 0, false, daemon.JobStatus{Next: []time.Time{}, Last: mail}, good(2, 30*time.Hour)),
			source("hr", 27*time.Hour, 0, false, daemon.JobStatus{Next: in(time.Hour), Last: run("pass hr", time.Hour, exitIncomplete, codeSuspicious, "x")}, good(30, 27*time.Hour)),
			source("crm", 27*time.Hour, 0, false, daemon.JobStatus{Next: in(time.Hour), Last: run("pass crm", time.Hour, exitDamage, "damage", "x"), Failures: 2}, good(8, 27*time.Hour)),
			source("tape", 27*time.Hour, 0, false, daemon.JobStatus{Running: &daemon.RunningStatus{Since: ago(time.Hour), Moved: ago(20 * time.Minute), Measured: daemon.Measured{Listed: 1234}}, Last: code}, good(8, 27*time.Hour)),
		},
		Probe:  &daemon.JobStatus{Job: probeJob, Next: in(10 * time.Hour), Last: probe},
		Verify: &daemon.JobStatus{Job: verifyJob, Next: in(12 * time.Hour), Last: audit},
	}
	st.Sources[4].Backlog, st.Sources[5].Suspicious = daemon.Backlog{Items: 40}, []string{"deleted: 9 of 10 items"}
	return st
}

// texted is a status as people read it.
func texted(t *testing.T, r statusResult) string {
	t.Helper()
	var b bytes.Buffer
	w := bufio.NewWriter(&b)
	r.text(&printer{w: w})
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestStatusText holds what people read of a status to the word, and to the width of a terminal.
func TestStatusText(t *testing.T) {
	st := madeUp()
	refused := madeUp()
	refused.Sources, refused.Stopping, refused.Zone, refused.Probe = nil, true, "UTC", nil
	refused.Config.Problem, refused.Config.ProblemAt = "farshore.yaml:3:1: no key \"x\"\nfarshore.yaml:4:1: no key \"y\"\x1b[1m", refused.Now
	refused.Verify = &daemon.JobStatus{Job: verifyJob, Next: []time.Time{}, Running: &daemon.RunningStatus{Since: refused.Now.Add(-time.Minute), Measured: daemon.Measured{Bytes: 5 << 20}}}
	if got := zoneName("Local"); got != "this machine's time zone" {
		t.Error(got)
	}
	for name, r := range map[string]statusResult{
		"all": {Status: st}, "refused": {Status: refused}, "shop": {Status: st, one: &st.Sources[0]}, "photos": {Status: st, one: &st.Sources[1]}, "code": {Status: st, one: &st.Sources[2]},
		"wiki": {Status: st, one: &st.Sources[3]}, "hr": {Status: st, one: &st.Sources[5]}, "quiet": {Status: st, brief: true},
	} {
		got := texted(t, r)
		want, err := os.ReadFile(filepath.Join("testdata", "status", name+".txt"))
		if *update {
			err = os.WriteFile(filepath.Join("testdata", "status", name+".txt"), []byte(got), 0o644)
			want = []byte(got)
		}
		if err != nil || got != string(want) {
			t.Errorf("%s: %v:\n%s", name, err, got)
		}
		for line := range strings.Lines(got) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 120 || n > 100 && strings.HasPrefix(name, "all") && !strings.Contains(line, "audit") {
				t.Errorf("%s: %d columns: %s", name, n, line)
			}
		}
	}
}

// TestStatusVerdict holds --check to say what is not well, and how bad that is.
func TestStatusVerdict(t *testing.T) {
	well := func() statusResult {
		st := madeUp()
		st.Sources = st.Sources[:1]
		return statusResult{Status: st}
	}
	for _, tt := range []struct {
		name   string
		change func(*statusResult)
		exit   int
		says   string
	}{
		{"well", func(*statusResult) {}, exitDone, ""},
		{"nothing yet", func(r *statusResult) { r.Sources[0].Last, r.Sources[0].Good = nil, nil }, exitDone, ""},
		{"stopped", func(r *statusResult) { r.Sources[0].Last.Stopped, r.Sources[0].Last.Exit = true, 130 }, exitDone, ""},
		{"late", func(r *statusResult) { r.Sources[0].Late = true }, exitIncomplete, "shop is late"},
		{"suspicious", func(r *statusResult) { r.Sources[0].Suspicious = []string{"x"} }, exitIncomplete, "shop is suspicious"},
		{"failed", func(r *statusResult) { r.Sources[0].Last.Exit, r.Sources[0].Last.Code = 1, "denied" }, exitIncomplete, "shop FAILED: denied"},
		{"damage", func(r *statusResult) { r.Sources[0].Last.Exit, r.Sources[0].Last.Code = 4, "damage" }, exitDamage, "shop ALARM: damage"},
		{"audit", func(r *statusResult) { r.Verify.Last.Exit, r.Verify.Last.Code = 4, "damage" }, exitDamage, "verify ALARM: damage"},
		{"probe", func(r *statusResult) { r.Probe.Last.Exit, r.Probe.Last.Code = 3, "unproven" }, exitIncomplete, "probe ended incomplete"},
		{"proof that is over", func(r *statusResult) { r.Probe.Last.Probe.Expires = r.Now.Add(-time.Second) }, exitIncomplete, "the proof of the credential is over"},
		{"refused", func(r *statusResult) { r.Config.Problem = "x" }, exitIncomplete, "a changed configuration was refused"},
	} {
		r := well()
		tt.change(&r)
		err := r.verdict()
		f := classify(t.Context(), err)
		if f == nil && tt.exit != exitDone || f != nil && (f.exit != tt.exit || !strings.HasSuffix(f.Error(), tt.says) || f.hint == "") {
			t.Errorf("%s: %+v", tt.name, f)
		}
	}
}
