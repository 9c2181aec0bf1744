package vault

import (
	"context"
	"crypto/sha256"
	"fmt"
	"reflect"
	"time"

	"farshore/agent/record"
)

// storeRoot returns the references of root and list: those of the base where nothing changed.
func (w *Writer) storeRoot(ctx context.Context, root *record.Root, sections []record.ListSection) (*record.Ref, *record.Ref, error) {
	lasts, err := w.rootLasts(ctx)
	if err != nil {
		return nil, nil, err
	}
	if lasts && w.plausible() {
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

// rootLasts reports whether there is a base whose root and list may be named again. Its pages of ranges may be older than the root itself.
func (w *Writer) rootLasts(ctx context.Context) (bool, error) {
	if w.base == nil {
		return false, nil
	}
	for _, p := range w.base.root.Pages {
		if ok, err := w.metaLasts(ctx, p.Ref); err != nil || !ok {
			return false, err
		}
	}
	ok, err := w.metaLasts(ctx, *w.base.Commit.Root)
	if err == nil && ok && w.base.Commit.List != nil {
		ok, err = w.metaLasts(ctx, *w.base.Commit.List)
	}
	return ok, err
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
		if ok {
			var err error
			if ok, err = w.metaLasts(ctx, ref); err != nil {
				return err
			}
		}
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
