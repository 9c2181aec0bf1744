package web_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"farshore/agent/daemon"
	"farshore/agent/daemon/history"
	"farshore/agent/daemon/web"
	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/report/page"
)

// noon is the moment of all samples.
var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// sample is a daemon at a moment, and what it knows.
type sample struct {
	name   string
	status daemon.Status
	runs   []history.Run // newest first
	shelf  *shelf
	proof  *history.Probe
}

func (s *sample) options() web.Options {
	return web.Options{
		Status: func() daemon.Status { return s.status },
		Runs: func(since time.Time, most int) []history.Run {
			var out []history.Run
			for _, r := range s.runs {
				if len(out) < most && !r.Started.Before(since) {
					out = append(out, r)
				}
			}
			return out
		},
		Shelf: s.shelf, Protection: func() *history.Probe { return s.proof }, Version: s.status.Version, Now: func() time.Time { return noon },
	}
}

func (s *sample) handler(tb testing.TB) http.Handler {
	tb.Helper()
	h, err := web.New(s.options())
	if err != nil {
		tb.Fatal(err)
	}
	return h
}

// shelf is a vault's reports, without a vault.
type shelf struct {
	reports []web.Report
	heads   []web.Head
	read    time.Time
	// page, when not nil, is asked for each report.
	page func(ctx context.Context, hash string) ([]byte, error)
}

func (s *shelf) Reports() ([]web.Report, time.Time) { return s.reports, s.read }
func (s *shelf) Heads() ([]web.Head, time.Time)     { return s.heads, s.read }

func (s *shelf) Page(ctx context.Context, hash string) ([]byte, error) {
	if s.page != nil {
		return s.page(ctx, hash)
	}
	for _, r := range s.reports {
		if r.Hash == hash {
			return reportPage()
		}
	}
	return nil, web.ErrNoReport
}

// reportPage is a report's page as the product makes it.
func reportPage() ([]byte, error) {
	e := &report.Entry{Name: "reports/0123/0000000001", Signer: "0123", Role: "auditor", Time: noon, Kind: report.TypeAudit, Audit: &report.Audit{
		Type: report.TypeAudit, Time: noon, Started: noon.Add(-time.Hour), Program: "farshore 0.1", Verdict: report.VerdictIntact, End: report.EndDone, Vault: record.Hash{1, 2, 3},
	}}
	var b bytes.Buffer
	err := page.HTML(&b, page.NewView(e, nil, nil))
	return b.Bytes(), err
}

func hashOf(c string) string { return strings.Repeat(c, 64)[:64] }

func to[T any](v T) *T { return &v }

// begin is a daemon's status without sources.
func begin() daemon.Status {
	return daemon.Status{
		Version: "0.9.0", PID: 411, Now: noon, Started: noon.Add(-76 * time.Hour), Zone: "Europe/Berlin", Vault: "s3://offsite/vault?region=eu-central-1", Parallel: 2,
		Config: daemon.ConfigStatus{Path: "/etc/farshore/farshore.yaml", Loaded: noon.Add(-30 * time.Hour)},
	}
}

// pass is a pass of a source that ended; what differs is changed by the caller.
func pass(source string, began time.Time, took time.Duration, seq int64) history.Run {
	return history.Run{
		Job: "pass " + source, Kind: history.KindPass, Source: source, Cause: history.CauseSchedule, Started: began, Ended: began.Add(took),
		Pass: &history.Pass{
			Complete: true, Chain: strings.Repeat("c1", 16), Seq: seq, Hash: hashOf("5e"), At: began.Add(took), Listed: 120_481 + seq, New: 12 + seq%7, Changed: seq % 5, Deleted: seq % 3,
			ReadBytes: (40 + seq*7%31) << 20, StoredBytes: (21 + seq*5%17) << 20,
		},
	}
}

// source is one that is well: a pass of 4 minutes, so long ago.
func source(name string, ago time.Duration, seq int64) daemon.SourceStatus {
	r := pass(name, noon.Add(-ago-4*time.Minute), 4*time.Minute, seq)
	return daemon.SourceStatus{
		Name:      name,
		JobStatus: daemon.JobStatus{Job: "pass " + name, Schedule: "17 * * * *", Jitter: 180, Next: []time.Time{noon.Add(17 * time.Minute), noon.Add(77 * time.Minute), noon.Add(137 * time.Minute)}, Last: &r},
		Good:      &daemon.Snapshot{Chain: r.Pass.Chain, Seq: seq, Hash: r.Pass.Hash, Time: noon.Add(-ago)}, AgeSeconds: ago.Seconds(), MaxAgeSeconds: 7200,
	}
}

