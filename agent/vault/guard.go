package vault

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/singleflight"

	"farshore/agent/internal/state"
	"farshore/agent/record"
	"farshore/providers"
)

var (
	// ErrLockUnread says that a pass is to rest on nothing whose lock ends soon, and that locks can't be read.
	ErrLockUnread = errors.New("min_lock_left is set, and when locks end can't be read")
	// ErrLockShort says that what the store gives new objects does not last for what is asked of it.
	ErrLockShort = errors.New("what is stored now would not be locked for min_lock_left")
)

// guard keeps a Writer from resting anything new on objects whose lock ends too soon. A nil *guard keeps from nothing and asks for nothing. It may be used
// concurrently.
//
// Only binding locks count, and they can't be shortened: an end that was seen once is remembered in the local state as the least, and the store is
// asked again only when that is too near, once a run.
type guard struct {
	w      *Writer
	left   time.Duration
	flight singleflight.Group

	mu    sync.Mutex
	asked *lru[record.Hash, time.Time] // what the store said in this run
}

// guardAsked is how many of the store's answers a run keeps, of about 150 bytes each: the packs of 4 TiB. Beyond it, an object whose lock ends too soon is asked for
// once more when it is met again.
const guardAsked = 128 << 10

// guardQueries is how many locks are asked for at a time, so that the capture beside it is not slowed down.
const guardQueries = 8

func newGuard(w *Writer, left time.Duration) *guard {
	if left <= 0 {
		return nil
	}
	return &guard{w: w, left: left, asked: newLRU[record.Hash, time.Time](guardAsked)}
}

// need is until when a lock must last.
func (g *guard) need() time.Time { return g.w.now().Add(g.left) }

// checkSettings refuses a bucket whose new objects are not locked for long enough, as far as it can be asked.
func (g *guard) checkSettings(ctx context.Context) error {
	if g == nil {
		return nil
	}
	s, err := g.w.vault.bucket.Settings(ctx)
	if err != nil {
		return err
	}
	place := g.w.vault.bucket.Traits().Place
	unread := s.Unknown["lock"] != "" || s.Unknown["all"] != ""
	switch {
	case s.Mode != providers.LockNone && !s.Mode.Binding():
		return fmt.Errorf("%w: new objects in %s get a lock of mode %s, which can be lifted", ErrLockShort, place, s.Mode)
	case s.Retention > 0 && g.left >= s.Retention:
		return fmt.Errorf("%w (%s): new objects in %s are locked for %s, so that each pass would store everything anew", ErrLockShort, days(g.left), place, days(s.Retention))
	case s.Retention <= 0 && !unread:
		return fmt.Errorf("%w: %s gives new objects no lock of their own", ErrLockShort, place)
	}
	return nil // what can't be read here shows when the first object is stored
}

func days(d time.Duration) string {
	if d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%d d", d/(24*time.Hour))
	}
	return d.String()
}

// checkStored asks for the lock of an object that was just stored, and refuses to go on where it does not last: the store does not give what it was taken for.
func (g *guard) checkStored(ctx context.Context, object string, ref record.Ref, existed bool) error {
	if g == nil || existed { // then it may be from long ago, and is asked for when something is to rest on it
		return nil
	}
	lock, err := g.w.vault.bucket.Lock(ctx, object, "")
	if err != nil {
		return g.fail(g.unread(object, err))
	}
	end := binding(lock)
	if end.Before(g.need()) {
		return g.fail(fmt.Errorf("%w (%s): %s, stored a moment ago, is %s", ErrLockShort, days(g.left), object, lockText(lock)))
	}
	return g.keep(state.LockOfObject, ref.Name, end)
}

// endText says until when an object is locked, of which no more than the end is known; zero is no binding lock.
func endText(end time.Time) string {
	if end.IsZero() {
		return "not locked"
	}
	return "locked only until " + record.FormatTime(end)
}

// lockText says until when an object is locked.
func lockText(l providers.Lock) string {
	switch {
	case l.Mode == providers.LockNone:
		return "not locked"
	case !l.Mode.Binding():
		return fmt.Sprintf("locked until %s in mode %s, which can be lifted", record.FormatTime(l.Until), l.Mode)
	}
	return "locked until " + record.FormatTime(l.Until)
}

// binding is the end of a lock that nobody can lift, or zero.
func binding(l providers.Lock) time.Time {
	if !l.Mode.Binding() {
		return time.Time{}
	}
	return l.Until.UTC()
}

// lasts reports whether an object is locked for long enough, and until when at the least.
func (g *guard) lasts(ctx context.Context, object string, ref record.Ref) (time.Time, bool, error) {
	if g == nil {
		return time.Time{}, true, nil
	}
	end, err := g.end(ctx, object, ref)
	return end, err == nil && !end.Before(g.need()), err
}

