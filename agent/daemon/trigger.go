package daemon

import (
	"context"
	"fmt"
	"strings"
	"time"

	"farshore/agent/daemon/history"
)

// Trigger has a job run as soon as there is a slot, before those that are due, whatever its schedule says. It is ErrNoJob for a job that the plan does not have, ErrRunning for one that runs
// already, and ErrStopping once the daemon was told to end; then nothing was queued.
func (d *Daemon) Trigger(name string) (Triggered, error) {
	defer d.rouse()
	d.mu.Lock()
	defer d.mu.Unlock()
	j, err := d.find(name)
	switch {
	case d.state >= stopping:
		return Triggered{}, fmt.Errorf("%s is not run: %w", name, ErrStopping)
	case err != nil:
		return Triggered{}, err
	case j.run != nil:
		return Triggered{}, &RunningError{Job: name, Since: j.run.Started}
	}
	now := d.now()
	t := Triggered{Job: name, At: now, Waiting: !j.waiting.IsZero() || !d.free(j.Kind)}
	j.asked = now
	d.enqueue(j, history.CauseTrigger, now)
	return t, nil
}

// find is the job of the plan with that name. The daemon's lock is held.
func (d *Daemon) find(name string) (*job, error) {
	if j := d.jobs[name]; j != nil && !j.gone {
		return j, nil
	}
	const most = 30
	var names []string
	for i, j := range d.order {
		if i == most {
			names = append(names, fmt.Sprintf("and %d more", len(d.order)-most))
			break
		}
		names = append(names, fmt.Sprintf("%q", j.Name))
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%w as %q: there are none", ErrNoJob, name)
	}
	return nil, fmt.Errorf("%w as %q: there are %s", ErrNoJob, name, strings.Join(names, ", "))
}

// Await waits for the end of a job's first run that began at or after that time, or came of the Trigger at that time. Of runs that ended before it is called, it knows the last few of this
// daemon. It is ErrNoJob for a job that the plan does not have, or has no more before it ran, ErrStopping when the daemon ends before, and the cause of ctx's end when that comes first.
func (d *Daemon) Await(ctx context.Context, name string, after time.Time) (history.Run, error) {
	d.mu.Lock()
	j, err := d.find(name)
	d.mu.Unlock()
	if err != nil {
		return history.Run{}, err
	}
	for over := false; ; {
		r, next, err := d.endedSince(j, after)
		if err != nil || next == nil {
			return r, err
		}
		if over {
			return history.Run{}, fmt.Errorf("%s did not run: %w", name, ErrStopping)
		}
		select {
		case <-next:
		case <-d.over:
			over = true
		case <-ctx.Done():
			return history.Run{}, context.Cause(ctx)
		}
	}
}

// endedSince is the run that Await waits for, or what is closed when it is to look again.
func (d *Daemon) endedSince(j *job, after time.Time) (history.Run, <-chan struct{}, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range j.recent {
		if !r.Started.Before(after) || r.asked.Equal(after) && !after.IsZero() {
			return r.Run, nil, nil
		}
	}
	if j.gone && j.run == nil {
		return history.Run{}, nil, fmt.Errorf("%w as %q any more: the configuration was changed", ErrNoJob, j.Name)
	}
	return history.Run{}, d.news, nil
}
