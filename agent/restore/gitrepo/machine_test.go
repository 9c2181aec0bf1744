package gitrepo_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"farshore/agent/repo/process"
	"farshore/agent/restore/gitrepo"
)

// fakeGit puts a git before the real one, which does what the script says for one command.
func fakeGit(t *testing.T, command, script string) {
	t.Helper()
	git, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	text := fmt.Sprintf("#!/bin/sh\ncase \"$1\" in\n%s)\n%s\n;;\nesac\nexec '%s' \"$@\"\n", command, script, git)
	if err := os.WriteFile(filepath.Join(dir, "git"), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

const (
	killed   = "kill -9 $$"
	noMemory = "echo 'fatal: Out of memory, malloc failed' >&2; exit 128"
	refused  = "echo 'fatal: it is not right' >&2; exit 128"
)

// TestBuildMachine holds that a failure of the machine is not told as one of a part, and that what git says to a part is.
func TestBuildMachine(t *testing.T) {
	c := three(t)
	set := c.set()
	set.Sidecar = c.sidecar(map[string]string{"config": "[core]\n\tbare = true\n"})
	for _, tt := range []struct {
		command, script string
		machine         bool
	}{
		{"index-pack", "head -c 20 > /dev/null; " + killed, true},
		{"index-pack", noMemory, true},
		{"index-pack", "cat > /dev/null; echo 'fatal: write error: No space left on device' >&2; exit 128", true},
		{"index-pack", refused, false},
		{"show-index", "printf '12 '; " + killed, true},
		{"cat-file", killed, true},
		{"for-each-ref", refused, false},
		{"config", killed, true},
	} {
		t.Run(tt.command, func(t *testing.T) {
			fakeGit(t, tt.command, tt.script)
			dir := t.TempDir()
			_, err := gitrepo.Build(t.Context(), c.mem, set, filepath.Join(dir, "app.git"), gitrepo.Options{Hooks: true})
			var part *gitrepo.PartError
			if err == nil || process.Machine(err) != tt.machine || errors.As(err, &part) == tt.machine {
				t.Errorf("%s: %v", tt.script, err)
			}
			empty(t, dir)
		})
	}
}

// TestCheckMachine holds that Check and Same fail where the machine does, and that what git complains of is a problem and a difference.
func TestCheckMachine(t *testing.T) {
	c := three(t)
	built, _ := c.build(c.set(), gitrepo.Options{})
	fsck := func(line, end string) string {
		return fmt.Sprintf("echo '%s' > \"$GIT_DIR/farshore-fsck\"; %s", line, end)
	}
	lint := "error in commit " + strings.Repeat("a", 40) + ": missingSpaceBeforeDate: invalid author/committer line"
	for _, tt := range []struct {
		command, script, problem string
		machine                  bool
		same                     string // what Same says: "same", "differs" or "error"
	}{
		{"farshore-fsck", fsck(lint, "exit 1"), "", false, "same"},
		{"farshore-fsck", fsck(lint, "exit 137"), "", true, "same"},
		{"farshore-fsck", fsck(lint, killed), "", true, "same"},
		{"farshore-fsck", fsck(lint, "exit 128"), "git fsck", false, "same"},
		{"farshore-fsck", fsck("fatal: Out of memory, malloc failed", "exit 128"), "", true, "same"},
		{"farshore-fsck", fsck("missing blob "+strings.Repeat("a", 40), "exit 2"), "missing blob", false, "same"},
		{"farshore-fsck", "echo 'sh: 1: cannot create farshore-fsck: Read-only file system' >&2; exit 2", "", true, "same"},
		{"for-each-ref", killed, "", true, "error"},
		{"for-each-ref", refused, "it is not right", false, "differs"},
		{"cat-file", noMemory, "", true, "same"},
		{"show-index", killed, "", true, "same"},
		{"rev-list", noMemory, "", true, "error"},
		{"rev-list", refused, "it is not right", false, "differs"},
	} {
		t.Run(tt.command, func(t *testing.T) {
			fakeGit(t, tt.command, tt.script)
			found, err := gitrepo.Check(t.Context(), c.mem, c.set(), built.Dir)
			if process.Machine(err) != tt.machine || (err != nil) != tt.machine {
				t.Errorf("%s: check: %v", tt.script, err)
			}
			if all := strings.Join(found, "\n"); (all == "") != (tt.problem == "") || !strings.Contains(all, tt.problem) {
				t.Errorf("%s: check: %q", tt.script, found)
			}
			same, why, err := gitrepo.Same(t.Context(), c.mem, c.set(), built.Dir)
			if same != (tt.same == "same") || (why != "") != (tt.same == "differs") || (err != nil) != (tt.same == "error") {
				t.Errorf("%s: same: %v %q %v", tt.script, same, why, err)
			}
		})
	}
	t.Run("no git", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		if same, why, err := gitrepo.Same(t.Context(), c.mem, c.set(), built.Dir); same || why != "" || !errors.Is(err, exec.ErrNotFound) {
			t.Errorf("same: %v %q %v", same, why, err)
		}
		if found, err := gitrepo.Check(t.Context(), c.mem, c.set(), built.Dir); len(found) > 0 || !errors.Is(err, exec.ErrNotFound) {
			t.Errorf("check: %q %v", found, err)
		}
	})
}

// TestCheckPlace holds that Check works beside what it checks and not in the system's temporary directory, and that it leaves nothing there.
func TestCheckPlace(t *testing.T) {
	c := three(t)
	built, _ := c.build(c.set(), gitrepo.Options{})
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "none"))
	alone := func(what string) {
		t.Helper()
		if all, err := os.ReadDir(filepath.Dir(built.Dir)); err != nil || len(all) != 1 {
			t.Errorf("%s: %v, %v", what, all, err)
		}
	}
	c.clean(c.set(), built.Dir)
	alone("a check")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := gitrepo.Check(ctx, c.mem, c.set(), built.Dir); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	alone("a cancelled check")
	fakeGit(t, "farshore-fsck", killed)
	if _, err := gitrepo.Check(t.Context(), c.mem, c.set(), built.Dir); err == nil {
		t.Error("a killed git fsck is none")
	}
	alone("a check that failed")
}
