package vault

import (
	"context"
	"errors"
	"fmt"

	"farshore/agent/record"
)

// maxOlder is how many snapshots before the newest are tried where that can't be read.
const maxOlder = 100

// openBase opens the newest snapshot that can be read, which the next one is joined with.
func (w *Writer) openBase(ctx context.Context, newest *Commit) error {
	var first error
	for i, tried := int(newest.Seq)-1, 0; i >= 0 && tried <= maxOlder; i-- {
		c := w.chain.Commits[i]
		if !c.usable() {
			continue
		}
		err := w.openBaseAt(ctx, c)
		if err == nil {
			if first != nil {
				w.notice(Damage, record.CommitName(c.Chain, newest.Seq), "its snapshot can't be gone on from, %d is in its place: %v", c.Seq, first)
			}
			return nil
		}
		var damage *DamageError
		if !errors.As(err, &damage) {
			return err
		}
		if first == nil {
			first = err
		}
		tried++
	}
	return fmt.Errorf("none of the chain's newest snapshots can be gone on from: bring the object back from a copy of the vault, or have the owner revoke the chain's last "+
		"commits, after which a new chain begins: %w", first)
}

func (w *Writer) openBaseAt(ctx context.Context, c *Commit) (err error) {
	if w.base, err = w.vault.Snapshot(ctx, c); err != nil {
		return err
	}
	w.states = w.base.root.States
	if err := w.loadKeys(ctx); err != nil {
		return err
	}
	return w.loadLists(ctx, c)
}

func (w *Writer) loadKeys(ctx context.Context) error {
	keys, err := decodePage(ctx, w.vault, w.base.root.Keys.Name, record.DecodeKeys)
	if err != nil {
		return err
	}
	for _, k := range keys {
		if k.Domain == w.domain {
			return w.useKeys(k)
		}
	}
	return &DamageError{record.MetaName(w.base.root.Keys.Name), fmt.Errorf("it has no keys for chain %s", w.domain)}
}

// loadLists learns which list has each live segment's section.
func (w *Writer) loadLists(ctx context.Context, c *Commit) error {
	if c.List == nil {
		return nil
	}
	live, err := w.vault.Live(ctx, *c.List)
	if err != nil {
		return err
	}
	w.lists = make(map[record.Hash]record.LiveSegment, len(live.Segments))
	for _, s := range live.Segments {
		w.lists[s.Name] = s
	}
	w.listPages = pagesOf(live.Lists[1:])
	return nil
}