// packLasts is lasts for a pack.
func (g *guard) packLasts(ctx context.Context, ref record.Ref) (time.Time, bool, error) {
	if g == nil {
		return time.Time{}, true, nil
	}
	return g.lasts(ctx, record.PackName(ref.Name), ref)
}

// metaLasts is lasts for a page.
func (g *guard) metaLasts(ctx context.Context, ref record.Ref) (time.Time, bool, error) {
	if g == nil {
		return time.Time{}, true, nil
	}
	return g.lasts(ctx, record.MetaName(ref.Name), ref)
}

// end returns until when an object is locked, at the least; zero where it is not, or not there.
func (g *guard) end(ctx context.Context, object string, ref record.Ref) (time.Time, error) {
	if end, ok := g.told(ref.Name); ok {
		return end, nil
	}
	end, known, err := g.w.local.Lock(g.w.domain, state.LockOfObject, ref.Name)
	if err != nil {
		return end, g.fail(err)
	}
	if known && !end.Before(g.need()) {
		return end, nil
	}
	got, err, _ := g.flight.Do(object, func() (any, error) {
		if end, ok := g.told(ref.Name); ok {
			return end, nil
		}
		// Others may wait for this answer who are not to end with the first that asked.
		end, err := lockEnd(g.w.life, g.w.vault.bucket, object, ref.Size)
		if err != nil {
			return time.Time{}, g.fail(g.unread(object, err))
		}
		g.mu.Lock()
		g.asked.put(ref.Name, end)
		g.mu.Unlock()
		return end, g.keep(state.LockOfObject, ref.Name, end)
	})
	if err != nil {
		return time.Time{}, err
	}
	return got.(time.Time), nil
}

// told returns what the store said in this run.
func (g *guard) told(name record.Hash) (time.Time, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.asked.get(name)
}

func (g *guard) keep(of state.LockOf, name record.Hash, end time.Time) error {
	if err := g.w.local.SetLock(g.w.domain, of, name, end); err != nil {
		return g.fail(err)
	}
	return nil
}

// earliest returns the earliest end among packs, asking for several at a time, and calls short with each that ends too soon.
func (g *guard) earliest(ctx context.Context, packs []record.Ref, short func(record.Ref, time.Time)) (time.Time, error) {
	var mu sync.Mutex
	var first extreme
	eg, ctx := errgroup.WithContext(ctx)
	eg.SetLimit(guardQueries)
	for _, p := range packs {
		eg.Go(func() error {
			end, ok, err := g.packLasts(ctx, p)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			first.earliest(end)
			if !ok {
				short(p, end)
			}
			return nil
		})
	}
	err := eg.Wait()
	return first.end, err
}

func (g *guard) unread(object string, err error) error {
	if k := providers.KindOf(err); k == providers.Denied || k == providers.Unsupported {
		return fmt.Errorf("%w: %s: %w", ErrLockUnread, object, err)
	}
	return fmt.Errorf("ask when the lock of %s ends: %w", object, err)
}

// fail ends the Writer's use: without knowing what lasts, nothing may be committed.
func (g *guard) fail(err error) error {
	if g.w.packer != nil && !errors.Is(err, context.Canceled) {
		g.w.packer.fail(err)
	}
	return err
}

// lockEnd asks until when the object that was stored under a name with a size is locked, however many versions or markers were laid over it since. It is zero for one
// that is not there, or has no binding lock.
func lockEnd(ctx context.Context, b *providers.Bucket, object string, size int64) (time.Time, error) {
	lock, found, err := originalLock(ctx, b, object, size)
	if err != nil || !found {
		return time.Time{}, err
	}
	return binding(lock), nil
}

// originalLock is the lock of the oldest version with that size.
func originalLock(ctx context.Context, b *providers.Bucket, object string, size int64) (lock providers.Lock, found bool, err error) {
	id, found, err := originalID(ctx, b, object, size)
	if err == nil && found {
		lock, err = b.Lock(ctx, object, id)
	}
	if providers.KindOf(err) == providers.NotFound {
		return lock, false, nil
	}
	return lock, found, err
}

// originalID is the id of the oldest version of a name that has that size; empty where the store shows no versions.
func originalID(ctx context.Context, b *providers.Bucket, object string, size int64) (id string, found bool, err error) {
	sight, err := b.Sight(ctx)
	if err != nil || sight != providers.SightSeen {
		return "", err == nil, err
	}
	h, err := b.History(ctx, object)
	if err != nil {
		return "", false, err
	}
	for _, v := range h.Oldest {
		if !v.Marker && (v.Size == size || size == anySize) {
			return v.ID, true, nil
		}
	}
	return "", false, nil
}
