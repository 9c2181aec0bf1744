package vault

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"farshore/agent/internal/state"
	"farshore/agent/record"
	"farshore/providers"
)

// Judgement says why a commit's change looks like an attack, or which reasons of an earlier snapshot a person accepted.
type Judgement struct{ Suspicious, Accepted []string }

// CommitInfo is what the caller knows of a commit.
type CommitInfo struct {
	// Complete says that every range was listed to its end in this pass.
	Complete bool
	// Retired says that the source is no longer replicated; it is the chain's last commit.
	Retired bool
	Judgement
	// Judge, when not nil, is asked for Judgement in its place once all that the commit adds is stored: with the commit's Counts.Raw and Counts.Stored.
	Judge func(raw, stored int64) Judgement
	// Counts are the pass's; Raw and Stored are the Writer's to fill in.
	Counts record.Counts
	// Hurry is closed when the pass was interrupted: reading back comes to its end soon then. Nil never is.
	Hurry <-chan struct{}
	// Restored is told of bytes of contents as they are read back; may be nil. It is called concurrently.
	Restored func(bytes int64)

	readBack *record.ReadBack
	late     int // of the pages that the commit adds, the first that was stored after the reading back
}

// maxSkew is how far this machine's clock may be from the store's before the store's is used instead.
const maxSkew = 5 * time.Minute

// Commit makes what the pass has written so far a snapshot. Where the current span is not ended, upTo is the first of its paths that was not dealt
// with, and the pass goes on from there afterwards. Nothing that is not durable in the store is named.
//
// A commit that fails ends the Writer's use: what it was about to name is named by no other commit of this Writer, and the next run adopts it.
func (p *Pass) Commit(ctx context.Context, upTo string, info CommitInfo) (*Commit, error) {
	if p.w.failed {
		return nil, errFailed
	}
	c, err := p.commit(ctx, upTo, info)
	p.w.failed = err != nil
	return c, err
}

var errFailed = errors.New("an earlier commit of this run failed: nothing more is committed before the next run")

func (p *Pass) commit(ctx context.Context, upTo string, info CommitInfo) (*Commit, error) {
	if p.cur != nil && upTo > p.from {
		p.endRange(ctx, upTo)
	}
	p.closeOver(ctx, p.from)
	if err := p.w.packer.drain(); err != nil {
		return nil, err
	}
	if err := p.settle(0); err != nil {
		return nil, err
	}
	ranges, sections, err := p.ranges()
	if err != nil {
		return nil, err
	}
	w := p.w
	if info.readBack, err = p.readBack(ctx, sections, info); err != nil {
		return nil, err
	}
	info.late = w.pagesAdded()
	if err := w.flushTable(ctx, 1); err != nil {
		return nil, err
	}
	p.refs, p.added = 0, record.ReadBack{}
	old := w.base.root
	took := w.takeStored()
	tables, err := w.freshTables(ctx, old.Tables)
	if err != nil {
		return nil, err
	}
	if tables, err = w.mergeTables(ctx, append(append([]record.Ref{}, tables...), took.tables...)); err != nil {
		return nil, err
	}
	keys, err := w.freshKeys(ctx, old.Keys)
	if err != nil {
		return nil, err
	}
	states, err := w.freshStates(ctx)
	if err != nil {
		return nil, err
	}
	root := &record.Root{Source: w.source, Include: w.include, Exclude: w.exclude, Ranges: ranges, Keys: keys, Tables: tables, States: states}
	return w.commitRoot(ctx, root, sections, took, info)
}

// takeStored takes the packs whose chunk tables are stored, and those tables. Parts may go on being stored meanwhile: they belong to the next commit.
func (w *Writer) takeStored() added {
	w.mu.Lock()
	defer w.mu.Unlock()
	a := w.added
	w.added = added{meta: a.meta}
	return a
}

// Retire ends the chain with a commit that says that the source is no longer replicated. Its snapshot stays what it was.
func (w *Writer) Retire(ctx context.Context) (*Commit, error) {
	root := *w.base.root
	root.Ranges, root.Pages = w.base.ranges, nil
	return w.commitRoot(ctx, &root, nil, added{}, CommitInfo{
		Retired: true, Complete: w.base.Commit.Complete, Judgement: Judgement{w.base.Commit.Suspicious, w.base.Commit.Accepted}, Counts: w.base.Commit.Counts,
	})
}

