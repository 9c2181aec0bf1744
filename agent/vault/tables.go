package vault

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"time"

	"golang.org/x/sync/errgroup"

	"farshore/agent/internal/state"
	"farshore/agent/record"
	"farshore/providers"
)

// tableRaw is how many raw bytes a chunk table takes before the next one begins; tableFan how many tables of one size class there may be
// before they are merged.
const (
	tableRaw = 16 << 20
	tableFan = 16
)

// tableBuilder gathers the lines of a chunk table, and the packs that they are about.
type tableBuilder struct {
	page    *pageBuilder
	packs   []record.Ref
	adopted []record.Hash
	raw     int64 // bytes of packs before compression
}

// packStored records a pack that the store has: its chunks go to the local index, so that this and later runs find them, and to the table that
// the next commit adds.
func (w *Writer) packStored(pp *pendingPack) error {
	p := state.Pack{Name: pp.ref.Name, Size: pp.ref.Size, Chunks: pp.chunks}
	if err := w.index(p, false); err != nil {
		return fmt.Errorf("local state: %w", err)
	}
	w.newPacks.Add(1)
	if err := w.addPack(p, false); err != nil {
		return err
	}
	return w.flushTable(w.packer.ctx, tableRaw)
}

// index records a pack in the local state. Chunks that lie in a pack whose lock ends too soon are found in this one from then on.
func (w *Writer) index(p state.Pack, committed bool) error {
	if w.guard == nil {
		return w.local.AddPack(w.domain, p, committed)
	}
	return w.local.AddPackOver(w.domain, p, committed, w.guard.need())
}

// indexLoaded is index for a pack of a chunk table: nobody has looked yet at the locks of packs that have the same chunks.
func (w *Writer) indexLoaded(ctx context.Context, p state.Pack) error {
	if w.damaged[p.Name] {
		return nil
	}
	if w.guard != nil {
		others, err := w.alsoIn(p)
		if err != nil {
			return err
		}
		if _, err := w.guard.earliest(ctx, others, func(record.Ref, time.Time) {}); err != nil {
			return err
		}
	}
	return w.index(p, true)
}

// alsoIn returns the other packs in which the local state has chunks of this one.
func (w *Writer) alsoIn(p state.Pack) ([]record.Ref, error) {
	var others []record.Ref
	for _, c := range p.Chunks {
		loc, found, err := w.local.Lookup(w.domain, c.Name)
		if err != nil {
			return nil, err
		}
		if found && loc.Pack.Name != p.Name {
			others = append(others, loc.Pack)
		}
	}
	return distinct(others), nil
}

func (w *Writer) addPack(p state.Pack, adopted bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.tables == nil {
		w.tables = &tableBuilder{page: newPageBuilder(w.vault.codec, w.params.FrameSize)}
	}
	w.tables.packs = append(w.tables.packs, record.Ref{Name: p.Name, Size: p.Size})
	for i := range p.Chunks {
		w.tables.raw += p.Chunks[i].Length
	}
	if adopted {
		w.tables.adopted = append(w.tables.adopted, p.Name)
	}
	t := w.tables.page
	t.took(record.AppendTablePack(t.room(), p.Name, p.Size, p.Chunks))
	return nil
}

func (w *Writer) addMeta(ref record.Ref) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.added.meta = append(w.added.meta, ref)
	w.recall.page(ref.Name)
}

func (w *Writer) tableHeader() []byte {
	return record.AppendTableHeader(nil, &record.TableHeader{Signer: w.agent.ID(), Domain: w.domain, Key: w.keyID})
}

// flushTable stores what was gathered for a chunk table, when it is at least min raw bytes. Its packs belong to a commit from then on, so that no commit
// names packs without their table.
func (w *Writer) flushTable(ctx context.Context, min int64) error {
	w.flushing.Lock()
	defer w.flushing.Unlock()
	w.mu.Lock()
	t := w.tables
	if t == nil || t.page.raw+int64(len(t.page.frame)) < min {
		w.mu.Unlock()
		return nil
	}
	w.tables = nil
	w.mu.Unlock()
	ref, err := w.put(ctx, t.page, w.tableHeader())
	if err != nil {
		return err
	}
	w.mu.Lock()
	w.added.tables = append(w.added.tables, ref)
	w.added.packs = append(w.added.packs, t.packs...)
	w.added.adopted = append(w.added.adopted, t.adopted...)
	w.added.raw += t.raw
	w.mu.Unlock()
	return w.local.MarkLoaded(w.domain, ref.Name)
}

