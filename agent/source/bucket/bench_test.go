package bucket_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"farshore/agent/record"
	"farshore/agent/source"
	"farshore/agent/source/bucket"
	"farshore/agent/source/sourcetest"
	"farshore/providers/servers"
)

// discard hashes and forgets, as cheaply as a sink can.
type discard struct {
	source.Sink
	buf []byte
}

func (d discard) Part(_ context.Context, p record.Part, _ int64, body io.Reader) (record.Part, error) {
	h := sha256.New()
	n, err := io.CopyBuffer(h, struct{ io.Reader }{body}, d.buf)
	p.Size = n
	h.Sum(p.SHA256[:0])
	return p, err
}

// cpu is what this process has used so far; servers run in others.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func captureAll(b *testing.B, s *bucket.Source, entries []source.Entry, at int) {
	b.Helper()
	var next atomic.Int64
	var g errgroup.Group
	b.ResetTimer()
	before := cpu(b)
	for range at {
		g.Go(func() error {
			sink := discard{buf: make([]byte, 256<<10)}
			for i := next.Add(1) - 1; i < int64(b.N); i = next.Add(1) - 1 {
				if _, err := s.Capture(b.Context(), entries[int(i)%len(entries)], nil, sink); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
}

func BenchmarkCaptureSmall(b *testing.B) {
	p := newPlace(b, servers.Versity(b))
	for i := range 200 {
		p.put(b, fmt.Sprintf("small-%03d", i), pattern(1<<10+i*30))
	}
	s := p.source(b)
	b.ReportAllocs()
	captureAll(b, s, sourcetest.List(b, s, source.Range{}), 16)
}

func BenchmarkCaptureLarge(b *testing.B) {
	p := newPlace(b, servers.Versity(b))
	p.put(b, "large", pattern(64<<20))
	for name, skip := range map[string]bool{"crc64nvme": false, "unchecked": true} {
		b.Run(name, func(b *testing.B) {
			s := p.source(b, func(o *bucket.Options) { o.SkipCRC64NVME = skip })
			b.SetBytes(64 << 20)
			captureAll(b, s, sourcetest.List(b, s, source.Range{}), 1)
		})
	}
}

func BenchmarkList(b *testing.B) {
	p := newPlace(b, servers.Versity(b))
	fill(b, p, 3000)
	for name, splits := range map[string][]string{"sequential": nil, "split": {"key-00750", "key-01500", "key-02250"}} {
		b.Run(name, func(b *testing.B) {
			s := p.source(b)
			before := cpu(b)
			for b.Loop() {
				if n := len(sourcetest.List(b, s, source.Range{Splits: splits})); n != 3000 {
					b.Fatal(n)
				}
			}
			b.ReportMetric(float64((cpu(b)-before).Nanoseconds())/float64(b.N)/3000, "cpu-ns/key")
		})
	}
}
