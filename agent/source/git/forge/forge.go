// Package forge lists the repositories of an organisation, group or user by the API of GitHub, GitLab, Gitea or Forgejo. It only reads. A listing is complete or an
// error: nothing that a server leaves out, repeats, cuts short or refuses passes as the whole.
package forge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Options say whose repositories are listed, and where.
type Options struct {
	// Kind is the forge's software: "github", "gitlab", "gitea" or "forgejo".
	Kind string
	// API is the address of the API; "" derives it from Host.
	API string
	// Host is the forge's host, with a port where it needs one: "github.com".
	Host string
	// Owner is an organisation, a group (with its path: "group/sub") or a user.
	Owner string
	// Username goes with the password when repositories are read; the APIs take the token alone.
	Username string
	// Password returns the token, and is called for each request; nil means none. It is sent to the API only, and only over https or to
	// this machine.
	Password func(ctx context.Context) (string, error)
	// Client makes the requests; nil means one with the defaults of net/http. Its CheckRedirect is not used.
	Client *http.Client
}

// Repo is one repository of a listing.
type Repo struct {
	// Path is the repository's path below the owner with ".git" added: "app.git", "group/app.git".
	Path string
	// URL is where it can be cloned from, always at Options.Host and without credentials.
	URL string
	// ID is the forge's number for it, which outlives renames and transfers.
	ID string
	// Parent is the full name of the repository that it was forked from, where the listing tells it; else "".
	Parent string
	// Size is about how many bytes it has, -1 when the listing does not say.
	Size int64
	// Archived repositories take no more pushes.
	Archived bool
	// Empty says that it has no commit yet, where the listing tells it.
	Empty bool
}

// NamesError says which repositories could not be listed for their names alone. All others were: such a listing is complete but for them.
type NamesError struct {
	// Problems says for each what is wrong with its name, at most maxProblems of them.
	Problems []string
	// Count is how many there are.
	Count int
}

// maxProblems bounds what a NamesError says.
const maxProblems = 10

// Error names the repositories.
func (e *NamesError) Error() string {
	return fmt.Sprintf("%d repositories have names that can't be used as paths: %s", e.Count, strings.Join(e.Problems, "; "))
}

func (e *NamesError) add(format string, args ...any) {
	e.Count++
	if len(e.Problems) < maxProblems {
		e.Problems = append(e.Problems, fmt.Sprintf(format, args...))
	}
}

// List calls yield with each repository of the owner, in the order of the server. It returns nil only when the listing is complete, and *NamesError when it is so but for
// repositories whose names make no path, or the path of another. *source.Unreadable says that the token is refused or sees no such owner; an error of
// yield ends the listing and is returned as it is; all others say that the forge can't be listed now. It waits for rate limits for at most 15 minutes.
func List(ctx context.Context, o Options, yield func(Repo) error) error {
	l, err := newListing(o)
	if err != nil {
		return err
	}
	if err := l.all(ctx, yield); err != nil {
		return err
	}
	if l.names.Count > 0 {
		return &l.names
	}
	return nil
}

// newListing checks the options.
func newListing(o Options) (*listing, error) {
	k, ok := kinds[o.Kind]
	if !ok {
		return nil, fmt.Errorf("forge %q is not known: it is github, gitlab, gitea or forgejo", o.Kind)
	}
	if o.Host == "" || strings.ContainsAny(o.Host, "/@?#") {
		return nil, fmt.Errorf("%s: the host %q is no host name", k.name, o.Host)
	}
	if problem := badPath(o.Owner); problem != "" || !k.groups && strings.Contains(o.Owner, "/") {
		return nil, fmt.Errorf("%s at %s: the owner %q is no name of an organisation or user", k.name, o.Host, o.Owner)
	}
	base := o.API
	if base == "" {
		base = k.api(o.Host)
	}
	u, err := url.Parse(strings.TrimRight(base, "/"))
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.RawQuery != "" || u.User != nil || u.Fragment != "":
		return nil, fmt.Errorf("%s at %s: the API's address is no http or https URL without user and query", k.name, o.Host)
	case o.Password != nil && u.Scheme == "http" && !loopback(u.Hostname()):
		return nil, fmt.Errorf("%s at %s: a token is not sent over http: use the API's https address", k.name, o.Host)
	}
	l := &listing{kind: k, options: o, base: u, ids: map[int64]bool{}, paths: map[string]bool{}}
	if o.Client != nil {
		l.http = *o.Client
	}
	l.http.CheckRedirect = l.redirect
	return l, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// badPath says why the name can't be a path below a source; "" when it can.
func badPath(name string) string {
	switch {
	case len(name) > 1000:
		return "it is too long"
	case !utf8.ValidString(name):
		return "it is not UTF-8"
	case strings.ContainsFunc(name, func(r rune) bool { return unicode.Is(unicode.C, r) }):
		return "it has control characters"
	case strings.Contains(name, `\`):
		return "it has a backslash"
	}
	for segment := range strings.SplitSeq(name, "/") {
		switch {
		case segment == "" || segment == "." || segment == "..":
			return "it has an empty, . or .. segment"
		case len(segment) > 250:
			return "it is too long"
		}
	}
	return ""
}

// repo makes the Repo of what a listing tells, or says what is wrong with its name.
func (l *listing) repo(f found) (r Repo, problem string) {
	path, ok := l.kind.below(f, l.options.Owner)
	if !ok {
		return r, "it is not below " + l.options.Owner
	}
	problem = badPath(path)
	if problem == "" {
		problem = badPath(f.full) // it goes into the address
	}
	if problem != "" {
		return r, problem
	}
	path += ".git"
	if l.paths[path] {
		return r, "another repository has its path"
	}
	l.paths[path] = true
	if badPath(f.parent) != "" {
		f.parent = ""
	}
	return Repo{Path: path, URL: l.clone(f), ID: fmt.Sprint(f.id), Parent: f.parent, Size: f.size, Archived: f.archived, Empty: f.empty}, ""
}

// clone returns where the repository can be cloned from: the server's own word when it names the host that the options name, since what is read there is read with the
// token; else the usual place at that host.
func (l *listing) clone(f found) string {
	u, err := url.Parse(f.clone)
	if err == nil && strings.EqualFold(u.Host, l.options.Host) && u.User == nil && u.RawQuery == "" && u.Fragment == "" && len(u.Path) > 1 &&
		(u.Scheme == "https" || u.Scheme == "http" && l.base.Scheme == "http") {
		return u.String()
	}
	return (&url.URL{Scheme: l.base.Scheme, Host: l.options.Host, Path: "/" + f.full + ".git"}).String()
}

// errNotFound is what the server says of an owner that it does not have or does not show.
var errNotFound = errors.New("not found")
