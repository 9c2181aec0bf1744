package svn

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// schemes are those of servers, as addresses and as svn itself names them.
var schemes = map[string]string{"svn": "svn", "svn+ssh": "svn+ssh", "svn+http": "http", "svn+https": "https"}

func (s *Source) parse() error {
	u, err := url.Parse(s.o.Address)
	switch {
	case err != nil:
		return errors.New("the address is no URL") // and may hold a password: it is not repeated
	case u.User != nil && passwordOf(u) != "":
		return errors.New("the address has a password: give it on its own")
	case u.Fragment != "":
		return fmt.Errorf("the address %s has a #: write %%23 where the path has one", s.o.Address)
	case u.Scheme == "svn+file":
		return s.parseFolder(u)
	}
	return s.parseServer(u)
}

func passwordOf(u *url.URL) string {
	p, _ := u.User.Password()
	return p
}

func (s *Source) parseFolder(u *url.URL) error {
	if u.Host != "" || !filepath.IsAbs(u.Path) {
		return fmt.Errorf("the address %s names no folder: write svn+file:///srv/svn", s.o.Address)
	}
	if len(s.o.Repositories) > 0 {
		return errors.New("a folder takes no list of repositories: match says which are meant")
	}
	q := u.Query()
	if m := q.Get("match"); m != "" && s.o.Match == "" {
		s.o.Match = m
	}
	q.Del("match")
	if len(q) > 0 {
		return fmt.Errorf("the address %s: after the ? only match is known", s.o.Address)
	}
	if _, err := path.Match(s.o.Match, ""); err != nil {
		return fmt.Errorf("the pattern %q can't be read", s.o.Match)
	}
	s.root = filepath.Clean(u.Path)
	return nil
}

func (s *Source) parseServer(u *url.URL) error {
	scheme, ok := schemes[u.Scheme]
	switch {
	case !ok:
		return fmt.Errorf("the address %s: svn+file, svn, svn+https, svn+http and svn+ssh are known", s.o.Address)
	case u.Hostname() == "" || strings.HasPrefix(u.Hostname(), "-"):
		return fmt.Errorf("the address %s names no host", s.o.Address)
	case u.RawQuery != "":
		return fmt.Errorf("the address %s: nothing may follow a ?", s.o.Address)
	case s.o.Match != "":
		return errors.New("match is for folders: list the repositories of a server")
	case scheme == "http" && !loopback(u.Hostname()) && (s.o.Username != "" || s.o.Password != nil || u.User != nil):
		return fmt.Errorf("the address %s would show the password to everyone on the way: use svn+https", s.o.Address)
	}
	if u.User != nil && s.o.Username == "" && scheme != "svn+ssh" {
		s.o.Username = u.User.Username()
		u.User = nil
	}
	base := url.URL{Scheme: scheme, User: u.User, Host: u.Host}
	s.url = base.String() + escape(strings.TrimRight(path.Clean("/"+u.Path), "/"))
	return s.parseRepositories()
}

func (s *Source) parseRepositories() error {
	var clean []string
	for _, r := range s.o.Repositories {
		p := strings.Trim(r, "/")
		if p == "" || p != path.Clean(p) || strings.HasPrefix(p, "..") {
			return fmt.Errorf("the repository %q: write its path below the address", r)
		}
		clean = append(clean, p)
	}
	slices.Sort(clean)
	s.o.Repositories = slices.Compact(clean)
	return nil
}

// paths are those of a server's repositories, sorted.
func (s *Source) paths() []string {
	if len(s.o.Repositories) > 0 {
		return s.o.Repositories
	}
	u, err := url.Parse(s.url)
	if err != nil || path.Base(u.Path) == "/" || path.Base(u.Path) == "." {
		return []string{"repository"}
	}
	return []string{path.Base(u.Path)}
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// escape writes a path as a URL has it. To svn, what follows an @ is a revision.
func escape(p string) string {
	return strings.ReplaceAll((&url.URL{Path: p}).EscapedPath(), "@", "%40")
}
