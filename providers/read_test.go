package providers_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"farshore/providers"
	"farshore/providers/faults"
	"farshore/providers/mem"
)

func TestReadAll(t *testing.T) {
	b := pattern(1000)
	tests := map[string]struct {
		script []faults.Fault
		max    int64
		kind   providers.Kind // Other: no error
		ops    []string
	}{
		"whole":     {max: 1000, ops: []string{"open packs/aa/x 0 1001 ok"}},
		"roomy":     {max: 1 << 20, ops: []string{"open packs/aa/x 0 1048577 ok"}},
		"cut":       {max: 1000, script: []faults.Fault{{Op: "open", Action: faults.Break}}, ops: []string{"open packs/aa/x 0 1001 fault break: ok", "open packs/aa/x 500 501 ok"}},
		"cut clean": {max: 1000, script: []faults.Fault{{Op: "open", Action: faults.Truncate}}, ops: []string{"open packs/aa/x 0 1001 fault truncate: ok", "stat packs/aa/x ok", "open packs/aa/x 500 501 ok"}},
		"refused":   {max: 1000, script: []faults.Fault{{Op: "open", Action: faults.Before, Err: kindFault(providers.Denied)}}, kind: providers.Denied},
		"missing":   {max: 1000, script: []faults.Fault{{Op: "open", Action: faults.Before, Err: kindFault(providers.NotFound)}}, kind: providers.NotFound},
		"always cut": {max: 1000, script: []faults.Fault{
			{Op: "open", Action: faults.Break}, {Op: "open", At: 2, Times: -1, Action: faults.Before, Err: kindFault(providers.Corrupt)}}, kind: providers.Corrupt},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(providers.Options{Attempts: 3}, tt.script...)
				r.mem.Set(object, b)
				got, err := r.ReadAll(t.Context(), object, tt.max)
				if tt.kind != providers.Other {
					if providers.KindOf(err) != tt.kind || got != nil {
						t.Errorf("%d bytes, error %v; want kind %q", len(got), err, tt.kind)
					}
				} else if err != nil || !bytes.Equal(got, b) {
					t.Errorf("%d bytes, error %v; want all", len(got), err)
				}
				if tt.ops != nil {
					r.wantOps(t, tt.ops...)
				}
			})
		})
	}
}

// TestReadAllMax holds that an object that is too large is refused, by what is announced and without.
func TestReadAllMax(t *testing.T) {
	for _, script := range [][]faults.Fault{nil, {{Op: "open", Action: faults.Flip}}} {
		r := newRig(providers.Options{}, script...)
		r.mem.Set(object, pattern(1000))
		got, err := r.ReadAll(t.Context(), object, 999)
		if err == nil || got != nil || providers.Retryable(err) {
			t.Errorf("%d bytes, error %v; want a lasting error", len(got), err)
		}
		if n := r.Stats().Received; n > 1000 {
			t.Errorf("%d bytes were read", n)
		}
	}
}

func TestReadRange(t *testing.T) {
	b := pattern(1000)
	tests := []struct {
		off  int64
		len  int
		want int
	}{{0, 1000, 1000}, {0, 1, 1}, {999, 1, 1}, {10, 100, 100}, {990, 20, 10}, {1000, 1, 0}, {5000, 10, 0}, {17, 0, 0}}
	for _, tt := range tests {
		for _, action := range []faults.Action{-1, faults.Before, faults.Break, faults.Truncate} {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(providers.Options{})
				if action >= 0 {
					r.faults.Add(faults.Fault{Op: "open", Action: action})
				}
				r.mem.Set(object, b)
				dst := make([]byte, tt.len)
				n, err := r.ReadRange(t.Context(), object, tt.off, dst)
				if n != tt.want || !bytes.Equal(dst[:n], b[min(tt.off, 1000):][:n]) {
					t.Errorf("range (%d, %d) under %d: %d bytes, want %d", tt.off, tt.len, action, n, tt.want)
				}
				if short := tt.want < tt.len; errors.Is(err, io.ErrUnexpectedEOF) != short || (err != nil) != short || providers.Retryable(err) {
					t.Errorf("range (%d, %d) under %d: error %v", tt.off, tt.len, action, err)
				}
				if tt.len == 0 && r.faults.Ops() > 0 {
					t.Error("a request for nothing")
				}
			})
		}
	}
}

// TestStreamResumes holds that a stream that breaks again and again goes on where it was, and yields each byte once.
func TestStreamResumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := pattern(100_000)
		r := newRig(providers.Options{}, faults.Fault{Op: "open", Times: 5, Action: faults.Break})
		r.mem.Set(object, b)
		s, err := r.OpenStream(t.Context(), object)
		if err != nil {
			t.Fatal(err)
		}
		if err := iotest.TestReader(readerOnly{s}, b); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if _, err := s.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("Read after the end: %v", err)
		}
		if got := r.Stats(); got.Opens != 6 || got.Received != 100_000 {
			t.Errorf("counts %+v", got)
		}
	})
}

// slow yields bodies of which each read takes a second and brings 100 bytes.
type slow struct{ *mem.Driver }

func (s slow) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	r, err := s.Driver.Open(ctx, name, off, n)
	return slowly{r, ctx}, err
}

type slowly struct {
	io.ReadCloser
	ctx context.Context
}

func (s slowly) Read(p []byte) (int, error) {
	select {
	case <-s.ctx.Done():
		return 0, s.ctx.Err()
	case <-time.After(time.Second):
		return s.ReadCloser.Read(p[:min(len(p), 100)])
	}
}

