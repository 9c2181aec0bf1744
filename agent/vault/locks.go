package vault

import (
	"cmp"
	"container/heap"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"farshore/agent/record"
	"farshore/providers"
)

// Locks says how the objects that a snapshot needs are locked in the store.
type Locks struct {
	// Contents are packs and pages; Commits are the chain's commits up to the snapshot's and the owner's statements, without which nothing in the vault is believed.
	Contents LockCount `json:"contents"`
	Commits  LockCount `json:"commits"`
}

// LockCount counts objects by their locks.
type LockCount struct {
	// Needed is how many there are: exactly where all were asked for, else estimated from the sample, within about five per cent.
	Needed    int64 `json:"needed"`
	Estimated bool  `json:"estimated,omitempty"`
	// Asked is how many the store was asked for: all, or a sample drawn at random, every object as likely as any other.
	Asked int64 `json:"asked"`
	// Of those asked: Locked are locked such that nobody can lift it, Liftable such that somebody may, Expired have a lock whose time is over, Unlocked have none,
	// Missing are not there as they were stored, and of Unknown the store did not tell.
	Locked   int64 `json:"locked"`
	Liftable int64 `json:"liftable,omitempty"`
	Expired  int64 `json:"expired,omitempty"`
	Unlocked int64 `json:"unlocked,omitempty"`
	Missing  int64 `json:"missing,omitempty"`
	Unknown  int64 `json:"unknown,omitempty"`
	// First is when the first of the locks that nobody can lift ends, and of which object; zero where none was seen.
	First       time.Time `json:"first,omitzero"`
	FirstObject string    `json:"first_object,omitempty"`
	// Why is what the store said of the first that is Unknown.
	Why string `json:"why,omitempty"`
}

// MaxLocks is how many locks a survey asks for, of contents and of commits: with 2,000 of any number, what holds for more than 0.15 % of all is met with a
// probability of 95 %.
const MaxLocks = 2000

// Locks asks for the locks of what a snapshot needs: of everything up to max objects, of a sample of that many above it. It needs no key; memory is in proportion to max and to one
// public list. now decides what is over.
func (v *Vault) Locks(ctx context.Context, chain *Chain, c *Commit, max int, now time.Time) (*Locks, error) {
	contents, err := newSample(max)
	if err != nil {
		return nil, err
	}
	if err := v.needed(ctx, c, contents.add); err != nil {
		return nil, err
	}
	words, err := newSample(max)
	if err != nil {
		return nil, err
	}
	for i, h := range v.hashes {
		words.add(record.StatementName(int64(i+1), h), anySize)
	}
	for _, k := range chain.Commits {
		if k.Seq <= c.Seq {
			words.add(record.CommitName(chain.ID, k.Seq), k.StoredSize)
		}
	}
	out := new(Locks)
	if out.Contents, err = v.survey(ctx, contents, now); err != nil {
		return nil, err
	}
	out.Commits, err = v.survey(ctx, words, now)
	return out, err
}

// anySize is the size of an object whose size nobody states.
const anySize = -1

// needed calls fn with the packs and pages that the public lists of a snapshot name, each at least once.
func (v *Vault) needed(ctx context.Context, c *Commit, fn func(object string, size int64)) error {
	if c.List == nil {
		return nil
	}
	live, err := v.Live(ctx, *c.List)
	if err != nil {
		return err
	}
	meta := func(r record.Ref) { fn(record.MetaName(r.Name), r.Size) }
	for _, m := range live.Meta {
		meta(m.Ref)
	}
	for _, l := range live.Lists {
		meta(l)
	}
	wanted := map[record.Hash]map[record.Hash]bool{} // by list
	for _, s := range live.Segments {
		meta(s.Ref)
		if wanted[s.List] == nil {
			wanted[s.List] = map[record.Hash]bool{}
		}
		wanted[s.List][s.Name] = true
	}
	for name, segments := range wanted {
		if err := v.sections(ctx, name, segments, fn); err != nil {
			return err
		}
	}
	return nil
}

