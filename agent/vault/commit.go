package vault

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"time"

	"farshore/agent/internal/state"
	"farshore/agent/record"
	"farshore/providers"
)

// CommitInfo is what the caller knows of a commit.
type CommitInfo struct {
	// Complete says that every range was listed to its end in this pass.
	Complete bool
	// Retired says that the source is no longer replicated; it is the chain's last commit.
	Retired    bool
	Suspicious []string
	Counts     record.Counts
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
	if err := w.flushTable(ctx, 1); err != nil {
		return nil, err
	}
	p.refs = 0
	old := w.base.root
	took := w.takeStored()
	tables, err := w.mergeTables(ctx, append(append([]record.Ref{}, old.Tables...), took.tables...))
	if err != nil {
		return nil, err
	}
	root := &record.Root{Source: w.source, Include: w.include, Exclude: w.exclude, Ranges: ranges, Keys: old.Keys, Tables: tables, States: old.States}
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
	return w.commitRoot(ctx, &root, nil, added{}, CommitInfo{Retired: true, Complete: w.base.Commit.Complete, Counts: w.base.Commit.Counts})
}

// commitRoot stores root and public list, unless they are those of the base, and then the commit, which adds the packs of took and all pages so far.
func (w *Writer) commitRoot(ctx context.Context, root *record.Root, sections []record.ListSection, took added, info CommitInfo) (*Commit, error) {
	c := &record.Commit{
		Chain: w.domain, Seq: 1, Statement: w.vault.hashes[len(w.vault.hashes)-1],
		Complete: info.Complete, Retired: info.Retired, Suspicious: info.Suspicious, Counts: info.Counts,
	}
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
	stored, err := encodeSigned(kindCommit, w.vault.id, func() ([]byte, error) { return record.EncodeCommit(c) }, w.agent)
	if err != nil {
		return nil, err
	}
	if err := w.publish(ctx, c, stored); err != nil {
		return nil, err
	}
	return w.committed(ctx, c, stored, root, ranges)
}

// takeMeta takes the pages and lists that were stored since the last commit. Those of parts that are still being stored may be among them.
func (w *Writer) takeMeta() []record.Ref {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := w.added.meta
	w.added.meta = nil
	return m
}

// storeRoot returns the references of root and list: those of the base where nothing changed.
func (w *Writer) storeRoot(ctx context.Context, root *record.Root, sections []record.ListSection) (*record.Ref, *record.Ref, error) {
	if w.base != nil && w.plausible() {
		same := *w.base.root
		same.Ranges, same.Pages = w.base.ranges, nil
		if reflect.DeepEqual(normal(same), normal(*root)) {
			return w.base.Commit.Root, w.base.Commit.List, nil
		}
	}
	ranges := root.Ranges
	if err := w.pageRanges(ctx, root); err != nil {
		return nil, nil, err
	}
	raw, err := record.EncodeRoot(root)
	if err != nil {
		return nil, nil, err
	}
	ref, err := w.putBytes(ctx, raw)
	if err != nil {
		return nil, nil, err
	}
	list, err := w.storeList(ctx, root, ranges, ref, sections)
	if err != nil {
		return nil, nil, err
	}
	return &ref, &list, nil
}

// plausible reports whether this machine's clock is where it may be after the last commit. Otherwise the root is stored anew, for the store's clock to tell.
func (w *Writer) plausible() bool {
	since := w.now().Sub(w.base.Commit.Time)
	return since >= 0 && since < 48*time.Hour
}

// normal makes roots comparable: splits may differ without need, and empty slices equal nil ones.
func normal(r record.Root) record.Root {
	r.Ranges = append([]record.RootRange(nil), r.Ranges...)
	for i := range r.Ranges {
		r.Ranges[i].Splits = nil
		if len(r.Ranges[i].Segments) == 0 {
			r.Ranges[i].Segments = nil
		}
	}
	for _, s := range []*[]string{&r.Include, &r.Exclude} {
		if len(*s) == 0 {
			*s = nil
		}
	}
	if len(r.Tables) == 0 {
		r.Tables = nil
	}
	if len(r.States) == 0 {
		r.States = nil
	}
	r.Pages = nil
	return r
}

