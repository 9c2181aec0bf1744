package verify

import (
	"context"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sync/errgroup"

	"farshore/agent/record"
	"farshore/agent/vault"
	"farshore/providers"
)

// items reads the records of every segment that any snapshot has and, where asked, puts every item together. Each segment is read once, so that items
// of older snapshots are checked too.
func (r *run) items(ctx context.Context) error {
	it := &itemRun{run: r, reader: r.v.NewReader(), parts: newParts(), segments: map[record.Hash]bool{}, lists: map[record.Hash]bool{}, sections: map[claim]bool{}}
	for _, c := range r.chains {
		for i := len(c.Commits) - 1; i >= 0; i-- {
			if err := it.commit(ctx, c.Commits[i]); err != nil {
				return err
			}
		}
	}
	if r.res.Locked > 0 && r.res.Records == 0 {
		return fmt.Errorf("the identity opens no snapshot: %w", vault.ErrLocked)
	}
	if r.o.Items && it.res.ItemsLocked > 0 && r.o.Progress.Items.Load() == 0 {
		return fmt.Errorf("the identity opens no content: %w", vault.ErrLocked)
	}
	return nil
}

type itemRun struct {
	*run
	reader   *vault.Reader
	parts    parts // guarded by mu
	segments map[record.Hash]bool
	lists    map[record.Hash]bool
	sections map[claim]bool
}

func (it *itemRun) commit(ctx context.Context, k *vault.Commit) error {
	if k.Root == nil {
		return nil
	}
	snap, err := it.v.Snapshot(ctx, k)
	if errors.Is(err, vault.ErrLocked) {
		it.lock(fmt.Sprintf("commit %d of %s", k.Seq, k.Chain), err)
		return nil
	}
	if err != nil {
		return it.damage(err)
	}
	if err := it.compareList(ctx, k, snap); err != nil {
		return err
	}
	for _, ref := range snap.Segments() {
		if it.segments[ref.Name] {
			continue
		}
		it.segments[ref.Name] = true
		if err := it.segment(ctx, ref); err != nil {
			return err
		}
	}
	return nil
}

// lock counts something that no key at hand opens, and names the first few. To who holds the key of a recovery recipient that all statements name it is damage: that key opens
// all that was sealed as it should be.
func (it *itemRun) lock(what string, err error) {
	if it.v.OpensAll() {
		object := it.unsealed(err)
		it.note(vault.Damage, object, "%s: %s", what, notSealed)
		return
	}
	it.mu.Lock()
	it.res.Locked++
	n := it.res.Locked
	it.mu.Unlock()
	if n <= 20 {
		it.note(vault.Notice, what, "not checked: %v", err)
	}
}

// notSealed says what is wrong with an object that the recovery key should open.
const notSealed = "the recovery key does not open it, though every statement names that key"

// unsealed keeps the object that err says no key opens as one that holds nothing of use, and returns its name.
func (it *itemRun) unsealed(err error) (object string) {
	var l *vault.LockedError
	if errors.As(err, &l) {
		object = l.Object
		it.useless(object, true)
	}
	return object
}

// useless keeps an object whose content is not what it should be; sealed says that the recovery key does not open it.
func (it *itemRun) useless(object string, sealed bool) {
	it.mu.Lock()
	defer it.mu.Unlock()
	if it.res.Useless == nil {
		it.res.Useless = map[string]bool{}
	}
	if len(it.res.Useless) < maxUseless {
		it.res.Useless[object] = it.res.Useless[object] || sealed
	}
}

// compareList holds a commit's public list against its root: what a keyless check goes by must be what the snapshot consists of.
func (it *itemRun) compareList(ctx context.Context, k *vault.Commit, snap *vault.Snapshot) error {
	if k.List == nil || it.lists[k.List.Name] {
		return nil
	}
	it.lists[k.List.Name] = true
	live, err := it.v.Live(ctx, *k.List)
	if err != nil {
		return it.damage(err)
	}
	listed := map[record.Hash]bool{}
	for _, s := range live.Segments {
		listed[s.Name] = true
	}
	for _, ref := range snap.Segments() {
		if !listed[ref.Name] {
			it.note(vault.Damage, record.MetaName(k.List.Name), "the public list leaves out segment %s, which the snapshot of commit %d needs", ref.Name, k.Seq)
		}
		delete(listed, ref.Name)
	}
	for name := range listed {
		it.note(vault.Damage, record.MetaName(k.List.Name), "the public list has segment %s, which the snapshot of commit %d does not", name, k.Seq)
	}
	return it.compareSections(ctx, live)
}

