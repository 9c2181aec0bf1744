package svnrepo_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"farshore/agent/repo/process"
	"farshore/agent/repo/svntest"
	"farshore/agent/restore/svnrepo"
)

// fake puts a program before the real one, which does what the script says for one command.
func fake(t *testing.T, program, command, script string) {
	t.Helper()
	real, err := exec.LookPath(program)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	text := fmt.Sprintf("#!/bin/sh\ncase \"$1\" in\n%s)\n%s\n;;\nesac\nexec '%s' \"$@\"\n", command, script, real)
	if err := os.WriteFile(filepath.Join(dir, program), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

// lockedRig is a capture of a repository with a lock.
func lockedRig(t *testing.T) *rig {
	t.Helper()
	root := t.TempDir()
	r := local(t, root)
	trunk(t, filepath.Join(root, "app")).Lock("/trunk/a", "me", "mine")
	r.pass()
	return r
}

const (
	noRoom = "echo 'svnadmin: E000028: Can not write: No space left on device' >&2; exit 1"
	broken = "echo 'svnadmin: E160004: Corrupt filesystem' >&2; exit 1"
	killed = "kill -9 $$"
)

// TestCheckMachine holds that Check fails where the machine does, and that what a program complains of is a problem.
func TestCheckMachine(t *testing.T) {
	r := lockedRig(t)
	dir, _ := r.restore(svnrepo.Options{})
	for _, tt := range []struct {
		program, command, script string
		machine                  bool
	}{
		{"svnadmin", "verify", noRoom, true}, {"svnadmin", "verify", killed, true}, {"svnadmin", "verify", broken, false},
		{"svnadmin", "dump", "printf 'SVN-fs-dump-format-version: 3\\n\\nUU'; " + killed, true}, {"svnadmin", "dump", broken, false},
		{"svnadmin", "dump-revprops", noRoom, true}, {"svnadmin", "lslocks", noRoom, true}, {"svnlook", "uuid", killed, true}, {"svnlook", "cat", noRoom, true},
	} {
		t.Run(tt.program+" "+tt.command, func(t *testing.T) {
			fake(t, tt.program, tt.command, tt.script)
			problems, err := svnrepo.Check(t.Context(), r.mem, r.set(), dir)
			if process.Machine(err) != tt.machine || (err != nil) != tt.machine || (len(problems) > 0) == tt.machine {
				t.Errorf("%s: %q, %v", tt.script, problems, err)
			}
		})
	}
}

// TestLocksMachine holds that a lock which the machine could not make fails the restore, and that one which Subversion refuses is noted.
func TestLocksMachine(t *testing.T) {
	r := lockedRig(t)
	for script, machine := range map[string]bool{noRoom: true, killed: true, "echo 'svnadmin: E160035: Path is already locked' >&2; exit 1": false} {
		t.Run("", func(t *testing.T) {
			fake(t, "svnadmin", "lock", script)
			to := filepath.Join(t.TempDir(), "to")
			report, err := svnrepo.Build(t.Context(), r.mem, r.set(), to, svnrepo.Options{})
			if process.Machine(err) != machine || (err != nil) != machine {
				t.Errorf("%s: %v", script, err)
			}
			if machine {
				left(t, filepath.Dir(to))
			} else if report.Locks != 0 || !strings.Contains(strings.Join(report.Notes, "\n"), "E160035") {
				t.Errorf("%+v", report)
			}
		})
	}
}

// TestLocksCancelled ends a restore while it makes locks: it leaves nothing.
func TestLocksCancelled(t *testing.T) {
	r := lockedRig(t)
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	fake(t, "svnadmin", "lock", fmt.Sprintf("echo > '%s'; exec sleep 60", fifo))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := os.ReadFile(fifo) // until the lock is being made
		cancel()
		done <- err
	}()
	to := filepath.Join(t.TempDir(), "to")
	if _, err := svnrepo.Build(ctx, r.mem, r.set(), to, svnrepo.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	left(t, filepath.Dir(to))
}

// writes counts calls of Write and fails the last ones.
type writes struct {
	bytes.Buffer
	calls, most int
}

var errFull = errors.New("full")

func (w *writes) Write(p []byte) (int, error) {
	if w.calls++; w.calls > w.most {
		return 0, errFull
	}
	return w.Buffer.Write(p)
}

// TestDumpWrites holds that a dump of many small records is written in few pieces, and that a failure of the last one counts.
func TestDumpWrites(t *testing.T) {
	root := t.TempDir()
	r := local(t, root)
	repo := svntest.New(t, filepath.Join(root, "app"))
	var nodes []svntest.Node
	for i := range 1000 {
		nodes = append(nodes, svntest.Node{Path: fmt.Sprint("f", i), Action: "add", Text: []byte("x")})
	}
	repo.Commit("many", nodes...)
	r.pass()
	w := &writes{most: 20}
	if err := svnrepo.Dump(t.Context(), r.mem, r.set(), w); err != nil || strings.Count(w.String(), "Node-path: ") != 1000 {
		t.Fatalf("%d calls: %v", w.calls, err)
	}
	last := &writes{most: w.calls - 1}
	if err := svnrepo.Dump(t.Context(), r.mem, r.set(), last); !errors.Is(err, errFull) {
		t.Errorf("the last write failed: %v", err)
	}
}