// maxInline is how many ranges a root has before they go to pages; rangesPage how many a page has at the most.
const (
	maxInline  = 1024
	rangesPage = 512
	maxLive    = 2048
)

// pageRanges moves a large root's ranges into pages. Pages end where the hash of a range's first path says so, so that a change moves few of them;
// those whose ranges are as they were are named again.
func (w *Writer) pageRanges(ctx context.Context, root *record.Root) error {
	if len(root.Ranges) <= maxInline {
		return nil
	}
	known := w.knownPages()
	var run []record.RootRange
	put := func() error {
		raw := record.EncodeRanges(run)
		ref, ok := known[sha256.Sum256(raw)]
		if !ok {
			var err error
			if ref, err = w.putBytes(ctx, raw); err != nil {
				return err
			}
		}
		root.Pages = append(root.Pages, record.RootPage{Ref: ref, From: run[0].From, To: run[len(run)-1].To})
		run = nil
		return nil
	}
	for _, r := range root.Ranges {
		if h := sha256.Sum256([]byte(r.From)); len(run) > 0 && (h[0] == 0 || len(run) >= rangesPage) {
			if err := put(); err != nil {
				return err
			}
		}
		run = append(run, r)
	}
	if err := put(); err != nil {
		return err
	}
	root.Ranges = nil
	return nil
}

// knownPages returns the base's pages of ranges by the hash of their raw bytes.
func (w *Writer) knownPages() map[[32]byte]record.Ref {
	out := map[[32]byte]record.Ref{}
	if w.base == nil {
		return out
	}
	rest := w.base.ranges
	for _, p := range w.base.root.Pages {
		n := 0
		for n < len(rest) && (p.To == "" || rest[n].From < p.To) {
			n++
		}
		out[sha256.Sum256(record.EncodeRanges(rest[:n]))] = p.Ref
		rest = rest[n:]
	}
	return out
}

// storeList writes the public list of a root: new sections, and all that the snapshot needs.
func (w *Writer) storeList(ctx context.Context, root *record.Root, ranges []record.RootRange, self record.Ref, sections []record.ListSection) (record.Ref, error) {
	list := &record.List{Sections: sections, HasLive: true}
	fresh := map[record.Hash]bool{}
	for _, s := range sections {
		fresh[s.Segment] = true
	}
	lists := map[record.Hash]record.LiveSegment{}
	for _, r := range ranges {
		for _, s := range r.Segments {
			if _, ok := lists[s.Name]; ok {
				continue
			}
			live := record.LiveSegment{Ref: s.Ref}
			if !fresh[s.Name] {
				old, ok := w.lists[s.Name]
				if !ok {
					return record.Ref{}, fmt.Errorf("segment %s has no public list: the chain's lists are damaged", s.Name)
				}
				live.List = old.List
			}
			lists[s.Name] = live
			list.Segments = append(list.Segments, live)
		}
	}
	list.Meta = liveMeta(root, self)
	ref, sectionsAt, err := w.putList(ctx, list)
	if err != nil {
		return ref, err
	}
	for name, l := range lists {
		if l.List.IsZero() {
			l.List = sectionsAt
			lists[name] = l
		}
	}
	w.lists, w.listPages = lists, pagesOf(list.Pages)
	return ref, nil
}

// pagesOf is the set of a list's pages.
func pagesOf(pages []record.Ref) map[record.Hash]bool {
	out := make(map[record.Hash]bool, len(pages))
	for _, p := range pages {
		out[p.Name] = true
	}
	return out
}

