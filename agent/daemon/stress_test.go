package daemon

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"farshore/agent/daemon/history"
)

// dice are throws that differ from worker to worker and are the same in each run.
type dice struct {
	mu sync.Mutex
	r  *rand.Rand
}

func (d *dice) throw(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.r.IntN(n)
}

// plan runs, measures and tells in every way that there is, panics among them.
func (d *dice) plan(t *testing.T) *Plan {
	p := plan()
	p.Vault, p.Parallel = []string{"file:///a", "file:///b"}[d.throw(2)], 1+d.throw(3)
	for i := range d.throw(6) {
		when := []string{"1m", "1h", "off", "* * * * *"}[d.throw(4)]
		j := pass(t, fmt.Sprint("s", i), when, d.run)
		j.MaxAge = time.Duration(d.throw(3)) * time.Minute
		p.Jobs = append(p.Jobs, j)
	}
	p.Overdue = func(context.Context, string, time.Time, time.Duration, bool) {
		time.Sleep(time.Duration(d.throw(30)) * time.Second)
		if d.throw(5) == 0 {
			panic("a notice")
		}
	}
	return p
}

func (d *dice) run(_ context.Context, f *Follow) history.Run {
	f.By(func() Measured {
		if d.throw(50) == 0 {
			panic("a measure")
		}
		return Measured{Items: int64(d.throw(10))}
	})
	time.Sleep(time.Duration(d.throw(90)) * time.Second)
	switch d.throw(8) {
	case 0:
		panic("a run")
	case 1:
		runtime.Goexit()
	case 2:
		return history.Run{Exit: 1}
	}
	return good(1)
}

// TestAllAtOnce has everything done at the same time that can be done with a daemon: nothing deadlocks, and no goroutine is left behind (the bubble says so).
func TestAllAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &dice{r: rand.New(rand.NewPCG(1, 2))}
		o := options()
		o.Grace = 10 * time.Minute
		r := newRig(t, d.plan(t), &tape{}, o).start()
		var workers sync.WaitGroup
		for range 6 {
			workers.Go(func() {
				for range 150 {
					time.Sleep(time.Duration(d.throw(20)) * time.Second)
					job := fmt.Sprint("pass s", d.throw(6))
					switch d.throw(6) {
					case 0:
						r.Reload(d.plan(t))
					case 1:
						r.Status()
					case 2, 3:
						if asked, err := r.Trigger(job); err == nil {
							ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
							_, _ = r.Await(ctx, job, asked.At) // whether there is still such a job is the throw's
							cancel()
						}
					case 4:
						r.Seed(job[len("pass "):], Snapshot{Time: r.clock()})
					case 5:
						r.Refuse("no")
					}
				}
			})
		}
		workers.Wait()
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestNoticeAndReload is for the race detector, which sees nothing in a bubble: a notice is told while a reload changes the job that it is about.
func TestNoticeAndReload(t *testing.T) {
	p := func(n int) *Plan {
		j := pass(t, fmt.Sprint("s", n), "off", exits(0))
		j.MaxAge = time.Nanosecond
		p := plan(j)
		p.Overdue = func(context.Context, string, time.Time, time.Duration, bool) { time.Sleep(time.Millisecond) }
		return p
	}
	d := newDaemon(p(0), options(), &tape{}, time.Now)
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() { over <- d.Run(ctx) }()
	for n := range 100 {
		for range 5 {
			d.Reload(p(n))
			time.Sleep(100 * time.Microsecond)
		}
	}
	cancel()
	if err := <-over; err != nil {
		t.Error(err)
	}
}
