package main

import (
	"context"
	"path/filepath"

	"github.com/spf13/cobra"

	"farshore/agent/config"
)

func configShowCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Print the configuration in force",
		Long: `Print the configuration in force with everything that holds where the file says nothing, as YAML that means the same in the file's place. Secrets
stand there as where they are (env:NAME, file:PATH, credential:NAME), never what they are.

Exit codes: 0 done, 1 failed, 2 usage or configuration.`,
		Example: "  farshore config show\n  farshore config show --json",
		Args:    arguments(0, 0, ""),
	}
	return e.does(cmd, func(context.Context, []string) (result, error) { return e.showConfig() })
}

// configShown is the result of config show.
type configShown struct {
	Path string `json:"path"`
	// Configuration has the file's keys and what holds for them, Socket where the daemon's is.
	Configuration map[string]any `json:"configuration"`
	Socket        string         `json:"socket"`
	yaml          string
}

func (r configShown) text(p *printer) {
	p.line("# %s, with what holds where it says nothing", clean(r.Path))
	p.line("%s", r.yaml)
}

// showConfig shows what other commands would take. Directories are shown as absolute paths.
func (e *env) showConfig() (result, error) {
	path, err := e.configPath()
	if err != nil {
		return nil, err
	}
	if path, err = filepath.Abs(path); err != nil {
		return nil, err
	}
	c, err := e.loadFrom(path)
	if err != nil {
		return nil, err
	}
	values, err := c.Values(e.getenv)
	if err != nil {
		return nil, err
	}
	socket, err := c.SocketPath(e.getenv)
	if err != nil {
		e.warn("%v", err)
		socket = ""
	}
	return configShown{Path: c.Path, Configuration: values, Socket: socket, yaml: string(c.Show(e.getenv))}, nil
}

// loadFrom loads the configuration at a path.
func (e *env) loadFrom(path string) (*config.Config, error) {
	e.flags.config = path
	return e.loadConfig()
}
