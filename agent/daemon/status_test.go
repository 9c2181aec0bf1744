package daemon

import (
	"context"
	"encoding/json"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"farshore/agent/daemon/history"
)

// measured is a run that goes on until the daemon ends, and is as far as f says after that time.
func measured(f func(time.Duration) Measured) func(context.Context, *Follow) history.Run {
	return func(ctx context.Context, follow *Follow) history.Run {
		began := time.Now()
		follow.By(func() Measured { return f(time.Since(began)) })
		<-ctx.Done()
		return history.Run{Exit: 130}
	}
}

func TestProgress(t *testing.T) {
	steady := func(d time.Duration) Measured {
		n := int64(d / time.Second)
		return Measured{Listed: 1000, Items: n, TotalItems: 1000, Bytes: 100 * n, TotalBytes: 200_000}
	}
	for name, c := range map[string]struct {
		f            func(time.Duration) Measured
		after        time.Duration
		items, bytes float64
		left         float64 // -1: not known
		still        time.Duration
		backlog      Backlog
	}{
		"steady":             {steady, 100 * time.Second, 1, 100, 1900, 0, Backlog{900, 190_000}},
		"too early":          {steady, 5 * time.Second, 1, 100, -1, 0, Backlog{995, 199_500}},
		"nothing yet":        {steady, 0, 0, 0, -1, 0, Backlog{1000, 200_000}},
		"no totals":          {func(d time.Duration) Measured { return Measured{Items: int64(d / time.Second)} }, time.Minute, 1, 0, -1, 0, Backlog{7, 70}},
		"one total":          {func(d time.Duration) Measured { return Measured{Items: int64(d / time.Second), TotalItems: 100} }, time.Minute, 1, 0, 40, 0, Backlog{40, 0}},
		"beyond its totals":  {func(d time.Duration) Measured { return Measured{Items: int64(d / time.Second), TotalItems: 10} }, time.Minute, 1, 0, -1, 0, Backlog{}},
		"it stands":          {func(d time.Duration) Measured { return steady(min(d, 100*time.Second)) }, 1000 * time.Second, 0, 0, -1, 900 * time.Second, Backlog{900, 190_000}},
		"it goes backwards":  {func(d time.Duration) Measured { return steady(200*time.Second - d) }, 100 * time.Second, 0, 0, -1, 0, Backlog{900, 190_000}},
		"it goes by minutes": {func(d time.Duration) Measured { return steady(d.Truncate(time.Minute)) }, 10*time.Minute + 30*time.Second, 1, 100, -2, 30 * time.Second, Backlog{400, 140_000}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				job := pass(t, "a", "1h", measured(c.f))
				last := history.Run{Job: "pass a", Kind: history.KindPass, Source: "a", Started: time.Now().Add(-2 * time.Hour), Ended: time.Now().Add(-time.Hour), Pass: &history.Pass{LeftItems: 7, LeftBytes: 70}}
				r := newRig(t, plan(job), &tape{runs: []history.Run{last}}, options()).start()
				after(c.after)
				r.set(-30 * time.Minute) // no clock has to do with it
				s := r.Status()
				got := s.Sources[0].Running
				if near(got.ItemsPerSecond, c.items) || near(got.BytesPerSecond, c.bytes) {
					t.Errorf("%v items and %v bytes a second", got.ItemsPerSecond, got.BytesPerSecond)
				}
				if (got.LeftSeconds == nil) != (c.left == -1) || c.left >= 0 && *got.LeftSeconds != c.left {
					t.Errorf("%v left", got.LeftSeconds)
				}
				if still := s.Now.Sub(got.Moved); still.Round(2*time.Second) != c.still {
					t.Errorf("it has not moved for %s", still)
				}
				if s.Sources[0].Backlog != c.backlog {
					t.Errorf("%+v is left", s.Sources[0].Backlog)
				}
				if n := len(r.running[0].samples); n > maxSamples {
					t.Errorf("%d samples", n)
				}
				r.stop()
			})
		})
	}
}

// near reports whether a is farther from b than a tenth.
func near(a, b float64) bool { return a < b*0.9-0.01 || a > b*1.1+0.01 }