// mergeTables keeps the number of tables small: when one size class has too many they become one of the next.
func (w *Writer) mergeTables(ctx context.Context, tables []record.Ref) ([]record.Ref, error) {
	classes := map[int][]record.Ref{}
	for _, t := range tables {
		classes[sizeClass(t.Size)] = append(classes[sizeClass(t.Size)], t)
	}
	for c := 0; c < sizeClass(tableRaw); c++ {
		if len(classes[c]) < tableFan {
			continue
		}
		merged, kept, err := w.rewriteTables(ctx, classes[c], func(record.Ref) (bool, error) { return true, nil })
		if err != nil {
			return nil, err
		}
		delete(classes, c)
		if kept {
			classes[sizeClass(merged.Size)] = append(classes[sizeClass(merged.Size)], merged)
		}
	}
	var out []record.Ref
	for _, t := range tables {
		for _, kept := range classes[sizeClass(t.Size)] {
			if kept.Name == t.Name {
				out = append(out, t)
			}
		}
	}
	for _, c := range classes {
		for _, t := range c {
			if !contains(tables, t) {
				out = append(out, t)
			}
		}
	}
	return out, nil
}

func contains(refs []record.Ref, r record.Ref) bool {
	for _, x := range refs {
		if x.Name == r.Name {
			return true
		}
	}
	return false
}

// sizeClass is the logarithm to base 16 of the size in KiB, at least 0.
func sizeClass(size int64) int { return bits.Len64(uint64(size>>10)) / 4 }

// rewriteTables stores what tables know of the packs that keep lets pass as one table, and reports whether there is any.
func (w *Writer) rewriteTables(ctx context.Context, tables []record.Ref, keep func(record.Ref) (bool, error)) (ref record.Ref, kept bool, err error) {
	b := newPageBuilder(w.vault.codec, w.params.FrameSize)
	for _, t := range tables {
		err := w.eachTablePack(ctx, t.Name, func(p state.Pack) error {
			ok, err := keep(record.Ref{Name: p.Name, Size: p.Size})
			if ok && err == nil {
				kept = true
				b.took(record.AppendTablePack(b.room(), p.Name, p.Size, p.Chunks))
			}
			return err
		})
		var damage *DamageError
		if errors.As(err, &damage) {
			w.notice(Damage, damage.Object, "a chunk table can't be used, what it knows is stored anew: %v", damage.Err)
			continue
		}
		if err != nil {
			return ref, kept, err
		}
	}
	if !kept {
		return ref, false, nil
	}
	if ref, err = w.put(ctx, b, w.tableHeader()); err != nil {
		return ref, kept, err
	}
	return ref, kept, w.local.MarkLoaded(w.domain, ref.Name)
}

// eachTablePack calls fn with the packs of a chunk table, if this agent's key wrote it for this domain.
func (w *Writer) eachTablePack(ctx context.Context, table record.Hash, fn func(state.Pack) error) error {
	r, err := w.vault.page(ctx, table)
	if err != nil {
		return err
	}
	tr, err := record.NewTableReader(r)
	if err != nil {
		return &DamageError{record.MetaName(table), err}
	}
	if h := tr.Header(); h.Signer != w.agent.ID() || h.Domain != w.domain || h.Key != w.keyID {
		w.notice(Notice, record.MetaName(table), "a chunk table of another key or chain is not used")
		return nil
	}
	for {
		name, size, chunks, err := tr.Next()
		if isEOF(err) {
			return nil
		}
		if err != nil {
			return &DamageError{record.MetaName(table), err}
		}
		if err := fn(state.Pack{Name: name, Size: size, Chunks: chunks}); err != nil {
			return err
		}
	}
}

// loadTables brings the local index up to what the base's tables say. A damaged table costs deduplication, not data: it is left out and reported.
func (w *Writer) loadTables(ctx context.Context) error {
	for _, t := range w.base.root.Tables {
		loaded, err := w.local.Loaded(w.domain, t.Name)
		if err != nil {
			return err
		}
		if loaded {
			continue
		}
		err = w.eachTablePack(ctx, t.Name, func(p state.Pack) error { return w.indexLoaded(ctx, p) })
		var damage *DamageError
		if errors.As(err, &damage) {
			w.notice(Damage, damage.Object, "a chunk table can't be used, what it knows is stored anew: %v", damage.Err)
			continue
		}
		if err != nil {
			return err
		}
		if err := w.local.MarkLoaded(w.domain, t.Name); err != nil {
			return err
		}
	}
	return nil
}