// compareSections holds each new segment's header against its section of the list: a pack that the list leaves out could be pruned or lose its lock unseen.
func (it *itemRun) compareSections(ctx context.Context, live *vault.Live) error {
	for _, s := range live.Segments {
		if at := (claim{s.Name, s.List}); it.sections[at] {
			continue
		}
		it.sections[claim{s.Name, s.List}] = true
		section, err := it.section(ctx, s)
		if err == nil {
			var packs []record.Ref
			if packs, err = it.v.SegmentPacks(ctx, s.Name); err == nil {
				it.covered(s, section, packs)
			}
		}
		if err := it.damage(err); err != nil && !errors.Is(err, vault.ErrLocked) {
			return err
		}
	}
	return nil
}

func (it *itemRun) covered(s record.LiveSegment, section *record.ListSection, packs []record.Ref) {
	has := map[record.Hash]bool{}
	for _, p := range section.Packs {
		has[p.Name] = true
	}
	for _, p := range packs {
		if !has[p.Name] {
			it.note(vault.Damage, record.MetaName(s.List), "the public list of segment %s leaves out pack %s, which it refers to", s.Name, p.Name)
		}
	}
}

// segment reads one segment's records and checks their parts.
func (it *itemRun) segment(ctx context.Context, ref record.Ref) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(it.o.Workers)
	for rec, err := range it.v.Segment(gctx, ref) {
		if errors.Is(err, vault.ErrLocked) {
			it.lock("segment "+ref.Name.String(), err)
			break
		}
		if err != nil {
			if derr := it.damage(err); derr != nil {
				return errorOf(g, derr)
			}
			break
		}
		it.res.Records++
		if !it.o.Items {
			continue
		}
		for _, p := range it.unchecked(rec) {
			g.Go(func() error { return it.part(gctx, rec.Path, p) })
		}
	}
	return g.Wait()
}

// unchecked returns the parts of a record that were not checked before.
func (it *itemRun) unchecked(rec *record.Record) []*record.Part {
	var out []*record.Part
	path := rec.Path
	for ; rec != nil; rec = rec.Last {
		for i := range rec.Parts {
			key := partKey(&rec.Parts[i])
			it.mu.Lock()
			again, bad, why := it.parts.check(key)
			it.mu.Unlock()
			if bad { // another item with a part that is known to be lost
				it.note(vault.Damage, fmt.Sprintf("item %q", path), "%s", why)
			}
			if !again {
				out = append(out, &rec.Parts[i])
			}
		}
	}
	return out
}

// lost notes a part that can't be restored, and only then remembers it: so a part without a reason is one for whose findings there is no more room.
func (it *itemRun) lost(path string, p *record.Part, object, why string) {
	it.note(vault.Damage, object, "item %q can't be restored: %s", path, why)
	key := partKey(p)
	it.mu.Lock()
	defer it.mu.Unlock()
	it.parts.lose(key, why)
	it.res.ItemsLost++
}

func (it *itemRun) part(ctx context.Context, path string, p *record.Part) error {
	err := it.reader.Copy(ctx, io.Discard, p)
	var damage *vault.DamageError
	switch {
	case err == nil:
		it.o.Progress.Items.Add(1)
		it.o.Progress.ItemBytes.Add(p.Size)
		return nil
	case errors.As(err, &damage):
		it.useless(damage.Object, false)
		it.lost(path, p, damage.Object, damage.Err.Error())
		return nil
	case errors.Is(err, vault.ErrLocked) && it.v.OpensAll():
		it.lost(path, p, it.unsealed(err), notSealed)
		return nil
	case errors.Is(err, vault.ErrContent), providers.KindOf(err) == providers.Corrupt:
		it.lost(path, p, fmt.Sprintf("item %q", path), err.Error())
		return nil
	case errors.Is(err, vault.ErrLocked):
		it.lock(fmt.Sprintf("item %q", path), err)
		it.mu.Lock()
		it.res.ItemsLocked++
		it.mu.Unlock()
		return nil
	}
	return err
}
