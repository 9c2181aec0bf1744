// Package sourcetest is the conformance suite of sources: what agent/source promises, held against a real one. It is used by tests only.
package sourcetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"farshore/agent/record"
	"farshore/agent/source"
)

// Fixture is a source and the means to change what it protects.
type Fixture struct {
	// Source has no items when Run begins.
	Source source.Source
	// Put creates the item, or gives it another content.
	Put func(tb testing.TB, path, content string)
	// Delete removes the item.
	Delete func(tb testing.TB, path string)
	// Odd are unusual paths that this kind of source can have, beside the plain ones that the suite uses.
	Odd []string
}

// Run runs the suite. The source has no items afterwards if all went well.
func Run(t *testing.T, f Fixture) {
	s := &suite{Fixture: f, content: map[string]string{}}
	t.Run("empty", s.empty)
	t.Run("check", s.check)
	s.fill(t)
	t.Run("order", s.order)
	t.Run("ranges", s.ranges)
	t.Run("capture", s.capture)
	t.Run("unchanged", s.unchanged)
	t.Run("changed", s.changed)
	t.Run("yield error", s.yieldError)
	t.Run("sink error", s.sinkError)
	t.Run("cancelled", s.cancelled)
	t.Run("gone", s.gone)
	for path := range s.content {
		f.Delete(t, path)
	}
	t.Run("empty again", s.empty)
}

type suite struct {
	Fixture
	content map[string]string // by path
}

// paths are plain ones, whose order of bytes is neither that of folders nor of any language.
var paths = []string{
	"a", "a-b", "a.b", "a0", "B", "b/1", "b/10", "b/2", "b-", "dir/sub/x", "dir/sub/y", "dir.x", "z", "zz", "~tilde", "é", "e\u0301", "日本/語",
	"with space", "plus+plus", "per%20cent", "a&b=c", "q?x#y", "quote'\"", "back\\slash",
}

func (s *suite) fill(t *testing.T) {
	t.Helper()
	for i, path := range slices.Concat(paths, s.Odd) {
		s.put(t, path, strings.Repeat(fmt.Sprintf("%d of %q. ", i, path), i*i))
	}
}

func (s *suite) put(t *testing.T, path, content string) {
	t.Helper()
	s.Put(t, path, content)
	s.content[path] = content
}

func (s *suite) sorted() []string {
	var all []string
	for path := range s.content {
		all = append(all, path)
	}
	slices.Sort(all)
	return all
}

// List returns the entries of the range, and fails the test on an error.
func List(tb testing.TB, s source.Source, r source.Range) []source.Entry {
	tb.Helper()
	var all []source.Entry
	err := s.List(tb.Context(), r, func(e source.Entry) error {
		all = append(all, e)
		return nil
	})
	if err != nil {
		tb.Fatalf("list %q to %q with splits %q: %v", r.From, r.To, r.Splits, err)
	}
	return all
}

func pathsOf(entries []source.Entry) []string {
	var all []string
	for _, e := range entries {
		all = append(all, e.Path)
	}
	return all
}

func (s *suite) empty(t *testing.T) {
	for _, r := range []source.Range{{}, {From: "b"}, {To: "b"}, {Splits: []string{"a", "b", "c"}}} {
		if got := List(t, s.Source, r); len(got) != 0 {
			t.Errorf("an empty source lists %q", pathsOf(got))
		}
	}
}

func (s *suite) check(t *testing.T) {
	if err := s.Source.Check(t.Context()); err != nil {
		t.Errorf("check: %v", err)
	}
	if p := s.Source.Place(); p.Kind == "" || p.Name == "" || p.Place == "" {
		t.Errorf("place is incomplete: %+v", p)
	}
}

func (s *suite) order(t *testing.T) {
	entries := List(t, s.Source, source.Range{})
	if got, want := pathsOf(entries), s.sorted(); !slices.Equal(got, want) {
		t.Fatalf("listed %q\nwant   %q", got, want)
	}
	for _, e := range entries {
		if want := int64(len(s.content[e.Path])); e.Size != want && e.Size != -1 {
			t.Errorf("%q: listed with %d bytes, has %d", e.Path, e.Size, want)
		}
		if e.Kind == "" {
			t.Errorf("%q: no kind", e.Path)
		}
	}
	if err := s.Source.Check(t.Context()); err != nil {
		t.Errorf("check: %v", err)
	}
}

