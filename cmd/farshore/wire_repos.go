package main

import (
	"context"
	"net/url"

	"farshore/agent/config"
	"farshore/agent/source"
	"farshore/agent/source/git"
	"farshore/agent/source/svn"
	"farshore/crypto/keyring"
)

// openRepositories opens a source of git or Subversion repositories.
func (e *env) openRepositories(c *config.Config, s config.Source) (source.Source, error) {
	address, err := url.Parse(s.URL)
	if err != nil {
		return nil, usagef("%s is no URL", s.URL)
	}
	if s.RepositoryKind() == svn.Kind {
		return openedSource(svn.New(svn.Options{
			Name: s.Name, Place: s.URL, Address: s.URL, Match: address.Query().Get("match"), Repositories: s.Repositories,
			Username: s.Username, Password: e.password(c, &s),
		}))
	}
	query := address.Query()
	lfs, reflogs := query.Get("lfs"), query.Get("reflogs") == "true"
	query.Del("lfs")
	query.Del("reflogs")
	address.RawQuery = query.Encode()
	return openedSource(git.New(git.Options{
		Name: s.Name, Place: s.URL, Address: address.String(), Repositories: s.Repositories, LFS: lfs, Reflogs: reflogs,
		Username: s.Username, Password: e.password(c, &s), UserAgent: userAgent(),
	}))
}

// openedSource keeps a source that failed to open from becoming an interface that is not nil.
func openedSource[S source.Source](s S, err error) (source.Source, error) {
	if err != nil {
		return nil, usagef("%w", err)
	}
	return s, nil
}

// passwordIn reads a password from its file whenever it is asked for, so that a new one holds at once; nil for none.
func passwordIn(path string) func(context.Context) (string, error) {
	if path == "" {
		return nil
	}
	return func(context.Context) (string, error) { return keyring.ReadPassword(path) }
}

// password reads a source's password from wherever the configuration says it is, whenever it is asked for; nil for none.
func (e *env) password(c *config.Config, s *config.Source) func(context.Context) (string, error) {
	where := c.PasswordOf(s)
	if where == "" {
		return nil
	}
	return func(context.Context) (string, error) { return c.Reveal(where, e.getenv) }
}
