package setup

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"farshore/systemd"
)

// notFound reports whether a program is not on this machine.
func notFound(err error) bool { return errors.Is(err, exec.ErrNotFound) }

// sysusersFile is the file that names the role's user.
func sysusersFile(l *layout) string {
	if l.packaged {
		return "/usr/lib/sysusers.d/farshore.conf"
	}
	return "/etc/sysusers.d/" + string(l.role) + ".conf"
}

// recordPath has the hashes of programs that were put at localBinary, as sha256sum writes them: the one that is there, and until a run is over the one before.
const recordPath = recordDir + "/farshore.sha256"

// binaryStep puts the program that runs where the units look for it. What was there and was not put there by an earlier run stays.
func binaryStep(m *Machine, l *layout, o Options, changed *bool) Step {
	b := binary{m, o}
	return Step{
		What: localBinary,
		Done: func(context.Context) (bool, error) {
			ok, err := b.done()
			*changed = *changed || !ok
			return ok, err
		},
		Do:   func(context.Context) error { return b.put() },
		Gone: func(context.Context) (bool, error) { return b.gone(l) },
		Undo: func(context.Context) error { return b.remove() },
	}
}

type binary struct {
	m *Machine
	o Options
}

// hash is the SHA-256 of a regular file, "" where there is none.
func hash(path string) (string, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// recorded are the hashes of what was put there.
func (b binary) recorded() ([]string, error) {
	data, err := b.m.text(recordPath)
	if err != nil {
		return nil, err
	}
	var out []string
	in := bufio.NewScanner(strings.NewReader(string(data)))
	for in.Scan() {
		if sum, _, ok := strings.Cut(in.Text(), " "); ok {
			out = append(out, sum)
		}
	}
	return out, in.Err()
}

func (b binary) record(sums ...string) error {
	var text strings.Builder
	for _, s := range sums {
		fmt.Fprintf(&text, "%s  %s\n", s, localBinary)
	}
	if err := os.MkdirAll(b.m.path(recordDir), 0o755); err != nil {
		return err
	}
	return replace(b.m.path(recordPath), strings.NewReader(text.String()), 0o644)
}

// done reports whether the program that runs is there. One that runs from there is there, whoever put it.
func (b binary) done() (bool, error) {
	here, err := hash(b.m.path(localBinary))
	if err != nil {
		return false, err
	}
	if b.m.real() && b.o.Self == localBinary {
		return true, nil
	}
	self, err := hash(b.o.Self)
	if err != nil || self == "" {
		return false, errors.Join(err, fmt.Errorf("read the program %s", b.o.Self))
	}
	sums, err := b.recorded()
	if err != nil {
		return false, err
	}
	switch {
	case here == self:
		return len(sums) <= 1, nil // more: a run was cut short
	case here == "" || slices.Contains(sums, here) || b.o.Force:
		return false, nil
	}
	return false, fmt.Errorf("another %s is there, which `farshore install` did not put there: move it away, or install from it, or use --force", localBinary)
}

// put copies the program. The record says what is there at any moment.
func (b binary) put() error {
	f, err := os.Open(b.o.Self)
	if err != nil {
		return err
	}
	defer f.Close()
	self, err := hash(b.o.Self)
	if err != nil {
		return err
	}
	here, err := hash(b.m.path(localBinary))
	if err != nil {
		return err
	}
	before := []string{self}
	if here != "" && here != self {
		before = append(before, here)
	}
	if err := b.record(before...); err != nil {
		return err
	}
	if here != self {
		if err := b.copy(f); err != nil {
			return err
		}
	}
	return b.record(self)
}

func (b binary) copy(f io.Reader) error {
	if err := os.MkdirAll(b.m.path("/usr/local/bin"), 0o755); err != nil {
		return err
	}
	return replace(b.m.path(localBinary), f, 0o755)
}

// gone reports whether nothing is there that was put there, or it is still needed by the machine's other service.
func (b binary) gone(l *layout) (bool, error) {
	other := systemd.Verifier
	if l.role == systemd.Verifier {
		other = systemd.Agent
	}
	needed, err := b.m.exists(unitDir + "/" + other.Units()[0])
	if err != nil || needed {
		return needed, err
	}
	if err := b.wanted(l); err != nil {
		return false, err
	}
	sums, err := b.recorded()
	if err != nil {
		return false, err
	}
	here, err := hash(b.m.path(localBinary))
	switch {
	case err != nil:
		return false, err
	case len(sums) == 0:
		return true, nil
	case here != "" && !slices.Contains(sums, here) && !b.o.Force:
		return false, &Kept{"it is not the program that `farshore install` put there: use --force, or remove it by hand"}
	}
	return false, nil
}

// wanted keeps the program where the role's own unit, which runs it, is kept because somebody changed it.
func (b binary) wanted(l *layout) error {
	unit := unitDir + "/" + l.role.Units()[0]
	text, err := b.m.text(unit)
	var kept *Kept
	switch {
	case b.o.Force:
		return nil
	case errors.As(err, &kept), err == nil && text != nil && !intact(text):
		return &Kept{unit + " was changed and is kept, and runs it"}
	}
	return err
}

// remove removes the program, then the record, so that a run that was cut short is finished by the next.
func (b binary) remove() error {
	for _, path := range []string{localBinary, recordPath, recordDir} {
		if err := os.Remove(b.m.path(path)); err != nil && !errors.Is(err, fs.ErrNotExist) && !(path == recordDir && errors.Is(err, unix.ENOTEMPTY)) {
			return err
		}
	}
	return errors.Join(syncDir(b.m.path("/usr/local/bin")), syncDir(b.m.path("/usr/local/lib")))
}
