package vault

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"farshore/agent/record"
	"farshore/providers"
)

// Bounds of reading a chain: how many commits, and how many bytes of them unless one alone has more, are read at a time. They are small, and the wait for each is the
// store's latency.
const (
	readAhead      = 16
	readAheadBytes = 64 << 20
)

// chainReader reads the commits of one chain as a listing gives their names, in order. Not safe for concurrent use.
type chainReader struct {
	v     *Vault
	chain *Chain
	extra *budget
	batch []providers.Name
	bytes int64
	end   *chainEnd
}

// chainEnd is a commit that does not count, at which the chain ends.
type chainEnd struct {
	severity  Severity
	object    string
	err       error
	following int // commits after it
}

func (v *Vault) newChainReader(id string, extra *budget) *chainReader {
	return &chainReader{v: v, chain: &Chain{ID: id}, extra: extra}
}

// add takes the next name.
func (r *chainReader) add(ctx context.Context, n providers.Name) error {
	if n.Versions == 0 {
		r.v.sightings.add(layers(&n, -1, nil)...)
		return nil
	}
	if r.end != nil {
		r.end.following++
		return nil
	}
	if len(r.batch) == readAhead || len(r.batch) > 0 && r.bytes+n.Size > readAheadBytes {
		if err := r.flush(ctx); err != nil {
			return err
		}
	}
	r.batch = append(r.batch, n)
	r.bytes += n.Size
	return nil
}

// close reads the rest and returns the chain.
func (r *chainReader) close(ctx context.Context) (*Chain, error) {
	if err := r.flush(ctx); err != nil {
		return nil, err
	}
	if e := r.end; e != nil && e.following > 0 {
		r.chain.note(e.severity, e.object, "%v; it does not count, and neither do the %d commits after it", e.err, e.following)
	} else if e != nil {
		r.chain.note(e.severity, e.object, "%v; it does not count", e.err)
	}
	return r.chain, nil
}

// body is what one version of a commit's name has.
type body struct {
	stored []byte
	err    error // that it is missing or unusable
	lost   bool  // the store did not give it, so that nobody knows what it is
}

