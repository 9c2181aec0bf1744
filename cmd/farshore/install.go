package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"farshore/agent/config"
	"farshore/systemd"
	"farshore/systemd/setup"
)

// installFlags are what install and uninstall have in common.
type installFlags struct {
	verifier, dryRun, force bool
	// root is put before all paths, for tests.
	root string
}

func (f *installFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.verifier, "verifier", false, "the verifier, farshore-verify, in place of the agent")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "say what would be done, and change nothing")
	cmd.Flags().StringVar(&f.root, "root", "", "`DIRECTORY` that stands for the whole machine; no program is run")
	_ = cmd.Flags().MarkHidden("root") // it is there
}

func (f *installFlags) role() systemd.Role {
	if f.verifier {
		return systemd.Verifier
	}
	return systemd.Agent
}

// machine returns what is changed, where that can be.
func (f *installFlags) machine(e *env) (*setup.Machine, error) {
	if want := setup.ConfigPath(f.role()); e.flags.config != "" && e.flags.config != want {
		return nil, usagef("the service reads %s, and no other configuration", want).with("put the configuration there, or leave --config out")
	}
	m := &setup.Machine{Root: f.root}
	err := m.Check()
	if errors.Is(err, setup.ErrNoSystemd) {
		return nil, fmt.Errorf("%w: there is nothing here that would start the service", err)
	}
	if err != nil {
		return nil, &failure{exit: exitUsage, code: codeUsage, err: err, hint: "run it with sudo"}
	}
	return m, nil
}

func installCommand(e *env) *cobra.Command {
	var f installFlags
	var asked setup.Paths
	var noStart bool
	cmd := &cobra.Command{
		Use:   "install",
		Short: "Make the agent, or the verifier, a service of this machine",
		Long: `Make the agent a service of systemd, farshore.service, that runs by a user of its own with /etc/farshore/farshore.yaml, and with nothing else of this machine
than it needs. With --verifier it is the verifier, farshore-verify.timer, by another user with other keys.

It writes units, makes users and folders, hands the files in /etc/farshore/credentials to the service, and starts it once there is a configuration. What is
done already is left as it is, so that it may be run at any time: after ` + "`farshore init`" + `, when a credential was added, to bring a newer program. What somebody else wrote or
changed is kept, and named.

Folders of this machine that the configuration names are opened to the service. What lies in somebody's home, or can be read by a group alone, takes --read-path and
--group. These stay as they were when neither is given; once one is, they replace the earlier ones.

Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 done but for what was kept, 130 interrupted.`,
		Example: "  farshore install --dry-run\n  farshore install\n  farshore install --read-path /home/git/repositories --group git\n  farshore install --verifier",
		Args:    arguments(0, 0, ""),
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&f.force, "force", false, "replace what was changed, too")
	cmd.Flags().StringArrayVar(&asked.Read, "read-path", nil, "`PATH` that the service reads, of repositories that belong to others; may be repeated")
	cmd.Flags().StringArrayVar(&asked.Write, "write-path", nil, "`PATH` that the service writes to; may be repeated")
	cmd.Flags().StringArrayVar(&asked.Groups, "group", nil, "`GROUP` that the service belongs to as well; may be repeated")
	cmd.Flags().BoolVar(&noStart, "no-start", false, "do not start the service now")
	return e.does(cmd, func(ctx context.Context, _ []string) (result, error) {
		m, err := f.machine(e)
		if err != nil {
			return nil, err
		}
		i := installing{e: e, f: f, m: m, noStart: noStart}
		if cmd.Flags().Changed("read-path") || cmd.Flags().Changed("write-path") || cmd.Flags().Changed("group") {
			i.asked = &asked
		}
		return i.run(ctx)
	})
}

// installing is one run of install.
type installing struct {
	e       *env
	f       installFlags
	m       *setup.Machine
	asked   *setup.Paths
	noStart bool
	notes   []string
}

// installResult is the result of install and of uninstall.
type installResult struct {
	Unit   string          `json:"unit"`
	DryRun bool            `json:"dry_run"`
	Steps  []setup.Outcome `json:"steps"`
	// Status is how the unit is, as systemd says; "" where it was not asked.
	Status string `json:"status,omitempty"`
	// Notes are what needs a person, Next what to do now.
	Notes []string `json:"notes"`
	Next  []string `json:"next"`
}

