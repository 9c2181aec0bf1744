package tempdir

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestTouched holds that what was made deep below counts.
func TestTouched(t *testing.T) {
	dir := t.TempDir()
	old := time.Now().Add(-25 * time.Hour)
	must(t, os.MkdirAll(filepath.Join(dir, "a/b"), 0o700))
	for _, name := range []string{"a/b", "a", ""} {
		must(t, os.Chtimes(filepath.Join(dir, name), old, old))
	}
	if since := time.Since(touched(dir)); since < 24*time.Hour {
		t.Errorf("touched %s ago", since)
	}
	must(t, os.WriteFile(filepath.Join(dir, "a/b/c"), nil, 0o600))
	must(t, os.Chtimes(filepath.Join(dir, "a/b"), old, old))
	if since := time.Since(touched(dir)); since > time.Hour {
		t.Errorf("touched %s ago", since)
	}
	if since := time.Since(touched(filepath.Join(dir, "none"))); since > time.Hour {
		t.Errorf("what can't be read was touched %s ago", since)
	}
}

// TestWithoutLocks removes only what is old where no lock can tell that it is a leftover.
func TestWithoutLocks(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "left")
	must(t, os.Mkdir(dir, 0o700))
	for _, of := range []struct {
		age     time.Duration
		removed bool
	}{{time.Hour, false}, {23 * time.Hour, false}, {25 * time.Hour, true}} {
		then := time.Now().Add(-of.age)
		must(t, os.Chtimes(dir, then, then))
		must(t, discard(dir, false))
		if _, err := os.Lstat(dir); os.IsNotExist(err) != of.removed {
			t.Errorf("%s old: %v", of.age, err)
		}
	}
	must(t, os.Mkdir(dir, 0o700))
	must(t, discard(dir, true))
	if _, err := os.Lstat(dir); !os.IsNotExist(err) {
		t.Errorf("a lock that is free: %v", err)
	}
}

// TestNoLocks takes a refusal for a file system without locks, and only a lock of somebody's for one.
func TestNoLocks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	f, err := os.Create(path)
	must(t, err)
	if locked, err := lock(f); !locked || err != nil {
		t.Errorf("locked %v, %v", locked, err)
	}
	other, err := open(path)
	must(t, err)
	if _, err := lock(other); err == nil {
		t.Error("locked twice")
	}
	must(t, other.Close())
	must(t, f.Close())
	if locked, err := lock(f); locked || err != nil { // EBADF, which is what NFS says
		t.Errorf("locked %v, %v", locked, err)
	}
}
