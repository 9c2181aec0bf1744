package audit

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/vault"
	"farshore/agent/verify"
	"farshore/agent/verify/census"
	"farshore/agent/verify/draw"
	"farshore/providers"
)

// Run verifies a sample within the budget, and leaves a report where there is a key. Once its commitment is stored, whatever happens becomes part of the report: that somebody
// stopped it, that the time was over, that the store failed; what was verified until then counts. The error says why it did not come to its end, and is given together
// with a result; without a result, nothing was drawn. Findings are no error.
func Run(ctx context.Context, v *vault.Vault, o Options) (*Result, error) {
	r, err := begin(ctx, v, o, report.ModeSample)
	if err != nil {
		return nil, err
	}
	defer r.close()
	if err := r.commit(ctx); err != nil {
		return nil, err
	}
	return r.finish(ctx, r.all(ctx))
}

// all does what there is to do, in order. The first failure that is of the store as a whole, or of the context, ends it.
func (r *run) all(ctx context.Context) error {
	return r.steps(ctx, r.draw, r.inventory, r.overlaid, r.objects, r.items, r.locks, r.impact)
}

func (r *run) steps(ctx context.Context, steps ...func(context.Context) error) error {
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}

// run is one audit under way. Its fields are the business of the goroutine that runs it; what others touch is behind a lock of its own.
type run struct {
	v      *vault.Vault
	o      Options
	clock  clock
	before providers.Stats

	chains []*vault.Chain
	census *census.Census
	shelf  *report.Shelf
	last   *report.Audit // the signer's, before this one; nil at first
	placed record.Hash   // of the signer's newest report that this run knows: its commitment, once that is stored

	a     *report.Audit
	seed  record.Hash
	names *names
	notes *notes
	found *damages
	reads *reads
	plan  *draw.Plan
	swept sweep
	gone  int64 // bytes of the packs of part packs that failed or were not given
	done  progress
	over  overlay
	full  *verify.Result // of a full verification
}

// progress says which steps came to their end, for what the report says was not checked.
type progress struct {
	left   int64 // chains that are left out, because a report can't list them
	items  bool  // tried, wherever it ended
	full   bool  // the items of a sample were all dealt with, or a full verification came to its end
	timely bool  // the time of the budget ended something
	// answered are the sources, by name, that said what something of them is now.
	answered map[string]bool
}

// sweep is how far the coverage part came.
type sweep struct {
	begun   bool
	stopped *census.Object // the first object that it did not deal with; nil: it came to its end
}

// begin reads what the audit is about, and changes nothing.
func begin(ctx context.Context, v *vault.Vault, o Options, mode string) (*run, error) {
	o = o.withDefaults()
	r := &run{v: v, o: o, clock: newClock(o.Now), before: v.Bucket().Stats(), reads: newReads()}
	id, err := record.ParseHash(v.ID())
	if err != nil {
		return nil, err
	}
	if r.chains, err = v.Chains(ctx); err != nil {
		return nil, err
	}
	if r.shelf, err = report.Read(ctx, v); err != nil {
		return nil, err
	}
	if err := r.follow(o); err != nil {
		return nil, err
	}
	r.chains, r.done.left = listed(r.chains, r.last)
	if r.census, err = census.Take(ctx, v, r.chains, census.Options{Dir: o.Scratch, Progress: &o.Progress.Census}); err != nil {
		return nil, err
	}
	r.a = &report.Audit{
		Type: report.TypeAudit, Vault: id, Started: r.clock.wall(), Program: o.Program, Statement: v.Statement().N, Pinned: v.Pinned(), Mode: mode,
		Heads: r.census.Heads(), Population: r.census.Population(), Protection: o.Protection,
	}
	r.a.Population.Items, r.a.Population.ItemBytes = itemsOf(r.chains)
	r.a.Budget = o.budget(r.a.Population.PackBytes + r.a.Population.PageBytes)
	r.names = newNames(r.chains)
	r.notes = newNotes(r.names)
	r.found = newDamages(r.signer(), r.shelf, r.last, r.clock.wall())
	return r, nil
}