// ranges lists many ranges, cut in many ways, and compares each with the same range of the whole.
func (s *suite) ranges(t *testing.T) {
	all := s.sorted()
	rng := rand.New(rand.NewPCG(1, 2))
	points := []string{"", "a", "a\x00", "b", "b/", "b/10", "b/100", "c", "dir/", "dir/sub/x", "\u0080", "zz", "zzz", "\U0010FFFF"}
	points = append(points, all...)
	pick := func() string { return points[rng.IntN(len(points))] }
	cases := []source.Range{{From: "b", To: "b"}, {From: "c", To: "b"}, {From: "zzz", To: "zzzz"}, {Splits: all}}
	for range 25 {
		r := source.Range{From: pick(), To: pick()}
		for range rng.IntN(6) {
			r.Splits = append(r.Splits, pick())
		}
		cases = append(cases, r)
	}
	for _, r := range cases {
		var want []string
		for _, path := range all {
			if r.Contains(path) {
				want = append(want, path)
			}
		}
		if got := pathsOf(List(t, s.Source, r)); !slices.Equal(got, want) {
			t.Errorf("range %q to %q with splits %q:\ngot  %q\nwant %q", r.From, r.To, r.Splits, got, want)
		}
	}
}

// Capture captures the entry into memory, and fails the test on an error.
func Capture(tb testing.TB, s source.Source, e source.Entry) (*record.Record, string) {
	tb.Helper()
	var sink Sink
	rec, err := s.Capture(tb.Context(), e, nil, &sink)
	if err != nil {
		tb.Fatalf("capture %q: %v", e.Path, err)
	}
	return rec, sink.Content()
}

