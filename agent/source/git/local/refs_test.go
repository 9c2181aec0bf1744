package local

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"farshore/agent/repo/gittest"
	"farshore/agent/repo/refs"
)

// TestBrokenRefs leaves out what can't be captured, says so, and captures the rest.
func TestBrokenRefs(t *testing.T) {
	r := gittest.New(t, t.TempDir(), "sha1", true)
	main := r.Commit("main", map[string]string{"a": "b"})
	lost := r.Commit("lost", map[string]string{"c": "d"})
	remove(t, loose(r, lost))
	r.Run("symbolic-ref", "refs/heads/dangling", "refs/heads/nothing")
	put(t, filepath.Join(r.Dir, "refs/heads/garbage"), "garbage\n")
	put(t, filepath.Join(r.Dir, "refs/heads/zero"), strings.Repeat("0", 40)+"\n")
	put(t, filepath.Join(r.Dir, "refs/heads/a..b"), main+"\n")
	put(t, filepath.Join(r.Dir, "refs/heads/empty"), "")
	repo := open(t, r.Dir, Options{})
	m, err := repo.Refs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []refs.Ref{{Name: "refs/heads/dangling", Symref: "refs/heads/nothing"}, {Name: "refs/heads/main", OID: main}}
	if !slices.Equal(m.Refs, want) {
		t.Errorf("refs are %v", m.Refs)
	}
	lines := strings.Split(strings.TrimSuffix(repo.Omitted(), "\n"), "\n")
	if len(lines) != 5 {
		t.Errorf("omitted: %q", lines)
	}
	for _, name := range []string{"refs/heads/lost", "refs/heads/garbage", "refs/heads/zero", "refs/heads/a..b", "refs/heads/empty"} {
		if !strings.Contains(repo.Omitted(), name+": ") {
			t.Errorf("%s is not named as omitted: %q", name, lines)
		}
	}
	c := take(t, r.Dir, Options{}, nil)
	c.m.Refs = slices.DeleteFunc(c.m.Refs, func(ref refs.Ref) bool { return ref.OID == "" })
	if got := restore(t, c).Objects(); len(got) != 3 {
		t.Errorf("%d objects were restored", len(got))
	}
}

// TestReflogs finds what only reflogs keep: commits that were forced away and stashes.
func TestReflogs(t *testing.T) {
	dir := t.TempDir()
	r := gittest.New(t, dir, "sha1", false)
	r.Commit("main", map[string]string{"a": "one"})
	r.Run("reset", "--hard", "-q")
	var stashes []string
	for _, content := range []string{"first", "second"} {
		put(t, filepath.Join(dir, "a"), content)
		r.Run("stash", "push", "-q")
		stashes = append(stashes, r.Run("rev-parse", "stash@{0}"))
	}
	r.Run("commit", "--allow-empty", "-q", "-m", "forced away")
	away := r.Run("rev-parse", "HEAD")
	r.Run("reset", "--hard", "-q", "HEAD~1")
	plain := take(t, r.Dir, Options{}, nil)
	full := take(t, r.Dir, Options{Reflogs: true}, nil)
	for _, oid := range []string{stashes[0], away} {
		name := "refs/farshore/reflog/" + oid
		if slices.Contains(plain.m.Tips(), oid) || manifestRefs(full.m)[name] != oid {
			t.Errorf("%s: the refs are %v", oid, full.m.Refs)
		}
	}
	restored := restore(t, full)
	restored.Run("cat-file", "-e", stashes[0]+":a")
	repo := open(t, r.Dir, Options{Reflogs: true})
	if names := sidecarNames(t, repo); !slices.Contains(names, "logs/refs/stash") {
		t.Errorf("sidecars are %v", names)
	}
}

// TestManyRefs captures 100,000 refs in a few seconds.
func TestManyRefs(t *testing.T) {
	const many = 100_000
	r := gittest.New(t, t.TempDir(), "sha1", true)
	tips := []string{r.Commit("main", map[string]string{"a": "b"}), r.Commit("main", map[string]string{"a": "c"})}
	var packed strings.Builder
	packed.WriteString("# pack-refs with: sorted \n")
	for i := range many {
		fmt.Fprintf(&packed, "%s refs/pull/%06d/head\n", tips[i%2], i)
	}
	put(t, filepath.Join(r.Dir, "packed-refs"), packed.String())
	start := time.Now()
	c := take(t, r.Dir, Options{}, nil)
	took := time.Since(start)
	t.Logf("%d refs took %v", many, took)
	if len(c.m.Refs) != many+1 {
		t.Errorf("%d refs", len(c.m.Refs))
	}
	if took > 30*time.Second {
		t.Errorf("it took %v", took)
	}
}
