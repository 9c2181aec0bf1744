package gitrepo_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"farshore/agent/record"
	"farshore/agent/repo/gittest"
	"farshore/agent/restore/gitrepo"
	"farshore/agent/vault"
)

// hostile are files beside a repository that run a command or lead elsewhere wherever something heeds them.
func hostile(mark string) map[string]string {
	command := "touch " + mark
	return map[string]string{
		"config": "[core]\n\trepositoryformatversion = 1\n\tbare = false\n\tfsmonitor = " + command + "\n\thooksPath = hooks\n\tworktree = /\n\tsshCommand = " + command +
			"\n[extensions]\n\tobjectFormat = sha256\n\tpartialClone = origin\n[receive]\n\tdenyDeletes = true\n[extensions]\n\tworktreeConfig = true\n[remote \"origin\"]\n\turl = ext::" + command + "\n\tpromisor = true\n",
		"hooks/pre-receive*": "#!/bin/sh\n" + command + "\n", "hooks/reference-transaction*": "#!/bin/sh\n" + command + "\n", "hooks/post-checkout": "#!/bin/sh\n" + command + "\n",
		"info/attributes": "* filter=x\n", "info/exclude": "*.o\n", "info/grafts": "nonsense\n", "description": "what it is\n",
		"objects/info/alternates": "/nowhere\n", "../escaped": "x", "/absolute": "x", "a/../../b": "x", "HEAD": "ref: refs/heads/evil\n", "packed-refs": "nonsense\n",
		"hooks/linked=>../../../outside": "", "modules=>/": "",
	}
}

// TestSidecars holds that files beside a repository have no effect by default, that nothing of them is executed, and that none lies elsewhere.
func TestSidecars(t *testing.T) {
	for _, hooks := range []bool{false, true} {
		c := three(t)
		mark := filepath.Join(t.TempDir(), "executed")
		set := c.set()
		set.Sidecar = c.sidecar(hostile(mark))
		parent := t.TempDir()
		dir := filepath.Join(parent, "in", "app.git")
		rep, err := gitrepo.Build(t.Context(), c.mem, set, dir, gitrepo.Options{Hooks: hooks})
		c.must(err)
		c.clean(set, dir)
		if same, why, err := gitrepo.Same(t.Context(), c.mem, set, dir); err != nil || !same {
			t.Errorf("hooks %v: same: %q %v", hooks, why, err)
		}
		if _, err := gitrepo.Push(t.Context(), dir, bareAt(t, ""), gitrepo.PushOptions{}); err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(mark); err == nil {
			t.Fatalf("hooks %v: something was executed", hooks)
		}
		if len(rep.Problems) != 3 {
			t.Errorf("hooks %v: %d written, problems %q", hooks, rep.Sidecars, rep.Problems)
		}
		if entries, _ := os.ReadDir(parent); len(entries) != 1 {
			t.Errorf("something was written elsewhere: %v", entries)
		}
		if read(t, dir, "description") != "what it is\n" || read(t, dir, "HEAD") != "ref: refs/heads/main\n" {
			t.Error("the description or HEAD is not what it was")
		}
		for _, name := range []string{"objects/info/alternates", "info/grafts"} {
			if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
				t.Errorf("hooks %v: %s took its place", hooks, name)
			}
		}
		config := read(t, dir, "config")
		inert := func(name string) bool {
			_, err := os.Lstat(filepath.Join(dir, "farshore-sidecar", name))
			return err == nil
		}
		if !inert("README") || !inert("objects/info/alternates") || inert("config") == hooks || inert("hooks/pre-receive") == hooks {
			t.Errorf("hooks %v: the wrong files are in farshore-sidecar", hooks)
		}
		if !hooks {
			if strings.Contains(config, "fsmonitor") {
				t.Errorf("the configuration is in effect: %s", config)
			}
			if m := mode(t, dir, "farshore-sidecar", "hooks", "pre-receive"); m&0o111 != 0 {
				t.Errorf("a hook has mode %v", m)
			}
			continue
		}
		if m := mode(t, dir, "hooks", "pre-receive"); m.Perm() != 0o755 {
			t.Errorf("a hook has mode %v", m)
		}
		if link, err := os.Readlink(filepath.Join(dir, "hooks", "linked")); err != nil || link != "../../../outside" {
			t.Errorf("the link is %q %v", link, err)
		}
		got := gittest.At(t, dir)
		for key, want := range map[string]string{"core.repositoryformatversion": "0", "core.bare": "true", "receive.denydeletes": "true", "core.fsmonitor": "touch " + mark} {
			if have := got.Run("config", "--file", filepath.Join(dir, "config"), key); have != want {
				t.Errorf("%s is %q", key, have)
			}
		}
		if lower := strings.ToLower(config); strings.Contains(lower, "objectformat") || strings.Contains(lower, "partialclone") || strings.Contains(lower, "worktree") {
			t.Errorf("the captured form of the repository is in effect: %s", config)
		}
	}
}