// past are passes of a source each step for 30 days, newest first; each changes what differs, by its number from 0.
func past(name string, step time.Duration, each func(n int, r *history.Run)) []history.Run {
	var out []history.Run
	for n := 0; time.Duration(n)*step < 30*24*time.Hour; n++ {
		r := pass(name, noon.Add(-time.Duration(n)*step-56*time.Minute), time.Duration(150+n*37%240)*time.Second, int64(1000-n))
		if each != nil {
			each(n, &r)
		}
		out = append(out, r)
	}
	return out
}

func fail(r *history.Run, exit int, code, text, hint string) {
	r.Exit, r.Code, r.Text, r.Hint = exit, code, text, hint
	if exit == 1 {
		r.Pass = nil
	}
}

func audit(ago time.Duration, verdict, line string, coverage float64) history.Run {
	return history.Run{
		Job: "verify", Kind: history.KindAudit, Cause: history.CauseSchedule, Started: noon.Add(-ago - 20*time.Minute), Ended: noon.Add(-ago),
		Audit: &history.Audit{Verdict: verdict, Line: line, Report: hashOf("ab"), ReadBytes: 11 << 30, Coverage: &coverage},
	}
}

func audits(n int) []history.Run {
	var out []history.Run
	for i := range n {
		out = append(out, audit(time.Duration(9+24*i)*time.Hour, "intact", "intact", 0.91-0.012*float64(i)))
	}
	return out
}

func protected() *history.Probe {
	return &history.Probe{Required: "append-only", Verdict: "protected", Words: "protected: whatever this credential tried that destroys, the store denied", Expires: noon.Add(15 * time.Hour)}
}

func probeJob(p *history.Probe) *daemon.JobStatus {
	r := history.Run{Job: "probe", Kind: history.KindProbe, Cause: history.CauseSchedule, Started: noon.Add(-9 * time.Hour), Ended: noon.Add(-9*time.Hour + 20*time.Second), Probe: p}
	return &daemon.JobStatus{Job: "probe", Schedule: "@daily", Next: []time.Time{noon.Add(11 * time.Hour)}, Last: &r}
}

func verifyJob(r history.Run) *daemon.JobStatus {
	return &daemon.JobStatus{Job: "verify", Schedule: "23 3 * * *", Next: []time.Time{noon.Add(14*time.Hour + 23*time.Minute)}, Last: &r}
}

func samples() []*sample {
	return []*sample{wellSample(), firstSample(), runningSample(), brokenSample(), manySample(200), hostileSample()}
}

func fullShelf() *shelf {
	s := &shelf{read: noon.Add(-20 * time.Minute)}
	for i := range 12 {
		r := web.Report{Hash: hashOf(fmt.Sprintf("%02x", 0xa0+i)), Kind: "audit", Signer: strings.Repeat("8c", 16), Role: "auditor", Verdict: "intact", Line: "checked 312 of 41,204 objects (9.8 GiB), none damaged", Time: noon.Add(-time.Duration(9+24*i) * time.Hour)}
		switch i {
		case 3:
			r.Kind, r.Verdict, r.Line = "header drill", "", "the recovery key opened 300 of 300 headers"
		case 7:
			r.Verdict, r.Line = "incomplete", "the budget ended before all was checked: 112 of 41,204 objects, none damaged"
		}
		s.reports = append(s.reports, r)
	}
	for i, name := range []string{"shop-images", "invoices", "code", "svn"} {
		s.heads = append(s.heads, web.Head{Source: name, Chain: strings.Repeat(fmt.Sprintf("%02x", 0xc0+i), 16), Seq: int64(1000 + i), Hash: hashOf(fmt.Sprintf("%02x", 0x5a+i))})
	}
	return s
}

// wellSample is a daemon with nothing wrong.
func wellSample() *sample {
	s := &sample{name: "well", status: begin(), shelf: fullShelf(), proof: protected()}
	for i, name := range []string{"shop-images", "invoices", "code", "svn"} {
		s.status.Sources = append(s.status.Sources, source(name, time.Duration(52+9*i)*time.Minute, int64(1000+i)))
		s.runs = append(s.runs, past(name, 2*time.Hour, nil)...)
	}
	list := audits(28)
	s.runs = append(s.runs, list...)
	s.status.Probe, s.status.Verify = probeJob(s.proof), verifyJob(list[0])
	return s
}

