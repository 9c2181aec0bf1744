package local

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"farshore/agent/record"
	"farshore/agent/repo/gittest"
	"farshore/agent/repo/refs"
	"farshore/agent/source"
)

// TestConcurrent captures while a repository changes, is packed anew and cleaned up. Each capture is whole, or says that the repository changed; none calls it
// broken.
func TestConcurrent(t *testing.T) {
	rounds, commits := 14, 60
	if os.Getenv("FARSHORE_TEST_LONG") == "1" {
		rounds, commits = 200, 800
	}
	h := gittest.Large(t, filepath.Join(t.TempDir(), "busy.git"), commits, 11).History(11)
	ended := make(chan error, 1)
	var good []*taken
	moved := 0
	go func() {
		var err error
		good, moved, err = captureMany(t, h.Dir, rounds)
		ended <- err
	}()
	for i := 0; ; i++ {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d captures, %d of them whole, %d changes meanwhile", len(good)+moved, len(good), i)
			if moved > len(good) {
				t.Errorf("%d of %d captures were in vain", moved, len(good)+moved)
			}
			checkAll(t, good)
			return
		default:
		}
		h.Step()
		h.Commit("passing", map[string]string{"passing": fmt.Sprint(i)})
		h.Delete("refs/heads/passing")
		if h.Run("prune", "--expire=now"); i%4 == 3 {
			h.Run("gc", "--prune=now", "--quiet")
		}
	}
}

// captureMany captures again and again; each builds on the one before, but for each eighth. Where most of so many rounds were in vain, which chance may bring about, it goes on
// for ten times as many at the most.
func captureMany(t *testing.T, dir string, rounds int) (good []*taken, moved int, err error) {
	var before *taken
	for i := 0; i < rounds || moved > len(good) && i < 10*rounds; i++ {
		if i%8 == 0 {
			before = nil
		}
		c, err := try(t, dir, Options{}, before)
		if errors.Is(err, ErrMoved) {
			moved++
			continue
		}
		if err != nil {
			return nil, 0, fmt.Errorf("capture %d: %w", i, err)
		}
		good, before = append(good, c), c
	}
	return good, moved, nil
}

// checkAll restores each capture, on its own chain, and walks from all of its refs.
func checkAll(t *testing.T, good []*taken) {
	t.Helper()
	var r *gittest.Repo
	for _, c := range good {
		if len(c.packs) == 1 {
			r = gittest.New(t, t.TempDir(), "sha1", true)
		}
		r.Input(string(c.packs[len(c.packs)-1]), "index-pack", "--stdin", "--fix-thin")
		if tips := c.m.Tips(); len(tips) > 0 {
			r.Input(strings.Join(tips, "\n"), "rev-list", "--objects", "--quiet", "--stdin")
		}
	}
}

// TestVanishing deletes an object after it was listed and before it is packed.
func TestVanishing(t *testing.T) {
	r := gittest.New(t, t.TempDir(), "sha1", true)
	r.Commit("main", map[string]string{"a": "b"})
	name := loose(r, r.Run("rev-parse", "main:a"))
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		then func(t *testing.T) // before the second attempt
		want func(err error) bool
	}{
		{"for good", func(*testing.T) {}, func(err error) bool {
			var u *source.Unreadable
			return errors.As(err, &u) && u.Reason == record.ReasonBroken
		}},
		{"and comes back", func(t *testing.T) { put(t, name, string(content)) }, func(err error) bool { return errors.Is(err, ErrMoved) }},
		{"and a ref changes", func(*testing.T) { r.Tag("new", "main", "") }, func(err error) bool { return errors.Is(err, ErrMoved) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			repo := open(t, r.Dir, Options{})
			m, err := repo.Refs(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			p := vanishing(t, repo, m.Tips(), name)
			defer p.Close()
			_, err = readAll(p)
			if err == nil {
				t.Fatal("a pack without the object")
			}
			test.then(t)
			if err := repo.diagnose(t.Context(), err, m.Tips(), nil); !test.want(err) {
				t.Error(err)
			}
			put(t, name, string(content))
		})
	}
}