// TestSlowBody holds that a body has the base and what its bytes earn at the slowest rate: neither more nor less.
func TestSlowBody(t *testing.T) {
	// At 1000 bytes a second the base is used up after three reads, so 1000 bytes take four attempts.
	for rate, want := range map[int64]int{50: 1, 99: 1, 1000: 4} {
		synctest.Test(t, func(t *testing.T) {
			m := mem.New()
			m.Set(object, pattern(1000))
			b := providers.New(slow{m}, providers.Options{AttemptBase: 3500 * time.Millisecond, MinRate: rate, BackoffBase: time.Nanosecond})
			if _, err := b.ReadAll(t.Context(), object, 1000); err != nil {
				t.Fatal(err)
			}
			if n := b.Stats().Opens; n != int64(want) {
				t.Errorf("at least %d bytes a second: %d attempts, want %d", rate, n, want)
			}
		})
	}
}

type readerOnly struct{ io.Reader }

func TestStreamMissing(t *testing.T) {
	if _, err := newRig(providers.Options{}).OpenStream(t.Context(), object); providers.KindOf(err) != providers.NotFound {
		t.Errorf("a missing object: %v", err)
	}
}

// stalling yields bodies that stop after each run of bytes until their context ends.
type stalling struct {
	*mem.Driver
	run int
}

func (s stalling) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	r, err := s.Driver.Open(ctx, name, off, n)
	if err != nil {
		return nil, err
	}
	return &stalled{ReadCloser: r, ctx: ctx, left: s.run}, nil
}

type stalled struct {
	io.ReadCloser
	ctx  context.Context
	left int
}

func (s *stalled) Read(p []byte) (int, error) {
	if s.left == 0 {
		<-s.ctx.Done()
		return 0, s.ctx.Err()
	}
	n, err := s.ReadCloser.Read(p[:min(len(p), s.left)])
	s.left -= n
	return n, err
}

// TestStall holds that a connection on which nothing comes any more is given up and the rest asked for again; and that a reader
// who takes his time is not taken for one.
func TestStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, b := mem.New(), pattern(1000)
		m.Set(object, b)
		bucket := providers.New(stalling{m, 400}, providers.Options{AttemptBase: 10 * time.Second, MinRate: 1 << 30, BackoffBase: time.Nanosecond})
		begin := time.Now()
		s, err := bucket.OpenStream(t.Context(), object)
		if err != nil {
			t.Fatal(err)
		}
		var got []byte
		for p := make([]byte, 100); err == nil; {
			var n int
			n, err = s.Read(p)
			got = append(got, p[:n]...)
			<-time.After(time.Hour) // our reader's own time
		}
		if err != io.EOF || !bytes.Equal(got, b) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		if lost := time.Since(begin) - 11*time.Hour; lost < 20*time.Second || lost > 21*time.Second {
			t.Errorf("two stalls cost %v, want 20 s", lost)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		m := mem.New()
		m.Set(object, pattern(1000))
		bucket := providers.New(stalling{m, 1}, providers.Options{Attempts: 4})
		got, err := bucket.ReadAll(t.Context(), object, 1000)
		if providers.KindOf(err) != providers.Temporary || got != nil || bucket.Stats().Opens != 4 {
			t.Errorf("a store that drips: %d bytes, %v after %d requests; want it given up after 4", len(got), err, bucket.Stats().Opens)
		}
	})
}

// TestCancelledStream holds that the caller's context ends a stalled read.
func TestCancelledStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := mem.New()
		m.Set(object, pattern(1000))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		n, err := providers.New(stalling{m, 400}, providers.Options{}).ReadRange(ctx, object, 0, make([]byte, 1000))
		if n != 400 || !errors.Is(err, context.DeadlineExceeded) || providers.Retryable(err) {
			t.Errorf("%d bytes, %v", n, err)
		}
	})
}

// TestRates holds that the limits hold over all callers, and that waiting for them is no reason to give up.
func TestRates(t *testing.T) {
	const size = 1 << 20
	o := providers.Options{UploadRate: 100 << 10, DownloadRate: 200 << 10, AttemptBase: time.Second, MinRate: 1 << 30, Attempts: 1}
	synctest.Test(t, func(t *testing.T) {
		r := newRig(o)
		begin := time.Now()
		done := make(chan error)
		for i := range 2 {
			go func() {
				_, err := r.create(t.Context(), fmt.Sprint("packs/", i), pattern(size))
				done <- err
			}()
		}
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		wantAbout(t, "two uploads", time.Since(begin), 2*size/(100<<10)*time.Second)
		begin = time.Now()
		if _, err := r.ReadAll(t.Context(), "packs/0", size); err != nil {
			t.Error(err)
		}
		wantAbout(t, "a download", time.Since(begin), size/(200<<10)*time.Second)
		if got := r.Stats(); got.Sent != 2*size || got.Received != size || got.Requests() != 3 {
			t.Errorf("counts %+v", got)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		r := newRig(providers.Options{RequestRate: 5})
		r.mem.Set(object, nil)
		begin := time.Now()
		for range 51 {
			if _, err := r.Stat(t.Context(), object); err != nil {
				t.Error(err)
			}
		}
		wantAbout(t, "51 requests", time.Since(begin), 10*time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := r.Stat(ctx, object); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("no time for the limit: %v", err)
		}
	})
}

// wantAbout allows a tenth for the burst.
func wantAbout(t *testing.T, what string, got, want time.Duration) {
	t.Helper()
	if got < want*9/10 || got > want*11/10 {
		t.Errorf("%s took %v, want about %v", what, got, want)
	}
}
