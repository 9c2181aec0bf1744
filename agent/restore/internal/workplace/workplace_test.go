package workplace

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func entries(t *testing.T, dir string) (all []string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range list {
		all = append(all, e.Name())
	}
	return all
}

// TestSweep leaves what killed processes would beside a new folder: what was for the same target goes, unless it is in use, and nothing else.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	folder := func(name string) string {
		path := filepath.Join(dir, name)
		must(t, os.MkdirAll(filepath.Join(path, "below"), 0o700))
		return path
	}
	prefix := partialPrefix("to")
	folder(prefix + "1")
	must(t, os.WriteFile(filepath.Join(dir, prefix+"file"), []byte("x"), 0o600))
	folder(partialPrefix("other") + "1")
	lock, err := os.Open(folder(prefix + "locked"))
	must(t, err)
	defer lock.Close()
	must(t, unix.Flock(int(lock.Fd()), unix.LOCK_EX))
	must(t, os.Symlink(folder("elsewhere"), filepath.Join(dir, prefix+"link")))
	w, err := Open(filepath.Join(dir, "to"))
	must(t, err)
	must(t, w.Publish())
	must(t, w.Close())
	want := []string{partialPrefix("other") + "1", prefix + "link", prefix + "locked", "elsewhere", "to"}
	slices.Sort(want)
	if got := entries(t, dir); !slices.Equal(got, want) {
		t.Errorf("there are %q\nwant      %q", got, want)
	}
	if got := entries(t, filepath.Join(dir, "elsewhere")); len(got) != 1 {
		t.Errorf("a link was followed: %q", got)
	}
}

// TestPublish gives a name only where none has it, and leaves nothing where it does not.
func TestPublish(t *testing.T) {
	long := strings.Repeat("x", 255)
	for _, name := range []string{"to", long} {
		for _, inner := range []bool{false, true} {
			dir := t.TempDir()
			target := filepath.Join(dir, "above", name)
			work := func() error {
				w, err := Open(target)
				if err != nil {
					return err
				}
				must(t, os.Mkdir(filepath.Join(w.Path, "inner"), 0o750))
				if inner {
					return errors.Join(w.PublishInner("inner"), w.Close())
				}
				return errors.Join(w.Publish(), w.Close())
			}
			must(t, work())
			if err := work(); !errors.Is(err, ErrExists) {
				t.Errorf("again: %v", err)
			}
			if got := entries(t, filepath.Dir(target)); !slices.Equal(got, []string{name}) {
				t.Errorf("there are %q", got)
			}
			info, err := os.Stat(target)
			must(t, err)
			if want := map[bool]fs.FileMode{true: 0o750, false: 0o755}[inner]; info.Mode().Perm() != want {
				t.Errorf("mode %s, want %s", info.Mode(), want)
			}
		}
	}
	// Somebody takes the name meanwhile, with an empty folder, which a rename would replace.
	target := filepath.Join(t.TempDir(), "to")
	w, err := Open(target)
	must(t, err)
	must(t, os.Mkdir(filepath.Join(w.Path, "inner"), 0o755))
	must(t, os.Mkdir(target, 0o700))
	if err := w.PublishInner("inner"); !errors.Is(err, ErrExists) {
		t.Errorf("over a folder of somebody's: %v", err)
	}
	must(t, w.Close())
	if got := entries(t, filepath.Dir(target)); !slices.Equal(got, []string{"to"}) {
		t.Errorf("there are %q", got)
	}
}

// TestNewFile makes a file whole or not at all.
func TestNewFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "above/file")
	bad := errors.New("no")
	if err := NewFile(path, func(w io.Writer) error { _, _ = w.Write([]byte("half")); return bad }); !errors.Is(err, bad) {
		t.Errorf("%v", err)
	}
	if got := entries(t, filepath.Dir(path)); len(got) > 0 {
		t.Errorf("left: %q", got)
	}
	must(t, NewFile(path, func(w io.Writer) error { _, err := w.Write([]byte("whole")); return err }))
	if err := NewFile(path, func(io.Writer) error { t.Error("written over"); return nil }); !errors.Is(err, ErrExists) {
		t.Errorf("%v", err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "whole" {
		t.Errorf("%q, %v", b, err)
	}
}
