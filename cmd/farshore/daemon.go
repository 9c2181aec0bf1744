package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"farshore/agent/config"
	"farshore/agent/sidefile"
)

// daemonOptions are what daemon was asked for.
type daemonOptions struct {
	logFormat string
}

func daemonCommand(e *env) *cobra.Command {
	var o daemonOptions
	cmd := &cobra.Command{
		Use:   "daemon",
		Short: "Replicate, probe and verify on schedules, until it is stopped",
		Long: `Replicate every source on its schedule, prove anew what the agent's credential may do, and verify, until SIGTERM or SIGINT. The
schedules are the configuration's (` + "`schedule`, `probe.schedule`, `verify.schedule`" + `). What was due while no daemon ran is done
at the start. Up to ` + "`parallel`" + ` passes run at a time, never two over one source, and one that fails holds up no other: it is tried again on its schedule,
where that is longer than an hour after 5, 15 and 60 minutes, and at once at the next start or reload. It extends no lock and deletes nothing.

SIGTERM ends it in less than 30 seconds: passes under way commit what is whole, and go on at the next start. SIGHUP, or ` + "`farshore\nreload`" + `, takes a changed configuration, or keeps the old one and says what is wrong with the new.

` + "`farshore status`" + ` says how it stands, ` + "`farshore trigger SOURCE`" + ` makes a pass now. The page at ` + "`web.listen`" + ` (http://127.0.0.1:9277/) shows how it
stands to people, and /metrics to Prometheus. The log has a line for the beginning of each run and one for its end, with its numbers. It runs in the foreground and logs to stderr: ` + "`farshore install`" + ` makes it a service of systemd.

Exit codes: 0 it was stopped, 1 failed, 2 usage or configuration.`,
		Example: "  farshore daemon\n  farshore daemon --config /etc/farshore/farshore.yaml --log json",
		Args:    arguments(0, 0, ""),
	}
	cmd.Flags().StringVar(&o.logFormat, "log", formatText, "`FORM` of the log on stderr: text or json")
	return e.does(cmd, func(ctx context.Context, _ []string) (result, error) {
		if o.logFormat != formatText && o.logFormat != formatJSON {
			return nil, usagef("--log %s is not known", o.logFormat).with("it is text or json")
		}
		return runDaemon(ctx, e, o)
	})
}

// daemonResult is the result of daemon.
type daemonResult struct {
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended"`
	// Unfinished says which runs had not come to their end; what they committed is kept.
	Unfinished string `json:"unfinished,omitempty"`
}

func (r daemonResult) text(p *printer) {
	if r.Unfinished != "" {
		p.line("%s", r.Unfinished)
	}
}

// runDaemon is the daemon from its start to its end.
func runDaemon(ctx context.Context, e *env, o daemonOptions) (result, error) {
	hangups, stop := catchHangups()
	defer stop()
	path, err := config.Find(e.flags.config, e.getenv)
	if err != nil {
		return nil, err
	}
	// It is read again from where it was found first, whatever the working directory is by then, and what lies beside it is found there.
	if e.flags.config, err = filepath.Abs(path); err != nil {
		return nil, err
	}
	c, err := e.loadConfig()
	if err != nil {
		return nil, err
	}
	e.flags.quiet = true // the log says what a signal does
	log := newLogger(e.stderr, o.logFormat, e.getenv("JOURNAL_STREAM") != "", e.flags.verbose)
	s, err := newService(e, c, log)
	if err != nil {
		return nil, err
	}
	s.hangup = hangups
	r := daemonResult{Started: e.now()}
	unfinished, err := s.run(ctx)
	r.Ended = e.now()
	if unfinished != nil {
		r.Unfinished = unfinished.Error()
	}
	return r, err
}

// stateDirectory makes the directory of local state, for the daemon's own files.
func stateDirectory(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return &failure{exit: exitFailed, code: codeFailed, err: fmt.Errorf("local state: %w", err), hint: "`state:` in the configuration names a directory that the daemon's user may write to"}
	}
	return sidefile.CheckOwner(dir)
}
