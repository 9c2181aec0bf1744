package dir_test

import (
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
