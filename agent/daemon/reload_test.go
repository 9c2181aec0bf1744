package daemon

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, log := time.Now(), &tape{}
		r := newRig(t, plan(
			pass(t, "stays", "1h", takes(time.Minute)),
			pass(t, "goes", "1h", takes(30*time.Minute)),
			pass(t, "changes", "1h", takes(time.Minute)),
			pass(t, "times", "0 12 * * *", takes(time.Minute)),
		), log, options()).start()
		r.Refuse("line 3: there is no such key")
		if c := r.Status().Config; c.Problem != "line 3: there is no such key" || !c.ProblemAt.Equal(r.clock()) {
			t.Errorf("%+v", c)
		}
		after(10 * time.Minute)
		next := plan(
			pass(t, "new", "1h", takes(time.Minute)),
			pass(t, "stays", "1h", takes(time.Minute)),
			pass(t, "changes", "5m", takes(time.Minute)),
			pass(t, "times", "5 0 * * *", takes(time.Minute)),
		)
		r.Reload(next)
		synctest.Wait()
		s := r.Status()
		var names []string
		for _, source := range s.Sources {
			names = append(names, source.Name)
		}
		same(t, "the sources", names, "new", "stays", "changes", "times", "goes")
		if gone := s.Sources[4]; gone.Running == nil || len(gone.Next) != 0 || s.Config.Problem != "" {
			t.Errorf("%+v", s)
		}
		if _, err := r.Trigger("pass goes"); !errors.Is(err, ErrNoJob) {
			t.Error(err)
		}
		after(2 * time.Hour)
		if runs := log.of("pass goes"); len(runs) != 1 || runs[0].Exit != 0 || runs[0].Stopped {
			t.Errorf("%+v", runs)
		}
		same(t, "what stays", log.starts("pass stays", began), 0, time.Hour, 2*time.Hour)
		same(t, "what is new", log.starts("pass new", began), 10*time.Minute, 70*time.Minute, 130*time.Minute)
		same(t, "what changes", log.starts("pass changes", began)[:4], 0, 10*time.Minute, 15*time.Minute, 20*time.Minute)
		same(t, "a time of day", log.starts("pass times", began), 0) // five past midnight lay before now
		after(24 * time.Hour)
		same(t, "a time of day", log.starts("pass times", began), 0, 24*time.Hour+5*time.Minute)
		r.stop()
	})
}

// TestReloadWhileRunning holds that a job which goes and comes again does not overlap itself, and that fewer slots are fewer.
func TestReloadWhileRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		jobs := []Job{pass(t, "a", "10m", takes(time.Hour)), pass(t, "b", "10m", takes(61*time.Minute))}
		r := newRig(t, plan(jobs...), &tape{}, options()).start()
		after(time.Minute)
		r.Reload(plan())
		after(time.Minute)
		one := plan(jobs...)
		one.Parallel = 1
		r.Reload(one)
		if _, err := r.Trigger("pass b"); !errors.Is(err, ErrRunning) {
			t.Error(err)
		}
		after(150 * time.Minute)
		same(t, "a", r.log.starts("pass a", began), 0, 61*time.Minute)
		same(t, "b", r.log.starts("pass b", began), 0, 121*time.Minute)
		r.stop()
	})
}

// TestReloadOften holds that schedules which change again and again keep nothing from running.
func TestReloadOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, plan(pass(t, "a", "1h", takes(time.Second)), pass(t, "b", "0 3 * * *", takes(time.Second))), &tape{}, options()).start()
		for i := range 200 {
			after(30 * time.Minute)
			r.Reload(plan(pass(t, "a", []string{"59m", "61m"}[i%2], takes(time.Second)), pass(t, "b", []string{"15 * * * *", "45 * * * *"}[i%2], takes(time.Second))))
		}
		after(time.Minute)
		for _, job := range []string{"pass a", "pass b"} {
			if n := len(r.log.of(job)); n < 60 || n > 101 {
				t.Errorf("%s ran %d times in 100 hours", job, n)
			}
		}
		r.stop()
	})
}
