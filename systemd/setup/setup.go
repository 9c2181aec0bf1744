// Package setup makes farshore a service of this machine, and takes it away again. What is to be done is a list of steps; each knows by itself whether it is done, so that a run that
// was cut short is finished by the next one, and another run changes nothing. It reads no configuration and knows no vault. What somebody else wrote or changed it names and leaves alone.
package setup

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"farshore/systemd"
)

// Options say what is set up.
type Options struct {
	// Role is which service it is.
	Role systemd.Role
	// Self is the program that runs, with symbolic links resolved. It is what is installed.
	Self string
	// Asked are the paths and groups that somebody asked for now; nil keeps what an earlier run was asked for. Derived are those that the configuration needs; nil leaves them as they are.
	Asked, Derived *Paths
	// Start says that the service shall run.
	Start bool
	// Force replaces and removes what was changed since it was installed.
	Force bool
	// RemoveState and RemoveKeys are for Uninstall: whether the local state, and the configuration with keys and credentials, go as well.
	RemoveState, RemoveKeys bool
	// removing says that the plan is for Uninstall, where nothing of what is wanted has to make sense.
	removing bool
}

// Step is one thing of an installation, there and back.
type Step struct {
	// What names it for people.
	What string
	// Done reports whether it is as it should be, Do makes it so. Both nil: the step is for Uninstall alone.
	Done func(context.Context) (bool, error)
	Do   func(context.Context) error
	// Gone reports whether nothing of it is there, Undo takes it away. Both nil: it stays.
	Gone func(context.Context) (bool, error)
	Undo func(context.Context) error
}

// States of an Outcome.
const (
	Unchanged = "unchanged"
	WasKept   = "kept"
	// Of Install.
	Changed = "done"
	WouldDo = "would be done"
	// Of Uninstall.
	Removed     = "removed"
	WouldRemove = "would be removed"
)

// Outcome is what came of a step.
type Outcome struct {
	What  string `json:"what"`
	State string `json:"state"`
	// Why is why it was kept.
	Why string `json:"why,omitempty"`
}

// Kept is the error of a step that left alone what is not as farshore left it. The steps after it go on.
type Kept struct{ Why string }

func (k *Kept) Error() string { return "kept: " + k.Why }

// Install takes the steps for the role, and tells of each. With dry it changes nothing. It ends at the first step that fails, with what came of those before.
func Install(ctx context.Context, m *Machine, o Options, dry bool) ([]Outcome, error) {
	steps, err := plan(ctx, m, o)
	if err != nil {
		return nil, err
	}
	var out []Outcome
	for _, s := range steps {
		if s.Do == nil {
			continue
		}
		one, err := take(ctx, Outcome{What: s.What, State: Changed}, s.Done, s.Do, dry)
		if err != nil {
			return out, err
		}
		out = append(out, one)
	}
	return out, nil
}

// Uninstall takes the steps back, the last first. It is as Install otherwise.
func Uninstall(ctx context.Context, m *Machine, o Options, dry bool) ([]Outcome, error) {
	o.Asked, o.Derived, o.removing = nil, nil, true
	steps, err := plan(ctx, m, o)
	if err != nil {
		return nil, err
	}
	var out []Outcome
	for _, s := range slices.Backward(steps) {
		if s.Undo == nil {
			continue
		}
		one, err := take(ctx, Outcome{What: s.What, State: Removed}, s.Gone, s.Undo, dry)
		if err != nil {
			return out, err
		}
		out = append(out, one)
	}
	return out, nil
}

// take does one step where it is not done. out says what it is, and how it is called when it was done.
func take(ctx context.Context, out Outcome, done func(context.Context) (bool, error), do func(context.Context) error, dry bool) (Outcome, error) {
	ok, err := done(ctx)
	switch {
	case err != nil:
	case ok:
		out.State = Unchanged
	case !dry:
		err = do(ctx)
	case out.State == Changed:
		out.State = WouldDo
	default:
		out.State = WouldRemove
	}
	var kept *Kept
	if errors.As(err, &kept) {
		out.State, out.Why = WasKept, kept.Why
		return out, nil
	}
	if err != nil {
		return out, fmt.Errorf("%s: %w", out.What, err)
	}
	return out, nil
}

