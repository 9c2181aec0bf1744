package bench_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"runtime"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"farshore/agent/restore"
	"farshore/agent/source"
	"farshore/agent/source/bucket"
	"farshore/agent/vault"
	"farshore/providers"
	"farshore/providers/mem"
	vaults3 "farshore/providers/s3"
	"farshore/providers/s3/s3client"
	"farshore/providers/servers"
)

// s3Source fills a bucket of a server in a process of its own and returns it as a source.
func s3Source(tb testing.TB, n int, content func(i int) []byte) source.Source {
	tb.Helper()
	srv := servers.Versity(tb)
	name := srv.Bucket(tb)
	client := srv.Client(tb)
	for i := range n {
		_, err := client.PutObject(context.Background(), &s3.PutObjectInput{
			Bucket: &name, Key: aws.String(fmt.Sprintf("d%02d/object-%06d", i%50, i)), Body: bytes.NewReader(content(i)), ChecksumAlgorithm: types.ChecksumAlgorithmCrc32, // what SDKs send by default
		})
		if err != nil {
			tb.Fatal(err)
		}
	}
	loc, err := s3client.Parse(srv.URL(name, ""))
	if err != nil {
		tb.Fatal(err)
	}
	c, err := loc.New(context.Background(), s3client.Options{Credentials: srv.Credentials()})
	if err != nil {
		tb.Fatal(err)
	}
	src, err := bucket.New(bucket.Options{Client: c, Bucket: name, Name: "bench", Place: srv.URL(name, "")})
	if err != nil {
		tb.Fatal(err)
	}
	return src
}

// s3Vault is an empty place for a vault on a second server.
func s3Vault(tb testing.TB, srv servers.S3) providers.Driver {
	tb.Helper()
	d, err := vaults3.Open(context.Background(), srv.URL(srv.Bucket(tb), "vault"), vaults3.Options{Credentials: srv.Credentials()})
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

func mixed(i, size int) []byte {
	if i%2 == 0 {
		return noise(uint64(i), size)
	}
	return words(uint64(i), size)
}

// BenchmarkPath is the whole path: an S3 server in a process of its own, the agent, a vault on a second one; beside the primitives over the same bytes.
func BenchmarkPath(b *testing.B) {
	for _, c := range []struct {
		name    string
		n, size int
		content func(i, size int) []byte
	}{
		{"random", 256, 4 << 20, func(i, n int) []byte { return noise(uint64(i), n) }},
		{"text", 256, 4 << 20, func(i, n int) []byte { return words(uint64(i), n) }},
		{"small", 20_000, 0, func(i, _ int) []byte { return mixed(i, 1024+(i*7919)%6144) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			var total int64
			var items [][]byte
			src := s3Source(b, c.n, func(i int) []byte {
				d := c.content(i, c.size)
				total += int64(len(d))
				items = append(items, d)
				return d
			})
			second := servers.Versity(b)
			var used, prim, wall time.Duration
			var requests int64
			for b.Loop() {
				prim += primitives(b, items)
				r := newRig(b, s3Vault(b, second))
				runtime.GC()
				c0, t0 := cpu(), time.Now()
				if sum := r.replicate(src); sum.New != int64(c.n) {
					b.Fatalf("%+v", sum)
				}
				used, wall = used+cpu()-c0, wall+time.Since(t0)
				requests += r.bucket.Stats().Requests()
			}
			n := float64(b.N)
			gb := n * float64(total) / 1e9
			b.ReportMetric(used.Seconds()/n, "cpu-s")
			b.ReportMetric(used.Seconds()/gb, "cpu-s/GB")
			b.ReportMetric(prim.Seconds()/gb, "prim-cpu-s/GB")
			b.ReportMetric(used.Seconds()/prim.Seconds(), "x-prim")
			b.ReportMetric(1000*gb/wall.Seconds(), "MB/s")
			b.ReportMetric(float64(requests)/n, "vault-requests")
		})
	}
}

// BenchmarkRestore puts items together from a vault on a second server, checking every SHA-256, and drops them.
func BenchmarkRestore(b *testing.B) {
	const n, size = 64, 4 << 20
	src := new(memSource)
	for i := range n {
		src.items = append(src.items, mixed(i, size))
	}
	r := newRig(b, s3Vault(b, servers.Versity(b)))
	head := r.replicate(src).Head
	for b.Loop() {
		pub := r.owner.Public()
		v, err := vault.Open(context.Background(), r.bucket, vault.Options{Owner: &pub, Identities: []age.Identity{r.recovery}})
		must(b, err)
		snap, err := v.Snapshot(context.Background(), head)
		must(b, err)
		before := r.bucket.Stats().Requests()
		c0, t0 := cpu(), time.Now()
		sum, err := restore.Run(context.Background(), snap, v.NewReader(), nowhere{}, restore.Options{})
		must(b, err)
		used, wall := cpu()-c0, time.Since(t0)
		if sum.Restored.Items != n {
			b.Fatalf("%+v", sum)
		}
		b.ReportMetric(used.Seconds()/(n*size/1e9), "cpu-s/GB")
		b.ReportMetric(n*size/1e6/wall.Seconds(), "MB/s")
		b.ReportMetric(float64(r.bucket.Stats().Requests()-before), "vault-requests")
	}
}

// BenchmarkUnchanged is a pass over 100,000 objects that did not change, beside the bare listing.
func BenchmarkUnchanged(b *testing.B) {
	const unchanged = 100_000
	src := s3Source(b, unchanged, func(i int) []byte { return []byte(fmt.Sprint(i)) })
	r := newRig(b, mem.New())
	r.replicate(src)
	for b.Loop() {
		c0 := cpu()
		must(b, src.List(context.Background(), source.Range{}, func(source.Entry) error { return nil }))
		bare := cpu() - c0
		c0 = cpu()
		sum := r.replicate(src)
		if sum.Unchanged != unchanged {
			b.Fatalf("%+v", sum)
		}
		used := cpu() - c0
		b.ReportMetric(used.Seconds()/bare.Seconds(), "x-listing")
		b.ReportMetric(used.Seconds(), "cpu-s")
		b.ReportMetric(bare.Seconds(), "listing-cpu-s")
	}
}

// nowhere is a target that has nothing and keeps nothing.
type nowhere struct{}

func (nowhere) Look(context.Context, *restore.Item) (restore.Found, error) {
	return restore.Found{}, nil
}

func (nowhere) Write(_ context.Context, _ *restore.Item, _ bool, body restore.Body) (restore.Written, error) {
	return restore.Written{}, body(io.Discard)
}

func (nowhere) Flush(context.Context) error { return nil }