// TestHungMeasure holds that a measure that hangs, or panics, holds up nothing and is not called again and again.
func TestHungMeasure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var hung, panicked atomic.Int64
		release := make(chan struct{})
		hangs := measured(func(time.Duration) Measured { hung.Add(1); <-release; return Measured{} })
		panics := measured(func(time.Duration) Measured { panicked.Add(1); panic("measure") })
		steady := measured(func(d time.Duration) Measured { return Measured{Items: int64(d / time.Second)} })
		r := newRig(t, plan(pass(t, "hangs", "1h", hangs), pass(t, "panics", "1h", panics), pass(t, "steady", "1h", steady)), &tape{}, options()).start()
		for range 50 {
			after(time.Second)
			began := time.Now()
			r.Status()
			if took := time.Since(began); took > measureWait {
				t.Fatalf("Status took %s", took)
			}
		}
		if items := r.Status().Sources[2].Running.Items; items < 49 {
			t.Errorf("%d items", items)
		}
		if hung.Load() != 1 || panicked.Load() != 1 {
			t.Errorf("called %d and %d times", hung.Load(), panicked.Load())
		}
		began := time.Now()
		if err := r.stop(); err != nil || time.Since(began) > sampleEvery {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		close(release)
	})
}

func TestStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		p := plan(pass(t, "a", "1h", takes(time.Minute)), pass(t, "b", "off", exits(3)), Job{Name: "probe", Kind: history.KindProbe, Schedule: scheduled(t, "30 12 * * *"), Jitter: time.Minute, Run: exits(4)})
		p.Loaded = began
		p.Jobs[0].MaxAge = 2 * time.Hour
		o := options()
		o.Version = "1.2.3"
		bad := history.Run{Job: "pass b", Kind: history.KindPass, Source: "b", Started: began.Add(-time.Hour), Ended: began.Add(-time.Hour), Pass: &history.Pass{Complete: true, Seq: 9, Suspicious: []string{"all items changed"}, LeftItems: 4, LeftBytes: 5}}
		r := newRig(t, p, &tape{runs: []history.Run{bad}}, o).start()
		after(10 * time.Minute)
		s := r.Status()
		if s.Version != "1.2.3" || s.PID == 0 || !s.Started.Equal(began) || s.Now.Sub(began) != 10*time.Minute || s.Zone != "UTC" || s.Vault != "file:///vault" || s.Parallel != 4 || s.Stopping || s.Verify != nil {
			t.Errorf("%+v", s)
		}
		a, b := s.Sources[0], s.Sources[1]
		if a.Name != "a" || a.Job != "pass a" || a.Schedule != "1h" || a.Good == nil || a.Good.Seq != 1 || !a.Good.Time.Equal(began) || a.AgeSeconds != 600 || a.MaxAgeSeconds != 7200 || a.Late || a.Failures != 0 || a.Running != nil || a.Last == nil || a.Last.Ended.Sub(began) != time.Minute {
			t.Errorf("%+v", a)
		}
		times(t, "a", began, a.Next, time.Hour, 2*time.Hour, 3*time.Hour)
		if b.Good != nil || b.Late || len(b.Next) != 0 || len(b.Suspicious) != 1 || b.Backlog != (Backlog{4, 5}) || b.Schedule != "off" {
			t.Errorf("%+v", b)
		}
		if s.Probe.Job != "probe" || s.Probe.Jitter != 60 || s.Probe.Failures != 1 || s.Probe.Last.Exit != 4 || s.Probe.Retry {
			t.Errorf("%+v", s.Probe)
		}
		times(t, "probe", began, s.Probe.Next, 12*time.Hour+30*time.Minute, 36*time.Hour+30*time.Minute, 60*time.Hour+30*time.Minute)
		data, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{`"name":"a","job":"pass a"`, `"next":[]`, `"backlog":{"items":4,"bytes":5}`, `"late":false`} {
			if !strings.Contains(string(data), want) {
				t.Errorf("%s is not in %s", want, data)
			}
		}
		if strings.Contains(string(data), "0001-01-01") {
			t.Errorf("a time that is none is told: %s", data)
		}
		r.stop()
	})
}

func times(t *testing.T, what string, since time.Time, got []time.Time, want ...time.Duration) {
	t.Helper()
	var all []time.Duration
	for _, at := range got {
		all = append(all, at.Sub(since))
	}
	same(t, what, all, want...)
}

