package local

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"farshore/agent/record"
	"farshore/agent/repo/gittest"
	"farshore/agent/source"
)

// unreadable captures, and expects the reason, and the words in the detail.
func unreadable(t *testing.T, dir, reason string, words ...string) {
	t.Helper()
	_, err := try(t, dir, Options{}, nil)
	var u *source.Unreadable
	if !errors.As(err, &u) {
		t.Fatalf("the error is %v, want one for %s", err, reason)
	}
	if u.Reason != reason {
		t.Fatalf("the reason is %s, want %s: %s", u.Reason, reason, u.Detail)
	}
	for _, w := range words {
		if !strings.Contains(u.Detail, w) {
			t.Errorf("%q does not have %q", u.Detail, w)
		}
	}
}

// TestRefused opens or captures what can't be captured whole, and reads why.
func TestRefused(t *testing.T) {
	base := gittest.Large(t, filepath.Join(t.TempDir(), "base.git"), 30, 5)
	base.Run("config", "uploadpack.allowFilter", "true")
	base.Run("config", "uploadpack.allowAnySHA1InWant", "true")
	clone := func(t *testing.T, args ...string) *gittest.Repo {
		dir := filepath.Join(t.TempDir(), "c.git")
		base.Run(append(append([]string{"clone", "--bare", "-q"}, args...), "file://"+base.Dir, dir)...)
		return gittest.At(t, dir)
	}
	t.Run("shallow", func(t *testing.T) {
		unreadable(t, clone(t, "--depth=2").Dir, record.ReasonUnsupported, "--unshallow")
	})
	t.Run("partial", func(t *testing.T) {
		unreadable(t, clone(t, "--filter=blob:none").Dir, record.ReasonUnsupported, "partial clone: ", " objects are missing", "--refetch")
	})
	t.Run("partial and whole", func(t *testing.T) {
		r := clone(t)
		r.Run("config", "remote.origin.promisor", "true")
		roundTrip(t, r, nil)
	})
	t.Run("grafts that hide what is missing", func(t *testing.T) {
		r := clone(t, "--depth=2")
		text, err := os.ReadFile(filepath.Join(r.Dir, "shallow"))
		if err != nil {
			t.Fatal(err)
		}
		remove(t, filepath.Join(r.Dir, "shallow"))
		put(t, filepath.Join(r.Dir, "info/grafts"), string(text))
		unreadable(t, r.Dir, record.ReasonUnsupported, "grafts")
	})
	t.Run("grafts that hide what is there", func(t *testing.T) {
		r := clone(t)
		put(t, filepath.Join(r.Dir, "info/grafts"), r.Run("rev-parse", "main~1")+"\n")
		c := take(t, r.Dir, Options{}, nil)
		remove(t, filepath.Join(r.Dir, "info/grafts"))
		equal(t, r, restore(t, c))
	})
	t.Run("object format", func(t *testing.T) {
		r := clone(t)
		r.Run("config", "core.repositoryFormatVersion", "1")
		r.Run("config", "extensions.objectFormat", "sha3")
		unreadable(t, r.Dir, record.ReasonUnsupported, "sha3")
	})
	t.Run("extension", func(t *testing.T) {
		r := clone(t)
		r.Run("config", "core.repositoryFormatVersion", "1")
		put(t, filepath.Join(r.Dir, "config"), "[core]\nrepositoryFormatVersion=1\n[extensions]\nfuture=yes\n")
		unreadable(t, r.Dir, record.ReasonUnsupported, "future")
	})
	t.Run("missing alternate", func(t *testing.T) {
		r := clone(t)
		put(t, filepath.Join(r.Dir, "objects/info/alternates"), "/nowhere/objects\n")
		unreadable(t, r.Dir, record.ReasonUnsupported, "/nowhere/objects", "outside", "repack -a -d")
		put(t, filepath.Join(r.Dir, "objects/info/alternates"), "../none/objects\n")
		unreadable(t, r.Dir, record.ReasonBroken, "none/objects", "not there")
	})
	t.Run("configuration", func(t *testing.T) {
		r := clone(t)
		put(t, filepath.Join(r.Dir, "config"), "[core\n")
		unreadable(t, r.Dir, record.ReasonBroken, "bad config")
	})
	t.Run("no HEAD", func(t *testing.T) {
		r := clone(t)
		remove(t, filepath.Join(r.Dir, "HEAD"))
		unreadable(t, r.Dir, record.ReasonBroken, "HEAD is missing")
	})
	t.Run("missing object", func(t *testing.T) {
		r := gittest.New(t, t.TempDir(), "sha1", true)
		r.Commit("main", map[string]string{"a": "b"})
		remove(t, loose(r, r.Run("rev-parse", "main:a")))
		unreadable(t, r.Dir, record.ReasonBroken, "missing")
	})
	t.Run("damaged object", func(t *testing.T) {
		r := gittest.New(t, t.TempDir(), "sha1", true)
		r.Commit("main", map[string]string{"a": "b"})
		name := loose(r, r.Run("rev-parse", "main:a"))
		if err := os.Chmod(name, 0o644); err != nil {
			t.Fatal(err)
		}
		put(t, name, "damaged")
		unreadable(t, r.Dir, record.ReasonBroken)
	})
	t.Run("gone", func(t *testing.T) {
		if _, err := Open(t.Context(), filepath.Join(t.TempDir(), "none.git"), Options{}); !errors.Is(err, source.ErrGone) {
			t.Error(err)
		}
	})
	t.Run("linked working tree", func(t *testing.T) {
		r := clone(t)
		r.Run("worktree", "add", "-q", filepath.Join(t.TempDir(), "tree"), "main")
		unreadable(t, filepath.Join(r.Dir, "worktrees/tree"), record.ReasonUnsupported, "linked working tree")
	})
}

