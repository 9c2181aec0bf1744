package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"farshore/agent/record"
	"farshore/agent/repo/gitcmd"
	"farshore/agent/repo/gittest"
	"farshore/agent/source"
	"farshore/agent/source/git/local"
	"farshore/agent/source/sourcetest"
)

// TestLostAndBroken holds that a repository with a lost ref and a damaged object is broken, as one with the damaged object alone: that it changes is not said of
// it, and no more packs are asked for.
func TestLostAndBroken(t *testing.T) {
	root := t.TempDir()
	r := packed(t, filepath.Join(root, "r.git"))
	lost := r.Commit("other", map[string]string{"c": "to be lost"})
	p := replicate(t, Options{Address: "git+file://" + root, LFS: "off"})
	p.must()
	first := p.get("r.git", record.KindGit)
	if err := os.Remove(filepath.Join(r.Dir, "objects", lost[:2], lost[2:])); err != nil {
		t.Fatal(err)
	}
	repo, err := local.Open(t.Context(), r.Dir, local.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer repo.Close()
	r.Commit("main", map[string]string{"d": strings.Repeat("new work\n", 100)})
	b := &liar{Repository: repo, pack: damagedPack(repo)}
	h := &history{source: p.src, repo: p.src.at("r.git"), backend: b, sink: new(sourcetest.Memory)}
	if h.last, err = load(t.Context(), p.memory, first); err != nil || h.last == nil {
		t.Fatal(h.last, err)
	}
	_, _, err = h.capture(t.Context())
	if !h.lost || b.asked != 2 {
		t.Errorf("a ref was lost: %v; %d packs were asked for", h.lost, b.asked)
	}
	if u := toldOf(p.src.failure(t.Context(), h.repo, err)); !strings.HasPrefix(u, record.ReasonBroken) {
		t.Errorf("it is %s", u)
	}
}

// TestMachineKilled holds that damage which was known stays known when git fsck is killed, and that an agent without git or a temporary directory says so of all.
func TestMachineKilled(t *testing.T) {
	root := t.TempDir()
	r := gittest.New(t, filepath.Join(root, "r.git"), "", true)
	r.Commit("main", map[string]string{"a": "what it says"})
	file := func(content string) string {
		oid := r.Blob(content)
		return filepath.Join(r.Dir, "objects", oid[:2], oid[2:])
	}
	right, wrong := file("what it says"), file("something else")
	if err := errors.Join(os.Remove(right), os.Link(wrong, right)); err != nil {
		t.Fatal(err)
	}
	p := replicate(t, Options{Address: "git+file://" + root, LFS: "off"})
	p.must()
	before := p.get("r.git", record.KindGit).Attrs[record.AttrOmitted]
	if !strings.HasPrefix(before, noteDamage) {
		t.Fatalf("omitted: %q", before)
	}
	killed(t, "fsck")
	p.must()
	if now := p.get("r.git", record.KindGit).Attrs[record.AttrOmitted]; now != before {
		t.Errorf("omitted: %q", now)
	}
	entries := sourcetest.List(t, p.src, source.Range{})
	for name, want := range map[string]error{"TMPDIR": local.ErrScratch, "PATH": gitcmd.ErrMissing} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, filepath.Join(root, "none"))
			for _, e := range entries {
				if e.Kind != record.KindGit {
					continue
				}
				if _, err := p.src.Capture(t.Context(), e, nil, p.memory); !errors.Is(err, want) || toldOf(err) != "" {
					t.Errorf("%s: %v", e.Path, err)
				}
			}
		})
	}
}

// toldOf is what an error says of one repository alone, "" where it says nothing of it.
func toldOf(err error) string {
	var bad *source.Unreadable
	if !errors.As(err, &bad) {
		return ""
	}
	return bad.Reason + ": " + bad.Detail
}

// damagedPack gives packs of the repository with a byte of their first object changed.
func damagedPack(repo *local.Repository) func(context.Context, []string, []string, bool) (io.ReadCloser, error) {
	return func(ctx context.Context, wants, haves []string, thin bool) (io.ReadCloser, error) {
		s, err := repo.Pack(ctx, wants, haves, thin)
		if err != nil {
			return nil, err
		}
		defer s.Close()
		b, err := io.ReadAll(s)
		if err != nil {
			return nil, err
		}
		return io.NopCloser(bytes.NewReader(flipped(b, 20))), nil
	}
}

// killed puts a git into the PATH one of whose subcommands is killed.
func killed(t *testing.T, command string) {
	t.Helper()
	real, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	text := fmt.Sprintf("#!/bin/sh\nfor a; do if [ \"$a\" = %s ]; then kill -9 $$; fi; done\nexec %s \"$@\"\n", command, real)
	if err := os.WriteFile(filepath.Join(dir, "git"), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}
