package main

import (
	"context"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// versionCommand prints what this build is.
func versionCommand(e *env) *cobra.Command {
	return e.does(&cobra.Command{
		Use:     "version",
		Short:   "Say which build this is",
		Long:    "Say which version of farshore this is, what it was built from and with, and which version of the vault's format it writes.\n\nExit codes: 0 done.",
		Example: "  farshore version\n  farshore version --json",
		Args:    arguments(0, 0, ""),
	}, func(context.Context, []string) (result, error) { return buildVersion(), nil })
}

// formatVersion is the version of docs/format.md that this build writes.
const formatVersion = 1

// versionResult is the result of version.
type versionResult struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Time     string `json:"time,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	Format   int    `json:"format"`
}

// buildVersion reads what the Go tool wrote into the binary.
func buildVersion() versionResult {
	v := versionResult{Version: "(unknown)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, Format: formatVersion}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.time":
			v.Time = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}

func (v versionResult) text(p *printer) {
	p.line("farshore %s (%s, %s, vault format %d)", v.Version, v.Go, v.Platform, v.Format)
	if v.Revision != "" {
		state := ""
		if v.Modified {
			state = ", with changes"
		}
		p.line("revision %s of %s%s", v.Revision, v.Time, state)
	}
}
