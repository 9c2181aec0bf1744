package fileprobe

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path"
	"strings"

	"farshore/agent/probe"
)

// What would allow it, in the words of file systems.
const (
	grantWrite  = "write permission on the files"
	grantFolder = "write permission on the folders"
	grantOwner  = "ownership of the files"
)

// Object returns the probes of a file. A directory keeps no versions: whatever changes or removes a file destroys it.
func (a *Attacker) Object() []probe.ObjectProbe {
	changes := func(name string, h probe.Harm, p probe.Property, grant string, try func(context.Context, probe.Canary) error) probe.ObjectProbe {
		return probe.ObjectProbe{Kind: probe.Kind{Probe: name, Property: p, Harm: h, Grant: grant}, Fresh: true, Try: a.try(try)}
	}
	return []probe.ObjectProbe{
		changes("chmod", probe.Loosens, probe.NoShorten, grantOwner, a.chmod),
		changes("append", probe.Destroys, probe.CreateOnly, grantWrite, a.append),
		changes("overwrite", probe.Destroys, probe.CreateOnly, grantWrite, a.overwrite),
		changes("replace", probe.Destroys, probe.CreateOnly, grantFolder, a.replace),
		changes("rename", probe.Destroys, probe.NoDestroy, grantFolder, a.rename),
		changes("remove", probe.Destroys, probe.NoDestroy, grantFolder, a.remove),
	}
}

// errNotTried wraps why a probe was not made.
type errNotTried struct{ error }

// try checks the name before anything is done with it.
func (a *Attacker) try(do func(context.Context, probe.Canary) error) func(context.Context, probe.Canary) probe.Result {
	return func(ctx context.Context, c probe.Canary) probe.Result {
		if _, err := a.target(c.Name); err != nil {
			return refused(err)
		}
		if err := ctx.Err(); err != nil {
			return refused(err)
		}
		err := do(ctx, c)
		var not errNotTried
		if errors.As(err, &not) {
			return refused(not)
		}
		return answer(err)
	}
}

// chmod sets the mode that the file has already: the system asks for the same right as for another one.
func (a *Attacker) chmod(_ context.Context, c probe.Canary) error {
	info, err := a.root.Lstat(c.Name)
	if err != nil {
		return err
	}
	return a.root.Chmod(c.Name, info.Mode().Perm())
}

// append adds to the file, which an append-only attribute still allows. The bytes are then no longer what the name says.
func (a *Attacker) append(_ context.Context, c probe.Canary) error {
	return a.write(c, os.O_WRONLY|os.O_APPEND, func(f *os.File) error {
		_, err := f.WriteString("more")
		return err
	})
}

// overwrite cuts the file off and writes something else.
func (a *Attacker) overwrite(_ context.Context, c probe.Canary) error {
	return a.write(c, os.O_WRONLY, func(f *os.File) error {
		if err := f.Truncate(0); err != nil {
			return err
		}
		_, err := f.WriteString("overwritten")
		return err
	})
}

// write opens the canary for writing and, once it is sure to be the file that was looked at, has do change it. Nothing is changed by the opening. A name that nothing has is
// made anew: whoever may not do that may not write here at all.
func (a *Attacker) write(c probe.Canary, flags int, do func(*os.File) error) (err error) {
	if !c.Exists {
		flags |= os.O_CREATE | os.O_EXCL
	}
	f, err := a.root.OpenFile(c.Name, flags, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	opened, err := f.Stat()
	if err != nil {
		return err
	}
	named, err := a.root.Lstat(c.Name)
	if err != nil {
		return err
	}
	if !os.SameFile(opened, named) {
		return errNotTried{errors.New("the canary " + c.Name + " was changed by somebody else while it was opened")}
	}
	if err := alone(c.Name, opened); err != nil {
		return errNotTried{err}
	}
	return do(f)
}

// replace moves another canary over this one. Only canaries are involved.
func (a *Attacker) replace(ctx context.Context, c probe.Canary) error {
	second, err := a.other(ctx, c.Name)
	if err != nil {
		return errNotTried{err}
	}
	return a.root.Rename(second, c.Name)
}

// rename moves the canary to a name that nothing has: the name of another canary, drawn at random.
func (a *Attacker) rename(_ context.Context, c probe.Canary) error {
	to, err := a.target(path.Dir(c.Name) + "/" + strings.ToLower(rand.Text()))
	if err != nil {
		return errNotTried{err}
	}
	return a.root.Rename(c.Name, to)
}

// remove removes the canary.
func (a *Attacker) remove(_ context.Context, c probe.Canary) error {
	return a.root.Remove(c.Name)
}