// TestNextOfLongRun says when a job is due that runs for longer than its interval: now.
func TestNextOfLongRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		r := newRig(t, plan(pass(t, "a", "1h", takes(10*time.Hour))), &tape{}, options()).start()
		after(150 * time.Minute)
		times(t, "next", began, r.Status().Sources[0].Next, 150*time.Minute, 210*time.Minute, 270*time.Minute)
		r.stop()
	})
}

func TestSeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		job := pass(t, "a", "1h", takes(time.Minute))
		job.MaxAge = 90 * time.Minute
		r := newRig(t, plan(job), &tape{}, options())
		r.Seed("z", Snapshot{Seq: 1})
		r.Seed("a", Snapshot{Seq: 4, Time: began.Add(-2 * time.Hour)})
		if s := r.Status().Sources[0]; s.Good == nil || s.Good.Seq != 4 || !s.Late || s.AgeSeconds != 7200 {
			t.Errorf("%+v", s)
		}
		r.Seed("a", Snapshot{Seq: 5, Time: began.Add(-time.Hour)})
		r.Seed("a", Snapshot{Seq: 4, Time: began.Add(-2 * time.Hour)})
		if s := r.Status().Sources[0]; s.Good.Seq != 5 || s.Late {
			t.Errorf("%+v", s)
		}
		r.start()
		after(2 * time.Minute)
		r.Seed("a", Snapshot{Seq: 6, Time: began.Add(-time.Minute)})
		if s := r.Status().Sources[0]; s.Good.Seq != 1 {
			t.Errorf("%+v", s.Good)
		}
		r.Reload(plan())
		if len(r.seeds) != 0 {
			t.Errorf("%+v is kept", r.seeds)
		}
		r.stop()
	})
}

func TestOverdue(t *testing.T) {
	type notice struct {
		at   time.Duration
		good bool
		late bool
	}
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var told []notice
		held := make(chan struct{}, 1)
		var ok atomic.Bool
		job := pass(t, "a", "1h", func(context.Context, *Follow) history.Run {
			if ok.Load() {
				return good(1)
			}
			return history.Run{Exit: 1}
		})
		job.MaxAge = 90 * time.Minute
		p := plan(job, pass(t, "b", "1h", exits(1)))
		p.Overdue = func(_ context.Context, source string, good time.Time, maxAge time.Duration, late bool) {
			if source != "a" || maxAge != job.MaxAge {
				t.Errorf("told of %s, %s", source, maxAge)
			}
			told = append(told, notice{time.Since(began).Truncate(time.Minute), !good.IsZero(), late})
			held <- struct{}{}
			defer func() { <-held }()
			if len(told) == 2 {
				panic("overdue")
			}
		}
		r := newRig(t, p, &tape{}, options()).start()
		if r.Status().Sources[0].Late {
			t.Error("it is late at once")
		}
		after(8 * time.Hour)
		if s := r.Status().Sources[0]; !s.Late || s.Good != nil {
			t.Errorf("%+v", s)
		}
		ok.Store(true)
		after(2 * time.Hour)
		ok.Store(false)
		held <- struct{}{}
		after(20 * time.Hour)
		same(t, "told", told, notice{90 * time.Minute, false, true}, notice{450 * time.Minute, false, true}, notice{9 * time.Hour, true, false}, notice{690 * time.Minute, true, true})
		<-held
		after(time.Minute)
		if n := len(told); n != 5 { // six hours after the one that took so long
			t.Errorf("told %d times", n)
		}
		p2 := *p
		p2.Jobs = []Job{pass(t, "a", "1h", exits(1))} // nobody says any more how old it may be
		r.Reload(&p2)
		after(20 * time.Hour)
		if n := len(told); n != 5 {
			t.Errorf("told %d times", n)
		}
		r.stop()
	})
}

// TestOverdueHangs holds that a notice that takes for ever ends with the daemon's grace, and is named.
func TestOverdueHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		job := pass(t, "a", "1h", exits(1))
		job.MaxAge = time.Minute
		p := plan(job)
		over := make(chan struct{})
		p.Overdue = func(context.Context, string, time.Time, time.Duration, bool) { <-over }
		r := newRig(t, p, &tape{}, options()).start()
		after(time.Hour)
		began := time.Now()
		if err := r.stop(); err == nil || !strings.Contains(err.Error(), "the notice on a") || time.Since(began) != defaultGrace {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		close(over)
	})
}
