package main

import (
	"context"
	"encoding/json"

	"github.com/spf13/cobra"

	"farshore/agent/config"
)

func configSchemaCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "schema",
		Short: "Print the configuration's JSON Schema, for editors",
		Long: `Print a JSON Schema (2020-12) of the configuration: its keys, what they mean, what holds without them. Editors that know the YAML language server complete and check
the file with it, when a comment in it says where the schema is:

  # yaml-language-server: $schema=farshore.schema.json

Exit codes: 0 done, 1 failed, 2 usage.`,
		Example: "  farshore config schema",
		Args:    arguments(0, 0, ""),
	}
	return e.does(cmd, func(context.Context, []string) (result, error) {
		text, err := config.Schema()
		return configSchema{text}, err
	})
}

// configSchema is the result of config schema.
type configSchema struct {
	Schema json.RawMessage `json:"schema"`
}

func (r configSchema) text(p *printer) { p.line("%s", r.Schema) }
