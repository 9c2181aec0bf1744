package vault

import (
	"cmp"
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

// chainsReader reads the commits of chains as a listing gives their names, in order. Who may create can begin any number of chains: their commits are read ahead together, so that
// they cost as little as those of one. Not safe for concurrent use.
type chainsReader struct {
	v      *Vault
	extra  *budget
	chains []*Chain // those that were read to their end
	open   []*chainReader
	batch  []pending
	bytes  int64
}

// pending is a name that is still to be read, and its chain.
type pending struct {
	chain *chainReader
	name  providers.Name
}

// chainReader reads the commits of one chain.
type chainReader struct {
	v     *Vault
	chain *Chain
	extra *budget
	end   *chainEnd
}

// chainEnd is a commit that does not count, at which the chain ends.
type chainEnd struct {
	severity  Severity
	object    string
	err       error
	following int // commits after it
}

func (v *Vault) newChainsReader() *chainsReader { return &chainsReader{v: v, extra: newBudget()} }

// add takes the next name, which is of the chain with that id.
func (s *chainsReader) add(ctx context.Context, id string, n providers.Name) error {
	if len(s.open) == 0 || s.open[len(s.open)-1].chain.ID != id {
		if len(s.batch) == 0 {
			s.settle(len(s.open))
		}
		s.open = append(s.open, &chainReader{v: s.v, chain: &Chain{ID: id}, extra: s.extra})
	}
	r := s.open[len(s.open)-1]
	if n.Versions == 0 {
		s.v.sightings.add(layers(&n, -1, nil)...)
		return nil
	}
	if r.end != nil {
		r.end.following++
		return nil
	}
	if len(s.batch) == readAhead || len(s.batch) > 0 && s.bytes+n.Size > readAheadBytes {
		if err := s.flush(ctx); err != nil {
			return err
		}
	}
	s.batch = append(s.batch, pending{r, n})
	s.bytes += n.Size
	return nil
}

// close reads the rest and returns the chains of which there is something to say.
func (s *chainsReader) close(ctx context.Context) ([]*Chain, error) {
	if err := s.flush(ctx); err != nil {
		return nil, err
	}
	s.settle(len(s.open))
	return s.chains, nil
}

// settle ends the first so many of the open chains.
func (s *chainsReader) settle(n int) {
	for _, r := range s.open[:n] {
		if c := r.close(); !c.bare() {
			s.chains = append(s.chains, c)
		}
	}
	s.open = append(s.open[:0], s.open[n:]...)
}

// close returns the chain.
func (r *chainReader) close() *Chain {
	if e := r.end; e != nil && e.following > 0 {
		r.chain.note(e.severity, e.object, "%v; it does not count, and neither %s after it", e.err, following(e.following))
	} else if e != nil {
		r.chain.note(e.severity, e.object, "%v; it does not count", e.err)
	}
	return r.chain
}

func following(n int) string {
	if n == 1 {
		return "does the one"
	}
	return fmt.Sprintf("do the %d commits", n)
}

// body is what one version of a commit's name has.
type body struct {
	stored []byte
	err    error // that it is missing or unusable
	lost   bool  // the store did not give it, so that nobody knows what it is
}

// flush reads the batch and appends it to the chains. All of these but the last are then at their end.
func (s *chainsReader) flush(ctx context.Context) error {
	bodies := make([]body, len(s.batch))
	g, gctx := errgroup.WithContext(ctx)
	for i := range s.batch {
		g.Go(func() (err error) {
			n := &s.batch[i].name
			bodies[i], err = s.v.commitBody(gctx, n.Name, plainID(n), n.Size)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i := range s.batch {
		r := s.batch[i].chain
		if r.end != nil {
			r.end.following++
			continue
		}
		if err := r.commit(ctx, &s.batch[i].name, bodies[i]); err != nil {
			return err
		}
	}
	clear(s.batch)
	s.batch, s.bytes = s.batch[:0], 0
	s.settle(max(0, len(s.open)-1))
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
	commit.AddedBytes, commit.AddedPacks, commit.AdoptedPacks = addedBytes(&commit.Commit), int64(len(commit.Packs)), int64(len(commit.Adopted))
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
	known  map[int]beside
}

// oldestValid returns the oldest of the versions that are remembered which is a valid commit after prev. first is the oldest body, where it was read already. The error is
// of a store that could not be asked: then which one counts is not known.
func (v *Vault) oldestValid(ctx context.Context, n *providers.Name, prev *Commit, first body) (foremost, error) {
	none := foremost{at: -1, known: map[int]beside{}}
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
		if b.lost {
			none.known[i] = unread
			none.lost = cmp.Or(none.lost, b.err)
		}
		c, err := v.checkCommit(n.Name, b.stored, b.err, prev)
		if err == nil {
			c.Version = o.ID
			return foremost{commit: c, at: i, lost: none.lost, known: none.known}, nil
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
	for i := f.at + 1; f.at >= 0 && i < len(n.Oldest); i++ {
		o := &n.Oldest[i]
		if o.Marker {
			continue
		}
		f.known[i] = unread
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
		delete(f.known, i)
		if record.Hash(sha256.Sum256(b.stored)) == f.commit.Hash {
			f.known[i] = twin
		} else if c, err := r.v.checkCommit(n.Name, b.stored, nil, r.chain.Head()); err == nil {
			r.chain.note(Tampering, n.Name, "a fork: a second commit with this number, validly signed by %s, was stored%s, with hash %s; the older one counts", c.Signer, origin("at", o), c.Hash)
		}
	}
	r.v.sightings.add(layers(n, f.at, f.known)...)
	return nil
}
