package bench_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"farshore/agent/record"
	"farshore/agent/source"
	"farshore/providers"
	"farshore/providers/file"
)

// sink is a vault in a directory that counts its objects and forgets the bytes of packs.
type sink struct {
	providers.Driver
	objects, packs, bytes atomic.Int64
}

func (s *sink) Create(ctx context.Context, name string, body *io.SectionReader, sum [32]byte) (providers.Info, error) {
	s.objects.Add(1)
	if !strings.HasPrefix(name, "packs/") {
		return s.Driver.Create(ctx, name, body, sum)
	}
	s.packs.Add(1)
	s.bytes.Add(body.Size())
	return providers.Info{Name: name, Size: body.Size()}, nil
}

// generated is a source of n items that are made as they are read.
type generated struct {
	n       int
	content func(i int) []byte
}

func (g *generated) Place() record.Place {
	return record.Place{Name: "bench", Kind: "mem", Place: "mem://bench"}
}
func (g *generated) Check(context.Context) error                 { return nil }
func (g *generated) Unchanged(source.Entry, *record.Record) bool { return true }

func (g *generated) List(ctx context.Context, r source.Range, yield func(source.Entry) error) error {
	for i := range g.n {
		e := source.Entry{Path: fmt.Sprintf("d%03d/object-%08d", i/10_000, i), Kind: record.KindObject, Size: -1}
		if !r.Contains(e.Path) {
			continue
		}
		if err := yield(e); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (g *generated) Capture(ctx context.Context, e source.Entry, _ *record.Record, to source.Sink) (*record.Record, error) {
	i, err := strconv.Atoi(e.Path[len(e.Path)-8:])
	if err != nil {
		return nil, err
	}
	c := g.content(i)
	p, err := to.Part(ctx, record.Part{Kind: record.PartContent}, int64(len(c)), bytes.NewReader(c))
	if err != nil {
		return nil, err
	}
	attrs := record.Attrs{"etag": fmt.Sprintf("\"%032x\"", i*2654435761), "modified": "2026-11-21T19:10:54Z", "h:content-type": "application/octet-stream"}
	return &record.Record{State: record.Present, Attrs: attrs, Parts: []record.Part{p}}, nil
}

// highWater returns the peak resident size in MiB that a status file of /proc states.
func highWater(status string) (mib float64, ok bool) {
	b, err := os.ReadFile(status)
	if err != nil {
		return 0, false
	}
	for _, line := range strings.Split(string(b), "\n") {
		if rest, found := strings.CutPrefix(line, "VmHWM:"); found && len(strings.Fields(rest)) > 0 {
			kb, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kb / 1024, err == nil
		}
	}
	return 0, false
}

// BenchmarkMillion replicates a million items of 1 to 7 KiB: how many objects that makes, and how much memory it takes. Set the process's memory limit as the
// program does.
func BenchmarkMillion(b *testing.B) {
	debug.SetMemoryLimit(148 << 20)
	text := words(1, 1<<20)
	random := noise(1, 8<<20)
	content := func(i int) []byte {
		n := 1024 + (i*7919)%6144
		if i%2 == 0 {
			at := (i * 104729) % (len(random) - n)
			c := bytes.Clone(random[at : at+n])
			copy(c, strconv.Itoa(i)) // so that no two are equal
			return c
		}
		at := (i * 104729) % (len(text) - n)
		return append([]byte(strconv.Itoa(i)), text[at:at+n]...)
	}
	const n = 1_000_000
	for b.Loop() {
		d, err := file.New(filepath.Join(b.TempDir(), "vault"), file.CreateDir())
		must(b, err)
		s := &sink{Driver: d}
		r := newRig(b, s)
		c0 := cpu()
		sum := r.replicate(&generated{n, content})
		b.ReportMetric((cpu() - c0).Seconds(), "cpu-s")
		b.ReportMetric(float64(s.objects.Load()), "objects")
		b.ReportMetric(float64(s.packs.Load()), "packs")
		b.ReportMetric(float64(s.bytes.Load())/1e6, "pack-MB")
		b.ReportMetric(float64(sum.Commits), "commits")
		peak, ok := highWater("/proc/self/status")
		if !ok {
			b.Fatal("the kernel does not tell the peak resident size")
		}
		b.ReportMetric(peak, "peak-MiB")
	}
}