// flush reads the batch and appends it to the chain.
func (r *chainReader) flush(ctx context.Context) error {
	bodies := make([]body, len(r.batch))
	g, gctx := errgroup.WithContext(ctx)
	for i := range r.batch {
		g.Go(func() (err error) {
			n := &r.batch[i]
			bodies[i], err = r.v.commitBody(gctx, n.Name, plainID(n), n.Size)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i := range r.batch {
		if r.end != nil {
			r.end.following++
			continue
		}
		if err := r.commit(ctx, &r.batch[i], bodies[i]); err != nil {
			return err
		}
	}
	r.batch, r.bytes = r.batch[:0], 0
	return nil
}

// plainID is what the oldest bytes of a name are read with: nothing where a plain read sees them, for which less permission is needed.
func plainID(n *providers.Name) string {
	if n.Plain() {
		return ""
	}
	return n.ID
}

// commitBody reads one version of a commit. That it is missing, damaged, too large or withheld is in the body; the error is of a store that could not be asked.
func (v *Vault) commitBody(ctx context.Context, name, id string, size int64) (body, error) {
	if size > providers.MaxObject {
		return body{err: fmt.Errorf("it has %d bytes, and an object of a vault at most %d", size, providers.MaxObject)}, nil
	}
	for again := false; ; again = true {
		b, err := v.bucket.ReadVersion(ctx, name, id, providers.MaxObject)
		kind := providers.KindOf(err)
		switch {
		case err == nil:
			return body{stored: b}, nil
		case kind == providers.NotFound, kind == providers.Corrupt:
			return body{err: err, lost: true}, nil
		case !v.Withheld(ctx, err):
			return body{}, err
		case again:
			return body{err: err, lost: true}, nil
		}
	}
}

// commit checks one commit and appends it, or ends the chain. Of several bodies under the name the oldest valid one counts: first is the oldest.
func (r *chainReader) commit(ctx context.Context, n *providers.Name, first body) error {
	if n.Plain() && (first.err != nil || int64(len(first.stored)) != n.Size) {
		// It is not what was listed: it may have been overwritten or hidden since.
		now, err := r.v.history(ctx, n.Name)
		if err != nil && !errors.Is(err, errBlind) {
			return err
		}
		if now != nil && !now.Plain() {
			n, first = now, body{}
		}
	}
	if n.Plain() {
		c, err := r.v.checkCommit(n.Name, first.stored, first.err, r.chain.Head())
		if err != nil {
			r.refuse(n.Name, c, err, first.err != nil)
			return nil
		}
		return r.accept(n.Name, c)
	}
	f, err := r.v.oldestValid(ctx, n, r.chain.Head(), first)
	if err != nil {
		return err
	}
	if err := r.overlaid(ctx, n, f); err != nil {
		return err
	}
	if f.why != nil {
		r.refuse(n.Name, f.commit, f.why, f.lost != nil)
		return nil
	}
	if f.lost != nil {
		r.chain.note(Damage, n.Name, "an older version than the one that was taken, %s, can't be read, so whether that one is the commit is not known: %v", f.commit.Hash, f.lost)
	}
	return r.accept(n.Name, f.commit)
}

// refuse ends the chain with a commit that does not count.
func (r *chainReader) refuse(name string, c *Commit, err error, unreadable bool) {
	if errors.Is(err, errRevoked) {
		r.chain.Revoked, r.chain.cut = true, c
	}
	r.end = &chainEnd{severity: Tampering, object: name, err: err}
	switch {
	case errors.Is(err, errRevoked):
		r.end.severity = Notice // the owner said so, and it is no news
	case errors.Is(err, errCommitMissing) || unreadable:
		r.end.severity = Damage
	}
	if keptBack(err) {
		r.chain.withheld = err
	}
}

func (r *chainReader) accept(name string, commit *Commit) error {
	c := r.chain
	if commit.Seq == 1 {
		r.v.openDescriptor(c, commit)
	}
	if !r.v.allowedSource(commit, c.Source.Name) {
		r.end = &chainEnd{severity: Tampering, object: name, err: fmt.Errorf("the signer may not commit for source %q", c.Source.Name)}
		return nil
	}
	c.Revoked = c.Revoked || commit.Revoked
	commit.AddedBytes = addedBytes(&commit.Commit)
	commit.Packs, commit.Meta, commit.Adopted, commit.Source = nil, nil, nil, ""
	c.Commits = append(c.Commits, commit)
	return nil
}

// foremost is the version of a commit's name that counts.
type foremost struct {
	commit *Commit
	at     int   // its index in Name.Oldest, -1 where none counts
	why    error // none counts: what is wrong with the oldest, or that the owner revoked one, which is then the commit
	lost   error // why the oldest that could not be read, of those that are older than the commit, could not
}

// oldestValid returns the oldest of the versions that are remembered which is a valid commit after prev. first is the oldest body, where it was read already. The error is
// of a store that could not be asked: then which one counts is not known.
func (v *Vault) oldestValid(ctx context.Context, n *providers.Name, prev *Commit, first body) (foremost, error) {
	none := foremost{at: -1}
	for i := range n.Oldest {
		o := &n.Oldest[i]
		if o.Marker {
			continue
		}
		b := first
		if o.ID != n.ID || b.stored == nil && b.err == nil {
			var err error
			if b, err = v.commitBody(ctx, n.Name, o.ID, o.Size); err != nil {
				return none, err
			}
		}
		if b.lost && none.lost == nil {
			none.lost = b.err
		}
		c, err := v.checkCommit(n.Name, b.stored, b.err, prev)
		if err == nil {
			c.Version = o.ID
			return foremost{commit: c, at: i, lost: none.lost}, nil
		}
		if none.why == nil || none.commit == nil && errors.Is(err, errRevoked) {
			none.why = err
			if errors.Is(err, errRevoked) {
				none.commit = c
			}
		}
	}
	if none.why == nil {
		none.why = errNoVersion(n)
	} else if more := n.Versions + n.Markers - len(n.Oldest); more > 0 {
		none.why = fmt.Errorf("%w (of its oldest %d versions; the %d newer ones were not looked at)", none.why, len(n.Oldest), more)
	}
	return none, nil
}

// Bounds of what one reading of chains looks at beyond what it needs, which is every version that is newer than a valid commit: whether it is a valid one too.
const (
	maxExtra      = 1000
	maxExtraBytes = 64 << 20
	maxExtraOne   = 4 << 20
)

// budget is what is left of them. Not safe for concurrent use.
type budget struct{ reads, bytes int64 }

func newBudget() *budget { return &budget{maxExtra, maxExtraBytes} }

// take reports whether a version of that size may be read, and counts it.
func (b *budget) take(size int64) bool {
	if b.reads < 1 || size > maxExtraOne || size > b.bytes {
		return false
	}
	b.reads--
	b.bytes -= size
	return true
}

// overlaid notes what else lies under a commit's name.
func (r *chainReader) overlaid(ctx context.Context, n *providers.Name, f foremost) error {
	known := map[int]beside{}
	for i := range n.Oldest {
		o := &n.Oldest[i]
		if o.Marker || f.at < 0 || i == f.at {
			continue
		}
		if i < f.at {
			continue // it was read before, and is no commit
		}
		known[i] = unread
		if !r.extra.take(o.Size) {
			continue
		}
		b, err := r.v.commitBody(ctx, n.Name, o.ID, o.Size)
		if err != nil {
			return err
		}
		if b.err != nil {
			continue
		}
		delete(known, i)
		if record.Hash(sha256.Sum256(b.stored)) == f.commit.Hash {
			known[i] = twin
		} else if c, err := r.v.checkCommit(n.Name, b.stored, nil, r.chain.Head()); err == nil {
			r.chain.note(Tampering, n.Name, "a fork: a second commit with this number, validly signed by %s, was stored%s, with hash %s; the older one counts", c.Signer, origin("at", o), c.Hash)
		}
	}
	r.v.sightings.add(layers(n, f.at, known)...)
	return nil
}
