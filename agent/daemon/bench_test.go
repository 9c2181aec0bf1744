package daemon

import (
	"context"
	"fmt"
	"testing"
	"time"

	"farshore/agent/daemon/history"
)

// thousand is a daemon with a thousand sources, each of which ran, and five of which run.
func thousand(b *testing.B) *Daemon {
	p, log := plan(), &tape{}
	now := time.Now()
	for i := range 1000 {
		job := pass(b, fmt.Sprintf("s%d", i), []string{"1h", "17 3 * * *", "*/10 * * * *"}[i%3], nil)
		job.MaxAge = 26 * time.Hour
		p.Jobs = append(p.Jobs, job)
		r := good(int64(i))
		r.Job, r.Kind, r.Source, r.Started, r.Ended = job.Name, job.Kind, job.Source, now, now.Add(time.Second)
		log.runs = append(log.runs, r)
	}
	p.Overdue = func(context.Context, string, time.Time, time.Duration, bool) {}
	d := newDaemon(p, options(), log, func() time.Time { return now })
	for i := range 5 {
		j := d.jobs[p.Jobs[i].Name]
		j.run = &run{Run: history.Run{Job: j.Name, Kind: j.Kind}, job: j}
		j.run.follow.By(func() Measured { return Measured{Items: 1} })
		d.running = append(d.running, j.run)
	}
	return d
}

func BenchmarkStatus(b *testing.B) {
	d := thousand(b)
	b.ReportAllocs()
	for b.Loop() {
		d.Status()
	}
}

func BenchmarkTurn(b *testing.B) {
	d := thousand(b)
	b.ReportAllocs()
	for b.Loop() {
		d.turn(b.Context())
	}
}
