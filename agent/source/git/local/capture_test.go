package local

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"farshore/agent/record"
	"farshore/agent/repo/gittest"
)

// TestShapes captures each shape of repository, alone and on top of a capture before the change.
func TestShapes(t *testing.T) {
	template := gittest.New(t, filepath.Join(t.TempDir(), "template.git"), "sha1", true)
	template.Commit("main", map[string]string{"a": "one", "dir/b": "two"})
	template.Commit("main", map[string]string{"a": "three"})
	template.Branch("topic", "main")
	template.Commit("topic", map[string]string{"t": "topic"})
	before := roundTrip(t, template, nil)
	for _, test := range []struct {
		name   string
		change func(r *gittest.Repo)
		count  int64 // objects of the second pack; -1: any
	}{
		{"nothing changes", func(*gittest.Repo) {}, 0},
		{"a tag on an old commit", func(r *gittest.Repo) { r.Tag("old", "main~1", "") }, 0},
		{"a branch is rewound", func(r *gittest.Repo) { r.Force("main", "main~1") }, 0},
		{"a branch is deleted", func(r *gittest.Repo) { r.Delete("refs/heads/topic") }, 0},
		{"a branch is deleted and a commit made", func(r *gittest.Repo) {
			r.Delete("refs/heads/topic")
			r.Commit("main", map[string]string{"n": "new"})
		}, 3},
		{"a branch becomes a folder", func(r *gittest.Repo) {
			r.Delete("refs/heads/topic")
			r.Branch("topic/x", "main")
		}, 0},
		{"HEAD points to another branch with the same commit", func(r *gittest.Repo) {
			r.Branch("develop", "main")
			r.Run("symbolic-ref", "HEAD", "refs/heads/develop")
		}, 0},
		{"HEAD points to a branch that is not there", func(r *gittest.Repo) { r.Run("symbolic-ref", "HEAD", "refs/heads/none") }, 0},
		{"HEAD is detached at a commit of its own", func(r *gittest.Repo) {
			r.Commit("gone", map[string]string{"d": "detached"})
			r.Run("update-ref", "--no-deref", "HEAD", "refs/heads/gone")
			r.Delete("refs/heads/gone")
		}, 3},
		{"tags of a blob, of a tree, of a tag", func(r *gittest.Repo) {
			r.Tag("blob", r.Blob("only a blob"), "")
			r.Tag("blob2", r.Blob("tagged"), "a tagged blob")
			r.Tag("tree", "main^{tree}", "")
			r.Tag("tag", "blob2", "a tag of a tag")
		}, -1},
		{"refs outside of heads and tags", func(r *gittest.Repo) {
			r.Set("refs/remotes/origin/x", r.Commit("x", map[string]string{"x": "x"}))
			r.Delete("refs/heads/x")
			r.Set("refs/pull/7/head", "main")
			r.Set("refs/keep-around/1", "main~1")
			r.Run("config", "transfer.hideRefs", "refs/keep-around")
		}, 3},
		{"a replaced commit", func(r *gittest.Repo) {
			other := r.Commit("other", map[string]string{"r": "replacement"})
			r.Delete("refs/heads/other")
			r.Run("replace", "main", other)
		}, 3},
		{"a name that is not UTF-8", func(r *gittest.Repo) {
			r.Branch("caf\xe9", "main")
			r.Commit("\xff\xfe", map[string]string{"caf\xe9/\xff\n\"": "name"})
		}, 4},
		{"symbolic refs", func(r *gittest.Repo) {
			r.Run("symbolic-ref", "refs/remotes/origin/HEAD", "refs/heads/main")
			r.Run("symbolic-ref", "refs/heads/alias", "refs/heads/topic")
		}, 0},
		{"everything is packed", func(r *gittest.Repo) {
			r.Commit("main", map[string]string{"n": "new"})
			r.Run("gc", "--prune=now", "--quiet")
		}, 3},
		{"many packs, an index of them and a commit graph", func(r *gittest.Repo) {
			r.Run("repack", "-q", "-d")
			r.Commit("main", map[string]string{"n": "new"})
			r.Run("repack", "-q", "-d")
			r.Run("multi-pack-index", "write")
			r.Run("commit-graph", "write", "--reachable")
			r.Force("main", "main~1")
			r.Run("gc", "--prune=now", "--quiet")
			r.Commit("main", map[string]string{"n": "newer"})
		}, 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "a.git")
			if err := os.CopyFS(dir, os.DirFS(template.Dir)); err != nil {
				t.Fatal(err)
			}
			r := gittest.At(t, dir)
			test.change(r)
			after := roundTrip(t, r, before)
			if test.count >= 0 && after.count != test.count {
				t.Errorf("%d objects were packed, want %d", after.count, test.count)
			}
			if whole := take(t, dir, Options{}, nil); int(whole.count) != len(r.Objects()) || whole.m.Digest() != after.m.Digest() {
				t.Errorf("alone it is %d objects, want %d", whole.count, len(r.Objects()))
			}
		})
	}
}

