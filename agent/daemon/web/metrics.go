package web

import (
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"farshore/agent/daemon"
	"farshore/agent/daemon/history"
	"farshore/agent/metrics"
)

const (
	// scrapes is how many may be under way at a time, scrapeTime how long one may take.
	scrapes    = 4
	scrapeTime = 10 * time.Second
)

// Results of runs, in farshore_runs_total.
const (
	resultDone       = "done"
	resultFailed     = "failed"
	resultIncomplete = "incomplete" // finished, but incomplete or not provable (exit code 3)
	resultSuspicious = "suspicious" // the snapshot looks like an attack on the source
	resultDamage     = "damage"     // damage, tampering or a credential that may destroy (exit code 4)
	resultStopped    = "stopped"    // cut short by the daemon's end, or by somebody
)

func results() []string {
	return []string{resultDone, resultFailed, resultIncomplete, resultSuspicious, resultDamage, resultStopped}
}

// resultOf is what came of a run that ended: the worst that is true of it.
func resultOf(r *history.Run) string {
	switch {
	case r.Exit == 4:
		return resultDamage
	case r.Pass != nil && len(r.Pass.Suspicious) > 0:
		return resultSuspicious
	case r.Stopped || r.Exit == 130:
		return resultStopped
	case r.Exit == 3:
		return resultIncomplete
	case r.Exit != 0:
		return resultFailed
	}
	return resultDone
}

// gauge is a number of the status, and how it is had.
type gauge[T any] struct {
	desc *prometheus.Desc
	// of returns the number, and whether there is one.
	of func(*T) (float64, bool)
}

func newGauge[T any](name, help string, labels []string, of func(*T) (float64, bool)) gauge[T] {
	return gauge[T]{prometheus.NewDesc(name, help, labels, nil), of}
}

func (g gauge[T]) put(out chan<- prometheus.Metric, of *T, labels ...string) {
	if v, ok := g.of(of); ok {
		m, err := prometheus.NewConstMetric(g.desc, prometheus.GaugeValue, v, labels...)
		if err != nil {
			m = prometheus.NewInvalidMetric(g.desc, err)
		}
		out <- m
	}
}

// StatusCollector is a prometheus.Collector of what a daemon's status says, and of how many of its runs came to what since it started. Its labels have names of sources and jobs of the plan, and nothing else
// that is without bounds. It may be used concurrently.
type StatusCollector struct {
	status  func() daemon.Status
	daemons []gauge[daemon.Status]
	sources []gauge[daemon.SourceStatus]
	jobs    []gauge[daemon.JobStatus]

	runs     *prometheus.Desc
	mu       sync.Mutex
	ended    map[jobLabels]map[string]float64 // by result
	duration *prometheus.HistogramVec
}

// NewStatusCollector returns one of the daemon whose status that is. It is asked once a scrape.
func NewStatusCollector(status func() daemon.Status) *StatusCollector {
	c := &StatusCollector{
		status: status, daemons: daemonGauges(), sources: sourceGauges(), jobs: jobGauges(),
		runs:  prometheus.NewDesc("farshore_runs_total", "Runs of the job that ended since the daemon started, by what came of them.", append(jobLabelNames(), "result"), nil),
		ended: map[jobLabels]map[string]float64{},
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "farshore_run_duration_seconds", Help: "How long runs took that ended since the daemon started.",
			Buckets:                     []float64{1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 12 * 3600, 24 * 3600, 72 * 3600},
			NativeHistogramBucketFactor: 1.2, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: 24 * time.Hour,
		}, []string{"kind"}),
	}
	for _, kind := range kinds() {
		c.duration.WithLabelValues(kind)
	}
	return c
}

// jobLabels name a job: its kind, and the source of a pass. The label "job" is not for it: Prometheus gives that to what it scrapes.
type jobLabels struct{ kind, source string }

func jobLabelNames() []string { return []string{"kind", "source"} }

func kinds() []string { return []string{history.KindPass, history.KindProbe, history.KindAudit} }

func daemonGauges() []gauge[daemon.Status] {
	return []gauge[daemon.Status]{
		newGauge("farshore_daemon_start_timestamp_seconds", "When the daemon started.", nil, func(s *daemon.Status) (float64, bool) { return unixSeconds(s.Started) }),
		newGauge("farshore_config_loaded_timestamp_seconds", "When the configuration that counts was read.", nil, func(s *daemon.Status) (float64, bool) { return unixSeconds(s.Config.Loaded) }),
		newGauge("farshore_config_reload_success", "Whether the newest configuration that the daemon read is the one that counts.", nil, func(s *daemon.Status) (float64, bool) { return metrics.Flag(s.Config.Problem == ""), true }),
	}
}

func sourceGauges() []gauge[daemon.SourceStatus] {
	type source = daemon.SourceStatus
	of := []string{"source"}
	return []gauge[source]{
		newGauge("farshore_source_last_good_snapshot_timestamp_seconds", "Time of the newest complete snapshot of the source that is not suspicious.", of, func(s *source) (float64, bool) {
			if s.Good == nil {
				return 0, false
			}
			return unixSeconds(s.Good.Time)
		}),
		newGauge("farshore_source_max_age_seconds", "How old that may be, where the configuration says so.", of, func(s *source) (float64, bool) { return s.MaxAgeSeconds, s.MaxAgeSeconds > 0 }),
		newGauge("farshore_source_late", "Whether it is older than it may be.", of, func(s *source) (float64, bool) { return metrics.Flag(s.Late), true }),
		newGauge("farshore_source_backlog_bytes", "Bytes of the source that are known to wait for capture.", of, func(s *source) (float64, bool) { return float64(s.Backlog.Bytes), true }),
		newGauge("farshore_source_backlog_items", "Items of the source that are known to wait for capture.", of, func(s *source) (float64, bool) { return float64(s.Backlog.Items), true }),
		newGauge("farshore_source_failures", "Passes over the source that failed one after the other until now.", of, func(s *source) (float64, bool) { return float64(s.Failures), true }),
	}
}

