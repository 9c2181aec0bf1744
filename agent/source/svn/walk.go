package svn

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"farshore/agent/source"
)

// dir is the folder of the repository at the path.
func (s *Source) dir(p string) string {
	if isRepository(s.root) {
		return s.root
	}
	return filepath.Join(s.root, filepath.FromSlash(p))
}

// isRepository tells by its structure whether a folder is a repository, of whatever back end.
func isRepository(dir string) bool {
	return is(dir, "format", fs.FileMode.IsRegular) && is(dir, "db", fs.FileMode.IsDir)
}

func is(dir, name string, what func(fs.FileMode) bool) bool {
	info, err := os.Stat(filepath.Join(dir, name))
	return err == nil && what(info.Mode())
}

// maxDepth bounds how far below the root repositories are looked for.
const maxDepth = 64

// walk calls yield with the paths of the repositories of the range, in the order of their bytes. What can't be read is reported at the end, when all else was
// yielded. Folders whose names begin with a dot and lost+found are passed over, and symbolic links but those to a repository.
func (s *Source) walk(ctx context.Context, r source.Range, yield func(string) error) error {
	if isRepository(s.root) {
		if p := filepath.Base(s.root); r.Contains(p) {
			return yield(p)
		}
		return nil
	}
	w := &walker{s: s, r: r, yield: yield}
	if err := w.folder(ctx, "", 0); err != nil {
		return err
	}
	return w.missed
}

type walker struct {
	s      *Source
	r      source.Range
	yield  func(string) error
	missed error
}

// child is a folder or repository; its key sorts as the paths of what it holds do.
type child struct {
	path, key  string
	repository bool
}

func (w *walker) folder(ctx context.Context, p string, depth int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	entries, err := os.ReadDir(filepath.Join(w.s.root, filepath.FromSlash(p)))
	if err == nil && depth > maxDepth {
		err = fmt.Errorf("the folder %s lies too deep", p)
	}
	if err != nil {
		if p != "" && errors.Is(err, fs.ErrNotExist) {
			return nil // deleted since
		}
		if w.missed == nil {
			w.missed = fmt.Errorf("repositories can't be listed: %w", err)
		}
		return nil
	}
	for _, c := range w.children(p, entries) {
		if c.repository {
			err = w.found(c.path)
		} else if w.overlaps(c.key) {
			err = w.folder(ctx, c.path, depth+1)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) children(p string, entries []fs.DirEntry) []child {
	var all []child
	for _, e := range entries {
		link := e.Type()&fs.ModeSymlink != 0
		if !e.IsDir() && !link || strings.HasPrefix(e.Name(), ".") || e.Name() == "lost+found" {
			continue
		}
		c := child{path: path.Join(p, e.Name())}
		c.key = c.path
		c.repository = isRepository(filepath.Join(w.s.root, filepath.FromSlash(c.path)))
		if !c.repository {
			c.key += "/"
		}
		if c.repository || !link {
			all = append(all, c)
		}
	}
	slices.SortFunc(all, func(a, b child) int { return strings.Compare(a.key, b.key) })
	return all
}

// overlaps reports whether paths that begin with the prefix may lie in the range.
func (w *walker) overlaps(prefix string) bool {
	return (w.r.To == "" || prefix < w.r.To) && (w.r.From <= prefix || strings.HasPrefix(w.r.From, prefix))
}

func (w *walker) found(p string) error {
	if !w.r.Contains(p) || !w.s.matches(p) {
		return nil
	}
	return w.yield(p)
}

func (s *Source) matches(p string) bool {
	if s.o.Match == "" {
		return true
	}
	for _, name := range []string{p, path.Base(p)} {
		if ok, err := path.Match(s.o.Match, name); err == nil && ok {
			return true
		}
	}
	return false
}
