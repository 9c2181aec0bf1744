package main

import (
	"context"

	"github.com/spf13/cobra"

	"farshore/agent/config"
	"farshore/agent/notify"
)

// notifyCommand is the group of commands about who is told.
func notifyCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "notify",
		Short:   "Try out who is told what came of a run",
		Long:    "Try out who is told what came of a pass or an audit: the channels in the configuration (\"notify:\").\n\nExit codes: 0 done, 1 failed, 2 usage or configuration, 3 a channel could not be told.",
		Example: "  farshore notify test",
	}
	group(cmd)
	cmd.AddCommand(notifyTestCommand(e), notifyUnitCommand(e))
	return cmd
}

func notifyTestCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "test",
		Short: "Send a test to every channel, and say what came of each",
		Long: `Send a test to every channel of the configuration, whatever it wants to be told of, and say what came of each. Of dead man's switches
("ping:") only the addresses are looked at: a call would say that a pass or an audit succeeded.

Exit codes: 0 every channel took it, 1 failed, 2 usage or configuration, 3 a channel could not be told, 130 interrupted.`,
		Example: "  farshore notify test\n  farshore notify test --json",
		Args:    arguments(0, 0, ""),
	}
	return e.does(cmd, func(ctx context.Context, _ []string) (result, error) {
		c, err := e.loadConfig()
		if err != nil {
			return nil, err
		}
		return e.notifyTest(ctx, c)
	})
}

// notifyTested is the result of notify test.
type notifyTested struct {
	Channels []channelTested `json:"channels"`
	Pings    []channelTested `json:"pings"`
}

// channelTested is what came of one channel.
type channelTested struct {
	Name string `json:"name"`
	Kind string `json:"kind"`
	OK   bool   `json:"ok"`
	Why  string `json:"why,omitempty"`
}

func (r notifyTested) text(p *printer) {
	rows := [][]string{{"CHANNEL", "KIND", "RESULT"}}
	for _, c := range r.Channels {
		rows = append(rows, []string{c.Name, c.Kind, or(c.Why, "sent")})
	}
	for _, c := range r.Pings {
		rows = append(rows, []string{c.Name, c.Kind, or(c.Why, "its address is well; it was not called")})
	}
	p.table(rows)
}

// notifyTest tells every channel, and looks at the addresses of the switches.
func (e *env) notifyTest(ctx context.Context, c *config.Config) (result, error) {
	t := e.teller(c)
	r := notifyTested{Channels: []channelTested{}, Pings: []channelTested{}}
	if t != nil {
		t.n.Tell(ctx, notify.Event{Kind: notify.Test, Outcome: notify.Success, Text: "A test of this channel: nothing happened.", Time: e.now()})
		r.Pings = t.pings()
		told, _ := t.n.Wait()
		for i, one := range c.Notify {
			r.Channels = append(r.Channels, tested(one.Name, c.Notify[i].Kind, resultOf(told, one.Name)))
		}
	}
	if len(r.Channels)+len(r.Pings) == 0 {
		return r, usagef("%s has no channel and no ping", c.Path).with("docs/operate.md says how to write them")
	}
	bad := 0
	for _, one := range append(r.Channels[:len(r.Channels):len(r.Channels)], r.Pings...) {
		if !one.OK {
			bad++
		}
	}
	if bad > 0 {
		return r, incompletef("%s could not be told, or can't be", plural(int64(bad), "channel")).with("addresses and passwords come from the environment and from files, as the configuration says; docs/operate.md says how they are written")
	}
	return r, nil
}

// resultOf is what came of a channel.
func resultOf(told []notify.Result, name string) error {
	for _, r := range told {
		if r.Channel == name {
			return r.Err
		}
	}
	return nil
}

func tested(name, kind string, err error) channelTested {
	out := channelTested{Name: name, Kind: kind, OK: err == nil}
	if err != nil {
		out.Why = err.Error()
	}
	return out
}

// pings looks at the addresses of the switches.
func (t *teller) pings() []channelTested {
	out := []channelTested{}
	for _, s := range t.c.Sources {
		if w := t.switches[s.Name]; w != nil {
			out = append(out, tested(s.Name, "ping", w.Check()))
		}
	}
	if t.audits != nil {
		out = append(out, tested("verify", "ping", t.audits.Check()))
	}
	return out
}