// TestBrokenConfig holds that a configuration that git can't read is left without effect.
func TestBrokenConfig(t *testing.T) {
	c := three(t)
	set := c.set()
	set.Sidecar = c.sidecar(map[string]string{"config": "[core\n", "hooks/x*": "x"})
	got, rep := c.build(set, gitrepo.Options{Hooks: true})
	if len(rep.Problems) != 1 || !strings.Contains(rep.Problems[0], "config") || read(t, got.Dir, "farshore-sidecar", "config") != "[core\n" {
		t.Errorf("%+v", rep)
	}
	c.equal(got)
}

// lossy says of one part that the vault has it no longer.
type lossy struct {
	gitrepo.Parts
	part record.Hash
}

func (l lossy) Copy(ctx ctx, w ioWriter, p *record.Part) error {
	if p.SHA256 == l.part {
		return &vault.DamageError{Object: "packs/00/00", Err: os.ErrNotExist}
	}
	return l.Parts.Copy(ctx, w, p)
}

func pointerTo(p record.Part) string {
	return "version https://git-lfs.github.com/spec/v1\noid sha256:" + p.SHA256.String() + "\nsize 5\n"
}

// TestLarge holds that large files lie where git-lfs looks, that damage to one is named and costs no other, and what Check says of each.
func TestLarge(t *testing.T) {
	src := gittest.New(t, filepath.Join(t.TempDir(), "src.git"), "", true)
	c := newCapture(t, src, "app.git")
	large := c.large("first", "other")
	missing := strings.Repeat("12", 32)
	src.Commit("main", map[string]string{"one": pointerTo(large.Parts[0]), "two": pointerTo(large.Parts[1]),
		"dir/three": "version https://git-lfs.github.com/spec/v1\noid sha256:" + missing + "\nsize 5\n", "no pointer": "version 1\n"})
	c.take()
	set := c.set()
	set.LFS = large
	dir := filepath.Join(t.TempDir(), "app.git")
	rep, err := gitrepo.Build(t.Context(), c.mem, set, dir, gitrepo.Options{})
	c.must(err)
	first := large.Parts[0].SHA256.String()
	path := filepath.Join(dir, "lfs", "objects", first[:2], first[2:4], first)
	if rep.LFS != 2 || rep.LFSBytes != 10 || read(t, path) != "first" {
		t.Errorf("%+v", rep)
	}
	if found := c.check(set, dir); len(found) != 1 || !strings.Contains(found[0], missing) {
		t.Errorf("check: %q", found)
	}
	for name, attrs := range map[string]record.Attrs{"named": {record.AttrOmitted: "LFS object " + missing + " (5 bytes): not found"}, "all": {record.AttrOmitted: "objects: more than can be"}} {
		large.Attrs = attrs
		if found := c.check(set, dir); len(found) != 0 {
			t.Errorf("%s: %q", name, found)
		}
	}
	c.must(os.WriteFile(path, []byte("wrong"), 0o644))
	if found := c.check(set, dir); len(found) != 1 || !strings.Contains(found[0], first) {
		t.Errorf("check of a changed one: %q", found)
	}
	c.must(os.Remove(path))
	if found := c.check(set, dir); len(found) == 0 || !strings.Contains(found[0], first) {
		t.Errorf("check of a missing one: %q", found)
	}
	if same, why, err := gitrepo.Same(t.Context(), c.mem, set, dir); same || err != nil || !strings.Contains(why, first) {
		t.Errorf("same: %v %q %v", same, why, err)
	}

	lost := filepath.Join(t.TempDir(), "app.git")
	rep, err = gitrepo.Build(t.Context(), lossy{c.mem, large.Parts[0].SHA256}, set, lost, gitrepo.Options{})
	if err != nil || rep.LFS != 1 || rep.Damaged != 1 || len(rep.Problems) != 1 || !strings.Contains(rep.Problems[0], first) {
		t.Errorf("a lost one: %+v %v", rep, err)
	}
	changed := damaging{c.mem, large.Parts[0].SHA256, func([]byte) []byte { return []byte("worse") }}
	if _, err := gitrepo.Build(t.Context(), changed, set, filepath.Join(t.TempDir(), "x.git"), gitrepo.Options{}); err == nil || !strings.Contains(err.Error(), first) {
		t.Errorf("a changed one: %v", err)
	}
}

