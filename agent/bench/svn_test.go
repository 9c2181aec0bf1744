package bench_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"farshore/agent/repo/svncmd"
	"farshore/agent/repo/svntest"
	"farshore/agent/source/svn"
	"farshore/providers/mem"
	"farshore/providers/servers"
)

// What the repository of this benchmark has: revisions at the first capture, captures after it, and revisions between two of them.
const (
	svnRevisions = 3_000
	svnRounds    = 30
	svnEach      = 20
)

// filling is a Subversion repository that text is committed to: new files, and edits of a few lines.
type filling struct {
	*svntest.Repo
	rng   *rand.Rand
	files [][]string // their lines
}

func newFilling(tb testing.TB, dir string) *filling {
	tb.Helper()
	f := &filling{Repo: svntest.New(tb, dir), rng: rand.New(rand.NewPCG(1, 2))}
	f.Commit("a trunk", svntest.Node{Path: "trunk", Action: "add", Dir: true})
	return f
}

// add commits so many revisions.
func (f *filling) add(n int) {
	f.TB.Helper()
	var all bytes.Buffer
	for i := range n {
		number := f.Next() + int64(i)
		date := fmt.Sprintf("2024-%02d-%02dT%02d:%02d:00.000000Z", 1+number/40_000%12, 1+number/1440%28, number/60%24, number%60)
		props := map[string]string{"svn:author": f.words(1), "svn:log": f.words(12), "svn:date": date}
		svntest.AppendRevision(&all, number, props, f.change())
	}
	f.Load(all.Bytes(), int64(n))
}

// change edits a file, or adds one.
func (f *filling) change() svntest.Node {
	if len(f.files) < 10 || f.rng.IntN(10) == 0 {
		var lines []string
		for range 20 + f.rng.IntN(300) {
			lines = append(lines, f.words(8))
		}
		f.files = append(f.files, lines)
		return f.node(len(f.files)-1, "add")
	}
	i := f.rng.IntN(len(f.files))
	for range 1 + f.rng.IntN(5) {
		f.files[i][f.rng.IntN(len(f.files[i]))] = f.words(8)
	}
	return f.node(i, "change")
}

func (f *filling) node(i int, action string) svntest.Node {
	return svntest.Node{Path: fmt.Sprintf("trunk/file-%d.txt", i), Action: action, Text: []byte(strings.Join(f.files[i], "\n") + "\n")}
}

func (f *filling) words(n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("word%d", int(f.rng.ExpFloat64()*150))
	}
	return strings.Join(all, " ")
}

// dump is how many bytes zstd -3 makes of a dump with deltas of the revisions.
func (f *filling) dump(from, to int64) int64 {
	f.TB.Helper()
	n := new(counter)
	w, err := zstd.NewWriter(n, zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(3)), zstd.WithEncoderConcurrency(1))
	must(f.TB, err)
	tool := svncmd.Tool{}
	must(f.TB, tool.Run(f.TB.Context(), nil, w, svncmd.Admin, "dump", f.Dir, "--quiet", "--deltas", "--incremental", fmt.Sprintf("-r%d:%d", from, to)))
	must(f.TB, w.Close())
	return n.n
}

// counter counts what is written.
type counter struct{ n int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}

// BenchmarkSVN captures a repository in full and then as it grows, into a vault in memory, beside zstd -3 of dumps with deltas of the same revisions. full-ratio is the
// vault's packs over such a dump of all, increments-ratio the packs of all further captures over the sum of those of each.
func BenchmarkSVN(b *testing.B) {
	if _, err := exec.LookPath(svncmd.Admin); err != nil {
		servers.Missing(b, svncmd.Admin, "apt install subversion")
	}
	for b.Loop() {
		root := b.TempDir()
		f := newFilling(b, filepath.Join(root, "app"))
		f.add(svnRevisions - 1)
		store := mem.New()
		r := newRig(b, store)
		src, err := svn.New(svn.Options{Name: "code", Place: "svn+file:///tree", Address: "svn+file://" + root})
		must(b, err)
		before := allCPU(b)
		r.replicate(src)
		full, fullCPU := packBytes(store), allCPU(b)-before
		before = allCPU(b)
		dump := f.dump(0, svnRevisions)
		b.ReportMetric((allCPU(b) - before).Seconds(), "dump-cpu-s")
		b.ReportMetric(float64(dump)/1e6, "dump-zstd-MB")
		b.ReportMetric(float64(full)/float64(dump), "full-ratio")
		b.ReportMetric(fullCPU.Seconds(), "full-cpu-s")
		b.ReportMetric(incrementsOf(b, f, func() { r.replicate(src) }, func() int64 { return packBytes(store) - full }), "increments-ratio")
	}
}

// incrementsOf lets the repository grow and has it captured, and returns what was stored for that over the dumps of the same.
func incrementsOf(b *testing.B, f *filling, capture func(), stored func() int64) float64 {
	b.Helper()
	var dumps int64
	var increments, dumping float64
	for range svnRounds {
		from := f.Next()
		f.add(svnEach)
		before := allCPU(b)
		dumps += f.dump(from, f.Next()-1)
		dumping += (allCPU(b) - before).Seconds()
		before = allCPU(b)
		capture()
		increments += (allCPU(b) - before).Seconds()
	}
	b.ReportMetric(float64(dumps)/1e6, "increments-zstd-MB")
	b.ReportMetric(increments, "increments-cpu-s")
	b.ReportMetric(dumping, "increments-dump-cpu-s")
	return float64(stored()) / float64(dumps)
}
