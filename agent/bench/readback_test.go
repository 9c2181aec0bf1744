package bench_test

import (
	"context"
	"io"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"

	"farshore/agent/vault"
	"farshore/providers"
	"farshore/providers/file"
)

// egress counts what is read of a vault's packs.
type egress struct {
	providers.Driver
	reads, bytes atomic.Int64
}

func (e *egress) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	if strings.HasPrefix(name, "packs/") {
		e.reads.Add(1)
		e.bytes.Add(n)
	}
	return e.Driver.Open(ctx, name, off, n)
}

// BenchmarkReadBack is what reading back costs a pass that stores 2 GiB in one commit, of objects of 2 MiB and of 16 KiB: nothing, the usual share, and all. The peak is the
// process's: run one case at a time. Set the process's memory limit as the program does.
func BenchmarkReadBack(b *testing.B) {
	debug.SetMemoryLimit(148 << 20)
	random := noise(1, 40<<20)
	for _, size := range []struct {
		name string
		n    int
		size int
	}{{"2MiB", 1024, 2 << 20}, {"16KiB", 128 << 10, 16 << 10}} {
		for _, how := range []struct {
			name string
			back vault.ReadBack
		}{{"off", vault.ReadBack{}}, {"5%", vault.ReadBack{Share: 0.05}}, {"auto", vault.AutoReadBack()}, {"all", vault.ReadBack{Share: 1}}} {
			b.Run(size.name+"/"+how.name, func(b *testing.B) {
				for b.Loop() {
					d, err := file.New(filepath.Join(b.TempDir(), "vault"), file.CreateDir())
					must(b, err)
					e := &egress{Driver: d}
					r := newRig(b, e)
					r.back = how.back
					c0 := cpu()
					sum := r.replicate(&generated{size.n, func(i int) []byte {
						at := (i * 104729) % (len(random) - size.size)
						c := random[at : at+size.size : at+size.size]
						return append([]byte{byte(i), byte(i >> 8), byte(i >> 16)}, c...)
					}})
					b.ReportMetric((cpu() - c0).Seconds(), "cpu-s")
					b.ReportMetric(float64(e.reads.Load()), "reads")
					b.ReportMetric(float64(e.bytes.Load())/1e6, "read-MB")
					b.ReportMetric(float64(sum.ReadBack.Bytes)/1e6, "restored-MB")
					b.ReportMetric(float64(sum.ReadBack.OfBytes)/1e6, "of-MB")
					peak, ok := highWater("/proc/self/status")
					if !ok {
						b.Fatal("the kernel does not tell the peak resident size")
					}
					b.ReportMetric(peak, "peak-MiB")
				}
			})
		}
	}
}
