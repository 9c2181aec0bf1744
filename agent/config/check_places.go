package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// directories looks at what is written to.
func (k *checker) directories() {
	if err := makeable(k.c.State); err != nil {
		k.problem(in("state"), "the directory of local state: %v", err)
	}
	if s := k.c.Verify.Scratch; s != "" {
		if err := usable(below(filepath.Dir(k.c.Path), s, "")); err != nil {
			k.problem(in("verify", "scratch"), "%v", err)
		}
	}
	if path := k.c.TextfilePath(); path != "" {
		at := in("metrics", "textfile")
		if err := usable(filepath.Dir(path)); err != nil {
			k.problem(at, "%v", err)
		} else if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
			k.problem(at, "%s is no regular file", path)
		}
	}
}

// socket looks at where the daemon's socket is to be.
func (k *checker) socket() {
	at := in("socket")
	path, err := k.c.SocketPath(k.getenv)
	if err != nil {
		k.problem(at, "%v", err)
		return
	}
	dir := filepath.Dir(path)
	info, err := os.Stat(dir)
	switch {
	case dir == filepath.Clean(k.c.State):
		return // which is made, and was looked at
	case errors.Is(err, fs.ErrNotExist) && strings.HasPrefix(dir, "/run/"):
		k.note(at, "%s is not there: systemd makes it for the service (RuntimeDirectory=%s)", dir, filepath.Base(dir))
	case err == nil && info.IsDir() && info.Mode().Perm()&0o002 != 0 && info.Mode()&fs.ModeSticky == 0:
		k.problem(at, "everybody may put another socket in place of %s: run chmod o-w %s", path, dir)
	default:
		if err := usable(dir); err != nil {
			k.problem(at, "%v", err)
			return
		}
		if info, err := os.Lstat(path); err == nil && info.Mode().Type() != fs.ModeSocket {
			k.problem(at, "%s is there already, and is no socket", path)
		}
	}
}

// usable reports why files can't be made in a directory.
func usable(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s is not there: make it, or name another directory", dir)
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is no directory", dir)
	}
	if err := unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK|unix.X_OK, unix.AT_EACCESS); err != nil {
		return fmt.Errorf("%s can't be written to by this user: %w", dir, err)
	}
	return nil
}

// makeable reports why files can't be made in a directory that is made where it is not there.
func makeable(dir string) error {
	for {
		_, err := os.Stat(dir)
		up := filepath.Dir(dir)
		if !errors.Is(err, fs.ErrNotExist) || up == dir {
			return usable(dir)
		}
		dir = up
	}
}
