package daemon

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"farshore/agent/daemon/history"
)

func TestStart(t *testing.T) {
	const job = "pass shop"
	for name, c := range map[string]struct {
		when   string
		last   *history.Run // with times relative to now
		began  time.Duration
		starts []time.Duration
		cause  string
	}{
		"it never ran":             {when: "1h", starts: []time.Duration{0, time.Hour}, cause: history.CauseSchedule},
		"off":                      {when: "off"},
		"off and cut short":        {when: "off", last: &history.Run{Stopped: true, Exit: 130}, began: -time.Minute},
		"an interval is not over":  {when: "1h", last: &history.Run{}, began: -20 * time.Minute, starts: []time.Duration{40 * time.Minute, 100 * time.Minute}, cause: history.CauseSchedule},
		"an interval is over":      {when: "1h", last: &history.Run{}, began: -90 * time.Minute, starts: []time.Duration{0, time.Hour}, cause: history.CauseMissed},
		"a time was missed":        {when: "30 23 * * *", last: &history.Run{}, began: -2 * time.Hour, starts: []time.Duration{0}, cause: history.CauseMissed},
		"no time was missed":       {when: "30 0 * * *", last: &history.Run{}, began: -2 * time.Hour, starts: []time.Duration{30 * time.Minute}, cause: history.CauseSchedule},
		"it was cut short":         {when: "1h", last: &history.Run{Stopped: true, Exit: 130}, began: -time.Minute, starts: []time.Duration{0, time.Hour}, cause: history.CauseMissed},
		"its end was not seen":     {when: "1h", last: &history.Run{Text: "no end"}, began: -time.Minute, starts: []time.Duration{0, time.Hour}, cause: history.CauseMissed},
		"it began in the future":   {when: "1h", last: &history.Run{}, began: 1000 * time.Hour, starts: []time.Duration{time.Hour}, cause: history.CauseSchedule},
		"a failure is tried again": {when: "1d", last: &history.Run{Exit: 1}, began: -time.Minute, starts: []time.Duration{0}, cause: history.CauseSchedule},
		"an alarm, too":            {when: "1d", last: &history.Run{Exit: 4}, began: -time.Minute, starts: []time.Duration{0}, cause: history.CauseSchedule},
		"off and failed":           {when: "off", last: &history.Run{Exit: 1}, began: -time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began, log := time.Now(), &tape{}
				if last := c.last; last != nil {
					last.Job, last.Kind, last.Source, last.Started = job, history.KindPass, "shop", began.Add(c.began)
					if last.Text == "" {
						last.Ended = last.Started
					}
					log.runs = append(log.runs, *last)
				}
				before := len(log.runs)
				r := newRig(t, plan(pass(t, "shop", c.when, takes(time.Second))), log, options()).start()
				after(119 * time.Minute)
				if err := r.stop(); err != nil {
					t.Error(err)
				}
				same(t, "it began at", log.starts(job, began)[before:], c.starts...)
				if len(c.starts) > 0 && log.runs[before].Cause != c.cause {
					t.Errorf("it ran because of %q, and not of %q", log.runs[before].Cause, c.cause)
				}
			})
		})
	}
}

// TestMissed says that those that waited longest go first, and those that never ran after them.
func TestMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now, log := time.Now(), &tape{}
		p := plan()
		p.Parallel = 1
		for i, source := range []string{"a", "b", "c", "d"} {
			p.Jobs = append(p.Jobs, pass(t, source, "1h", takes(time.Minute)))
			if ago := []time.Duration{2, 5, 0, 3}[i] * time.Hour; ago > 0 {
				log.runs = append(log.runs, history.Run{Job: "pass " + source, Kind: history.KindPass, Source: source, Started: now.Add(-ago), Ended: now.Add(-ago)})
			}
		}
		r := newRig(t, p, log, options()).start()
		after(10 * time.Minute)
		same(t, "the order", log.order()[3:], "pass b", "pass d", "pass a", "pass c")
		r.stop()
	})
}

func TestJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, drawn := time.Now(), 0
		o := options()
		o.Jitter = func() float64 { drawn++; return 0.5 }
		hourly := pass(t, "a", "0 * * * *", takes(time.Second))
		hourly.Jitter = 10 * time.Minute
		r := newRig(t, plan(hourly), &tape{}, o).start()
		after(3*time.Hour + 30*time.Minute)
		same(t, "it began at", r.log.starts("pass a", began), 0, 65*time.Minute, 125*time.Minute, 185*time.Minute)
		if drawn != 5 { // for the first, and after each that began
			t.Errorf("jitter was drawn %d times", drawn)
		}
		r.stop()
	})
}

// TestLongRun holds that a run longer than its interval is followed by the next, and never overlaps it.
func TestLongRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		r := newRig(t, plan(pass(t, "a", "1h", takes(150*time.Minute))), &tape{}, options()).start()
		after(6 * time.Hour)
		same(t, "it began at", r.log.starts("pass a", began), 0, 150*time.Minute, 300*time.Minute)
		r.stop()
	})
}

func TestSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := plan()
		p.Parallel = 2
		for i, source := range []string{"a", "b", "c", "d", "e"} {
			p.Jobs = append(p.Jobs, pass(t, source, "1d", takes(time.Hour+time.Duration(i%2)*30*time.Minute)))
		}
		p.Jobs = append(p.Jobs,
			Job{Name: "probe", Kind: history.KindProbe, Schedule: scheduled(t, "1d"), Run: takes(3 * time.Hour)},
			Job{Name: "verify", Kind: history.KindAudit, Schedule: scheduled(t, "1d"), Run: takes(3 * time.Hour)})
		r := newRig(t, p, &tape{}, options()).start()
		first := r.log.order()
		slices.Sort(first) // they began at one time
		same(t, "first", first, "pass a", "pass b", "probe", "verify")

		after(time.Minute)
		if got, err := r.Trigger("pass e"); err != nil || !got.Waiting || !got.At.Equal(r.clock()) || got.Job != "pass e" {
			t.Errorf("%+v, %v", got, err)
		}
		for _, job := range []string{"pass a", "probe"} {
			_, err := r.Trigger(job)
			if running := new(RunningError); !errors.Is(err, ErrRunning) || !errors.As(err, &running) || r.clock().Sub(running.Since) != time.Minute {
				t.Errorf("%s: %v", job, err)
			}
		}
		if _, err := r.Trigger("pass z"); !errors.Is(err, ErrNoJob) || !strings.Contains(err.Error(), `"pass z": there are "pass a", "pass b"`) {
			t.Error(err)
		}
		s := r.Status()
		if waits := s.Sources[3]; waits.Waiting.IsZero() || waits.Running != nil || s.Sources[0].Running == nil || s.Probe.Running == nil || s.Verify.Running == nil {
			t.Errorf("%+v", s)
		}
		after(4 * time.Hour)
		same(t, "then", r.log.order()[4:], "pass e", "pass c", "pass d")
		if cause := r.log.of("pass e")[0].Cause; cause != history.CauseTrigger {
			t.Errorf("it ran because of %q", cause)
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
		if _, err := r.Trigger("pass a"); !errors.Is(err, ErrStopping) {
			t.Error(err)
		}
	})
}

func TestTriggered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		r := newRig(t, plan(pass(t, "a", "1h", takes(time.Second)), pass(t, "never", "off", takes(time.Second))), &tape{}, options()).start()
		after(20 * time.Minute)
		for range 3 { // the second and third find it waiting, or running
			r.Trigger("pass a")
			r.Trigger("pass never")
		}
		after(2 * time.Hour)
		same(t, "it began at", r.log.starts("pass a", began), 0, 20*time.Minute, 80*time.Minute, 140*time.Minute)
		same(t, "it began at", r.log.starts("pass never", began), 20*time.Minute)
		r.stop()
	})
}

