package local

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
)

// Found is a repository, or a folder that can't be looked into, below the root of a Walk.
type Found struct {
	// Path is relative to the root, with slashes, in bytes as the file system has them. That of a folder with Err ends with a slash.
	Path string
	// Dir is the absolute git directory, or the folder.
	Dir string
	// Err says why the folder can't be looked into: repositories in it, if there are any, were not found.
	Err error
}

// maxDepth bounds how deep Walk goes.
const maxDepth = 100

// Walk calls yield with the repositories below root, in strictly ascending order of Path: bare repositories, git directories of working copies (".git"), and
// those that a ".git" file points to if they lie below root and are not found where they are, as a submodule's. A root that is a git directory itself is
// found under its own last name. What lies in a git directory is not looked at, and symbolic links are not followed, but root may be one. match is a
// path.Match pattern on the last element of Path, or on the whole Path where the pattern has a slash; empty matches all. A folder that can't be read is
// yielded with its Err, whatever match says, and the walk goes on; an error is returned only when root can't be read, when match is malformed, when ctx ends,
// and what yield returned.
func Walk(ctx context.Context, root, match string, yield func(Found) error) error {
	if _, err := path.Match(match, ""); err != nil {
		return fmt.Errorf("pattern %q for repositories: %w", match, err)
	}
	root, err := filepath.Abs(root)
	if err != nil {
		return err
	}
	real, err := filepath.EvalSymlinks(root)
	if err != nil {
		return fmt.Errorf("folder of repositories: %w", err)
	}
	w := &walk{ctx: ctx, root: real, match: match, yield: yield}
	if isGitDir(real) {
		return w.found(filepath.Base(root), real)
	}
	entries, err := os.ReadDir(real)
	if err != nil {
		return fmt.Errorf("folder of repositories: %w", err)
	}
	return w.folder("", entries, 0)
}

type walk struct {
	ctx   context.Context
	root  string // without symbolic links
	match string
	yield func(Found) error
}

// child is an entry of a folder that may be or hold repositories. Children are sorted by key, which is what the paths of all that comes of them begin with.
type child struct {
	key string // ends with a slash for a folder that is to be looked into
	dir string // of a repository
}

func (w *walk) folder(prefix string, entries []fs.DirEntry, depth int) error {
	for _, c := range w.children(prefix, entries) {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		sub, isFolder := strings.CutSuffix(c.key, "/")
		var err error
		if isFolder {
			err = w.enter(prefix+sub+"/", depth+1)
		} else {
			err = w.found(prefix+c.key, c.dir)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// enter looks into the folder; prefix ends with a slash.
func (w *walk) enter(prefix string, depth int) error {
	dir := filepath.Join(w.root, prefix)
	if depth > maxDepth {
		return w.yield(Found{Path: prefix, Dir: dir, Err: fmt.Errorf("folder %s: deeper than %d folders below the root", dir, maxDepth)})
	}
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		_, err = os.Lstat(filepath.Join(dir, entries[0].Name())) // a folder may be readable and yet not searchable
	}
	if errors.Is(err, fs.ErrNotExist) {
		return w.folder(prefix, entries, depth) // gone meanwhile
	}
	if err != nil {
		if err := w.yield(Found{Path: prefix, Dir: dir, Err: err}); err != nil {
			return err
		}
	}
	return w.folder(prefix, entries, depth)
}

func (w *walk) children(prefix string, entries []fs.DirEntry) []child {
	var all []child
	for _, e := range entries {
		at := filepath.Join(w.root, prefix, e.Name())
		switch {
		case e.IsDir() && (isGitDir(at) || isClosed(at)):
			all = append(all, child{key: e.Name(), dir: at})
		case e.IsDir():
			all = append(all, child{key: e.Name() + "/"})
		case e.Name() == ".git" && e.Type().IsRegular():
			if dir := w.follow(at); dir != "" {
				all = append(all, child{key: e.Name(), dir: dir})
			}
		}
	}
	slices.SortFunc(all, func(a, b child) int { return strings.Compare(a.key, b.key) })
	return all
}

// found yields a repository that match takes.
func (w *walk) found(p, dir string) error {
	subject := p
	if !strings.Contains(w.match, "/") {
		subject = path.Base(p)
	}
	if ok, _ := path.Match(w.match, subject); !ok && w.match != "" {
		return nil
	}
	return w.yield(Found{Path: p, Dir: dir})
}

// isGitDir tells a git directory by what is in it. One that lost its HEAD is still one if its name or configuration says so: that it is damaged shows when it
// is opened.
func isGitDir(dir string) bool {
	if !isDir(filepath.Join(dir, "objects")) || !isDir(filepath.Join(dir, "refs")) && !isDir(filepath.Join(dir, "reftable")) {
		return false
	}
	return exists(filepath.Join(dir, "HEAD")) || exists(filepath.Join(dir, "config")) || strings.HasSuffix(dir, ".git")
}

// isClosed reports whether the directory has the name of a repository and may not be looked into: opening it says so under its own path.
func isClosed(dir string) bool {
	if !strings.HasSuffix(dir, ".git") {
		return false
	}
	_, err := os.Lstat(filepath.Join(dir, "HEAD"))
	return errors.Is(err, fs.ErrPermission)
}

// follow returns the git directory that a ".git" file points to, or "" where it is none, is found elsewhere, or lies outside of the root.
func (w *walk) follow(file string) string {
	text, err := readSmall(file)
	target, ok := strings.CutPrefix(strings.TrimRight(string(text), "\r\n"), "gitdir: ")
	if err != nil || !ok {
		return ""
	}
	if !filepath.IsAbs(target) {
		target = filepath.Join(filepath.Dir(file), target)
	}
	dir, err := filepath.EvalSymlinks(target)
	if err != nil || !isGitDir(dir) {
		return ""
	}
	rel, err := filepath.Rel(w.root, dir)
	if err != nil || rel == "." || !filepath.IsLocal(rel) {
		return ""
	}
	for above := filepath.Dir(dir); len(above) > len(w.root); above = filepath.Dir(above) {
		if isGitDir(above) {
			return dir // where the walk does not go
		}
	}
	return ""
}

func isDir(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}

func exists(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}
