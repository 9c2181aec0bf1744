package state

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"farshore/agent/record"
)

// content makes distinct bytes of a page and their name.
func content(n, size int) (record.Hash, []byte) {
	b := bytes.Repeat([]byte{byte(n)}, size)
	copy(b, fmt.Sprint(n))
	return sha256.Sum256(b), b
}

func openCache(t *testing.T, dir string, limit int64) *Store {
	t.Helper()
	s, err := Open(dir, Options{Vault: vaultID, MetaCache: limit})
	must(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

func wantPage(t *testing.T, s *Store, name record.Hash, want []byte) {
	t.Helper()
	got, found, err := s.Meta(name)
	if err != nil || found != (want != nil) || !bytes.Equal(got, want) {
		t.Errorf("page %v: %d bytes, %v, %v; want %d bytes", name, len(got), found, err, len(want))
	}
}

func TestMeta(t *testing.T) {
	dir := t.TempDir()
	s := openCache(t, dir, 0)
	for i, size := range []int{0, 1, 4096, 100_000} {
		name, stored := content(i, max(size, 1))
		if size == 0 {
			name, stored = sha256.Sum256(nil), []byte{}
		}
		wantPage(t, s, name, nil)
		must(t, s.PutMeta(name, stored))
		must(t, s.PutMeta(name, stored))
		wantPage(t, s, name, stored)
		must(t, s.Close())
		s = openCache(t, dir, 0)
		wantPage(t, s, name, stored)
	}
}

func TestMetaDamaged(t *testing.T) {
	s := openCache(t, t.TempDir(), 0)
	for what, damage := range map[string]func(path string) error{
		"empty":     func(path string) error { return os.Truncate(path, 0) },
		"cut":       func(path string) error { return os.Truncate(path, 999) },
		"longer":    func(path string) error { return os.Truncate(path, 1001) },
		"flipped":   func(path string) error { return rewrite(path, func(b []byte) []byte { b[500] ^= 1; return b }) },
		"too large": func(path string) error { return os.Truncate(path, maxMeta+1) },
		"a folder":  func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) },
	} {
		name, stored := content(len(what), 1000)
		must(t, s.PutMeta(name, stored))
		must(t, damage(s.pages.path(name)))
		wantPage(t, s, name, nil)
		if _, err := os.Lstat(s.pages.path(name)); err == nil {
			t.Errorf("%s: the damaged entry is still there", what)
		}
		must(t, s.PutMeta(name, stored))
		wantPage(t, s, name, stored)
	}
	wrong, _ := content(1, 10)
	must(t, s.PutMeta(wrong, []byte("something else")))
	wantPage(t, s, wrong, nil)
}

func TestMetaEviction(t *testing.T) {
	const limit = 40 * blockSize
	dir := t.TempDir()
	s := openCache(t, dir, limit)
	put := func(n int) {
		name, stored := content(n, 100+n)
		must(t, s.PutMeta(name, stored))
		age(t, s, n, time.Duration(200-n)*time.Hour)
	}
	for n := range 40 {
		put(n)
	}
	must(t, s.Close())
	s = openCache(t, dir, limit) // what is there already counts
	for _, n := range []int{0, 3, 5} {
		name, stored := content(n, 100+n)
		wantPage(t, s, name, stored) // renews its time
	}
	put(40)
	if size := diskSize(t, s); size > limit {
		t.Errorf("the cache takes %d bytes of %d", size, limit)
	}
	// A tenth and the new page's room had to go: the five that were used least recently.
	for n := range 41 {
		name, stored := content(n, 100+n)
		if slices.Contains([]int{1, 2, 4, 6, 7}, n) {
			stored = nil
		}
		wantPage(t, s, name, stored)
	}
}

// age sets a page's time of use back.
func age(t *testing.T, s *Store, n int, by time.Duration) {
	t.Helper()
	name, _ := content(n, 100+n)
	then := time.Now().Add(-by)
	must(t, os.Chtimes(s.pages.path(name), then, then))
}

// diskSize measures the cache as its limit is meant.
func diskSize(t *testing.T, s *Store) (sum int64) {
	t.Helper()
	must(t, s.pages.each(func(p page) { sum += p.size }))
	return sum
}

// TestMetaEvictionLarge puts pages of all sizes for long, and checks that the limit holds and the newest stay.
func TestMetaEvictionLarge(t *testing.T) {
	const limit = 1 << 20
	s := openCache(t, t.TempDir(), limit)
	for n := range 600 {
		name, stored := content(n, 1+n*n%30000)
		must(t, s.PutMeta(name, stored))
		wantPage(t, s, name, stored)
	}
	if size := diskSize(t, s); size > limit || size < limit/2 || s.pages.used != size {
		t.Errorf("the cache takes %d bytes, believes %d, limit %d", size, s.pages.used, limit)
	}
	for n := 590; n < 600; n++ {
		name, stored := content(n, 1+n*n%30000)
		wantPage(t, s, name, stored)
	}
}

func TestMetaLimits(t *testing.T) {
	for limit, want := range map[int64]bool{-1: false, 1: false, blockSize: true, 0: true} {
		s := openCache(t, t.TempDir(), limit)
		name, stored := content(1, blockSize)
		must(t, s.PutMeta(name, stored))
		if !want {
			stored = nil
		}
		wantPage(t, s, name, stored)
	}
}

// TestMetaHalfWritten opens a cache that a crash left with files half written, and with files of others.
func TestMetaHalfWritten(t *testing.T) {
	dir := t.TempDir()
	s := openCache(t, dir, 1<<20)
	name, stored := content(1, 10)
	must(t, s.PutMeta(name, stored))
	must(t, s.Close())
	left := filepath.Join(dir, "meta", newDir, "page-123")
	must(t, os.WriteFile(left, []byte("half"), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "meta", "README"), []byte("?"), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "meta", name.String()[:2], "README"), []byte("?"), 0o600))
	s = openCache(t, dir, 1<<20)
	if _, err := os.Stat(left); err == nil {
		t.Error("the half-written file is still there")
	}
	wantPage(t, s, name, stored)
	if size := diskSize(t, s); size != blockSize {
		t.Errorf("the cache takes %d bytes", size)
	}
}

func TestOldest(t *testing.T) {
	pages := []page{{used: 3, size: 10}, {used: 1, size: 10}, {used: 2, size: 10}}
	for need, want := range map[int64]int{-1: 0, 0: 0, 1: 1, 10: 1, 11: 2, 30: 3, 99: 3} {
		got, sum := oldest(slices.Clone(pages), need)
		if len(got) != want || sum != int64(10*want) || (want > 0 && got[0].used != 1) {
			t.Errorf("need %d: %v, %d", need, got, sum)
		}
	}
}
