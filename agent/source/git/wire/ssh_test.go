package wire_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"farshore/agent/record"
	"farshore/agent/repo/gitserver"
	"farshore/agent/source"
	"farshore/agent/source/git/wire"
)

func TestStranger(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	small(t, root)
	url, command := gitserver.SSH(t, root, gitserver.SSHOptions{Stranger: true})
	_, err := open(t, url+"/r", wire.Options{SSH: command}).Refs(t.Context())
	if err == nil || strings.Contains(err.Error(), "key verification") {
		t.Fatal(err)
	}
	checkReason(t, err, record.ReasonDenied, "Permission denied")
}

// program writes a shell script that stands for ssh.
func program(t *testing.T, script string) []string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ssh")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	return []string{"/bin/sh", path}
}

// TestSSHEnvironment holds that nothing which systemd says to the daemon reaches ssh, and that the rest does.
func TestSSHEnvironment(t *testing.T) {
	for _, name := range []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "CREDENTIALS_DIRECTORY"} {
		t.Setenv(name, "/run/of-the-daemon")
	}
	t.Setenv("FOR_SSH", "kept")
	seen := filepath.Join(t.TempDir(), "seen")
	command := program(t, "env > "+seen+"; exit 255")
	if _, err := open(t, "ssh://git@git.example.net/r", wire.Options{SSH: command}).Refs(t.Context()); err == nil {
		t.Fatal("a program that fails is no server")
	}
	env, err := os.ReadFile(seen)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(env), "of-the-daemon") || !strings.Contains(string(env), "FOR_SSH=kept") {
		t.Errorf("ssh was given %s", env)
	}
}

// TestSSHProgram holds what the program is told, and what becomes of each way in which it can end.
func TestSSHProgram(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, script  string
		gone          bool
		reason, words string
		tries         int
	}{
		{name: "unreachable", script: "echo 'ssh: connect to host h: Connection refused' >&2; exit 255", words: "Connection refused", tries: 2},
		{name: "unknown host", script: "echo 'Host key verification failed.' >&2; exit 255", words: "known_hosts"},
		{name: "no key", script: "echo 'me@h: Permission denied (publickey).' >&2; exit 255", reason: record.ReasonDenied, words: "publickey"},
		{name: "no git", script: "echo 'sh: git-upload-pack: not found' >&2; exit 127", reason: record.ReasonUnsupported, words: "must be installed"},
		{name: "no repository", script: "echo \"fatal: '/p' does not appear to be a git repository\" >&2; exit 128", gone: true},
		{name: "forge", script: "echo 'ERROR: Repository not found.' >&2; exit 1", gone: true},
		{name: "other", script: "echo 'fatal: the moon is full' >&2; exit 128", reason: record.ReasonOther, words: "the moon is full"},
		{name: "silent", script: "exit 3", words: "status 3"},
		{name: "a shell that talks", script: "echo 'Welcome!'", reason: record.ReasonOther, words: "pkt-line"},
		{name: "arguments", script: `echo "$GIT_PROTOCOL|$*" >&2; exit 128`, reason: record.ReasonOther,
			words: `version=2|-o BatchMode=yes -o ConnectTimeout=30 -o SendEnv=GIT_PROTOCOL -p 2222 me@h git-upload-pack '/it'\\''s $HOME'`},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := open(t, "ssh://me@h:2222/it's%20$HOME", wire.Options{SSH: program(t, c.script)})
			tries := 0
			r.Sleep(func(context.Context, time.Duration) error {
				tries++
				return nil
			})
			_, err := r.Refs(t.Context())
			var u *source.Unreadable
			switch {
			case c.reason != "":
				checkReason(t, err, c.reason, c.words)
			case errors.Is(err, source.ErrGone) != c.gone || errors.As(err, &u) || err == nil || !strings.Contains(err.Error(), c.words):
				t.Error(err)
			}
			if tries != c.tries {
				t.Errorf("%d more tries, want %d", tries, c.tries)
			}
		})
	}
}

// TestSSHKilled holds that what the program started ends with the context, too.
func TestSSHKilled(t *testing.T) {
	t.Parallel()
	for _, idle := range []bool{false, true} {
		for !sshKilled(t, idle) && !t.Failed() { // a machine that stood still may give the program up before it has begun
		}
	}
}

// sshKilled has the program end, and reports whether it had begun to do anything.
func sshKilled(t *testing.T, idle bool) bool {
	t.Helper()
	mark := filepath.Join(t.TempDir(), "mark")
	o := wire.Options{SSH: program(t, "sleep 600 & echo $! > '"+mark+".new'; mv '"+mark+".new' '"+mark+"'; wait")}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if idle {
		o.Idle = 2 * time.Second // a busy machine may take a while to start the program
	} else {
		go func() {
			defer cancel()
			for tick := time.NewTicker(5 * time.Millisecond); ; <-tick.C {
				if _, err := os.Stat(mark); err == nil || t.Context().Err() != nil {
					tick.Stop()
					return
				}
			}
		}()
	}
	_, err := open(t, "ssh://h/p", o).Refs(ctx)
	if idle && (err == nil || !strings.Contains(err.Error(), "no byte for")) || !idle && !errors.Is(err, context.Canceled) {
		t.Errorf("idle %v: %v", idle, err)
	}
	id, err := os.ReadFile(mark)
	if idle && errors.Is(err, os.ErrNotExist) {
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	checkEnded(t, strings.TrimSpace(string(id)))
	return true
}

// checkEnded waits until the process is no more.
func checkEnded(t *testing.T, id string) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(time.Minute); ; {
		stat, err := os.ReadFile("/proc/" + id + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("still there: %s", stat)
		}
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	for address, words := range map[string]string{
		"https://h/team/app.git":    "",
		"http://[::1]:80/p":         "",
		"ssh://me@h/~me/app":        "",
		"git://h:9999/p?x":          "",
		"https://me:secret@h/p":     "a password has no place",
		"ssh://me:secret@h/p":       "a password has no place",
		"https://me@h/p":            "a user name has no place",
		"https://h/p?x=1":           "no ?",
		"ssh://-oProxyCommand=x/p":  "begin with a dash",
		"ssh://-x@h/p":              "begin with a dash",
		"ssh://h/a%0ab":             "control character",
		"git://h/a%00b":             "control character",
		"ssh://h":                   "no path",
		"https:///p":                "no host",
		"file:///p":                 "begins with https://",
		"h:p":                       "begins with https://",
		"/p":                        "begins with https://",
		"https://me:secret@h:x/p":   "can't be read",
		"https://me:secret@h/%zz":   "can't be read",
		"ssh://me:secret@h/p\x7f\n": "can't be read",
	} {
		_, err := wire.Open(address, wire.Options{})
		if words == "" && err != nil || words != "" && (err == nil || !strings.Contains(err.Error(), words)) {
			t.Errorf("%q: %v, want %q", address, err, words)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the error has the password: %v", err)
		}
	}
}
