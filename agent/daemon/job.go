package daemon

import (
	"time"

	"farshore/agent/daemon/history"
	"farshore/agent/daemon/schedule"
)

// job is what is known of a job of the plan, or of one that is gone and still runs. The daemon's lock guards it.
type job struct {
	Job
	// gone says that the plan has it no more.
	gone bool

	// known is since when the job is: when its first run began that is remembered, or else when it was taken from a plan.
	known time.Time
	// began is when the last run began; zero: it never ran. base is from when the schedule counts: that, or when a reload changed the times of day. Neither is after now for longer than a
	// round of the loop.
	began, base time.Time
	// share of the jitter is drawn once for each time that it is due, and kept until it began.
	share float64
	// due is when it is due next by its schedule, with the jitter; zero: never.
	due time.Time
	// upcoming are the times after that, as far as they were told.
	upcoming []time.Time

	// failedAt is when the run ended that is to be tried again, tries how many tries there were; zero: there is none.
	failedAt time.Time
	tries    int

	// waiting is since when it is in the queue; zero: it is not. cause is why, asked when Trigger was called.
	waiting time.Time
	cause   string
	asked   time.Time

	run *run
	past
	// recent are the last runs that ended here, the oldest first.
	recent []endedRun
	watch  watch
}

// past is what came of a job's runs.
type past struct {
	last     *history.Run // that ended
	good     *Snapshot
	failures int
	left     Backlog
	// suspicious is why the newest snapshot is.
	suspicious []string
}

// endedRun is a run, and when it was asked for; zero where it was not.
type endedRun struct {
	history.Run
	asked time.Time
}

// maxRecent bounds recent: whoever awaits a run comes in time.
const maxRecent = 8

// retries are how long after each failed run a job is tried again whose period is longer than retryPeriod.
func retries() []time.Duration {
	return []time.Duration{5 * time.Minute, 15 * time.Minute, time.Hour}
}

const (
	retryPeriod = time.Hour
	// told is how many of the next times are told.
	told = 3

	exitIncomplete = 3
	exitDamage     = 4
)

// reckon finds out when the job is due next by its schedule.
func (j *job) reckon(now time.Time) {
	j.due, j.upcoming = time.Time{}, nil
	if all := j.Schedule.Upcoming(j.base, now, told+1); len(all) > 0 {
		j.due, j.upcoming = j.Schedule.Next(j.base, now), all[1:]
		if !j.base.IsZero() {
			j.due = schedule.Jittered(j.due, j.Jitter, j.share)
		}
	}
}

// retry is when the job is tried again after a failure; zero: it is not.
func (j *job) retry() time.Time {
	if j.failedAt.IsZero() {
		return time.Time{}
	}
	return j.failedAt.Add(retries()[j.tries])
}

// next is when the job is due, by its schedule or to be tried again; zero: never by itself.
func (j *job) next() time.Time { return earlier(j.due, j.retry()) }

// earlier is the earlier of the times that are not zero.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// ran takes note of a run that ended.
func (p *past) ran(r history.Run) {
	p.last = &r
	switch {
	case r.Stopped:
	case failed(r.Exit):
		p.failures++
	default:
		p.failures = 0
	}
	if r.Pass == nil {
		return
	}
	p.left = Backlog{Items: r.Pass.LeftItems, Bytes: r.Pass.LeftBytes}
	if r.Pass.Seq > 0 {
		p.suspicious = r.Pass.Suspicious
	}
	if r.Good() {
		p.good = snapshotOf(&r)
	}
}

// failed reports whether a run with that exit code failed.
func failed(exit int) bool { return exit != 0 && exit != exitIncomplete }

// again reports whether what failed may go better soon: damage that was found does not.
func again(r history.Run) bool { return failed(r.Exit) && r.Exit != exitDamage && !r.Stopped }

// mayBeMended reports whether the last run failed for a reason that may be gone when somebody starts the daemon or changes its configuration. Damage that an audit found is not.
func (j *job) mayBeMended() bool {
	return j.last != nil && failed(j.last.Exit) && !j.last.Stopped && !j.Schedule.Off() && (j.Kind != history.KindAudit || j.last.Exit != exitDamage)
}

// snapshotOf is what a good run left.
func snapshotOf(r *history.Run) *Snapshot {
	s := &Snapshot{Chain: r.Pass.Chain, Seq: r.Pass.Seq, Hash: r.Pass.Hash, Time: r.Pass.At}
	if s.Time.IsZero() {
		s.Time = r.Started
	}
	return s
}

// elsewhere forgets what the job came to: there is another vault now, for which it never ran.
func (j *job) elsewhere(now time.Time) {
	j.past, j.began, j.base, j.failedAt, j.tries, j.known = past{}, time.Time{}, time.Time{}, time.Time{}, 0, now
	j.reckon(now)
}

// clockBack takes back what lies after now, after the clock was set back: nothing waits for the time that was.
func (j *job) clockBack(now time.Time) {
	for _, t := range []*time.Time{&j.known, &j.began, &j.base, &j.failedAt, &j.waiting, &j.watch.told} {
		if t.After(now) {
			*t = now
		}
	}
	j.reckon(now)
}
