package web

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"

	"farshore/agent/daemon"
	"farshore/agent/daemon/history"
	"farshore/agent/metrics"
)

// metricsStatus is a daemon with a source that is well and runs, one that never was, and a job of each other kind.
func metricsStatus() daemon.Status {
	began := time.Unix(1_700_000_000, 0)
	running := &daemon.RunningStatus{Since: began.Add(60 * time.Second), Moved: began.Add(90500 * time.Millisecond), Measured: daemon.Measured{Bytes: 4096}}
	return daemon.Status{
		Started: began, Config: daemon.ConfigStatus{Loaded: began.Add(-time.Second)},
		Sources: []daemon.SourceStatus{
			{Name: "shop", JobStatus: daemon.JobStatus{Job: "pass shop", Running: running, Next: []time.Time{began.Add(time.Hour), began.Add(2 * time.Hour)}}, Good: &daemon.Snapshot{Time: began.Add(-time.Hour)},
				MaxAgeSeconds: 7200, Backlog: daemon.Backlog{Items: 3, Bytes: 1000}},
			{Name: "logs", JobStatus: daemon.JobStatus{Job: "pass logs", Failures: 4}, Late: true},
		},
		Probe:  &daemon.JobStatus{Job: "probe", Next: []time.Time{began.Add(3 * time.Hour)}},
		Verify: &daemon.JobStatus{Job: "verify"},
	}
}

const statusMetrics = `
# HELP farshore_config_loaded_timestamp_seconds When the configuration that counts was read.
# TYPE farshore_config_loaded_timestamp_seconds gauge
farshore_config_loaded_timestamp_seconds 1.699999999e+09
# HELP farshore_config_reload_success Whether the newest configuration that the daemon read is the one that counts.
# TYPE farshore_config_reload_success gauge
farshore_config_reload_success 1
# HELP farshore_daemon_start_timestamp_seconds When the daemon started.
# TYPE farshore_daemon_start_timestamp_seconds gauge
farshore_daemon_start_timestamp_seconds 1.7e+09
# HELP farshore_job_last_moved_timestamp_seconds When the run that is under way came further last.
# TYPE farshore_job_last_moved_timestamp_seconds gauge
farshore_job_last_moved_timestamp_seconds{kind="pass",source="shop"} 1.7000000905e+09
# HELP farshore_job_next_run_timestamp_seconds When the job is due next.
# TYPE farshore_job_next_run_timestamp_seconds gauge
farshore_job_next_run_timestamp_seconds{kind="pass",source="shop"} 1.7000036e+09
farshore_job_next_run_timestamp_seconds{kind="probe",source=""} 1.7000108e+09
# HELP farshore_job_processed_bytes Bytes that the run that is under way has done.
# TYPE farshore_job_processed_bytes gauge
farshore_job_processed_bytes{kind="pass",source="shop"} 4096
# HELP farshore_job_running Whether the job runs.
# TYPE farshore_job_running gauge
farshore_job_running{kind="audit",source=""} 0
farshore_job_running{kind="pass",source="logs"} 0
farshore_job_running{kind="pass",source="shop"} 1
farshore_job_running{kind="probe",source=""} 0
# HELP farshore_job_running_since_timestamp_seconds When the run that is under way began.
# TYPE farshore_job_running_since_timestamp_seconds gauge
farshore_job_running_since_timestamp_seconds{kind="pass",source="shop"} 1.70000006e+09
# HELP farshore_source_backlog_bytes Bytes of the source that are known to wait for capture.
# TYPE farshore_source_backlog_bytes gauge
farshore_source_backlog_bytes{source="logs"} 0
farshore_source_backlog_bytes{source="shop"} 1000
# HELP farshore_source_backlog_items Items of the source that are known to wait for capture.
# TYPE farshore_source_backlog_items gauge
farshore_source_backlog_items{source="logs"} 0
farshore_source_backlog_items{source="shop"} 3
# HELP farshore_source_failures Passes over the source that failed one after the other until now.
# TYPE farshore_source_failures gauge
farshore_source_failures{source="logs"} 4
farshore_source_failures{source="shop"} 0
# HELP farshore_source_last_good_snapshot_timestamp_seconds Time of the newest complete snapshot of the source that is not suspicious.
# TYPE farshore_source_last_good_snapshot_timestamp_seconds gauge
farshore_source_last_good_snapshot_timestamp_seconds{source="shop"} 1.6999964e+09
# HELP farshore_source_late Whether it is older than it may be.
# TYPE farshore_source_late gauge
farshore_source_late{source="logs"} 1
farshore_source_late{source="shop"} 0
# HELP farshore_source_max_age_seconds How old that may be, where the configuration says so.
# TYPE farshore_source_max_age_seconds gauge
farshore_source_max_age_seconds{source="shop"} 7200
`