// TestCheckFinds changes a good repository in many ways, and holds that Check says so.
func TestCheckFinds(t *testing.T) {
	good := three(t)
	built, _ := good.build(good.set(), gitrepo.Options{})
	for name, harm := range map[string]func(t *testing.T, c *capture, dir string, got *gittest.Repo){
		"a ref moved": func(t *testing.T, c *capture, dir string, got *gittest.Repo) {
			got.Run("update-ref", "refs/heads/main", "main~1")
		},
		"a ref more": func(t *testing.T, c *capture, dir string, got *gittest.Repo) {
			got.Set("refs/tags/new", "refs/heads/main")
		},
		"a ref less": func(t *testing.T, c *capture, dir string, got *gittest.Repo) {
			got.Run("update-ref", "-d", "refs/heads/main")
		},
		"HEAD elsewhere": func(t *testing.T, c *capture, dir string, got *gittest.Repo) {
			got.Run("symbolic-ref", "HEAD", "refs/heads/x")
		},
		"borrowed objects": func(t *testing.T, c *capture, dir string, got *gittest.Repo) {
			c.must(os.MkdirAll(filepath.Join(dir, "objects/info"), 0o755))
			c.must(os.WriteFile(filepath.Join(dir, "objects/info/alternates"), []byte(c.repo.Dir+"/objects\n"), 0o644))
		},
		"shallow": func(t *testing.T, c *capture, dir string, got *gittest.Repo) {
			c.must(os.WriteFile(filepath.Join(dir, "shallow"), []byte(got.Run("rev-parse", "main")+"\n"), 0o644))
		},
		"a pack lost": func(t *testing.T, c *capture, dir string, got *gittest.Repo) {
			c.must(os.Remove(packFiles(t, dir, "pack")[0]))
		},
		"a pack and its index lost": func(t *testing.T, c *capture, dir string, got *gittest.Repo) {
			p := packFiles(t, dir, "pack")[0]
			c.must(os.Remove(p))
			c.must(os.Remove(strings.TrimSuffix(p, "pack") + "idx"))
		},
		"a bit flipped": func(t *testing.T, c *capture, dir string, got *gittest.Repo) {
			p := packFiles(t, dir, "pack")[0]
			b := []byte(read(t, p))
			b[len(b)-40] ^= 1
			c.must(os.Chmod(p, 0o644))
			c.must(os.WriteFile(p, b, 0o644))
		},
		"no repository": func(t *testing.T, c *capture, dir string, got *gittest.Repo) {
			c.must(os.Remove(filepath.Join(dir, "HEAD")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := good.in(t)
			dir := filepath.Join(t.TempDir(), "app.git")
			c.must(os.CopyFS(dir, os.DirFS(built.Dir)))
			got := gittest.At(t, dir)
			harm(t, c, got.Dir, got)
			if found := c.check(c.set(), got.Dir); len(found) == 0 {
				t.Error("nothing was found")
			}
			same, why, err := gitrepo.Same(t.Context(), c.mem, c.set(), got.Dir)
			if same && name != "borrowed objects" && name != "a bit flipped" && name != "shallow" || err != nil || !same && why == "" {
				t.Errorf("same: %v %q %v", same, why, err)
			}
		})
	}
}

func packFiles(t *testing.T, dir, suffix string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "objects", "pack", "*."+suffix))
	if err != nil || len(all) == 0 {
		t.Fatalf("no packs: %v", err)
	}
	slices.Sort(all)
	return all
}