func (s *suite) capture(t *testing.T) {
	var g errgroup.Group
	g.SetLimit(4)
	for _, e := range List(t, s.Source, source.Range{}) {
		g.Go(func() error { return s.captureOne(t.Context(), e) })
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
}

func (s *suite) captureOne(ctx context.Context, e source.Entry) error {
	var sink Sink
	rec, err := s.Source.Capture(ctx, e, nil, &sink)
	if err != nil {
		return fmt.Errorf("capture %q: %w", e.Path, err)
	}
	if got := sink.Content(); got != s.content[e.Path] {
		return fmt.Errorf("%q: captured %d bytes that are not the %d of the item", e.Path, len(got), len(s.content[e.Path]))
	}
	if rec.Path != e.Path || rec.Version != e.Version || rec.Kind != e.Kind || rec.State != record.Present || rec.Size() != int64(len(s.content[e.Path])) {
		return fmt.Errorf("%q: the record is %+v", e.Path, rec)
	}
	return nil
}

func (s *suite) unchanged(t *testing.T) {
	var others *record.Record
	for _, e := range List(t, s.Source, source.Range{}) {
		rec, _ := Capture(t, s.Source, e)
		again := List(t, s.Source, source.Range{From: e.Path, To: e.Path + "\x00"})
		if len(again) != 1 || !s.Source.Unchanged(again[0], rec) {
			t.Errorf("%q counts as changed right after its capture:\nentry  %+v\nrecord %+v", e.Path, again, rec)
		}
		if others != nil && s.Source.Unchanged(e, others) {
			t.Errorf("%q counts as the same as %q", e.Path, others.Path)
		}
		others = rec
		if s.Source.Unchanged(e, &record.Record{Path: e.Path, Kind: e.Kind, State: record.Deleted}) {
			t.Errorf("%q counts as unchanged though it was deleted before", e.Path)
		}
	}
}

func (s *suite) changed(t *testing.T) {
	const path = "changing"
	for i, content := range []string{"one", "two", "three and more", "", "two"} { // "two" is as long as "one"
		var before *record.Record
		if i > 0 {
			before, _ = Capture(t, s.Source, only(t, s.Source, path))
		}
		s.put(t, path, content)
		e := only(t, s.Source, path)
		if before != nil && s.Source.Unchanged(e, before) {
			t.Errorf("content %q: not seen as changed", content)
		}
		if _, got := Capture(t, s.Source, e); got != content {
			t.Errorf("captured %q, want %q", got, content)
		}
	}
	stale := only(t, s.Source, path)
	s.put(t, path, "newer than the listing")
	if _, got := Capture(t, s.Source, stale); got != "newer than the listing" {
		t.Errorf("captured %q, which is not what the item is now", got)
	}
}

func only(t *testing.T, s source.Source, path string) source.Entry {
	t.Helper()
	entries := List(t, s, source.Range{From: path, To: path + "\x00"})
	if len(entries) != 1 || entries[0].Path != path {
		t.Fatalf("the range of %q alone lists %q", path, pathsOf(entries))
	}
	return entries[0]
}

func (s *suite) gone(t *testing.T) {
	e := only(t, s.Source, "changing")
	s.Delete(t, "changing")
	delete(s.content, "changing")
	if _, err := s.Source.Capture(t.Context(), e, nil, &Sink{}); !errors.Is(err, source.ErrGone) {
		t.Errorf("capture of a deleted item: %v, want ErrGone", err)
	}
	if got := List(t, s.Source, source.Range{From: "changing", To: "changinh"}); len(got) != 0 {
		t.Errorf("still listed: %q", pathsOf(got))
	}
}

func (s *suite) yieldError(t *testing.T) {
	stop, n := errors.New("enough"), 0
	for _, r := range []source.Range{{}, {Splits: []string{"a.b", "b", "dir"}}} {
		n = 0
		err := s.Source.List(t.Context(), r, func(source.Entry) error {
			if n++; n == 3 {
				return stop
			}
			return nil
		})
		if err != stop || n != 3 {
			t.Errorf("list ended with %v after %d entries, want the error of yield itself after 3", err, n)
		}
	}
}

func (s *suite) sinkError(t *testing.T) {
	e := only(t, s.Source, "zz")
	full := errors.New("no room")
	for _, after := range []int{0, 7} {
		if _, err := s.Source.Capture(t.Context(), e, nil, &Sink{Fail: full, After: after}); !errors.Is(err, full) {
			t.Errorf("the sink failed after %d bytes: %v", after, err)
		}
	}
	if _, err := s.Source.Capture(t.Context(), e, nil, &Sink{Stop: 5}); err == nil {
		t.Error("a sink that took five bytes only was believed")
	}
}

func (s *suite) cancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	e, n := only(t, s.Source, "zz"), 0
	err := s.Source.List(ctx, source.Range{}, func(source.Entry) error {
		n++
		return nil
	})
	if err != nil || n == 0 {
		t.Fatalf("list: %v, %d entries", err, n)
	}
	cancel()
	if err := s.Source.List(ctx, source.Range{}, func(source.Entry) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled listing ended with %v", err)
	}
	if _, err := s.Source.Capture(ctx, e, nil, &Sink{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled capture ended with %v", err)
	}
}

// Sink keeps the bytes of parts in memory, or fails as told. Not safe for concurrent use.
type Sink struct {
	// Fail is what Part returns once it has read After bytes; nil: nothing fails.
	Fail  error
	After int
	// Stop makes Part stop after so many bytes without any error, as a broken sink would; 0: it does not.
	Stop int

	parts []string
}

// Part reads body as source.Sink says.
func (s *Sink) Part(_ context.Context, p record.Part, _ int64, body io.Reader) (record.Part, error) {
	switch {
	case s.Fail != nil:
		_, _ = io.CopyN(io.Discard, body, int64(s.After)) // the sink fails anyway
		return p, s.Fail
	case s.Stop > 0:
		body = io.LimitReader(body, int64(s.Stop))
	}
	b, err := io.ReadAll(body)
	if err != nil {
		return p, err
	}
	s.parts = append(s.parts, string(b))
	p.Size, p.SHA256 = int64(len(b)), sha256.Sum256(b)
	return p, nil
}

// Lines implements source.Sink: like Part.
func (s *Sink) Lines(ctx context.Context, p record.Part, data []byte) (record.Part, error) {
	return s.Part(ctx, p, int64(len(data)), bytes.NewReader(data))
}

// Read implements source.Sink. It has nothing to give.
func (s *Sink) Read(context.Context, *record.Part) ([]byte, error) {
	return nil, errors.New("this sink does not give back what it took")
}

// Content returns the bytes of all parts that were read to their end.
func (s *Sink) Content() string { return strings.Join(s.parts, "") }
