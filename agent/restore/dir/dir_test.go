package dir_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"farshore/agent/record"
	"farshore/agent/restore"
	"farshore/agent/restore/dir"
	"farshore/agent/restore/internal/rig"
)

// tree returns all files below a folder with their contents; links and folders with a mark of their own.
func tree(tb testing.TB, root string) map[string]string {
	tb.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		name, _ := filepath.Rel(root, path)
		switch {
		case d.Type()&fs.ModeSymlink != 0:
			to, err := os.Readlink(path)
			out[name] = "link to " + to
			return err
		case d.IsDir():
			return nil
		}
		b, err := os.ReadFile(path)
		out[name] = string(b)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

func sameTree(tb testing.TB, what string, got, want map[string]string) {
	tb.Helper()
	for name, w := range want {
		if g, ok := got[name]; !ok {
			tb.Errorf("%s: %q is missing", what, name)
		} else if g != w {
			tb.Errorf("%s: %q has %d bytes %.40q, want %d bytes %.40q", what, name, len(g), g, len(w), w)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			tb.Errorf("%s: %q should not be there", what, name)
		}
	}
}

// open opens a target, closed with the test.
func open(tb testing.TB, path string, o dir.Options) *dir.Target {
	tb.Helper()
	t, err := dir.Open(path, o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := t.Close(); err != nil {
			tb.Errorf("close: %v", err)
		}
	})
	return t
}

