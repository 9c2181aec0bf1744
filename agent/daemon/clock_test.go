package daemon

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestClock sets the clock: nothing runs again and again because of it, and nothing waits until the clock is there again.
func TestClock(t *testing.T) {
	const year = 365 * 24 * time.Hour
	for _, when := range []string{"1h", "0 * * * *", "1d", "30 0 * * *"} {
		for _, step := range []time.Duration{year, -year, 90 * time.Minute, -90 * time.Minute, time.Second, -time.Second} {
			t.Run(when+" "+step.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					o := options()
					o.Jitter = func() float64 { return 0.9 }
					job := pass(t, "a", when, takes(time.Second))
					job.Jitter = time.Minute
					period := job.Schedule.Period(time.Now())
					r := newRig(t, plan(job), &tape{}, o)
					r.set(2 * year)
					r.start()
					after(10 * time.Minute)
					r.set(step)
					before := len(r.log.of("pass a"))
					after(time.Minute)
					if n := len(r.log.of("pass a")) - before; n > 1 {
						t.Errorf("it ran %d times in a minute", n)
					}
					after(3*period + 5*time.Minute)
					if n := len(r.log.of("pass a")) - before; n < 2 || n > 5 {
						t.Errorf("it ran %d times in three periods", n)
					}
					if s := r.Status(); s.Sources[0].Next[0].Sub(s.Now) > period+time.Minute {
						t.Errorf("next at %s, and it is %s", s.Sources[0].Next[0], s.Now)
					}
					r.stop()
				})
			})
		}
	}
}

// TestClockRetry holds that a try after a failure waits for no clock that was set back.
func TestClockRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, plan(pass(t, "a", "1d", exits(1))), &tape{}, options()).start()
		after(time.Minute)
		r.set(-1000 * time.Hour)
		after(6 * time.Minute)
		if n := len(r.log.of("pass a")); n != 2 {
			t.Errorf("it ran %d times", n)
		}
		r.stop()
	})
}
