package daemon

import (
	"slices"
	"time"

	"farshore/agent/daemon/history"
)

// Reload takes a new plan. Runs go on with what they had; a job that is gone is not run again; one that is new is due as it would be at a start. A schedule that was changed counts from now on:
// times of day that lie before now are not made up for, unless the last run is longer ago than its period. An interval counts from the last run in any case. What failed last is tried at once, as it
// is at a start: whoever changed the configuration may have mended it. Where the vault is another one, nothing has run yet: what is known of the one before says nothing of it.
func (d *Daemon) Reload(p *Plan) {
	d.take(p, history.CauseSchedule)
	d.rouse()
}

// Refuse notes that a new configuration was not taken, and why. Status shows it until a Reload.
func (d *Daemon) Refuse(problem string) {
	d.mu.Lock()
	d.problem, d.problemAt = problem, d.now()
	d.mu.Unlock()
	d.o.Logger.Error("the new configuration was not taken; the one before stays in force", "problem", oneLine(problem))
}

// Seed says which snapshot of a source is the newest good one by the vault itself, for a daemon that does not know of it: the newer of both counts. A source that the plan does not have is ignored.
func (d *Daemon) Seed(source string, s Snapshot) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if old := d.seeds[source]; old != nil && !s.Time.After(old.Time) {
		return
	}
	if slices.ContainsFunc(d.order, func(j *job) bool { return j.Kind == history.KindPass && j.Source == source }) {
		d.seeds[source] = &s
	}
}

// take puts a plan in place of the one before. What is due already runs because of cause.
func (d *Daemon) take(p *Plan, cause string) {
	d.reloading.Lock()
	defer d.reloading.Unlock()
	if p.Zone == nil {
		q := *p
		p, q.Zone = &q, time.UTC
	}
	known := d.remember(p) // without mu: the log has a lock of its own
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	if p.Vault != d.plan.Vault {
		clear(d.seeds)
		for _, j := range d.jobs {
			j.elsewhere(now)
		}
	}
	d.plan, d.problem, d.problemAt = p, "", time.Time{}
	for _, j := range d.jobs {
		j.gone = true
	}
	var due []*job
	d.order = make([]*job, 0, len(p.Jobs))
	for _, def := range p.Jobs {
		j := d.jobs[def.Name]
		if j != nil {
			d.change(j, def, now)
		} else if j = d.adopt(def, known[def.Name], now); j.cause != "" {
			due = append(due, j)
		}
		d.order = append(d.order, j)
	}
	d.forget()
	slices.SortStableFunc(due, func(a, b *job) int { return a.due.Compare(b.due) })
	for _, j := range due {
		d.enqueue(j, cause, now)
	}
	for _, j := range d.order {
		if j.run == nil && j.waiting.IsZero() && j.mayBeMended() {
			d.enqueue(j, history.CauseSchedule, now)
		}
	}
	d.announce()
}

// change gives a job what the new plan says of it.
func (d *Daemon) change(j *job, to Job, now time.Time) {
	from := j.Job
	j.Job, j.gone = to, false
	if from.Schedule.Equal(to.Schedule) && from.Jitter == to.Jitter {
		return
	}
	if !from.Schedule.Equal(to.Schedule) {
		j.share = d.o.Jitter()
		if j.base = j.began; !to.Schedule.Interval() && now.Sub(j.began) <= to.Schedule.Period(now) {
			j.base = now
		}
		if to.Schedule.Off() {
			j.failedAt = time.Time{}
			if j.asked.IsZero() {
				d.drop(j)
			}
		}
	}
	j.reckon(now)
}

// adopt makes a job known, with what came of it before. Its cause is set where it was due while nobody was there to run it.
func (d *Daemon) adopt(def Job, known memory, now time.Time) *job {
	j := &job{Job: def, share: d.o.Jitter(), past: known.past, known: earlier(known.first, now)}
	d.jobs[def.Name] = j
	last := known.begun
	if last != nil {
		j.began = earlier(last.Started, now)
		j.base = j.began
	}
	j.reckon(now)
	if last == nil || def.Schedule.Off() {
		return j
	}
	if due := def.Schedule.Next(j.base, now); !due.After(now) {
		j.cause, j.due = history.CauseMissed, due
	} else if last.Ended.IsZero() || last.Stopped {
		j.cause, j.due = history.CauseMissed, j.base
	}
	return j
}

// forget lets go of what the plan has no more.
func (d *Daemon) forget() {
	sources := map[string]bool{}
	for name, j := range d.jobs {
		switch {
		case !j.gone:
			sources[j.Source] = true
		case j.run == nil:
			d.drop(j)
			delete(d.jobs, name)
		}
	}
	for source := range d.seeds {
		if !sources[source] {
			delete(d.seeds, source)
		}
	}
}

// memory is what the log knows of a job.
type memory struct {
	past
	begun *history.Run // the newest, whether its end was seen or not
	first time.Time    // when the oldest began; zero: there is none
}

// maxRemembered bounds the runs that are looked through for what the last ones of each job came to.
const maxRemembered = 20_000

// remember asks the log what came of the plan's jobs, as far as that was about its vault.
func (d *Daemon) remember(p *Plan) map[string]memory {
	here := func(r *history.Run) *history.Run {
		if r != nil && r.Vault != "" && r.Vault != p.Vault {
			return nil
		}
		return r
	}
	runs := map[string][]history.Run{}
	for _, r := range slices.Backward(d.log.Runs(time.Time{}, maxRemembered)) {
		if !r.Ended.IsZero() && here(&r) != nil {
			runs[r.Job] = append(runs[r.Job], r)
		}
	}
	all := make(map[string]memory, len(p.Jobs))
	for _, def := range p.Jobs {
		m := memory{begun: here(d.log.Last(def.Name))}
		for _, r := range runs[def.Name] {
			m.first = earlier(m.first, r.Started)
			m.ran(r)
		}
		if end := here(d.log.LastEnded(def.Name)); end != nil {
			m.last = end
		}
		if good := here(d.log.LastGood(def.Source)); def.Kind == history.KindPass && good != nil {
			m.good = snapshotOf(good)
		}
		all[def.Name] = m
	}
	return all
}
