package state

import (
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"slices"

	"farshore/agent/record"
)

// page is a file of the cache.
type page struct {
	name record.Hash
	used int64 // when it was last used, Unix nanoseconds
	size int64 // bytes, rounded up
}

// rounded is what a file of size bytes takes on disk.
func rounded(size int64) int64 { return (size + blockSize - 1) / blockSize * blockSize }

// reserve counts size more bytes, and evicts if that is too much. Evicting looks at every file, so it frees a tenth of the limit more than
// it must, and is seldom.
func (c *pageCache) reserve(size int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.measured {
		var used int64
		if err := c.each(func(p page) { used += p.size }); err != nil {
			return err
		}
		c.used, c.measured = used, true
	}
	if c.used+size > c.limit {
		used, err := c.evict(max(0, c.limit-c.limit/10-size))
		if err != nil {
			c.measured = false
			return err
		}
		c.used = used
	}
	c.used += size
	return nil
}

// evict removes the files that were used least recently until at most keep bytes are left, and returns how many are. It remembers no more files
// than twice what must go by the last measure, so that its memory does not grow with the cache.
func (c *pageCache) evict(keep int64) (used int64, err error) {
	need := c.used - keep
	var pages []page
	var listed int64
	err = c.each(func(p page) {
		used += p.size
		pages = append(pages, p)
		if listed += p.size; listed > 2*need {
			pages, listed = oldest(pages, need)
		}
	})
	if err != nil {
		return 0, err
	}
	pages, _ = oldest(pages, used-keep)
	for _, p := range pages {
		if err := os.Remove(c.path(p.name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return 0, err
		}
		used -= p.size
	}
	return used, nil
}

// oldest sorts the pages by time of use and returns the first of them that together have need bytes, and how many they have.
func oldest(pages []page, need int64) ([]page, int64) {
	slices.SortFunc(pages, func(a, b page) int { return cmp.Compare(a.used, b.used) })
	var sum int64
	for i := range pages {
		if sum >= need {
			return pages[:i], sum
		}
		sum += pages[i].size
	}
	return pages, sum
}

// each calls f with every file of the cache. Files that vanish meanwhile, and names that no page has, are passed over.
func (c *pageCache) each(f func(page)) error {
	folders, err := os.ReadDir(c.dir)
	if err != nil {
		return err
	}
	for _, folder := range folders {
		if !folder.IsDir() || folder.Name() == newDir {
			continue
		}
		if err := eachIn(filepath.Join(c.dir, folder.Name()), f); err != nil {
			return err
		}
	}
	return nil
}

func eachIn(folder string, f func(page)) error {
	files, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, file := range files {
		name, err := record.ParseHash(file.Name())
		if err != nil {
			continue
		}
		info, err := file.Info()
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		f(page{name, info.ModTime().UnixNano(), rounded(info.Size())})
	}
	return nil
}
