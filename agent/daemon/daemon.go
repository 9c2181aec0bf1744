// Package daemon does what a configuration says again and again: a pass over each source on its schedule, probes, audits. It decides what is due, keeps two runs of one job apart and
// lets none hold up another, and knows at any time what it does. What a run does is the caller's: nothing here sees a store, a source or a vault.
package daemon

import (
	"cmp"
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"farshore/agent/daemon/history"
	"farshore/agent/daemon/schedule"
)

// Plan is what a daemon does: what it takes from one configuration. It is not changed once it is given away.
type Plan struct {
	// Path is the configuration's, Loaded when it was read, Vault the vault's address.
	Path   string
	Loaded time.Time
	Vault  string
	// Zone is the time zone of schedules.
	Zone *time.Location
	// Parallel is how many passes are made at a time. Probes and audits do not count: there is one of each at a time.
	Parallel int
	// Jobs are in the order of the configuration. Their names differ.
	Jobs []Job
	// Overdue, when not nil, is told of a source whose newest good snapshot is older than its MaxAge, once when that begins and each six hours while it lasts, and with late false once
	// when it is well again. It may take as long as it likes (it runs by itself, one call at a time for each source).
	Overdue func(ctx context.Context, source string, good time.Time, maxAge time.Duration, late bool)
}

// Job is something that is done again and again.
type Job struct {
	// Name is "pass NAME", "probe" or "verify"; Kind one of history's kinds. Source is a pass's.
	Name   string
	Kind   string
	Source string
	// Schedule and Jitter say when. Jitter is the most that a run is put off by, at random.
	Schedule schedule.Schedule
	Jitter   time.Duration
	// MaxAge is how old the newest good snapshot of a source may be; 0: nobody said.
	MaxAge time.Duration
	// Run does it. When ctx ends it comes to an end soon, with what is whole. It fills in what came of it beside Job, Kind, Source, Cause, Started and Ended.
	Run func(ctx context.Context, f *Follow) history.Run
}

// Follow is where a run says how to see how far it is.
type Follow struct {
	measure atomic.Pointer[func() Measured]
}

// By says how. f may be called at any time from then on by other goroutines, and at the same time.
func (f *Follow) By(measure func() Measured) { f.measure.Store(&measure) }

// Measured is how far a run is. Totals are as far as they are known; 0: not yet.
type Measured struct {
	Listed     int64 `json:"listed"`
	Items      int64 `json:"items"`
	TotalItems int64 `json:"total_items"`
	Bytes      int64 `json:"bytes"`
	TotalBytes int64 `json:"total_bytes"`
}

// Options of a Daemon.
type Options struct {
	// Log keeps what runs came to; nil: nothing is remembered. The caller closes it, after Run.
	Log *history.Log
	// Logger says what happens; nil: nobody is told.
	Logger *slog.Logger
	// Version is the program's.
	Version string
	// Jitter returns a share of the jitter, from 0 to less than 1; nil: at random.
	Jitter func() float64
	// Ended, when not nil, is told of each run that ended, by the goroutine of the run, once it is in the Log. It returns soon.
	Ended func(history.Run)
	// Grace is how long Run waits, once its context ended, for runs to end; default 25 s.
	Grace time.Duration
	// Tick is how often the clock is looked at while nothing else happens (a machine that slept, a clock that was set); default 15 s.
	Tick time.Duration
}

// Daemon does what its plan says, from Run until the end of Run's context. Its methods may be called concurrently, before Run and after it, too.
//
// One goroutine, the loop of Run, decides what begins; the others note what they want, and wake it. It goes by the wall clock, which may jump: what is due is found out by comparing times,
// never by waiting for one.
type Daemon struct {
	o   Options
	log runLog
	// now is the wall clock, without a monotonic reading.
	now  func() time.Time
	wake chan struct{}
	beat atomic.Pointer[time.Time]
	// reloading is held by Reload, and taken before mu.
	reloading sync.Mutex

	// mu guards what follows. Nobody waits for a disk, a run or a callback while it is held.
	mu        sync.Mutex
	plan      *Plan
	problem   string
	problemAt time.Time
	started   time.Time
	// seen is what the clock showed when the loop came round last: an earlier time means that it was set back.
	seen time.Time
	// state says how far Run is.
	state state
	// jobs are those of the plan, and those that are gone and still run.
	jobs map[string]*job
	// order are those of the plan, in its order.
	order []*job
	// queue are the jobs that are due and wait for the loop or for a slot: those that were triggered, then the others, each in the order in which they came.
	queue []*job
	// running are the runs under way, in the order in which they began.
	running []*run
	seeds   map[string]*Snapshot
	// aside counts the goroutines beside those of runs, by what they do.
	aside map[string]int
	// news is closed, and made anew, whenever a run ended or a plan was taken; over is closed when Run returns.
	news chan struct{}
	over chan struct{}
}

// state is how far Run is.
type state int

const (
	unborn state = iota // Run has not begun
	working
	stopping
	stopped
)

// runLog is what is needed of a history.Log.
type runLog interface {
	Begin(history.Run) error
	End(history.Run) error
	Last(job string) *history.Run
	LastEnded(job string) *history.Run
	LastGood(source string) *history.Run
	Runs(since time.Time, most int) []history.Run
}

const (
	defaultGrace = 25 * time.Second
	defaultTick  = 15 * time.Second
)

// New makes a daemon that does what the plan says once Run is called. What its jobs came to before is taken from the Log.
func New(p *Plan, o Options) *Daemon {
	var log runLog = forgetful{}
	if o.Log != nil {
		log = o.Log
	}
	return newDaemon(p, o, log, func() time.Time { return time.Now().Round(0) })
}

func newDaemon(p *Plan, o Options, log runLog, now func() time.Time) *Daemon {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Jitter == nil {
		o.Jitter = rand.Float64
	}
	o.Grace = cmp.Or(max(o.Grace, 0), defaultGrace)
	o.Tick = cmp.Or(max(o.Tick, 0), defaultTick)
	d := &Daemon{
		o: o, log: log, now: now, wake: make(chan struct{}, 1),
		plan: &Plan{}, started: now(), seen: now(), jobs: map[string]*job{}, seeds: map[string]*Snapshot{}, aside: map[string]int{},
		news: make(chan struct{}), over: make(chan struct{}),
	}
	d.beats()
	d.take(p, history.CauseMissed)
	return d
}

// forgetful is a log that keeps nothing.
type forgetful struct{}

func (forgetful) Begin(history.Run) error           { return nil }
func (forgetful) End(history.Run) error             { return nil }
func (forgetful) Last(string) *history.Run          { return nil }
func (forgetful) LastEnded(string) *history.Run     { return nil }
func (forgetful) LastGood(string) *history.Run      { return nil }
func (forgetful) Runs(time.Time, int) []history.Run { return nil }
