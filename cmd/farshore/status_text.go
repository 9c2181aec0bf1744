package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"farshore/agent/daemon"
	"farshore/agent/daemon/history"
	"farshore/agent/probe"
)

// statusResult is the result of status.
type statusResult struct {
	daemon.Status
	one   *daemon.SourceStatus
	brief bool // only what is wrong
	zone  *time.Location
}

func (r statusResult) text(p *printer) {
	var err error
	if r.zone, err = time.LoadLocation(r.Zone); err != nil {
		r.zone = time.UTC
	}
	if r.brief {
		return
	}
	if r.one == nil {
		r.head(p)
		r.table(p)
	} else {
		r.details(p, r.one)
	}
	r.common(p)
}

// head says what runs, by which configuration.
func (r *statusResult) head(p *printer) {
	p.line("farshore %s, up for %s; times are in %s", clean(r.Version), formatDuration(r.Now.Sub(r.Started)), clean(zoneName(r.Zone)))
	p.line("configuration %s, read %s", printable(r.Config.Path), r.time(r.Config.Loaded))
	p.line("vault %s", printable(r.Vault))
	if r.Stopping {
		p.line("STOPPING: passes under way commit what is whole")
	}
	if r.Config.Problem != "" {
		p.line("REFUSED a changed configuration at %s, and goes on with the old one:", r.time(r.Config.ProblemAt))
		for line := range strings.Lines(r.Config.Problem) {
			p.line("  %s", clean(strings.TrimRight(line, "\n")))
		}
	}
	p.line("")
}

// zoneName is a time zone for people.
func zoneName(zone string) string {
	if zone == time.Local.String() {
		return "this machine's time zone"
	}
	return zone
}

// table has a line for each source, and one more for each pass under way.
func (r *statusResult) table(p *printer) {
	rows := [][]string{{"SOURCE", "GOOD SNAPSHOT", "MAY BE", "NEXT PASS", "STATE"}}
	for i := range r.Sources {
		s := &r.Sources[i]
		rows = append(rows, []string{printable(s.Name), goodOf(s), maxAgeOf(s), r.next(&s.JobStatus), r.state(s)})
	}
	p.table(rows)
	for i := range r.Sources {
		if s := &r.Sources[i]; s.Running != nil {
			p.line("%s: %s", printable(s.Name), r.running(s.Running))
		}
	}
	if len(r.Sources) == 0 {
		p.line("no sources: `farshore source add NAME URL` adds one, then `farshore reload`")
	}
	p.line("")
}

// goodOf says which is the newest good snapshot of a source, and how old it is.
func goodOf(s *daemon.SourceStatus) string {
	text := "none known"
	if s.Good != nil {
		text = fmt.Sprintf("%d, %s old", s.Good.Seq, formatDuration(seconds64(s.AgeSeconds)))
	}
	if s.Late {
		text += ": LATE"
	}
	return text
}

func maxAgeOf(s *daemon.SourceStatus) string {
	if s.MaxAgeSeconds == 0 {
		return "-"
	}
	return formatDuration(seconds64(s.MaxAgeSeconds))
}

// next says when a job is due.
func (r *statusResult) next(j *daemon.JobStatus) string {
	switch {
	case j.Running != nil:
		return "now"
	case !j.Waiting.IsZero():
		return "waiting"
	case len(j.Next) == 0:
		return "off"
	case j.Retry:
		return r.time(j.Next[0]) + " (again)"
	}
	return r.time(j.Next[0])
}

// state says in a few words what a source does, and how its last pass ended.
func (r *statusResult) state(s *daemon.SourceStatus) string {
	var out []string
	if s.Running != nil {
		out = append(out, "running")
	}
	if len(s.Suspicious) > 0 {
		out = append(out, "SUSPICIOUS")
	}
	switch last := ended(&s.JobStatus); {
	case s.Running == nil:
		out = append(out, or(last, "no pass yet"))
	case s.Last != nil && s.Last.Exit != exitDone && !s.Last.Stopped:
		out = append(out, "before: "+last)
	}
	if s.Running == nil && s.Backlog.Items > 0 {
		out = append(out, plural(s.Backlog.Items, "item")+" left")
	}
	return strings.Join(out, "; ")
}

// ended is how the last run of a job ended, and how many failed in a row; "" where none is known.
func ended(j *daemon.JobStatus) string {
	switch {
	case j.Last == nil:
		return ""
	case j.Failures > 1 && j.Last.Exit == exitDamage:
		return fmt.Sprintf("ALARM, %d times: %s", j.Failures, clean(j.Last.Code))
	case j.Failures > 1 && !j.Last.Stopped:
		return fmt.Sprintf("FAILED %d times: %s", j.Failures, clean(j.Last.Code))
	}
	return lastWord(j.Last)
}

// lastWord is how a run ended, in a word or two.
func lastWord(r *history.Run) string {
	switch {
	case r.Stopped:
		return "stopped, goes on"
	case r.Exit == exitDone:
		return "well"
	case r.Exit == exitIncomplete && r.Code == codeSuspicious:
		return "ended with an alarm"
	case r.Exit == exitIncomplete:
		return "ended incomplete"
	case r.Exit == exitDamage:
		return "ALARM: " + clean(r.Code)
	}
	return "FAILED: " + clean(r.Code)
}

