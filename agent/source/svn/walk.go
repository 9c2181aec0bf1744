package svn

import (
	"context"
	"fmt"
	"io/fs"
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

// maxDepth bounds how far below the root repositories are looked for.
const maxDepth = 64

// walk calls yield with the paths of the repositories of the range, in the order of their bytes. What can't be read is reported at the end, as a *source.Gap, when
// all else was yielded. Folders whose names begin with a dot and lost+found are passed over, and symbolic links but those to a repository.
func (s *Source) walk(ctx context.Context, r source.Range, yield func(string) error) error {
	if isRepository(s.root) {
		if p := filepath.Base(s.root); r.Contains(p) {
			return yield(p)
		}
		return nil
	}
	w := &walker{s: s, r: r, yield: yield}
	err := w.folder(ctx, "", 0)
	if err == nil && w.missed != nil {
		err = &source.Gap{Err: w.missed}
	}
	return err
}

// miss takes note of a folder that can't be read.
func (w *walker) miss(err error) {
	if w.missed == nil {
		w.missed = fmt.Errorf("not all repositories can be listed: %w: let the user that farshore runs as read the folder, or move it elsewhere", err)
	}
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
	entries, err := readFolder(filepath.Join(w.s.root, filepath.FromSlash(p)), -1)
	switch {
	case err != nil && p == "":
		return fmt.Errorf("the folder of repositories can't be listed: %w", err)
	case absent(err):
		return nil // deleted since
	case err == nil && depth > maxDepth:
		err = fmt.Errorf("the folder %s lies more than %d folders deep", filepath.Join(w.s.root, p), maxDepth)
	}
	if err != nil {
		w.miss(err)
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
		var err error
		if c.repository, err = examine(filepath.Join(w.s.root, filepath.FromSlash(c.path))); err != nil {
			if w.overlaps(c.path) {
				w.miss(err)
			}
			continue
		}
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
