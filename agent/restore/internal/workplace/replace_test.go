package workplace

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"farshore/agent/repo/tempdir"
)

// folderOf makes a folder with a file that says what it is.
func folderOf(path, content string) error {
	if err := os.Mkdir(path, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(path, "content"), []byte(content), 0o644)
}

// found is what the folders in dir are, by name.
func found(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, name := range entries(t, dir) {
		b, err := os.ReadFile(filepath.Join(dir, name, "content"))
		must(t, err)
		all[name] = string(b)
	}
	return all
}

func wantFound(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	if got := found(t, dir); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("there are %v, want %v", got, want)
	}
}

// replaced is Replace where nothing was left.
func replaced(target string, make func(string) error) error {
	left, err := Replace(target, make)
	return errors.Join(left, err)
}

// TestReplace moves the old one aside only when the new one is whole.
func TestReplace(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "to")
	must(t, folderOf(target, "one"))
	bad := errors.New("no")
	if err := replaced(target, func(path string) error { return errors.Join(folderOf(path, "half"), bad) }); !errors.Is(err, bad) {
		t.Error(err)
	}
	wantFound(t, dir, map[string]string{"to": "one"})
	for _, content := range []string{"two", "three"} {
		must(t, replaced(target, func(path string) error { return folderOf(path, content) }))
	}
	wantFound(t, dir, map[string]string{"to": "three", "to.before-restore-1": "one", "to.before-restore-2": "two"})
}

// TestReplaceTogether has two processes replace the same at the same time: neither takes the other's work away, and nothing is lost.
func TestReplaceTogether(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "to")
	must(t, folderOf(target, "one"))
	must(t, replaced(target, func(path string) error {
		must(t, folderOf(path, "two"))
		return replaced(target, func(path string) error { return folderOf(path, "three") })
	}))
	wantFound(t, dir, map[string]string{"to": "two", "to.before-restore-1": "one", "to.before-restore-2": "three"})
}

// TestReplaceKilled ends a replacement at each of its steps, on file systems with and without an exchange of names, and lets the next one go on: at no time is the old one
// or its whole successor lost.
func TestReplaceKilled(t *testing.T) {
	for _, tc := range []struct {
		swap  func(a, b string) error
		after []map[string]string // after so many steps, and the next replacement
	}{
		{exchange, []map[string]string{
			{"to": "next", "to.before-restore-1": "old"},
			{"to": "next", "to.before-restore-1": "new", "to.before-restore-2": "old"},
			{"to": "next", "to.before-restore-1": "old", "to.before-restore-2": "new"},
		}},
		{func(string, string) error { return errors.ErrUnsupported }, []map[string]string{
			{"to": "next", "to.before-restore-1": "old"},
			{"to": "next", "to.before-restore-1": "new", "to.before-restore-2": "old"},
			{"to": "next", "to.before-restore-1": "new", "to.before-restore-2": "old"},
			{"to": "next", "to.before-restore-1": "new", "to.before-restore-2": "old"},
		}},
	} {
		for steps := range tc.after {
			t.Run(fmt.Sprint(len(tc.after)-1, steps), func(t *testing.T) { testKilled(t, tc.swap, steps, tc.after[steps]) })
		}
	}
}

func testKilled(t *testing.T, swap func(a, b string) error, steps int, want map[string]string) {
	dir := t.TempDir()
	target := filepath.Join(dir, "to")
	must(t, folderOf(target, "old"))
	w, err := beside(target)
	must(t, err)
	made := filepath.Join(w.Path, "successor")
	must(t, folderOf(made, "new"))
	left := steps
	killed := errors.New("killed")
	until := func(do func(a, b string) error) func(a, b string) error {
		return func(a, b string) error {
			if left == 0 {
				return killed
			}
			err := do(a, b)
			if err == nil {
				left--
			}
			return err
		}
	}
	err = names{until(renameNew), until(swap)}.succeed(made, target)
	if left > 0 || err != nil && !errors.Is(err, killed) {
		t.Fatalf("%d steps are left: %v", left, err)
	}
	must(t, w.lock.Close()) // as the system does for a killed process
	next := func(path string) error { return folderOf(path, "next") }
	if there, err := Exists(target); err == nil && there {
		must(t, replaced(target, next))
	} else {
		w, err := Open(target)
		must(t, errors.Join(err, next(filepath.Join(w.Path, "inner")), w.PublishInner("inner"), w.Close()))
	}
	wantFound(t, dir, want)
}

// TestReplaceUndone leaves all as it was when a name can't be given.
func TestReplaceUndone(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "to")
	must(t, folderOf(target, "old"))
	full := errors.New("no")
	unable := func(string, string) error { return errors.ErrUnsupported }
	for _, n := range []names{
		{renameNew, func(string, string) error { return full }},
		{func(a, b string) error {
			if b == target && filepath.Base(a) == "to.before-restore-1" {
				return full
			}
			return renameNew(a, b)
		}, unable},
	} {
		lock, err := tempdir.MakeFolder(dir, partialPrefix("to"))
		must(t, err)
		made := filepath.Join(lock.Name(), "successor")
		must(t, folderOf(made, "new"))
		if err := n.succeed(made, target); !errors.Is(err, full) {
			t.Error(err)
		}
		must(t, os.RemoveAll(lock.Name()))
		must(t, lock.Close())
		wantFound(t, dir, map[string]string{"to": "old"})
	}
}

// TestManyAside says what to do when there are too many.
func TestManyAside(t *testing.T) {
	n := names{move: func(string, string) error { return ErrExists }}
	if _, err := n.aside("a", "to"); err == nil || err.Error() != "to: there are 10000 older ones beside it already; remove some" {
		t.Error(err)
	}
}