// running says how far a run is.
func (r *statusResult) running(j *daemon.RunningStatus) string {
	text := "running for " + formatDuration(r.Now.Sub(j.Since))
	switch {
	case j.TotalBytes > 0 && j.Bytes >= j.TotalBytes && j.Items >= j.TotalItems:
		text += ", " + formatBytes(j.Bytes) + " done, reads back and commits"
	case j.TotalBytes > 0:
		text += fmt.Sprintf(", %s of %s", formatBytes(j.Bytes), formatBytes(j.TotalBytes))
	case j.Bytes > 0:
		text += ", " + formatBytes(j.Bytes)
	case j.Listed > 0:
		text += ", " + formatCount(j.Listed) + " listed"
	}
	if j.BytesPerSecond >= 1 {
		text += ", " + formatBytes(int64(j.BytesPerSecond)) + "/s"
	}
	if j.LeftSeconds != nil {
		text += ", " + formatDuration(seconds64(*j.LeftSeconds)) + " left"
	}
	if idle := r.Now.Sub(j.Moved); !j.Moved.IsZero() && idle > idleAfter {
		text += ", NOTHING MOVED for " + formatDuration(idle)
	}
	return text
}

// idleAfter is from when on a run that does not move is said not to.
const idleAfter = 5 * time.Minute

// details says all of one source.
func (r *statusResult) details(p *printer, s *daemon.SourceStatus) {
	line := func(what, format string, args ...any) { p.line("%-14s %s", what, fmt.Sprintf(format, args...)) }
	line("source", "%s", printable(s.Name))
	switch {
	case s.Good == nil:
		line("good snapshot", "none known")
	default:
		line("good snapshot", "%d of %s, %s old", s.Good.Seq, r.time(s.Good.Time), formatDuration(seconds64(s.AgeSeconds)))
		line("head", "%s", clean(briefHead(strconv.FormatInt(s.Good.Seq, 10)+":"+s.Good.Hash)))
	}
	switch {
	case s.MaxAgeSeconds == 0:
		line("may be", "nobody said how old it may be (max_age)")
	case s.Late:
		line("may be", "%s old: LATE", maxAgeOf(s))
	default:
		line("may be", "%s old", maxAgeOf(s))
	}
	if s.Running != nil {
		line("pass", "%s", r.running(s.Running))
	}
	if s.Backlog != (daemon.Backlog{}) {
		line("backlog", "%s, %s known to wait for capture", plural(s.Backlog.Items, "item"), formatBytes(s.Backlog.Bytes))
	}
	r.lastRun(line, &s.JobStatus)
	for _, reason := range s.Suspicious {
		line("SUSPICIOUS", "%s", clean(reason))
	}
	line("schedule", "%s", clean(s.Schedule))
	for i, t := range s.Next {
		what := "next"
		if i > 0 {
			what = ""
		}
		line(what, "%s", r.time(t))
	}
	p.line("")
}

// lastRun says how the last run ended, and why.
func (r *statusResult) lastRun(line func(string, string, ...any), j *daemon.JobStatus) {
	run := j.Last
	if run == nil {
		line("last pass", "none known")
		return
	}
	line("last pass", "%s, %s, took %s", r.time(run.Started), ended(j), formatDuration(run.Ended.Sub(run.Started)))
	if n := run.Pass; n != nil {
		line("", "%s listed, %s new, %s changed, %s deleted; read %s, of which %s were new to the vault", plural(n.Listed, "item"), formatCount(n.New), formatCount(n.Changed), formatCount(n.Deleted),
			formatBytes(n.ReadBytes), formatBytes(n.StoredBytes))
	}
	if run.Text != "" {
		line("", "%s", lines(run.Text))
	}
	if run.Hint != "" {
		line("hint", "%s", lines(run.Hint))
	}
}

// common says how the proof and the last audit stand.
func (r *statusResult) common(p *printer) {
	said := func(what, how, when string) {
		p.line("%s: %s", what, how)
		p.line("%*s  %s", len(what), "", when)
	}
	if r.Probe == nil {
		p.line("credential: what it may do is not asked (require: none)")
	} else {
		said("credential", r.proof(), r.when(r.Probe))
	}
	if r.Verify != nil {
		said("last audit", r.audited(), r.when(r.Verify))
	}
}

// proof says what the last probe came to.
func (r *statusResult) proof() string {
	switch last := r.Probe.Last; {
	case last == nil:
		return "not probed yet"
	case last.Probe == nil:
		return "the probe FAILED: " + lines(last.Text)
	case r.overProof():
		return "NOT PROVEN any more: that it can only add was proved until " + r.time(last.Probe.Expires)
	default:
		return verdictWord(probe.Verdict(last.Probe.Verdict)) + ": " + clean(last.Probe.Words)
	}
}

// overProof reports whether the proof of the credential does not count any more.
func (r *statusResult) overProof() bool {
	if r.Probe == nil || r.Probe.Last == nil || r.Probe.Last.Probe == nil {
		return false
	}
	p := r.Probe.Last.Probe
	return p.Verdict == string(probe.Protected) && !p.Expires.IsZero() && p.Expires.Before(r.Now)
}

// audited says what the last audit came to.
func (r *statusResult) audited() string {
	switch last := r.Verify.Last; {
	case last == nil:
		return "none by this daemon"
	case last.Audit == nil && last.Stopped:
		return "stopped before it came to anything"
	case last.Audit == nil:
		return "it FAILED: " + lines(last.Text)
	default:
		return clean(last.Audit.Line)
	}
}

// when says when a job ran last, and when it does again.
func (r *statusResult) when(j *daemon.JobStatus) string {
	var said []string
	if j.Last != nil {
		said = append(said, "at "+r.time(j.Last.Started))
	}
	if j.Running != nil {
		return strings.Join(append(said, "one is "+r.running(j.Running)), "; ")
	}
	return strings.Join(append(said, "next: "+r.next(j)), "; ")
}

// time writes a time in the daemon's zone: without the day where that is today.
func (r *statusResult) time(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	t, now := t.In(r.zone), r.Now.In(r.zone)
	if t.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return t.Format("15:04:05")
	}
	return t.Format("2006-01-02 15:04")
}