// firstSample is a daemon that has just begun, and knows nothing.
func firstSample() *sample {
	s := &sample{name: "first", status: begin(), shelf: &shelf{}}
	s.status.Started, s.status.Config.Loaded = noon.Add(-3*time.Second), noon.Add(-3*time.Second)
	for _, name := range []string{"shop-images", "code"} {
		s.status.Sources = append(s.status.Sources, daemon.SourceStatus{Name: name, JobStatus: daemon.JobStatus{Job: "pass " + name, Schedule: "1h", Next: []time.Time{noon.Add(30 * time.Second)}}})
	}
	s.status.Sources[0].MaxAgeSeconds = 7200
	s.status.Probe, s.status.Verify = &daemon.JobStatus{Job: "probe", Schedule: "@daily", Next: []time.Time{noon}}, &daemon.JobStatus{Job: "verify", Schedule: "off"}
	return s
}

// runningSample is a daemon at work.
func runningSample() *sample {
	s := wellSample()
	s.name = "running"
	one := &s.status.Sources[0]
	one.Running = &daemon.RunningStatus{
		Since: noon.Add(-3 * time.Minute), Cause: history.CauseTrigger, Measured: daemon.Measured{Listed: 120_500, Items: 1204, TotalItems: 8110, Bytes: 3 << 30, TotalBytes: 12 << 30},
		BytesPerSecond: 47 << 20, ItemsPerSecond: 7, LeftSeconds: to(196.0), Moved: noon.Add(-time.Second),
	}
	one.Next, one.Backlog = nil, daemon.Backlog{Items: 6906, Bytes: 9 << 30}
	two := &s.status.Sources[2]
	two.Running = &daemon.RunningStatus{Since: noon.Add(-40 * time.Minute), Cause: history.CauseMissed, Measured: daemon.Measured{Listed: 88}, Moved: noon.Add(-21 * time.Minute)}
	s.status.Sources[1].Waiting, s.status.Sources[1].Next = noon.Add(-2*time.Minute), nil
	s.status.Verify.Running = &daemon.RunningStatus{Since: noon.Add(-9 * time.Minute), Cause: history.CauseSchedule, Measured: daemon.Measured{Bytes: 2 << 30, TotalBytes: 11 << 30}, BytesPerSecond: 80 << 20, LeftSeconds: to(118.0), Moved: noon}
	return s
}

// brokenSample is a daemon with everything wrong.
func brokenSample() *sample {
	s := &sample{name: "broken", status: begin(), shelf: fullShelf()}
	s.status.Config.Problem = "/etc/farshore/farshore.yaml:14: sources[1].schedule: \"every hour\" is no schedule: write an interval like 1h, or a cron expression like \"17 * * * *\"\n/etc/farshore/farshore.yaml:31: verify.share: 120% is more than all"
	s.status.Config.ProblemAt = noon.Add(-12 * time.Minute)
	late := source("shop-images", 26*time.Hour, 990)
	late.Late, late.Failures, late.Retry = true, 7, true
	fail(late.Last, 1, "store", "s3://offsite/vault: PutObject packs/4f/4f1c…: RequestTimeout: the store did not answer within 2m0s", "look whether the second provider is reachable from this machine: `farshore probe`")
	late.Last.Started, late.Last.Ended = noon.Add(-50*time.Minute), noon.Add(-48*time.Minute)
	marked := source("invoices", 55*time.Minute, 991)
	marked.Suspicious = []string{"9,214 of 9,870 objects changed in one pass, and 98 % of what changed can't be compressed any more", "4,120 objects have names that end with .locked"}
	fail(marked.Last, 1, "suspicious", "the pass looks like an attack on the source", "look at what changed at the source")
	marked.Last.Pass = &history.Pass{Complete: true, Suspicious: marked.Suspicious, Seq: 992, Listed: 9870, Changed: 9214, ReadBytes: 4 << 30, StoredBytes: 4 << 30}
	failing := source("code", 70*time.Minute, 400)
	failing.Failures, failing.Retry = 2, true
	fail(failing.Last, 1, "source", "git+https://git.example.net/team: 401 Unauthorized", "renew the token in /etc/farshore/forge.token")
	partial := source("svn", 30*time.Minute, 77)
	fail(partial.Last, 3, "incomplete", "2 of 42 repositories could not be read: lib (denied), old (vanished)", "`farshore source set svn --accept vanished` makes a reason no failure")
	partial.Last.Pass.Complete, partial.Last.Pass.Unreadable = false, 2
	alarm := source("archive", 40*time.Minute, 12)
	fail(alarm.Last, 4, "chain", "chain 0c…: commit 11 has another hash than this agent wrote", "commits that were there are gone or replaced: look for their older versions at the provider")
	unlimited := source("mail", 20*24*time.Hour, 3)
	unlimited.MaxAgeSeconds = 0
	s.status.Sources = []daemon.SourceStatus{late, marked, failing, partial, alarm, unlimited}
	s.runs = slicesOf(
		past("shop-images", time.Hour, func(n int, r *history.Run) {
			if n < 26 || n > 300 && n < 310 {
				fail(r, 1, "store", late.Last.Text, "")
			}
		}),
		past("invoices", time.Hour, func(n int, r *history.Run) {
			if n == 0 {
				*r = *marked.Last
			}
			if n == 200 {
				r.Stopped, r.Exit = true, 130
			}
		}),
		past("code", 4*time.Hour, func(n int, r *history.Run) {
			if n < 2 {
				fail(r, 1, "source", failing.Last.Text, failing.Last.Hint)
			}
			if n%40 == 20 {
				r.Ended = time.Time{}
				r.Pass = nil
			}
		}),
		past("svn", 24*time.Hour, func(n int, r *history.Run) {
			if n < 9 {
				fail(r, 3, "incomplete", partial.Last.Text, partial.Last.Hint)
				r.Pass.Complete = false
			}
		}),
		past("archive", 48*time.Hour, func(n int, r *history.Run) {
			if n == 0 {
				*r = *alarm.Last
			}
		}),
	)
	damaged := audit(9*time.Hour, "damaged", "3 of 312 objects that were checked are damaged; 2 snapshots of invoices need them", 0.42)
	damaged.Exit, damaged.Audit.Damaged = 4, 3
	list := append([]history.Run{damaged}, audits(20)[1:]...)
	list[4].Audit.Verdict = "incomplete"
	s.runs = append(s.runs, list...)
	s.status.Verify = verifyJob(damaged)
	s.proof = &history.Probe{Required: "append-only", Verdict: "unprotected", Words: "unprotected: this credential may delete versions of objects (s3:DeleteObjectVersion in packs/)"}
	s.status.Probe = probeJob(s.proof)
	s.status.Probe.Last.Exit = 4
	return s
}

