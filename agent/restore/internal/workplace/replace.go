package workplace

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// AsideMark stands between the name of what was replaced, which lies beside its successor, and a number.
const AsideMark = ".before-restore-"

// maxAside is how many older ones of a name may lie beside it.
const maxAside = 10000

// Replace has make make a successor of what has the name of target, at a path beside it that no other process uses, and gives it the name. What had the name lies beside
// it then, under the next free one with AsideMark. On failure all is as it was. What make makes is durable when it returns. left is Workplace.Left.
//
// Whenever the process is killed, what had the name and a successor that was whole lie under target's name or under one with AsideMark, where nobody takes them for
// leftovers; and where the file system can exchange two names, target's is never missing.
func Replace(target string, make func(path string) error) (left, err error) {
	w, err := beside(target)
	if err != nil {
		return nil, err
	}
	made := filepath.Join(w.Path, "successor")
	if err = make(made); err == nil {
		err = names{renameNew, exchange}.succeed(made, w.target)
	}
	if err == nil {
		err = syncFolder(filepath.Dir(w.target))
	}
	return w.Left, errors.Join(err, w.Close())
}

// names changes names: move gives one that nothing has, or fails with ErrExists; swap exchanges two, or fails with errors.ErrUnsupported.
type names struct{ move, swap func(a, b string) error }

// succeed gives what was made the target's name. It leaves the workplace first, since what a killed process leaves there is removed.
func (n names) succeed(made, target string) error {
	next, err := n.aside(made, target)
	if err != nil {
		return err
	}
	if err = n.replace(next, target); err != nil {
		return errors.Join(err, n.move(next, made))
	}
	return nil
}

// replace gives next the target's name, and what had it one beside it.
func (n names) replace(next, target string) error {
	err := n.swap(next, target)
	if !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	old, err := n.aside(target, target)
	if err != nil {
		return err
	}
	if err = n.move(next, target); err != nil {
		return errors.Join(err, n.move(old, target))
	}
	return nil
}

// aside moves something to a name beside the target, and returns that.
func (n names) aside(from, target string) (string, error) {
	for i := 1; i <= maxAside; i++ {
		to := fmt.Sprintf("%s%s%d", target, AsideMark, i)
		if err := n.move(from, to); !errors.Is(err, ErrExists) {
			return to, err
		}
	}
	return "", fmt.Errorf("%s: there are %d older ones beside it already; remove some", target, maxAside)
}

// exchange exchanges two names in one step.
func exchange(a, b string) error {
	err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE)
	switch {
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOSYS), errors.Is(err, unix.ENOTSUP):
		return errors.ErrUnsupported
	case err != nil:
		return &os.LinkError{Op: "exchange", Old: a, New: b, Err: err}
	}
	return nil
}