// TestBaseline holds that what git fsck says of an object's content is no problem, that a missing object is one, and that it is none where it is on record.
func TestBaseline(t *testing.T) {
	src := gittest.New(t, filepath.Join(t.TempDir(), "src.git"), "", true)
	tip := src.Commit("main", map[string]string{"a": "1", "lost": "this one is lost"})
	odd, err := src.Git.Output(t.Context(), strings.NewReader("tree "+src.Run("rev-parse", tip+"^{tree}")+"\nparent "+tip+"\nauthor A <a@example.org>0 +0000\ncommitter A <a@example.org> 0 +0000\n\nodd\n"),
		"hash-object", "-t", "commit", "-w", "--stdin", "--literally")
	if err != nil {
		t.Fatal(err)
	}
	src.Set("refs/heads/main", string(bytes.TrimSpace(odd)))
	c := newCapture(t, src, "app.git")
	c.take()
	c.build(c.set(), gitrepo.Options{}) // which checks

	lost := src.Run("rev-parse", tip+":lost")
	m := c.manifest()
	partial := newCapture(t, src, "app.git")
	ids := strings.Fields(src.Input(strings.Join(m.Tips(), "\n")+"\n", "rev-list", "--objects", "--no-object-names", "--stdin"))
	ids = slices.DeleteFunc(ids, func(id string) bool { return id == lost })
	pack, err := src.Git.Output(t.Context(), strings.NewReader(strings.Join(ids, "\n")+"\n"), "pack-objects", "--stdout", "-q")
	c.must(err)
	partial.with(m)
	p := &partial.rec.Parts[partial.packs()[0]]
	stored, err := partial.mem.Part(t.Context(), record.Part{Kind: record.PartPack, Attrs: record.Attrs{"objects": itoa(len(ids)), "trailer": trailerOf(pack), "ids": gittest.SumIDs(t, ids)}}, -1, bytes.NewReader(pack))
	c.must(err)
	*p = stored
	dir := filepath.Join(t.TempDir(), "app.git")
	_, err = gitrepo.Build(t.Context(), partial.mem, partial.set(), dir, gitrepo.Options{})
	c.must(err)
	found := partial.check(partial.set(), dir)
	if len(found) == 0 || !strings.Contains(strings.Join(found, "\n"), lost) {
		t.Fatalf("check: %q", found)
	}
	var said strings.Builder
	for _, line := range found {
		said.WriteString(strings.TrimPrefix(line, "git fsck: ") + "\n")
	}
	fsck, err := partial.mem.Lines(t.Context(), record.Part{Kind: record.PartFsck}, []byte(said.String()))
	c.must(err)
	partial.rec.Parts = slices.Insert(partial.rec.Parts, 2, fsck)
	partial.clean(partial.set(), dir)
}
