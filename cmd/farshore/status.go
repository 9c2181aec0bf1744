package main

import (
	"context"
	"errors"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"farshore/agent/config"
	"farshore/agent/daemon"
	"farshore/agent/daemon/control"
)

func statusCommand(e *env) *cobra.Command {
	var socket string
	var check bool
	cmd := &cobra.Command{
		Use:   "status [SOURCE]",
		Short: "Say how the daemon and its sources stand",
		Long: `Ask the daemon how it stands: of each source the newest good snapshot and how old that is against max_age, the pass under way with its
rate and the time left, what waits to be captured, how the last pass ended and when the next ones are due; and the last audit, the
proof of the credential, and whether a changed configuration was refused. A good snapshot is one that is complete and not suspicious.

With SOURCE it says more of that one. With --check the exit code says whether all is well: 3 where a source is late, failing or
suspicious, the last audit or proof is not good, or a configuration was refused.

Exit codes: 0 done, 1 failed, or no daemon runs, 2 usage or configuration, 3 not all is well (with --check), 4 damage, tampering or a destructive
permission (with --check).`,
		Example: "  farshore status\n  farshore status shop\n  farshore status --check --quiet",
		Args:    arguments(0, 1, "at most one SOURCE"),
	}
	addSocketFlag(cmd, &socket)
	cmd.Flags().BoolVar(&check, "check", false, "end with exit code 3 or 4 where not all is well")
	return e.does(cmd, func(ctx context.Context, args []string) (result, error) {
		client, err := e.controlClient(socket)
		if err != nil {
			return nil, err
		}
		st, err := client.Status(ctx)
		if err != nil {
			return nil, controlFailure(err)
		}
		r := statusResult{Status: st, brief: check && e.flags.quiet}
		if len(args) == 1 {
			if r.one, err = findStatus(&st, args[0]); err != nil {
				return nil, err
			}
			r.Sources = []daemon.SourceStatus{*r.one}
		}
		if check {
			return r, r.verdict()
		}
		return r, nil
	})
}

// addSocketFlag defines where the daemon is asked.
func addSocketFlag(cmd *cobra.Command, socket *string) {
	cmd.Flags().StringVar(socket, "socket", "", "`PATH` of the daemon's socket (default: what the configuration says)")
}

// controlClient is the client of the daemon of the flag, or else of the configuration's.
func (e *env) controlClient(socket string) (*control.Client, error) {
	if socket != "" {
		return control.Dial(socket), nil
	}
	path, err := e.socketPath()
	if err != nil {
		return nil, err
	}
	return control.Dial(path), nil
}

// socketPath is where the daemon of the configuration listens. A configuration that can't be used now, or that this user may not read, must not keep anybody from asking the daemon: then
// it is where that of a configuration in the same place listens by default, and where there is none, the service's. Whoever put a configuration where others look for theirs is not asked.
func (e *env) socketPath() (string, error) {
	c, err := e.loadConfig()
	if err == nil {
		return c.SocketPath(e.getenv)
	}
	var none *config.NotFound
	path, missing := config.Find(e.flags.config, e.getenv)
	if errors.As(missing, &none) {
		path = serviceConfig
	}
	var bad *config.Problems
	if errors.As(err, &bad) && bad.Untrusted && filepath.Dir(path) != filepath.Dir(serviceConfig) {
		return "", err
	}
	e.detail("%v", err)
	guess := &config.Config{Path: path, State: or(e.flags.state, filepath.Join(filepath.Dir(path), "state"))}
	return guess.SocketPath(e.getenv)
}

// serviceConfig is the configuration of the service.
const serviceConfig = "/etc/farshore/farshore.yaml"

// controlFailure says what to do where the daemon can't be asked.
func controlFailure(err error) error {
	var refused *control.Error
	switch {
	case errors.Is(err, control.ErrNotRunning):
		return &failure{exit: exitFailed, code: "not-running", err: err, hint: "`systemctl status farshore` says whether the service runs, and `journalctl -u farshore` why not; `farshore daemon` starts one by hand"}
	case errors.Is(err, control.ErrPermission):
		return &failure{exit: exitFailed, code: "denied", err: err, hint: "ask as root, as the daemon's own user, or as a member of its group (farshore)"}
	case errors.As(err, &refused) && (refused.Code == control.CodeConfig || refused.Code == control.CodeNoJob):
		return &failure{exit: exitUsage, code: refused.Code, err: err, hint: refused.Hint}
	case errors.As(err, &refused):
		return &failure{exit: exitFailed, code: refused.Code, err: err, hint: refused.Hint}
	}
	return err
}

// findStatus finds a source's state.
func findStatus(st *daemon.Status, name string) (*daemon.SourceStatus, error) {
	var names []string
	for i := range st.Sources {
		if st.Sources[i].Name == name {
			return &st.Sources[i], nil
		}
		names = append(names, st.Sources[i].Name)
	}
	return nil, usagef("the daemon has no source %s", printable(name)).with("it has %s; `farshore reload` takes a changed configuration", or(strings.Join(names, ", "), "none"))
}

// verdict is the failure that a state which is not well means.
func (r *statusResult) verdict() error {
	var bad []string
	damage := false
	for i := range r.Sources {
		s := &r.Sources[i]
		switch {
		case s.Late:
			bad = append(bad, s.Name+" is late")
		case len(s.Suspicious) > 0:
			bad = append(bad, s.Name+" is suspicious")
		case s.Last != nil && !s.Last.Stopped && s.Last.Exit != exitDone:
			bad = append(bad, s.Name+" "+lastWord(s.Last))
		}
		damage = damage || s.Last != nil && s.Last.Exit == exitDamage
	}
	for _, j := range []*daemon.JobStatus{r.Probe, r.Verify} {
		if j != nil && j.Last != nil && !j.Last.Stopped && j.Last.Exit != exitDone {
			bad = append(bad, j.Job+" "+lastWord(j.Last))
			damage = damage || j.Last.Exit == exitDamage
		}
	}
	if r.overProof() {
		bad = append(bad, "the proof of the credential is over")
	}
	if r.Config.Problem != "" {
		bad = append(bad, "a changed configuration was refused")
	}
	switch {
	case len(bad) == 0:
		return nil
	case damage:
		return damagef("not all is well: %s", strings.Join(bad, "; ")).with("`farshore status SOURCE` and `farshore report show` say more")
	}
	f := incompletef("not all is well: %s", strings.Join(bad, "; "))
	if len(bad) == 1 && r.Config.Problem != "" {
		return f.with("`farshore status` says what is wrong with it")
	}
	return f.with("`farshore status SOURCE` says more")
}
