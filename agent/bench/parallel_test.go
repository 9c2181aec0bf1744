package bench_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"farshore/agent"
	"farshore/agent/record"
	"farshore/agent/source"
	"farshore/agent/source/bucket"
	"farshore/providers"
	"farshore/providers/s3/s3client"
	"farshore/providers/servers"
)

// large is a source of n items of size bytes, different and random, which are made as they are read, so that they take no memory.
type large struct {
	name string
	n    int
	size int64
	seed uint64
}

func (l *large) Place() record.Place {
	return record.Place{Name: l.name, Kind: "mem", Place: "mem://" + l.name}
}
func (l *large) Check(context.Context) error                 { return nil }
func (l *large) Unchanged(source.Entry, *record.Record) bool { return true }

func (l *large) List(ctx context.Context, r source.Range, yield func(source.Entry) error) error {
	for i := range l.n {
		e := source.Entry{Path: fmt.Sprintf("%08d", i), Kind: record.KindObject, Size: l.size}
		if !r.Contains(e.Path) {
			continue
		}
		if err := yield(e); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (l *large) Capture(ctx context.Context, e source.Entry, _ *record.Record, to source.Sink) (*record.Record, error) {
	i, err := strconv.Atoi(e.Path)
	if err != nil {
		return nil, err
	}
	var key [32]byte
	key[0], key[1], key[2] = byte(l.seed), byte(i), byte(i>>8)
	p, err := to.Part(ctx, record.Part{Kind: record.PartContent}, e.Size, io.LimitReader(rand.NewChaCha8(key), e.Size))
	if err != nil {
		return nil, err
	}
	return &record.Record{State: record.Present, Parts: []record.Part{p}}, nil
}

// distant is a store that takes its time for each pack, as one across a country does.
type distant struct {
	providers.Driver
	wait time.Duration
}

func (d distant) Create(ctx context.Context, name string, body *io.SectionReader, sum [32]byte) (providers.Info, error) {
	if strings.HasPrefix(name, "packs/") {
		select {
		case <-time.After(d.wait):
		case <-ctx.Done():
			return providers.Info{}, ctx.Err()
		}
	}
	return d.Driver.Create(ctx, name, body, sum)
}

// memoryLimit is what the program's runtime may hold for so many passes at a time, but for the audit that may run beside them (cmd/farshore/main.go).
func memoryLimit(passes int) int64 { return 148<<20 + int64(passes-1)*160<<20 }

// BenchmarkParallel makes several passes at a time through one local state: what they do together, and what memory they take, under the limit that the program sets.
func BenchmarkParallel(b *testing.B) {
	const n, size = 6, 64 << 20
	memory := func(b *testing.B, passes int) []source.Source {
		var out []source.Source
		for i := range passes {
			out = append(out, &large{fmt.Sprint("s", i), n, size, uint64(i + 1)})
		}
		return out
	}
	for _, c := range []struct {
		name    string
		sources func(b *testing.B, passes int) []source.Source
		wait    time.Duration
	}{
		{"memory", memory, 0},
		{"distant", memory, 2 * time.Second},
		{"s3", func(b *testing.B, passes int) []source.Source { return s3Sources(b, passes, n, size) }, 0},
	} {
		for _, passes := range []int{1, 2, 4} {
			b.Run(fmt.Sprintf("%s/%d", c.name, passes), func(b *testing.B) {
				sources := c.sources(b, passes)
				defer debug.SetMemoryLimit(debug.SetMemoryLimit(memoryLimit(passes)))
				var used, wall time.Duration
				peak, live := 0.0, 0.0
				b.ReportAllocs()
				for b.Loop() {
					r := newRig(b, distant{newDrain(), c.wait})
					debug.FreeOSMemory()
					must(b, os.WriteFile("/proc/self/clear_refs", []byte("5"), 0)) // the high-water mark begins anew
					stop := watchLive(&live)
					c0, t0 := cpu(), time.Now()
					r.together(sources)
					used, wall = used+cpu()-c0, wall+time.Since(t0)
					stop()
					if now, ok := highWater("/proc/self/status"); ok {
						peak = max(peak, now)
					}
				}
				bytes := float64(b.N) * float64(passes) * n * size
				b.ReportMetric(bytes/1e6/wall.Seconds(), "MB/s")
				b.ReportMetric(used.Seconds()/(bytes/1e9), "cpu-s/GB")
				b.ReportMetric(peak, "peak-MiB")
				b.ReportMetric(live, "live-MiB")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// watchLive notes the most bytes that a collection of garbage left, in MiB, until stop.
func watchLive(most *float64) (stop func()) {
	over := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-over:
				return
			case <-tick.C:
				metrics.Read(s)
				*most = max(*most, float64(s[0].Value.Uint64())/(1<<20))
			}
		}
	})
	return func() { close(over); watch.Wait() }
}

// together makes a pass over each source at the same time.
func (r *rig) together(sources []source.Source) {
	local := agent.NewLocal(r.state, nil)
	var all sync.WaitGroup
	errs := make([]error, len(sources))
	for i, src := range sources {
		all.Go(func() {
			s, err := agent.Open(context.Background(), r.bucket, agent.SessionOptions{
				Owner: r.owner.Public(), Recipients: []string{r.recipient}, Identities: []age.Identity{r.metadata}, Key: r.agent, Local: local,
			})
			if err == nil {
				_, err = s.Replicate(context.Background(), src, nil, nil, agent.Options{})
				err = errors.Join(err, s.Close())
			}
			errs[i] = err
		})
	}
	all.Wait()
	must(r.tb, errors.Join(errs...))
}

// s3Sources are buckets of a server in a process of its own, opened as the program opens them.
func s3Sources(b *testing.B, passes, n, size int) []source.Source {
	srv := servers.Versity(b)
	var out []source.Source
	for i := range passes {
		name := srv.Bucket(b)
		for k := range n {
			_, err := srv.Client(b).PutObject(context.Background(), &s3.PutObjectInput{Bucket: &name, Key: new(strconv.Itoa(k)), Body: bytes.NewReader(noise(uint64(100*i+k), size))})
			must(b, err)
		}
		loc, err := s3client.Parse(srv.URL(name, ""))
		must(b, err)
		c, err := loc.New(context.Background(), s3client.Options{Credentials: srv.Credentials()})
		must(b, err)
		src, err := bucket.New(bucket.Options{Client: c, Bucket: name, Name: fmt.Sprint("s", i), Place: loc.String(), Memory: 16 << 20})
		must(b, err)
		out = append(out, src)
	}
	runtime.GC()
	return out
}
