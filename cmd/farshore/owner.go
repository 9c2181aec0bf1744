package main

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// asOwnerOf does work in a directory with the rights of the directory's owner, where root runs the command and the directory is somebody else's, as a service's local state is: what root
// opened there by a name could be a link to anything, and what root left there the service could not use. Root's rights are there again afterwards. It concerns the whole process, so that
// nothing else may be under way.
func asOwnerOf(dir string, work func() error) (err error) {
	var st unix.Stat_t
	if os.Geteuid() != 0 || unix.Stat(dir, &st) != nil || st.Uid == 0 {
		return work()
	}
	groups, err := os.Getgroups()
	if err != nil {
		return err
	}
	// Root stays the saved user alone: programs that are started meanwhile have nothing of it.
	defer func() {
		err = errors.Join(err, syscall.Setresuid(0, 0, 0), syscall.Setresgid(0, 0, 0), syscall.Setgroups(groups))
	}()
	uid, gid := int(st.Uid), int(st.Gid)
	if err := errors.Join(syscall.Setgroups([]int{gid}), syscall.Setresgid(gid, gid, 0), syscall.Setresuid(uid, uid, 0)); err != nil {
		return err
	}
	return work()
}
