package main

import (
	"context"
	"errors"
	"io/fs"

	"github.com/spf13/cobra"

	"farshore/agent/config"
)

func configCheckCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Say all that is wrong with the configuration",
		Long: `Read the configuration and say all that is wrong with it, each with its line: what can't be understood, keys and secrets that the user who runs
this can't read or that others can, directories that are not there, a certificate that ended, promises that the schedules can't keep. Notes are worth reading and
no reason to fail. It contacts nobody and changes nothing. It sees what the user sees who runs it; for a service that runs, ` + "`farshore reload`" + ` checks the same with
the service's own rights and credentials.

Exit codes: 0 it can be used, 1 it can't be read, 2 usage, or there are problems.`,
		Example: "  farshore config check\n  farshore config check --config /etc/farshore/farshore.yaml --json",
		Args:    arguments(0, 0, ""),
	}
	return e.does(cmd, func(context.Context, []string) (result, error) { return e.checkConfig() })
}

// configChecked is the result of config check.
type configChecked struct {
	Config   string          `json:"config"`
	Findings []configFinding `json:"findings"`
	Problems int             `json:"problems"`
	Notes    int             `json:"notes"`
	lines    []string
}

// configFinding is something to say of a place in the configuration.
type configFinding struct {
	File     string `json:"file"`
	Line     int    `json:"line"`
	Column   int    `json:"column"`
	Message  string `json:"message"`
	Severity string `json:"severity"`
}

func (r configChecked) text(p *printer) {
	for _, line := range r.lines {
		p.line("%s", clean(line))
	}
	if r.Problems == 0 {
		p.line("%s can be used: no problems, %s", clean(r.Config), plural(int64(r.Notes), "note"))
	}
}

// checkConfig looks at the configuration that the other commands would take.
func (e *env) checkConfig() (result, error) {
	path, err := e.configPath()
	if err != nil {
		return nil, err
	}
	_, findings, err := config.Check(path, e.getenv, e.now())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &failure{exit: exitUsage, code: codeConfig, err: err, hint: "`farshore init` makes a configuration"}
	}
	if err != nil {
		return nil, err
	}
	r := configChecked{Config: path, Findings: []configFinding{}}
	for _, f := range findings {
		r.Findings = append(r.Findings, configFinding{f.File, f.Line, f.Column, f.Message, f.Severity})
		r.lines = append(r.lines, f.String())
		if f.Severity == config.SeverityNote {
			r.Notes++
			continue
		}
		r.Problems++
	}
	if r.Problems > 0 {
		return r, (&failure{exit: exitUsage, code: codeConfig, err: errors.New(plural(int64(r.Problems), "problem") + " in " + path)}).with("`farshore config schema` says what each key means and takes")
	}
	return r, nil
}