// commitRoot stores root and public list, unless they are those of the base, and then the commit, which adds the packs of took and all pages so far.
func (w *Writer) commitRoot(ctx context.Context, root *record.Root, sections []record.ListSection, took added, info CommitInfo) (*Commit, error) {
	c := &record.Commit{
		Chain: w.domain, Seq: 1, Statement: w.vault.hashes[len(w.vault.hashes)-1],
		Complete: info.Complete, Retired: info.Retired, Counts: info.Counts, ReadBack: info.readBack,
	}
	c.Counts.Raw, c.Counts.Stored = took.raw, storedSize(took.packs)
	if info.Judge != nil {
		info.Judgement = info.Judge(c.Counts.Raw, c.Counts.Stored)
	}
	c.Suspicious, c.Accepted = info.Suspicious, info.Accepted
	var err error
	if prev := w.chain.Head(); prev != nil {
		c.Seq, c.Prev = prev.Seq+1, &prev.Hash
	} else {
		c.Continues = w.continues
		if c.Source, err = w.descriptor(); err != nil {
			return nil, err
		}
	}
	ranges := root.Ranges
	if c.Root, c.List, err = w.storeRoot(ctx, root, sections); err != nil {
		return nil, err
	}
	if c.Time, err = w.time(ctx, c); err != nil {
		return nil, err
	}
	if s := w.vault.Statement().Signer(w.agent.ID()); s == nil || !s.Covers(c.Time) {
		return nil, fmt.Errorf("the owner's statement does not let this agent's key commit any more at %s", record.FormatTime(c.Time))
	}
	c.Packs, c.Meta, c.Adopted = took.packs, w.takeMeta(), took.adopted
	if err := w.readLate(ctx, c.Meta[info.late:], info.Hurry); err != nil {
		return nil, err
	}
	stored, err := encodeSigned(kindCommit, w.vault.id, func() ([]byte, error) { return record.EncodeCommit(c) }, w.agent)
	if err != nil {
		return nil, err
	}
	if err := w.publish(ctx, c, stored); err != nil {
		return nil, err
	}
	return w.committed(ctx, c, stored, root, ranges)
}

func storedSize(refs []record.Ref) (n int64) {
	for _, r := range refs {
		n += r.Size
	}
	return n
}

// pagesAdded is how many pages and lists takeMeta would take now.
func (w *Writer) pagesAdded() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.added.meta)
}

// takeMeta takes the pages and lists that were stored since the last commit. Those of parts that are still being stored may be among them.
func (w *Writer) takeMeta() []record.Ref {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := w.added.meta
	w.added.meta = nil
	return m
}

// time returns the commit's time: this machine's, or the store's where they differ by much, and never before the previous commit's.
func (w *Writer) time(ctx context.Context, c *record.Commit) (time.Time, error) {
	t := w.now().UTC()
	if prev := w.chain.Head(); prev == nil || *c.Root != *prev.Root {
		info, err := w.vault.bucket.Stat(ctx, record.MetaName(c.Root.Name))
		if err != nil {
			return t, err
		}
		// The root was stored moments ago; what the store says of it is the store's clock.
		if skew := t.Sub(info.Modified); !info.Modified.IsZero() && (skew > maxSkew || skew < -maxSkew) {
			w.notice(Notice, w.vault.bucket.Traits().Place, "this machine's clock is %s off the store's; the commit carries the store's time", skew.Round(time.Second))
			t = info.Modified.UTC()
		}
	}
	if prev := w.chain.Head(); prev != nil && !t.After(prev.Time) {
		t = prev.Time.Add(time.Nanosecond)
	}
	return t, nil
}

