package local

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"farshore/agent/record"
	"farshore/agent/repo/gittest"
)

// failing puts a git into the PATH in whose place a script runs for one subcommand.
func failing(t *testing.T, command, script string) {
	t.Helper()
	real, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	text := fmt.Sprintf("#!/bin/sh\nfor a; do if [ \"$a\" = %s ]; then %s; fi; done\nexec %s \"$@\"\n", command, script, real)
	if err := os.WriteFile(filepath.Join(dir, "git"), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

// TestMachine holds that a repository is not called broken because this machine killed git, or ran out of something.
func TestMachine(t *testing.T) {
	r := gittest.Large(t, filepath.Join(t.TempDir(), "r.git"), 5, 1)
	for command, c := range map[string]struct{ script, words string }{
		"pack-objects": {"kill -9 $$", "signal: killed"},
		"rev-list":     {"echo 'warning: something' >&2; kill -9 $$", "signal: killed"},
		"for-each-ref": {"echo 'fatal: Out of memory, malloc failed' >&2; exit 128", "Out of memory"},
	} {
		t.Run(command, func(t *testing.T) {
			failing(t, command, c.script)
			unreadable(t, r.Dir, record.ReasonOther, "this machine failed", c.words, "run the pass again")
		})
	}
	t.Run("fsck", func(t *testing.T) {
		repo := open(t, r.Dir, Options{})
		failing(t, "fsck", "echo 'missing blob 1'; echo 'error: open: Too many open files' >&2; exit 2")
		if _, damage, err := repo.Fsck(t.Context()); err == nil || damage != "" || !strings.Contains(err.Error(), "this machine failed") {
			t.Errorf("damage %q, %v", damage, err)
		}
	})
	t.Run("no temporary directory", func(t *testing.T) {
		t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "none"))
		if _, err := Open(t.Context(), r.Dir, Options{}); !errors.Is(err, ErrScratch) || !strings.Contains(err.Error(), "TMPDIR") {
			t.Error(err)
		}
	})
}

// TestLeft holds that the scratch directory of a process that was killed goes with the next one that is made.
func TestLeft(t *testing.T) {
	r := gittest.Large(t, filepath.Join(t.TempDir(), "r.git"), 2, 1)
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	left := filepath.Join(temp, "farshore-git-123456789")
	if err := errors.Join(os.Mkdir(left, 0o700), os.Chtimes(left, time.Now().Add(-time.Hour), time.Now().Add(-time.Hour))); err != nil {
		t.Fatal(err)
	}
	repo := open(t, r.Dir, Options{})
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("it is still there: %v", err)
	}
	if filepath.Dir(repo.scratch.Path) != temp {
		t.Errorf("the scratch directory is %s", repo.scratch.Path)
	}
}
