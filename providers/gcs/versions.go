package gcs

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"cloud.google.com/go/storage"
	"google.golang.org/api/iterator"

	"farshore/providers"
)

var (
	_ providers.Historian   = (*Driver)(nil)
	_ providers.OldestFirst = (*Driver)(nil)
)

// OldestFirst is true: the store lists the generations of a name as they were written (providers.OldestFirst).
func (d *Driver) OldestFirst() bool { return true }

// tokenSeparator stands in a Mark's id between the name at which the listing began and the store's page token: a token is good for the same request only. No name of
// a vault has it.
const tokenSeparator = "\x00"

// Versions returns one page of generations (providers.Historian). The store has no markers: a hidden name is one without a live generation. It does not tell who wrote
// what to a credential that may only list.
func (d *Driver) Versions(ctx context.Context, prefix string, after providers.Mark, limit int) (page []providers.Version, next providers.Mark, more bool, err error) {
	start, token, ok := strings.Cut(after.ID, tokenSeparator)
	if !ok {
		start = after.Name
	}
	for {
		attrs, rest, err := d.generations(ctx, prefix, start, token, limit)
		if err != nil {
			return nil, providers.Mark{}, false, d.fail("list", prefix, err)
		}
		for _, a := range attrs {
			if v := d.version(a); ok || behind(v, after) {
				page = append(page, v)
			}
		}
		if rest == "" {
			return page, providers.Mark{}, false, nil
		}
		if len(page) > 0 {
			return page, providers.Mark{Name: page[len(page)-1].Name, ID: start + tokenSeparator + rest}, true, nil
		}
		token = rest
	}
}

// generations makes one request.
func (d *Driver) generations(ctx context.Context, prefix, start, token string, limit int) (attrs []*storage.ObjectAttrs, next string, err error) {
	q := &storage.Query{Prefix: d.place.prefix + prefix, Versions: true, Projection: storage.ProjectionNoACL}
	if start != "" {
		q.StartOffset = d.place.prefix + start
	}
	if err := q.SetAttrSelection([]string{"Name", "Size", "Created", "Deleted", "Generation"}); err != nil {
		return nil, "", err
	}
	next, err = iterator.NewPager(d.bucket.Objects(ctx, q), min(limit, listPage), token).NextPage(&attrs)
	// The store is documented to list so; emulators mix the generations of a name.
	slices.SortStableFunc(attrs, func(a, b *storage.ObjectAttrs) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Generation, b.Generation))
	})
	return attrs, next, err
}

// behind reports whether the version comes after the mark, where that is none of this driver's making: a name, or a version.
func behind(v providers.Version, mark providers.Mark) bool {
	if v.Name != mark.Name || mark.ID == "" {
		return v.Name > mark.Name
	}
	have, haveErr := strconv.ParseInt(v.ID, 10, 64)
	want, wantErr := strconv.ParseInt(mark.ID, 10, 64)
	return haveErr == nil && wantErr == nil && have > want
}

func (d *Driver) version(a *storage.ObjectAttrs) providers.Version {
	return providers.Version{Info: d.info(a), ID: strconv.FormatInt(a.Generation, 10), Current: a.Deleted.IsZero()}
}

// OpenVersion reads a range of one generation (providers.Historian).
func (d *Driver) OpenVersion(ctx context.Context, name, id string, off, n int64) (io.ReadCloser, error) {
	o, err := d.generation(name, id)
	if err != nil {
		return nil, &providers.Error{Kind: providers.NotFound, Op: "open", Name: name, Err: err}
	}
	return d.open(ctx, o, name, off, n)
}

// generation returns the handle of one generation, or of what a plain read sees where id is empty.
func (d *Driver) generation(name, id string) (*storage.ObjectHandle, error) {
	if id == "" {
		return d.object(name), nil
	}
	generation, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("%q is no generation", id)
	}
	return d.object(name).Generation(generation), nil
}
