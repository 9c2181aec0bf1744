package restore

import (
	"context"
	"errors"
	"fmt"
	"io"

	"farshore/agent/vault"
)

// maxLooks is how often an item is looked at when something appears under its name meanwhile.
const maxLooks = 3

// settle restores one item, or counts why not. An error stops the run.
func (r *run) settle(ctx context.Context, j *job) error {
	for range maxLooks {
		found, err := r.target.Look(ctx, &j.item)
		switch {
		case err != nil:
			return r.refused(ctx, j, err)
		case found.State == Equal:
			r.ledger.equal(j, found)
			return nil
		case found.State == Differs && !r.o.Overwrite:
			r.ledger.differs(j, found)
			return nil
		case r.o.DryRun:
			r.ledger.restored(j, replaced(found), Written{As: found.As, Why: found.Why})
			return nil
		}
		c := content{run: r, ctx: ctx, job: j}
		w, err := r.target.Write(ctx, &j.item, found.State == Differs, c.writeTo)
		switch {
		case err == nil && !c.whole:
			return fmt.Errorf("%q: the target took content that was not verified", j.item.Path)
		case err == nil:
			r.ledger.restored(j, replaced(found), w)
			return nil
		case c.failure != nil && ctx.Err() == nil:
			return r.unread(j, c.failure)
		case !errors.Is(err, ErrExists):
			return r.refused(ctx, j, err)
		}
	}
	r.ledger.failed(j, errors.New("what the target has under the name keeps changing"))
	return nil
}

// replaced says what an overwrite replaces; empty when it is none.
func replaced(f Found) string {
	if f.State != Differs {
		return ""
	}
	return f.Why
}

// refused judges an error of the target.
func (r *run) refused(ctx context.Context, j *job, err error) error {
	var one *ItemError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &one):
		r.ledger.failed(j, one)
		return nil
	}
	return fmt.Errorf("restore %q: %w", j.item.Path, err)
}

// tooManyLocked is how many items no key may open, while none was opened, before the key is taken for the wrong one. A few such items are the work of somebody
// who stored what the recovery key can't open.
const tooManyLocked = 16

// unread judges a failure to read content from the vault.
func (r *run) unread(j *job, err error) error {
	var damage *vault.DamageError
	switch {
	case errors.As(err, &damage), errors.Is(err, vault.ErrContent):
		r.ledger.damaged(j, err)
		return nil
	case errors.Is(err, vault.ErrLocked):
		if r.locked.Add(1) >= tooManyLocked && !r.opened.Load() {
			return err
		}
		r.ledger.damaged(j, err)
		return nil
	}
	return fmt.Errorf("read %q: %w", j.item.Path, err)
}

// content reads one item's content and remembers how that went, whatever the target makes of it. Not safe for concurrent use.
type content struct {
	run     *run
	ctx     context.Context
	job     *job
	failure error // of the vault, in the last call of writeTo
	whole   bool  // the last call of writeTo gave all of it
}

// writeTo is the item's Body.
func (c *content) writeTo(w io.Writer) error {
	s := sink{w: w, run: c.run}
	c.failure, c.whole = nil, false
	err := c.run.copy(c.ctx, &s, c.job.part)
	switch {
	case err == nil:
		c.whole = true
	case s.err == nil:
		c.failure = err
	}
	return err
}

// sink counts what passes, and keeps the target's failure apart from the vault's.
type sink struct {
	w   io.Writer
	run *run
	err error
}

// Write hands on.
func (s *sink) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	s.err = err
	s.run.ledger.progress.Read.Add(int64(n))
	s.run.opened.Store(true)
	return n, err
}
