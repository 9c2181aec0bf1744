package daemon

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"farshore/agent/daemon/history"
)

func TestStop(t *testing.T) {
	for name, c := range map[string]struct {
		run     func(context.Context, *Follow) history.Run
		stopped bool
		takes   time.Duration
		err     string
	}{
		"it is cut short": {run: takes(time.Hour), stopped: true},
		"it is done in time": {run: func(ctx context.Context, _ *Follow) history.Run {
			<-ctx.Done()
			time.Sleep(9 * time.Second)
			return good(1)
		}, takes: 9 * time.Second},
		"it does not listen":   {run: func(context.Context, *Follow) history.Run { time.Sleep(time.Hour); return good(1) }, takes: 20 * time.Second, err: "pass a had not ended 20s after"},
		"it ends with failure": {run: func(ctx context.Context, _ *Follow) history.Run { <-ctx.Done(); return history.Run{Exit: 1} }, stopped: true},
		"it is not whole": {run: func(ctx context.Context, _ *Follow) history.Run {
			<-ctx.Done()
			return history.Run{Pass: &history.Pass{Seq: 1}}
		}, stopped: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := options()
				o.Grace = 20 * time.Second
				one := plan(pass(t, "a", "1h", c.run), pass(t, "b", "1h", takes(time.Hour)))
				one.Parallel = 1
				r := newRig(t, one, &tape{}, o).start()
				after(time.Minute)
				began := time.Now()
				err := r.stop()
				if took := time.Since(began); took != c.takes {
					t.Errorf("it took %s, and not %s", took, c.takes)
				}
				if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
					t.Errorf("%v", err)
				}
				runs := r.log.of("pass a")
				if len(runs) != 1 || len(r.log.of("pass b")) != 0 {
					t.Fatal("another run began")
				}
				if c.err == "" && (runs[0].Ended.IsZero() || runs[0].Stopped != c.stopped) {
					t.Errorf("%+v", runs[0])
				}
				after(2 * time.Hour) // what was left behind ends
				if runs := r.log.of("pass a"); c.err != "" && !runs[0].Ended.IsZero() {
					t.Error("something was written to a log that may be closed")
				}
				if s := r.Status(); !s.Stopping || s.Sources[0].Failures != 0 {
					t.Errorf("%+v", s)
				}
				if r.Run(t.Context()) == nil {
					t.Error("it ran twice")
				}
			})
		})
	}
}

// TestCause holds that a run sees why it ends.
func TestCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		why := errors.New("the machine goes down")
		var seen error
		r := newRig(t, plan(pass(t, "a", "1h", func(ctx context.Context, _ *Follow) history.Run {
			<-ctx.Done()
			seen = context.Cause(ctx)
			return good(1)
		})), &tape{}, options()).start()
		r.end(why)
		if err := <-r.over; err != nil || !errors.Is(seen, why) {
			t.Errorf("%v, %v", seen, err)
		}
	})
}

func TestBeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options()
		o.Grace = 20 * time.Second
		r := newRig(t, plan(pass(t, "a", "1h", func(context.Context, *Follow) history.Run { time.Sleep(10 * time.Hour); return good(1) })), &tape{}, o).start()
		for range 100 {
			after(7 * time.Second)
			if old := time.Since(r.Beat()); old > defaultTick {
				t.Fatalf("the loop came round %s ago", old)
			}
		}
		r.end(context.Canceled)
		after(19 * time.Second)
		if old := time.Since(r.Beat()); old > sampleEvery {
			t.Errorf("the loop came round %s ago while it ended", old)
		}
		<-r.over
		after(24 * time.Hour)
	})
}

// TestRestart ends a daemon in the midst, with a real history, and starts the next one.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		daemon := func(run func(context.Context, *Follow) history.Run, lasts time.Duration) []history.Run {
			log, err := history.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			o := options()
			o.Log = log
			ctx, cancel := context.WithTimeout(t.Context(), lasts)
			defer cancel()
			if err := New(plan(pass(t, "a", "1d", run)), o).Run(ctx); err != nil {
				t.Error(err)
			}
			runs := log.Runs(time.Time{}, 100)
			if err := log.Close(); err != nil {
				t.Error(err)
			}
			slices.Reverse(runs)
			return runs
		}
		runs := daemon(takes(time.Hour), time.Minute)
		if len(runs) != 1 || !runs[0].Stopped || runs[0].Cause != history.CauseSchedule {
			t.Fatalf("%+v", runs)
		}
		after(time.Minute)
		runs = daemon(takes(time.Hour), 2*time.Hour)
		if len(runs) != 2 || runs[1].Cause != history.CauseMissed || !runs[1].Good() {
			t.Fatalf("%+v", runs)
		}
		after(time.Minute)
		if runs = daemon(takes(time.Hour), 2*time.Hour); len(runs) != 2 {
			t.Fatalf("%+v", runs)
		}
		after(48 * time.Hour)
		if runs = daemon(takes(time.Hour), 2*time.Hour); len(runs) != 3 || runs[2].Cause != history.CauseMissed {
			t.Fatalf("%+v", runs)
		}
	})
}
