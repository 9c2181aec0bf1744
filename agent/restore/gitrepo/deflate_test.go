package gitrepo_test

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"farshore/agent/record"
	"farshore/agent/repo/gitpack"
	"farshore/agent/repo/gittest"
	"farshore/agent/restore/gitrepo"
	"farshore/agent/restore/internal/workplace"
)

// TestAsGitMade holds that packs which were stored as git gave them are restored byte for byte.
func TestAsGitMade(t *testing.T) {
	t.Parallel()
	src := gittest.New(t, filepath.Join(t.TempDir(), "src.git"), "", true)
	src.Commit("main", map[string]string{"a": strings.Repeat("text\n", 1000)})
	c := newCapture(t, src, "app.git")
	c.raw = true
	c.take()
	var stored strings.Builder
	c.must(c.mem.Copy(t.Context(), &stored, &c.rec.Parts[c.packs()[0]]))
	got, _ := c.build(c.set(), gitrepo.Options{})
	c.equal(got)
	if read(t, packFiles(t, got.Dir, "pack")[0]) != stored.String() {
		t.Error("the repository's pack is another one")
	}
	var bundle strings.Builder
	c.must(gitrepo.Bundle(t.Context(), c.mem, c.set(), &bundle, t.TempDir()))
	if !strings.HasSuffix(bundle.String(), stored.String()) {
		t.Error("the bundle's pack is another one")
	}
	c.bundled(got)
}

// countless gives the bytes of a part once with a number of objects that is too large for the pack to be rewritten, and then as they are.
type countless struct {
	gitrepo.Parts
	part record.Hash
	once *sync.Once
}

func (p countless) Copy(ctx ctx, w ioWriter, part *record.Part) error {
	if part.SHA256 == p.part {
		p.once.Do(func() { w = enlarging{w} })
	}
	return p.Parts.Copy(ctx, w, part)
}

// enlarging is a writer of packs that writes another number of objects.
type enlarging struct{ w io.Writer }

func (e enlarging) Write(b []byte) (int, error) {
	if string(b[:min(4, len(b))]) == "PACK" {
		b = slices.Clone(b)
		binary.BigEndian.PutUint32(b[8:], 1<<31)
	}
	return e.w.Write(b)
}

// TestKept holds that a pack that can't be rewritten is taken as it is.
func TestKept(t *testing.T) {
	t.Parallel()
	c := three(t)
	for i := range c.packs() {
		dir := filepath.Join(t.TempDir(), "app.git")
		parts := countless{c.mem, c.rec.Parts[c.packs()[i]].SHA256, new(sync.Once)}
		_, err := gitrepo.Build(t.Context(), parts, c.set(), dir, gitrepo.Options{})
		c.must(err)
		c.clean(c.set(), dir)
		c.equal(gittest.At(t, dir))
		if left, _ := filepath.Glob(filepath.Join(dir, "objects", "pack", "tmp_*")); len(left) > 0 {
			t.Errorf("left behind: %q", left)
		}
	}
	first := newCapture(t, c.repo, "app.git")
	first.take()
	file := filepath.Join(t.TempDir(), "x.bundle")
	parts := countless{first.mem, first.rec.Parts[first.packs()[0]].SHA256, new(sync.Once)}
	c.must(workplace.NewFile(file, func(w io.Writer) error { return gitrepo.Bundle(t.Context(), parts, first.set(), w, "") }))
	if same, err := gitrepo.SameBundle(t.Context(), first.mem, first.set(), file); err != nil || !same {
		t.Errorf("the bundle is not whole: %v", err)
	}
	if fi, err := os.Stat(file); err != nil || fi.Size() < first.rec.Parts[first.packs()[0]].Size {
		t.Errorf("the bundle is smaller than the stored pack: %v", err)
	}

	always := damaging{c.mem, c.rec.Parts[c.packs()[0]].SHA256, func(b []byte) []byte {
		b = slices.Clone(b)
		binary.BigEndian.PutUint32(b[8:], 1<<31)
		return b
	}}
	if _, err := gitrepo.Build(t.Context(), always, c.set(), filepath.Join(t.TempDir(), "x.git"), gitrepo.Options{}); err == nil || errors.Is(err, gitpack.ErrKeep) {
		t.Errorf("a pack that no git takes: %v", err)
	}
}
