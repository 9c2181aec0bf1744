package main

import (
	"github.com/spf13/cobra"

	"farshore/agent/config"
)

// configCommand is the group of commands about the configuration.
func configCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "config",
		Short:   "Check and show the configuration",
		Long:    "Check the configuration, show what of it is in force, and print its schema for editors. None of these contacts anybody.\n\nExit codes: 0 done, 1 failed, 2 usage or configuration.",
		Example: "  farshore config check\n  farshore config show --json",
	}
	group(cmd)
	cmd.AddCommand(configCheckCommand(e), configShowCommand(e), configSchemaCommand(e))
	return cmd
}

// configPath finds the configuration that a command is about.
func (e *env) configPath() (string, error) { return config.Find(e.flags.config, e.getenv) }