func jobGauges() []gauge[daemon.JobStatus] {
	type job = daemon.JobStatus
	of := jobLabelNames()
	running := func(f func(*daemon.RunningStatus) (float64, bool)) func(*job) (float64, bool) {
		return func(j *job) (float64, bool) {
			if j.Running == nil {
				return 0, false
			}
			return f(j.Running)
		}
	}
	return []gauge[job]{
		newGauge("farshore_job_running", "Whether the job runs.", of, func(j *job) (float64, bool) { return metrics.Flag(j.Running != nil), true }),
		newGauge("farshore_job_running_since_timestamp_seconds", "When the run that is under way began.", of, running(func(r *daemon.RunningStatus) (float64, bool) { return unixSeconds(r.Since) })),
		newGauge("farshore_job_processed_bytes", "Bytes that the run that is under way has done.", of, running(func(r *daemon.RunningStatus) (float64, bool) { return float64(r.Bytes), true })),
		newGauge("farshore_job_last_moved_timestamp_seconds", "When the run that is under way came further last.", of, running(func(r *daemon.RunningStatus) (float64, bool) { return unixSeconds(r.Moved) })),
		newGauge("farshore_job_next_run_timestamp_seconds", "When the job is due next.", of, func(j *job) (float64, bool) {
			if len(j.Next) == 0 {
				return 0, false
			}
			return unixSeconds(j.Next[0])
		}),
	}
}

// unixSeconds is a time in seconds since 1970, where there is one.
func unixSeconds(t time.Time) (float64, bool) { return float64(t.UnixMilli()) / 1000, !t.IsZero() }

// Ended counts a run that ended.
func (c *StatusCollector) Ended(r history.Run) {
	if !slices.Contains(kinds(), r.Kind) || r.Ended.IsZero() {
		return
	}
	c.duration.WithLabelValues(r.Kind).Observe(max(0, r.Ended.Sub(r.Started).Seconds()))
	c.mu.Lock()
	defer c.mu.Unlock()
	of := jobLabels{r.Kind, r.Source}
	if c.ended[of] == nil {
		c.ended[of] = map[string]float64{}
	}
	c.ended[of][resultOf(&r)]++
}

// Describe implements prometheus.Collector.
func (c *StatusCollector) Describe(out chan<- *prometheus.Desc) {
	for _, g := range c.daemons {
		out <- g.desc
	}
	for _, g := range c.sources {
		out <- g.desc
	}
	for _, g := range c.jobs {
		out <- g.desc
	}
	out <- c.runs
	c.duration.Describe(out)
}

// Collect implements prometheus.Collector.
func (c *StatusCollector) Collect(out chan<- prometheus.Metric) {
	s := c.status()
	for _, g := range c.daemons {
		g.put(out, &s)
	}
	jobs := map[jobLabels]*daemon.JobStatus{}
	for i := range s.Sources {
		of := &s.Sources[i]
		for _, g := range c.sources {
			g.put(out, of, of.Name)
		}
		jobs[jobLabels{history.KindPass, of.Name}] = &of.JobStatus
	}
	if s.Probe != nil {
		jobs[jobLabels{kind: history.KindProbe}] = s.Probe
	}
	if s.Verify != nil {
		jobs[jobLabels{kind: history.KindAudit}] = s.Verify
	}
	for of, j := range jobs {
		for _, g := range c.jobs {
			g.put(out, j, of.kind, of.source)
		}
	}
	c.collectEnded(out, jobs)
	c.duration.Collect(out)
}

// collectEnded puts the counts of the jobs that there are, each result's from zero on so that its first is seen as a change, and forgets those of jobs that are no more.
func (c *StatusCollector) collectEnded(out chan<- prometheus.Metric, jobs map[jobLabels]*daemon.JobStatus) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for of := range jobs {
		for _, result := range results() {
			m, err := prometheus.NewConstMetric(c.runs, prometheus.CounterValue, c.ended[of][result], of.kind, of.source, result)
			if err != nil {
				m = prometheus.NewInvalidMetric(c.runs, err)
			}
			out <- m
		}
	}
	maps.DeleteFunc(c.ended, func(of jobLabels, _ map[string]float64) bool { return jobs[of] == nil })
}

// NewRegistry returns a registry of the numbers of the process, of Go, and of the collectors.
func NewRegistry(c ...prometheus.Collector) (*prometheus.Registry, error) {
	r := prometheus.NewRegistry()
	c = append(c, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, one := range c {
		if err := r.Register(one); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// MetricsHandler answers scrapes, four at a time at the most and ten seconds each. What goes wrong is for the logger, and not for whoever scrapes: the numbers that are right are answered with, and where there are none,
// that they can't be had.
func MetricsHandler(g prometheus.Gatherer, logger *slog.Logger) http.Handler {
	return promhttp.HandlerFor(discreet{g, logger}, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: scrapes, Timeout: scrapeTime, EnableOpenMetrics: true})
}

// discreet tells errors to the log.
type discreet struct {
	g   prometheus.Gatherer
	log *slog.Logger
}

var errGather = errors.New("the numbers can't be had: the daemon's log says why")

func (d discreet) Gather() ([]*dto.MetricFamily, error) {
	found, err := d.g.Gather()
	if err != nil {
		d.log.Error("numbers for /metrics could not be had", "error", err)
		if len(found) == 0 {
			return nil, errGather
		}
	}
	return found, nil
}
