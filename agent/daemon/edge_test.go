package daemon

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"farshore/agent/daemon/history"
)

// TestDueTogether holds that of those that the clock makes due at one time, after it was set forwards, the one goes first that was due first.
func TestDueTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := plan(pass(t, "a", "3h", takes(time.Minute)), pass(t, "b", "1h", takes(time.Minute)), pass(t, "c", "2h", takes(time.Minute)))
		p.Parallel = 1
		r := newRig(t, p, &tape{}, options()).start()
		after(10 * time.Minute)
		r.set(24 * time.Hour)
		after(10 * time.Minute)
		same(t, "the order", r.log.order()[3:], "pass b", "pass c", "pass a")
		r.stop()
	})
}

// TestClockSetBackEarly sets the clock back soon after the start: the daemon is as old as it is.
func TestClockSetBackEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		job := pass(t, "a", "1h", func(ctx context.Context, _ *Follow) history.Run {
			time.Sleep(time.Minute)
			return history.Run{Exit: 1}
		})
		job.MaxAge = 2 * time.Hour
		r := newRig(t, plan(job), &tape{}, options()).start()
		r.set(-1000 * time.Hour)
		after(2*time.Hour + time.Minute)
		s := r.Status()
		if !s.Sources[0].Late || s.Started.After(s.Now) {
			t.Errorf("%+v", s)
		}
		if run := r.log.of("pass a")[0]; run.Ended.Before(run.Started) {
			t.Errorf("it ended at %s, before it began at %s", run.Ended, run.Started)
		}
		r.stop()
	})
}

// TestFutureRun holds that a history from the future is history once the daemon started, whatever is reckoned anew.
func TestFutureRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		future := history.Run{Job: "pass a", Kind: history.KindPass, Source: "a", Started: began.Add(1000 * time.Hour), Ended: began.Add(1001 * time.Hour)}
		job := pass(t, "a", "1h", takes(time.Second))
		r := newRig(t, plan(job), &tape{runs: []history.Run{future}}, options()).start()
		for range 12 {
			after(10 * time.Minute)
			job.Jitter += time.Second
			r.Reload(plan(job))
		}
		same(t, "it began at", r.log.starts("pass a", began)[1:], time.Hour, 2*time.Hour)
		r.stop()
	})
}

// TestBounds holds what is kept of jobs that come, go and run for ever.
func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		jobs := []Job{pass(t, "a", "1m", takes(time.Second)), pass(t, "b", "1h", takes(time.Minute))}
		r := newRig(t, plan(jobs...), &tape{}, options()).start()
		r.Reload(plan(jobs[0]))
		after(time.Hour)
		if n := len(r.jobs); n != 1 {
			t.Errorf("%d jobs are known", n)
		}
		if n := len(r.jobs["pass a"].recent); n != maxRecent {
			t.Errorf("%d runs are kept", n)
		}
		r.stop()
	})
}

// TestSleep holds that a rate is of the last minute: what was measured before the machine slept does not count.
func TestSleep(t *testing.T) {
	p, now := progress{}, time.Now()
	for i := range 10 {
		p.add(Measured{Items: int64(1000 * i)}, now.Add(time.Duration(i)*time.Second))
	}
	for i := range 10 {
		p.add(Measured{Items: int64(10_000 + i)}, now.Add(time.Hour+time.Duration(i)*time.Second))
	}
	if items, _, span := p.rates(); items != 1 || span != 9*time.Second {
		t.Errorf("%v items a second, over %s", items, span)
	}
}