// vanishing starts a pack that loses an object on its way.
func vanishing(t *testing.T, r *Repository, wants []string, name string) *pack {
	t.Helper()
	p := &pack{repo: r, ctx: t.Context(), sum: idSum{size: 20}}
	lose := func(line []byte) ([]byte, error) {
		if err := os.RemoveAll(name); err != nil {
			return nil, err
		}
		return p.sum.line(line)
	}
	var err error
	if p.list, err = r.pipe(t.Context(), revisions(wants, nil), lose, "rev-list", "--objects", "--stdin"); err != nil {
		t.Fatal(err)
	}
	if p.out, err = r.git.Start(t.Context(), p.list, "pack-objects", "--stdout", "-q"); err != nil {
		t.Fatal(err)
	}
	return p
}

// readAll reads a pack without asking why it failed.
func readAll(p *pack) (n int64, err error) {
	buf := make([]byte, 4096)
	for {
		m, err := p.read(buf)
		n += int64(m)
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

// TestCancel ends what runs when the context does.
func TestCancel(t *testing.T) {
	r := gittest.Large(t, t.TempDir(), 40, 8)
	repo := open(t, r.Dir, Options{})
	m, err := repo.Refs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	p, err := repo.Pack(ctx, m.Tips(), nil, false)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	cancel()
	if _, err := io.Copy(io.Discard, p); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	for name, do := range map[string]func() error{
		"Refs":     func() error { _, err := repo.Refs(ctx); return err },
		"Fsck":     func() error { _, _, err := repo.Fsck(ctx); return err },
		"Pointers": func() error { _, err := repo.Pointers(ctx, m.Tips(), nil); return err },
		"Sidecars": func() error { _, err := repo.Sidecars(ctx); return err },
		"Open":     func() error { _, err := Open(ctx, r.Dir, Options{}); return err },
	} {
		if err := do(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestLongPaths lists a path that is longer than any buffer.
func TestLongPaths(t *testing.T) {
	r := gittest.New(t, t.TempDir(), "sha1", true)
	r.Commit("main", map[string]string{strings.Repeat(strings.Repeat("d", 200)+"/", 700) + "file": "deep", "z": "after it"})
	roundTrip(t, r, nil)
}

// FuzzListing reads refs as git prints them: whatever is added makes a manifest that can be encoded.
func FuzzListing(f *testing.F) {
	oid := strings.Repeat("ab", 20)
	f.Add([]byte(oid + "\x00refs/heads/main\x00\n"))
	f.Add([]byte(oid + "\x00refs/heads/\xff\x00refs/heads/main\n" + oid + "\x00refs/heads/a..b\x00\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		l := &listing{m: &refs.Manifest{Format: refs.SHA1}}
		if l.read(bytes.NewReader(data)) != nil {
			return
		}
		for _, ref := range l.m.Refs {
			one := refs.Manifest{Format: refs.SHA1, Refs: []refs.Ref{ref}}
			if err := one.Check(); err != nil {
				t.Errorf("%+v: %v", ref, err)
			}
		}
	})
}

// FuzzPointers reads what git cat-file --batch prints.
func FuzzPointers(f *testing.F) {
	f.Add([]byte("abc blob 3\nxyz\n"))
	f.Add([]byte("\n"))
	f.Add([]byte("abc blob -1\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = readPointers(bufio.NewReader(bytes.NewReader(data)))
	})
}

// FuzzAlternates reads what stands in objects/info/alternates.
func FuzzAlternates(f *testing.F) {
	f.Add([]byte("../../pool.git/objects\n#\n\"/quoted\\303\\251\"\n"))
	dir := f.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "info"), 0o755); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		put(t, filepath.Join(dir, "info/alternates"), string(data))
		names, _ := alternateNames(dir)
		for _, name := range names {
			if !filepath.IsAbs(name) {
				t.Errorf("%q is not absolute", name)
			}
		}
	})
}

// BenchmarkLine is the cost of an object in the listing of a pack.
func BenchmarkLine(b *testing.B) {
	s := idSum{size: 20}
	line := []byte(strings.Repeat("3f", 20) + " agent/source/git/local/pack.go")
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.line(line); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPack captures a repository of 400 commits.
func BenchmarkPack(b *testing.B) {
	r := gittest.Large(b, b.TempDir(), 400, 1)
	r.Run("repack", "-a", "-d", "-q")
	repo, err := Open(b.Context(), r.Dir, Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer repo.Close()
	m, err := repo.Refs(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		p, err := repo.Pack(b.Context(), m.Tips(), nil, false)
		if err != nil {
			b.Fatal(err)
		}
		n, err := io.Copy(io.Discard, p)
		if err = errors.Join(err, p.Close()); err != nil {
			b.Fatal(err)
		}
		b.SetBytes(n)
	}
}