// layout is where things of a role are. Paths are those of the machine, without Machine.Root.
type layout struct {
	role systemd.Role
	// binary is the program that the units run; own says that Install puts it there.
	binary string
	own    bool
	// packaged says that a package brought the units.
	packaged bool
}

const (
	unitDir     = "/etc/systemd/system"
	localBinary = "/usr/local/bin/farshore"
	// recordDir has the hash of the program that was put there.
	recordDir = "/usr/local/lib/farshore"
)

// packageUnitDirs are where packages put units.
var packageUnitDirs = [...]string{"/usr/lib/systemd/system", "/lib/systemd/system"}

// newLayout looks at what is there.
func newLayout(m *Machine, o Options) (*layout, error) {
	l := &layout{role: o.Role}
	for _, dir := range packageUnitDirs {
		there, err := m.exists(dir + "/" + o.Role.Units()[0])
		if err != nil {
			return nil, err
		}
		l.packaged = l.packaged || there
	}
	switch {
	case l.packaged || o.Self == systemd.PackagedBinary:
		l.binary = systemd.PackagedBinary
	default:
		l.binary, l.own = localBinary, true
	}
	return l, nil
}

func (l *layout) configDir() string { return "/etc/" + string(l.role) }
func (l *layout) stateDir() string  { return StateDir(l.role) }

// StateDir is where a role's local state is.
func StateDir(r systemd.Role) string { return "/var/lib/" + string(r) }

// ConfigPath is where a role's configuration lies.
func ConfigPath(r systemd.Role) string { return "/etc/" + string(r) + "/farshore.yaml" }

// Packaged reports whether a package brought the role's units.
func Packaged(m *Machine, r systemd.Role) (bool, error) {
	l, err := newLayout(m, Options{Role: r})
	if err != nil {
		return false, err
	}
	return l.packaged, nil
}

// plan is the whole list, in the order of an installation.
func plan(ctx context.Context, m *Machine, o Options) ([]Step, error) {
	l, err := newLayout(m, o)
	if err != nil {
		return nil, err
	}
	// changed is set as soon as the service has to be started anew.
	changed := new(bool)
	var steps []Step
	if l.own || o.removing {
		steps = append(steps, binaryStep(m, l, o, changed))
	}
	steps = append(steps,
		l.fileStep(m, "/etc/sysusers.d/"+string(l.role)+".conf", systemd.Sysusers(l.role), o.Force, new(bool)),
		userStep(m, l, o),
		l.fileStep(m, "/etc/tmpfiles.d/"+string(l.role)+".conf", systemd.Tmpfiles(l.role), o.Force, new(bool)))
	steps = append(steps, treeStep(m, l.configDir(), o.RemoveKeys))
	places, err := placeSteps(m, l)
	if err != nil {
		return nil, err
	}
	steps = append(append(steps, places...), stateStep(m, l, o.RemoveState))
	if l.role == systemd.Verifier && o.RemoveState {
		steps = append(steps, timeStep(m))
	}
	units, err := unitSteps(m, l, o, changed)
	if err != nil {
		return nil, err
	}
	steps = append(steps, forgetStep(m, l, changed))
	steps = append(steps, units...)
	return append(steps, serviceSteps(m, l, o, changed)...), nil
}

// fileStep is a file that a package brings, too. Where one did, ours would lie over it: it is removed.
func (l *layout) fileStep(m *Machine, path, text string, force bool, changed *bool) Step {
	if !l.packaged {
		return textStep(m, path, text, force, changed)
	}
	s := textStep(m, path, "", force, changed)
	s.What += " (none: the package has its own)"
	return s
}
