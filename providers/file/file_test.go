package file

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"farshore/providers"
	"farshore/providers/providertest"
)

func TestConformance(t *testing.T) {
	providertest.Run(t, func(t *testing.T) providers.Driver { return open(t, t.TempDir()) })
}

func open(t *testing.T, dir string) *Driver {
	t.Helper()
	d, err := New(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func create(d *Driver, name, content string) error {
	_, err := d.Create(context.Background(), name, io.NewSectionReader(strings.NewReader(content), 0, int64(len(content))), sha256.Sum256([]byte(content)))
	return err
}

func mustCreate(t *testing.T, d *Driver, name, content string) {
	t.Helper()
	if err := create(d, name, content); err != nil {
		t.Fatal(err)
	}
}

// list returns all names, in pages of one.
func list(t *testing.T, d *Driver) (names []string) {
	t.Helper()
	for after, more := "", true; more; {
		page, m, err := d.List(context.Background(), "", after, 1)
		if err != nil {
			t.Fatal(err)
		}
		for _, info := range page {
			names, after = append(names, info.Name), info.Name
		}
		more = m
	}
	return names
}

// TestLayout holds that an object is a file of its name, for its owner only, and that no temporary file is left.
func TestLayout(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	mustCreate(t, d, "packs/aa/x", "sealed")
	if err := create(d, "packs/aa/x", "other"); providers.KindOf(err) != providers.Exists {
		t.Errorf("second create: %v", err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "packs/aa/x"))
	if err != nil || string(b) != "sealed" {
		t.Errorf("the file holds %q, %v", b, err)
	}
	for name, want := range map[string]os.FileMode{"packs/aa/x": 0o600, "packs/aa": os.ModeDir | 0o700, "packs": os.ModeDir | 0o700, ".tmp": os.ModeDir | 0o700} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v; want %v", name, info.Mode(), err, want)
		}
	}
	mustBeEmpty(t, filepath.Join(dir, ".tmp"))
}

func mustBeEmpty(t *testing.T, dir string) {
	t.Helper()
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%s holds %v, %v; want nothing", dir, left, err)
	}
}