func slicesOf(lists ...[]history.Run) []history.Run {
	var out []history.Run
	for _, l := range lists {
		out = append(out, l...)
	}
	return out
}

// manySample is a daemon with so many sources, some of them late.
func manySample(n int) *sample {
	s := wellSample()
	s.name = "many"
	s.status.Sources, s.runs = nil, nil
	for i := range n {
		src := source(fmt.Sprintf("bucket-%03d", i), time.Duration(20+i%90)*time.Minute, int64(i+1))
		switch {
		case i%61 == 7:
			src.Late, src.AgeSeconds, src.Failures = true, 9000, 3
			fail(src.Last, 1, "store", "the store did not answer", "look at it")
		case i%47 == 11:
			fail(src.Last, 3, "incomplete", "not all could be read", "")
			src.Last.Pass.Complete = false
		}
		s.status.Sources = append(s.status.Sources, src)
		s.runs = append(s.runs, *src.Last)
	}
	return s
}

// hostile is a text that a stranger might have written.
const hostile = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\u202egnp.exe\x1b[2J\x00\xff\xfe\"'`{{.}}"

// hostileSample is a daemon all of whose texts are a stranger's.
func hostileSample() *sample {
	s := wellSample()
	s.name = "hostile"
	long := strings.Repeat("x", 10<<10)
	for i, name := range []string{hostile, "../../etc/passwd", "a/b?c#d%2f&e=", "שלום", long, " "} {
		src := source(name, time.Hour, int64(i+1))
		src.Schedule, src.Suspicious = hostile, []string{hostile, long}
		fail(src.Last, 1, hostile, hostile+long, hostile)
		src.Last.Cause = hostile
		s.status.Sources = append(s.status.Sources, src)
		s.runs = append(s.runs, *src.Last)
	}
	s.status.Vault, s.status.Config.Path, s.status.Config.Problem, s.status.Zone, s.status.Version = hostile, long, hostile+"\n"+long, hostile, hostile
	s.proof = &history.Probe{Required: hostile, Verdict: hostile, Words: hostile}
	for i := range s.shelf.reports {
		r := &s.shelf.reports[i]
		r.Kind, r.Signer, r.Role, r.Verdict, r.Line = hostile, hostile, long, hostile, hostile
	}
	s.shelf.reports[0].Hash = "../../../etc/passwd"
	s.shelf.heads = append(s.shelf.heads, web.Head{Source: hostile, Chain: hostile, Seq: 3, Hash: hostile}, web.Head{Seq: 0}, web.Head{Source: "short", Seq: 1, Hash: "\u202e"})
	s.status.Verify.Last.Audit.Line, s.status.Verify.Last.Audit.Verdict, s.status.Verify.Last.Audit.Report = hostile, hostile, hostile
	return s
}

var errStore = errors.New("the store does not answer " + hostile)
