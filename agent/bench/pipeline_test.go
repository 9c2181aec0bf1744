package bench_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"farshore/agent/record"
	"farshore/agent/source"
	"farshore/agent/source/sourcetest"
	"farshore/providers"
	"farshore/providers/mem"
)

// memSource has its items in memory, so that what is measured is the agent alone.
type memSource struct{ items [][]byte }

func (m *memSource) Place() record.Place {
	return record.Place{Name: "bench", Kind: "mem", Place: "mem://bench"}
}
func (m *memSource) Check(context.Context) error { return nil }

func (m *memSource) List(ctx context.Context, r source.Range, yield func(source.Entry) error) error {
	for i, it := range m.items {
		e := source.Entry{Path: fmt.Sprintf("%08d", i), Kind: record.KindObject, Size: int64(len(it))}
		if !r.Contains(e.Path) {
			continue
		}
		if err := yield(e); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (m *memSource) Unchanged(source.Entry, *record.Record) bool { return true }

func (m *memSource) Capture(ctx context.Context, e source.Entry, _ *record.Record, sink source.Sink) (*record.Record, error) {
	i, err := strconv.Atoi(e.Path)
	if err != nil {
		return nil, err
	}
	p, err := sink.Part(ctx, record.Part{Kind: record.PartContent}, e.Size, bytes.NewReader(m.items[i]))
	if err != nil {
		return nil, err
	}
	return &record.Record{State: record.Present, Parts: []record.Part{p}}, nil
}

// TestMemSource holds that each item is read as itself: figures of a source that gives some twice would be those of deduplication.
func TestMemSource(t *testing.T) {
	src := new(memSource)
	for i := range 30 {
		src.items = append(src.items, noise(uint64(i), 100))
	}
	err := src.List(t.Context(), source.Range{}, func(e source.Entry) error {
		rec, err := src.Capture(t.Context(), e, nil, new(sourcetest.Memory))
		if err != nil || fmt.Sprintf("%08d", slices.IndexFunc(src.items, func(b []byte) bool { return sha256.Sum256(b) == rec.Parts[0].SHA256 })) != e.Path {
			t.Errorf("%s: %v", e.Path, err)
		}
		return nil
	})
	must(t, err)
}

// drain is a store that takes packs as a connection does: it reads them through a small buffer, and neither hashes nor keeps them, which is a store's work and not the agent's. The rest is
// in memory.
type drain struct {
	providers.Driver
	mu    sync.Mutex
	packs map[string]providers.Info
}

func newDrain() *drain { return &drain{Driver: mem.New(), packs: map[string]providers.Info{}} }

func (s *drain) Create(ctx context.Context, name string, body *io.SectionReader, sum [32]byte) (providers.Info, error) {
	if !strings.HasPrefix(name, "packs/") {
		return s.Driver.Create(ctx, name, body, sum)
	}
	n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{body}, make([]byte, 32<<10))
	if err != nil {
		return providers.Info{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.packs[name] = providers.Info{Name: name, Size: n, Modified: time.Now()}
	return s.packs[name], nil
}

func (s *drain) Stat(ctx context.Context, name string) (providers.Info, error) {
	s.mu.Lock()
	info, ok := s.packs[name]
	s.mu.Unlock()
	if ok {
		return info, nil
	}
	return s.Driver.Stat(ctx, name)
}

// BenchmarkPipeline is the agent alone, from memory into a store that costs nothing, and nothing is read back: both cores are its own, so that its CPU over wall time says whether both are busy.
func BenchmarkPipeline(b *testing.B) {
	for name, content := range map[string]func(uint64, int) []byte{"random": noise, "text": words} {
		b.Run(name, func(b *testing.B) {
			const n, size = 256, 4 << 20
			src := new(memSource)
			for i := range n {
				src.items = append(src.items, content(uint64(i), size))
			}
			var used, prim, wall time.Duration
			for b.Loop() {
				prim += primitives(b, src.items)
				r := newRig(b, newDrain())
				runtime.GC()
				c, t := cpu(), time.Now()
				if sum := r.replicate(src); sum.New != n || sum.ReadBack.Bytes != 0 {
					b.Fatalf("%+v", sum)
				}
				used += cpu() - c
				wall += time.Since(t)
			}
			b.ReportMetric(used.Seconds()/prim.Seconds(), "x-prim")
			b.ReportMetric(used.Seconds()/wall.Seconds(), "cpu/wall")
			b.ReportMetric(float64(b.N)*n*size/1e6/wall.Seconds(), "MB/s")
		})
	}
}
