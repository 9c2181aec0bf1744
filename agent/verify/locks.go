package verify

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"farshore/agent/record"
	"farshore/agent/vault"
	"farshore/providers"
)

// maxLocks is how many packs are asked for their lock.
const maxLocks = 300

// Locks is what a store says of the locks of the packs that the newest snapshots need.
type Locks struct {
	// Settings are the bucket's.
	Settings providers.Settings `json:"settings"`
	// Needed is how many packs the newest snapshots of the chains need; Asked, how many of them were asked for, all or a uniform sample.
	Needed int64 `json:"packs_needed"`
	Asked  int64 `json:"packs_asked"`
	// Locked have a lock now that nobody can lift, Unlocked have none that binds, and of Unknown it could not be told, for the reason Why.
	Locked   int64  `json:"locked"`
	Unlocked int64  `json:"not_locked"`
	Unknown  int64  `json:"unknown"`
	Why      string `json:"why,omitempty"`
	// First is the binding lock of those asked that ends first.
	First *LockEnd `json:"first_to_end,omitempty"`
}

// LockEnd is when an object's lock ends.
type LockEnd struct {
	Object string    `json:"object"`
	Until  time.Time `json:"until"`
}

// locks asks for the locks of packs that the newest snapshots need. What can't be told is no failure of the verification.
func (r *run) locks(ctx context.Context) error {
	settings, err := r.v.Bucket().Settings(ctx)
	if err != nil {
		r.res.Locks = &Locks{Why: err.Error()}
		return ctx.Err()
	}
	if settings.Unknown["all"] != "" {
		return nil
	}
	out := &Locks{Settings: settings}
	r.res.Locks = out
	sample, err := r.needed(ctx, out)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(r.o.Workers)
	for _, name := range sample {
		g.Go(func() error {
			object := record.PackName(name)
			lock, err := r.lockOf(gctx, object)
			mu.Lock()
			defer mu.Unlock()
			out.count(object, lock, err)
			return gctx.Err()
		})
	}
	return g.Wait()
}

// errForgotten is that nobody knows which version of a name is the right one, whose lock it is that counts.
var errForgotten = fmt.Errorf("more than %d names have several versions or are hidden: which of them is the right one was not remembered for all", maxVersions)

// lockOf asks for the lock of the right version of an object.
func (r *run) lockOf(ctx context.Context, object string) (providers.Lock, error) {
	id, known := r.stored.version(object)
	if !known {
		return providers.Lock{}, errForgotten
	}
	return r.v.Bucket().Lock(ctx, object, id)
}

// needed counts the packs that the newest snapshots need, and the newest good ones, and draws a uniform sample of those. What can't be read of their lists is damage that was found before.
func (r *run) needed(ctx context.Context, out *Locks) ([]record.Hash, error) {
	var sample []record.Hash
	for _, c := range r.chains {
		for _, k := range c.Current() {
			var err error
			if sample, err = r.neededBy(ctx, k, sample, out); err != nil {
				return nil, err
			}
		}
	}
	return sample, nil
}

// neededBy goes on with the packs that one snapshot needs.
func (r *run) neededBy(ctx context.Context, k *vault.Commit, sample []record.Hash, out *Locks) ([]record.Hash, error) {
	if k.List == nil {
		return sample, nil
	}
	live, err := r.v.Live(ctx, *k.List)
	if lost(err) {
		return sample, nil
	}
	if err != nil {
		return nil, err
	}
	for _, s := range live.Segments {
		section, err := r.section(ctx, s)
		if lost(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, p := range section.Packs {
			sample = r.draw(sample, p.Name, out)
		}
	}
	return sample, nil
}

func lost(err error) bool {
	var d *vault.DamageError
	return errors.As(err, &d)
}

// draw counts a pack that was not counted before, and keeps a uniform sample of them.
func (r *run) draw(sample []record.Hash, name record.Hash, out *Locks) []record.Hash {
	path := record.PackName(name)
	if r.stored.get(path).is&live != 0 {
		return sample
	}
	r.stored.set(path, live)
	out.Needed++
	if len(sample) < maxLocks {
		return append(sample, name)
	}
	if i := rand.Int64N(out.Needed); i < maxLocks {
		sample[i] = name
	}
	return sample
}

// count adds one answer.
func (l *Locks) count(object string, lock providers.Lock, err error) {
	l.Asked++
	switch {
	case err != nil:
		l.Unknown++
		if l.Why == "" {
			l.Why = err.Error()
		}
	case !lock.Mode.Binding() || !lock.Until.After(time.Now()):
		l.Unlocked++
	default:
		l.Locked++
		if l.First == nil || lock.Until.Before(l.First.Until) {
			l.First = &LockEnd{object, lock.Until}
		}
	}
}
