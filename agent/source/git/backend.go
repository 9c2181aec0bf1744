package git

import (
	"context"
	"errors"
	"fmt"
	"io"

	"farshore/agent/record"
	"farshore/agent/repo/gitcmd"
	"farshore/agent/repo/refs"
	"farshore/agent/source"
	"farshore/agent/source/git/local"
	"farshore/agent/source/git/wire"
)

// backend is a repository that is being read: *local.Repository or *wire.Remote.
type backend interface {
	Refs(ctx context.Context) (*refs.Manifest, error)
	// Omitted says after Refs what of the repository can't be had, a line each.
	Omitted() string
	// Pack returns a pack with all that wants reach and haves do not.
	Pack(ctx context.Context, wants, haves []string, thin bool) (io.ReadCloser, error)
	// Reached reports whether tips reach all the ids, and whether that can be told at all.
	Reached(ctx context.Context, ids, tips []string) (reached, told bool, err error)
	Close() error
}

// counted is a pack's stream that knows, once it ended, what had to be in it.
type counted interface {
	IDs() (objects int64, ids string)
}

// open opens the repository where the listing found it.
func (s *Source) open(ctx context.Context, r *repository) (backend, error) {
	if s.address.scheme == schemeFile {
		return s.openLocal(ctx, r)
	}
	return s.openRemote(r)
}

func (s *Source) openLocal(ctx context.Context, r *repository) (*local.Repository, error) {
	return local.Open(ctx, r.dir, local.Options{Reflogs: s.o.Reflogs, Root: s.address.path})
}

func (s *Source) openRemote(r *repository) (*wire.Remote, error) {
	return wire.Open(r.url, wire.Options{Username: s.o.Username, Password: s.o.Password, Client: s.o.Client, SSH: s.o.SSH, UserAgent: s.o.UserAgent})
}

// sinkError is an error of the sink: it says nothing about the repository.
type sinkError struct{ err error }

func (e *sinkError) Error() string { return e.err.Error() }
func (e *sinkError) Unwrap() error { return e.err }

func fromSink(err error) error {
	if err == nil {
		return nil
	}
	return &sinkError{err}
}

// errLeft says that an item is left as it is: the capture of its repository's history says what is wrong.
var errLeft = errors.New("the repository's history can't be captured now")

// failure turns what a capture failed with into what the agent is to know: an error of the sink, of the context, or of this machine that keeps every repository from
// being captured as it is, all others as what is wrong with this repository alone.
func (s *Source) failure(ctx context.Context, r *repository, err error) error {
	var sink *sinkError
	var bad *source.Unreadable
	switch {
	case err == nil:
		return nil
	case errors.As(err, &sink):
		return sink.err
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &bad):
		return bad
	case errors.Is(err, local.ErrScratch), errors.Is(err, gitcmd.ErrMissing):
		return err // no repository can be captured
	case errors.Is(err, errLeft):
		return source.ErrGone
	case errors.Is(err, source.ErrGone) && r.named:
		return &source.Unreadable{Reason: record.ReasonVanished, Detail: s.notThere(r)}
	case errors.Is(err, source.ErrGone):
		return err
	case moved(err):
		return &source.Unreadable{
			Reason: record.ReasonChanging,
			Detail: fmt.Sprintf("its refs changed under each of %d attempts (%v): the next pass tries again", attempts, err),
		}
	}
	return &source.Unreadable{Reason: s.reason(err), Detail: err.Error()}
}

// notThere says what it can mean that a repository which the configuration names is not found.
func (s *Source) notThere(r *repository) string {
	if s.address.scheme == schemeFile {
		return fmt.Sprintf("there is no git repository at %s: correct the configuration, or take it out there", r.dir)
	}
	return fmt.Sprintf("the server says that there is no repository at %s: it was renamed, deleted or made private, or the credential may not see it; "+
		"give the credential the right to read it, or correct the configuration", r.url)
}
