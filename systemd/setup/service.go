package setup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"farshore/systemd"
)

// NotStarted says that a unit did not come up.
type NotStarted struct {
	Unit string
	// Status is what systemd says of it, Journal its last lines.
	Status  string
	Journal []string
	err     error
}

func (e *NotStarted) Error() string { return fmt.Sprintf("%s did not start (%s)", e.Unit, e.Status) }
func (e *NotStarted) Unwrap() error { return e.err }

// journalLines is how many of a unit's last lines are shown.
const journalLines = 20

// serviceSteps have systemd read the units, and enable and start the role's.
func serviceSteps(m *Machine, l *layout, o Options, changed *bool) []Step {
	if !m.real() {
		return nil
	}
	unit := l.role.Enabled()
	steps := []Step{
		{
			What: "systemd reads its units",
			Done: func(ctx context.Context) (bool, error) { return fresh(ctx, l, changed) },
			Do:   func(ctx context.Context) error { return systemctl(ctx, "daemon-reload") },
		},
		{
			What: unit + ", started with the machine",
			Done: func(ctx context.Context) (bool, error) { return says(ctx, "systemctl", "is-enabled", "--quiet", unit) },
			Do:   func(ctx context.Context) error { return systemctl(ctx, "enable", "--quiet", unit) },
			Gone: func(ctx context.Context) (bool, error) {
				ok, err := says(ctx, "systemctl", "is-enabled", "--quiet", unit)
				return !ok, err
			},
			Undo: func(ctx context.Context) error { return systemctl(ctx, "disable", "--quiet", unit) },
		},
	}
	return append(steps, runningStep(m, l, o, changed))
}

// runningStep starts what shall run, and stops all that runs.
func runningStep(m *Machine, l *layout, o Options, changed *bool) Step {
	unit, service := l.role.Enabled(), l.role.Units()[0]
	both := slices.Compact([]string{unit, service})
	s := Step{
		What: unit + ", running",
		Gone: func(ctx context.Context) (bool, error) {
			for _, u := range both {
				if state, err := stateOf(ctx, u); err != nil || state != "inactive" {
					return false, err
				}
			}
			return true, nil
		},
		Undo: func(ctx context.Context) error { return stop(ctx, both) },
	}
	if o.Start {
		s.Done = func(ctx context.Context) (bool, error) {
			ok, err := says(ctx, "systemctl", "is-active", "--quiet", unit)
			if err != nil || !ok || *changed {
				return false, err
			}
			stale, err := older(ctx, m, l, unit)
			return !stale, err
		}
		s.Do = func(ctx context.Context) error { return start(ctx, unit) }
	}
	return s
}

