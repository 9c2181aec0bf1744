package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// sampleEvery is how often runs under way are measured, and how often the daemon looks around while it ends.
const sampleEvery = time.Second

// Run does what the plan says until ctx ends. Then the runs' contexts, which are made of ctx, end, too; Run waits for the runs, up to Grace, and returns nil, or an error that names what had
// not ended, which is left behind. It is called once.
//
// What was due since a job's last run, was cut short or failed runs at once, and so does a job that never ran; damage that an audit found is no failure of that kind. No two runs of a job overlap. At most Plan.Parallel passes are made at a time, and one
// probe and one audit. Who waited longest goes first, and who was triggered before. A job whose run failed is due on its schedule again; where its period is longer than an hour, it is tried
// again 5, 15 and 60 minutes after each end before that; damage that was found is no reason for that.
func (d *Daemon) Run(ctx context.Context) error {
	if err := d.open(); err != nil {
		return err
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		d.beats()
		timer.Reset(d.turn(ctx))
		d.measure(0)
		select {
		case <-ctx.Done():
		case <-d.wake:
		case <-timer.C:
		}
	}
	return d.drain()
}

func (d *Daemon) open() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.state != unborn {
		return errors.New("the daemon ran already")
	}
	d.state, d.started = working, d.now()
	return nil
}

// Beat is when the loop came round last, with a monotonic reading. It comes round each Tick at least, and while the daemon ends, too.
func (d *Daemon) Beat() time.Time { return *d.beat.Load() }

func (d *Daemon) beats() {
	now := time.Now()
	d.beat.Store(&now)
}

// rouse has the loop come round now.
func (d *Daemon) rouse() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// turn is one round of the loop: it begins what is due and has a slot, and returns how long nothing else is to be done.
func (d *Daemon) turn(ctx context.Context) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	d.settle(now)
	d.collect(now)
	rest := d.queue[:0:0]
	for _, j := range d.queue {
		if d.free(j.Kind) {
			d.begin(ctx, j, now)
		} else {
			rest = append(rest, j)
		}
	}
	d.queue = rest
	d.watchAges(ctx, now)
	return d.quiet(now)
}

// settle notices a clock that was set back.
func (d *Daemon) settle(now time.Time) {
	if now.Before(d.seen) {
		d.o.Logger.Warn("the clock was set back", "from", d.seen, "to", now)
		d.started = earlier(d.started, now)
		for _, j := range d.jobs {
			j.clockBack(now)
		}
	}
	d.seen = now
}

// quiet is how long it takes until something may be due.
func (d *Daemon) quiet(now time.Time) time.Duration {
	wait := d.o.Tick
	if len(d.running) > 0 {
		wait = min(wait, sampleEvery)
	}
	for _, j := range d.order {
		if next := j.next(); j.run == nil && j.waiting.IsZero() && !next.IsZero() {
			wait = min(wait, next.Sub(now))
		}
	}
	return max(wait, 0)
}

// drain waits for what runs to end, and closes the daemon.
func (d *Daemon) drain() error {
	d.mu.Lock()
	d.state = stopping
	for len(d.queue) > 0 {
		d.drop(d.queue[0])
	}
	d.mu.Unlock()
	if names := d.left(); len(names) > 0 {
		d.o.Logger.Info("stopping: what is whole is committed", "waits_for", strings.Join(names, ", "), "at_most", d.o.Grace.String())
	} else {
		d.o.Logger.Info("stopping")
	}
	left := d.await(d.left, d.o.Grace)
	if len(left) == 0 {
		d.await(d.measures, min(d.o.Grace, sampleEvery))
	}
	d.mu.Lock()
	d.state = stopped
	close(d.over)
	d.mu.Unlock()
	if len(left) > 0 {
		return fmt.Errorf("%s had not ended %s after the daemon was told to: left behind", strings.Join(left, ", "), d.o.Grace)
	}
	return nil
}

// await waits until there is nothing left, but no longer than that, and returns what is.
func (d *Daemon) await(left func() []string, most time.Duration) []string {
	deadline, ticks := time.NewTimer(most), time.NewTicker(sampleEvery)
	defer deadline.Stop()
	defer ticks.Stop()
	for {
		d.beats()
		names := left()
		if len(names) == 0 {
			return nil
		}
		select {
		case <-d.wake:
		case <-ticks.C:
		case <-deadline.C:
			return left()
		}
	}
}

// left names the runs and notices that did not end yet.
func (d *Daemon) left() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var names []string
	for _, r := range d.running {
		names = append(names, r.Job)
	}
	for what, n := range d.aside {
		if what != measuring && n > 0 {
			names = append(names, what)
		}
	}
	slices.Sort(names)
	return names
}
