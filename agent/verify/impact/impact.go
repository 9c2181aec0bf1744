// Package impact says what damage means: which snapshots need a damaged object, which items rest on it, and what can make it good. It reads the public lists, and, with a metadata key,
// records; no contents.
package impact

import (
	"cmp"
	"context"

	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/source"
	"farshore/agent/vault"
	"farshore/agent/verify/live"
)

// Options say whom to ask.
type Options struct {
	// Chains are the vault's chains.
	Chains []*vault.Chain
	// Live are sources to ask whether an item is still as it was captured, by name; it may be empty.
	Live map[string]source.Source
	// Name keeps the name of an item for who may know it, and returns its index from 1 on; 0: there is no more room. It may be nil, and is called by one goroutine.
	Name func(source, path string) int64
	// Workers is how many items the sources are asked about at a time; default 6.
	Workers int
}

// Fill sets Snapshots, First, Items, Names, Remedy and Advice of each damage, which are at most report.MaxDamaged. The advice names chains and numbers of commits, and neither items
// nor sources. An error is the store's or the context's; what was found until then is filled in, and the rest says that it could not be told.
func Fill(ctx context.Context, v *vault.Vault, damaged []report.Damage, o Options) error {
	if len(damaged) == 0 {
		return nil
	}
	f := newFill(v, damaged, o)
	err := f.all(ctx)
	f.write()
	return err
}

// Bounds of Fill.
const (
	maxScanned = 64   // snapshots whose records are read
	maxLooks   = 1000 // items of which sources are asked
	maxFinds   = 200  // items that are looked for in an older snapshot
)

// fill is one call of Fill.
type fill struct {
	v       *vault.Vault
	o       Options
	damaged []report.Damage
	needs   *needs
	uses    []use // of each damage
	walked  bool  // all commits were looked at
	looks   int
	finds   int
	blind   int64 // snapshots some of whose lists can't be read
}

// use is what is known of one damage.
type use struct {
	snapshots int64
	first     []report.ChainPosition
	chains    []span
	items     int64
	unknown   bool // some of its items can't be counted
	about     bool // items is what a root states
	past      bool // items are earlier versions, which older snapshots need
	names     []int64
	looked    []look
}

// span is the last run of snapshots of a chain that need a damaged object.
type span struct {
	chain  *vault.Chain
	at     int           // index of the newest that does, among the chain's snapshots
	newest *vault.Commit // the newest that does
	before *vault.Commit // the newest before the run, which does not need it; nil: there is none
	after  *vault.Commit // the chain's newest snapshot, where it does not need it
}

// look is an item of which more is asked.
type look struct {
	rec   *record.Record // what was captured
	span  span
	state live.State
	older bool // the snapshot before has it, and nothing that is damaged with it
}

func newFill(v *vault.Vault, damaged []report.Damage, o Options) *fill {
	o.Workers = cmp.Or(max(0, o.Workers), 6)
	if o.Name == nil {
		o.Name = func(string, string) int64 { return 0 }
	}
	return &fill{v: v, o: o, damaged: damaged, needs: newNeeds(v, damaged), uses: make([]use, len(damaged))}
}

func (f *fill) all(ctx context.Context) error {
	for _, c := range f.o.Chains {
		if err := f.chain(ctx, c); err != nil {
			return err
		}
	}
	f.walked = true
	if !f.v.CanOpen() {
		return nil
	}
	if err := f.rest(ctx); err != nil {
		return err
	}
	if err := f.ask(ctx); err != nil {
		return err
	}
	return f.older(ctx)
}

// chain walks a chain's snapshots from the oldest to the newest.
func (f *fill) chain(ctx context.Context, c *vault.Chain) error {
	n := 0
	var last *vault.Commit
	for _, k := range c.Commits {
		if k.Revoked || k.Root == nil {
			continue
		}
		hits, whole, err := f.needs.commit(ctx, k)
		if err != nil {
			return err
		}
		if !whole {
			f.blind++
		}
		for _, i := range hits {
			f.uses[i].need(c, k, n, last)
		}
		last = k
		n++
	}
	for i := range f.uses {
		if s := f.uses[i].in(c); s != nil && s.newest != last {
			s.after = last
		}
	}
	return nil
}

// need counts a snapshot, the n-th of its chain, which comes after last.
func (u *use) need(c *vault.Chain, k *vault.Commit, n int, last *vault.Commit) {
	u.snapshots++
	if len(u.first) < report.MaxRefs {
		u.first = append(u.first, report.ChainPosition{Chain: c.ID, Seq: k.Seq})
	}
	s := u.in(c)
	switch {
	case s == nil:
		u.chains = append(u.chains, span{chain: c, before: last})
		s = &u.chains[len(u.chains)-1]
	case s.at != n-1:
		s.before = last
	}
	s.at, s.newest = n, k
}

// in returns the span of the chain that is walked, which is the last.
func (u *use) in(c *vault.Chain) *span {
	if n := len(u.chains); n > 0 && u.chains[n-1].chain == c {
		return &u.chains[n-1]
	}
	return nil
}
