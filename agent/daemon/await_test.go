package daemon

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"farshore/agent/daemon/history"
)

func TestAwait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, plan(pass(t, "a", "off", takes(time.Hour)), pass(t, "b", "off", takes(time.Hour)), pass(t, "c", "off", takes(time.Hour))), &tape{}, options()).start()
		if _, err := r.Await(t.Context(), "pass z", time.Time{}); !errors.Is(err, ErrNoJob) {
			t.Error(err)
		}
		got, err := r.Trigger("pass a")
		if err != nil {
			t.Fatal(err)
		}
		soon, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := r.Await(soon, "pass a", got.At); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		r.Reload(plan(pass(t, "b", "off", takes(time.Hour)), pass(t, "c", "off", takes(time.Hour))))
		if _, err := r.Await(t.Context(), "pass a", got.At); !errors.Is(err, ErrNoJob) {
			t.Error(err)
		}
		got, _ = r.Trigger("pass b")
		r.set(-time.Hour) // before the loop came round
		for range 2 {     // once it ended, too
			if run, err := r.Await(t.Context(), "pass b", got.At); err != nil || run.Exit != 0 || run.Job != "pass b" {
				t.Errorf("%+v, %v", run, err)
			}
		}
		go func() {
			time.Sleep(time.Minute)
			r.stop()
		}()
		if _, err := r.Await(t.Context(), "pass c", time.Time{}); !errors.Is(err, ErrStopping) {
			t.Error(err)
		}
	})
}

// TestAwaitGone holds that whoever awaits a run hears that its job is gone, and of one that ends after its job went.
func TestAwaitGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, plan(pass(t, "a", "1d", takes(time.Hour)), pass(t, "b", "off", takes(time.Hour))), &tape{}, options()).start()
		type answer struct {
			run history.Run
			err error
		}
		a, b := make(chan answer, 1), make(chan answer, 1)
		go func() { run, err := r.Await(t.Context(), "pass a", time.Time{}); a <- answer{run, err} }()
		go func() { run, err := r.Await(t.Context(), "pass b", time.Time{}); b <- answer{run, err} }()
		after(time.Minute)
		r.Reload(plan())
		synctest.Wait()
		select {
		case got := <-b:
			if !errors.Is(got.err, ErrNoJob) {
				t.Error(got.err)
			}
		default:
			t.Error("nobody heard that the job is gone")
		}
		if got := <-a; got.err != nil || got.run.Job != "pass a" || got.run.Exit != 0 {
			t.Errorf("%+v", got)
		}
		r.stop()
	})
}

// TestAtOnce calls everything at once, for the race detector.
func TestAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		job := pass(t, "a", "1m", measured(func(time.Duration) Measured { return Measured{} }))
		job.MaxAge = time.Second
		p := plan(job, pass(t, "b", "1m", takes(time.Second)))
		p.Overdue = func(context.Context, string, time.Time, time.Duration, bool) {}
		r := newRig(t, p, &tape{}, options())
		r.start()
		var all sync.WaitGroup
		for _, call := range []func(){
			func() { r.Status() },
			func() { r.Trigger("pass b") },
			func() { r.Reload(p) },
			func() { r.Refuse("no") },
			func() { r.Seed("a", Snapshot{Time: time.Now()}) },
			func() { r.Beat() },
			func() { r.set(-time.Second) },
			func() { r.Await(t.Context(), "pass b", r.clock().Add(-time.Minute)) },
		} {
			for range 2 {
				all.Go(func() {
					for range 100 {
						call()
						time.Sleep(time.Second)
					}
				})
			}
		}
		all.Wait()
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
}
