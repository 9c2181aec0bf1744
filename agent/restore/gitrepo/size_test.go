package gitrepo_test

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"farshore/agent/repo/gittest"
	"farshore/agent/restore/gitrepo"
	"farshore/agent/restore/internal/workplace"
)

// sizeOf is the number of bytes of all files below a folder.
func sizeOf(t testing.TB, dir string) (n int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		n += info.Size()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestSize holds that what is restored is about as large as git makes it: a repository, a bundle, and what is pushed.
func TestSize(t *testing.T) {
	t.Parallel()
	commits := 2000
	if os.Getenv("FARSHORE_TEST_LONG") == "1" {
		commits = 10_000
	}
	src := gittest.Large(t, filepath.Join(t.TempDir(), "src.git"), commits, 3)
	src.Run("repack", "-a", "-d", "-q") // or else each of them would look for deltas
	c := newCapture(t, src, "app.git")
	c.take()
	dir := t.TempDir()
	near := func(what string, have, want int64) {
		t.Helper()
		t.Logf("%s: %d bytes, and %d of git", what, have, want)
		if have > want+want/10 {
			t.Errorf("%s: %d bytes, more than a tenth above git's %d", what, have, want)
		}
	}
	cloned := filepath.Join(dir, "cloned.git")
	src.Run("clone", "--quiet", "--bare", "--no-local", src.Dir, cloned)
	git := sizeOf(t, filepath.Join(cloned, "objects"))
	restored := filepath.Join(dir, "restored.git")
	_, err := gitrepo.Build(t.Context(), c.mem, c.set(), restored, gitrepo.Options{})
	c.must(err)
	near("repository", sizeOf(t, filepath.Join(restored, "objects")), git)

	address := bareAt(t, "")
	_, err = gitrepo.Push(t.Context(), restored, address, gitrepo.PushOptions{})
	c.must(err)
	near("pushed", sizeOf(t, filepath.Join(strings.TrimPrefix(address, "file://"), "objects")), git)

	file := filepath.Join(dir, "app.bundle")
	c.must(workplace.NewFile(file, func(w io.Writer) error { return gitrepo.Bundle(t.Context(), c.mem, c.set(), w, dir) }))
	near("bundle", int64(len(read(t, file))), int64(len(read(t, packFiles(t, cloned, "pack")[0]))))
}
