// Package repos restores the repositories of a snapshot: to a directory, as repositories or as bundles and dumps, or to a git server.
//
// A repository that is at the target already and is equal is skipped, which is also how an interrupted run goes on. One that differs is left alone unless
// the caller says otherwise, and even then it is moved aside, never removed. A damaged repository is named and does not stop the others; a vault
// that can't be reached and a full disk do.
package repos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"farshore/agent/record"
	"farshore/agent/restore"
	"farshore/agent/restore/gitrepo"
	"farshore/agent/vault"
)

// Forms in which repositories are restored.
const (
	AsRepository = "repository" // as what they were: the default
	AsBundle     = "bundle"     // git: a file that git clone takes
	AsDump       = "dump"       // svn: a file that svnadmin load takes
)

// Options say what to restore and how. The zero value restores every repository and replaces nothing.
type Options struct {
	// Prefix restores only repositories whose paths begin with these bytes.
	Prefix string
	// Item restores only the repository with exactly this path. It can't stand together with Prefix.
	Item string
	// Overwrite replaces what differs at the target. In a directory the old one is renamed to NAME.before-restore-N; a run that is killed in the middle of that may
	// leave the new one under such a name.
	Overwrite bool
	// Hooks puts configuration and hooks in place, where they take effect.
	Hooks bool
	// DryRun only looks: nothing is written, and no packs or dumps are read from the vault.
	DryRun bool
	// As is the form, for a directory. With AsBundle and AsDump repositories of the other kind are left out and named.
	As string
	// Progress is counted up while the run goes on; it may be nil.
	Progress *restore.Progress
	// SVN restores Subversion repositories. Default: package svnrepo.
	SVN SVN
}

// Destination is where to: one of Dir and URL.
type Destination struct {
	// Dir is a directory, which is made when something is written. A repository lies at its path below it, or, where that can't be a path there, at its
	// escaped one (package dir).
	Dir string
	// URL is a git server: https, http, ssh or file, with or without "git+" before it. A single repository goes to exactly this address, several each to its
	// path below it. They must be there, and empty ones are best.
	URL string
	// Push says how the server is reached. Its Overwrite is that of Options.
	Push gitrepo.PushOptions
}

// SVN makes Subversion repositories. Parts and errors are as in package gitrepo, sidecar may be nil, and nothing is left behind on failure.
type SVN interface {
	// Build makes the repository in dir, which must not exist. It returns notes on what is not as it was at the source, though the repository as such is whole.
	Build(ctx context.Context, parts gitrepo.Parts, svn, sidecar *record.Record, dir string, hooks bool) (notes []string, err error)
	// Same reports whether the repository in dir is what was captured, and if not why.
	Same(ctx context.Context, parts gitrepo.Parts, svn *record.Record, dir string) (same bool, why string, err error)
	// Dump writes a dump of all revisions to w.
	Dump(ctx context.Context, parts gitrepo.Parts, svn *record.Record, w io.Writer) error
}

// workers is how many repositories are restored at a time: git and svn have threads of their own.
const workers = 2

// Run restores the snapshot's repositories. An item of the summary is a path, with all that was captured of it. The summary is never nil, and tells after an error
// what was done before it. Errors: *restore.NotFoundError for an Item that is not there; *vault.DamageError when the snapshot's own pages are
// damaged; vault.ErrLocked when no key at hand opens any content; the context's error; any failure that is not about one repository.
func Run(ctx context.Context, snap *vault.Snapshot, parts gitrepo.Parts, dest Destination, o Options) (*restore.Summary, error) {
	r := newRun(parts, dest, o)
	r.sum.Source, r.sum.Commit, r.sum.Complete = snap.Source(), snap.Commit, snap.Commit.Complete
	var err error
	if o.Item != "" {
		err = r.all(ctx, snap.Records(ctx, o.Item, o.Item+"\x00"))
	} else {
		err = r.all(ctx, snap.Prefix(ctx, o.Prefix))
	}
	r.sum.Duration = time.Since(r.sum.Started)
	return &r.sum, err
}