// publish writes the commit create-only. Its hash is announced in the local state first, so that after a crash the agent knows it as its own.
func (w *Writer) publish(ctx context.Context, c *record.Commit, stored []byte) error {
	hash := sha256.Sum256(stored)
	if err := w.local.SetIntent(state.Head{Chain: c.Chain, Seq: c.Seq, Hash: hash}); err != nil {
		return fmt.Errorf("local state: %w", err)
	}
	name := record.CommitName(c.Chain, c.Seq)
	_, _, err := w.vault.bucket.Create(ctx, name, section(stored), hash)
	if providers.KindOf(err) == providers.Exists {
		if w.arrivedLate(ctx, name) {
			return w.settleLate()
		}
		return fmt.Errorf("%w: %s was written by somebody else", ErrForeignCommit, name)
	}
	if err != nil {
		return err
	}
	return w.stands(ctx, name, hash)
}

// stands returns nil when the commit just written is the one that readers take for its number. A store that can't refuse a second writer may have taken
// another's as well; and even one that can takes a second where the first was hidden. Where the store shows versions, the oldest valid one counts, else what is there now.
func (w *Writer) stands(ctx context.Context, name string, hash record.Hash) error {
	foreign := fmt.Errorf("%w: %s was written by somebody else", ErrForeignCommit, name)
	n, err := w.vault.history(ctx, name)
	if err != nil && !errors.Is(err, errBlind) {
		return err
	}
	if n == nil || n.Plain() {
		if w.vault.bucket.Traits().CreateOnly == providers.CreateOnlyStore {
			return nil
		}
		back, err := w.vault.bucket.ReadAll(ctx, name, providers.MaxObject)
		if err != nil {
			return err
		}
		if sha256.Sum256(back) != hash {
			return foreign
		}
		return nil
	}
	f, err := w.vault.oldestValid(ctx, n, w.chain.Head(), body{})
	switch {
	case err != nil:
		return err
	case f.why != nil:
		return fmt.Errorf("%w: %s has %d versions, and those that count first are not this one: %v", ErrForeignCommit, name, n.Versions, f.why)
	case f.commit.Hash != hash:
		return foreign
	case f.lost != nil:
		return fmt.Errorf("%w: %s has an older version, which can't be read: readers who can may take that one: %v", ErrForeignCommit, name, f.lost)
	}
	return nil
}

// arrivedLate reports whether the commit under the name is one that an earlier run announced and gave up: its request reached the store after all.
func (w *Writer) arrivedLate(ctx context.Context, name string) bool {
	if w.intent.Seq == 0 || record.CommitName(w.domain, w.intent.Seq) != name {
		return false
	}
	_, err := w.vault.readNamed(ctx, name, w.intent.Hash)
	return err == nil
}

// settleLate takes the late commit for the chain's head, so that the next run goes on from it.
func (w *Writer) settleLate() error {
	if err := w.local.SetHead(w.intent); err != nil {
		return fmt.Errorf("local state: %w", err)
	}
	return fmt.Errorf("commit %d of an earlier run arrived while this one worked: run it again, nothing that is stored is sent again", w.intent.Seq)
}

// committed brings Writer and local state up to the new commit.
func (w *Writer) committed(ctx context.Context, c *record.Commit, stored []byte, root *record.Root, ranges []record.RootRange) (*Commit, error) {
	hash := record.Hash(sha256.Sum256(stored))
	if err := w.local.SetHead(state.Head{Chain: c.Chain, Seq: c.Seq, Hash: hash}); err != nil {
		return nil, fmt.Errorf("local state: %w", err)
	}
	names := make([]record.Hash, len(c.Packs))
	for i, p := range c.Packs {
		names[i] = p.Name
	}
	if err := w.local.Commit(w.domain, names); err != nil {
		return nil, fmt.Errorf("local state: %w", err)
	}
	if w.packer != nil && w.records >= settledRecords {
		w.packer.rotate()
		w.records = 0
	}
	w.recall.rotate()
	done := &Commit{Commit: *c, Hash: hash, Signer: w.agent.ID(), StoredSize: int64(len(stored)), AddedBytes: addedBytes(c)}
	done.Packs, done.Meta, done.Adopted = nil, nil, nil
	w.chain.Commits = append(w.chain.Commits, done)
	w.base = &Snapshot{vault: w.vault, Commit: done, root: root, ranges: ranges}
	return done, nil
}
