package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"farshore/agent/sidefile"
)

const (
	// socketMode is who may talk to the daemon: its own user, and its group.
	socketMode = 0o660
	// maxPath is the longest path of a socket in bytes: the kernel takes 107, of which a temporary name takes four more.
	maxPath = 103
	// answering is how long the daemon that may be at a socket has to take a connection.
	answering = time.Second
)

// ErrInUse says that somebody answers at the socket already.
var ErrInUse = errors.New("another daemon answers there already")

// Listen makes a Unix socket that its owner and its group may write to, at no time anybody else, and listens. Its directory must be there. A socket that a daemon left behind is replaced; where somebody answers
// (ErrInUse), or where something else lies, it fails. The listener's Close removes the socket, unless another one lies there by then.
func Listen(path string) (net.Listener, error) {
	l, err := listen(path)
	if err != nil {
		return nil, fmt.Errorf("control: the socket %s: %w", path, err)
	}
	return l, nil
}

func listen(path string) (net.Listener, error) {
	if len(path) > maxPath {
		return nil, fmt.Errorf("its path has %d bytes, and may have %d: give another with socket: in the configuration", len(path), maxPath)
	}
	if err := checkDirectory(filepath.Dir(path)); err != nil {
		return nil, err
	}
	// Two that begin at the same time would each take the other's socket for one that was left behind.
	unlock, err := sidefile.Lock(context.Background(), path+".lock")
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := free(path); err != nil {
		return nil, err
	}
	return bind(path)
}

// checkDirectory holds that nobody else can put a socket of his own in the place of the daemon's.
func checkDirectory(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("its directory is not there: make it (systemd does with RuntimeDirectory=), or give another with socket: in the configuration")
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is no directory", dir)
	case info.Mode().Perm()&0o002 != 0 && info.Mode()&fs.ModeSticky == 0:
		return fmt.Errorf("everybody may write to %s, and could put another socket in its place: chmod o-w %s", dir, dir)
	}
	return nil
}

// free holds that nobody answers at the path, and that nothing but a socket lies there.
func free(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("what lies there is no socket: move it away, or give another path with socket: in the configuration")
	}
	c, err := net.DialTimeout("unix", path, answering)
	switch {
	case err == nil:
		return errors.Join(ErrInUse, c.Close())
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, syscall.EAGAIN):
		return fmt.Errorf("%w, and has no time: %w", ErrInUse, err)
	}
	return fmt.Errorf("whether a daemon answers there is not known: %w", err)
}

// bind makes the socket under a temporary name, and gives it its own once it has its mode.
func bind(path string) (_ net.Listener, err error) {
	fresh := path + ".new"
	if err := remove(fresh); err != nil {
		return nil, err
	}
	// The mode that the descriptor has when it is bound is the most that the socket is made with, whatever the process's umask.
	private := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) { failed = unix.Fchmod(int(fd), 0o600) })
		return errors.Join(err, failed)
	}}
	bound, err := private.Listen(context.Background(), "unix", fresh)
	if err != nil {
		return nil, err
	}
	l := &listener{UnixListener: bound.(*net.UnixListener), path: path}
	l.SetUnlinkOnClose(false) // it is called something else by then
	defer func() {
		if err != nil {
			err = errors.Join(err, l.UnixListener.Close(), remove(fresh))
		}
	}()
	if err = os.Chmod(fresh, socketMode); err != nil {
		return nil, err
	}
	if l.own, err = os.Lstat(fresh); err != nil {
		return nil, err
	}
	if err = os.Rename(fresh, path); err != nil {
		return nil, err
	}
	return l, nil
}

// listener removes its own socket when it is closed.
type listener struct {
	*net.UnixListener
	path   string
	own    fs.FileInfo
	closed sync.Once
}

// Close ends Accept, and removes the socket. It may be called again, and does nothing then.
func (l *listener) Close() (err error) {
	l.closed.Do(func() {
		if there, failed := os.Lstat(l.path); failed == nil && os.SameFile(there, l.own) {
			err = remove(l.path)
		}
		err = errors.Join(l.UnixListener.Close(), err)
	})
	return err
}

// remove removes a socket, and nothing else. One that is not there is removed already.
func remove(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s is no socket: move it away", path)
	}
	return os.Remove(path)
}
