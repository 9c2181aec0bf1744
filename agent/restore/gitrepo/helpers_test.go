package gitrepo_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"farshore/agent/record"
	"farshore/agent/repo/gitpack"
	"farshore/agent/repo/gittest"
	"farshore/agent/repo/refs"
	"farshore/agent/restore/gitrepo"
	"farshore/agent/source/sourcetest"
)

// capture makes records of a repository by hand, with git alone, as the source does it.
type capture struct {
	t    testing.TB
	repo *gittest.Repo
	mem  *sourcetest.Memory
	rec  *record.Record
	base *refs.Manifest
	tips []string
	raw  bool // packs are stored as git makes them
}

func newCapture(t testing.TB, repo *gittest.Repo, path string) *capture {
	return &capture{t: t, repo: repo, mem: &sourcetest.Memory{}, rec: &record.Record{Path: path, Kind: record.KindGit, State: record.Present, Attrs: record.Attrs{}}}
}

// in is the capture for a subtest, with a record of its own. Nothing more may be captured.
func (c *capture) in(t testing.TB) *capture {
	rec := *c.rec
	rec.Attrs, rec.Parts = maps.Clone(rec.Attrs), slices.Clone(rec.Parts)
	for i := range rec.Parts {
		rec.Parts[i].Attrs = maps.Clone(rec.Parts[i].Attrs)
	}
	return &capture{t: t, repo: gittest.At(t, c.repo.Dir), mem: c.mem, rec: &rec}
}

func (c *capture) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// manifest reads refs with plumbing of its own.
func (c *capture) manifest() *refs.Manifest {
	c.t.Helper()
	m := &refs.Manifest{Format: c.repo.Format}
	out := c.repo.Run("for-each-ref", "--format=%(objectname) %(symref) %(refname)")
	for line := range strings.Lines(out) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 3)
		m.Refs = append(m.Refs, refs.Ref{OID: f[0], Symref: f[1], Name: f[2]})
	}
	slices.SortFunc(m.Refs, func(a, b refs.Ref) int { return strings.Compare(a.Name, b.Name) })
	head, err := os.ReadFile(filepath.Join(c.repo.Dir, "HEAD"))
	c.must(err)
	text := strings.TrimSpace(string(head))
	if target, ok := strings.CutPrefix(text, "ref: "); ok {
		m.Head = target
	} else {
		m.HeadOID = text
	}
	return m
}

// take captures what changed since the last take.
func (c *capture) take() *refs.Manifest {
	c.t.Helper()
	m := c.manifest()
	c.with(m)
	return m
}

// with captures with a manifest made elsewhere.
func (c *capture) with(m *refs.Manifest) {
	c.t.Helper()
	ctx := c.t.Context()
	var pack *record.Part
	if tips := m.Tips(); len(tips) > 0 {
		pack = c.pack(tips)
	}
	if c.base == nil {
		full, err := c.mem.Lines(ctx, record.Part{Kind: record.PartRefs}, m.Encode())
		c.must(err)
		tips, err := c.mem.Lines(ctx, record.Part{Kind: record.PartTips}, []byte(strings.Join(m.Tips(), "\n")+"\n"))
		c.must(err)
		c.rec.Parts = append(c.rec.Parts, full, tips)
		c.base = m
	} else {
		delta, err := c.mem.Lines(ctx, record.Part{Kind: record.PartRefsDelta}, refs.Diff(c.base, m))
		c.must(err)
		c.rec.Parts = slices.DeleteFunc(c.rec.Parts, func(p record.Part) bool { return p.Kind == record.PartRefsDelta })
		c.rec.Parts = slices.Insert(c.rec.Parts, 1, delta)
	}
	if pack != nil {
		c.rec.Parts = append(c.rec.Parts, *pack)
	}
	c.rec.Attrs["format"], c.rec.Attrs["refs"], c.rec.Attrs["count"] = m.Format, m.Digest(), strconv.Itoa(len(m.Refs))
	c.tips = append(c.tips, m.Tips()...)
}

// pack stores the pack of what is new; nil when nothing is.
func (c *capture) pack(wants []string) *record.Part {
	c.t.Helper()
	args := []string{"pack-objects", "--revs", "--stdout", "--delta-base-offset", "-q"}
	first := len(c.packs()) == 0
	if !first {
		args = append(args, "--thin")
	}
	in := strings.Join(wants, "\n") + "\n"
	for _, tip := range c.tips {
		in += "^" + tip + "\n"
	}
	b, err := c.repo.Git.Output(c.t.Context(), strings.NewReader(in), args...)
	c.must(err)
	n := binary.BigEndian.Uint32(b[8:])
	if n == 0 {
		return nil
	}
	listed, err := c.repo.Git.Output(c.t.Context(), strings.NewReader(in), "rev-list", "--objects", "--no-object-names", "--stdin")
	c.must(err)
	ids := strings.Fields(string(listed))
	size := map[string]int{"sha1": 20, "sha256": 32}[c.repo.Format]
	var stored bytes.Buffer
	facts, err := gitpack.Transcode(&stored, bytes.NewReader(b), gitpack.Options{IDSize: size, Raw: c.raw})
	c.must(err)
	p := record.Part{Kind: record.PartPack, Attrs: record.Attrs{
		"objects": strconv.Itoa(int(n)), "trailer": facts.Trailer, "source-size": strconv.Itoa(len(b)),
	}}
	if len(ids) == int(n) { // git may leave out what a list of it has, where that is in a tree that the other side has
		p.Attrs["ids"] = gittest.SumIDs(c.t, ids)
	}
	if !first {
		p.Attrs["thin"] = "yes"
		last := c.packs()
		p.Base = c.rec.Parts[last[len(last)-1]].Attrs["trailer"]
	}
	p, err = c.mem.Part(c.t.Context(), p, -1, &stored)
	c.must(err)
	return &p
}

