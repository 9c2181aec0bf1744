// Package git captures git repositories: a tree of them on this machine, some at a server, or all that a forge lists for an owner.
//
// A repository has up to three items under its path: its history (kind git), the large objects that LFS keeps outside of it (kind lfs), and the files
// beside it that no clone has (kind sidecar). A history is captured as a list of all refs and a chain of packs: the first is self-contained, each further
// one has what the refs reach that the chain did not. What a capture needs to go on from stands in the record before it; nothing is kept on disk.
//
// The refs that are recorded are the ones that the packs were asked for, never those of a later look. Nothing is written to a repository, and nothing that
// it says is executed. One repository that can't be read never keeps another from being captured.
package git

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"farshore/agent/record"
	"farshore/agent/source"
)

// Kind is the kind of source that a Place names.
const Kind = "git"

// Options say what to read. Address is needed; the zero value of everything else is usable.
type Options struct {
	// Name and Place are the source's name and its address without secrets, for its records.
	Name, Place string
	// Address is where the repositories are: git+file:///srv/git, git+https://host/path, git+http://host/path, git+ssh://user@host/path or
	// git://host/path. A file address takes ?match=PATTERN for the repositories of its tree. With ?forge=github, gitlab, gitea or forgejo the path
	// is an owner, all of whose repositories are listed by the forge's API, which &api=URL names where it can't be derived from the host.
	Address string
	// Repositories are paths below Address. Without any, Address is a single repository, or for a file address a tree, or a forge's owner.
	Repositories []string
	// Username and Password are for a server that asks for them, and for a forge's API. Password is asked anew for each connection; nil means none.
	Username string
	Password func(context.Context) (string, error)
	// LFS says whether LFS objects are captured: "auto", which is the default, where a repository uses it; "off" never.
	LFS string
	// Reflogs captures also what only the reflogs of repositories on this machine reach.
	Reflogs bool
	// Client makes the requests to servers, forges and LFS; nil means one of its own each.
	Client *http.Client
	// SSH is the ssh program with its first arguments; empty means ssh.
	SSH []string
	// Lookahead is how many repositories are looked at a time while they are listed. Default 8: most of that time is waiting for an answer. The refs of each are in
	// memory meanwhile: about 200 bytes a ref, and at worst 0.4 GiB for one with refs.MaxRefs of them and refs.MaxNames bytes of names.
	Lookahead int
	// UserAgent is what requests say they come from.
	UserAgent string
}

const defaultLookahead = 8

// Source is a set of git repositories. Its methods may be called concurrently.
type Source struct {
	o       Options
	address *address
	paths   []string // of Options.Repositories, sorted
	now     func() time.Time
	// patience is how long a capture waits for one before it in the order of paths to begin. The agent begins captures in that order, so that
	// only one that will not be made at all takes so long.
	patience time.Duration
	// increments is maxIncrements.
	increments int

	mu    sync.Mutex
	repos map[string]*repository // what the latest listings found, by path
	nets  networks
	// doubts are the folders whose repositories the latest listings may not have found, by the beginning of the listing's range.
	doubts map[string][]string
}

var (
	_ source.Source  = (*Source)(nil)
	_ source.Lasting = (*Source)(nil)
	_ source.Looker  = (*Source)(nil)
)

// New returns the source. It does no I/O. Errors say what to write in place of what the options have.
func New(o Options) (*Source, error) {
	a, err := parseAddress(o.Address)
	if err != nil {
		return nil, fmt.Errorf("git source: %w", err)
	}
	paths, err := checkPaths(o.Repositories)
	if err != nil {
		return nil, fmt.Errorf("git source: %w", err)
	}
	switch o.LFS {
	case "", "auto", "off":
	default:
		return nil, fmt.Errorf("git source: lfs: %q is not known: write auto or off", o.LFS)
	}
	if a.scheme != schemeFile && a.forge == "" && len(paths) == 0 && a.base() == "" {
		return nil, fmt.Errorf("git source: address %s has no path: write that of a repository, or name repositories, or ?forge=… and the owner as path", a)
	}
	if o.Lookahead <= 0 {
		o.Lookahead = defaultLookahead
	}
	return &Source{
		o: o, address: a, paths: paths, now: time.Now, patience: 10 * time.Second, increments: maxIncrements,
		repos: map[string]*repository{}, nets: networks{}, doubts: map[string][]string{},
	}, nil
}

// Place returns the name and address that the options gave.
func (s *Source) Place() record.Place {
	return record.Place{Name: s.o.Name, Kind: Kind, Place: s.o.Place}
}

// Vanished says that a repository that is no longer listed is kept as it last was. Where the listing had a gap, nothing is said about what may lie in it.
func (s *Source) Vanished(last *record.Record) *source.Unreadable {
	if s.doubtful(last.Path) || last.Kind == record.KindLFS || last.Kind == record.KindSidecar {
		return nil // what belongs to a repository stays as it was: the repository's own record says what happened
	}
	return &source.Unreadable{
		Reason: record.ReasonVanished,
		Detail: "the repository is no longer listed: it was renamed, moved, made private or deleted. What was captured of it stays restorable",
		Attrs:  last.Attrs,
	}
}

// doubtful reports whether the latest listings may have overlooked the path.
func (s *Source) doubtful(path string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, below := range s.doubts {
		for _, d := range below {
			if d == "" || path == d || strings.HasPrefix(path, d+"/") {
				return true
			}
		}
	}
	return false
}

// useLFS reports whether LFS objects are items of this source.
func (s *Source) useLFS() bool { return s.o.LFS != "off" }

// errNoAddress is for addresses without a host or path.
var errNoAddress = errors.New("the address is empty: write git+file:///path, git+https://host/path, git+ssh://host/path or git://host/path")

// remoteURL is the address of the repository below the source's address.
func (s *Source) remoteURL(path string) string {
	u := url.URL{Scheme: s.address.scheme, User: s.address.user, Host: s.address.host, Path: s.address.path}
	if path != "" {
		u.Path += "/" + path
	}
	return u.String()
}
