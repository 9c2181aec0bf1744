package census

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"farshore/agent/vault"
)

// spilling is a vault that does not fit into the least memory.
func spilling() *fake { return random(3) }

// TestScratch looks at what is on disk while a census is in use, and after it.
func TestScratch(t *testing.T) {
	dir := t.TempDir()
	f := spilling()
	c, err := take(t.Context(), f, counting(f.chains), Options{Dir: dir, Memory: 1})
	must(t, err)
	folders := left(t, dir)
	if len(folders) != 1 {
		t.Fatalf("%d folders", len(folders))
	}
	info, err := folders[0].Info()
	must(t, err)
	files := left(t, filepath.Join(dir, folders[0].Name()))
	if info.Mode() != fs.ModeDir|0o700 || len(files) != 1 {
		t.Errorf("%v, %d files: the runs should have been removed", info.Mode(), len(files))
	}
	if info, err = files[0].Info(); err != nil || info.Mode() != 0o600 || info.Size() != c.table.n*entrySize {
		t.Errorf("%v: %v, %d bytes", err, info.Mode(), info.Size())
	}
	must(t, c.Close())
	must(t, c.Close())
	if n := len(left(t, dir)); n != 0 {
		t.Errorf("%d are left", n)
	}
	fails(t, c, errClosed.Error())

	c, err = take(t.Context(), f, counting(f.chains), Options{Dir: dir})
	must(t, err)
	if n := len(left(t, dir)); n != 0 {
		t.Errorf("%d folders for what fits into memory", n)
	}
	must(t, c.Close())
	fails(t, c, errClosed.Error())
}

// fails holds that reading the census ends with an error, whatever it gave before.
func fails(t *testing.T, c *Census, text string) {
	t.Helper()
	var last error
	for _, err := range c.Objects(t.Context()) {
		last = err
	}
	if last == nil || !strings.Contains(last.Error(), text) {
		t.Errorf("error %v, wanted %q", last, text)
	}
}

// TestScratchChanged changes, cuts and removes the file of a census: that is an error, and never fewer objects.
func TestScratchChanged(t *testing.T) {
	f := spilling()
	m := f.model()
	r := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct {
		text string
		harm func(f *os.File, size int64) error
	}{
		{"was changed", func(f *os.File, size int64) error {
			b, at := []byte{0}, r.Int64N(size)
			_, err := f.ReadAt(b, at)
			b[0] ^= 1 << r.IntN(8)
			_, werr := f.WriteAt(b, at)
			return errors.Join(err, werr)
		}},
		{"ends, or can't be read", func(f *os.File, size int64) error { return f.Truncate(size - 1) }},
		{"ends, or can't be read", func(f *os.File, size int64) error { return f.Truncate(0) }},
	} {
		for range 8 {
			census := f.take(t, 50_000)
			must(t, c.harm(census.table.file.(*os.File), census.table.n*entrySize))
			fails(t, census, c.text)
		}
	}
	census := f.take(t, 50_000)
	must(t, os.Remove(census.table.path))
	m.holds(t, census) // the open file is still whole
	must(t, os.WriteFile(census.table.path, nil, 0o600))
	m.holds(t, census)
}

// full is a file on a disk with room for so many more bytes.
type full struct {
	file
	room *int
}

func (f full) Write(b []byte) (int, error) {
	if *f.room -= len(b); *f.room < 0 {
		n, err := f.file.Write(b[:max(0, len(b)+*f.room)])
		return n, errors.Join(err, &fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC})
	}
	return f.file.Write(b)
}

// TestDiskFull fills the disk at each of many bytes: one clear error, and nothing is left. With room for all there is none.
func TestDiskFull(t *testing.T) {
	f := spilling()
	chains := counting(f.chains)
	failed := 0
	for room := 0; ; room += 40_000 {
		dir, free := t.TempDir(), room
		s := newScratch(dir)
		create := s.create
		s.create = func(path string) (file, error) {
			f, err := create(path)
			return full{f, &free}, err
		}
		c, err := takeWith(t.Context(), f, chains, Options{Dir: dir, Memory: 50_000}, s)
		if err == nil {
			must(t, c.Close())
			break
		}
		failed++
		if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "--scratch") {
			t.Fatalf("error %v", err)
		}
		if n := len(left(t, dir)); n != 0 {
			t.Fatalf("%d are left", n)
		}
	}
	if failed < 5 {
		t.Errorf("it failed only %d times", failed)
	}
}

// TestNoScratch has no place for scratch files, and one whose files can't be made.
func TestNoScratch(t *testing.T) {
	f := spilling()
	dir := filepath.Join(t.TempDir(), "none")
	if _, err := take(t.Context(), f, counting(f.chains), Options{Dir: dir, Memory: 1}); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), dir) {
		t.Errorf("error %v", err)
	}
	s := newScratch(t.TempDir())
	s.create = func(string) (file, error) { return nil, syscall.EMFILE }
	if _, err := takeWith(t.Context(), f, counting(f.chains), Options{Memory: 1}, s); !errors.Is(err, syscall.EMFILE) {
		t.Errorf("error %v", err)
	}
	if n := len(left(t, s.parent)); n != 0 {
		t.Errorf("%d are left", n)
	}
}

// TestTakeFails has a commit that can't be read, and a context that ends, at each commit: the error says so, and nothing is left.
func TestTakeFails(t *testing.T) {
	f := spilling()
	chains := counting(f.chains)
	commits := int64(len(f.packs))
	broken := errors.New("broken")
	for n := int64(1); n <= commits; n += 5 {
		for _, ends := range []bool{false, true} {
			ctx, cancel := context.WithCancel(t.Context())
			dir := t.TempDir()
			p := new(Progress)
			f.fail = func(*vault.Commit) error {
				if p.Commits.Load()+1 < n {
					return nil
				}
				if ends {
					cancel()
					return ctx.Err()
				}
				return broken
			}
			_, err := take(ctx, f, chains, Options{Dir: dir, Memory: 1, Progress: p})
			if want := map[bool]error{false: broken, true: context.Canceled}[ends]; !errors.Is(err, want) {
				t.Errorf("at commit %d: error %v, wanted %v", n, err, want)
			}
			if len(left(t, dir)) != 0 {
				t.Errorf("at commit %d: something is left", n)
			}
			cancel()
		}
	}
	f.fail = nil
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := take(ctx, f, chains, Options{Dir: t.TempDir(), Memory: 1}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	c := f.take(t, 1)
	for _, err := range c.Objects(ctx) {
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("error %v", err)
		}
	}
}
