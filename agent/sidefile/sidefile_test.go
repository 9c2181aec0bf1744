package sidefile

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// TestLock holds that of many at the same time none is lost.
func TestLock(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "n")
	if err := Replace(path, []byte("0"), 0o600); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	const runs = 50
	for range runs {
		all.Go(func() {
			unlock, err := Lock(context.Background(), filepath.Join(dir, "lock"))
			for errors.Is(err, context.DeadlineExceeded) { // a slow disk's
				unlock, err = Lock(context.Background(), filepath.Join(dir, "lock"))
			}
			if err != nil {
				t.Error(err)
				return
			}
			defer unlock()
			data, err := Read(path, 10)
			n, nerr := strconv.Atoi(string(data))
			if err := errors.Join(err, nerr, Replace(path, []byte(strconv.Itoa(n+1)), 0o600)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if data, err := Read(path, 10); err != nil || string(data) != strconv.Itoa(runs) {
		t.Errorf("%s, %v", data, err)
	}
}

// TestLockHeld holds that waiting ends with the context, and that the lock ends with its holder.
func TestLockHeld(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := Lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Lock(ctx, path); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	unlock()
	again, err := Lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	again()
}

// TestLockWaits holds that waiting ends when Wait is over, and that a time in which the machine stood still does not count: the holder did nothing in it either.
func TestLockWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "lock")
		unlock, err := Lock(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if _, err := Lock(t.Context(), path); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != Wait {
			t.Errorf("%v after %s", err, time.Since(begin))
		}
		done, ticks := make(chan error), make(chan time.Time)
		go func() {
			again, err := lock(t.Context(), path, ticks)
			if err == nil {
				again()
			}
			done <- err
		}()
		time.Sleep(2 * Wait) // nobody ran, and so nothing ticked
		unlock()
		select {
		case ticks <- time.Now():
			err = <-done
		case err = <-done: // it had given up
		}
		if err != nil {
			t.Error(err)
		}
	})
}

// TestRead holds that only a regular file of a bounded size is read, without waiting.
func TestRead(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := errors.Join(os.WriteFile(at("file"), []byte("12345"), 0o600), os.Symlink("file", at("link")), unix.Mkfifo(at("pipe"), 0o600), os.Mkdir(at("dir"), 0o700)); err != nil {
		t.Fatal(err)
	}
	if data, err := Read(at("file"), 5); err != nil || string(data) != "12345" {
		t.Errorf("%s, %v", data, err)
	}
	if _, err := Read(at("file"), 4); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
	if _, err := Read(at("none"), 4); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	for _, name := range []string{"link", "pipe", "dir"} {
		if _, err := Read(at(name), 5); err == nil {
			t.Errorf("%s was read", name)
		}
	}
}

// TestReplace holds the mode, whatever the process's mask, that what an earlier process left half done is no hindrance, and that a failure leaves the old file and nothing else.
func TestReplace(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := os.WriteFile(filepath.Join(dir, ".f.new"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []fs.FileMode{0o644, 0o600} {
		if err := Replace(path, []byte("whole"), mode); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != mode {
			t.Errorf("%v, %v", info.Mode(), err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "d"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Replace(filepath.Join(dir, "d"), nil, 0o600); err == nil {
		t.Error("a directory was replaced")
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("%v, %v", entries, err)
	}
}
