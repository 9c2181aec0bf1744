package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"farshore/agent/repo/gittest"
)

// bareAt makes what looks like a repository.
func bareAt(t *testing.T, dir string) {
	t.Helper()
	put(t, filepath.Join(dir, "HEAD"), "ref: refs/heads/main\n")
	for _, sub := range []string{"objects/pack", "refs/heads"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func walkAll(t *testing.T, root, match string) (paths, failed []string) {
	t.Helper()
	before := ""
	err := Walk(t.Context(), root, match, func(f Found) error {
		if f.Path <= before {
			t.Errorf("%q comes after %q", f.Path, before)
		}
		before = f.Path
		if f.Err != nil {
			failed = append(failed, f.Path)
			return nil
		}
		paths = append(paths, f.Path)
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	return paths, failed
}

// TestWalk finds what is there in the order of its bytes.
func TestWalk(t *testing.T) {
	top := t.TempDir()
	root := filepath.Join(top, "root")
	for _, dir := range []string{"a.git", "a/b.git", "a-b.git", "a/x/.git", "a!", "Z.git", "\xff\xfe.git", "plain", "a.git/inner.git", "work/.git", "work/.git/modules/sub", "work/.git/modules/sub/modules/deep"} {
		bareAt(t, filepath.Join(root, dir))
	}
	bareAt(t, filepath.Join(top, "outside.git"))
	put(t, filepath.Join(root, "work/sub/.git"), "gitdir: ../.git/modules/sub\n")
	put(t, filepath.Join(root, "work/sub/deep/.git"), "gitdir: ../../.git/modules/sub/modules/deep\n")
	put(t, filepath.Join(root, "tree/.git"), "gitdir: "+filepath.Join(root, "work/.git/worktrees/tree")+"\n")
	put(t, filepath.Join(root, "work/.git/worktrees/tree/HEAD"), "ref: refs/heads/x\n")
	put(t, filepath.Join(root, "same/.git"), "gitdir: ../plain\n")
	put(t, filepath.Join(root, "out/.git"), "gitdir: "+filepath.Join(top, "outside.git")+"\n")
	put(t, filepath.Join(root, "odd/.git"), "no git file\n")
	put(t, filepath.Join(root, "folder.git/readme"), "no repository\n")
	for name, target := range map[string]string{"linked.git": "../outside.git", "loop": ".", "linked-in": "a"} {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	all := []string{"Z.git", "a!", "a-b.git", "a.git", "a/b.git", "a/x/.git", "plain", "work/.git", "work/sub/.git", "work/sub/deep/.git", "\xff\xfe.git"}
	for _, test := range []struct {
		match string
		want  []string
	}{
		{"", all},
		{"*", all},
		{"a*.git", []string{"a-b.git", "a.git"}},
		{"a/*.git", []string{"a/b.git"}},
		{"*/.git", []string{"work/.git"}},
		{"none", nil},
	} {
		if got, failed := walkAll(t, root, test.match); !slices.Equal(got, test.want) || len(failed) > 0 {
			t.Errorf("match %q: %q, want %q; failed: %q", test.match, got, test.want, failed)
		}
	}
	if err := os.Symlink(root, filepath.Join(top, "link")); err != nil {
		t.Fatal(err)
	}
	if got, _ := walkAll(t, filepath.Join(top, "link"), ""); !slices.Equal(got, all) {
		t.Errorf("through a symbolic link to the root: %q", got)
	}
	if got, _ := walkAll(t, filepath.Join(root, "a.git"), ""); !slices.Equal(got, []string{"a.git"}) {
		t.Errorf("the root is a repository: %q", got)
	}
}

// TestWalkErrors checks what ends a walk.
func TestWalkErrors(t *testing.T) {
	root := t.TempDir()
	bareAt(t, filepath.Join(root, "a.git"))
	bareAt(t, filepath.Join(root, "b.git"))
	stop := errors.New("stop")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, test := range map[string]struct {
		ctx         context.Context
		root, match string
		yield, want error
	}{
		"yield":   {t.Context(), root, "", stop, stop},
		"context": {ended, root, "", nil, context.Canceled},
		"root":    {t.Context(), filepath.Join(root, "none"), "", nil, os.ErrNotExist},
		"pattern": {t.Context(), root, "[", nil, nil},
	} {
		n := 0
		err := Walk(test.ctx, test.root, test.match, func(Found) error {
			n++
			return test.yield
		})
		if err == nil || test.want != nil && !errors.Is(err, test.want) || n > 1 {
			t.Errorf("%s: %v after %d", name, err, n)
		}
	}
}

// TestWalkDenied reports folders that can't be read where they stand, and goes on.
func TestWalkDenied(t *testing.T) {
	root := openTemp(t)
	for _, dir := range []string{"a.git", "closed/in.git", "shut.git", "unsearchable/in.git", "z.git"} {
		bareAt(t, filepath.Join(root, dir))
	}
	for dir, mode := range map[string]os.FileMode{"closed": 0, "shut.git": 0, "unsearchable": 0o444} {
		if err := os.Chmod(filepath.Join(root, dir), mode); err != nil {
			t.Fatal(err)
		}
	}
	var got, failed []string
	asNobody(t, func() { got, failed = walkAll(t, root, "") })
	for _, dir := range []string{"closed", "shut.git", "unsearchable"} {
		if err := os.Chmod(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(got, []string{"a.git", "shut.git", "unsearchable/in.git", "z.git"}) || !slices.Equal(failed, []string{"closed/", "unsearchable/"}) {
		t.Errorf("found %q, failed %q", got, failed)
	}
}

// TestSubmodule captures a submodule of a real working copy, whose configuration names a working tree.
func TestSubmodule(t *testing.T) {
	root := t.TempDir()
	base := gittest.Large(t, filepath.Join(root, "base.git"), 5, 4)
	work := gittest.New(t, filepath.Join(root, "work"), "sha1", false)
	work.Commit("main", map[string]string{"a": "b"})
	work.Run("reset", "--hard", "-q")
	git := *work.Git
	git.Env = append(slices.Clone(git.Env), "GIT_CONFIG_NOSYSTEM=1")
	if _, err := git.Output(t.Context(), nil, "-C", work.Work, "submodule", "add", "-q", "file://"+base.Dir, "sub"); err != nil {
		t.Fatal(err)
	}
	got, failed := walkAll(t, root, "")
	if fmt.Sprint(got, failed) != "[base.git work/.git work/sub/.git] []" {
		t.Fatalf("found %q, failed %q", got, failed)
	}
	roundTrip(t, gittest.At(t, filepath.Join(root, "work/.git/modules/sub")), nil)
	roundTrip(t, work, nil)
}
