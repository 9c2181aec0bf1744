package daemon

import (
	"context"
	"time"

	"farshore/agent/daemon/history"
)

// tellAgain is how often Overdue is told of a source that stays late.
const tellAgain = 6 * time.Hour

// watch is what Overdue was told of a source.
type watch struct {
	late bool
	told time.Time
	// calling says that a call did not return yet.
	calling bool
}

// goodOf is the newest good snapshot of a job's source that the daemon knows of; nil where there is none.
func (d *Daemon) goodOf(j *job) *Snapshot {
	seed := d.seeds[j.Source]
	if seed == nil || j.good != nil && !seed.Time.After(j.good.Time) {
		return j.good
	}
	return seed
}

// late reports whether a source's newest good snapshot is older than it may be. Where there is none, what counts is since when the source is known: daemons that are started anew each day, and
// never see a good snapshot, are late as one would be.
func (d *Daemon) late(j *job, good *Snapshot, now time.Time) bool {
	if j.MaxAge <= 0 || j.Kind != history.KindPass {
		return false
	}
	since := j.known
	if good != nil {
		since = good.Time
	}
	return now.Sub(since) > j.MaxAge
}

// watchAges tells Overdue what it is to be told. The daemon's lock is held.
func (d *Daemon) watchAges(ctx context.Context, now time.Time) {
	tell := d.plan.Overdue
	if tell == nil {
		return
	}
	for _, j := range d.order {
		if j.Kind != history.KindPass || j.watch.calling {
			continue
		}
		good := d.goodOf(j)
		late := d.late(j, good, now)
		if late == j.watch.late && !(late && now.Sub(j.watch.told) >= tellAgain) {
			continue
		}
		j.watch = watch{late: late, told: now}
		if j.MaxAge <= 0 {
			continue // nobody says any more how old it may be
		}
		var at time.Time
		if good != nil {
			at = good.Time
		}
		j.watch.calling = true
		source, maxAge := j.Source, j.MaxAge // as they are now: a reload may change the job
		d.beside("the notice on "+source, func() {
			defer func() {
				d.mu.Lock()
				j.watch.calling = false
				d.mu.Unlock()
			}()
			tell(ctx, source, at, maxAge, late)
		})
	}
}