// forgetPruned drops from the local index what the owner lists for pruning: nothing new may rest on it.
func (w *Writer) forgetPruned(ctx context.Context) error {
	for _, p := range w.vault.Statement().Prune {
		b, err := w.vault.stored(ctx, p.List.Name)
		if err != nil {
			return fmt.Errorf("the owner's prune list: %w", err)
		}
		list, err := record.DecodePruneList(b)
		if err != nil {
			return &DamageError{record.MetaName(p.List.Name), err}
		}
		for _, r := range list.Packs {
			if err := w.local.Forget(w.domain, r.Name); err != nil {
				return fmt.Errorf("local state: %w", err)
			}
		}
	}
	return nil
}

// adopt takes over packs that an earlier run stored and did not commit, after a look whether they are there.
func (w *Writer) adopt(ctx context.Context) error {
	packs, err := w.local.Uncommitted(w.domain)
	if err != nil || len(packs) == 0 {
		return err
	}
	// An earlier run may have ended between its commit and the note of it.
	if err := w.noteCommitted(ctx, w.chain.Head()); err != nil {
		return err
	}
	if packs, err = w.local.Uncommitted(w.domain); err != nil {
		return err
	}
	unfit, err := w.checkAdopted(ctx, packs)
	if err != nil {
		return err
	}
	infos, errs := w.statAll(ctx, packs)
	for i, p := range packs {
		info, err := infos[i], errs[i]
		end, lasts, lockErr := w.guard.packLasts(ctx, record.Ref{Name: p.Name, Size: p.Size})
		switch {
		case lockErr != nil:
			return lockErr
		case !lasts:
			w.notice(Notice, record.PackName(p.Name), "stored by an earlier run, and %s: its content is stored anew", endText(end))
			if err := w.local.Forget(w.domain, p.Name); err != nil {
				return err
			}
		case unfit[p.Name] != nil:
			w.notice(Notice, record.PackName(p.Name), "stored by an earlier run, and does not read back: its content is stored anew (%v)", unfit[p.Name])
			if err := w.local.Forget(w.domain, p.Name); err != nil {
				return err
			}
		case err == nil && info.Size == p.Size:
			w.recall.pack(p.Name, nil)
			if err := w.addPack(p, true); err != nil {
				return err
			}
		case err == nil || providers.KindOf(err) == providers.NotFound:
			w.notice(Notice, record.PackName(p.Name), "stored by an earlier run and no longer as it was: its content is stored anew")
			if err := w.local.Forget(w.domain, p.Name); err != nil {
				return err
			}
		default:
			return err
		}
	}
	return nil
}

// statAll looks for packs, some at a time.
func (w *Writer) statAll(ctx context.Context, packs []state.Pack) ([]providers.Info, []error) {
	infos, errs := make([]providers.Info, len(packs)), make([]error, len(packs))
	var g errgroup.Group
	g.SetLimit(readAhead)
	for i, p := range packs {
		g.Go(func() error {
			infos[i], errs[i] = w.lookAt(ctx, record.PackName(p.Name))
			return nil
		})
	}
	_ = g.Wait() // each has its own error
	return infos, errs
}

// lookAt describes an object: by a listing where the credential may not read it, as a writer's may be.
func (w *Writer) lookAt(ctx context.Context, object string) (providers.Info, error) {
	info, err := w.vault.bucket.Stat(ctx, object)
	if providers.KindOf(err) != providers.Denied {
		return info, err
	}
	for info, err := range w.vault.bucket.List(ctx, object, "") {
		if err != nil || info.Name == object {
			return info, err
		}
		break
	}
	return providers.Info{}, &providers.Error{Kind: providers.NotFound, Op: "list", Name: object, Err: errors.New("it is not listed")}
}

// noteCommitted marks the packs that a commit names as committed in the local state.
func (w *Writer) noteCommitted(ctx context.Context, c *Commit) error {
	packs, _, err := w.vault.Added(ctx, c)
	if err != nil {
		return err
	}
	names := make([]record.Hash, len(packs))
	for i, p := range packs {
		names[i] = p.Name
	}
	return w.local.Commit(w.domain, names)
}
