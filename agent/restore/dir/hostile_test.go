package dir_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"farshore/agent/restore"
	"farshore/agent/restore/dir"
	"farshore/agent/restore/internal/rig"
)

// TestHostileKeys restores every kind of key that could lead elsewhere. What lies around the root must stay as it is, every item must be below
// the root with its content, and every escaped name must lead back to its key.
func TestHostileKeys(t *testing.T) {
	keys := []string{
		"../outside", "../../outside", "a/../../outside", "/etc/absolute", "//double", "..", ".", "./x", "x/./y", "x/..", "a//b", "dir/", "dir/sub/", "/",
		"nul\x00byte", "back\\slash", `..\..\outside`, strings.Repeat("x", 256), "d/" + strings.Repeat("y", 300) + "/z", strings.Repeat("/", 20),
		"_farshore-escaped/a%2fb", "_farshore-escaped", "_farshore-partial/1", "_Farshore-Escaped/x", "_farshore-escaped/../../x",
		strings.Repeat("../", 300) + "outside", "\x00", "a/b\x00/../../c",
	}
	plain := []string{"ok", "a/ok", "...", ".hidden", "-rf", "new\nline", "CON", "x/y", "d/e", " ", "~", "a b", "%2e%2e", "dir.x"}
	r := rig.New(t)
	for _, key := range append(plain, keys...) {
		r.Put(key, []byte("content of "+key))
	}
	r.Replicate()
	around := t.TempDir()
	root := filepath.Join(around, "deep", "root")
	for name, content := range map[string]string{"outside": "mine", "deep/outside": "mine", "x": "mine"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(around, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(around, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, pass := range []string{"first", "again"} {
		s := run(t, r, root, restore.Options{})
		want := map[string]string{"outside": "mine", "deep/outside": "mine", "x": "mine"}
		for _, key := range plain {
			want["deep/root/"+key] = "content of " + key
		}
		for _, key := range keys {
			want["deep/root/_farshore-escaped/"+dir.Escape(key)] = "content of " + key
		}
		sameTree(t, pass, tree(t, around), want)
		if s.Escaped.Items != int64(len(keys)) || s.Incomplete() {
			t.Errorf("%s: %d were escaped, want %d; %+v", pass, s.Escaped.Items, len(keys), s.Failed)
		}
		for _, n := range s.Escaped.Named {
			back, err := dir.Unescape(strings.TrimPrefix(n.As, dir.EscapedFolder+"/"))
			if err != nil || back != n.Path || n.Why == "" {
				t.Errorf("%s: %q is listed as %q, %q, which leads to %q, %v", pass, n.Path, n.As, n.Why, back, err)
			}
		}
		if pass == "again" && (s.Equal.Items != int64(len(keys)+len(plain)) || s.Restored.Items != 0) {
			t.Errorf("resumed: %d equal, %d restored", s.Equal.Items, s.Restored.Items)
		}
	}
}

// TestCollidingNames restores names of which not all can be files and folders. The result follows from the snapshot alone, whatever was there in part.
func TestCollidingNames(t *testing.T) {
	r := rig.New(t)
	natural := []string{"a", "a-", "a.b", "b/c", "b0", "c", "d"}
	escaped := []string{"a/b", "a/b/c", "a-/x", "b/c/d", "b/c/d/e", "c/", "d//", "a/"}
	for _, key := range append(natural, escaped...) {
		r.Put(key, []byte("content of "+key))
	}
	r.Replicate()
	want := map[string]string{}
	for _, key := range natural {
		want[key] = "content of " + key
	}
	for _, key := range escaped {
		want[dir.EscapedFolder+"/"+dir.Escape(key)] = "content of " + key
	}
	for _, workers := range []int{1, 16} {
		root := t.TempDir()
		run(t, r, root, restore.Options{Workers: workers})
		sameTree(t, fmt.Sprint(workers, " workers"), tree(t, root), want)
	}
	root := t.TempDir()
	run(t, r, root, restore.Options{Workers: 16})
	for name := range want {
		if err := os.Remove(filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
		s := run(t, r, root, restore.Options{Workers: 16})
		sameTree(t, "without "+name, tree(t, root), want)
		if s.Restored.Items != 1 {
			t.Errorf("without %q: %d restored", name, s.Restored.Items)
		}
	}
}

func TestPlantedObstacles(t *testing.T) {
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	link := func(to string) func(path string) error {
		return func(path string) error { return os.Symlink(to, path) }
	}
	for name, tt := range map[string]struct {
		at    string
		plant func(path string) error
		key   string
	}{
		"link out, as a folder":       {"d", link(outside), "d/secret"},
		"relative link out":           {"d", link("../../../../../.." + outside), "d/secret"},
		"link out, as the file":       {"d", link(filepath.Join(outside, "secret")), "d"},
		"dangling link":               {"d", link(filepath.Join(outside, "new")), "d"},
		"link inside, as a folder":    {"d", link("other"), "d/x"},
		"link inside, as the file":    {"d", link("other/x"), "d"},
		"link to itself":              {"d", link("d"), "d/x"},
		"link to the root":            {"d", link("."), "d/_farshore-escaped"},
		"file where a folder must be": {"d", func(p string) error { return os.WriteFile(p, []byte("theirs"), 0o644) }, "d/x"},
		"folder where the file is":    {"d", func(p string) error { return os.MkdirAll(filepath.Join(p, "sub"), 0o755) }, "d"},
		"deep link":                   {"p/q/r", func(p string) error { return errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.Symlink(outside, p)) }, "p/q/r/s/t"},
	} {
		for _, overwrite := range []bool{false, true} {
			t.Run(fmt.Sprint(name, overwrite), func(t *testing.T) {
				r := rig.New(t)
				r.Put(tt.key, []byte("restored"))
				r.Replicate()
				root := t.TempDir()
				if err := os.MkdirAll(filepath.Join(root, "other"), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := tt.plant(filepath.Join(root, tt.at)); err != nil {
					t.Fatal(err)
				}
				want := tree(t, root)
				want[dir.EscapedFolder+"/"+dir.Escape(tt.key)] = "restored"
				for range 2 {
					s := run(t, r, root, restore.Options{Overwrite: overwrite})
					if s.Escaped.Items != 1 || s.Escaped.Named[0].Why == "" || s.Incomplete() {
						t.Errorf("summary: %+v", s)
					}
					sameTree(t, "target", tree(t, root), want)
				}
				sameTree(t, "outside", tree(t, outside), map[string]string{"secret": "mine"})
			})
		}
	}
}

// TestLinkPlantedWhileRestoring swaps folders for links between the target's look and its writing, and while the body is read.
func TestLinkPlantedWhileRestoring(t *testing.T) {
	outside, root := t.TempDir(), t.TempDir()
	target := open(t, root, dir.Options{})
	warm, body := item("d/e/first", "first")
	if _, err := target.Write(t.Context(), warm, false, body); err != nil {
		t.Fatal(err)
	}
	it, body := item("d/e/f/x", "content")
	found, err := target.Look(t.Context(), it)
	if err != nil || found.State != restore.Absent || found.As != "" {
		t.Fatalf("look: %+v, %v", found, err)
	}
	if err := errors.Join(os.Rename(filepath.Join(root, "d/e"), filepath.Join(root, "d/moved")), os.Symlink(outside, filepath.Join(root, "d/e"))); err != nil {
		t.Fatal(err)
	}
	plant := func(w io.Writer) error {
		if err := os.Symlink(outside, filepath.Join(root, "d/moved/f")); err != nil {
			return err
		}
		return body(w)
	}
	w, err := target.Write(t.Context(), it, false, plant)
	if err != nil {
		t.Fatal(err)
	}
	if w.As != dir.EscapedFolder+"/"+dir.Escape("d/e/f/x") {
		t.Errorf("written as %q", w.As)
	}
	if left := tree(t, outside); len(left) != 0 {
		t.Errorf("outside of the root: %v", left)
	}
}

func TestBlockedEscapedFolderFailsTheItemOnly(t *testing.T) {
	outside, root := t.TempDir(), t.TempDir()
	if err := os.Symlink(outside, filepath.Join(root, dir.EscapedFolder)); err != nil {
		t.Fatal(err)
	}
	r := rig.New(t)
	r.Put("a//b", []byte("x"))
	r.Put("ok", []byte("fine"))
	r.Replicate()
	s := run(t, r, root, restore.Options{})
	if s.Failed.Items != 1 || s.Failed.Named[0].Path != "a//b" || s.Restored.Items != 1 || !s.Incomplete() {
		t.Errorf("%+v", s)
	}
	if left := tree(t, outside); len(left) != 0 {
		t.Errorf("outside of the root: %v", left)
	}
}

func TestForeignWorkshopIsRefused(t *testing.T) {
	outside, root := t.TempDir(), t.TempDir()
	if err := os.Symlink(outside, filepath.Join(root, "_farshore-partial")); err != nil {
		t.Fatal(err)
	}
	target := open(t, root, dir.Options{})
	it, body := item("a", "x")
	if _, err := target.Write(t.Context(), it, false, body); err == nil || !strings.Contains(err.Error(), "remove it") {
		t.Errorf("a planted link was taken for the folder of partial files: %v", err)
	}
	if left := tree(t, outside); len(left) != 0 {
		t.Errorf("outside of the root: %v", left)
	}
}
