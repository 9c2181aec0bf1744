package git

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"farshore/agent/record"
	"farshore/agent/repo/gittest"
	"farshore/agent/restore/gitrepo"
)

// flipped returns the bytes with one bit changed.
func flipped(b []byte, at int) []byte {
	b = bytes.Clone(b)
	b[at] ^= 1 << (at % 8)
	return b
}

// onlyPack returns the path and the bytes of a repository's only pack, which may be written to from then on.
func onlyPack(t *testing.T, dir string) (string, []byte) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "objects", "pack", "*.pack"))
	if err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	b, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(names[0], 0o666); err != nil {
		t.Fatal(err)
	}
	return names[0], b
}

// stride is how many bytes lie between two that are flipped, so that so many are.
func stride(bytes, flips int) int {
	if long() {
		return 1
	}
	return max(1, bytes/flips)
}

// packed makes a repository with one pack in which each object is needed.
func packed(t *testing.T, dir string) *gittest.Repo {
	t.Helper()
	r := gittest.New(t, dir, "", true)
	for _, text := range []string{"one", "two", "three"} {
		r.Commit("main", map[string]string{"a": strings.Repeat("a line of text\n", 20) + text, "b/" + text: text})
	}
	r.Run("repack", "-adfq")
	return r
}

// TestFlippedSource flips bits of a pack at the source: what is captured then is what was there before, or nothing.
func TestFlippedSource(t *testing.T) {
	root := t.TempDir()
	r := packed(t, filepath.Join(root, "r.git"))
	want := stateOf(r)
	name, good := onlyPack(t, r.Dir)
	step, refused := stride(len(good), 15), 0
	for at := 0; at < len(good); at += step {
		write(t, name, string(flipped(good, at)))
		p := replicate(t, Options{Address: "git+file://" + root, LFS: "off"})
		p.must()
		rec := p.records[item{"r.git", record.KindGit}]
		omitted := rec.Attrs[record.AttrOmitted]
		if rec.State == record.Present && omitted == "" {
			p.restores("captured with a flipped bit", p.set("r.git"), want)
			continue
		}
		refused++
		if rec.State == record.Present { // git has no longer what the ref points to
			if !strings.Contains(omitted, "refs/heads/main") {
				t.Errorf("byte %d: omitted says %q", at, omitted)
			}
			continue
		}
		if rec.Detail == "" || rec.Reason != record.ReasonBroken && rec.Reason != record.ReasonOther {
			t.Errorf("byte %d: %s %q", at, rec.Reason, rec.Detail)
		}
	}
	if refused == 0 {
		t.Error("no flip was noticed")
	}
}

// flippedParts gives the pack parts with one bit changed.
type flippedParts struct {
	gitrepo.Parts
	at int
}

// Copy changes a bit, as a store would that nobody checks.
func (f flippedParts) Copy(ctx context.Context, w io.Writer, p *record.Part) error {
	if p.Kind != record.PartPack {
		return f.Parts.Copy(ctx, w, p)
	}
	var b bytes.Buffer
	if err := f.Parts.Copy(ctx, &b, p); err != nil {
		return err
	}
	_, err := w.Write(flipped(b.Bytes(), f.at))
	return err
}

// TestFlippedStored flips bits of a stored pack, past all checks of the vault: git still refuses each, and the pack is named.
func TestFlippedStored(t *testing.T) {
	root := t.TempDir()
	packed(t, filepath.Join(root, "r.git"))
	p := replicate(t, Options{Address: "git+file://" + root, LFS: "off"})
	p.must()
	size := int(packs(p.get("r.git", record.KindGit))[0].Size)
	for at := 0; at < size; at += stride(size, 25) {
		dir := filepath.Join(t.TempDir(), "r.git")
		_, err := gitrepo.Build(t.Context(), flippedParts{p.memory, at}, p.set("r.git"), dir, gitrepo.Options{})
		if err == nil || !strings.Contains(err.Error(), "pack 1 of 1") {
			t.Errorf("byte %d: %v", at, err)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("byte %d: something is left", at)
		}
	}
}

// TestFlippedRestored flips bits of the pack of a restored repository: the check finds each.
func TestFlippedRestored(t *testing.T) {
	root := t.TempDir()
	packed(t, filepath.Join(root, "r.git"))
	p := replicate(t, Options{Address: "git+file://" + root, LFS: "off"})
	p.must()
	dir := filepath.Join(t.TempDir(), "r.git")
	if _, err := gitrepo.Build(t.Context(), p.memory, p.set("r.git"), dir, gitrepo.Options{}); err != nil {
		t.Fatal(err)
	}
	name, good := onlyPack(t, dir)
	for at := 0; at < len(good); at += stride(len(good), 20) {
		write(t, name, string(flipped(good, at)))
		if problems, err := gitrepo.Check(t.Context(), p.memory, p.set("r.git"), dir); err != nil || len(problems) == 0 {
			t.Errorf("byte %d: %q, %v", at, problems, err)
		}
	}
	write(t, name, string(good))
	if problems, err := gitrepo.Check(t.Context(), p.memory, p.set("r.git"), dir); err != nil || len(problems) > 0 {
		t.Errorf("put right: %q, %v", problems, err)
	}
}