func (r *installResult) text(p *printer) {
	rows := [][]string{{"STATE", "WHAT"}}
	for _, s := range r.Steps {
		rows = append(rows, []string{s.State, s.What + reason(s.Why)})
	}
	p.table(rows)
	if r.Status != "" {
		p.line("\n%s is %s", r.Unit, shown(r.Status))
	}
	for i, n := range r.Notes {
		p.line("%snote: %s", lead(i), n)
	}
	for i, n := range r.Next {
		if i == 0 {
			p.line("\nNext:")
		}
		p.line("  %d. %s", i+1, n)
	}
}

func reason(why string) string {
	if why == "" {
		return ""
	}
	return ": " + why
}

// lead sets the first of some lines apart.
func lead(i int) string {
	if i == 0 {
		return "\n"
	}
	return ""
}

// kept is the failure of a run that left something as it is; nil where nothing was.
func (r *installResult) kept() error {
	n := 0
	for _, s := range r.Steps {
		if s.State == setup.WasKept {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	return incompletef("kept %s that farshore did not leave so", plural(int64(n), "thing")).with("look at what is listed as kept; --force takes farshore's own in its place, or away")
}

// run installs and says how it is.
func (i *installing) run(ctx context.Context) (result, error) {
	role := i.f.role()
	self, err := programPath()
	if err != nil {
		return nil, err
	}
	if err := i.checkPaths(ctx); err != nil {
		return nil, err
	}
	c, configured := i.config()
	o := setup.Options{Role: role, Self: self, Asked: i.asked, Force: i.f.force, Start: configured && !i.noStart}
	if c != nil {
		if want := setup.StateDir(role); role == systemd.Agent && c.State != want {
			i.note("state: the configuration has %s, which has to be there and to belong to %s; without that key it is %s, which systemd makes", c.State, role, want)
		}
		o.Derived = derivedPaths(c, role)
		if err := o.Derived.Check(); err != nil {
			i.note("the service is not given what the configuration names: %v", err)
			o.Derived = nil
		}
	}
	r := &installResult{Unit: role.Enabled(), DryRun: i.f.dryRun}
	r.Steps, err = setup.Install(ctx, i.m, o, i.f.dryRun)
	if err == nil {
		i.look(ctx, r, c)
		r.Next = i.next(r, configured)
	}
	r.Notes = append([]string{}, i.notes...)
	if r.Next == nil {
		r.Next = []string{}
	}
	if err != nil {
		return r, installFailure(err)
	}
	return r, r.kept()
}

func (i *installing) note(format string, args ...any) {
	i.notes = append(i.notes, fmt.Sprintf(format, args...))
}

// programPath is the program that runs, whatever links lead to it.
func programPath() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find the program that runs: %w", err)
	}
	return filepath.EvalSymlinks(self)
}

// checkPaths holds what was asked for to what is there.
func (i *installing) checkPaths(ctx context.Context) error {
	if i.asked == nil {
		return nil
	}
	for _, list := range []*[]string{&i.asked.Read, &i.asked.Write, &i.asked.Groups} {
		*list = withoutEmpty(*list)
	}
	if err := i.asked.Check(); err != nil {
		return usagef("%w", err)
	}
	for _, path := range append(append([]string(nil), i.asked.Read...), i.asked.Write...) {
		if _, err := os.Stat(filepath.Join("/", i.f.root, path)); err != nil {
			return usagef("the path can't be given to the service: %w", err)
		}
	}
	for _, g := range i.asked.Groups {
		ok, err := i.m.GroupExists(ctx, g)
		if err != nil {
			return err
		}
		if !ok {
			return usagef("there is no group %s on this machine", g)
		}
	}
	return nil
}

// withoutEmpty leaves out empty texts: --read-path "" takes back what an earlier run was asked for.
func withoutEmpty(in []string) []string {
	var out []string
	for _, s := range in {
		if s != "" {
			out = append(out, s)
		}
	}
	return out
}