// TestStatusMetrics holds each number of the status to where it comes from, and what is not known to be left out.
func TestStatusMetrics(t *testing.T) {
	c := NewStatusCollector(metricsStatus)
	var names []string
	for _, line := range strings.Split(statusMetrics, "\n") {
		if rest, ok := strings.CutPrefix(line, "# TYPE "); ok {
			names = append(names, strings.Fields(rest)[0])
		}
	}
	if err := testutil.CollectAndCompare(c, strings.NewReader(statusMetrics), names...); err != nil {
		t.Error(err)
	}
	if described := describedMetrics(c); len(described) != len(names)+2 { // beside the runs and their durations
		t.Errorf("%d metrics, %d of them in this test", len(described), len(names))
	}
	refused := NewStatusCollector(func() daemon.Status { return daemon.Status{Config: daemon.ConfigStatus{Problem: "line 3"}} })
	if err := testutil.CollectAndCompare(refused, strings.NewReader("# HELP farshore_config_reload_success Whether the newest configuration that the daemon read is the one that counts.\n# TYPE farshore_config_reload_success gauge\nfarshore_config_reload_success 0\n"),
		"farshore_config_reload_success", "farshore_daemon_start_timestamp_seconds", "farshore_config_loaded_timestamp_seconds"); err != nil {
		t.Error(err)
	}
}

// endedRun is a run that took so long.
func endedRun(kind, source string, took time.Duration, change func(*history.Run)) history.Run {
	began := time.Unix(1_700_000_000, 0)
	r := history.Run{Kind: kind, Source: source, Job: kind, Started: began, Ended: began.Add(took)}
	if change != nil {
		change(&r)
	}
	return r
}

// TestResults holds what came of a run to one word, the worst.
func TestResults(t *testing.T) {
	suspicious := &history.Pass{Suspicious: []string{"x"}}
	for _, k := range []struct {
		run  history.Run
		want string
	}{
		{history.Run{}, resultDone},
		{history.Run{Pass: &history.Pass{}}, resultDone},
		{history.Run{Exit: 1}, resultFailed},
		{history.Run{Exit: 2}, resultFailed},
		{history.Run{Exit: 3}, resultIncomplete},
		{history.Run{Exit: 3, Pass: suspicious}, resultSuspicious},
		{history.Run{Exit: 130}, resultStopped},
		{history.Run{Exit: 3, Stopped: true}, resultStopped},
		{history.Run{Exit: 130, Stopped: true, Pass: suspicious}, resultSuspicious},
		{history.Run{Exit: 4, Stopped: true, Pass: suspicious}, resultDamage},
	} {
		if got := resultOf(&k.run); got != k.want {
			t.Errorf("%+v is %s, not %s", k.run, got, k.want)
		}
	}
}

// TestEnded counts runs, from zero on, forgets those of jobs that are no more, and takes nothing from whoever has no bounds.
func TestEnded(t *testing.T) {
	status := metricsStatus()
	c := NewStatusCollector(func() daemon.Status { return status })
	all := len(results())
	if n := testutil.CollectAndCount(c, "farshore_runs_total"); n != 4*all {
		t.Errorf("%d counts of 4 jobs", n)
	}
	c.Ended(endedRun(history.KindPass, "shop", 2*time.Minute, nil))
	c.Ended(endedRun(history.KindPass, "shop", time.Minute, nil))
	c.Ended(endedRun(history.KindPass, "shop", -time.Minute, func(r *history.Run) { r.Exit = 1 })) // a clock that was set back
	c.Ended(endedRun(history.KindPass, "gone", time.Minute, nil))
	c.Ended(endedRun(history.KindAudit, "", time.Minute, func(r *history.Run) { r.Exit = 4 }))
	c.Ended(endedRun("feast", "shop", time.Minute, nil))
	c.Ended(endedRun(history.KindProbe, "", 0, func(r *history.Run) { r.Ended = time.Time{} }))
	counts := map[string]float64{}
	var durations []*dto.Histogram
	for _, f := range gatherMetrics(t, c) {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			switch f.GetName() {
			case "farshore_runs_total":
				if m.GetCounter().GetValue() > 0 {
					counts[strings.Join(labels, " ")] = m.GetCounter().GetValue()
				}
			case "farshore_run_duration_seconds":
				durations = append(durations, m.GetHistogram())
			}
		}
	}
	if got := fmt.Sprint(counts); got != "map[audit damage :1 pass done shop:2 pass failed shop:1]" {
		t.Error(got)
	}
	if len(durations) != 3 || durations[1].GetSampleCount() != 4 || durations[1].GetSampleSum() != 240 || durations[1].Schema == nil || len(durations[1].GetPositiveSpan()) == 0 || len(durations[1].GetBucket()) == 0 || durations[2].GetSampleCount() != 0 {
		t.Errorf("%v", durations)
	}
	if c.mu.Lock(); len(c.ended) != 2 {
		t.Errorf("%d jobs are remembered", len(c.ended))
	}
	c.mu.Unlock()
}