// run is one call of Run.
type run struct {
	parts gitrepo.Parts
	dest  Destination
	o     Options
	ledger
	inWork  inWork
	several bool // for a URL: more than one repository was selected; set before the workers see any
	found   bool // the lister's own

	locked atomic.Int64 // repositories that no key opened
	opened atomic.Bool  // some content was read
}

func newRun(parts gitrepo.Parts, dest Destination, o Options) *run {
	if o.Progress == nil {
		o.Progress = &restore.Progress{}
	}
	if o.As == "" {
		o.As = AsRepository
	}
	if o.SVN == nil {
		o.SVN = subversion{}
	}
	dest.Push.Overwrite = o.Overwrite
	r := &run{parts: parts, dest: dest, o: o}
	r.ledger.progress = o.Progress
	r.ledger.sum = restore.Summary{DryRun: o.DryRun, NotPutBack: map[string]int64{}, Started: time.Now()}
	return r
}

// check refuses what can't be meant.
func (r *run) check() (err error) {
	switch {
	case r.o.Item != "" && r.o.Prefix != "":
		return errors.New("restore: an item and a prefix exclude each other")
	case (r.dest.Dir == "") == (r.dest.URL == ""):
		return errors.New("restore: repositories go either to a directory or to a URL")
	case r.o.As != AsRepository && r.o.As != AsBundle && r.o.As != AsDump:
		return fmt.Errorf("restore: repositories are restored as %q, %q or %q, not as %q", AsRepository, AsBundle, AsDump, r.o.As)
	case r.dest.URL != "" && r.o.As != AsRepository:
		return fmt.Errorf("restore: a git server takes repositories, no %ss; restore them to a directory", r.o.As)
	case r.dest.URL != "":
		return nil
	}
	r.dest.Dir, err = filepath.Abs(r.dest.Dir)
	return err
}

// all hands the repositories to the workers, in order.
func (r *run) all(ctx context.Context, records iter.Seq2[*record.Record, error]) error {
	if err := r.check(); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	jobs := make(chan *item)
	g.Go(func() error {
		defer close(jobs)
		return r.list(ctx, records, jobs)
	})
	for range workers {
		g.Go(func() error {
			for it := range jobs {
				err := r.settle(ctx, it)
				r.inWork.done(it.path)
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	err := g.Wait()
	if err == nil && r.locked.Load() > 0 && !r.opened.Load() {
		err = fmt.Errorf("none of the contents can be read: %w", vault.ErrLocked)
	}
	return err
}

// list sends the repositories to the workers. For a URL the first waits for a second, since the address depends on whether there is one.
func (r *run) list(ctx context.Context, records iter.Seq2[*record.Record, error], jobs chan<- *item) error {
	var first *item
	err := gather(records, func(group []*record.Record) error {
		r.found = true
		it := r.pick(group)
		if it == nil {
			return nil
		}
		r.plan(it)
		if r.dest.URL != "" && !r.several && first == nil {
			first = it
			return nil
		}
		if first != nil {
			r.several = true
			held := first
			first = nil
			if err := r.send(ctx, jobs, held); err != nil {
				return err
			}
		}
		return r.send(ctx, jobs, it)
	})
	if err == nil && first != nil {
		err = r.send(ctx, jobs, first)
	}
	if err == nil && r.o.Item != "" && !r.found {
		err = &restore.NotFoundError{Path: r.o.Item}
	}
	return err
}

// send gives a repository to a worker, once none that it lies in is still in work: a submodule's is inside of its superproject's.
func (r *run) send(ctx context.Context, jobs chan<- *item, it *item) error {
	if err := r.inWork.enter(ctx, it.path); err != nil {
		return err
	}
	select {
	case jobs <- it:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
