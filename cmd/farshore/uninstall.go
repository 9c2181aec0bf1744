package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"farshore/systemd/setup"
)

func uninstallCommand(e *env) *cobra.Command {
	var f installFlags
	var state, keys, yes bool
	cmd := &cobra.Command{
		Use:   "uninstall",
		Short: "Take the service away from this machine",
		Long: `Stop the service, and remove what ` + "`farshore install`" + ` put on this machine: units, what was laid over them, and the program. The configuration, the keys, the local state
and the user stay, so that another install goes on where this one ended. Nothing is ever removed from a vault.

--state removes the local state, /var/lib/farshore: the next pass reads more. --keys removes /etc/farshore, the configuration with all keys and credentials: this agent can
then never continue its chains of snapshots. What is stored stays restorable with the recovery key. With both, the user goes, too.

What was changed since it was installed is kept, and named; --force removes it all the same. What a package brought is the package's.

Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 done but for what was kept, 130 interrupted.`,
		Example: "  farshore uninstall --dry-run\n  farshore uninstall\n  farshore uninstall --state --keys\n  farshore uninstall --verifier",
		Args:    arguments(0, 0, ""),
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&f.force, "force", false, "remove what was changed, too")
	cmd.Flags().BoolVar(&state, "state", false, "remove the local state, too")
	cmd.Flags().BoolVar(&keys, "keys", false, "remove configuration, keys and credentials, too")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask before keys are removed")
	return e.does(cmd, func(ctx context.Context, _ []string) (result, error) {
		m, err := f.machine(e)
		if err != nil {
			return nil, err
		}
		if keys && !f.dryRun {
			if err := e.agreedToLose(f, yes); err != nil {
				return nil, err
			}
		}
		return e.uninstall(ctx, m, f, state, keys)
	})
}

// uninstall takes everything back.
func (e *env) uninstall(ctx context.Context, m *setup.Machine, f installFlags, state, keys bool) (result, error) {
	self, err := programPath()
	if err != nil {
		return nil, err
	}
	role := f.role()
	o := setup.Options{Role: role, Self: self, Force: f.force, RemoveState: state, RemoveKeys: keys}
	r := &installResult{Unit: role.Enabled(), DryRun: f.dryRun, Notes: []string{}, Next: []string{}}
	if r.Steps, err = setup.Uninstall(ctx, m, o, f.dryRun); err != nil {
		return r, err
	}
	left, err := setup.Leftovers(m, role)
	if err != nil {
		return r, err
	}
	for _, path := range left {
		if !f.dryRun {
			r.Notes = append(r.Notes, path+" stays: it is not farshore's")
		}
	}
	packaged, err := setup.Packaged(m, role)
	if err != nil {
		return r, err
	}
	if packaged {
		r.Notes = append(r.Notes, "units and program belong to the package: remove that with apt or dnf")
	}
	if !keys && !f.dryRun {
		r.Notes = append(r.Notes, fmt.Sprintf("%s stays, with its keys and credentials", "/etc/"+string(role)))
	}
	return r, r.kept()
}

// agreedToLose says what is lost with the keys, and takes one word alone for a yes.
func (e *env) agreedToLose(f installFlags, yes bool) error {
	if yes {
		return nil
	}
	in, ok := e.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) || e.flags.json {
		return usagef("nobody can be asked here whether the keys may go: add --yes")
	}
	fmt.Fprintf(e.stderr, "This removes /etc/%s, with configuration, keys and credentials.\n", f.role())
	if f.verifier {
		fmt.Fprintln(e.stderr, "The auditor's key is lost: its reports go on to count, and another auditor has to be named by the owner.")
	} else {
		fmt.Fprintln(e.stderr, "The agent's key is lost: this agent can't continue its chains, and another has to be named by the owner. Nothing in the vault is touched.")
	}
	if err := e.ask("Remove the keys? Type yes: ", in); err != nil {
		return errors.New("not agreed to: nothing was removed")
	}
	return nil
}

// belongsTo reports whether a directory is the user's. One that is not there is everybody's.
func belongsTo(dir string, uid int) bool {
	info, err := os.Stat(dir)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == uid
}
