package sidefile

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

const nobody = 65534

// TestCheckOwner holds that root works in root's directories alone, and everybody else where his own rights let him.
func TestCheckOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give directories away")
	}
	own, foreign := t.TempDir(), t.TempDir()
	if err := os.Chown(foreign, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		dir  string
		uid  int
		want error
	}{{own, 0, nil}, {foreign, 0, ErrForeign}, {foreign, nobody, nil}, {own, nobody, nil}, {filepath.Join(own, "not there"), 0, nil}} {
		if err := checkOwner(tt.dir, tt.uid); !errors.Is(err, tt.want) {
			t.Errorf("%s for %d: %v", tt.dir, tt.uid, err)
		}
	}
}

// TestLockOfLinks holds that root gives no file to a directory's owner that has another name elsewhere, and follows no link that lies in the place of a lock.
func TestLockOfLinks(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root gives files away")
	}
	dir := t.TempDir()
	theirs, precious := filepath.Join(dir, "theirs"), filepath.Join(dir, "precious")
	if err := errors.Join(os.Mkdir(theirs, 0o700), os.Chown(theirs, nobody, nobody), os.WriteFile(precious, []byte("x"), 0o600), os.Link(precious, filepath.Join(theirs, "hard")),
		os.Symlink(precious, filepath.Join(theirs, "soft"))); err != nil {
		t.Fatal(err)
	}
	unlock, err := Lock(t.Context(), filepath.Join(theirs, "hard"))
	if err != nil {
		t.Fatal(err)
	}
	unlock()
	if info, err := os.Stat(precious); err != nil || !ownedBy(info, 0) {
		t.Errorf("root gave away what was linked: %v", err)
	}
	if _, err := Lock(t.Context(), filepath.Join(theirs, "soft")); err == nil {
		t.Error("a symbolic link was followed")
	}
	unlock, err = Lock(t.Context(), filepath.Join(theirs, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	unlock()
	if info, err := os.Stat(filepath.Join(theirs, "lock")); err != nil || !ownedBy(info, nobody) {
		t.Errorf("the lock is not for the directory's owner: %v", err)
	}
}

func ownedBy(info os.FileInfo, uid uint32) bool { return info.Sys().(*syscall.Stat_t).Uid == uid }