// stop stops the units, and has systemd forget that one failed.
func stop(ctx context.Context, units []string) error {
	if _, err := run(ctx, startPatience, "systemctl", append([]string{"stop", "--"}, units...)...); err != nil {
		return err
	}
	for _, u := range units {
		state, err := stateOf(ctx, u)
		if err == nil && state == "failed" {
			err = systemctl(ctx, "reset-failed", "--", u)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// stateOf is active, inactive, failed, or on the way from one to the other. A unit that is not there is inactive.
func stateOf(ctx context.Context, unit string) (string, error) {
	out, err := run(ctx, patience, "systemctl", "show", "--property=ActiveState", "--value", "--", unit)
	return strings.TrimSpace(out), err
}

// older reports whether a unit was started before what it is made of was changed last: an earlier run was cut short, or somebody put another key there.
func older(ctx context.Context, m *Machine, l *layout, unit string) (bool, error) {
	out, err := run(ctx, patience, "env", "TZ=UTC", "systemctl", "show", "--property=InactiveExitTimestamp", "--value", "--", unit)
	if err != nil {
		return false, err
	}
	began, err := time.Parse("Mon 2006-01-02 15:04:05 MST", strings.TrimSpace(out))
	if err != nil {
		return false, fmt.Errorf("systemd says that %s began at %q: %w", unit, strings.TrimSpace(out), err)
	}
	for _, pattern := range []string{l.binary, l.configDir() + "/credentials/*", l.configDir() + "/keys/*", l.configDir() + "/environment", unitDir + "/" + unit, unitDir + "/" + unit + ".d/*"} {
		paths, err := filepath.Glob(m.path(pattern))
		if err != nil {
			return false, err
		}
		for _, path := range paths {
			// The time of the start is cut to seconds: what was written in the same one was there before, as far as can be known.
			if info, err := os.Stat(path); err == nil && info.ModTime().Truncate(time.Second).After(began) {
				return true, nil
			}
		}
	}
	return false, nil
}

// fresh reports whether systemd has read the units as they are.
func fresh(ctx context.Context, l *layout, changed *bool) (bool, error) {
	if *changed {
		return false, nil
	}
	for _, unit := range l.role.Units() {
		if strings.Contains(unit, "@") {
			continue // a template has no state of its own
		}
		out, err := run(ctx, patience, "systemctl", "show", "--property=NeedDaemonReload", "--value", "--", unit)
		if err != nil || strings.TrimSpace(out) == "yes" {
			*changed = true
			return false, err
		}
	}
	return true, nil
}

// forgetStep has systemd forget units that were removed.
func forgetStep(m *Machine, l *layout, changed *bool) Step {
	s := Step{What: "what systemd knows of the units"}
	if m.real() {
		s.Gone = func(context.Context) (bool, error) { return !*changed, nil }
		units := l.role.Units()
		alerts := strings.Replace(units[len(units)-1], "@", "@*", 1)
		s.Undo = func(ctx context.Context) error {
			return errors.Join(systemctl(ctx, "reset-failed", "--", alerts), systemctl(ctx, "daemon-reload"))
		}
	}
	return s
}

func systemctl(ctx context.Context, args ...string) error {
	_, err := run(ctx, patience, "systemctl", args...)
	return err
}

// start starts a unit, or starts it anew, and waits until it is up. The count of earlier failures is forgotten: somebody mended something.
func start(ctx context.Context, unit string) error {
	began := time.Now()
	_, _ = run(ctx, patience, "systemctl", "reset-failed", "--", unit) // fails for a unit that never ran
	_, err := run(ctx, startPatience, "systemctl", "restart", "--", unit)
	if err == nil {
		return nil
	}
	bad := &NotStarted{Unit: unit, err: err}
	bad.Status, _ = Look(ctx, unit)
	lines, _ := run(ctx, patience, "journalctl", "--quiet", "--no-pager", "--output=cat", fmt.Sprintf("--lines=%d", journalLines), fmt.Sprintf("--since=@%d", began.Unix()), "--unit="+unit)
	bad.Journal = strings.Split(strings.TrimSpace(lines), "\n")
	return bad
}

// Look says in a line how a unit is.
func Look(ctx context.Context, unit string) (string, error) {
	out, err := run(ctx, patience, "systemctl", "show", "--property=ActiveState,SubState,Result,StatusText", "--", unit)
	if err != nil {
		return "", err
	}
	of := map[string]string{}
	for line := range strings.Lines(out) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		of[key] = value
	}
	text := of["ActiveState"] + " (" + of["SubState"] + ")"
	if r := of["Result"]; r != "" && r != "success" {
		text += ", result " + r
	}
	if s := of["StatusText"]; s != "" {
		text += ": " + s
	}
	return text, nil
}

// Leftovers are the files that others laid over the role's units: they are nobody's but theirs.
func Leftovers(m *Machine, r systemd.Role) ([]string, error) {
	var out []string
	for _, unit := range r.Units() {
		entries, err := os.ReadDir(m.path(unitDir + "/" + unit + ".d"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, e := range entries {
			out = append(out, unitDir+"/"+unit+".d/"+e.Name())
		}
	}
	return out, nil
}