// sections calls fn with what a list's sections of those segments name.
func (v *Vault) sections(ctx context.Context, list record.Hash, segments map[record.Hash]bool, fn func(object string, size int64)) error {
	l, err := v.List(ctx, list)
	if err != nil {
		return err
	}
	for _, s := range l.Sections {
		if !segments[s.Segment] {
			continue
		}
		for _, p := range s.Packs {
			fn(record.PackName(p.Name), p.Size)
		}
		for _, m := range s.Meta {
			fn(record.MetaName(m.Name), m.Size)
		}
	}
	return nil
}

// survey asks for the locks of a sample.
func (v *Vault) survey(ctx context.Context, s *sample, now time.Time) (LockCount, error) {
	out := LockCount{Needed: s.size(), Estimated: s.full, Asked: int64(len(s.kept))}
	var mu sync.Mutex
	var eg errgroup.Group
	eg.SetLimit(guardQueries)
	for _, d := range s.sorted() {
		if ctx.Err() != nil {
			break
		}
		eg.Go(func() error {
			lock, found, err := originalLock(ctx, v.bucket, d.object, d.size)
			mu.Lock()
			defer mu.Unlock()
			out.count(d.object, lock, found, err, now)
			return nil
		})
	}
	_ = eg.Wait() // each has its own error
	return out, context.Cause(ctx)
}

// count adds one answer.
func (c *LockCount) count(object string, lock providers.Lock, found bool, err error, now time.Time) {
	switch {
	case err != nil:
		if c.Unknown++; c.Why == "" {
			c.Why = err.Error()
		}
	case !found:
		c.Missing++
	case lock.Mode == providers.LockNone:
		c.Unlocked++
	case !lock.Until.After(now):
		c.Expired++
		c.first(object, lock)
	case !lock.Mode.Binding():
		c.Liftable++
	default:
		c.Locked++
		c.first(object, lock)
	}
}

// first keeps the lock that ends first; of several, the object that comes first in order, so that the same answers give the same result.
func (c *LockCount) first(object string, lock providers.Lock) {
	if !lock.Mode.Binding() {
		return
	}
	if end := lock.Until.UTC(); c.First.IsZero() || end.Before(c.First) || end.Equal(c.First) && object < c.FirstObject {
		c.First, c.FirstObject = end, object
	}
}

// sample draws at most max of any number of objects, each as likely as any other, however often each is added: those whose keyed hashes are the least.
type sample struct {
	max  int
	key  [32]byte
	kept draws // the greatest first
	has  map[string]bool
	full bool
}

type draw struct {
	rank   uint64
	object string
	size   int64
}

func newSample(max int) (*sample, error) {
	s := &sample{max: max, has: map[string]bool{}}
	_, err := rand.Read(s.key[:])
	return s, err
}

func (s *sample) add(object string, size int64) {
	if s.has[object] {
		return
	}
	sum := sha256.Sum256(append(s.key[:], object...))
	d := draw{binary.BigEndian.Uint64(sum[:]), object, size}
	if len(s.kept) == s.max {
		s.full = true
		if d.rank >= s.kept[0].rank {
			return
		}
		delete(s.has, s.kept[0].object)
		heap.Pop(&s.kept)
	}
	s.has[object] = true
	heap.Push(&s.kept, d)
}

// size is how many different objects were added. The ranks are spread evenly, so that the greatest of those kept tells how dense they lie.
func (s *sample) size() int64 {
	if !s.full {
		return int64(len(s.kept))
	}
	share := (float64(s.kept[0].rank) + 1) / math.MaxUint64
	return max(int64(s.max)+1, int64(math.Round(float64(s.max-1)/share)))
}

// sorted returns what was drawn in the order of names.
func (s *sample) sorted() []draw {
	out := slices.Clone([]draw(s.kept))
	slices.SortFunc(out, func(a, b draw) int { return cmp.Compare(a.object, b.object) })
	return out
}

// draws is a heap with the greatest rank on top.
type draws []draw

// Len implements heap.Interface.
func (d draws) Len() int { return len(d) }

// Less implements heap.Interface.
func (d draws) Less(i, j int) bool { return d[i].rank > d[j].rank }

// Swap implements heap.Interface.
func (d draws) Swap(i, j int) { d[i], d[j] = d[j], d[i] }

// Push implements heap.Interface.
func (d *draws) Push(x any) { *d = append(*d, x.(draw)) }

// Pop implements heap.Interface.
func (d *draws) Pop() any {
	last := (*d)[len(*d)-1]
	*d = (*d)[:len(*d)-1]
	return last
}
