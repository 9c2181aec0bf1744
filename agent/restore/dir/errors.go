package dir

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"

	"farshore/agent/restore"
)

// inTheWay are failures that say something about one name, not about the target.
var inTheWay = []error{unix.ENOTDIR, unix.EISDIR, unix.ELOOP, unix.ENAMETOOLONG, unix.EILSEQ, unix.EINVAL, unix.EXDEV, unix.ENOTEMPTY}

// judge sorts a failure of the file system: *obstacle for what another name may get around, *restore.ItemError for what is
// about this one item, and the error itself for the rest, which stops the run.
func judge(err error) error {
	if err == nil {
		return nil
	}
	var one *restore.ItemError
	if _, ok := isBlocked(err); ok || errors.As(err, &one) {
		return err
	}
	for _, e := range inTheWay {
		if errors.Is(err, e) {
			return blocked("the file system refuses the name: %v", e)
		}
	}
	if errors.Is(err, fs.ErrPermission) {
		return &restore.ItemError{Err: err}
	}
	return err
}

// full says clearly that there is no room, for this file or for any.
func (t *Target) full(err error) error {
	if errors.Is(err, unix.EFBIG) {
		return &restore.ItemError{Err: fmt.Errorf("the file system can't hold a file of that size: %w", err)}
	}
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return fmt.Errorf("no room left in %s; make room and restore again, what is there already is skipped: %w", t.path, err)
	}
	return err
}