// gatherMetrics is what a scrape of the collectors shows.
func gatherMetrics(t *testing.T, c ...prometheus.Collector) []*dto.MetricFamily {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	for _, one := range c {
		if err := r.Register(one); err != nil {
			t.Fatal(err)
		}
	}
	found, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// metricsBoard is a board with the numbers of an audit and a pass.
func metricsBoard(t *testing.T) *metrics.Board {
	t.Helper()
	s := new(metrics.Set)
	s.Put("farshore_pass_success", 1, "shop")
	s.Put("farshore_audit_success", 1)
	b := new(metrics.Board)
	if err := b.Update(s, []string{"shop", "logs"}); err != nil {
		t.Fatal(err)
	}
	return b
}

// TestMetricsLint holds the whole of /metrics to the conventions of Prometheus.
func TestMetricsLint(t *testing.T) {
	r, err := NewRegistry(metricsBoard(t), NewStatusCollector(metricsStatus))
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	MetricsHandler(r, slog.New(slog.DiscardHandler)).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	problems, err := promlint.New(strings.NewReader(w.Body.String())).Lint()
	if err != nil || len(problems) > 0 || w.Code != http.StatusOK {
		t.Error(w.Code, problems, err)
	}
	for _, want := range []string{"farshore_pass_success{source=\"shop\"} 1\n", "farshore_source_late{source=\"logs\"} 1\n", "go_goroutines ", "process_resident_memory_bytes ", `farshore_run_duration_seconds_bucket{kind="pass",le="60"} 0`} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s is not there", want)
		}
	}
	if _, err := NewRegistry(metricsBoard(t), metricsBoard(t)); err == nil {
		t.Error("two boards were taken")
	}
}

// TestMetricsErrors holds that what goes wrong is for the log, and that the numbers that are right are shown.
func TestMetricsErrors(t *testing.T) {
	const secret = "a text that is nobody's business"
	good := gatherMetrics(t, metricsBoard(t))
	for name, k := range map[string]struct {
		found  []*dto.MetricFamily
		status int
		says   string
	}{
		"some": {good, http.StatusOK, "farshore_pass_success{source=\"shop\"} 1\n"},
		"none": {nil, http.StatusInternalServerError, "the daemon's log says why"},
	} {
		log := new(bytes.Buffer)
		g := prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) { return k.found, errors.New(secret) })
		w := httptest.NewRecorder()
		MetricsHandler(g, slog.New(slog.NewTextHandler(log, nil))).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		if w.Code != k.status || !strings.Contains(w.Body.String(), k.says) || strings.Contains(w.Body.String(), secret) || !strings.Contains(log.String(), secret) {
			t.Errorf("%s: %d %s\n%s", name, w.Code, w.Body, log)
		}
	}
}

// TestMetricsBounds holds scrapes to their number at a time, and to their time.
func TestMetricsBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := make(chan struct{})
		g := prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) { <-end; return nil, nil })
		h := MetricsHandler(g, slog.New(slog.DiscardHandler))
		scrape := func() *httptest.ResponseRecorder {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
			return w
		}
		began := time.Now()
		var all sync.WaitGroup
		for range scrapes {
			all.Go(func() {
				if w := scrape(); w.Code != http.StatusServiceUnavailable || time.Since(began) != scrapeTime {
					t.Error(w.Code, time.Since(began))
				}
			})
		}
		synctest.Wait()
		if w := scrape(); w.Code != http.StatusServiceUnavailable || time.Since(began) != 0 {
			t.Error(w.Code, time.Since(began))
		}
		all.Wait()
		close(end)
	})
}
