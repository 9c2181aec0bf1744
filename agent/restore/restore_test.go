package restore_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"farshore/agent/record"
	"farshore/agent/restore"
	"farshore/agent/restore/internal/rig"
	"farshore/agent/vault"
)

// recorder is a target in memory that keeps only what it was asked.
type recorder struct {
	mu      sync.Mutex
	looked  []string
	written []string
	flushed int

	look  func(it *restore.Item) (restore.Found, error)
	write func(it *restore.Item, body restore.Body) error
}

func (r *recorder) Look(_ context.Context, it *restore.Item) (restore.Found, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.looked = append(r.looked, it.Path)
	if r.look == nil {
		return restore.Found{}, nil
	}
	return r.look(it)
}

func (r *recorder) Write(_ context.Context, it *restore.Item, _ bool, body restore.Body) (restore.Written, error) {
	write := r.write
	if write == nil {
		write = func(_ *restore.Item, body restore.Body) error { return body(io.Discard) }
	}
	if err := write(it, body); err != nil {
		return restore.Written{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.written = append(r.written, it.Path)
	return restore.Written{}, nil
}

func (r *recorder) Flush(context.Context) error {
	r.flushed++
	return nil
}

// numbered returns a rig with n items.
func numbered(tb testing.TB, n int) *rig.Rig {
	r := rig.New(tb)
	for i := range n {
		r.Put(fmt.Sprintf("%04d", i), rig.Noise(uint64(i), 500))
	}
	r.Replicate()
	return r
}

func run(tb testing.TB, r *rig.Rig, t restore.Target, o restore.Options) (*restore.Summary, error) {
	tb.Helper()
	snap, reader := r.Snapshot()
	s, err := restore.Run(tb.Context(), snap, reader, t, o)
	if s == nil {
		tb.Fatal("no summary")
	}
	return s, err
}

func TestOrder(t *testing.T) {
	r := numbered(t, 500)
	var target recorder
	if _, err := run(t, r, &target, restore.Options{Workers: 1}); err != nil {
		t.Fatal(err)
	}
	if len(target.written) != 500 || !slices.IsSorted(target.written) || target.flushed != 1 {
		t.Errorf("%d were written, flushed %d times", len(target.written), target.flushed)
	}
}

func TestDryRunReadsAndWritesNothing(t *testing.T) {
	r := numbered(t, 50)
	for name := range r.Store.Objects() {
		if strings.HasPrefix(name, "packs/") {
			r.Store.Remove(name)
		}
	}
	var target recorder
	s, err := run(t, r, &target, restore.Options{DryRun: true})
	if err != nil || s.Restored.Items != 50 || len(target.looked) != 50 || len(target.written) != 0 || target.flushed != 0 {
		t.Errorf("%v, %+v", err, s)
	}
}

func TestSummaryNamesABoundedNumber(t *testing.T) {
	r := numbered(t, 3*restore.MaxNamed)
	target := recorder{look: func(it *restore.Item) (restore.Found, error) {
		return restore.Found{State: restore.Differs, As: "_escaped/" + it.Path, Why: "it differs"}, nil
	}}
	s, err := run(t, r, &target, restore.Options{})
	if err != nil || s.Differs.Items != 3*restore.MaxNamed || len(s.Differs.Named) != restore.MaxNamed || len(target.written) != 0 {
		t.Errorf("%v, %d counted, %d named", err, s.Differs.Items, len(s.Differs.Named))
	}
}

func TestWhatStopsARunAndWhatDoesNot(t *testing.T) {
	down := errors.New("the network is down")
	one := &restore.ItemError{Err: errors.New("the name is too odd")}
	fails := func(err error) func(*restore.Item, restore.Body) error {
		return func(it *restore.Item, body restore.Body) error {
			if it.Path == "0010" {
				return err
			}
			return body(io.Discard)
		}
	}
	for name, tt := range map[string]struct {
		target   *recorder
		stops    string
		failed   int64
		restored int64
	}{
		"item refused":   {&recorder{write: fails(fmt.Errorf("write: %w", one))}, "", 1, 49},
		"target down":    {&recorder{write: fails(down)}, "network is down", 0, -1},
		"keeps changing": {&recorder{write: fails(restore.ErrExists)}, "", 1, 49},
		"look refused": {&recorder{look: func(it *restore.Item) (restore.Found, error) {
			if it.Path == "0010" {
				return restore.Found{}, one
			}
			return restore.Found{}, nil
		}}, "", 1, 49},
		"look fails":              {&recorder{look: func(*restore.Item) (restore.Found, error) { return restore.Found{}, down }}, "network is down", 0, 0},
		"takes what is not there": {&recorder{write: func(*restore.Item, restore.Body) error { return nil }}, "not verified", 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := run(t, numbered(t, 50), tt.target, restore.Options{})
			if (err == nil) != (tt.stops == "") || err != nil && !strings.Contains(err.Error(), tt.stops) {
				t.Errorf("error %v, want %q", err, tt.stops)
			}
			if s.Failed.Items != tt.failed || tt.restored >= 0 && s.Restored.Items != tt.restored || tt.target.flushed != 1 {
				t.Errorf("%+v, flushed %d times", s, tt.target.flushed)
			}
		})
	}
}

// TestBodyMayBeRepeated holds what targets rely on when a request fails half way.
func TestBodyMayBeRepeated(t *testing.T) {
	r := numbered(t, 20)
	target := recorder{write: func(it *restore.Item, body restore.Body) error {
		broken := errors.New("broken pipe")
		if err := body(failing{broken}); !errors.Is(err, broken) {
			return fmt.Errorf("a failing writer gave %v", err)
		}
		return body(io.Discard)
	}}
	if s, err := run(t, r, &target, restore.Options{}); err != nil || s.Restored.Items != 20 {
		t.Errorf("%v, %+v", err, s)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// TestSwallowedDamage holds that a target that hides the body's error can't make damage look restored.
func TestSwallowedDamage(t *testing.T) {
	r := numbered(t, 1)
	for name, b := range r.Store.Objects() {
		if strings.HasPrefix(name, "packs/") {
			b[len(b)/2] ^= 1
			r.Store.Set(name, b)
		}
	}
	target := recorder{write: func(_ *restore.Item, body restore.Body) error {
		_ = body(io.Discard) // on purpose
		return nil
	}}
	if s, err := run(t, r, &target, restore.Options{}); err == nil || s.Restored.Items != 0 {
		t.Errorf("%v, %+v", err, s)
	}
}

func TestDamagedSnapshotIsSaid(t *testing.T) {
	r := numbered(t, 10)
	snap, reader := r.Snapshot()
	for name := range r.Store.Objects() {
		if strings.HasPrefix(name, "meta/") {
			r.Store.Remove(name)
		}
	}
	s, err := restore.Run(t.Context(), snap, reader, &recorder{}, restore.Options{})
	var damage *vault.DamageError
	if !errors.As(err, &damage) || s.Restored.Items != 0 {
		t.Errorf("%v, %+v", err, s)
	}
}

func TestPickSkipsWhatIsNotCurrent(t *testing.T) {
	r := numbered(t, 3)
	for _, o := range []restore.Options{{Item: "0001", Prefix: "0"}, {Item: "nope"}} {
		if _, err := run(t, r, &recorder{}, o); err == nil {
			t.Errorf("%+v gave no error", o)
		}
	}
	s, err := run(t, r, &recorder{}, restore.Options{Prefix: "0002"})
	if err != nil || s.Restored.Items != 1 || s.Source.Name != "fake" || s.Commit == nil {
		t.Errorf("%v, %+v", err, s)
	}
}

// TestMemoryIsFlat restores many items and looks at the heap on the way.
func TestMemoryIsFlat(t *testing.T) {
	const items = 20_000
	r := rig.New(t)
	for i := range items {
		r.Put(fmt.Sprintf("%0200d", i), nil, record.Attrs{"m:some": strings.Repeat("x", 300)})
	}
	r.Replicate()
	r.Items = nil
	snap, reader := r.Snapshot()
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, n, most := heap(), 0, uint64(0)
	var mu sync.Mutex
	target := measured{seen: func() {
		mu.Lock()
		defer mu.Unlock()
		if n++; n%5000 == 0 {
			most = max(most, heap())
		}
	}}
	s, err := restore.Run(t.Context(), snap, reader, target, restore.Options{})
	if err != nil || s.Restored.Items != items {
		t.Fatalf("%v, %+v", err, s)
	}
	if grown := int64(most) - int64(before); grown > 8<<20 {
		t.Errorf("the heap grew by %d bytes over %d items of about 700 bytes", grown, items)
	}
}

// measured takes everything.
type measured struct{ seen func() }

func (m measured) Look(context.Context, *restore.Item) (restore.Found, error) {
	return restore.Found{}, nil
}

func (m measured) Write(_ context.Context, _ *restore.Item, _ bool, body restore.Body) (restore.Written, error) {
	m.seen()
	return restore.Written{}, body(io.Discard)
}

func (m measured) Flush(context.Context) error { return nil }
