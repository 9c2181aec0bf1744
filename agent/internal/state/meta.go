package state

import (
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"farshore/agent/record"
)

const (
	// maxMeta is the largest object of a vault, in bytes (docs/format.md, section 1): a larger file is not one.
	maxMeta = 64 << 20
	// blockSize is what a file's size is rounded up to when the cache is measured. It bounds the number of files too.
	blockSize = 4096
	// newDir holds files that are being written, and those that a crash left.
	newDir = "new"
	// touchAfter is how old a file's time must be for a read to renew it: the order of use matters in days, a write for each read would cost.
	touchAfter = time.Hour
)

// Meta returns the stored bytes of the page or list of that name, if the cache has them. They are verified against the name; an entry
// that is damaged or can't be read is removed and counts as absent. The caller owns the slice.
func (s *Store) Meta(name record.Hash) (stored []byte, found bool, err error) {
	err = s.usePages("read a cached page", func() error {
		stored, found, err = s.pages.get(name)
		return err
	})
	return stored, found, err
}

// PutMeta keeps the stored bytes of a page or list under its name, and makes room for them by removing what was used least recently.
// They are not durable, and Meta verifies them. The slice is not kept.
func (s *Store) PutMeta(name record.Hash, stored []byte) error {
	return s.usePages("cache a page", func() error {
		if s.pages.limit < 0 {
			return nil
		}
		if err := s.checkRoom(); err != nil {
			return err
		}
		return s.pages.put(name, stored)
	})
}

func (s *Store) usePages(op string, f func() error) error {
	s.life.RLock()
	defer s.life.RUnlock()
	if s.db == nil {
		return ErrClosed
	}
	if err := f(); err != nil {
		return s.fail(op, err)
	}
	return nil
}

// pageCache is a directory of files, each named by the SHA-256 of its content, in folders of the name's first two digits. A file's
// modification time is when it was last used, give or take touchAfter. Methods may be called concurrently.
type pageCache struct {
	dir   string
	limit int64

	mu       sync.Mutex
	measured bool
	used     int64 // bytes of files rounded up, once measured; concurrent puts of one name may count it twice until the next eviction
}

// open removes what a crash left half written. The files are measured by the first put.
func (c *pageCache) open(dir string, limit int64) error {
	c.dir, c.limit = dir, limit
	fresh := filepath.Join(dir, newDir)
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	return os.MkdirAll(fresh, 0o700)
}

func (c *pageCache) path(name record.Hash) string {
	text := name.String()
	return filepath.Join(c.dir, text[:2], text)
}

func (c *pageCache) get(name record.Hash) ([]byte, bool, error) {
	path := c.path(name)
	stored, err := readPage(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil || sha256.Sum256(stored) != name {
		// The measure stays too high by this file until the next eviction.
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, false, err
		}
		return nil, false, nil
	}
	return stored, true, nil
}

// readPage reads a file that may be anything, and marks it as used.
func readPage(path string) (_ []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxMeta {
		return nil, errors.New("not a page")
	}
	stored := make([]byte, info.Size())
	if _, err := io.ReadFull(f, stored); err != nil {
		return nil, err
	}
	if now := time.Now(); now.Sub(info.ModTime()) > touchAfter {
		// When this fails, the page is evicted sooner than it need be.
		_ = os.Chtimes(path, now, now)
	}
	return stored, nil
}

func (c *pageCache) put(name record.Hash, stored []byte) error {
	size := rounded(int64(len(stored)))
	if size > c.limit || len(stored) > maxMeta {
		return nil
	}
	path := c.path(name)
	if info, err := os.Stat(path); err == nil && info.Size() == int64(len(stored)) {
		return nil
	}
	if err := c.reserve(size); err != nil {
		return err
	}
	return c.write(path, stored)
}

// write creates the file under another name first: a reader sees all of it or nothing. It is not synced: after a power cut it may hold
// anything, which get notices.
func (c *pageCache) write(path string, stored []byte) error {
	f, err := os.CreateTemp(filepath.Join(c.dir, newDir), "page-*")
	if err != nil {
		return err
	}
	_, err = f.Write(stored)
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o700)
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