// run restores the rig's newest snapshot to a directory with a target of its own.
func run(tb testing.TB, r *rig.Rig, path string, o restore.Options) *restore.Summary {
	tb.Helper()
	t, err := dir.Open(path, dir.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	snap, reader := r.Snapshot()
	s, err := restore.Run(tb.Context(), snap, reader, t, o)
	if err != nil {
		tb.Fatalf("restore: %v", err)
	}
	if err := t.Close(); err != nil {
		tb.Fatalf("close: %v", err)
	}
	return s
}

// item returns an item and a body that gives its content.
func item(path, content string) (*restore.Item, restore.Body) {
	it := &restore.Item{Path: path, Size: int64(len(content)), SHA256: sha256.Sum256([]byte(content))}
	return it, func(w io.Writer) error {
		_, err := io.WriteString(w, content)
		return err
	}
}

func TestRestoreResumeAndTimes(t *testing.T) {
	r := rig.New(t)
	at := "2021-03-04T05:06:07.5Z"
	r.Put("empty", nil, record.Attrs{"modified": at})
	r.Put("dir/small", []byte("hello"))
	r.Put("dir/sub/large", rig.Noise(1, 5<<20))
	r.Put("\xff not utf-8", []byte("odd"))
	r.Replicate()
	root := filepath.Join(t.TempDir(), "new", "root")
	want := map[string]string{"empty": "", "dir/small": "hello", "dir/sub/large": string(r.Items["dir/sub/large"].Content), "\xff not utf-8": "odd"}

	dry := run(t, r, root, restore.Options{DryRun: true})
	if _, err := os.Stat(root); !errors.Is(err, fs.ErrNotExist) || dry.Restored.Items != 4 {
		t.Errorf("a dry run made the directory (%v), or counted wrong: %+v", err, dry)
	}
	var p restore.Progress
	first := run(t, r, root, restore.Options{Progress: &p})
	sameTree(t, "first", tree(t, root), want)
	if first.Restored.Items != 4 || first.Restored.Bytes != 5<<20+8 || first.Incomplete() || first.Damage() || !first.Complete {
		t.Errorf("first: %+v", first)
	}
	if p.Planned.Load() != 4 || p.Done.Load() != 4 || p.Read.Load() != 5<<20+8 || p.DoneBytes.Load() != p.PlannedBytes.Load() {
		t.Errorf("progress: planned %d, done %d, read %d", p.Planned.Load(), p.Done.Load(), p.Read.Load())
	}
	if fi, err := os.Stat(filepath.Join(root, "empty")); err != nil || fi.ModTime().UTC().Format(time.RFC3339Nano) != at {
		t.Errorf("time: %v, %v", fi.ModTime(), err)
	}
	if err := os.Remove(filepath.Join(root, "dir/small")); err != nil {
		t.Fatal(err)
	}
	second := run(t, r, root, restore.Options{})
	sameTree(t, "second", tree(t, root), want)
	if second.Restored.Items != 1 || second.Equal.Items != 3 {
		t.Errorf("second: %+v", second)
	}
}

func TestPrefixAndItem(t *testing.T) {
	r := rig.New(t)
	for _, path := range []string{"a/1", "a/2", "ab", "b"} {
		r.Put(path, []byte(path))
	}
	r.Replicate()
	root := t.TempDir()
	run(t, r, root, restore.Options{Prefix: "a/"})
	sameTree(t, "prefix", tree(t, root), map[string]string{"a/1": "a/1", "a/2": "a/2"})
	run(t, r, root, restore.Options{Item: "b"})
	sameTree(t, "item", tree(t, root), map[string]string{"a/1": "a/1", "a/2": "a/2", "b": "b"})
	snap, reader := r.Snapshot()
	var missing *restore.NotFoundError
	if _, err := restore.Run(t.Context(), snap, reader, open(t, root, dir.Options{}), restore.Options{Item: "a"}); !errors.As(err, &missing) {
		t.Errorf("a missing item gave %v", err)
	}
}

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

func TestDiffersIsLeftAloneUnlessAskedFor(t *testing.T) {
	r := rig.New(t)
	r.Put("a", []byte("vault's"))
	r.Put("b", []byte("same"))
	r.Put("c", []byte("12345"))
	r.Replicate()
	root := t.TempDir()
	for name, content := range map[string]string{"a": "somebody else's", "b": "same", "c": "54321", "z": "unknown"} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	before := tree(t, root)
	s := run(t, r, root, restore.Options{})
	sameTree(t, "left alone", tree(t, root), before)
	if s.Differs.Items != 2 || s.Equal.Items != 1 || s.Restored.Items != 0 || !s.Incomplete() {
		t.Errorf("left alone: %+v", s)
	}
	s = run(t, r, root, restore.Options{Overwrite: true, DryRun: true})
	sameTree(t, "dry run", tree(t, root), before)
	if s.Overwritten.Items != 2 {
		t.Errorf("dry run: %+v", s)
	}
	s = run(t, r, root, restore.Options{Overwrite: true})
	sameTree(t, "overwritten", tree(t, root), map[string]string{"a": "vault's", "b": "same", "c": "12345", "z": "unknown"})
	if s.Overwritten.Items != 2 || s.Restored.Items != 2 || s.Equal.Items != 1 || s.Incomplete() || s.Overwritten.Named[0].Why == "" {
		t.Errorf("overwritten: %+v", s)
	}
}

func TestFailedBodyLeavesNothing(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "old"), []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	target := open(t, root, dir.Options{})
	broken := errors.New("the vault broke off")
	for _, name := range []string{"new", "dir/new", "old", "a//b"} {
		it, body := item(name, "content")
		_, err := target.Write(t.Context(), it, true, func(w io.Writer) error { return errors.Join(body(w), broken) })
		if !errors.Is(err, broken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	sameTree(t, "target", tree(t, root), map[string]string{"old": "old"})
}

// TestKilledRun leaves what a killed process leaves, and restores again.
func TestKilledRun(t *testing.T) {
	r := rig.New(t)
	r.Put("a", []byte("content"))
	r.Replicate()
	root := t.TempDir()
	partial := filepath.Join(root, "_farshore-partial")
	if err := errors.Join(os.Mkdir(partial, 0o700), os.WriteFile(filepath.Join(partial, "1"), []byte("cont"), 0o600),
		os.WriteFile(filepath.Join(partial, "77"), []byte("content"), 0o600)); err != nil {
		t.Fatal(err)
	}
	s := run(t, r, root, restore.Options{})
	sameTree(t, "resumed", tree(t, root), map[string]string{"a": "content"})
	if s.Restored.Items != 1 {
		t.Errorf("%+v", s)
	}
	if _, err := os.Stat(partial); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder of partial files remains: %v", err)
	}
}

func TestOneRestoreAtATime(t *testing.T) {
	root := t.TempDir()
	first, second := open(t, root, dir.Options{}), open(t, root, dir.Options{})
	it, body := item("a", "x")
	if _, err := first.Write(t.Context(), it, false, body); err != nil {
		t.Fatal(err)
	}
	it, body = item("b", "x")
	if _, err := second.Write(t.Context(), it, false, body); err == nil || !strings.Contains(err.Error(), "another restore") {
		t.Errorf("a second restore at the same time: %v", err)
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

func TestDamageOfOneItemStopsNoOther(t *testing.T) {
	for name, damage := range map[string]func(r *rig.Rig, pack string){
		"missing": func(r *rig.Rig, pack string) { r.Store.Remove(pack) },
		"flipped": func(r *rig.Rig, pack string) {
			b := r.Store.Objects()[pack]
			b[len(b)/2] ^= 1
			r.Store.Set(pack, b)
		},
		"truncated": func(r *rig.Rig, pack string) {
			b := r.Store.Objects()[pack]
			r.Store.Set(pack, b[:len(b)/2])
		},
		"empty": func(r *rig.Rig, pack string) { r.Store.Set(pack, nil) },
		"swapped": func(r *rig.Rig, pack string) {
			for other, b := range r.Store.Objects() {
				if other != pack && strings.HasPrefix(other, "packs/") {
					r.Store.Set(pack, b)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := rig.New(t)
			r.Put("bad/item", rig.Noise(1, 3<<20))
			r.Replicate() // a pass of its own gives it a pack of its own
			for i := range 20 {
				r.Put(fmt.Sprintf("good/%02d", i), rig.Noise(uint64(100+i), 10_000))
			}
			r.Replicate()
			for _, pack := range r.Packs("bad/item") {
				damage(r, pack)
			}
			root := t.TempDir()
			s := run(t, r, root, restore.Options{})
			if s.Damaged.Items != 1 || s.Damaged.Named[0].Path != "bad/item" || s.Damaged.Named[0].Why == "" || s.Restored.Items != 20 || !s.Damage() {
				t.Errorf("%+v", s)
			}
			want := map[string]string{}
			for path, it := range r.Items {
				want[path] = string(it.Content)
			}
			delete(want, "bad/item")
			sameTree(t, "target", tree(t, root), want)
		})
	}
}

func TestUnreadableItems(t *testing.T) {
	r := rig.New(t)
	r.Put("kept", []byte("first"))
	r.Put("fine", []byte("fine"))
	r.Replicate()
	r.Refuse("kept", record.ReasonArchived)
	r.Put("never", []byte("x"))
	r.Refuse("never", record.ReasonDenied)
	r.Replicate()
	root := t.TempDir()
	s := run(t, r, root, restore.Options{})
	sameTree(t, "target", tree(t, root), map[string]string{"kept": "first", "fine": "fine"})
	if s.Earlier.Items != 1 || s.Earlier.Named[0].Path != "kept" || s.Unrestorable.Items != 1 || s.Unrestorable.Named[0].Path != "never" || !s.Incomplete() {
		t.Errorf("%+v", s)
	}
}

func TestWrongKeyIsSaid(t *testing.T) {
	r := rig.New(t)
	for i := range 40 {
		r.Put(fmt.Sprint(i), rig.Noise(uint64(i), 100))
	}
	r.Replicate()
	snap, reader := r.AgentsSnapshot()
	root := t.TempDir()
	s, err := restore.Run(t.Context(), snap, reader, open(t, root, dir.Options{}), restore.Options{})
	if err == nil || !strings.Contains(err.Error(), "no key") {
		t.Errorf("the agent's key gave %v, %+v", err, s)
	}
	if files := tree(t, root); len(files) != 0 {
		t.Errorf("files: %v", slices.Collect(maps.Keys(files)))
	}
}

func TestCancelledRunResumes(t *testing.T) {
	r := rig.New(t)
	want := map[string]string{}
	for i := range 100 {
		path := fmt.Sprintf("d%d/%d", i/10, i)
		r.Put(path, rig.Noise(uint64(i), 20_000))
		want[path] = string(r.Items[path].Content)
	}
	r.Replicate()
	root := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	target := open(t, root, dir.Options{})
	snap, reader := r.Snapshot()
	s, err := restore.Run(ctx, snap, reader, &cutShort{Target: target, after: 30, cancel: cancel}, restore.Options{Workers: 4})
	if !errors.Is(err, context.Canceled) || s.Restored.Items < 30 || s.Restored.Items > 60 {
		t.Fatalf("cancelled: %v, %d restored", err, s.Restored.Items)
	}
	for name, content := range tree(t, root) {
		if !strings.HasPrefix(name, "_farshore-partial") && want[name] != content {
			t.Errorf("after the cut, %q is wrong", name)
		}
	}
	if err := target.Close(); err != nil {
		t.Fatal(err)
	}
	again := run(t, r, root, restore.Options{})
	sameTree(t, "resumed", tree(t, root), want)
	if again.Equal.Items != s.Restored.Items || again.Restored.Items != 100-s.Restored.Items {
		t.Errorf("resumed: %d equal, %d restored after %d", again.Equal.Items, again.Restored.Items, s.Restored.Items)
	}
}

// cutShort cancels a run after so many writes.
type cutShort struct {
	*dir.Target
	after  int64
	cancel func()
	done   counter
}

func (c *cutShort) Write(ctx context.Context, it *restore.Item, overwrite bool, body restore.Body) (restore.Written, error) {
	w, err := c.Target.Write(ctx, it, overwrite, body)
	if c.done.next() == c.after {
		c.cancel()
	}
	return w, err
}

func TestAttributesFile(t *testing.T) {
	r := rig.New(t)
	r.Put("a", []byte("x"), record.Attrs{"h:content-type": "text/plain", "m:odd": "\xff"})
	r.Put("b//c", []byte("y"))
	r.Put("\xff", []byte("z"))
	r.Replicate()
	root, file := t.TempDir(), filepath.Join(t.TempDir(), "attributes.ndjson")
	for range 2 { // the second run finds all equal, and writes the same
		target := open(t, root, dir.Options{Attributes: file})
		snap, reader := r.Snapshot()
		if _, err := restore.Run(t.Context(), snap, reader, target, restore.Options{}); err != nil {
			t.Fatal(err)
		}
		if err := target.Close(); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		lines := bytes.Split(bytes.TrimSpace(b), []byte("\n"))
		slices.SortFunc(lines, bytes.Compare)
		want := []string{
			`{"path":"a","attrs":{"h:content-type":"text/plain","m:odd":"base64:/w==","version-id":"1"}}`,
			`{"path":"b//c","as":"_farshore-escaped/b%2f%2fc","attrs":{"version-id":"2"}}`,
			`{"path64":"/w==","attrs":{"version-id":"3"}}`,
		}
		if got := string(bytes.Join(lines, []byte("\n"))); got != strings.Join(want, "\n") {
			t.Errorf("got\n%s", got)
		}
	}
	entries, err := os.ReadDir(filepath.Dir(file))
	if err != nil || len(entries) != 1 {
		t.Errorf("left beside it: %v, %v", entries, err)
	}
}