// TestDamagedPack flips bytes all over a pack: each capture fails, or what it gave is right.
func TestDamagedPack(t *testing.T) {
	r := gittest.Large(t, t.TempDir(), 40, 9)
	r.Run("repack", "-a", "-d", "-q")
	names, err := filepath.Glob(filepath.Join(r.Dir, "objects/pack/*.pack"))
	if err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	whole, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(names[0], 0o644); err != nil {
		t.Fatal(err)
	}
	objects, failed := len(r.Objects()), 0
	const places = 12
	for i := range places {
		bad := bytes.Clone(whole)
		bad[12+(len(whole)-40)*i/places] ^= 0x55
		put(t, names[0], string(bad))
		c, err := try(t, r.Dir, Options{}, nil)
		var u *source.Unreadable
		switch {
		case errors.As(err, &u) && u.Reason == record.ReasonBroken:
			failed++
		case err != nil:
			t.Errorf("place %d: %v", i, err)
		default: // git copied what is compressed without a look
			empty := gittest.New(t, t.TempDir(), "sha1", true)
			if _, err := empty.Git.Output(t.Context(), bytes.NewReader(c.packs[0]), "index-pack", "--stdin"); err != nil {
				failed++
			} else if c.count != int64(objects) {
				t.Errorf("place %d: %d of %d objects came back", i, c.count, objects)
			}
		}
	}
	if failed < places-1 { // a byte may lie in what nothing needs
		t.Errorf("damage was seen at %d of %d places", failed, places)
	}
}

