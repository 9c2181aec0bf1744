package state

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// lockFile is never removed: whoever removed it could leave two processes with locks on two files.
const lockFile = "lock"

// lockDir takes the exclusive lock of the directory and writes this process's id into it. The lock ends with unlock, and with the process, however that ends; programs that it
// starts do not inherit it.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = fmt.Errorf("%w by %s: only one agent at a time", ErrLocked, holder(f))
		}
		return nil, errors.Join(err, f.Close())
	}
	if err := writePID(f); err != nil {
		return nil, errors.Join(err, unlock(f))
	}
	return f, nil
}

// unlock gives the lock up. Closing the file is not enough: a child that was forked a moment ago has it open too until it begins its program, and the lock would last as long.
func unlock(f *os.File) error {
	return errors.Join(unix.Flock(int(f.Fd()), unix.LOCK_UN), f.Close())
}

func writePID(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// holder says who has the lock, as far as the file tells: its owner may not have written its id yet.
func holder(f *os.File) string {
	text, err := io.ReadAll(io.NewSectionReader(f, 0, 32))
	if err != nil {
		return "another process"
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid <= 0 {
		return "another process"
	}
	return fmt.Sprintf("process %d", pid)
}

// minRoom is the free space, in bytes, below which nothing is written: the index must be able to write its log, a memtable and the
// outputs of one compaction, since it can't go back from a write that fails halfway.
const minRoom = 128 << 20

// freeRoom returns the bytes that this user may still write in the directory's file system.
func freeRoom(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * st.Bsize, nil
}

// checkRoom fails with ErrFull when there is too little.
func (s *Store) checkRoom() error {
	free, err := s.freeRoom(s.dir)
	if err != nil {
		return err
	}
	if free < minRoom {
		return fmt.Errorf("%w: %d bytes free, %d needed: make room on its file system", ErrFull, free, int64(minRoom))
	}
	return nil
}
