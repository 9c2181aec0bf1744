package vault

import (
	"context"
	"errors"
	"io"

	"farshore/agent/record"
)

func isEOF(err error) bool { return errors.Is(err, io.EOF) }

// Live is all that one snapshot needs, as its public list tells; no key is needed to know it.
type Live struct {
	Segments []record.LiveSegment // with the list that has each one's section
	Meta     []record.LiveMeta
	// Lists are the list and its pages themselves.
	Lists []record.Ref
}

// Live reads a commit's list and its pages.
func (v *Vault) Live(ctx context.Context, ref record.Ref) (*Live, error) {
	l, err := v.List(ctx, ref.Name)
	if err != nil {
		return nil, err
	}
	live := &Live{Lists: []record.Ref{ref}, Meta: l.Meta}
	for _, s := range l.Segments {
		if s.List.IsZero() {
			s.List = ref.Name
		}
		live.Segments = append(live.Segments, s)
	}
	for _, p := range l.Pages {
		page, err := v.ListPage(ctx, p.Name)
		if err != nil {
			return nil, err
		}
		live.Segments = append(live.Segments, page.Segments...)
		live.Meta = append(live.Meta, page.Meta...)
		live.Lists = append(live.Lists, p)
	}
	return live, nil
}

// ListPage reads a page of a public list; it needs no key.
func (v *Vault) ListPage(ctx context.Context, name record.Hash) (*record.ListPage, error) {
	b, err := v.stored(ctx, name)
	if err != nil {
		return nil, err
	}
	page, err := record.DecodeListPage(b)
	if err != nil {
		return nil, &DamageError{record.MetaName(name), err}
	}
	return page, nil
}

// SegmentPacks reads a segment's header and returns the packs that its records refer to, those behind pages of extents not included.
func (v *Vault) SegmentPacks(ctx context.Context, name record.Hash) ([]record.Ref, error) {
	r, err := v.page(ctx, name)
	if err != nil {
		return nil, err
	}
	sr, err := record.NewSegmentReader(r)
	if err != nil {
		return nil, &DamageError{record.MetaName(name), err}
	}
	return sr.Header().Packs, nil
}