// TestHostile runs everything on a repository whose configuration, hooks and attributes try to execute something.
func TestHostile(t *testing.T) {
	dir := t.TempDir()
	marker := filepath.Join(dir, "executed")
	r := gittest.New(t, filepath.Join(dir, "a.git"), "sha1", true)
	r.Commit("main", map[string]string{"a": "b", ".gitattributes": "* filter=evil diff=evil\n"})
	script := filepath.Join(dir, "evil.sh")
	put(t, script, "#!/bin/sh\ntouch "+marker+"\n")
	if err := os.Chmod(script, 0o755); err != nil {
		t.Fatal(err)
	}
	var config strings.Builder
	config.WriteString("[core]\nrepositoryformatversion=0\nbare=true\n")
	for _, key := range []string{"core.fsmonitor", "core.pager", "core.editor", "core.sshCommand", "core.gitProxy", "core.alternateRefsCommand", "core.askPass",
		"uploadpack.packObjectsHook", "gpg.program", "diff.external", "pager.for-each-ref", "pager.config", "filter.evil.clean", "filter.evil.smudge", "diff.evil.textconv", "credential.helper"} {
		i := strings.LastIndex(key, ".")
		section, sub, has := strings.Cut(key[:i], ".")
		if has {
			section = fmt.Sprintf("%s %q", section, sub)
		}
		fmt.Fprintf(&config, "[%s]\n%s = %s\n", section, key[i+1:], script)
	}
	fmt.Fprintf(&config, "[core]\nhooksPath = %s\n[alias]\nfor-each-ref = !%s\nfsck = !%s\n", dir, script, script)
	put(t, filepath.Join(r.Dir, "config"), config.String())
	for _, hook := range []string{"reference-transaction", "pre-auto-gc", "post-index-change", "fsmonitor-watchman"} {
		put(t, filepath.Join(r.Dir, "hooks", hook), "#!/bin/sh\ntouch "+marker+"\n")
		if err := os.Chmod(filepath.Join(r.Dir, "hooks", hook), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	everything(t, r.Dir)
	if _, err := os.Stat(marker); err == nil {
		t.Error("the repository made the agent execute something")
	}
}

// everything calls every method.
func everything(t *testing.T, dir string) {
	t.Helper()
	r := open(t, dir, Options{Reflogs: true})
	m, err := r.Refs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p, err := r.Pack(t.Context(), m.Tips(), nil, true)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := io.Copy(io.Discard, p); err != nil {
		t.Error(err)
	}
	_, _, fsck := r.Fsck(t.Context())
	_, pointers := r.Pointers(t.Context(), m.Tips(), nil)
	_, sidecars := r.Sidecars(t.Context())
	if err := errors.Join(fsck, pointers, sidecars); err != nil {
		t.Error(err)
	}
}

// TestOtherOwner captures a repository of another user, which git refuses on its own.
func TestOtherOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	r := gittest.New(t, t.TempDir(), "sha1", true)
	r.Commit("main", map[string]string{"a": "b"})
	err := filepath.WalkDir(r.Dir, func(name string, _ os.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(name, 12345, 12345))
	})
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, r, nil)
}

// asNobody runs do as a user without rights, in a thread that ends with it.
func asNobody(t *testing.T, do func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		do() // files with mode 0 stop this user too
		return
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		const nobody = 65534
		_, _, errno := unix.RawSyscall(unix.SYS_SETRESGID, nobody, nobody, nobody)
		if errno == 0 {
			_, _, errno = unix.RawSyscall(unix.SYS_SETRESUID, nobody, nobody, nobody)
		}
		if errno != 0 {
			done <- errno
			return
		}
		do()
		done <- nil
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// openTemp is a temporary directory that every user may enter.
func openTemp(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestDenied opens repositories that may not be read.
func TestDenied(t *testing.T) {
	for _, name := range []string{".", "objects", "objects/pack", "config", "HEAD", "refs", "refs/heads", "packed-refs"} {
		t.Run(name, func(t *testing.T) {
			r := gittest.New(t, filepath.Join(openTemp(t), "a.git"), "sha1", true)
			r.Commit("main", map[string]string{"a": "b"})
			r.Run("pack-refs", "--all")
			r.Commit("topic", map[string]string{"a": "b"})
			err := filepath.WalkDir(r.Dir, func(name string, d os.DirEntry, err error) error {
				return errors.Join(err, os.Chmod(name, map[bool]os.FileMode{true: 0o755, false: 0o644}[d.IsDir()]))
			})
			if err != nil {
				t.Fatal(err)
			}
			var before, after error
			asNobody(t, func() { _, before = try(t, r.Dir, Options{}, nil) })
			if err := os.Chmod(filepath.Join(r.Dir, name), 0); err != nil {
				t.Fatal(err)
			}
			asNobody(t, func() { _, after = try(t, r.Dir, Options{}, nil) })
			if err := os.Chmod(filepath.Join(r.Dir, name), 0o755); err != nil {
				t.Fatal(err)
			}
			if before != nil {
				t.Errorf("while it may be read: %v", before)
			}
			var u *source.Unreadable
			if !errors.As(after, &u) || u.Reason != record.ReasonDenied || !strings.Contains(u.Detail, r.Dir) {
				t.Errorf("it may not be read, and the error is %v", after)
			}
		})
	}
}