func liveMeta(root *record.Root, self record.Ref) []record.LiveMeta {
	meta := []record.LiveMeta{{Ref: self, Role: "root"}, {Ref: root.Keys, Role: "keys"}}
	for _, p := range root.Pages {
		meta = append(meta, record.LiveMeta{Ref: p.Ref, Role: "ranges"})
	}
	for _, t := range root.Tables {
		meta = append(meta, record.LiveMeta{Ref: t, Role: "table"})
	}
	for _, s := range root.States {
		meta = append(meta, record.LiveMeta{Ref: s.Ref, Role: "state"})
	}
	return meta
}

// putList stores a list, in pages where it is long, and returns it and the list that has the sections.
func (w *Writer) putList(ctx context.Context, list *record.List) (record.Ref, record.Hash, error) {
	sectionsAt := record.Hash{}
	if len(list.Segments)+len(list.Meta) > maxLive {
		var err error
		if sectionsAt, err = w.putSections(ctx, list); err != nil {
			return record.Ref{}, sectionsAt, err
		}
		if err := w.pageLive(ctx, list, sectionsAt); err != nil {
			return record.Ref{}, sectionsAt, err
		}
	}
	text := record.EncodeList(list)
	ref, err := w.putPublic(ctx, text)
	if sectionsAt.IsZero() {
		sectionsAt = ref.Name
	}
	return ref, sectionsAt, err
}

func (w *Writer) putSections(ctx context.Context, list *record.List) (record.Hash, error) {
	if len(list.Sections) == 0 {
		return record.Hash{}, nil
	}
	text := record.EncodeList(&record.List{Sections: list.Sections})
	ref, err := w.putPublic(ctx, text)
	list.Sections = nil
	return ref.Name, err
}

// pageLive moves the live segments of a long list into pages that end where the segments' names say so.
func (w *Writer) pageLive(ctx context.Context, list *record.List, sectionsAt record.Hash) error {
	var run []record.LiveSegment
	put := func() (err error) {
		text := record.EncodeListPage(&record.ListPage{Segments: run})
		ref := record.Ref{Name: sha256.Sum256(text), Size: int64(len(text))}
		if !w.listPages[ref.Name] {
			ref, err = w.putPublic(ctx, text)
		}
		list.Pages = append(list.Pages, ref)
		run = nil
		return err
	}
	for _, s := range list.Segments {
		if s.List.IsZero() {
			s.List = sectionsAt
		}
		run = append(run, s)
		if s.Name[0] == 0 || len(run) >= maxLive {
			if err := put(); err != nil {
				return err
			}
		}
	}
	list.Segments = nil
	if len(run) == 0 {
		return nil
	}
	return put()
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
	if w.vault.bucket.Traits().CreateOnly == providers.CreateOnlyStore {
		return nil
	}
	// The store can't refuse a second writer: at least see whether one has just won.
	back, err := w.vault.bucket.ReadAll(ctx, name, providers.MaxObject)
	if err != nil {
		return err
	}
	if !bytes.Equal(back, stored) {
		return fmt.Errorf("%w: %s was written by somebody else", ErrForeignCommit, name)
	}
	return nil
}

// arrivedLate reports whether the commit under the name is one that an earlier run announced and gave up: its request reached the store after all.
func (w *Writer) arrivedLate(ctx context.Context, name string) bool {
	there, err := w.vault.bucket.ReadAll(ctx, name, providers.MaxObject)
	return err == nil && w.intent.Seq > 0 && record.CommitName(w.domain, w.intent.Seq) == name && record.Hash(sha256.Sum256(there)) == w.intent.Hash
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
	done := &Commit{Commit: *c, Hash: hash, Signer: w.agent.ID(), StoredSize: int64(len(stored)), AddedBytes: addedBytes(c)}
	done.Packs, done.Meta, done.Adopted = nil, nil, nil
	w.chain.Commits = append(w.chain.Commits, done)
	w.base = &Snapshot{vault: w.vault, Commit: done, root: root, ranges: ranges}
	return done, nil
}
