package main

import (
	"context"

	"github.com/spf13/cobra"
)

func reloadCommand(e *env) *cobra.Command {
	var socket string
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Have the daemon take a changed configuration",
		Long: `Have the daemon read its configuration anew. It takes it where all of it can be used, and else keeps the old one and says what is wrong.
Passes under way go on as they began, and what failed last is tried at once. SIGHUP to the daemon does the same, and says it in the log.

What needs a restart: the local state's place ("state:") and the socket's. Credentials that systemd hands over are those of the start.

Exit codes: 0 it was taken, 1 failed, or no daemon runs, 2 it was refused.`,
		Example: "  farshore reload\n  farshore reload --socket /run/farshore/farshore.sock",
		Args:    arguments(0, 0, ""),
	}
	addSocketFlag(cmd, &socket)
	return e.does(cmd, func(ctx context.Context, _ []string) (result, error) {
		client, err := e.controlClient(socket)
		if err != nil {
			return nil, err
		}
		if err := client.Reload(ctx); err != nil {
			return nil, controlFailure(err)
		}
		return reloaded{Reloaded: true}, nil
	})
}

// reloaded is the result of reload.
type reloaded struct {
	Reloaded bool `json:"reloaded"`
}

func (reloaded) text(p *printer) { p.line("the daemon goes by the changed configuration now") }
