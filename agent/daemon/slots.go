package daemon

import (
	"slices"
	"time"

	"farshore/agent/daemon/history"
)

// enqueue lets a job that does not run wait for its turn: behind those that wait, or, when it was asked for, before all that were not.
func (d *Daemon) enqueue(j *job, cause string, now time.Time) {
	d.remove(j)
	if j.waiting.IsZero() {
		j.waiting = now
	}
	j.cause = cause
	at := len(d.queue)
	if !j.asked.IsZero() {
		for at > 0 && d.queue[at-1].asked.IsZero() {
			at--
		}
	}
	d.queue = slices.Insert(d.queue, at, j)
}

// drop lets a job wait no more.
func (d *Daemon) drop(j *job) {
	d.remove(j)
	j.waiting, j.asked, j.cause = time.Time{}, time.Time{}, ""
}

func (d *Daemon) remove(j *job) {
	if at := slices.Index(d.queue, j); at >= 0 {
		d.queue = slices.Delete(d.queue, at, at+1)
	}
}

// free reports whether there is a slot for a run of that kind.
func (d *Daemon) free(kind string) bool {
	slots := 1
	if kind == history.KindPass {
		slots = max(d.plan.Parallel, 1)
	}
	for _, r := range d.running {
		if r.kind() == kind {
			slots--
		}
	}
	return slots > 0
}

// collect puts into the queue what is due by now, what was due first first.
func (d *Daemon) collect(now time.Time) {
	var due []*job
	for _, j := range d.order {
		if next := j.next(); j.run == nil && j.waiting.IsZero() && !next.IsZero() && !next.After(now) {
			due = append(due, j)
		}
	}
	slices.SortStableFunc(due, func(a, b *job) int { return a.next().Compare(b.next()) })
	for _, j := range due {
		d.enqueue(j, history.CauseSchedule, now)
	}
}
