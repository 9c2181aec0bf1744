package bench_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"farshore/agent/repo/gitcmd"
	"farshore/agent/repo/gittest"
	"farshore/agent/source/git"
	"farshore/providers/mem"
)

// What the repositories of these benchmarks have: commits at the first capture, captures after it, and commits between two of them.
const (
	gitCommits = 20_000
	gitRounds  = 40
	gitEach    = 250
)

// growing is a bare repository whose only branch moves along the commits of another one, whose objects it borrows.
type growing struct {
	tb      testing.TB
	dir     string
	git     *gitcmd.Git
	commits []string // of the first parents, oldest first
	at      int
}

func newGrowing(tb testing.TB) *growing {
	tb.Helper()
	dir := tb.TempDir()
	// Merges and side branches are not on the way of first parents: some more commits make up for them.
	whole := gittest.Large(tb, filepath.Join(dir, "whole.git"), (gitCommits+gitRounds*gitEach)*13/10, 1)
	whole.Run("repack", "-adq")
	g := &growing{tb: tb, dir: filepath.Join(dir, "app.git")}
	var err error
	g.git, err = gitcmd.Init(context.Background(), g.dir, "sha1")
	must(tb, err)
	must(tb, os.WriteFile(filepath.Join(g.dir, "objects", "info", "alternates"), []byte(filepath.Join(dir, "whole.git", "objects")+"\n"), 0o600))
	g.commits = strings.Fields(whole.Run("rev-list", "--first-parent", "--reverse", "refs/heads/main"))
	if len(g.commits) < gitCommits*9/10+gitRounds*gitEach {
		tb.Fatalf("only %d commits", len(g.commits))
	}
	g.move(len(g.commits) - gitRounds*gitEach)
	return g
}

// move moves the branch to the commit of that number.
func (g *growing) move(to int) {
	g.tb.Helper()
	_, err := g.git.Output(context.Background(), nil, "update-ref", "refs/heads/main", g.commits[to-1])
	must(g.tb, err)
	g.at = to
}

// pack is what git itself makes of the objects between: the bytes of its pack.
func (g *growing) pack(thin bool, revs ...string) int64 {
	g.tb.Helper()
	args := []string{"pack-objects", "--revs", "--stdout", "--delta-base-offset", "--quiet"}
	if thin {
		args = append(args, "--thin")
	}
	out, err := g.git.Output(context.Background(), strings.NewReader(strings.Join(revs, "\n")+"\n"), args...)
	must(g.tb, err)
	return int64(len(out))
}

// allCPU is what this process and its children that ended have used.
func allCPU(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	must(tb, syscall.Getrusage(syscall.RUSAGE_CHILDREN, &u))
	return cpu() + time.Duration(u.Utime.Nano()+u.Stime.Nano())
}

// packBytes are the bytes of the packs that a store holds.
func packBytes(d *mem.Driver) (n int64) {
	for name, b := range d.Objects() {
		if strings.HasPrefix(name, "packs/") {
			n += int64(len(b))
		}
	}
	return n
}

// BenchmarkGit captures a repository in full and then as it grows, into a vault in memory, beside git's own packs and a bundle of the same. full-ratio is the
// vault's packs over git's pack, increments-ratio the packs of all further captures over the sum of git's thin packs.
func BenchmarkGit(b *testing.B) {
	g := newGrowing(b)
	start := g.at
	for b.Loop() {
		g.move(start)
		store := mem.New()
		r := newRig(b, store)
		src, err := git.New(git.Options{Name: "code", Place: "git+file:///tree", Address: "git+file://" + filepath.Dir(g.dir) + "?match=app.git"})
		must(b, err)
		before := allCPU(b)
		r.replicate(src)
		full, fullCPU := packBytes(store), allCPU(b)-before
		before = allCPU(b)
		must(b, g.git.Run(context.Background(), nil, discardAll{}, "bundle", "create", "--quiet", "-", "--all"))
		bundleCPU := allCPU(b) - before
		pack := g.pack(false, g.commits[g.at-1])
		b.ReportMetric(float64(pack)/1e6, "git-pack-MB")
		b.ReportMetric(float64(full)/float64(pack), "full-ratio")
		b.ReportMetric(fullCPU.Seconds(), "full-cpu-s")
		b.ReportMetric(bundleCPU.Seconds(), "bundle-cpu-s")
		var thin int64
		var increments, thinCPU time.Duration
		for range gitRounds {
			old := g.commits[g.at-1]
			g.move(g.at + gitEach)
			before := allCPU(b)
			thin += g.pack(true, g.commits[g.at-1], "^"+old)
			thinCPU += allCPU(b) - before
			before = allCPU(b)
			r.replicate(src)
			increments += allCPU(b) - before
		}
		b.ReportMetric(float64(thin)/1e6, "thin-packs-MB")
		b.ReportMetric(float64(packBytes(store)-full)/float64(thin), "increments-ratio")
		b.ReportMetric(increments.Seconds(), "increments-cpu-s")
		b.ReportMetric(thinCPU.Seconds(), "thin-cpu-s")
	}
}

// discardAll takes everything.
type discardAll struct{}

func (discardAll) Write(p []byte) (int, error) { return len(p), nil }

// BenchmarkGitProgram runs the program itself on a repository whose pack has 1 GiB that can't be compressed, and reports each command's peak resident size. That of the
// git programs that it starts is not in it.
func BenchmarkGitProgram(b *testing.B) {
	dir := b.TempDir()
	bin := filepath.Join(dir, "farshore")
	if out, err := exec.Command("go", "build", "-o", bin, "farshore/cmd/farshore").CombinedOutput(); err != nil {
		b.Fatalf("build: %v\n%s", err, out)
	}
	repo := gittest.New(b, filepath.Join(dir, "tree", "large.git"), "sha1", true)
	for i := range 16 { // a stream is held in memory
		var stream strings.Builder
		fmt.Fprintf(&stream, "commit refs/heads/part-%d\ncommitter A U Thor <author@example.net> %d +0000\ndata 1\nx\n", i, 1_700_000_000+i)
		for n := range 64 {
			fmt.Fprintf(&stream, "M 100644 inline file-%d\ndata %d\n%s\n", n, 1<<20, noise(uint64(i*64+n), 1<<20))
		}
		repo.Input(stream.String(), "fast-import", "--quiet", "--force")
	}
	repo.Run("repack", "-adq")
	run := 0
	for b.Loop() {
		run++
		at := filepath.Join(dir, fmt.Sprint(run))
		p := program{tb: b, bin: bin, config: filepath.Join(at, "farshore.yaml")}
		p.run("init", "--vault", "file://"+filepath.Join(at, "vault"), "--kit", filepath.Join(at, "kit"))
		p.run("source", "add", "code", "git+file://"+filepath.Join(dir, "tree"))
		key := filepath.Join(at, "kit", "recovery.key")
		b.ReportMetric(p.run("replicate"), "replicate-MiB")
		b.ReportMetric(p.run("verify", "--full", "--identity", key), "verify-MiB")
		b.ReportMetric(p.run("restore", "--source", "code", "--to", filepath.Join(at, "out"), "--identity", key), "restore-MiB")
		must(b, os.RemoveAll(at))
	}
}
