package sidefile

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// ErrForeign says that root was to work in another user's directory.
var ErrForeign = errors.New("it belongs to another user, who could lead root from there to any file by a link")

// CheckOwner keeps root from working in a directory that is another user's, with ErrForeign: what opens files by their names there, as a database does, follows the links that its owner
// puts there. What is not there, or is not asked by root, is nobody's concern. The functions of this package may be used in such a directory: they follow no link.
func CheckOwner(dir string) error { return checkOwner(dir, os.Geteuid()) }

func checkOwner(dir string, uid int) error {
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); uid != 0 || err != nil || st.Uid == 0 {
		return nil
	}
	return fmt.Errorf("%s: %w (uid %d)", dir, ErrForeign, st.Uid)
}