// config reads the service's configuration; configured reports whether there is one at all. What is wrong with it is noted: the service says it again.
func (i *installing) config() (c *config.Config, configured bool) {
	path := setup.ConfigPath(i.f.role())
	data, err := os.ReadFile(filepath.Join("/", i.f.root, path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false
	}
	if err == nil {
		c, err = config.Parse(path, data)
	}
	if err != nil {
		i.note("the configuration can't be used yet: %v", err)
	}
	return c, true
}

// derivedPaths are the folders of this machine that a configuration names and that the unit alone does not open.
func derivedPaths(c *config.Config, role systemd.Role) *setup.Paths {
	var p setup.Paths
	// The verifier's unit says itself where its state is, whatever the configuration does.
	if role == systemd.Agent && c.State != setup.StateDir(role) {
		p.Write = append(p.Write, c.State)
	}
	// The service has a /tmp and a /var/tmp of its own.
	if dir := filepath.Clean(c.Verify.Scratch); filepath.IsAbs(dir) && dir != "/tmp" && dir != "/var/tmp" {
		p.Write = append(p.Write, dir)
	}
	if dir := directoryOf(c.Vault); dir != "" {
		p.Write = append(p.Write, dir)
	}
	if c.Metrics.Textfile != "" {
		p.Write = append(p.Write, filepath.Dir(c.TextfilePath()))
	}
	// What is in homes is hidden from the service, and brought back by name. All else can be read as it is.
	for _, s := range c.Sources {
		if dir := directoryOf(s.URL); strings.HasPrefix(dir, "/home/") || strings.HasPrefix(dir, "/root/") {
			p.Read = append(p.Read, dir)
		}
	}
	return &p
}

// directoryOf is the directory of this machine that an address names, "" for none.
func directoryOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "file" && !strings.HasSuffix(u.Scheme, "+file") {
		return ""
	}
	return filepath.Clean(u.Path)
}

// look asks how the unit is, and whether its user can write to the vault where that is a directory.
func (i *installing) look(ctx context.Context, r *installResult, c *config.Config) {
	if i.f.root != "" || i.f.dryRun {
		return
	}
	status, err := setup.Look(ctx, r.Unit)
	if err != nil {
		i.note("systemd did not say how %s is: %v", r.Unit, err)
	}
	r.Status = status
	if c == nil || i.f.verifier || !config.Local(c.Vault) {
		return
	}
	dir := directoryOf(c.Vault)
	uid, err := i.m.UserID(ctx, string(i.f.role()))
	if err == nil && !belongsTo(dir, uid) {
		i.note("the vault %s belongs to another user than %s: run chown -R %s: %s", dir, i.f.role(), i.f.role(), shellWord(dir))
	}
}

// installFailure says of what did not start how it ended.
func installFailure(err error) error {
	var bad *setup.NotStarted
	if !errors.As(err, &bad) {
		return err
	}
	text := &failure{exit: exitFailed, code: codeFailed, err: bad}
	if len(bad.Journal) > 0 {
		text.err = fmt.Errorf("%w; its last lines:\n  %s", bad, strings.Join(bad.Journal, "\n  "))
	}
	return text.with("mend it and run `farshore install` again; `journalctl -u %s` has all lines", bad.Unit)
}

// next says what is to be done now, in the order in which it is.
func (i *installing) next(r *installResult, configured bool) []string {
	if i.f.dryRun {
		return nil
	}
	role := i.f.role()
	path := setup.ConfigPath(role)
	switch {
	case !configured && i.f.verifier:
		return []string{
			"Put a configuration to " + path + ": vault, owner and recipients as in the agent's, no sources, and notify: for who is told.",
			"Make the auditor's key: farshore vault agent key /etc/farshore-verify/keys/auditor.key, and have the owner name it.",
			"Put the auditor's credential into /etc/farshore-verify/credentials: a file called aws, gcp.json or rclone.conf.",
			"Run farshore install --verifier again: it starts the timer. Try it at once with systemctl start farshore-verify.service",
		}
	case !configured:
		return []string{
			"Make the vault: farshore init --vault URL --config " + path + " --kit DIRECTORY, with an administrator's credential, and take the kit away from this machine.",
			"Put the agent's own credential into /etc/farshore/credentials: a file called aws, gcp.json or rclone.conf.",
			"Name what is to be protected: farshore source add NAME URL --config " + path,
			"Run farshore install again: it starts the service.",
		}
	case i.noStart:
		return []string{"Start it: systemctl start " + r.Unit}
	case i.f.verifier:
		return []string{"See when it runs: systemctl list-timers farshore-verify.timer", "Try it at once: systemctl start farshore-verify.service, and see: journalctl -u farshore-verify.service"}
	}
	return []string{"See what it does: farshore status", "Try whether messages come through: systemctl start farshore-alert@test.service"}
}
