package dir_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"farshore/agent/restore"
	"farshore/agent/restore/dir"
	"farshore/agent/restore/internal/rig"
)

type counter struct{ n atomic.Int64 }

func (c *counter) next() int64 { return c.n.Add(1) }

// TestDiskFull restores to a file system with room for some of the items. It needs the right to mount one.
func TestDiskFull(t *testing.T) {
	root := t.TempDir()
	if err := syscall.Mount("none", root, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("a small file system can't be mounted: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(root, 0); err != nil {
			t.Error(err)
		}
	})
	for _, size := range []int{300_000, 1_400_000} { // below and above where room is asked for at once
		r := rig.New(t)
		for i := range 10 {
			r.Put(string(rune('a'+i)), rig.Noise(uint64(size+i), size))
		}
		r.Replicate()
		target, err := dir.Open(root, dir.Options{})
		if err != nil {
			t.Fatal(err)
		}
		snap, reader := r.Snapshot()
		s, err := restore.Run(t.Context(), snap, reader, target, restore.Options{Workers: 1})
		if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "no room left in "+root) {
			t.Fatalf("a full disk gave %v", err)
		}
		if err := target.Close(); err != nil {
			t.Fatal(err)
		}
		files := tree(t, root)
		for name, content := range files {
			if content != string(r.Items[name].Content) {
				t.Errorf("%q is wrong", name)
			}
			if err := os.Remove(filepath.Join(root, name)); err != nil {
				t.Fatal(err)
			}
		}
		if int64(len(files)) != s.Restored.Items || len(files) == 0 {
			t.Errorf("%d files, %d restored", len(files), s.Restored.Items)
		}
	}
}

// TestFileSystemsWithin holds that nothing is restored into another file system that is mounted below the root.
func TestFileSystemsWithin(t *testing.T) {
	root := t.TempDir()
	inner := filepath.Join(root, "mnt")
	if err := os.Mkdir(inner, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("none", inner, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("a file system can't be mounted: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(inner, 0); err != nil {
			t.Error(err)
		}
	})
	r := rig.New(t)
	r.Put("mnt/a", []byte("x"))
	r.Replicate()
	s := run(t, r, root, restore.Options{})
	sameTree(t, "target", tree(t, root), map[string]string{dir.EscapedFolder + "/mnt%2fa": "x"})
	if s.Escaped.Items != 1 || !strings.Contains(s.Escaped.Named[0].Why, "another file system") {
		t.Errorf("%+v", s.Escaped)
	}
}
