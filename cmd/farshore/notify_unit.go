package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"farshore/agent/config"
	"farshore/agent/notify"
)

func notifyUnitCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "unit UNIT",
		Short: "Tell every channel that a unit of systemd failed",
		Long: `Tell the channels of the configuration that a unit of systemd failed. farshore-alert@.service runs it, for the unit that it is called by with OnFailure=; systemd says in
MONITOR_EXIT_CODE and MONITOR_EXIT_STATUS how that ended. The message names the unit and nothing else. It works as long as the channels in the configuration are right,
whatever else in it is not.

Exit codes: 0 every channel that wants it was told, 1 failed, 2 usage or configuration, 3 a channel could not be told, 130 interrupted.`,
		Example: "  farshore notify unit farshore.service --config /etc/farshore/farshore.yaml",
		Args:    arguments(1, 1, "the UNIT that failed"),
	}
	return e.does(cmd, func(ctx context.Context, args []string) (result, error) {
		if !isUnit(args[0]) {
			return nil, usagef("%q is no name of a unit", args[0]).with("give the unit with its ending, such as farshore.service")
		}
		path, err := config.Find(e.flags.config, e.getenv)
		if err != nil {
			return nil, err
		}
		return e.notifyUnit(ctx, path, args[0])
	})
}

// isUnit accepts what systemd calls a unit.
func isUnit(s string) bool {
	return s != "" && len(s) < 256 && !strings.ContainsFunc(s, func(r rune) bool {
		return !strings.ContainsRune(`abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.\@`, r)
	})
}

// notifiedUnit is the result of notify unit.
type notifiedUnit struct {
	Unit    string         `json:"unit"`
	Outcome notify.Outcome `json:"outcome"`
	Told    *toldResult    `json:"told"`
}

func (r notifiedUnit) text(p *printer) {
	p.line("%s: %s, %d held, %d failed", r.Unit, plural(int64(r.Told.Sent), "message"), r.Told.Held, r.Told.Failed)
}

// notifyUnit tells the channels. What is wrong with some of them keeps none of the others from being told.
func (e *env) notifyUnit(ctx context.Context, path, unit string) (result, error) {
	c, err := config.LoadChannels(path)
	if c == nil {
		return nil, err
	}
	if e.flags.state != "" {
		c.State = e.flags.state
	}
	// Only the channels: no pings and no numbers, which are about passes and audits.
	r := notifiedUnit{Unit: unit, Told: new(toldResult)}
	ev := unitEvent(unit, e.getenv)
	ev.Time, r.Outcome = e.now(), ev.Outcome
	if t := e.teller(c); t != nil {
		t.n.Tell(ctx, ev)
		r.Told = t.close(ctx)
	} else {
		e.warn("nobody is told: %s has no channel", path)
	}
	if r.Told.Failed > 0 {
		bad := incompletef("%s could not be told that %s failed", plural(int64(r.Told.Failed), "channel"), unit).with("`farshore notify test` tries each channel")
		err = errors.Join(bad, err)
	}
	return r, err
}

// unitEvent is what is told of a unit. Runs that ended by themselves say with their exit code how bad it is; whatever else ends a unit is a failure.
func unitEvent(unit string, getenv func(string) string) notify.Event {
	ev := notify.Event{Kind: notify.Unit, Outcome: notify.Failure, Subject: unit, Source: unit, Exit: exitFailed, Code: "unit"}
	ev.Text = fmt.Sprintf("systemd says that %s failed. `systemctl status %s` and `journalctl -u %s` on that machine say why.", unit, unit, unit)
	code, status := getenv("MONITOR_EXIT_CODE"), getenv("MONITOR_EXIT_STATUS")
	if code == "exited" {
		switch status {
		case "2":
			ev.Exit = exitUsage
		case "3":
			ev.Exit, ev.Outcome = exitIncomplete, notify.Warning
		case "4":
			ev.Exit, ev.Outcome = exitDamage, notify.Alarm
		}
	}
	for _, f := range []notify.Field{{Name: "result", Value: getenv("MONITOR_SERVICE_RESULT")}, {Name: "ended by", Value: strings.TrimSpace(code + " " + status)}} {
		if f.Value != "" {
			ev.Fields = append(ev.Fields, f)
		}
	}
	return ev
}
