package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"farshore/agent/config"
	"farshore/agent/daemon"
	"farshore/agent/daemon/control"
	"farshore/agent/daemon/history"
	"farshore/agent/daemon/supervisor"
	"farshore/agent/daemon/web"
	"farshore/agent/metrics"
)

// service is the daemon with all that it is made of.
type service struct {
	e          *env
	log        *slog.Logger
	d          *daemon.Daemon
	history    *history.Log
	shelf      *shelf
	board      *metrics.Board
	numbers    *web.StatusCollector
	supervisor *supervisor.Supervisor
	control    *control.Server
	hangup     <-chan os.Signal // SIGHUP, as long as the process lives
	state      string           // of the start: another one takes a restart
	socket     string

	reloading sync.Mutex  // one at a time
	page      *pageServer // under reloading; nil where there is none
	shared    *sharing
	mu        sync.Mutex
	c         *config.Config
	known     *history.Probe   // of the agent's credential
	accepted  map[string]int64 // by source: the suspicious snapshot that its next pass accepts
}

// newService makes everything that can fail before the first pass: the state's lock, the plan, the listeners.
func newService(e *env, c *config.Config, log *slog.Logger) (*service, error) {
	if err := stateDirectory(c.State); err != nil {
		return nil, err
	}
	book, err := history.Open(c.State)
	if errors.Is(err, history.ErrBusy) {
		return nil, &failure{exit: exitFailed, code: "busy", err: err, hint: "`farshore status` says how it stands, `systemctl stop farshore` stops the service"}
	}
	if err != nil {
		return nil, err
	}
	s := &service{e: e, log: log, history: book, c: c, state: c.State, known: waivedBy(c), board: new(metrics.Board), accepted: map[string]int64{}}
	s.shelf = newShelf(s)
	s.shared = s.envOf(c, "state").sharing(c)
	if err := s.begin(c); err != nil {
		return nil, errors.Join(err, book.Close())
	}
	return s, nil
}

// begin makes what the history is there for.
func (s *service) begin(c *config.Config) (err error) {
	if s.supervisor, err = supervisor.FromEnvironment(s.e.getenv, s.log); err != nil {
		return err
	}
	if s.socket, err = c.SocketPath(s.e.getenv); err != nil {
		return err
	}
	if n := s.history.Dropped(); n > 0 {
		s.log.Warn("lines of the history of runs could not be read, and were dropped", "lines", n, "directory", c.State)
	}
	if err := s.board.Load(s.numbersFile()); err != nil {
		s.log.Warn("the numbers of earlier runs are not known any more", "error", err)
	}
	s.numbers = web.NewStatusCollector(func() daemon.Status { return s.d.Status() })
	s.d = daemon.New(s.plan(c), daemon.Options{Log: s.history, Logger: s.log, Version: buildVersion().Version, Ended: s.ended})
	return s.listen(c)
}

// numbersFile is where the numbers for /metrics survive a restart.
func (s *service) numbersFile() string { return filepath.Join(s.state, "metrics.prom") }

// listen opens the socket and the page.
func (s *service) listen(c *config.Config) error {
	if err := os.MkdirAll(filepath.Dir(s.socket), 0o750); err != nil {
		return fmt.Errorf("the daemon's socket: %w", err)
	}
	l, err := control.Listen(s.socket)
	if err != nil {
		return err
	}
	s.control = control.NewServer(l, backend{s}, control.Options{Logger: s.log})
	// Without a page the sources are protected all the same: it is tried again.
	if s.page, err = s.openPage(c); err != nil {
		s.log.Error("the page is not there yet, and is tried again", "error", err)
	}
	return nil
}

// run does the daemon's work until ctx ends. unfinished says which runs had not ended by then.
func (s *service) run(ctx context.Context) (unfinished, err error) {
	s.log.Info("farshore begins", "version", buildVersion().Version, "configuration", s.c.Path, "sources", len(s.c.Sources), "zone", s.c.Zone().String(), "socket", s.socket, "page", s.page.where())
	beside, stopBeside := context.WithCancel(context.WithoutCancel(ctx))
	var g errgroup.Group
	g.Go(s.control.Serve)
	for _, run := range []func(context.Context){s.hangups, s.shelf.run, s.keepPage} {
		g.Go(func() error { run(beside); return nil })
	}
	watched, unwatch := context.WithCancel(context.WithoutCancel(ctx)) // it is alive until its end
	g.Go(func() error { s.supervisor.Watch(watched, s.alive, s.line); return nil })
	defer unwatch()
	said := context.AfterFunc(ctx, func() {
		s.told(s.supervisor.Stopping("stopping: what is whole is committed"))
		stopBeside() // nothing of it is needed any more, and the vault is not read for the page
	})
	s.mistakes(s.c)
	s.unasked(s.c)
	s.told(s.supervisor.Ready(s.line()))
	unfinished = s.d.Run(ctx)
	said()
	stopBeside()
	unwatch()
	err = errors.Join(s.close(), g.Wait())
	if unfinished != nil {
		s.log.Warn("ended before all had come to its end: what was committed is kept, and the next start goes on there", "error", unfinished)
	}
	s.log.Info("farshore ends")
	return unfinished, err
}