// packs are the places of the packs among the parts.
func (c *capture) packs() []int {
	var out []int
	for i := range c.rec.Parts {
		if c.rec.Parts[i].Kind == record.PartPack {
			out = append(out, i)
		}
	}
	return out
}

func (c *capture) set() gitrepo.Set { return gitrepo.Set{Git: c.rec} }

// sidecar makes a record of files, given as name and content. "name=>target" is a link, and "name*" has execute bits.
func (c *capture) sidecar(files map[string]string) *record.Record {
	c.t.Helper()
	rec := &record.Record{Path: c.rec.Path, Kind: record.KindSidecar, State: record.Present}
	names := make([]string, 0, len(files))
	for n := range files {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		p := record.Part{Kind: record.PartFile, Attrs: record.Attrs{"name": n, "mode": "644"}}
		if name, ok := strings.CutSuffix(n, "*"); ok {
			p.Attrs["name"], p.Attrs["mode"] = name, "755"
		}
		content := files[n]
		if name, target, ok := strings.Cut(n, "=>"); ok {
			p.Attrs["name"], p.Attrs["link"], content = name, target, ""
		}
		p, err := c.mem.Part(c.t.Context(), p, -1, strings.NewReader(content))
		c.must(err)
		rec.Parts = append(rec.Parts, p)
	}
	return rec
}

// large makes a record of large files.
func (c *capture) large(contents ...string) *record.Record {
	c.t.Helper()
	rec := &record.Record{Path: c.rec.Path, Kind: record.KindLFS, State: record.Present, Attrs: record.Attrs{}}
	for _, text := range contents {
		p, err := c.mem.Part(c.t.Context(), record.Part{Kind: record.PartLFS}, -1, strings.NewReader(text))
		c.must(err)
		rec.Parts = append(rec.Parts, p)
	}
	return rec
}

// build builds and checks, and returns the repository.
func (c *capture) build(set gitrepo.Set, o gitrepo.Options) (*gittest.Repo, *gitrepo.Report) {
	c.t.Helper()
	dir := filepath.Join(c.t.TempDir(), "out", "app.git")
	rep, err := gitrepo.Build(c.t.Context(), c.mem, set, dir, o)
	if err != nil {
		c.t.Fatalf("build: %v", err)
	}
	c.clean(set, dir)
	return gittest.At(c.t, dir), rep
}

// clean fails unless Check finds nothing.
func (c *capture) clean(set gitrepo.Set, dir string) {
	c.t.Helper()
	if found := c.check(set, dir); len(found) > 0 {
		c.t.Fatalf("check: %q", found)
	}
}

func (c *capture) check(set gitrepo.Set, dir string) []string {
	c.t.Helper()
	found, err := gitrepo.Check(c.t.Context(), c.mem, set, dir)
	if err != nil {
		c.t.Fatalf("check: %v", err)
	}
	return found
}

// equal fails unless a repository has the refs, HEAD and all objects of the source.
func (c *capture) equal(got *gittest.Repo) {
	c.t.Helper()
	other := &capture{t: c.t, repo: got}
	if want, have := c.manifest().Encode(), other.manifest().Encode(); !bytes.Equal(want, have) {
		c.t.Fatalf("refs differ\nsource:   %s\nrestored: %s", want, have)
	}
	if want, have := c.repo.Objects(), got.Objects(); !slices.Equal(want, have) {
		c.t.Fatalf("%d objects are reachable, and %d at the source", len(have), len(want))
	}
}

// empty fails when the folder has anything in it.
func empty(t testing.TB, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, e := range entries {
		t.Errorf("%s was left behind", e.Name())
	}
}

func read(t testing.TB, path ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func mode(t testing.TB, path ...string) fs.FileMode {
	t.Helper()
	fi, err := os.Lstat(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return fi.Mode()
}

// damaging replaces the bytes of one part.
type damaging struct {
	gitrepo.Parts
	part   record.Hash
	change func([]byte) []byte
}

func (d damaging) Copy(ctx context.Context, w io.Writer, p *record.Part) error {
	if p.SHA256 != d.part {
		return d.Parts.Copy(ctx, w, p)
	}
	var b bytes.Buffer
	if err := d.Parts.Copy(ctx, &b, p); err != nil {
		return err
	}
	_, err := w.Write(d.change(b.Bytes()))
	return err
}
