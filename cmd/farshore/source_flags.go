package main

import (
	"errors"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"farshore/agent/config"
)

// sourceFlags are the flags that say what a source is like.
type sourceFlags struct {
	include, exclude, accept   []string
	repositories               []string
	username, passwordFile     string
	schedule, jitter           string
	upload, download, requests string
	noCheck                    bool
}

func (f *sourceFlags) define(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringArrayVar(&f.include, "include", nil, "`PATTERN` of paths that belong to it (default: all); may be repeated")
	fs.StringArrayVar(&f.exclude, "exclude", nil, "`PATTERN` of paths that do not; may be repeated")
	fs.StringArrayVar(&f.accept, "accept", nil, "`REASON` for which items may be unreadable without exit code 3; may be repeated: "+strings.Join(config.Reasons(), ", "))
	fs.StringArrayVar(&f.repositories, "repository", nil, "`PATH` of a repository below the URL of a server; may be repeated")
	fs.StringVar(&f.username, "username", "", "`NAME` for a server of repositories")
	fs.StringVar(&f.passwordFile, "password-file", "", "`FILE` that holds the password or token for it, seen from the configuration's directory")
	fs.StringVar(&f.schedule, "schedule", "", "`TIME` of the daemon's passes over it: an interval such as 15m, a cron expression, or off; '' for that of all sources")
	fs.StringVar(&f.jitter, "jitter", "", "`DURATION` that a pass is put off by at most, such as 30s; '' for that of all sources")
	fs.StringVar(&f.upload, "limit-upload", "", "`RATE` of sending to the vault, such as 10MiB/s; 0 for none")
	fs.StringVar(&f.download, "limit-download", "", "`RATE` of reading from the source; 0 for none")
	fs.StringVar(&f.requests, "limit-requests", "", "`NUMBER` of requests per second to the source; 0 for none")
	fs.BoolVar(&f.noCheck, "no-check", false, "do not check that the source can be read")
}

// apply changes a source by the flags that were given. One empty value empties a list.
func (f *sourceFlags) apply(cmd *cobra.Command, s *config.Source) error {
	for _, list := range []struct {
		name string
		from []string
		to   *[]string
	}{{"include", f.include, &s.Include}, {"exclude", f.exclude, &s.Exclude}, {"accept", f.accept, &s.Accept}, {"repository", f.repositories, &s.Repositories}} {
		if cmd.Flags().Changed(list.name) {
			*list.to = list.from
		}
		if len(list.from) == 1 && list.from[0] == "" {
			*list.to = nil
		}
	}
	if cmd.Flags().Changed("username") {
		s.Username = f.username
	}
	if cmd.Flags().Changed("password-file") {
		s.PasswordFile = f.passwordFile
	}
	if cmd.Flags().Changed("schedule") {
		s.Schedule = f.schedule
	}
	if cmd.Flags().Changed("jitter") {
		s.Jitter = f.jitter
	}
	return f.applyLimits(&s.Limits)
}

func (f *sourceFlags) applyLimits(l *config.Limits) error {
	upload, uerr := rateFlag("limit-upload", f.upload, l.Upload)
	download, derr := rateFlag("limit-download", f.download, l.Download)
	requests, rerr := int64(l.Requests), error(nil)
	if f.requests != "" {
		if requests, rerr = strconv.ParseInt(f.requests, 10, 32); rerr != nil || requests < 0 {
			rerr = usagef("--limit-requests: %q is no number of requests per second", f.requests)
		}
	}
	if err := errors.Join(uerr, derr, rerr); err != nil {
		return err
	}
	*l = config.Limits{Upload: upload, Download: download, Requests: int(requests)}
	return nil
}

// rateFlag reads a rate that was given, 0 for none.
func rateFlag(name, text string, old int64) (int64, error) {
	switch text {
	case "":
		return old, nil
	case "0":
		return 0, nil
	}
	n, err := config.ParseRate(text)
	if err != nil {
		return 0, usagef("--%s: %w", name, err)
	}
	return n, nil
}