func (r *run) close() { _ = r.census.Close() } // scratch files alone

// signer is the id of the key; "" without one.
func (r *run) signer() string {
	if r.o.Key == nil {
		return ""
	}
	return r.o.Key.ID()
}

// follow finds the signer's last audit, and holds the clock to its last report.
func (r *run) follow(o Options) error {
	if o.Key == nil {
		return nil
	}
	if e := r.newestOwn(); e != nil {
		r.placed = e.Hash
		if err := r.clock.behind(e.Time, e.Name); err != nil {
			return err
		}
	}
	if e := r.shelf.LastAudit(r.signer()); e != nil {
		r.last = e.Audit
	}
	return nil
}

// newestOwn is the signer's newest report of any kind, nil where there is none: times do not go backwards along a signer's.
func (r *run) newestOwn() *report.Entry {
	var newest *report.Entry
	for _, e := range r.shelf.Entries {
		if e.Signer == r.signer() && (newest == nil || e.Seq > newest.Seq) {
			newest = e
		}
	}
	return newest
}

// throw draws the 32 random bytes.
func (r *run) throw() error {
	_, err := rand.Read(r.seed[:])
	r.a.Seed = &r.seed
	return err
}

// commit draws the 32 random bytes and stores what binds the audit to them, before anything is drawn. Without a key nothing is stored.
func (r *run) commit(ctx context.Context) error {
	if err := r.throw(); err != nil || r.o.Key == nil {
		return err
	}
	c := &report.Commitment{
		Type: report.TypeCommitment, Vault: r.a.Vault, Time: r.a.Started, Statement: r.a.Statement, Seed: sha256.Sum256(r.seed[:]), Heads: r.a.Heads, Budget: r.a.Budget,
	}
	stored, err := r.stamp(func(at time.Time) ([]byte, error) {
		c.Time, r.a.Started = at, at
		_, stored, err := report.Place(ctx, r.v, c, *r.o.Key)
		return stored, err
	})
	if err != nil {
		return fmt.Errorf("the audit's commitment could not be stored, so nothing was drawn: %w", err)
	}
	known := r.placed
	r.placed = sha256.Sum256(stored)
	hash := r.placed
	r.a.Commitment = &hash
	return r.rivals(ctx, c.Prev, known)
}

// stamp calls place with the time, and once more where another report of the same key was placed meanwhile that bears a later one.
func (r *run) stamp(place func(at time.Time) ([]byte, error)) (stored []byte, err error) {
	for range placing {
		stored, err = place(r.clock.wall())
		var late *report.LateError
		if !errors.As(err, &late) {
			return stored, err
		}
		if err := r.clock.behind(late.Last, ""); err != nil {
			return stored, err
		}
	}
	return stored, err
}

// rivals reads the shelf again where another report of the signer's was placed between the first reading and the commitment: the ledger is that of the newest audit before it.
func (r *run) rivals(ctx context.Context, prev *record.Hash, known record.Hash) error {
	if prev == nil && known.IsZero() || prev != nil && *prev == known {
		return nil
	}
	shelf, err := report.Read(ctx, r.v)
	if err != nil {
		return err
	}
	r.shelf, r.last = shelf, nil
	if e := lastBefore(shelf, r.signer(), r.placed); e != nil {
		r.last = e.Audit
	}
	r.found = newDamages(r.signer(), shelf, r.last, r.clock.wall())
	return nil
}

// lastBefore is the signer's newest audit whose number is less than that of the report with the hash; nil where there is none, or no such report.
func lastBefore(shelf *report.Shelf, signer string, commitment record.Hash) *report.Entry {
	seq := int64(0)
	for _, e := range shelf.Entries {
		if e.Signer == signer && e.Hash == commitment {
			seq = e.Seq
		}
	}
	var last *report.Entry
	for _, e := range shelf.Entries {
		if e.Signer == signer && e.Audit != nil && e.Audit.Mode != report.ModeDrill && e.Seq < seq && (last == nil || e.Seq > last.Seq) {
			last = e
		}
	}
	return last
}
