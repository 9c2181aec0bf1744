// Package small is a source of short texts in memory, for tests of what comes behind a pass. Only tests import it.
package small

import (
	"context"
	"maps"
	"slices"
	"strings"

	"farshore/agent/record"
	"farshore/agent/source"
)

// Source is a source of texts by path. The first eight bytes of a text are its entity tag: one that keeps them is unchanged.
type Source struct {
	Name string
	All  map[string]string
}

// Place implements source.Source.
func (s *Source) Place() record.Place {
	return record.Place{Name: s.Name, Kind: "mem", Place: "mem://" + s.Name}
}

// Check implements source.Source.
func (s *Source) Check(context.Context) error { return nil }

// List implements source.Source.
func (s *Source) List(_ context.Context, r source.Range, yield func(source.Entry) error) error {
	for _, p := range slices.Sorted(maps.Keys(s.All)) {
		if !r.Contains(p) {
			continue
		}
		if err := yield(source.Entry{Path: p, Kind: record.KindObject, Size: int64(len(s.All[p])), Attrs: record.Attrs{"etag": s.All[p][:8]}}); err != nil {
			return err
		}
	}
	return nil
}

// Unchanged implements source.Source.
func (s *Source) Unchanged(e source.Entry, last *record.Record) bool {
	return last.State == record.Present && last.Attrs["etag"] == e.Attrs["etag"]
}

// Capture implements source.Source.
func (s *Source) Capture(ctx context.Context, e source.Entry, _ *record.Record, sink source.Sink) (*record.Record, error) {
	part, err := sink.Part(ctx, record.Part{Kind: record.PartContent}, e.Size, strings.NewReader(s.All[e.Path]))
	if err != nil {
		return nil, err
	}
	return &record.Record{State: record.Present, Attrs: e.Attrs, Parts: []record.Part{part}}, nil
}
