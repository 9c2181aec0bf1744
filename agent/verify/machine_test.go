package verify_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"farshore/agent/record"
	"farshore/agent/repo/svntest"
	"farshore/agent/vault"
	"farshore/agent/verify"
)

// fake puts a program before the real one, which does what the script says for one command.
func fake(t *testing.T, program, command, script string) {
	t.Helper()
	real, err := exec.LookPath(program)
	must(t, err)
	dir := t.TempDir()
	text := fmt.Sprintf("#!/bin/sh\ncase \"$1\" in\n%s)\n%s\n;;\nesac\nexec '%s' \"$@\"\n", command, script, real)
	must(t, os.WriteFile(filepath.Join(dir, program), []byte(text), 0o755))
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

// TestMachineFails holds that a program which was ended, or which had no memory, is no damage of what it worked on.
func TestMachineFails(t *testing.T) {
	r := newRig(t)
	r.repository("one.git")
	svntest.New(t, filepath.Join(r.root, "svn/books")).Commit("first", svntest.Node{Path: "a", Action: "add", Text: []byte("one\n")})
	r.pass(r.git())
	r.pass(r.svn())
	const killed, noRoom = "kill -9 $$", "echo 'svnadmin: E000028: Can not write' >&2; exit 1"
	for _, c := range []struct{ program, command, script, repository string }{
		{"git", "index-pack", killed, "one.git"},
		{"git", "index-pack", "echo 'fatal: Out of memory, malloc failed' >&2; exit 128", "one.git"},
		{"git", "farshore-fsck", "echo x > \"$GIT_DIR/farshore-fsck\"; exit 137", "one.git"},
		{"git", "init", "echo 'fatal: cannot mkdir' >&2; exit 128", "one.git"},
		{"svnadmin", "load", killed, "books"},
		{"svnadmin", "verify", noRoom, "books"},
	} {
		t.Run(c.program+" "+c.command, func(t *testing.T) {
			fake(t, c.program, c.command, c.script)
			res := r.checked(verify.Options{})
			counts(t, c.script, res.Repositories, verify.Repositories{Checked: 1, Unchecked: 1})
			if text := finding(res, vault.Notice, `repository "`+c.repository+`"`); !strings.Contains(text, "not checked: ") || !res.OK() {
				t.Errorf("%s: %q, %+v", c.script, text, res.Findings)
			}
		})
	}
}

// TestLeft holds that a scratch directory which can't be removed ends the verification, and counts not against the repository.
func TestLeft(t *testing.T) {
	r := newRig(t)
	r.repository("one.git")
	r.pass(r.git())
	scratch := t.TempDir()
	stuck := filepath.Join(t.TempDir(), "stuck") // has the path of a folder that can't be removed
	holds := "chmod 0 \"$d/stuck\""
	if os.Geteuid() == 0 {
		holds = "mount -t tmpfs -o size=16k none \"$d/stuck\""
	}
	// GIT_OBJECT_DIRECTORY is the restored repository's.
	fake(t, "git", "farshore-fsck", fmt.Sprintf("d=$(dirname \"$GIT_OBJECT_DIRECTORY\"); mkdir \"$d/stuck\"; : > \"$d/stuck/file\"; %s && echo \"$d/stuck\" > '%s'", holds, stuck))
	res, err := r.verify(t.Context(), r.store, verify.Options{Items: true, Scratch: scratch}, r.recovery)
	path, unheld := os.ReadFile(stuck)
	if unheld != nil {
		t.Skipf("no folder could be kept from being removed: %v", unheld)
	}
	at := strings.TrimSpace(string(path))
	if os.Geteuid() == 0 {
		must(t, syscall.Unmount(at, syscall.MNT_DETACH))
	} else {
		must(t, os.Chmod(at, 0o700))
	}
	if err == nil || !strings.Contains(err.Error(), "can't be removed") || !strings.Contains(err.Error(), "one.git") {
		t.Errorf("error %v", err)
	}
	counts(t, "a perfect repository", res.Repositories, verify.Repositories{Checked: 1})
	if !res.OK() {
		t.Errorf("findings: %+v", res.Findings)
	}
}

// TestSidecarLost loses the stored pack of what lies beside a repository: that is damage, though git has nothing to say against the rest.
func TestSidecarLost(t *testing.T) {
	r := newRig(t)
	one := r.repository("one.git")
	r.pass(r.git())
	must(t, os.MkdirAll(filepath.Join(one.Dir, "hooks"), 0o755))
	must(t, os.WriteFile(filepath.Join(one.Dir, "hooks/post-receive"), []byte("#!/bin/sh\n"+strings.Repeat("# a hook\n", 1000)), 0o755))
	r.pass(r.git())
	history := map[string]bool{}
	for _, name := range r.packsOf("one.git", record.PartPack) {
		history[name] = true
	}
	lost := 0
	for _, name := range r.packsOf("one.git", record.PartFile) {
		if !history[name] {
			r.store.Remove(name)
			lost++
		}
	}
	if lost == 0 {
		t.Fatal("no pack has only what lies beside the repository")
	}
	res := r.checked(verify.Options{})
	if res.Repositories.Problems != 1 {
		t.Errorf("%+v", res.Repositories)
	}
	if text := finding(res, vault.Damage, `repository "one.git" as of commit `); !strings.Contains(text, "hooks/post-receive") {
		t.Errorf("%q, %+v", text, res.Findings)
	}
}
