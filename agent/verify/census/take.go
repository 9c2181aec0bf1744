package census

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/vault"
)

// reader is what a census asks of a vault.
type reader interface {
	// Added reads a commit again, and refuses other bytes than those that the commit was read from.
	Added(ctx context.Context, c *vault.Commit) (packs, meta []record.Ref, err error)
	Live(ctx context.Context, ref record.Ref) (*vault.Live, error)
	List(ctx context.Context, name record.Hash) (*record.List, error)
	Withheld(ctx context.Context, err error) bool
}

// workers is how many commits are read, or parts of a room listed, at a time: all are small, and the wait for each is the store's latency.
const workers = 8

// taker takes a census.
type taker struct {
	from   reader
	chains []*vault.Chain
	o      Options
	space  *semaphore.Weighted // bytes of commits that are in memory
	most   int64               // of them
	unsure bool                // whether snapshots need what revoked commits name is not known

	mu   sync.Mutex
	sort *sorter
}

// take takes the census of chains that are in order and have a head each.
func take(ctx context.Context, from reader, chains []*vault.Chain, o Options) (*Census, error) {
	return takeWith(ctx, from, chains, o, newScratch(o.Dir))
}

func takeWith(ctx context.Context, from reader, chains []*vault.Chain, o Options, s *scratch) (*Census, error) {
	if len(chains) > math.MaxInt32 {
		return nil, errors.New("too many chains")
	}
	if o.Memory <= 0 {
		o.Memory = defaultMemory
	}
	if o.Progress == nil {
		o.Progress = new(Progress)
	}
	c := &Census{withheld: from.Withheld, chains: chains, scratch: s, progress: o.Progress}
	t := &taker{from: from, chains: chains, o: o, most: max(1, o.Memory/8), sort: newSorter(s, o.Memory)}
	t.sort.time = func(e *entry) time.Time { return chains[e.chain].Commits[e.seq-1].Time }
	t.space = semaphore.NewWeighted(t.most)
	if err := t.fill(ctx, c); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return c, nil
}

// fill reads the commits and sorts what they name.
func (t *taker) fill(ctx context.Context, c *Census) error {
	for _, k := range t.chains {
		h := k.Head()
		c.heads = append(c.heads, report.Head{Chain: k.ID, Seq: h.Seq, Hash: h.Hash})
	}
	c.counts.Chains = int64(len(t.chains))
	if err := t.needs(ctx); err != nil {
		return err
	}
	if err := t.commits(ctx, c); err != nil {
		return err
	}
	var err error
	c.table, err = t.sort.finish(ctx, func(e entry) {
		if e.flags&flagDisputed != 0 {
			c.disputed++
		}
		p := &c.counts
		if e.meta() {
			p.Pages, p.PageBytes = p.Pages+1, sum(p.PageBytes, e.size)
		} else {
			p.Packs, p.PackBytes = p.Packs+1, sum(p.PackBytes, e.size)
		}
	})
	return err
}

// sum adds sizes, which a liar may have stated.
func sum(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// commits adds what each commit names.
func (t *taker) commits(ctx context.Context, c *Census) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(workers)
	for i, chain := range t.chains {
		for _, k := range chain.Commits {
			of := counted
			if k.Revoked {
				c.revoked++
				if of = revoked; t.unsure {
					of = counted
				}
			} else {
				c.counts.Commits++
			}
			if gctx.Err() == nil {
				g.Go(func() error { return t.commit(gctx, int32(i), k, of) })
			}
		}
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

// commit adds what one commit names.
func (t *taker) commit(ctx context.Context, chain int32, k *vault.Commit, of kind) error {
	weight := min(t.most, 1+k.StoredSize)
	if err := t.space.Acquire(ctx, weight); err != nil {
		return err
	}
	defer t.space.Release(weight)
	packs, meta, err := t.from.Added(ctx, k)
	if err != nil {
		return fmt.Errorf("read what commit %d of chain %s adds: %w", k.Seq, k.Chain, err)
	}
	t.o.Progress.Commits.Add(1)
	t.o.Progress.Objects.Add(int64(len(packs) + len(meta)))
	t.mu.Lock()
	defer t.mu.Unlock()
	return errors.Join(t.refs(packs, false, of, chain, k.Seq), t.refs(meta, true, of, chain, k.Seq))
}

// refs adds objects. The lock must be held.
func (t *taker) refs(refs []record.Ref, meta bool, of kind, chain int32, seq int64) error {
	for _, r := range refs {
		if err := t.sort.add(newEntry(r, meta, of, chain, seq)); err != nil {
			return err
		}
	}
	return nil
}
