package metrics

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"farshore/agent/sidefile"
)

// Board has the numbers of runs in memory, for a program that goes on and is scraped: what Update keeps in a file. It is a prometheus.Collector. The zero value has no numbers and is ready; it may be used
// concurrently, and must not be copied.
type Board struct {
	mu      sync.Mutex
	numbers map[string][]sample // a map that is on the board is not changed any more
}

// Update merges a set into the board as Update does into a file: it replaces what is known anew, keeps the rest, and drops what is about sources that are not among those named. An error, which
// only a set with wrong labels can bring about, leaves the board as it was.
func (b *Board) Update(s *Set, sources []string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	now, err := s.fold(b.numbers, sources)
	if err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	b.numbers = now
	return nil
}

// Load puts the numbers of a file that Save or Update wrote in place of those that are there. A file that is not there has none, and one that is not of this program's numbers too. Sources that are no more
// are dropped by the next Update.
func (b *Board) Load(path string) error {
	data, err := sidefile.Read(path, maxFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, sidefile.ErrTooLarge) {
		return fmt.Errorf("metrics: %w", err)
	}
	numbers := parse(data)
	b.mu.Lock()
	b.numbers = numbers
	b.mu.Unlock()
	return nil
}

// Save writes the numbers to a file in one step, in place of what is there, so that Load finds them after a restart. Its directory must be there.
func (b *Board) Save(ctx context.Context, path string) error {
	unlock, err := sidefile.Lock(ctx, filepath.Join(filepath.Dir(path), lockFile))
	if err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	defer unlock()
	data, err := written(b.now())
	if err == nil {
		err = sidefile.Replace(path, data, 0o644)
	}
	if err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	return nil
}

func (b *Board) now() map[string][]sample {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.numbers
}

func (f *family) desc() *prometheus.Desc {
	return prometheus.NewDesc(f.name, f.help, f.labels, nil)
}

// Describe implements prometheus.Collector.
func (b *Board) Describe(out chan<- *prometheus.Desc) {
	for _, f := range families() {
		out <- f.desc()
	}
}

// Collect implements prometheus.Collector.
func (b *Board) Collect(out chan<- prometheus.Metric) {
	now := b.now()
	for _, f := range families() {
		desc := f.desc()
		for _, k := range now[f.name] {
			m, err := prometheus.NewConstMetric(desc, prometheus.GaugeValue, k.value, k.labels...)
			if err != nil {
				m = prometheus.NewInvalidMetric(desc, err)
			}
			out <- m
		}
	}
}