// closeWait bounds how long what answers people and programs may take to end.
const closeWait = 2 * time.Second

// close ends what listens, and keeps what is kept.
func (s *service) close() error {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), closeWait)
	defer cancel()
	s.page.close(ctx, s.log)
	if err := s.control.Close(); err != nil {
		s.log.Debug("answers on the socket were cut off", "error", err)
	}
	s.keepNumbers(ctx)
	return s.history.Close()
}

// config is the configuration in force.
func (s *service) config() *config.Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.c
}

// envOf is what a command has of the outside world when the daemon runs it: what it says goes to the log.
func (s *service) envOf(c *config.Config, job string) *env {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := *s.e
	e.flags = commonFlags{config: c.Path, verbose: s.e.flags.verbose}
	e.inForce, e.board, e.shared = c, s.board, s.shared
	e.stderr = &logLines{log: s.log.With("job", job)}
	e.width = func() int { return 0 }
	e.out, e.sight, e.proven = newOutput(&e), nil, nil
	return &e
}

// hangups takes the configuration anew at each SIGHUP.
func (s *service) hangups(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.hangup:
			_ = s.reload(ctx) // it is said in the log and by the status
		}
	}
}

// reload takes a changed configuration, or keeps the old one and says what is wrong with the new. Runs under way go on with what they had.
func (s *service) reload(ctx context.Context) error {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	s.told(s.supervisor.Reloading())
	defer func() { s.told(s.supervisor.Reloaded(s.line())) }()
	fresh, err := s.take()
	if err != nil {
		f := classify(ctx, err)
		f.hint = or(f.hint, "`farshore config check` says all that is wrong with it; the daemon goes on with the one that it had")
		s.d.Refuse(f.Error() + "\n" + f.hint)
		return f
	}
	s.log.Info("a configuration was taken", "configuration", fresh.Path, "sources", len(fresh.Sources), "zone", fresh.Zone().String(), "page", s.page.where())
	s.unasked(fresh)
	s.shelf.again()
	return nil
}

// take reads the configuration and, where all of it can be used, goes by it. The caller holds reloading.
func (s *service) take() (*config.Config, error) {
	fresh, err := s.fresh()
	if err != nil {
		return nil, err
	}
	socket, err := fresh.SocketPath(s.e.getenv)
	if err != nil {
		return nil, err
	}
	if fresh.State != s.state || socket != s.socket {
		return nil, usagef("%s: another state directory or socket takes a restart", fresh.Path).with("`systemctl restart farshore`, or leave them as they were: state %s, socket %s", s.state, s.socket)
	}
	next, err := s.replacePage(fresh)
	if err != nil {
		return nil, err
	}
	s.page = next
	s.mu.Lock()
	if s.c.Require != fresh.Require || s.c.Vault != fresh.Vault {
		s.known = waivedBy(fresh)
	}
	s.c = fresh
	s.mu.Unlock()
	s.shared.take(fresh)
	s.d.Reload(s.plan(fresh))
	return fresh, nil
}

// backend is the daemon as the control socket sees it.
type backend struct{ s *service }

func (b backend) Status() daemon.Status { return b.s.d.Status() }

// Trigger has the next pass accept what a person looked at, before that pass can begin.
func (b backend) Trigger(job string, accept int64) (daemon.Triggered, error) {
	source, isPass := strings.CutPrefix(job, passJob(""))
	if accept > 0 && !isPass {
		return daemon.Triggered{}, &control.Error{Code: control.CodeRequest, Message: job + " accepts no snapshot: a pass over a source does"}
	}
	if accept > 0 {
		b.s.accepts(source, accept)
	}
	t, err := b.s.d.Trigger(job)
	if err != nil && accept > 0 {
		b.s.accepts(source, 0)
	}
	return t, err
}

// accepts notes which suspicious snapshot the next pass over a source accepts; 0 for none.
func (s *service) accepts(source string, seq int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if seq == 0 {
		delete(s.accepted, source)
		return
	}
	s.accepted[source] = seq
}

// takeAccepted is what the pass over a source that begins now accepts; no later one does.
func (s *service) takeAccepted(source string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	seq := s.accepted[source]
	delete(s.accepted, source)
	return seq
}

func (b backend) Await(ctx context.Context, job string, after time.Time) (history.Run, error) {
	return b.s.d.Await(ctx, job, after)
}

// Reload says what is wrong with a configuration that is refused as commands do.
func (b backend) Reload(ctx context.Context) error {
	err := b.s.reload(ctx)
	if err == nil {
		return nil
	}
	f := classify(ctx, err)
	return &control.Error{Code: control.CodeConfig, Message: f.Error(), Hint: f.hint}
}