// TestRename holds the way that file systems without hard links take.
func TestRename(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	for name, content := range map[string]string{".tmp/1": "first", ".tmp/2": "second"} {
		if err := errors.Join(os.MkdirAll(filepath.Join(dir, ".tmp"), 0o700), os.MkdirAll(filepath.Join(dir, "packs"), 0o700), os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.renameNoReplace(".tmp/1", "packs/x"); err != nil {
		t.Fatal(err)
	}
	if err := fail("create", "packs/x", d.renameNoReplace(".tmp/2", "packs/x")); providers.KindOf(err) != providers.Exists {
		t.Errorf("rename over an object: %v, want kind exists", err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "packs/x")); err != nil || string(b) != "first" {
		t.Errorf("the object holds %q, %v", b, err)
	}
}

// TestClean holds that opening removes old temporary files, and nothing else whatsoever.
func TestClean(t *testing.T) {
	dir := t.TempDir()
	mustCreate(t, open(t, dir), "packs/aa/x", "sealed")
	now := time.Now()
	ages := map[string]time.Duration{".tmp/old": 25 * time.Hour, ".tmp/young": time.Hour, "packs/aa/x": 10_000 * time.Hour, "packs/old": 10_000 * time.Hour}
	for name, age := range ages {
		path := filepath.Join(dir, name)
		f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(f.Close(), os.Chtimes(path, now.Add(-age), now.Add(-age))); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../packs/old", filepath.Join(dir, ".tmp/link")); err != nil {
		t.Fatal(err)
	}
	d := open(t, dir)
	for name := range ages {
		_, err := os.Lstat(filepath.Join(dir, name))
		if gone := os.IsNotExist(err); gone != (name == ".tmp/old") {
			t.Errorf("%s gone: %v", name, gone)
		}
	}
	if got := list(t, d); !slices.Equal(got, []string{"packs/aa/x", "packs/old"}) {
		t.Errorf("listed %q", got)
	}
	for _, name := range []string{".tmp/young", ".tmp/new", "lost+found/x"} {
		if err := create(d, name, "x"); err == nil {
			t.Errorf("%s was created", name)
		}
		if _, err := d.Stat(context.Background(), name); err == nil {
			t.Errorf("%s is an object", name)
		}
	}
}

// TestLinks holds that links, devices and pipes are no objects and lead nowhere.
func TestLinks(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	d := open(t, dir)
	mustCreate(t, d, "packs/aa/x", "sealed")
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := errors.Join(os.Symlink("x", at("packs/aa/inside")), os.Symlink(filepath.Join(outside, "secret"), at("packs/aa/outside")),
		os.Symlink(outside, at("out")), os.Symlink("nowhere", at("packs/aa/dangling")), unix.Mkfifo(at("packs/aa/pipe"), 0o600)); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	for _, name := range []string{"packs/aa/inside", "packs/aa/outside", "packs/aa/dangling", "packs/aa/pipe", "out/secret"} {
		if _, err := d.Stat(ctx, name); err == nil {
			t.Errorf("Stat of %s succeeded", name)
		}
		if r, err := d.Open(ctx, name, 0, -1); err == nil {
			t.Errorf("Open of %s succeeded", name)
			_ = r.Close() // the test has failed already
		}
		if err := create(d, name, "x"); err == nil {
			t.Errorf("Create of %s succeeded", name)
		}
	}
	if err := create(d, "out/new", "x"); err == nil {
		t.Error("an object was created outside")
	}
	if got := list(t, d); !slices.Equal(got, []string{"packs/aa/x"}) {
		t.Errorf("listed %q", got)
	}
	if left, err := os.ReadDir(outside); err != nil || len(left) != 1 {
		t.Errorf("outside are %v, %v", left, err)
	}
}

// TestInTheWay holds that a file where a folder should be is a lasting error, and not a missing object.
func TestInTheWay(t *testing.T) {
	d := open(t, t.TempDir())
	mustCreate(t, d, "packs", "x")
	if err := create(d, "packs/aa/x", "x"); providers.KindOf(err) != providers.Other {
		t.Errorf("create below a file: %v", err)
	}
	mustCreate(t, d, "meta/aa/x", "x")
	if err := create(d, "meta/aa", "x"); providers.KindOf(err) != providers.Exists {
		t.Errorf("create over a folder: %v", err)
	}
}

func TestKinds(t *testing.T) {
	tests := []struct {
		err  error
		want providers.Kind
	}{
		{unix.ENOSPC, providers.Full}, {unix.EDQUOT, providers.Full}, {unix.EACCES, providers.Denied}, {unix.EROFS, providers.Denied},
		{unix.EPERM, providers.Denied}, {unix.EEXIST, providers.Exists}, {unix.ENOENT, providers.NotFound}, {unix.EIO, providers.Other},
		{unix.ESTALE, providers.Temporary}, {context.Canceled, providers.Other}, {io.ErrUnexpectedEOF, providers.Corrupt},
	}
	for _, tt := range tests {
		err := fail("read", "packs/aa/x", &os.PathError{Op: "op", Path: "x", Err: tt.err})
		if providers.KindOf(err) != tt.want {
			t.Errorf("%v is kind %q, want %q", tt.err, providers.KindOf(err), tt.want)
		}
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	good := map[string]string{
		"file://" + dir: dir, "file://localhost" + dir: dir, "file://" + dir + "/": dir, "file://" + dir + "/a%20b%23": dir + "/a b#",
	}
	for url, want := range good {
		d, err := Open(url, CreateDir())
		if err != nil {
			t.Errorf("Open(%q): %v", url, err)
			continue
		}
		if d.dir != want {
			t.Errorf("Open(%q) is %q, want %q", url, d.dir, want)
		}
		again, err := Open(d.Traits().Place)
		if err != nil || again.dir != want {
			t.Errorf("Open(%q), the place of %q: %v", d.Traits().Place, url, err)
			continue
		}
		if err := errors.Join(d.Close(), again.Close()); err != nil {
			t.Error(err)
		}
	}
	for _, url := range []string{"", dir, "file:relative", "file://host" + dir, "file://" + dir + "?x=1", "file://" + dir + "#x", "s3://bucket", "file://" + dir + "/missing"} {
		if _, err := Open(url); err == nil {
			t.Errorf("Open(%q) succeeded", url)
		}
	}
	if err := os.WriteFile(dir+"/plain", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(dir+"/plain", CreateDir()); err == nil {
		t.Error("a file was opened as a directory")
	}
}

const benchSize = 32 << 20

func BenchmarkCreate(b *testing.B) {
	d, err := New(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	bucket, data := providers.New(d, providers.Options{}), bytes.Repeat([]byte("sealed. "), benchSize/8)
	sum := sha256.Sum256(data)
	b.SetBytes(benchSize)
	for i := 0; b.Loop(); i++ {
		if _, _, err := bucket.Create(context.Background(), "packs/"+time.Unix(int64(i), 0).UTC().Format("20060102150405"), io.NewSectionReader(bytes.NewReader(data), 0, benchSize), sum); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkBareCreate is what the disk gives: write and fsync, without a hash, a second name, or directories.
func BenchmarkBareCreate(b *testing.B) {
	dir, data := b.TempDir(), bytes.Repeat([]byte("sealed. "), benchSize/8)
	b.SetBytes(benchSize)
	for i := 0; b.Loop(); i++ {
		f, err := os.Create(filepath.Join(dir, time.Unix(int64(i), 0).UTC().Format("20060102150405")))
		if err != nil {
			b.Fatal(err)
		}
		_, err = f.Write(data)
		if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	d, err := New(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	if err := create(d, "packs/x", strings.Repeat("sealed. ", benchSize/8)); err != nil {
		b.Fatal(err)
	}
	bucket := providers.New(d, providers.Options{})
	b.SetBytes(benchSize)
	for b.Loop() {
		if _, err := bucket.ReadAll(context.Background(), "packs/x", benchSize); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBareRead(b *testing.B) {
	path := filepath.Join(b.TempDir(), "x")
	if err := os.WriteFile(path, bytes.Repeat([]byte("sealed. "), benchSize/8), 0o600); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(benchSize)
	for b.Loop() {
		if _, err := os.ReadFile(path); err != nil {
			b.Fatal(err)
		}
	}
}
