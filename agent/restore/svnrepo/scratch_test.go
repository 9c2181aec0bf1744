package svnrepo_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"farshore/agent/restore/svnrepo"
)

// TestSweep leaves what a killed process would beside a new repository: what is old goes, and nothing else.
func TestSweep(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	trunk(t, filepath.Join(root, "app"))
	r := local(t, root)
	r.pass()
	dir, old := t.TempDir(), time.Now().Add(-25*time.Hour)
	make := func(name string, at time.Time, within ...string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Join(append([]string{path}, within...)...), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
		return path
	}
	make(".farshore-svn-1", old)
	make(".farshore-svn-young", time.Now())
	make(".farshore-svn-used", old, "repository", "db")
	make(".farshore-other-1", old)
	lock, err := os.Open(make(".farshore-svn-locked", old))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(make("elsewhere", old), filepath.Join(dir, ".farshore-svn-link")); err != nil {
		t.Fatal(err)
	}
	if _, err := svnrepo.Build(t.Context(), r.mem, r.set(), filepath.Join(dir, "to"), svnrepo.Options{}); err != nil {
		t.Fatal(err)
	}
	all, err := os.ReadDir(dir)
	var names []string
	for _, e := range all {
		names = append(names, e.Name())
	}
	want := []string{".farshore-other-1", ".farshore-svn-link", ".farshore-svn-locked", ".farshore-svn-used", ".farshore-svn-young", "elsewhere", "to"}
	if err != nil || !slices.Equal(names, want) {
		t.Errorf("there are %q, %v\nwant      %q", names, err, want)
	}
}
