package gitpack

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"farshore/agent/repo/gitcmd"
)

// repo is a repository made for a test.
type repo struct {
	testing.TB
	*gitcmd.Git
	format string
}

func newRepo(t testing.TB, format string) *repo {
	t.Helper()
	g, err := gitcmd.Init(context.Background(), t.TempDir(), format)
	if err != nil {
		t.Fatal(err)
	}
	return &repo{t, g, format}
}

func (r *repo) git(stdin []byte, args ...string) []byte {
	r.Helper()
	out, err := r.try(stdin, args...)
	if err != nil {
		r.Fatal(err)
	}
	return out
}

func (r *repo) try(stdin []byte, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Second)
	defer cancel()
	return r.Git.Output(ctx, bytes.NewReader(stdin), args...)
}

// files is a stream for git fast-import that makes commits of files on main, which has parents commits already.
type files struct {
	bytes.Buffer
	commits int
}

func (f *files) commit(contents map[string][]byte) {
	f.commits++
	fmt.Fprintf(f, "commit refs/heads/main\ncommitter A <a@example.org> %d +0000\ndata 2\nc\n", 1700000000+f.commits)
	for name, data := range contents {
		fmt.Fprintf(f, "M 100644 inline %s\ndata %d\n%s\n", name, len(data), data)
	}
}

func (f *files) into(r *repo) {
	r.Helper()
	fmt.Fprintf(f, "done\n")
	r.git(f.Bytes(), "fast-import", "--quiet", "--done", "--force")
}

// pack makes a pack of revisions, one a line, as git pack-objects --revs takes them.
func (r *repo) pack(revs string, args ...string) []byte {
	r.Helper()
	return r.git([]byte(revs), append([]string{"pack-objects", "--revs", "--stdout", "-q", "--threads=1"}, args...)...)
}

func (r *repo) idSize() int {
	if r.format == "sha256" {
		return 32
	}
	return 20
}

// ids lists what a pack has, by having git index it in an empty repository, or in that of bases for a thin one.
func (r *repo) ids(pack []byte, base []byte) []string {
	r.Helper()
	fresh := newRepo(r.TB, r.format)
	args := []string{"index-pack", "--stdin", "--strict"}
	if base != nil {
		fresh.git(base, args...)
		args = append(args, "--fix-thin")
	}
	fresh.git(pack, args...)
	out := fresh.git(nil, "cat-file", "--batch-check", "--batch-all-objects")
	list := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(out) == 0 {
		list = nil
	}
	slices.Sort(list)
	return list
}

var words = strings.Fields("path reader writer context source vault part chunk pack extent segment root commit snapshot statement audit item record key state open close read write " +
	"encode decode check append find size offset length count index table entry object delta base trailer header format version error result value name kind type")

// text makes n lines of words.
func text(rnd *rand.Rand, n int) []byte {
	var b bytes.Buffer
	for range n {
		word := func() string { return words[rnd.IntN(len(words))] }
		fmt.Fprintf(&b, "\t%s, err := %s.%s(%s, %d)\n", word(), word(), word(), word(), rnd.IntN(1000))
	}
	return b.Bytes()
}

// edited returns text with some of its lines replaced.
func edited(rnd *rand.Rand, data []byte) []byte {
	lines := bytes.SplitAfter(data, []byte("\n"))
	for range 1 + rnd.IntN(3) {
		lines[rnd.IntN(len(lines))] = text(rnd, 1)
	}
	return bytes.Join(lines, nil)
}

// history makes commits in which files are made and edited.
func history(r *repo, commits, perCommit, lines int) {
	r.Helper()
	rnd := rand.New(rand.NewPCG(1, 2))
	var f files
	var names []string
	state := map[string][]byte{}
	for range commits {
		changed := map[string][]byte{}
		for range perCommit {
			if len(names) < 10 || rnd.IntN(10) == 0 {
				name := fmt.Sprintf("dir%d/file%d", len(names)%17, len(names))
				names, state[name] = append(names, name), text(rnd, lines)
				changed[name] = state[name]
				continue
			}
			name := names[rnd.IntN(len(names))]
			state[name] = edited(rnd, state[name])
			changed[name] = state[name]
		}
		f.commit(changed)
	}
	f.into(r)
	r.git(nil, "-c", "repack.writeBitmaps=false", "repack", "-adfq", "--depth=50", "--window=10")
	r.git(nil, "-c", "user.name=A", "-c", "user.email=a@example.org", "tag", "-a", "-m", "a tag", "v1", "main")
}

// extremes makes a commit of files of sizes at which something changes.
func extremes(r *repo) {
	r.Helper()
	rnd, changed := rand.New(rand.NewPCG(6, 6)), map[string][]byte{}
	for _, size := range []int{0, 1, 15, 16, 2047, 2048, 65535, 65536, 131070, 5 << 20} {
		data := make([]byte, size)
		for i := range data {
			data[i] = byte(rnd.Uint32())
		}
		changed[fmt.Sprintf("random/%d", size)] = data
	}
	changed["zeros"] = make([]byte, 300000)
	var f files
	f.commit(changed)
	f.into(r)
}

// rewrite transcodes a pack and fails the test if that fails.
func rewrite(t testing.TB, pack []byte, o Options) ([]byte, Facts) {
	t.Helper()
	var out bytes.Buffer
	facts, err := Transcode(&out, bytes.NewReader(pack), o)
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), facts
}

// bigPack is a pack of some size, made once a test binary.
func bigPack(t testing.TB) []byte {
	t.Helper()
	if name := os.Getenv("FARSHORE_TEST_PACK"); name != "" {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	r := newRepo(t, "sha1")
	rnd := rand.New(rand.NewPCG(3, 4))
	var f files
	for i := range 400 {
		changed := map[string][]byte{}
		for k := range 20 {
			changed[fmt.Sprintf("d%d/f%d", k, i*20+k)] = text(rnd, 20+rnd.IntN(200))
		}
		f.commit(changed)
	}
	f.into(r)
	return r.pack("refs/heads/main\n", "--delta-base-offset", "--window=0")
}

func BenchmarkTranscode(b *testing.B) {
	pack := bigPack(b)
	for _, raw := range []bool{false, true} {
		b.Run(fmt.Sprintf("raw=%v", raw), func(b *testing.B) { transcodes(b, pack, Options{IDSize: 20, Raw: raw}) })
	}
	stored, _ := rewrite(b, pack, Options{IDSize: 20})
	for level := range maxLevel + 1 {
		b.Run(fmt.Sprintf("stored to level %d", level), func(b *testing.B) { transcodes(b, stored, Options{IDSize: 20, Level: level}) })
	}
}

// transcodes rewrites a pack again and again.
func transcodes(b *testing.B, pack []byte, o Options) {
	b.SetBytes(int64(len(pack)))
	b.ReportAllocs()
	var size counting
	for b.Loop() {
		size = 0
		if _, err := Transcode(&size, bytes.NewReader(pack), o); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(size), "written/op")
}

// counting is a writer that counts.
type counting int64

func (c *counting) Write(p []byte) (int, error) {
	*c += counting(len(p))
	return len(p), nil
}
