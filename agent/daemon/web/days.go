package web

import (
	"sort"
	"time"

	"farshore/agent/daemon"
	"farshore/agent/daemon/history"
)

// chartDays is how many days the charts of passes show, today included.
const chartDays = 30

// calendar are the days of the charts in the zone of the schedules: a day of 23 or 25 hours is one.
type calendar struct {
	begin [chartDays + 1]time.Time // of each day, and the end of the last
}

func newCalendar(c clock) *calendar {
	var k calendar
	y, m, d := c.now.Date()
	for i := range k.begin {
		k.begin[i] = time.Date(y, m, d-chartDays+1+i, 0, 0, 0, 0, c.zone)
	}
	return &k
}

// of is the day of a time, negative where it is none of them.
func (k *calendar) of(t time.Time) int {
	n := sort.Search(len(k.begin), func(i int) bool { return k.begin[i].After(t) }) - 1
	if n >= chartDays {
		return -1
	}
	return n
}

// day is what the passes of a day came to.
type day struct {
	runs, fine   int
	worst        outcome
	longest      time.Duration
	stored, read int64
}

func (d *day) add(r *history.Run) {
	o := outcomeOf(r)
	d.runs++
	if o == complete {
		d.fine++
	}
	d.worst = max(d.worst, o)
	d.longest = max(d.longest, took(r))
	if p := r.Pass; p != nil {
		d.stored, d.read = sum(d.stored, p.StoredBytes), sum(d.read, p.ReadBytes)
	}
}

// merge adds what another source's passes of the day came to.
func (d *day) merge(o *day) {
	d.runs, d.fine = d.runs+o.runs, d.fine+o.fine
	d.worst = max(d.worst, o.worst)
	d.longest = max(d.longest, o.longest)
	d.stored, d.read = sum(d.stored, o.stored), sum(d.read, o.read)
}

// sum adds numbers without overflow; negative ones count as none.
func sum(a, b int64) int64 {
	a, b = max(a, 0), max(b, 0)
	if a > 1<<62-b {
		return 1 << 62
	}
	return a + b
}

// past is the history as the charts need it.
type past struct {
	days   *calendar
	passes map[string]*[chartDays]day
	audits []history.Run // newest first, those that ended
	// since is when the oldest run that is known began.
	since time.Time
}

// maxRuns bounds what is looked at of the history, maxAudits what is drawn of it.
const (
	maxRuns   = 20_000
	maxAudits = 60
	auditsAge = 366 * 24 * time.Hour
)

// pastOf sorts runs, newest first, into days and sources: those that Status names.
func pastOf(runs []history.Run, st *daemon.Status, c clock) *past {
	p := &past{days: newCalendar(c), passes: make(map[string]*[chartDays]day, len(st.Sources))}
	jobs := make(map[string]*daemon.JobStatus, len(st.Sources))
	for i := range st.Sources {
		p.passes[st.Sources[i].Name] = new([chartDays]day)
		jobs[st.Sources[i].Name] = &st.Sources[i].JobStatus
	}
	for i := range runs {
		r := &runs[i]
		p.since = r.Started
		switch days := p.passes[r.Source]; {
		case r.Kind == history.KindAudit && r.Audit != nil && !r.Ended.IsZero() && len(p.audits) < maxAudits:
			p.audits = append(p.audits, *r)
		case r.Kind == history.KindPass && days != nil && !current(r, jobs[r.Source]):
			if n := p.days.of(r.Started); n >= 0 {
				days[n].add(r)
			}
		}
	}
	return p
}

// all are the days of all sources together.
func (p *past) all() *[chartDays]day {
	var out [chartDays]day
	for _, days := range p.passes {
		for i := range days {
			out[i].merge(&days[i])
		}
	}
	return &out
}
