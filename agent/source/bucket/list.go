package bucket

import (
	"context"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"farshore/agent/record"
	"farshore/agent/source"
)

// List lists the range. Where the range has splits, its parts are listed at the same time, and given out in order; otherwise one page
// is fetched ahead. Whatever goes wrong anywhere makes it fail: a page that could not be had, keys out of order, a key outside of the prefix.
func (s *Source) List(ctx context.Context, r source.Range, yield func(source.Entry) error) error {
	ctx, cancel := context.WithCancel(ctx)
	runs := cut(r)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	started := 0
	for i, run := range runs {
		for ; started < len(runs) && started < i+s.o.Lists; started++ {
			next := runs[started]
			wg.Go(func() { s.list(ctx, next) })
		}
		for entries := range run.pages {
			for _, e := range entries {
				if err := yield(e); err != nil {
					return err
				}
			}
		}
		if run.err != nil {
			return run.err
		}
	}
	return nil
}

// run is a part of a range that is listed on its own.
type run struct {
	source.Range
	pages chan []source.Entry
	err   error // valid once pages is closed
}

// cut cuts a range at its splits. Splits that are unordered, repeated or outside are of no harm.
func cut(r source.Range) []*run {
	splits := slices.Clone(r.Splits)
	slices.Sort(splits)
	var runs []*run
	add := func(from, to string) {
		runs = append(runs, &run{Range: source.Range{From: from, To: to}, pages: make(chan []source.Entry, 1)})
	}
	if r.To != "" && r.From >= r.To {
		return nil
	}
	from := r.From
	for _, at := range slices.Compact(splits) {
		if at > from && (r.To == "" || at < r.To) {
			add(from, at)
			from = at
		}
	}
	add(from, r.To)
	return runs
}

// list fetches the pages of a run, one after the other, and hands their entries over.
func (s *Source) list(ctx context.Context, r *run) {
	defer close(r.pages)
	in := &s3.ListObjectsV2Input{}
	if start := before(r.From); r.From != "" && s.o.Prefix+start != "" {
		in.StartAfter = aws.String(s.o.Prefix + start)
	}
	var order order
	for {
		page, err := s.page(ctx, in)
		if err != nil {
			r.err = err
			return
		}
		entries, end, err := s.entries(page, r.Range, &order)
		if err != nil {
			r.err = s.failure("list", err)
			return
		}
		select {
		case r.pages <- entries:
		case <-ctx.Done():
			r.err = ctx.Err()
			return
		}
		if end || page.next == "" {
			return
		}
		in.ContinuationToken, in.StartAfter = aws.String(page.next), nil
	}
}

// page is one page of a listing.
type page struct {
	keys    []string // raw bytes
	objects []types.Object
	next    string // token of the next page; empty: this is the last
	bare    bool   // the keys came without encoding
}

// page fetches one page, as often as patience allows.
func (s *Source) page(ctx context.Context, in *s3.ListObjectsV2Input) (*page, error) {
	in.Bucket, in.EncodingType = &s.o.Bucket, types.EncodingTypeUrl
	if s.o.Prefix != "" {
		in.Prefix = &s.o.Prefix
	}
	if s.restore {
		in.OptionalObjectAttributes = []types.OptionalObjectAttributes{types.OptionalObjectAttributesRestoreStatus}
	}
	tries := attempts{retry: s.retry}
	for {
		var p *page
		err := s.ask(ctx, func() error {
			ctx, cancel := context.WithTimeout(ctx, s.retry.Silence)
			defer cancel()
			out, err := s.client.ListObjectsV2(ctx, in)
			if err != nil {
				return fromSDK(err)
			}
			p, err = readPage(out, deref(in.ContinuationToken))
			return err
		})
		if err == nil {
			return p, nil
		}
		if err = tries.failed(ctx, err); err != nil {
			return nil, s.failure("list", err)
		}
	}
}

// readPage checks a page and decodes its keys.
func readPage(out *s3.ListObjectsV2Output, token string) (*page, error) {
	p := &page{keys: make([]string, len(out.Contents)), objects: out.Contents, bare: out.EncodingType != types.EncodingTypeUrl}
	for i := range out.Contents {
		key := deref(out.Contents[i].Key)
		if !p.bare {
			var err error
			if key, err = decodeKey(key); err != nil {
				return nil, err
			}
		}
		p.keys[i] = key
	}
	if aws.ToBool(out.IsTruncated) {
		p.next = deref(out.NextContinuationToken)
		if p.next == "" || p.next == token {
			return nil, broken("says that more keys follow and does not say where")
		}
	}
	return p, nil
}

// entries turns a page into the entries of the range, and reports whether the range's end is reached.
func (s *Source) entries(p *page, r source.Range, order *order) (entries []source.Entry, end bool, err error) {
	entries = make([]source.Entry, 0, len(p.keys))
	for i, key := range p.keys {
		path, ok := strings.CutPrefix(key, s.o.Prefix)
		if !ok {
			return nil, false, broken("listed %q, which does not begin with %q", key, s.o.Prefix)
		}
		fresh, err := order.next(path, i == 0)
		if err != nil {
			return nil, false, err
		}
		if r.To != "" && path >= r.To {
			return entries, true, nil
		}
		if !fresh || path < r.From {
			continue
		}
		if p.bare && strings.ContainsRune(path, utf8.RuneError) {
			s.notes.misnamed.Add(1)
		}
		o := &p.objects[i]
		size := int64(-1)
		if o.Size != nil {
			size = *o.Size
		}
		entries = append(entries, source.Entry{Path: path, Kind: record.KindObject, Size: size, Attrs: s.listedAttrs(o)})
	}
	return entries, false, nil
}

// order watches that keys come in strictly ascending order. Some stores begin a page with the last key of the page before: that one
// repetition is passed over.
type order struct {
	last string
	any  bool
}

func (o *order) next(path string, first bool) (fresh bool, err error) {
	switch {
	case o.any && first && path == o.last:
		return false, nil
	case o.any && path <= o.last:
		return false, broken("listed keys out of order: %q after %q; one that does not list in the order of bytes can't be a source", path, o.last)
	}
	o.last, o.any = path, true
	return true, nil
}
