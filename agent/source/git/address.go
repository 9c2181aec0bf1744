package git

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
)

const (
	schemeFile  = "file"
	schemeHTTP  = "http"
	schemeHTTPS = "https"
	schemeSSH   = "ssh"
	schemeGit   = "git"
)

// address is Options.Address in its pieces.
type address struct {
	scheme string // without git+
	user   *url.Userinfo
	host   string
	path   string // without a slash at its end
	match  string
	forge  string
	api    string
}

// parseAddress takes an address apart. Nothing of a password is ever part of an error.
func parseAddress(text string) (*address, error) {
	if text == "" {
		return nil, errNoAddress
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, errors.New("the address is no URL: write git+file:///path, git+https://host/path, git+ssh://host/path or git://host/path")
	}
	a := &address{user: u.User, host: u.Host, path: strings.TrimRight(u.Path, "/")}
	if a.scheme, err = scheme(u.Scheme); err != nil {
		return nil, err
	}
	switch {
	case u.Fragment != "":
		return nil, fmt.Errorf("address %s: nothing may follow a #", a)
	case u.Opaque != "":
		return nil, fmt.Errorf("the address lacks slashes: write %s://… ", u.Scheme)
	case a.scheme == schemeFile && a.host != "":
		return nil, fmt.Errorf("address %s: a file address has no host: write git+file:///%s", a, strings.TrimPrefix(a.host+a.path, "/"))
	case a.scheme == schemeFile && u.Path == "":
		return nil, fmt.Errorf("address %s has no path", a)
	case a.scheme != schemeFile && a.host == "":
		return nil, fmt.Errorf("address %s has no host", a)
	}
	if err := a.checkUser(); err != nil {
		return nil, err
	}
	if a.scheme == schemeFile && a.path == "" {
		a.path = "/"
	}
	return a, a.query(u.RawQuery)
}

func scheme(s string) (string, error) {
	switch s {
	case "git":
		return schemeGit, nil
	case "git+file", "git+http", "git+https", "git+ssh":
		return strings.TrimPrefix(s, "git+"), nil
	}
	return "", fmt.Errorf("scheme %q is not known: write git+file, git+https, git+http, git+ssh or git", s)
}

// checkUser lets only ssh addresses name a user, and none a password.
func (a *address) checkUser() error {
	if a.user == nil {
		return nil
	}
	_, password := a.user.Password()
	switch {
	case password:
		a.user = nil
		return fmt.Errorf("address %s has a password in it: write it in a file, and its name in the configuration", a)
	case a.scheme != schemeSSH:
		a.user = nil
		return fmt.Errorf("address %s has a user name in it: write it as the source's username", a)
	}
	return nil
}

func (a *address) query(raw string) error {
	q, err := url.ParseQuery(raw)
	if err != nil {
		return fmt.Errorf("address %s: what follows the ? can't be read: %w", a, err)
	}
	for key, values := range q {
		switch {
		case len(values) != 1:
			return fmt.Errorf("address %s: %s is given more than once", a, key)
		case key == "match" && a.scheme == schemeFile:
			a.match = values[0]
		case key == "forge" && a.scheme != schemeFile && a.scheme != schemeGit:
			a.forge = values[0]
		case key == "api" && q.Has("forge"):
			a.api = values[0]
		default:
			return fmt.Errorf("address %s: %s does not go with it: match goes with a file address, forge with https, http or ssh, api with forge", a, key)
		}
	}
	if _, err := path.Match(a.match, ""); err != nil {
		return fmt.Errorf("address %s: match=%s is no pattern: write one like *.git", a, a.match)
	}
	return a.checkForge()
}

func (a *address) checkForge() error {
	switch a.forge {
	case "":
		return nil
	case "github", "gitlab", "gitea", "forgejo":
	default:
		return fmt.Errorf("address %s: forge %q is not known: write github, gitlab, gitea or forgejo", a, a.forge)
	}
	if a.base() == "" {
		return fmt.Errorf("address %s names no owner: write %s://%s/OWNER?forge=%s", a, a.scheme, a.host, a.forge)
	}
	return nil
}

// base is the last element of the path.
func (a *address) base() string { return a.path[strings.LastIndexByte(a.path, '/')+1:] }

// String is the address without what follows the ?.
func (a *address) String() string {
	u := url.URL{Scheme: a.scheme, User: a.user, Host: a.host, Path: a.path}
	if a.scheme == schemeGit {
		return u.String()
	}
	if a.scheme == schemeFile {
		return "git+file://" + a.path
	}
	return "git+" + u.String()
}

// checkPaths returns the paths sorted. Each is relative, clean, and there once.
func checkPaths(paths []string) ([]string, error) {
	sorted := slices.Clone(paths)
	slices.Sort(sorted)
	for i, p := range sorted {
		switch {
		case p == "" || p == "." || p != path.Clean(p) || p[0] == '/' || p == ".." || strings.HasPrefix(p, "../") || strings.ContainsAny(p, "\x00\n"):
			return nil, fmt.Errorf("repository %q: write its path below the address, like team/app.git", p)
		case i > 0 && sorted[i-1] == p:
			return nil, fmt.Errorf("repository %q is named twice", p)
		}
	}
	return sorted, nil
}
