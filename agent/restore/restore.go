// Package restore brings the items of a snapshot back to a target: a directory, an S3 bucket, a GCS bucket; those live in packages below it.
//
// What is equal at the target is skipped, which is also how an interrupted run goes on. What differs is left alone unless the caller says otherwise.
// Every content is put together from the vault, and nothing becomes visible at the target before its size and SHA-256 are those of the
// record. A damaged item is named and does not stop the others; a vault or target that can't be reached does. Memory does not grow
// with the number or the size of items. The package never writes to the vault.
package restore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"farshore/agent/record"
	"farshore/agent/vault"
)

// Options say what to restore and how. The zero value restores everything and replaces nothing.
type Options struct {
	// Prefix restores only items whose paths begin with these bytes.
	Prefix string
	// Item restores only the item with exactly this path. It can't stand together with Prefix.
	Item string
	// Overwrite replaces what differs at the target.
	Overwrite bool
	// DryRun only looks: nothing is written, and no content is read from the vault.
	DryRun bool
	// Workers is how many items are restored at a time. Default 8: enough to hide the latency of a store, few enough for the reader's
	// cache to serve neighbours once.
	Workers int
	// Progress is counted up while the run goes on; it may be nil.
	Progress *Progress
}

// NotFoundError says that the snapshot has no such item.
type NotFoundError struct{ Path string }

// Error names the item.
func (e *NotFoundError) Error() string { return fmt.Sprintf("the snapshot has no item %q", e.Path) }

// Run restores the snapshot's items to the target, in the order of their paths, several at a time. The summary is never nil, and tells after an error what was
// done before it. Errors: *NotFoundError for an Item that is not there; *vault.DamageError when the snapshot's own pages are damaged, so that nobody
// knows which items are missing; vault.ErrLocked when no key at hand opens any content; the context's error; any failure of vault or target
// that is not about one item.
func Run(ctx context.Context, snap *vault.Snapshot, reader *vault.Reader, target Target, o Options) (*Summary, error) {
	r := newRun(reader.Copy, target, o)
	r.ledger.sum.Source, r.ledger.sum.Commit, r.ledger.sum.Complete = snap.Source(), snap.Commit, snap.Commit.Complete
	err := r.all(ctx, func(ctx context.Context) (iter.Seq2[*record.Record, error], error) {
		return r.records(ctx, snap)
	})
	r.ledger.sum.Duration = time.Since(r.ledger.sum.Started)
	return &r.ledger.sum, err
}

// run is one call of Run.
type run struct {
	copy   func(ctx context.Context, w io.Writer, p *record.Part) error
	target Target
	o      Options
	ledger ledger
	above  ancestors // the lister's own

	locked atomic.Int64 // items that no key opened
	opened atomic.Bool  // some content was read
}

func newRun(read func(context.Context, io.Writer, *record.Part) error, target Target, o Options) *run {
	if o.Workers <= 0 {
		o.Workers = 8
	}
	if o.Progress == nil {
		o.Progress = &Progress{}
	}
	r := &run{copy: read, target: target, o: o}
	r.ledger.progress = o.Progress
	r.ledger.sum = Summary{DryRun: o.DryRun, NotPutBack: map[string]int64{}, Started: time.Now()}
	return r
}

// records returns what to restore, in order.
func (r *run) records(ctx context.Context, snap *vault.Snapshot) (iter.Seq2[*record.Record, error], error) {
	switch {
	case r.o.Item == "":
		return snap.Prefix(ctx, r.o.Prefix), nil
	case r.o.Prefix != "":
		return nil, errors.New("restore: an item and a prefix exclude each other")
	}
	rec, err := snap.Find(ctx, r.o.Item)
	if err != nil {
		return nil, err
	}
	if rec == nil || rec.State == record.DeleteMarker {
		return nil, &NotFoundError{r.o.Item}
	}
	return func(yield func(*record.Record, error) bool) { yield(rec, nil) }, nil
}

// all hands the records to the workers, one by one and in order, and makes durable what they wrote, also when the run ends early.
func (r *run) all(ctx context.Context, open func(context.Context) (iter.Seq2[*record.Record, error], error)) error {
	g, gctx := errgroup.WithContext(ctx)
	jobs := make(chan *job)
	g.Go(func() error {
		defer close(jobs)
		records, err := open(gctx)
		if err != nil {
			return err
		}
		return r.list(gctx, records, jobs)
	})
	for range r.o.Workers {
		g.Go(func() error {
			for j := range jobs {
				if err := r.settle(gctx, j); err != nil {
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
	if r.o.DryRun {
		return err
	}
	return errors.Join(err, r.target.Flush(context.WithoutCancel(ctx)))
}

func (r *run) list(ctx context.Context, records iter.Seq2[*record.Record, error], jobs chan<- *job) error {
	for rec, err := range records {
		if err != nil {
			return err
		}
		j := r.pick(rec)
		if j == nil {
			continue
		}
		r.ledger.plan(j)
		select {
		case jobs <- j:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return ctx.Err()
}
