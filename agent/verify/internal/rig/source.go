package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"

	"farshore/agent/record"
	"farshore/agent/source"
)

// Item is one item of a Source, and how it behaves.
type Item struct {
	Content []byte
	// Lie are the bytes that reading it gives in place of Content; nil: none.
	Lie []byte
	// Flip makes it change after it was read, each time.
	Flip bool
	// Gone makes it vanish between its listing and its reading, Unreadable refuses to read it, Fail fails as a source does that can't be asked.
	Gone, Unreadable, Fail bool
	version                int
}

// Source is a source in memory that does what its items say. It may be used concurrently, but for changes of Items.
type Source struct {
	Name  string
	Items map[string]*Item
	// Down makes every listing fail.
	Down bool
	// Listed and Read count listings, and captures.
	Listed, Read atomic.Int64

	mu      sync.Mutex
	version int
}

// NewSource returns an empty source.
func NewSource(name string) *Source { return &Source{Name: name, Items: map[string]*Item{}} }

// Put puts an item into the source, or another content under its path.
func (s *Source) Put(path string, content []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version++
	s.Items[path] = &Item{Content: content, version: s.version}
}

// Place names the source.
func (s *Source) Place() record.Place {
	return record.Place{Name: s.Name, Kind: "mem", Place: "mem://" + s.Name}
}

// Check finds nothing wrong.
func (s *Source) Check(context.Context) error { return nil }

// List lists the items.
func (s *Source) List(_ context.Context, r source.Range, yield func(source.Entry) error) error {
	s.Listed.Add(1)
	if s.Down {
		return errors.New("the source is down")
	}
	for _, path := range slices.Sorted(maps.Keys(s.Items)) {
		if !r.Contains(path) {
			continue
		}
		s.mu.Lock()
		it := *s.Items[path]
		s.mu.Unlock()
		e := source.Entry{Path: path, Kind: record.KindObject, Size: int64(len(it.Content)), Attrs: record.Attrs{"version-id": fmt.Sprint(it.version)}}
		if err := yield(e); err != nil {
			return err
		}
	}
	return nil
}

// Unchanged compares versions.
func (*Source) Unchanged(e source.Entry, last *record.Record) bool {
	return last.State == record.Present && last.Attrs["version-id"] == e.Attrs["version-id"]
}

// Capture reads an item.
func (s *Source) Capture(ctx context.Context, e source.Entry, _ *record.Record, sink source.Sink) (*record.Record, error) {
	s.Read.Add(1)
	s.mu.Lock()
	it := *s.Items[e.Path]
	if it.Flip {
		s.version++
		s.Items[e.Path].version = s.version
	}
	s.mu.Unlock()
	switch {
	case it.Gone:
		return nil, source.ErrGone
	case it.Unreadable:
		return nil, &source.Unreadable{Reason: record.ReasonDenied, Detail: "no"}
	case it.Fail:
		return nil, errors.New("the source can't be asked")
	}
	content := it.Content
	if it.Lie != nil {
		content = it.Lie
	}
	part, err := sink.Part(ctx, record.Part{Kind: record.PartContent}, int64(len(content)), io.Reader(bytes.NewReader(content)))
	if err != nil {
		return nil, err
	}
	return &record.Record{State: record.Present, Attrs: maps.Clone(e.Attrs), Parts: []record.Part{part}}, nil
}

// Noise returns n random bytes, the same for the same seed.
func Noise(seed uint64, n int) []byte {
	var key [32]byte
	copy(key[:], fmt.Sprint(seed))
	b := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(b) // it never fails
	return b
}
