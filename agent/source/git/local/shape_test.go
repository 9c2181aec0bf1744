package local

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"farshore/agent/record"
	"farshore/agent/repo/gittest"
	"farshore/agent/source"
)

func fifo(t *testing.T, name string) {
	t.Helper()
	remove(t, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(name, 0o644); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, target, name string) {
	t.Helper()
	remove(t, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, name); err != nil {
		t.Fatal(err)
	}
}

func one(t *testing.T) *gittest.Repo {
	t.Helper()
	r := gittest.New(t, filepath.Join(t.TempDir(), "a.git"), "sha1", true)
	r.Commit("main", map[string]string{"a": "b"})
	return r
}

// TestPipes holds that a named pipe in the place of any file that git, or this package, opens stops nothing: the repository is refused, with its name.
func TestPipes(t *testing.T) {
	for _, name := range []string{"HEAD", "packed-refs", "config", "config.worktree", "shallow", "commondir", "objects/info/alternates", "objects/pack", "objects/pack/pack-1.idx",
		"objects/pack/multi-pack-index", "objects/info/commit-graph", "objects/aa", "refs/heads/x", "refs/heads/a/b", "refs", "objects"} {
		t.Run(name, func(t *testing.T) {
			r := one(t)
			fifo(t, filepath.Join(r.Dir, name))
			began := time.Now()
			_, err := try(t, r.Dir, Options{}, nil)
			var u *source.Unreadable
			if name == "objects/pack" || name == "objects/aa" { // a file there is nothing to git
				if err != nil && !errors.As(err, &u) {
					t.Error(err)
				}
			} else if !errors.As(err, &u) || !strings.Contains(u.Detail, r.Dir) {
				t.Errorf("the error is %v", err)
			}
			if d := time.Since(began); d > 30*time.Second {
				t.Errorf("it took %v", d)
			}
		})
	}
	t.Run("in tables", func(t *testing.T) {
		r := one(t)
		fifo(t, filepath.Join(r.Dir, "reftable", "tables.list"))
		unreadable(t, r.Dir, record.ReasonUnsupported, "tables.list")
	})
	t.Run("an object", func(t *testing.T) {
		r := one(t)
		fifo(t, loose(r, r.Run("rev-parse", "main:a")))
		unreadable(t, r.Dir, record.ReasonUnsupported, "neither a file nor a folder")
	})
	t.Run("what nobody saw", func(t *testing.T) { // whatever makes git hang
		repo := open(t, one(t).Dir, Options{})
		repo.refsTime = 300 * time.Millisecond
		in, end := io.Pipe()
		defer end.Close()
		err := repo.soon(t.Context(), func(ctx context.Context) error { return repo.real.Run(ctx, in, io.Discard, "cat-file", "--batch") })
		var u *source.Unreadable
		if !errors.As(err, &u) || !strings.Contains(u.Detail, "300ms") {
			t.Error(err)
		}
	})
}

// TestLarge holds that what would fill the memory of git or the agent is refused.
func TestLarge(t *testing.T) {
	for name, size := range map[string]int64{"HEAD": maxSmall + 1, "packed-refs": maxPackedRefs + 1, "config": maxConfig + 1, "refs/heads/x": maxSmall + 1} {
		r := one(t)
		file := filepath.Join(r.Dir, name)
		f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY, 0o644)
		if err = errors.Join(err, f.Truncate(size), f.Close()); err != nil {
			t.Fatal(err)
		}
		_, err = try(t, r.Dir, Options{}, nil)
		var u *source.Unreadable
		if !errors.As(err, &u) || !strings.Contains(u.Detail, fmt.Sprint(file, " has ", size, " bytes")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestForeign holds that nothing of what lies outside is read, or repeated, through a link, an alternate or a setting.
func TestForeign(t *testing.T) {
	other := one(t)
	secret := filepath.Join(t.TempDir(), "secret")
	put(t, secret, "hunter2\n")
	for _, name := range []string{"HEAD", "commondir", "packed-refs", "config", "shallow", "objects/info/alternates", "refs/heads/x", "objects/pack/pack-1.idx"} {
		r := one(t)
		link(t, secret, filepath.Join(r.Dir, name))
		_, err := try(t, r.Dir, Options{}, nil)
		var u *source.Unreadable
		if !errors.As(err, &u) || u.Reason != record.ReasonUnsupported || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"objects", "refs", "refs/heads", "objects/pack", "objects/info"} {
		r := one(t)
		link(t, filepath.Join(other.Dir, name), filepath.Join(r.Dir, name))
		unreadable(t, r.Dir, record.ReasonUnsupported, filepath.Join(r.Dir, name), "symbolic link")
	}
	r := one(t)
	blob := loose(r, r.Run("rev-parse", "main:a"))
	link(t, loose(other, other.Run("rev-parse", "main:a")), blob)
	unreadable(t, r.Dir, record.ReasonUnsupported, blob)
	if _, err := try(t, r.Dir, Options{Root: filepath.Dir(filepath.Dir(filepath.Dir(other.Dir)))}, nil); err != nil {
		t.Errorf("within the source's directory: %v", err)
	}
}

// TestForeignLFS holds that large files are read only where the repository may share files.
func TestForeignLFS(t *testing.T) {
	content := "a large file"
	oid := fmt.Sprintf("%x", sha256.Sum256([]byte(content)))
	storage := t.TempDir()
	put(t, filepath.Join(storage, "objects", oid[:2], oid[2:4], oid), content)
	r := one(t)
	r.Run("config", "lfs.storage", storage)
	var u *source.Unreadable
	if _, _, err := open(t, r.Dir, Options{}).LFSObject(oid); !errors.As(err, &u) || u.Reason != record.ReasonUnsupported || !strings.Contains(u.Detail, storage) {
		t.Errorf("outside: %v", err)
	}
	body, _, err := open(t, r.Dir, Options{Root: filepath.Dir(storage)}).LFSObject(oid)
	if err != nil {
		t.Fatalf("within: %v", err)
	}
	if err := body.Close(); err != nil {
		t.Error(err)
	}
	fifo(t, filepath.Join(r.Dir, "lfs/objects", oid[:2], oid[2:4], oid))
	r.Run("config", "--unset", "lfs.storage")
	if _, _, err := open(t, r.Dir, Options{}).LFSObject(oid); err == nil {
		t.Error("a pipe was opened")
	}
}

// TestSidecarBounds holds that files beside the repository are bounded in number, bytes and names, and that what is left out is named.
func TestSidecarBounds(t *testing.T) {
	r := one(t)
	for i := range 5 {
		name := filepath.Join(r.Dir, "hooks", fmt.Sprint("big", i))
		put(t, name, "")
		if err := os.Truncate(name, maxSidecar); err != nil {
			t.Fatal(err)
		}
	}
	link(t, strings.Repeat("x", maxSidecarLink+1), filepath.Join(r.Dir, "hooks/far"))
	link(t, strings.Repeat("x", maxSidecarLink), filepath.Join(r.Dir, "hooks/near"))
	repo := open(t, r.Dir, Options{})
	names := strings.Join(sidecarNames(t, repo), " ")
	if strings.Contains(names, "far") || !strings.Contains(names, "near") || strings.Count(names, "big") != 3 {
		t.Errorf("captured: %s", names)
	}
	if said := repo.Omitted(); !strings.Contains(said, "hooks/far: it is a symbolic link to 1025 bytes") || !strings.Contains(said, "more than 64 MiB") {
		t.Errorf("omitted: %q", said)
	}
	for i := range maxSidecars {
		link(t, "x", filepath.Join(r.Dir, "info", fmt.Sprint("l", i)))
	}
	repo = open(t, r.Dir, Options{})
	if n := len(sidecarNames(t, repo)); n != maxSidecars || !strings.Contains(repo.Omitted(), "what comes after it") {
		t.Errorf("%d files, omitted %.200q", n, repo.Omitted())
	}
}
