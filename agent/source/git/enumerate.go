package git

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"farshore/agent/source"
	"farshore/agent/source/git/forge"
	"farshore/agent/source/git/local"
)

// maxRepositories bounds a listing.
const maxRepositories = 1 << 20

// listing is what was found in a range, in order of paths.
type listing struct {
	repos []*repository
	// doubts are the paths below which repositories may be missing, "" being all of them, and errs says why.
	doubts []string
	errs   []error
}

// doubt notes that repositories below the path may be missing. A tree with a great many of such folders is doubted as a whole.
func (l *listing) doubt(below string, err error) {
	const most = 1000
	if len(l.doubts) == most {
		l.doubts = append(l.doubts, "")
	}
	if len(l.doubts) < most {
		l.doubts = append(l.doubts, below)
		l.errs = append(l.errs, err)
	}
}

// add takes a repository unless it lies outside of the range.
func (l *listing) add(r source.Range, repo *repository) error {
	if !r.Contains(repo.path) {
		return nil
	}
	if len(l.repos) >= maxRepositories {
		return fmt.Errorf("there are more than %d repositories: divide them into several sources", maxRepositories)
	}
	l.repos = append(l.repos, repo)
	return nil
}

// enumerate finds the repositories of the range. What could not be listed is in the listing's doubts.
func (s *Source) enumerate(ctx context.Context, r source.Range) *listing {
	l := new(listing)
	var err error
	switch {
	case len(s.paths) > 0:
		for _, p := range s.paths {
			err = errors.Join(err, l.add(r, s.guess(p)))
		}
	case s.address.scheme == schemeFile:
		err = s.walk(ctx, func(f *repository) error { return l.add(r, f) }, l.doubt)
	case s.address.forge != "":
		err = s.ask(ctx, func(f *repository) error { return l.add(r, f) })
	default:
		err = l.add(r, s.guess(s.address.base()))
	}
	var names *forge.NamesError
	switch {
	case errors.As(err, &names): // nothing else is missing
		l.errs = append(l.errs, err)
	case err != nil:
		l.doubt("", err)
	}
	slices.SortFunc(l.repos, func(a, b *repository) int { return strings.Compare(a.path, b.path) })
	l.repos = slices.CompactFunc(l.repos, func(a, b *repository) bool { return a.path == b.path })
	return l
}

// walk finds the repositories of a tree, and the folders that can't be looked into.
func (s *Source) walk(ctx context.Context, yield func(*repository) error, doubt func(below string, err error)) error {
	return local.Walk(ctx, s.address.path, s.address.match, func(f local.Found) error {
		if f.Err != nil {
			doubt(strings.TrimSuffix(f.Path, "/"), fmt.Errorf("%w: give the agent's user the right to read it", f.Err))
			return nil
		}
		return yield(&repository{path: f.Path, dir: f.Dir, size: -1, turn: newTurn()})
	})
}

// ask has a forge list the repositories of an owner.
func (s *Source) ask(ctx context.Context, yield func(*repository) error) error {
	err := forge.List(ctx, s.forge(), func(f forge.Repo) error {
		return yield(&repository{
			path: f.Path, url: s.trusted(f), parent: f.Parent, name: s.owner() + "/" + strings.TrimSuffix(f.Path, ".git"),
			size: unlessZero(f.Size), named: true, turn: newTurn(),
		})
	})
	if err != nil {
		return fmt.Errorf("the repositories of %s can't be listed: %w", s.address, err)
	}
	return nil
}

func unlessZero(n int64) int64 {
	if n <= 0 {
		return -1
	}
	return n
}

func (s *Source) owner() string { return strings.Trim(s.address.path, "/") }

func (s *Source) forge() forge.Options {
	host := s.address.host
	if s.address.scheme == schemeSSH { // its port is not that of the API
		host = (&url.URL{Host: host}).Hostname()
	}
	return forge.Options{
		Kind: s.address.forge, API: s.address.api, Host: host, Owner: s.owner(),
		Username: s.o.Username, Password: s.o.Password, Client: s.o.Client,
	}
}

// trusted is the address of a listed repository: the forge's own word for it only where it is at the host that the configuration names, since credentials
// are sent there.
func (s *Source) trusted(f forge.Repo) string {
	u, err := url.Parse(f.URL)
	if err == nil && u.User == nil && u.Scheme == s.address.scheme && u.Host == s.address.host {
		return f.URL
	}
	return s.remoteURL(f.Path)
}

// guess is a repository of which only the path is known.
func (s *Source) guess(p string) *repository {
	r := &repository{path: p, size: -1, named: true, turn: newTurn()}
	switch {
	case s.address.scheme == schemeFile:
		r.dir, r.named = filepath.Join(s.address.path, filepath.FromSlash(p)), len(s.paths) > 0
		if !exists(r.dir) && p == path.Base(s.address.path) {
			r.dir = s.address.path
		}
		if git := filepath.Join(r.dir, ".git"); path.Base(p) != ".git" && isDir(git) { // a working copy
			r.dir, r.path = git, p+"/.git"
		}
	case len(s.paths) == 0 && s.address.forge == "":
		r.url = s.remoteURL("")
	default:
		r.url = s.remoteURL(p)
	}
	return r
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

func isDir(name string) bool {
	i, err := os.Stat(name)
	return err == nil && i.IsDir()
}

// packBytes is about how much the repository has on disk, -1 when that can't be told. What it borrows is not in it.
func packBytes(dir string) int64 {
	entries, err := os.ReadDir(filepath.Join(dir, "objects", "pack"))
	if err != nil {
		return -1
	}
	var n int64
	for _, e := range entries {
		if i, err := e.Info(); err == nil && strings.HasSuffix(e.Name(), ".pack") {
			n += i.Size()
		}
	}
	return n
}
