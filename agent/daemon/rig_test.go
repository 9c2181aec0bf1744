package daemon

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"farshore/agent/daemon/history"
	"farshore/agent/daemon/schedule"
)

// rig is a daemon with a clock that can be set, in a bubble of synctest.
type rig struct {
	*Daemon
	t      testing.TB
	offset atomic.Int64 // of the wall clock
	log    *tape
	end    context.CancelCauseFunc
	over   chan error
}

// options of a rig: no jitter, unless a test wants some.
func options() Options {
	return Options{Jitter: func() float64 { return 0 }, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
}

func newRig(t testing.TB, p *Plan, log *tape, o Options) *rig {
	r := &rig{t: t, log: log}
	r.Daemon = newDaemon(p, o, log, r.clock)
	return r
}

func (r *rig) clock() time.Time { return time.Now().Round(0).Add(time.Duration(r.offset.Load())) }

// set sets the wall clock by that much.
func (r *rig) set(by time.Duration) { r.offset.Add(int64(by)) }

// start begins Run; stop ends it and returns what it returned.
func (r *rig) start() *rig {
	ctx, end := context.WithCancelCause(context.Background())
	r.end, r.over = end, make(chan error, 1)
	go func() { r.over <- r.Run(ctx) }()
	synctest.Wait()
	return r
}

func (r *rig) stop() error {
	r.end(context.Canceled)
	return <-r.over
}

// after lets that much time go by.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// tape is a log in memory, of what it is told.
type tape struct {
	mu   sync.Mutex
	runs []history.Run
	err  error
}

func (l *tape) Begin(r history.Run) error { return l.put(r) }
func (l *tape) End(r history.Run) error   { return l.put(r) }

func (l *tape) put(r history.Run) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := len(l.runs) - 1; i >= 0; i-- {
		if old := &l.runs[i]; old.Job == r.Job && old.Ended.IsZero() && old.Started.Equal(r.Started) {
			*old = r
			return l.err
		}
	}
	l.runs = append(l.runs, r)
	return l.err
}

func (l *tape) newest(want func(history.Run) bool) *history.Run {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range slices.Backward(l.runs) {
		if want(r) {
			return &r
		}
	}
	return nil
}

func (l *tape) Last(job string) *history.Run {
	return l.newest(func(r history.Run) bool { return r.Job == job })
}

func (l *tape) LastEnded(job string) *history.Run {
	return l.newest(func(r history.Run) bool { return r.Job == job && !r.Ended.IsZero() })
}

func (l *tape) LastGood(source string) *history.Run {
	return l.newest(func(r history.Run) bool { return r.Source == source && r.Good() })
}

func (l *tape) Runs(since time.Time, most int) []history.Run {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := slices.Clone(l.runs)
	slices.Reverse(out)
	return out[:min(len(out), most)]
}

// of are the runs of a job, the oldest first.
func (l *tape) of(job string) []history.Run {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(l.runs), func(r history.Run) bool { return r.Job != job })
}

// starts are when the runs of a job began, since that time.
func (l *tape) starts(job string, since time.Time) []time.Duration {
	var all []time.Duration
	for _, r := range l.of(job) {
		all = append(all, r.Started.Sub(since))
	}
	return all
}

// order are the jobs in the order in which they began.
func (l *tape) order() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []string
	for _, r := range l.runs {
		all = append(all, r.Job)
	}
	return all
}

func scheduled(t testing.TB, text string) schedule.Schedule {
	t.Helper()
	s, err := schedule.Parse(text, time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// pass is a job that makes a pass.
func pass(t testing.TB, source, when string, run func(context.Context, *Follow) history.Run) Job {
	return Job{Name: "pass " + source, Kind: history.KindPass, Source: source, Schedule: scheduled(t, when), Run: run}
}

func plan(jobs ...Job) *Plan {
	return &Plan{Path: "/etc/farshore/farshore.yaml", Vault: "file:///vault", Zone: time.UTC, Parallel: 4, Jobs: jobs}
}

// takes is a run that is done after that time, or is cut short.
func takes(d time.Duration) func(context.Context, *Follow) history.Run {
	return func(ctx context.Context, _ *Follow) history.Run {
		select {
		case <-time.After(d):
			return good(1)
		case <-ctx.Done():
			return history.Run{Exit: 130, Code: "interrupted", Pass: &history.Pass{LeftItems: 3, LeftBytes: 30}}
		}
	}
}

// good is what a run leaves that made a good snapshot.
func good(seq int64) history.Run {
	return history.Run{Pass: &history.Pass{Complete: true, Chain: "c", Seq: seq, Hash: "h"}}
}

// exits is a run that ends at once with that code.
func exits(code int) func(context.Context, *Follow) history.Run {
	return func(context.Context, *Follow) history.Run { return history.Run{Exit: code} }
}

func same[T comparable](t testing.TB, what string, got []T, want ...T) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %v, and not %v", what, got, want)
	}
}

func textLog(to io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(&oneAtATime{to: to}, nil))
}

type oneAtATime struct {
	mu sync.Mutex
	to io.Writer
}

func (w *oneAtATime) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(p)
}
