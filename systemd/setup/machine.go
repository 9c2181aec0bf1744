package setup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Machine is what is changed: this machine, or a directory that stands for one. It is for one run at a time.
type Machine struct {
	// Root is put before all paths. Where it is not empty, no program is run.
	Root string
}

// patience bounds how long a program of the system may take; starting and stopping a service takes longer.
const (
	patience = 30 * time.Second
	// startPatience is more than the unit's own bound, so that systemd says what went wrong.
	startPatience = 150 * time.Second
)

// maxOutput bounds what is kept of what a program says.
const maxOutput = 64 << 10

// real reports whether it is this machine itself.
func (m *Machine) real() bool { return m.Root == "" }

// path is where a path of the machine is found.
func (m *Machine) path(p string) string { return filepath.Join("/", m.Root, p) }

// exists reports whether anything has that path, without following a symbolic link.
func (m *Machine) exists(p string) (bool, error) {
	_, err := os.Lstat(m.path(p))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// bounded is a buffer that forgets what is too much.
type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	if room := maxOutput - b.Len(); room > 0 {
		b.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

// run runs a program of the system and returns what it printed. An error has what it said.
func run(ctx context.Context, limit time.Duration, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "SYSTEMD_COLORS=0", "SYSTEMD_PAGER=", "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin:/usr/bin:/bin")
	cmd.WaitDelay = time.Second
	var out, errs bounded
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s: %w: %s", strings.Join(append([]string{name}, args...), " "), err, strings.TrimSpace(errs.String()))
	}
	return out.String(), nil
}

// says runs a program whose exit code is a yes (0) or a no.
func says(ctx context.Context, name string, args ...string) (bool, error) {
	_, err := run(ctx, patience, name, args...)
	var code *exec.ExitError
	if errors.As(err, &code) && code.Exited() {
		return false, nil
	}
	return err == nil, err
}

// ErrNoSystemd says that this machine was not started by systemd.
var ErrNoSystemd = errors.New("systemd does not run this machine")

// Check reports why nothing can be installed here: ErrNoSystemd, or an error that says who has to run it.
func (m *Machine) Check() error {
	if !m.real() {
		return nil
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("this changes the whole machine, and has to be run by root, not by user %d", os.Geteuid())
	}
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return ErrNoSystemd
	}
	return nil
}

// lookup returns the number of a user ("passwd") or a group ("group"), -1 for one that is not there. root is always 0.
func (m *Machine) lookup(ctx context.Context, database, name string) (int, error) {
	if name == "root" {
		return 0, nil
	}
	line := ""
	if m.real() {
		out, err := run(ctx, patience, "getent", database, name)
		var code *exec.ExitError
		if errors.As(err, &code) && code.ExitCode() == 2 {
			return -1, nil
		}
		if err != nil {
			return -1, err
		}
		line = out
	} else {
		data, err := os.ReadFile(m.path("/etc/" + database))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return -1, err
		}
		for one := range strings.Lines(string(data)) {
			if strings.HasPrefix(one, name+":") {
				line = one
			}
		}
	}
	return number(line)
}

// number takes the number out of a line of passwd or group; -1 for no line.
func number(line string) (int, error) {
	if line == "" {
		return -1, nil
	}
	fields := strings.Split(strings.TrimSpace(line), ":")
	if len(fields) < 3 {
		return -1, fmt.Errorf("%q is no line of a user or a group", line)
	}
	return strconv.Atoi(fields[2])
}

// GroupExists reports whether there is a group of that name.
func (m *Machine) GroupExists(ctx context.Context, name string) (bool, error) {
	id, err := m.lookup(ctx, "group", name)
	return id >= 0, err
}

// UserID returns the number of the user of that name, -1 for none.
func (m *Machine) UserID(ctx context.Context, name string) (int, error) {
	return m.lookup(ctx, "passwd", name)
}