// TestFormats captures repositories of both formats, bare and of working copies, from empty to filled.
func TestFormats(t *testing.T) {
	for _, format := range []string{"sha1", "sha256"} {
		for _, bare := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s bare=%v", format, bare), func(t *testing.T) {
				r := gittest.New(t, t.TempDir(), format, bare)
				empty := roundTrip(t, r, nil)
				if len(empty.m.Refs) != 0 || empty.m.Head != "refs/heads/main" || empty.m.Format != format || empty.count != 0 {
					t.Errorf("the empty repository is %+v with %d objects", empty.m, empty.count)
				}
				r.Commit("main", map[string]string{"a": "b"})
				if filled := roundTrip(t, r, empty); filled.count != 3 {
					t.Errorf("%d objects", filled.count)
				}
			})
		}
	}
}

// TestIDs compares the sum of ids with one made the plain way.
func TestIDs(t *testing.T) {
	r := gittest.Large(t, t.TempDir(), 60, 1)
	repo := open(t, r.Dir, Options{})
	m, err := repo.Refs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p, err := repo.Pack(t.Context(), m.Tips(), nil, false)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := io.Copy(io.Discard, p); err != nil {
		t.Fatal(err)
	}
	count, ids := p.(interface{ IDs() (int64, string) }).IDs()
	all := r.Objects()
	if want := gittest.SumIDs(t, all); int(count) != len(all) || ids != want {
		t.Errorf("%d objects with the sum %s, want %d with %s", count, ids, len(all), want)
	}
}

// TestHistory follows a repository through many random changes, each capture on top of the one before.
func TestHistory(t *testing.T) {
	rounds, seeds := 8, 1
	if os.Getenv("FARSHORE_TEST_LONG") == "1" {
		rounds, seeds = 40, 4
	}
	for seed := range seeds {
		h := gittest.NewHistory(t, filepath.Join(t.TempDir(), "h.git"), uint64(seed))
		var c *taken
		for range rounds {
			var did []string
			for range 4 {
				did = append(did, h.Step())
			}
			c = take(t, h.Dir, Options{}, c)
			if got, want := manifestRefs(c.m), h.Refs(); !maps.Equal(got, want) {
				t.Fatalf("seed %d after %v: refs are\n%v, want\n%v", seed, did, got, want)
			}
		}
		restored := restore(t, c)
		if got := restored.Objects(); !slices.Equal(got, h.Objects()) {
			t.Errorf("seed %d: the restored repository has other objects", seed)
		}
	}
}

// TestThin checks that a thin pack is one, that its objects are those of one that is not, and that it is smaller.
func TestThin(t *testing.T) {
	r := gittest.Large(t, t.TempDir(), 60, 3)
	repo := open(t, r.Dir, Options{})
	var sizes [2]int
	var sums [2]string
	for i, thin := range []bool{false, true} {
		p, err := repo.Pack(t.Context(), []string{r.Run("rev-parse", "main")}, []string{r.Run("rev-parse", "main~20")}, thin)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		pack, err := io.ReadAll(p)
		if err != nil {
			t.Fatal(err)
		}
		_, sums[i] = p.(interface{ IDs() (int64, string) }).IDs()
		sizes[i] = len(pack)
		empty := gittest.New(t, t.TempDir(), "sha1", true)
		if _, err := empty.Git.Output(t.Context(), bytes.NewReader(pack), "index-pack", "--stdin"); (err != nil) != thin {
			t.Errorf("thin=%v: indexing it alone: %v", thin, err)
		}
	}
	if sizes[1] >= sizes[0] || sums[0] != sums[1] {
		t.Errorf("sizes %v, sums %v", sizes, sums)
	}
}