// TestFaults holds that a run that panics, or leaves in another way, is a failure and no more.
func TestFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		o := options()
		o.Logger = textLog(&out)
		o.Ended = func(history.Run) { panic("the listener") }
		p := plan(
			pass(t, "panics", "1h", func(context.Context, *Follow) history.Run { panic("boom") }),
			pass(t, "exits", "1h", func(context.Context, *Follow) history.Run { runtime.Goexit(); return good(1) }),
			pass(t, "nil", "1h", nil),
			pass(t, "well", "1h", takes(time.Second)))
		r := newRig(t, p, &tape{err: errors.New("the disk is full")}, o).start()
		after(150 * time.Minute)
		if err := r.stop(); err != nil {
			t.Error(err)
		}
		for job, exit := range map[string]int{"pass panics": 1, "pass exits": 1, "pass nil": 1, "pass well": 0} {
			runs := r.log.of(job)
			if len(runs) != 3 {
				t.Errorf("%s ran %d times", job, len(runs))
			}
			for _, run := range runs {
				if run.Exit != exit || run.Ended.IsZero() || exit != 0 && (run.Code == "" || run.Text == "") {
					t.Errorf("%+v", run)
				}
			}
		}
		for _, want := range []string{"boom", "engine_test.go", "the listener", "the disk is full"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("the log says nothing of %q", want)
			}
		}
	})
}

func TestRetries(t *testing.T) {
	const minute = time.Minute
	for name, c := range map[string]struct {
		when  string
		exits []int // of the runs, the last for ever
		want  []time.Duration
	}{
		"it fails for ever":          {"1d", []int{1}, []time.Duration{0, 5 * minute, 20 * minute, 80 * minute, 80*minute + 24*time.Hour, 85*minute + 24*time.Hour}},
		"it is well again":           {"1d", []int{1, 1, 0}, []time.Duration{0, 5 * minute, 20 * minute, 20*minute + 24*time.Hour}},
		"it is incomplete":           {"1d", []int{3}, []time.Duration{0, 24 * time.Hour}},
		"it finds damage":            {"1d", []int{4}, []time.Duration{0, 24 * time.Hour}},
		"its time comes before":      {"10 0 * * *", []int{1}, []time.Duration{0, 5 * minute, 10 * minute, 15 * minute, 30 * minute, 90 * minute, 24*time.Hour + 10*minute, 24*time.Hour + 15*minute, 24*time.Hour + 30*minute, 25*time.Hour + 30*minute}},
		"its period is short enough": {"1h", []int{1}, []time.Duration{0, time.Hour, 2 * time.Hour}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began, ran := time.Now(), 0
				r := newRig(t, plan(pass(t, "a", c.when, func(context.Context, *Follow) history.Run {
					ran++
					return history.Run{Exit: c.exits[min(ran, len(c.exits))-1]}
				})), &tape{}, options()).start()
				if c.want[1] == 5*minute && c.exits[0] == 1 {
					if s := r.Status().Sources[0]; !s.Retry || s.Next[0].Sub(began) != 5*minute || s.Failures != 1 {
						t.Errorf("%+v", s)
					}
				}
				after(c.want[len(c.want)-1])
				got := r.log.starts("pass a", began)
				same(t, "it began at", got, c.want...)
				r.stop()
			})
		})
	}
}

// TestMended holds a start and a reload to try at once what failed, but not what an audit found damaged.
func TestMended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		p := plan(pass(t, "failed", "1h", exits(1)), pass(t, "alarmed", "1h", exits(4)), pass(t, "incomplete", "1h", exits(3)), pass(t, "well", "1h", exits(0)))
		p.Jobs = append(p.Jobs, Job{Name: "verify", Kind: history.KindAudit, Schedule: scheduled(t, "1h"), Run: exits(4)})
		log := &tape{}
		r := newRig(t, p, log, options()).start()
		after(10 * time.Minute)
		r.Reload(p)
		after(10 * time.Minute)
		if err := r.stop(); err != nil {
			t.Error(err)
		}
		again := newRig(t, p, log, options()).start()
		after(10 * time.Minute)
		again.stop()
		const m = time.Minute
		for job, want := range map[string][]time.Duration{
			"pass failed": {0, 10 * m, 20 * m}, "pass alarmed": {0, 10 * m, 20 * m}, "pass incomplete": {0}, "pass well": {0}, "verify": {0},
		} {
			same(t, job+" began at", log.starts(job, began), want...)
		}
	})
}
