package daemon

import (
	"os"
	"slices"
	"time"

	"farshore/agent/daemon/history"
)

// Status says how everything stands. It waits for measures of runs a tenth of a second at the most, and for nothing else.
func (d *Daemon) Status() Status {
	d.measure(measureWait)
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	s := Status{
		Version: d.o.Version, PID: os.Getpid(), Now: now, Started: d.started, Stopping: d.state >= stopping,
		Zone: d.plan.Zone.String(), Vault: d.plan.Vault, Parallel: max(d.plan.Parallel, 1),
		Config:  ConfigStatus{Path: d.plan.Path, Loaded: d.plan.Loaded, Problem: d.problem, ProblemAt: d.problemAt},
		Sources: make([]SourceStatus, 0, len(d.plan.Jobs)),
	}
	for _, j := range d.order {
		d.tell(&s, j, now)
	}
	for _, r := range d.running {
		if r.job.gone {
			d.tell(&s, r.job, now)
		}
	}
	return s
}

// tell puts a job into the status.
func (d *Daemon) tell(s *Status, j *job, now time.Time) {
	switch j.Kind {
	case history.KindPass:
		s.Sources = append(s.Sources, d.sourceStatus(j, now))
	case history.KindProbe:
		probe := d.jobStatus(j, now)
		s.Probe = &probe
	case history.KindAudit:
		verify := d.jobStatus(j, now)
		s.Verify = &verify
	}
}

func (d *Daemon) jobStatus(j *job, now time.Time) JobStatus {
	s := JobStatus{
		Job: j.Name, Schedule: j.Schedule.String(), Jitter: j.Jitter.Seconds(), Next: []time.Time{},
		Waiting: j.waiting, Last: j.last, Failures: j.failures,
	}
	if !j.gone {
		s.Next, s.Retry = j.times(now)
	}
	if j.run != nil {
		s.Running = j.run.status(now)
	}
	return s
}

// times are the next times that the job is due, and whether the first is a try after a failure.
func (j *job) times(now time.Time) (next []time.Time, retry bool) {
	next = []time.Time{}
	if !j.due.IsZero() {
		next = append(append(next, j.due), j.upcoming...)
		if j.due.Before(now) {
			next = j.Schedule.Upcoming(j.base, now, told)
		}
	}
	if at := j.retry(); !at.IsZero() && (len(next) == 0 || at.Before(next[0])) {
		next, retry = slices.Insert(next, 0, at), true
	}
	return next[:min(len(next), told)], retry
}

// status says how far a run is.
func (r *run) status(now time.Time) *RunningStatus {
	items, bytes, span := r.rates()
	return &RunningStatus{
		Since: r.Started, Cause: r.Cause, Measured: r.measured,
		ItemsPerSecond: items, BytesPerSecond: bytes, LeftSeconds: r.secondsLeft(items, bytes, span),
		Moved: now.Add(-time.Since(r.moved)),
	}
}

func (d *Daemon) sourceStatus(j *job, now time.Time) SourceStatus {
	s := SourceStatus{
		Name: j.Source, JobStatus: d.jobStatus(j, now),
		MaxAgeSeconds: j.MaxAge.Seconds(), Suspicious: slices.Clone(j.suspicious), Backlog: j.backlog(),
	}
	good := d.goodOf(j)
	if good != nil {
		known := *good
		s.Good, s.AgeSeconds = &known, max(0, now.Sub(good.Time).Seconds())
	}
	s.Late = d.late(j, good, now)
	return s
}

// backlog is what waits for capture: by the pass under way once it knows, else by what the last one left.
func (j *job) backlog() Backlog {
	if j.run == nil {
		return j.left
	}
	m := j.run.measured
	if m.TotalItems <= 0 && m.TotalBytes <= 0 {
		return j.left
	}
	return Backlog{Items: max(0, m.TotalItems-m.Items), Bytes: max(0, m.TotalBytes-m.Bytes)}
}
