package daemon

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"farshore/agent/daemon/history"
)

// run is a run under way. What it embeds says how it began.
type run struct {
	history.Run
	job    *job
	do     func(context.Context, *Follow) history.Run
	asked  time.Time
	follow Follow
	progress
}

func (r *run) kind() string { return r.Kind }

// begin lets a job run. The daemon's lock is held.
func (d *Daemon) begin(ctx context.Context, j *job, now time.Time) {
	r := &run{job: j, do: j.Job.Run, asked: j.asked}
	r.Run = history.Run{Job: j.Name, Kind: j.Kind, Source: j.Source, Vault: d.plan.Vault, Cause: j.cause, Started: now}
	if retry := j.retry(); retry.IsZero() || retry.After(now) || !j.asked.IsZero() || !j.due.IsZero() && !j.due.After(now) {
		j.tries = 0
	} else {
		j.tries++
	}
	j.failedAt, j.waiting, j.asked, j.cause = time.Time{}, time.Time{}, time.Time{}, ""
	j.began, j.base, j.share, j.run = now, now, d.o.Jitter(), r
	j.reckon(now)
	r.moved = time.Now()
	d.running = append(d.running, r)
	go d.execute(ctx, r)
}

// execute does a run, from its beginning in the log to its end there. It is a goroutine, for which drain waits.
func (d *Daemon) execute(ctx context.Context, r *run) {
	d.o.Logger.Info("begins", "job", r.Job, "cause", r.Cause)
	d.wrote(d.log.Begin(r.Run), r.Job)
	result := failure("it left without a word of what came of it")
	defer func() { d.end(ctx, r, result) }() // a run that ends its goroutine ends here, too
	result = d.call(ctx, r)
}

func failure(text string) history.Run {
	return history.Run{Exit: 1, Code: "failed", Text: text}
}

// call does what is to be done, and survives it.
func (d *Daemon) call(ctx context.Context, r *run) (result history.Run) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			d.o.Logger.Error("a run panicked", "job", r.Job, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			result = failure(fmt.Sprintf("a fault in the program: %v; its log has the stack", p))
		}
	}()
	return r.do(ctx, &r.follow)
}

// end takes note of how a run ended, in the log and for the job.
func (d *Daemon) end(ctx context.Context, r *run, result history.Run) {
	whole := result.Exit == 0 && (result.Pass == nil || result.Pass.Complete)
	result.Stopped = result.Stopped || ctx.Err() != nil && !whole
	result.Job, result.Kind, result.Source, result.Vault, result.Cause, result.Started = r.Job, r.Kind, r.Source, r.Vault, r.Cause, r.Started
	result.Ended = d.now()
	if result.Ended.Before(result.Started) {
		result.Ended = result.Started // the clock was set back
	}
	d.report(ctx, &result)
	if d.writes() {
		d.wrote(d.log.End(result), r.Job)
		if d.o.Ended != nil {
			d.guard("what is told of runs that ended", func() { d.o.Ended(result) })
		}
	}
	d.close(r, result)
	d.rouse()
}

// writes reports whether the log is still there: Run's caller closes it.
func (d *Daemon) writes() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.state != stopped
}

func (d *Daemon) wrote(err error, job string) {
	if err != nil {
		d.o.Logger.Error("the history of runs could not be written: after a restart, a run may come early", "job", job, "error", err)
	}
}

// close lets go of a run that ended, and its slot, and decides whether its job is tried again.
func (d *Daemon) close(r *run, result history.Run) {
	d.mu.Lock()
	defer d.mu.Unlock()
	j, now := r.job, d.now()
	d.running = slices.DeleteFunc(d.running, func(other *run) bool { return other == r })
	j.run = nil
	if r.Vault == d.plan.Vault {
		j.ran(result)
	}
	if len(j.recent) == maxRecent {
		j.recent = slices.Delete(j.recent, 0, 1)
	}
	j.recent = append(j.recent, endedRun{result, r.asked})
	if again(result) && r.Vault == d.plan.Vault && j.tries < len(retries()) && j.Schedule.Period(now) > retryPeriod {
		j.failedAt = now
	}
	if j.gone {
		delete(d.jobs, j.Name)
	}
	d.announce()
}

// announce has whoever awaits something look again.
func (d *Daemon) announce() {
	close(d.news)
	d.news = make(chan struct{})
}

// guard calls what others wrote, and survives its panics.
func (d *Daemon) guard(what string, f func()) {
	defer func() {
		if p := recover(); p != nil {
			d.o.Logger.Error("a panic", "in", what, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
	}()
	f()
}

// beside does something beside the runs. The daemon's lock is held; drain waits for it.
func (d *Daemon) beside(what string, f func()) {
	d.aside[what]++
	go func() {
		defer func() {
			d.mu.Lock()
			defer d.mu.Unlock()
			if d.aside[what]--; d.aside[what] == 0 {
				delete(d.aside, what)
			}
			if d.state == stopping {
				d.rouse()
			}
		}()
		d.guard(what, f)
	}()
}
