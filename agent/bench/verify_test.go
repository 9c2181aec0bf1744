package bench_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"golang.org/x/sync/errgroup"

	"farshore/agent/pack"
	"farshore/agent/record"
	"farshore/agent/restore"
	"farshore/agent/vault"
	"farshore/agent/verify"
	"farshore/agent/verify/items"
	"farshore/crypto/seal"
	"farshore/providers/mem"
)

// overAll calls fn with each object of some rooms, on all cores as the levels do, and returns the CPU time: two threads of one core take more of it than one.
func overAll(tb testing.TB, objects map[string][]byte, fn func(stored []byte) error, rooms ...string) time.Duration {
	tb.Helper()
	runtime.GC()
	c0 := cpu()
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for name, stored := range objects {
		if slices.ContainsFunc(rooms, func(room string) bool { return strings.HasPrefix(name, room) }) {
			g.Go(func() error { return fn(stored) })
		}
	}
	must(tb, g.Wait())
	return cpu() - c0
}

// opened runs what the level of items can't do without over the packs: age, zstd, SHA-256 of the plaintext.
func opened(tb testing.TB, objects map[string][]byte, id age.Identity) time.Duration {
	tb.Helper()
	codec, err := pack.NewCodec()
	must(tb, err)
	opener := seal.NewOpener(id)
	return overAll(tb, objects, func(stored []byte) error {
		plain, err := opener.Reader(bytes.NewReader(stored))
		if err != nil {
			return err
		}
		_, err = io.CopyBuffer(struct{ io.Writer }{sha256.New()}, struct{ io.Reader }{pack.NewStream(plain, codec, 1<<30)}, make([]byte, 1<<20))
		return err
	}, "packs/")
}

// hashed runs SHA-256 over all packs and pages.
func hashed(tb testing.TB, objects map[string][]byte) time.Duration {
	return overAll(tb, objects, func(stored []byte) error {
		sha256.Sum256(stored)
		return nil
	}, "packs/", "meta/")
}

// BenchmarkVerify is the levels of a verification over a vault in memory, beside what each can't do without over the same bytes: items (all are drawn, put together and
// compared) and ciphertext (every object is hashed, and lists are followed). A restore of the same items, in the order of their paths, stands beside them.
func BenchmarkVerify(b *testing.B) {
	for _, c := range []struct {
		name    string
		n, size int
	}{{"large", 48, 4 << 20}, {"small", 10_000, 0}} {
		src := new(memSource)
		var total int64
		for i := range c.n {
			size := c.size
			if size == 0 {
				size = 1024 + (i*7919)%6144
			}
			src.items = append(src.items, mixed(i, size))
			total += int64(size)
		}
		store := mem.New()
		r := newRig(b, store)
		head := r.replicate(src).Head
		objects := store.Objects()
		open := func(ids ...age.Identity) (*vault.Vault, []*vault.Chain) {
			pub := r.owner.Public()
			v, err := vault.Open(context.Background(), r.bucket, vault.Options{Owner: &pub, Identities: ids})
			must(b, err)
			chains, err := v.Chains(context.Background())
			must(b, err)
			return v, chains
		}
		b.Run("items/"+c.name, func(b *testing.B) {
			var used, prim, wall time.Duration
			for b.Loop() {
				prim += opened(b, objects, r.recovery)
				v, chains := open(r.recovery)
				runtime.GC()
				c0, t0 := cpu(), time.Now()
				res, err := items.Sample(context.Background(), v, items.Options{Seed: record.Hash{1}, Chains: chains, Restore: true, Most: 1 << 20})
				must(b, err)
				used, wall = used+cpu()-c0, wall+time.Since(t0)
				if res.Counts.Restored != int64(c.n) {
					b.Fatalf("%+v", res)
				}
			}
			figures(b, total, used, prim, wall)
		})
		b.Run("restore/"+c.name, func(b *testing.B) {
			var used, prim, wall time.Duration
			for b.Loop() {
				prim += opened(b, objects, r.recovery)
				v, _ := open(r.recovery)
				runtime.GC()
				c0, t0 := cpu(), time.Now()
				snap, err := v.Snapshot(context.Background(), head)
				must(b, err)
				sum, err := restore.Run(context.Background(), snap, v.NewReader(), nowhere{}, restore.Options{})
				must(b, err)
				used, wall = used+cpu()-c0, wall+time.Since(t0)
				if sum.Restored.Items != int64(c.n) {
					b.Fatalf("%+v", sum)
				}
			}
			figures(b, total, used, prim, wall)
		})
		b.Run("ciphertext/"+c.name, func(b *testing.B) {
			var stored int64
			for name, body := range objects {
				if strings.HasPrefix(name, "packs/") || strings.HasPrefix(name, "meta/") {
					stored += int64(len(body))
				}
			}
			var used, prim, wall time.Duration
			for b.Loop() {
				prim += hashed(b, objects)
				v, _ := open()
				c0, t0 := cpu(), time.Now()
				res, err := verify.Full(context.Background(), v, verify.Options{})
				must(b, err)
				used, wall = used+cpu()-c0, wall+time.Since(t0)
				if !res.OK() || res.ObjectBytes != stored {
					b.Fatalf("%+v", res)
				}
			}
			figures(b, stored, used, prim, wall)
		})
	}
}

func figures(b *testing.B, size int64, used, prim, wall time.Duration) {
	mb := float64(b.N) * float64(size) / 1e6
	b.ReportMetric(mb/used.Seconds(), "MB/cpu-s")
	b.ReportMetric(mb/prim.Seconds(), "prim-MB/cpu-s")
	b.ReportMetric(used.Seconds()/prim.Seconds(), "x-prim")
	b.ReportMetric(mb/wall.Seconds(), "MB/s")
}
