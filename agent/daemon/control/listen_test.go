package control

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// leave leaves a socket behind at which nobody answers.
func leave(t *testing.T, path string) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func shut(t *testing.T, l net.Listener) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// TestListen holds a socket to its mode whatever the umask, a stale one to be replaced, and what is not stale to be left alone.
func TestListen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	leave(t, path)
	leave(t, path+".new")
	old := syscall.Umask(0) // no other test of this package runs at the same time
	l, err := Listen(path)
	syscall.Umask(old)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != fs.ModeSocket|socketMode {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if _, err := Listen(path); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), path) {
		t.Errorf("a second one: %v", err)
	}
	shut(t, l)
	shut(t, l)
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Error("still there", err)
	}
}

// TestNeverOpen holds that the socket is at no time one that others may write to, whatever the umask: it asks for its mode in the moment in which it is bound.
func TestNeverOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	var widest fs.FileMode
	over, looked := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(looked)
		for {
			for _, p := range []string{path, path + ".new"} {
				if info, err := os.Lstat(p); err == nil {
					widest |= info.Mode().Perm()
				}
			}
			select {
			case <-over:
				return
			default:
			}
		}
	}()
	for range 200 {
		l, err := Listen(path)
		if err != nil {
			t.Fatal(err)
		}
		shut(t, l)
	}
	close(over)
	<-looked
	if widest&^socketMode != 0 {
		t.Errorf("it had the mode %v", widest)
	}
}

// TestLeftAlone holds that nothing but a stale socket is ever taken away.
func TestLeftAlone(t *testing.T) {
	for name, k := range map[string]struct {
		make func(path string) error
		says string
	}{
		"a file":        {func(p string) error { return os.WriteFile(p, []byte("theirs"), 0o600) }, "no socket"},
		"a directory":   {func(p string) error { return os.Mkdir(p, 0o700) }, "no socket"},
		"a link":        {func(p string) error { return os.Symlink("elsewhere", p) }, "no socket"},
		"in the way":    {func(p string) error { return os.WriteFile(p+".new", nil, 0o600) }, "no socket"},
		"no directory":  {func(p string) error { return os.Remove(filepath.Dir(p)) }, "its directory is not there"},
		"open to all":   {func(p string) error { return os.Chmod(filepath.Dir(p), 0o777) }, "chmod o-w"},
		"open, but one": {func(p string) error { return os.Chmod(filepath.Dir(p), 0o777|fs.ModeSticky) }, ""},
	} {
		dir := filepath.Join(t.TempDir(), "d")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "s")
		if err := k.make(path); err != nil {
			t.Fatal(err)
		}
		before, _ := os.Lstat(path)
		l, err := Listen(path)
		if k.says == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			} else {
				shut(t, l)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), k.says) {
			t.Errorf("%s: %v", name, err)
		}
		if after, _ := os.Lstat(path); before != nil && !os.SameFile(before, after) {
			t.Errorf("%s is gone", name)
		}
	}
	if _, err := Listen("/" + strings.Repeat("x", maxPath)); err == nil || !strings.Contains(err.Error(), "bytes") {
		t.Error(err)
	}
}

// TestLongest holds that the longest path that is allowed is one.
func TestLongest(t *testing.T) {
	dir, err := os.MkdirTemp("/tmp", "s")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, strings.Repeat("x", maxPath-len(dir)-1))
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	shut(t, l)
}

// TestTakenAway holds that a listener does not remove the socket of another that took its place.
func TestTakenAway(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	first, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	second, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	shut(t, first)
	if _, err := os.Lstat(path); err != nil {
		t.Error(err)
	}
	shut(t, second)
}

// TestOneOfMany lets several begin at the same socket, beside a stale one: one gets it, and keeps it.
func TestOneOfMany(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	leave(t, path)
	var all sync.WaitGroup
	got := make(chan net.Listener, 8)
	for range cap(got) {
		all.Go(func() {
			l, err := Listen(path)
			if err == nil {
				got <- l
			} else if !errors.Is(err, ErrInUse) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	close(got)
	n := 0
	for l := range got {
		n++
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Error(err)
		} else {
			_ = c.Close()
		}
		shut(t, l)
	}
	if n != 1 {
		t.Errorf("%d listen", n)
	}
}
