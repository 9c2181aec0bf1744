package file

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestLargeDirectory holds that the pages of a large directory are listed without reading it anew, and that what is added or removed between two pages shows all the same.
func TestLargeDirectory(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "packs", "aa")
	write := func(i int) {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%05d", i)), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	n := rememberFrom + 10
	for i := range n {
		write(2 * i)
	}
	d := open(t, root)
	page := func(after string, want ...string) {
		t.Helper()
		got, _, err := d.List(t.Context(), "packs/", after, len(want))
		if err != nil || len(got) != len(want) {
			t.Fatalf("%d names, %v", len(got), err)
		}
		for i, w := range want {
			if got[i].Name != "packs/aa/"+w {
				t.Errorf("got %s, want %s", got[i].Name, w)
			}
		}
	}
	changed := func(ago time.Duration) {
		t.Helper()
		then := time.Now().Add(-ago)
		if err := os.Chtimes(dir, then, then); err != nil {
			t.Fatal(err)
		}
	}
	changed(-time.Minute) // so that no machine is too slow for it to have been a moment ago
	page("", "00000", "00002")
	if len(d.large.dirs) != 0 {
		t.Error("a directory is remembered that changed a moment ago: what is added within the same tick would be missed")
	}
	changed(time.Hour)
	page("packs/aa/00002", "00004", "00006")
	if len(d.large.dirs) != 1 || len(d.large.dirs[0].names) != n {
		t.Fatalf("%d directories are remembered", len(d.large.dirs))
	}
	// What is remembered is what is used, for as long as the directory has not changed.
	names := d.large.dirs[0].names
	d.large.dirs[0].names = names[:5]
	page("packs/aa/00006", "00008")
	if got, more, err := d.List(t.Context(), "packs/", "packs/aa/00008", 10); err != nil || len(got) != 0 || more {
		t.Errorf("the directory was read anew: %d names, %v", len(got), err)
	}
	d.large.dirs[0].names = names
	write(9)
	if err := os.Remove(filepath.Join(dir, "00010")); err != nil {
		t.Fatal(err)
	}
	page("packs/aa/00008", "00009", "00012")
}

// TestLargeDirectories holds that few directories are remembered.
func TestLargeDirectories(t *testing.T) {
	var m memory
	for i := range 10 {
		m.put(contents{dir: fmt.Sprint(i), names: []string{"a"}})
		m.put(contents{dir: fmt.Sprint(i), names: []string{"b"}})
	}
	if len(m.dirs) != rememberDirs {
		t.Errorf("%d are remembered", len(m.dirs))
	}
	if names, ok := m.get("9", time.Time{}); !ok || names[0] != "b" {
		t.Errorf("the newest contents are %v", names)
	}
	if _, ok := m.get("9", time.Now()); ok {
		t.Error("the contents of another time are taken")
	}
}
