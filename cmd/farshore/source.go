package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"farshore/agent"
	"farshore/agent/config"
	"farshore/agent/record"
)

// sourceCommand is the group of commands about the configuration's sources.
func sourceCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "source",
		Short:   "Add, change, list and remove what is protected",
		Long:    "Add, change, list and remove the sources in the configuration. Comments and order of the file are kept.\n\nExit codes: 0 done, 1 failed, 2 usage or configuration.",
		Example: "  farshore source add shop 's3://shop-images/?region=eu-central-1&profile=shop'\n  farshore source list",
	}
	group(cmd)
	cmd.AddCommand(sourceAddCommand(e), sourceSetCommand(e), sourceListCommand(e), sourceRemoveCommand(e))
	return cmd
}

// sourceResult is a source as commands tell it.
type sourceResult struct {
	Name    string       `json:"name"`
	URL     string       `json:"url"`
	Include []string     `json:"include,omitempty"`
	Exclude []string     `json:"exclude,omitempty"`
	Accept  []string     `json:"accept,omitempty"`
	Limits  limitsResult `json:"limits,omitzero"`
	// Repositories, Username and PasswordFile are those of a server of repositories.
	Repositories []string `json:"repositories,omitempty"`
	Username     string   `json:"username,omitempty"`
	PasswordFile string   `json:"password_file,omitempty"`
	// Password is where it is, for a source that has one in place of PasswordFile.
	Password string `json:"password,omitempty"`
	// Schedule and Jitter are the source's own.
	Schedule string `json:"schedule,omitempty"`
	Jitter   string `json:"jitter,omitempty"`
	// Checked is true when the source was read just now.
	Checked bool   `json:"checked,omitempty"`
	did     string // what to tell people
}

type limitsResult struct {
	Upload   int64 `json:"upload,omitempty"`
	Download int64 `json:"download,omitempty"`
	Requests int   `json:"requests,omitempty"`
}

func newSourceResult(s config.Source, did string) sourceResult {
	return sourceResult{
		Name: s.Name, URL: s.URL, Include: s.Include, Exclude: s.Exclude, Accept: s.Accept, Limits: limitsResult(s.Limits),
		Repositories: s.Repositories, Username: s.Username, PasswordFile: s.PasswordFile, Password: string(s.Password), Schedule: s.Schedule, Jitter: s.Jitter, did: did,
	}
}

func (r sourceResult) text(p *printer) {
	checked := ""
	if r.Checked {
		checked = ", and it can be read"
	}
	p.line("source %s %s%s", r.Name, r.did, checked)
}

func sourceAddCommand(e *env) *cobra.Command {
	var f sourceFlags
	cmd := &cobra.Command{
		Use:   "add NAME URL",
		Short: "Add a source",
		Long: `Check that a source, or at least one of its repositories, can be read, and add it to the configuration. Its items are
in the vault after the next "farshore replicate". The URL is one of

  s3://bucket/prefix?endpoint=&region=&profile=&path_style=   a bucket
  git+file:///directory?match=*.git&reflogs=&lfs=             all git repositories below a directory
  git+https://host/path   git+ssh://user@host/path            one repository, or those of --repository below the path
  git+http://host/path    git://host/path                     (https and http also with ?lfs=off)
  git+https://host/OWNER?forge=github|gitlab|gitea|forgejo&api=   all repositories of an organisation, group or user
  svn+file:///directory?match=*                               all Subversion repositories below a directory
  svn://host/path   svn+https://host/path   svn+http://host/path   svn+ssh://user@host/path

Credentials are never in the URL: they come from the AWS profile or environment, from ssh's own keys, or from --username and
--password-file. --schedule says when the daemon makes a pass over it.

Exit codes: 0 done, 1 the source can't be read, 2 usage or configuration.`,
		Example: "  farshore source add shop 's3://shop-images/?region=eu-central-1&profile=shop' --exclude '**.tmp'\n" +
			"  farshore source add code 'git+file:///srv/git?match=*.git'\n" +
			"  farshore source add forge 'git+https://git.example.net/team?forge=gitea' --password-file /etc/farshore/forge.token",
		Args: arguments(2, 2, "NAME and URL"),
	}
	f.define(cmd)
	return e.does(cmd, func(ctx context.Context, args []string) (result, error) {
		c, err := e.loadConfig()
		if err != nil {
			return nil, err
		}
		s := config.Source{Name: args[0], URL: args[1]}
		if err := errors.Join(f.apply(cmd, &s), s.Check()); err != nil {
			return nil, usagef("%w", err)
		}
		if c.Source(s.Name) != nil {
			return nil, usagef("%s has a source named %q already", c.Path, s.Name).with("choose another name, or change it with `farshore source set %s`", s.Name)
		}
		if err := e.check(ctx, c, s, f.noCheck); err != nil {
			return nil, err
		}
		if err := config.AddSource(c.Path, s); err != nil {
			return nil, err
		}
		r := newSourceResult(s, "is in "+c.Path+" now")
		r.Checked = !f.noCheck
		return r, nil
	})
}

// checkPatience bounds the check of a source: what does not answer in this time is better looked at by a person.
const checkPatience = 30 * time.Second

// check reports whether a source can be listed and read now.
func (e *env) check(ctx context.Context, c *config.Config, s config.Source, skip bool) error {
	if skip {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, checkPatience)
	defer cancel()
	src, err := e.openSource(ctx, c, s)
	if err == nil {
		err = src.Check(ctx)
	}
	if err == nil {
		return nil
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("no answer within %s: %w", formatDuration(checkPatience), err)
	}
	f := classify(ctx, fmt.Errorf("source %s can't be read: %w", s.Name, err))
	if f.hint == "" {
		f.hint = "--no-check puts it into the configuration all the same"
	}
	return f
}

