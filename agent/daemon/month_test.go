package daemon

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"farshore/agent/daemon/history"
)

const (
	sources  = 20
	slots    = 3
	simGrace = 20 * time.Second
	// longest is the longest run of a month; longestWait is how long a job may wait for its turn, behind all others.
	longest     = 15 * time.Minute
	longestWait = (sources/slots + 2) * longest
)

// month is a simulated month, and what is to hold in it. mu guards all but the constants.
type month struct {
	t     *testing.T
	began time.Time
	mu    sync.Mutex
	dice  *rand.Rand
	jobs  map[string]*subject
	// passes are under way.
	passes int
	over   time.Time // when the daemon was told to end; zero: it was not
	ended  *sync.WaitGroup
}

// subject is a job under observation. Its times are elapsed ones: no clock has to do with them.
type subject struct {
	when    string
	period  time.Duration
	started []time.Duration
	running bool
	// shaken is how often anything but its schedule may have moved its next run, since it began last; all of it together is shakes.
	shaken, shakes int
	// loose says that the plan has it not, or with another schedule; freed that it was so since it began last.
	loose, freed bool
	failures     int
}

// TestMonth lets a daemon run for a month, with runs that fail, hang and panic, plans that come and go, a clock that is set and ends in between.
func TestMonth(t *testing.T) {
	for seed := range uint64(2) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { synctest.Test(t, func(t *testing.T) { newMonth(t, seed).live() }) })
	}
}

func newMonth(t *testing.T, seed uint64) *month {
	m := &month{t: t, began: time.Now(), dice: rand.New(rand.NewPCG(seed, 7)), jobs: map[string]*subject{}, ended: &sync.WaitGroup{}}
	schedules := []string{"2h", "6h", "1d", "17 */4 * * *", "30 2 * * *", "90m", "45m"}
	for i := range sources {
		when := schedules[i%len(schedules)]
		m.jobs[fmt.Sprintf("pass s%d", i)] = &subject{when: when, period: scheduled(t, when).Period(m.began)}
	}
	return m
}

func (m *month) live() {
	log, o := &tape{}, options()
	o.Grace, o.Jitter = simGrace, m.share
	r := newRig(m.t, m.plan(), log, o).start()
	var clock time.Duration
	for time.Since(m.began) < 30*24*time.Hour {
		after(time.Duration(m.roll(int(3 * time.Hour))))
		switch m.roll(12) {
		case 0, 1:
			r.Reload(m.plan())
		case 2:
			step := []time.Duration{time.Second, time.Minute, time.Hour, 30 * time.Hour, 9000 * time.Hour}[m.roll(5)] * time.Duration(2*m.roll(2)-1)
			m.shake("")
			r.set(step)
			clock += step
		case 3, 4:
			job := fmt.Sprintf("pass s%d", m.roll(sources))
			if _, err := r.Trigger(job); err == nil {
				m.shake(job)
			}
		case 5:
			m.stop(r)
			after(time.Duration(m.roll(int(time.Minute))))
			m.ended.Wait() // what was left behind
			m.shake("")
			r = newRig(m.t, m.plan(), log, o)
			r.set(clock)
			m.over = time.Time{}
			r.start()
		default:
			r.Status()
		}
	}
	m.stop(r)
	m.ended.Wait()
	m.judge()
}

// stop ends a daemon, and holds it to its grace.
func (m *month) stop(r *rig) {
	m.mu.Lock()
	m.over = time.Now()
	m.mu.Unlock()
	r.stop()
	if took := time.Since(m.over); took > simGrace {
		m.t.Errorf("it took %s to end", took)
	}
}

func (m *month) share() float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.dice.Float64()
}

func (m *month) roll(n int) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.dice.IntN(n)
}

// shake notes that something may move the next run of a job, or of all.
func (m *month) shake(job string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, s := range m.jobs {
		if job == "" || job == name {
			s.shaken++
			s.shakes++
		}
	}
}

// plan has all jobs in any order, but one of them may be away and another may have a schedule of its own.
func (m *month) plan() *Plan {
	p := plan()
	p.Parallel = slots
	away, strange := m.roll(2*sources), m.roll(2*sources)
	m.mu.Lock()
	order := m.dice.Perm(sources)
	m.mu.Unlock()
	for _, i := range order {
		name := fmt.Sprintf("s%d", i)
		job := pass(m.t, name, m.jobs["pass "+name].when, m.run("pass "+name))
		job.Jitter = time.Duration(m.roll(5)) * time.Minute
		m.mu.Lock()
		s := m.jobs["pass "+name]
		if i == strange {
			job.Schedule = scheduled(m.t, "10h")
		}
		s.loose = i == strange || i == away
		s.freed = s.freed || s.loose
		s.shakes++
		m.mu.Unlock()
		if i != away {
			p.Jobs = append(p.Jobs, job)
		}
	}
	return p
}

func (m *month) run(name string) func(context.Context, *Follow) history.Run {
	return func(ctx context.Context, follow *Follow) history.Run {
		m.ended.Add(1)
		defer m.ended.Done()
		m.enter(name)
		defer m.leave(name)
		follow.By(func() Measured { return Measured{} })
		lasts := time.Duration(m.roll(int(20 * time.Second)))
		switch m.roll(30) {
		case 0: // it does not listen
			time.Sleep(lasts * 30)
			return good(1)
		case 1:
			lasts *= 45
		case 2:
			m.fails(name)
			panic("a month")
		case 3, 4, 5:
			m.fails(name)
			return history.Run{Exit: 1}
		}
		return takes(lasts)(ctx, follow)
	}
}

func (m *month) fails(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.jobs[name].failures++
}

// enter holds what is to hold when a run begins.
func (m *month) enter(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, now := m.jobs[name], time.Since(m.began)
	if s.running {
		m.t.Errorf("two runs of %s", name)
	}
	if m.passes++; m.passes > slots {
		m.t.Errorf("%d passes at a time", m.passes)
	}
	if !m.over.IsZero() && time.Now().After(m.over) {
		m.t.Errorf("%s began after the end", name)
	}
	if n := len(s.started); n > 0 {
		if gap, most := now-s.started[n-1], time.Duration(s.shaken+1)*s.period+5*time.Minute+longestWait; gap > most && !s.freed {
			m.t.Errorf("%s, %s: nothing for %s", name, s.when, gap)
		}
	}
	s.running, s.shaken, s.freed, s.started = true, 0, s.loose, append(s.started, now)
}

func (m *month) leave(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.jobs[name].running = false
	m.passes--
}

// judge holds that nothing ran more often than it may.
func (m *month) judge() {
	for name, s := range m.jobs {
		most := int(time.Since(m.began)/s.period) + 1 + s.shakes
		if s.period > retryPeriod {
			most += s.failures
		}
		if n := len(s.started); n > most || n < 20 {
			m.t.Errorf("%s, %s: %d runs, and not more than %d", name, s.when, n, most)
		}
	}
}
