package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestStateOfService holds what root does by hand where the local state is a service's: a source is retired with the state's owner's rights, so that nothing of root's is left there and a link that lies
// there leads root nowhere; a pass is refused with a hint, before anything is written.
func TestStateOfService(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("it takes root to be two users")
	}
	const service = 4711
	r := newShop(t)
	r.ok("replicate")
	for _, dir := range []string{filepath.Dir(r.dir), r.dir} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{"state", "vault"} {
		chownAll(t, r.path(dir), service)
	}
	precious := r.path("precious")
	if err := os.WriteFile(precious, []byte("root's"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(r.path("state", "lock")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(precious, r.path("state", "lock")); err != nil {
		t.Fatal(err)
	}
	runAs(t, r.dir, r.server, exitFailed, "replicate")
	runAs(t, r.dir, r.server, exitFailed, "source", "remove", "shop") // the link leads the service's user to what he may not open
	if got, err := os.ReadFile(precious); err != nil || string(got) != "root's" {
		t.Errorf("%q %v", got, err)
	}
	if err := os.Remove(r.path("state", "lock")); err != nil {
		t.Fatal(err)
	}
	runAs(t, r.dir, r.server, exitDone, "source", "remove", "shop")
	for _, path := range filesOfOthers(t, r.path("state", "db"), service) {
		t.Errorf("%s is not the service's", path)
	}
	if got := runAs(t, r.dir, r.server, exitDone, "snapshots"); !strings.Contains(got, "(retired)") {
		t.Errorf("snapshots says\n%s", got)
	}
}

// chownAll gives everything in a directory to a user.
func chownAll(t *testing.T, dir string, uid int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err == nil {
			err = os.Lchown(path, uid, uid)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// filesOfOthers lists what in a directory is not the user's.
func filesOfOthers(t *testing.T, dir string, uid uint32) (out []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Sys().(*syscall.Stat_t).Uid != uid {
			out = append(out, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
