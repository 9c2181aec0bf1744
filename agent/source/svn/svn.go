// Package svn captures Subversion repositories: those of a folder of this machine whole, with their hooks, configuration and locks, and those of a server as far as
// it shows them. A repository is stored as a chain of dumps, each of the revisions since the one before. Nothing here writes to a repository, and nothing of what
// the next capture needs is kept on this machine: it all is in the last record.
package svn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"farshore/agent/record"
	"farshore/agent/repo/svncmd"
	"farshore/agent/source"
)

// Options say which repositories a source has.
type Options struct {
	// Name is the source's name.
	Name string
	// Address is where the repositories are: svn+file:///srv/svn for a repository of this machine or for all below a folder, and svn://host/path,
	// svn+https://host/path, svn+http://host/path or svn+ssh://user@host/path for a server's. It has no password. A query of svn+file may say match=pattern.
	Address string
	// Match is a pattern of path.Match for the paths of repositories below a folder, or for the last element of these paths; empty means all.
	Match string
	// Repositories are the paths, below a server's address, of its repositories; none means that the address is a repository itself.
	Repositories []string
	// Username is who to be at the server.
	Username string
	// Password gives the password, anew for each command that is run; nil means that there is none.
	Password func(context.Context) (string, error)
	// SSH is the command that svn+ssh is spoken through; nil means ssh.
	SSH []string
	// Place is the address as records tell it; empty means Address.
	Place string
}

// Kind is the kind of these sources, as their place names it.
const Kind = "svn"

// Source is a set of Subversion repositories. It may be used concurrently. It implements source.Source, source.Lasting and source.Looker.
type Source struct {
	o    Options
	root string // the folder; empty for a server
	url  string // of the server

	quiet time.Duration // of the server's answers
}

// New returns the source. It does no I/O. An error says which option is wrong.
func New(o Options) (*Source, error) {
	s := &Source{o: o, quiet: quiet}
	if err := s.parse(); err != nil {
		return nil, fmt.Errorf("source %s: %w", o.Name, err)
	}
	if s.o.Place == "" {
		s.o.Place = s.o.Address
	}
	return s, nil
}

// Place describes the source.
func (s *Source) Place() record.Place {
	return record.Place{Name: s.o.Name, Kind: Kind, Place: s.o.Place}
}

// Check reports whether the folder can be read, or whether the server shows one of the repositories, and whether the programs are there. A server that says
// nothing for 2 minutes can't be reached.
func (s *Source) Check(ctx context.Context) error {
	if s.root == "" {
		return s.checkServer(ctx)
	}
	if _, err := (&svncmd.Tool{}).Output(ctx, svncmd.Admin, "--version", "--quiet"); err != nil {
		return err
	}
	if _, err := readFolder(s.root, 1); err != nil {
		return fmt.Errorf("the folder of repositories can't be read: %w", err)
	}
	enough := errors.New("one is enough")
	var gap *source.Gap
	switch err := s.walk(ctx, source.Range{}, func(string) error { return enough }); {
	case errors.Is(err, enough), errors.As(err, &gap):
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("no Subversion repository was found below %s that the address means", s.root)
}

// List calls yield with the repositories of the range, each as its files beside (record.KindSidecar) and itself (record.KindSVN). What can't be read is listed without
// attributes: its capture says why. A folder that can't be read is a *source.Gap. A repository of which a server says nothing for 2 minutes does not answer.
func (s *Source) List(ctx context.Context, r source.Range, yield func(source.Entry) error) error {
	if s.root == "" {
		return s.listServer(ctx, r, yield)
	}
	return s.walk(ctx, r, func(path string) error { return s.entries(ctx, path, yield) })
}

// entries yields what is at the path of the folder.
func (s *Source) entries(ctx context.Context, path string, yield func(source.Entry) error) error {
	l := &local{dir: s.dir(path)}
	for _, kind := range []string{record.KindSidecar, record.KindSVN} {
		attrs, err := l.look(ctx, kind)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, source.ErrGone):
			continue
		case err != nil:
			attrs = nil
		}
		if err := yield(source.Entry{Path: path, Kind: kind, Size: -1, Attrs: attrs}); err != nil {
			return err
		}
	}
	return nil
}

// Unchanged compares what List found with what the record was made of: the repository's id and youngest revision, and of this machine's repositories the id of
// its set of files, and when the folders of revision properties and of locks were written to last. A server tells nothing of properties that were edited: the next new
// revision brings them.
func (s *Source) Unchanged(e source.Entry, last *record.Record) bool {
	if last.State != record.Present || last.Attrs[record.AttrOmitted] != "" || e.Attrs == nil {
		return false
	}
	return !slices.ContainsFunc([]string{attrUUID, attrYoungest, attrInstance, attrRevpropsStamp, attrLocksStamp, attrStamp}, func(k string) bool {
		return e.Attrs[k] != last.Attrs[k]
	})
}

// Look returns what List would now say of a repository.
func (s *Source) Look(ctx context.Context, path, kind string) (record.Attrs, error) {
	r, err := s.open(path)
	if err != nil {
		return nil, err
	}
	return r.look(ctx, kind)
}

// Vanished says how a repository is recorded that is no longer found.
func (s *Source) Vanished(last *record.Record) *source.Unreadable {
	if last.Kind == record.KindSidecar {
		return nil // it stays as it was: the repository's own record says what happened
	}
	attrs := last.Attrs
	if last.Last != nil {
		attrs = last.Last.Attrs
	}
	detail := "there is no repository at this path of " + s.o.Place + " any more; what was captured before is kept. If it was moved, its new path is captured on its own"
	return &source.Unreadable{Reason: record.ReasonVanished, Detail: detail, Attrs: record.Attrs{attrUUID: attrs[attrUUID]}}
}

// Capture captures the repository, or the files beside it, as they are now.
func (s *Source) Capture(ctx context.Context, e source.Entry, last *record.Record, sink source.Sink) (*record.Record, error) {
	r, err := s.open(e.Path)
	if err != nil {
		return nil, err
	}
	if last != nil && last.State != record.Present {
		last = last.Last
	}
	watched := &watchedSink{Sink: sink}
	var rec *record.Record
	if e.Kind == record.KindSidecar {
		rec, err = captureSidecar(ctx, s.dir(e.Path), e, watched)
	} else {
		rec, err = newCapture(r, e, last, watched).run(ctx)
	}
	if watched.err == nil && ctx.Err() == nil {
		err = s.verdict(ctx, e.Path, err)
	}
	return rec, err
}

// open returns the repository at the path, without looking at it.
func (s *Source) open(path string) (repository, error) {
	if s.root != "" {
		return &local{dir: s.dir(path)}, nil
	}
	if !slices.Contains(s.paths(), path) {
		return nil, source.ErrGone
	}
	url := s.url
	if len(s.o.Repositories) > 0 {
		url += "/" + escape(path)
	}
	return &remote{url: url, o: &s.o, quiet: s.quiet}, nil
}

// unreadable makes an unreadable item of what is wrong with one repository.
func unreadable(reason, format string, args ...any) *source.Unreadable {
	return &source.Unreadable{Reason: reason, Detail: strings.ToValidUTF8(fmt.Sprintf(format, args...), "?")}
}