func sourceSetCommand(e *env) *cobra.Command {
	var f sourceFlags
	cmd := &cobra.Command{
		Use:   "set NAME [URL]",
		Short: "Change a source's address, patterns, limits or schedule",
		Long: `Change a source in the configuration: its address when it moved (its history in the vault goes on), or what the flags
name. A list that is given replaces the old one; one empty value ('') empties it. What is excluded is not deleted from the vault.

Exit codes: 0 done, 1 the source can't be read, 2 usage or configuration.`,
		Example: "  farshore source set shop 's3://shop-images/?endpoint=https://s3.example.net'\n  farshore source set shop --exclude '**.tmp' --exclude cache/\n  farshore source set shop --schedule '17 3 * * *'",
		Args:    arguments(1, 2, "NAME and, when it changes, URL"),
	}
	f.define(cmd)
	return e.does(cmd, func(ctx context.Context, args []string) (result, error) {
		c, err := e.loadConfig()
		if err != nil {
			return nil, err
		}
		if _, err := findSource(c, args[0]); err != nil {
			return nil, err
		}
		var now config.Source
		err = config.SetSource(c.Path, args[0], func(s *config.Source) error {
			if len(args) == 2 {
				s.URL = args[1]
			}
			if err := errors.Join(f.apply(cmd, s), s.Check()); err != nil {
				return usagef("%w", err)
			}
			now = *s
			return e.check(ctx, c, *s, f.noCheck)
		})
		if err != nil {
			return nil, err
		}
		r := newSourceResult(now, "is changed in "+c.Path)
		r.Checked = !f.noCheck
		return r, nil
	})
}

// sourcesResult is the result of source list.
type sourcesResult struct {
	Config  string         `json:"config"`
	Sources []sourceResult `json:"sources"`
}

func (r sourcesResult) text(p *printer) {
	rows := [][]string{{"NAME", "URL", "PATTERNS"}}
	for _, s := range r.Sources {
		var patterns []string
		for _, i := range s.Include {
			patterns = append(patterns, "+"+i)
		}
		for _, x := range s.Exclude {
			patterns = append(patterns, "-"+x)
		}
		rows = append(rows, []string{s.Name, s.URL, strings.Join(append(patterns, s.Repositories...), " ")})
	}
	p.table(rows)
	if len(r.Sources) == 0 {
		p.line("%s has no sources; `farshore source add NAME URL` adds one", r.Config)
	}
}

func sourceListCommand(e *env) *cobra.Command {
	return e.does(&cobra.Command{
		Use:     "list",
		Short:   "List the sources in the configuration",
		Long:    "List the sources in the configuration, with their addresses, patterns (+ included, - excluded) and repositories of a server.\n\nExit codes: 0 done, 2 configuration.",
		Example: "  farshore source list --json",
		Args:    arguments(0, 0, ""),
	}, func(context.Context, []string) (result, error) {
		c, err := e.loadConfig()
		if err != nil {
			return nil, err
		}
		r := sourcesResult{Config: c.Path, Sources: []sourceResult{}}
		for _, s := range c.Sources {
			r.Sources = append(r.Sources, newSourceResult(s, ""))
		}
		return r, nil
	})
}

func sourceRemoveCommand(e *env) *cobra.Command {
	var only bool
	cmd := &cobra.Command{
		Use:   "remove NAME",
		Short: "Stop protecting a source; its data stays in the vault",
		Long: `Sign a last commit that says the source is retired, and take it out of the configuration. Everything that the vault
has of it stays and can be restored.

Exit codes: 0 done, 1 failed, 2 usage or configuration.`,
		Example: "  farshore source remove shop",
		Args:    arguments(1, 1, "NAME"),
	}
	cmd.Flags().BoolVar(&only, "config-only", false, "sign nothing: take it out of the configuration alone, as when its history shall go on elsewhere")
	return e.does(cmd, func(ctx context.Context, args []string) (result, error) {
		c, err := e.loadConfig()
		if err != nil {
			return nil, err
		}
		s, err := findSource(c, args[0])
		if err != nil {
			return nil, err
		}
		if !only {
			if err := runRetire(ctx, e, c, *s); err != nil {
				return nil, err
			}
		}
		if err := config.RemoveSource(c.Path, s.Name); err != nil {
			return nil, err
		}
		return newSourceResult(*s, "is out of "+c.Path+"; its data stays in the vault"), nil
	})
}

// findSource returns the source of that name.
func findSource(c *config.Config, name string) (*config.Source, error) {
	if s := c.Source(name); s != nil {
		return s, nil
	}
	var names []string
	for _, s := range c.Sources {
		names = append(names, s.Name)
	}
	f := usagef("%s has no source named %q", c.Path, name)
	if near := config.Nearest(name, names); near != "" {
		return nil, f.with("%s is meant, perhaps", near)
	}
	return nil, f.with("`farshore source list` lists them")
}

// runRetire signs a last commit for the source, if it was ever replicated.
func runRetire(ctx context.Context, e *env, c *config.Config, from config.Source) error {
	e.asStateOwner = true // root removes what a service replicates
	return e.withSession(ctx, c, []config.Source{from}, func(s *agent.Session, _ *custody) error {
		k, err := s.Retire(ctx, record.Place{Name: from.Name, Kind: cmp.Or(from.RepositoryKind(), "s3"), Place: from.URL})
		if err == nil && k != nil {
			e.say("commit %d of chain %s says that %s is retired", k.Seq, k.Chain, from.Name)
		}
		return err
	})
}
