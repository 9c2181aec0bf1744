package svnrepo_test

import (
	"os"
	"testing"
)

// TestMain keeps repositories in memory where there is such a file system: Subversion waits for the disk at each step.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("/dev/shm", "farshore-svnrepo-")
	if err == nil {
		err = os.Setenv("TMPDIR", dir)
	}
	code := m.Run()
	if err == nil {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}