// TestHaves ignores haves that are not there, and wants that are not are ErrMoved.
func TestHaves(t *testing.T) {
	r := gittest.New(t, t.TempDir(), "sha1", true)
	first := r.Commit("main", map[string]string{"a": "b"})
	second := r.Commit("main", map[string]string{"a": "c"})
	absent := strings.Repeat("ab", 20)
	repo := open(t, r.Dir, Options{})
	p, err := repo.Pack(t.Context(), []string{second}, []string{absent, first}, true)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := io.Copy(io.Discard, p); err != nil {
		t.Fatal(err)
	}
	if n, _ := p.(interface{ IDs() (int64, string) }).IDs(); n != 3 {
		t.Errorf("%d objects, want 3", n)
	}
	q, err := repo.Pack(t.Context(), []string{absent}, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	if _, err := io.Copy(io.Discard, q); !errors.Is(err, ErrMoved) {
		t.Errorf("a want that is not there: %v", err)
	}
}

// TestHaveVanishes loses a have after it was seen to be there.
func TestHaveVanishes(t *testing.T) {
	r := gittest.New(t, t.TempDir(), "sha1", true)
	main := r.Commit("main", map[string]string{"a": "b"})
	repo := open(t, r.Dir, Options{})
	if _, err := repo.Refs(t.Context()); err != nil {
		t.Fatal(err)
	}
	p, err := repo.start(t.Context(), []string{main}, []string{strings.Repeat("ab", 20)}, true)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := io.Copy(io.Discard, p); !errors.Is(err, ErrMoved) {
		t.Error(err)
	}
}

// TestAlternates captures forks that borrow objects, by absolute and relative paths and through another fork, stand-alone.
func TestAlternates(t *testing.T) {
	top := t.TempDir()
	base := gittest.Large(t, filepath.Join(top, "pool/base.git"), 20, 6)
	fork := gittest.New(t, filepath.Join(top, "fork.git"), "sha1", true)
	put(t, filepath.Join(fork.Dir, "objects/info/alternates"), "# borrowed\n../../pool/base.git/objects\n")
	fork.Branch("main", base.Run("rev-parse", "main"))
	fork.Commit("main", map[string]string{"fork": "fork"})
	second := gittest.New(t, filepath.Join(top, "second.git"), "sha1", true)
	put(t, filepath.Join(second.Dir, "objects/info/alternates"), `"`+fork.Dir+`/objects"`+"\n")
	second.Branch("main", fork.Run("rev-parse", "main"))
	second.Commit("main", map[string]string{"second": "second"})
	for _, test := range []struct {
		repo *gittest.Repo
		want []string
	}{
		{base, nil},
		{fork, []string{base.Dir + "/objects"}},
		{second, []string{fork.Dir + "/objects", base.Dir + "/objects"}},
	} {
		if got := open(t, test.repo.Dir, Options{Root: top}).Alternates(); !slices.Equal(got, test.want) {
			t.Errorf("%s borrows from %v, want %v", test.repo.Dir, got, test.want)
		}
		equal(t, test.repo, restore(t, take(t, test.repo.Dir, Options{Root: top}, nil)))
	}
	for _, r := range []*gittest.Repo{fork, second} {
		unreadable(t, r.Dir, record.ReasonUnsupported, "borrows objects from", "outside of the source's directory")
	}
}

// TestClose ends a pack in the middle: nothing may hang, and nothing of it stays.
func TestClose(t *testing.T) {
	r := gittest.Large(t, t.TempDir(), 100, 2)
	repo, err := Open(t.Context(), r.Dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := repo.Refs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		p, err := repo.Pack(t.Context(), m.Tips(), nil, false)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, p, int64(i*1000)); err != nil {
			t.Error(err)
		}
		if err := errors.Join(p.Close(), p.Close()); err != nil {
			t.Error(err)
		}
	}
	scratch := repo.scratch.Path
	if err := errors.Join(repo.Close(), repo.Close()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(scratch); !os.IsNotExist(err) {
		t.Errorf("the scratch directory is still there: %v", err)
	}
}
