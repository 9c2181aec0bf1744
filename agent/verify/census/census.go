// Package census says what a vault should hold: every object that a commit which counts names, each once, in the order of names. And it holds a listing of the store against
// that. It needs no key and reads no object but commits. Memory is bounded whatever the number of objects: what does not fit is sorted in scratch files.
package census

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync/atomic"
	"time"

	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/vault"
)

// Object is a stored object that a commit names.
type Object struct {
	Name record.Hash
	// Meta says that it lies below meta/, and else below packs/: the same bytes may lie in both.
	Meta bool
	// Size is its stored bytes, as that commit states them.
	Size int64
	// Chain is the index, into Census.Heads, of the chain whose commit names it first: that of the earliest time, of those of one time that of the chain of the lowest id, and of its
	// commits the earliest. So nobody who names what was long there makes it new.
	Chain int32
	// Seq is the number of that commit.
	Seq int64
}

// Path is its name in the vault.
func (o Object) Path() string {
	if o.Meta {
		return record.MetaName(o.Name)
	}
	return record.PackName(o.Name)
}

// Compare orders objects by their names, and of one name the pack first.
func Compare(a, b Object) int {
	if c := bytes.Compare(a.Name[:], b.Name[:]); c != 0 || a.Meta == b.Meta {
		return c
	}
	if b.Meta {
		return -1
	}
	return 1
}

// defaultMemory is how many bytes a census holds where nobody says: 130,000 objects at a time.
const defaultMemory = 32 << 20

// Options say where and how large.
type Options struct {
	// Dir is where scratch files go, in a folder of their own that Close removes; "": the system's for temporary files. They take at most 110 bytes each time that a
	// commit names an object, and nothing where all fits into memory.
	Dir string
	// Memory is how many bytes may be held, beside the commits of the chains themselves; default 32 MiB. One commit that alone has more is read all the same.
	Memory   int64
	Progress *Progress
}

// Progress counts what was done, while it runs.
type Progress struct {
	Commits atomic.Int64 // read
	Objects atomic.Int64 // named by them, each as often as one does
	Listed  atomic.Int64 // names that the store listed
}

// Census is what the commits of a vault name. It may be used concurrently, until Close.
type Census struct {
	withheld func(ctx context.Context, err error) bool // vault.Vault.Withheld
	heads    []report.Head
	chains   []*vault.Chain // by the same index
	counts   report.Population
	disputed int64
	revoked  int64
	table    *table
	scratch  *scratch
	progress *Progress
}

// Take reads what every commit that counts of the chains adds. Objects that only a revoked commit names do not count, unless the snapshot of a later commit which counts
// needs them, as its public lists tell. Chains are not changed and must stay as they are until Close. Errors are the store's, a *vault.DamageError for a commit
// that can no longer be read, and those of scratch files; nothing is left then.
func Take(ctx context.Context, v *vault.Vault, chains []*vault.Chain, o Options) (*Census, error) {
	return take(ctx, v, counting(chains), o)
}

// ErrHead is that a commit which a census is to be as of does not count, or not any more.
var ErrHead = errors.New("it is not a commit that counts")

// TakeAsOf is Take of the chains cut off at the heads, which may be in any order: the census of another time. It fails with ErrHead where a head does not count any more. Of
// commits below the heads that were revoked since, Revoked tells.
func TakeAsOf(ctx context.Context, v *vault.Vault, chains []*vault.Chain, heads []report.Head, o Options) (*Census, error) {
	cut, err := cutOff(chains, heads)
	if err != nil {
		return nil, err
	}
	return take(ctx, v, cut, o)
}

// cutOff returns the chains up to the heads, ascending by id.
func cutOff(chains []*vault.Chain, heads []report.Head) ([]*vault.Chain, error) {
	byID := map[string]*vault.Chain{}
	for _, c := range chains {
		byID[c.ID] = c
	}
	cut := make([]*vault.Chain, 0, len(heads))
	for _, h := range heads {
		c := byID[h.Chain]
		if c == nil || h.Seq < 1 || h.Seq > int64(len(c.Commits)) || c.Commits[h.Seq-1].Hash != h.Hash {
			return nil, fmt.Errorf("commit %s of chain %s: %w", h, h.Chain, ErrHead)
		}
		delete(byID, h.Chain) // twice is none
		part := *c
		part.Commits = c.Commits[:h.Seq:h.Seq]
		cut = append(cut, &part)
	}
	return counting(cut), nil
}

// counting returns the chains that have a commit which counts, ascending by id.
func counting(chains []*vault.Chain) []*vault.Chain {
	out := slices.DeleteFunc(slices.Clone(chains), func(c *vault.Chain) bool { return c.Head() == nil })
	slices.SortFunc(out, func(a, b *vault.Chain) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// Heads are the newest commits of the chains that the census is as of, ascending by chain: one a chain that has any, however many. The slice is the census's.
func (c *Census) Heads() []report.Head { return c.heads }

// Population counts the objects. Commits are those that were read; Items and ItemBytes are left at zero.
func (c *Census) Population() report.Population { return c.counts }

// Disputed is how many objects commits state different sizes of. The size that counts is that of the commit which names it first.
func (c *Census) Disputed() int64 { return c.disputed }

// Revoked is how many of the chains' commits the owner revoked one by one: what only they name is left out.
func (c *Census) Revoked() int64 { return c.revoked }

// Time is that of the commit that names an object of this census first.
func (c *Census) Time(o Object) time.Time { return c.chains[o.Chain].Commits[o.Seq-1].Time }

// Objects yields each object once, ascending by Compare. It may be called again, and concurrently. The first error ends it: the context's, or that a scratch file is
// not as it was written; without one, these are all.
func (c *Census) Objects(ctx context.Context) iter.Seq2[Object, error] {
	return c.table.objects(ctx, record.Hash{})
}

// Close removes the scratch files. Objects fail from then on. It may be called more than once.
func (c *Census) Close() error {
	c.table.closed.Store(true)
	return c.scratch.close()
}
