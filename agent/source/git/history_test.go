package git

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"farshore/agent/record"
	"farshore/agent/repo/gitserver"
	"farshore/agent/repo/gittest"
	"farshore/agent/restore/gitrepo"
)

// long reports whether tests may take minutes.
func long() bool { return os.Getenv("FARSHORE_TEST_LONG") == "1" }

// TestHistories holds that each of a row of captures of a repository that changes at random restores exactly what there was at its moment, whatever
// captures came after it, from the last record alone.
func TestHistories(t *testing.T) {
	seeds, captures := 2, 6
	if long() {
		seeds, captures = 20, 60
	}
	for _, place := range places {
		for seed := range seeds {
			t.Run(fmt.Sprintf("%s-%d", place.name, seed), func(t *testing.T) {
				t.Parallel()
				testHistory(t, place.address, uint64(seed), captures)
			})
		}
	}
}

func testHistory(t *testing.T, address func(testing.TB, string) Options, seed uint64, captures int) {
	root := t.TempDir()
	h := gittest.NewHistory(t, filepath.Join(root, "h.git"), seed)
	o := address(t, root)
	o.Repositories = []string{"h.git"}
	p := replicate(t, o)
	rng := rand.New(rand.NewPCG(seed, 1))
	type moment struct {
		set  gitrepo.Set
		want state
	}
	var moments []moment
	for i := range captures {
		for range rng.IntN(6) {
			h.Step()
		}
		if rng.IntN(3) == 0 { // the agent starts again: only the records are left
			next := replicate(t, o)
			next.memory, next.records = p.memory, p.records
			p = next
		}
		p.src.increments = 3
		p.must()
		if i%2 == 1 { // what is unchanged is not captured again
			p.must()
			if len(p.captured) != 0 {
				t.Fatalf("capture %d: captured again: %v, omitted %q", i, p.captured, p.get("h.git", record.KindGit).Attrs[record.AttrOmitted])
			}
		}
		moments = append(moments, moment{p.set("h.git"), stateOf(h.Repo)})
	}
	for i, m := range moments {
		what := fmt.Sprintf("capture %d of %d", i+1, len(moments))
		p.restores(what, m.set, m.want)
		if i%2 == 1 || long() {
			p.checked(what, m.set)
		}
	}
}

// TestEmptyThenFilled holds that a repository without commits is captured, filled, emptied, and filled again.
func TestEmptyThenFilled(t *testing.T) {
	for _, format := range []string{"sha1", "sha256"} {
		root := t.TempDir()
		r := gittest.New(t, filepath.Join(root, "r.git"), format, true)
		p := replicate(t, Options{Address: "git+file://" + root})
		step := func(what string, packsWant int) {
			t.Helper()
			p.must()
			if got := packs(p.get("r.git", record.KindGit)); len(got) != packsWant {
				t.Errorf("%s %s: %d packs in place of %d", format, what, len(got), packsWant)
			}
			p.restores(format+" "+what, p.set("r.git"), stateOf(r))
		}
		step("empty", 0)
		r.Commit("main", map[string]string{"a": strings.Repeat("text\n", 100)})
		step("filled", 1)
		r.Delete("refs/heads/main")
		step("emptied", 1)
		r.Commit("main", map[string]string{"b": "other\n"})
		step("filled again", 2)
	}
}

// TestRefsOnly holds that a capture in which only refs changed adds no pack, and that the changes of refs are kept as such.
func TestRefsOnly(t *testing.T) {
	root := t.TempDir()
	r := gittest.New(t, filepath.Join(root, "r.git"), "", true)
	first := r.Commit("main", map[string]string{"a": "1\n"})
	r.Commit("main", map[string]string{"a": "2\n"})
	p := replicate(t, Options{Address: "git+file://" + root})
	p.must()
	before := p.get("r.git", record.KindGit)
	stored := p.memory.Stored
	r.Tag("old", first, "")
	r.Force("main", first)
	r.Branch("topic/x", first)
	r.Delete("refs/heads/main")
	p.must()
	after := p.get("r.git", record.KindGit)
	if got := packs(after); len(got) != 1 || got[0].SHA256 != packs(before)[0].SHA256 {
		t.Errorf("%d packs", len(got))
	}
	if p.memory.Stored != stored {
		t.Errorf("%d bytes went into packs", p.memory.Stored-stored)
	}
	if after.Part(record.PartRefsDelta) == nil || after.Part(record.PartRefs).SHA256 != before.Part(record.PartRefs).SHA256 {
		t.Error("the refs are not kept as what changed")
	}
	p.restores("refs only", p.set("r.git"), stateOf(r))
}

// TestGrowth holds when increments are merged and when a chain begins anew, by what the records have.
func TestGrowth(t *testing.T) {
	root := t.TempDir()
	r := gittest.Large(t, filepath.Join(root, "r.git"), 40, 1)
	p := replicate(t, Options{Address: "git+file://" + root, LFS: "off"})
	p.src.increments = 3
	var counts []int
	for i := range 6 {
		p.must()
		counts = append(counts, len(packs(p.get("r.git", record.KindGit))))
		if i == 4 { // merged
			p.restores(fmt.Sprintf("capture %d", i), p.set("r.git"), stateOf(r))
		}
		r.Commit("main", map[string]string{"small": fmt.Sprint(i)})
	}
	if got := fmt.Sprint(counts); got != "[1 2 3 4 2 3]" {
		t.Errorf("packs of the captures: %s", got)
	}
	tips := p.get("r.git", record.KindGit).Part(record.PartTips).SHA256
	var big strings.Builder
	rng := rand.New(rand.NewPCG(1, 1))
	for range 20000 {
		fmt.Fprintln(&big, rng.Uint64())
	}
	r.Commit("main", map[string]string{"big": big.String()})
	p.must()
	r.Commit("main", map[string]string{"small": "last"})
	p.must()
	last := p.get("r.git", record.KindGit)
	if n := len(packs(last)); n != 1 || last.Part(record.PartTips).SHA256 == tips {
		t.Errorf("%d packs after an increment of more than half", n)
	}
	p.restores("begun anew", p.set("r.git"), stateOf(r))
}

// TestAttributes holds what a record and its parts say.
func TestAttributes(t *testing.T) {
	root := t.TempDir()
	r := gittest.New(t, filepath.Join(root, "team", "r.git"), "", true)
	r.Commit("main", map[string]string{"a": "1\n"})
	p := replicate(t, Options{Address: "git+file://" + root})
	p.must()
	rec := p.get("team/r.git", record.KindGit)
	for key, want := range map[string]string{"format": "sha1", "count": "1", "head": "refs/heads/main"} {
		if rec.Attrs[key] != want {
			t.Errorf("%s is %q", key, rec.Attrs[key])
		}
	}
	for _, key := range []string{"refs", "captured", "sketch"} {
		if rec.Attrs[key] == "" {
			t.Errorf("no %s", key)
		}
	}
	r.Commit("main", map[string]string{"a": "2\n"})
	p.must()
	list := packs(p.get("team/r.git", record.KindGit))
	if len(list) != 2 || list[0].Base != "" || list[1].Base != list[0].Attrs["trailer"] || list[0].Attrs["objects"] != "3" || list[1].Attrs["objects"] != "3" {
		t.Errorf("packs %+v", list)
	}
	for _, l := range list {
		if len(l.Attrs["ids"]) != 64 || len(l.Attrs["trailer"]) != 40 || l.Attrs["source-size"] == "" {
			t.Errorf("attributes of a pack: %v", l.Attrs)
		}
	}
	var kinds []string
	for _, part := range p.get("team/r.git", record.KindGit).Parts {
		kinds = append(kinds, part.Kind)
	}
	if got := strings.Join(kinds, " "); got != "refs refs-delta tips fsck pack pack" {
		t.Errorf("parts: %s", got)
	}
	if look, err := p.src.Look(t.Context(), "team/r.git", record.KindGit); err != nil || look["refs"] != p.get("team/r.git", record.KindGit).Attrs["refs"] {
		t.Errorf("a look gives %v, %v", look, err)
	}
}

// TestMoved holds that refs which change between their listing and the pack are read again, and that a capture is always of one moment.
func TestMoved(t *testing.T) {
	for _, moves := range []int{1, attempts - 1, attempts} {
		root := t.TempDir()
		r := gittest.New(t, filepath.Join(root, "r.git"), "", true)
		r.Commit("main", map[string]string{"a": "0\n"})
		var armed atomic.Int32
		url := gitserver.HTTP(t, root, gitserver.HTTPOptions{Intercept: func(_ http.ResponseWriter, req *http.Request, _ http.Handler) bool {
			return req.Method == http.MethodPost && armed.Load() > 0 && moved1(t, r, req, &armed)
		}})
		p := replicate(t, Options{Address: "git+" + url + "/r.git", LFS: "off"})
		armed.Store(int32(moves))
		p.must()
		rec := p.records[item{"r.git", record.KindGit}]
		if moves == attempts {
			if rec.Reason != record.ReasonChanging {
				t.Errorf("after %d moves: %s %s %s", moves, rec.State, rec.Reason, rec.Detail)
			}
			continue
		}
		p.restores(fmt.Sprint(moves, " moves"), p.set("r.git"), stateOf(r))
	}
}

// moved1 replaces the history before a fetch is answered.
func moved1(t *testing.T, r *gittest.Repo, req *http.Request, armed *atomic.Int32) bool {
	body, again := bodyOf(req)
	req.Body = again
	if !strings.Contains(body, "command=fetch") {
		return false
	}
	n := armed.Add(-1)
	for _, args := range [][]string{
		{"update-ref", "refs/heads/main", orphan(t, r, int(n))}, {"reflog", "expire", "--expire=now", "--all"}, {"gc", "--prune=now", "--quiet"},
	} {
		if _, err := r.Git.Output(context.WithoutCancel(t.Context()), nil, args...); err != nil {
			t.Error(err)
		}
	}
	return false
}

// orphan makes a commit without parents.
func orphan(t *testing.T, r *gittest.Repo, n int) string {
	tree, err := r.Git.Output(context.WithoutCancel(t.Context()), strings.NewReader(""), "mktree")
	if err != nil {
		t.Error(err)
		return ""
	}
	g := *r.Git
	g.Env = append(g.Env[:len(g.Env):len(g.Env)], "GIT_AUTHOR_DATE=1600000000 +0000", "GIT_COMMITTER_DATE=1600000000 +0000")
	commit, err := g.Output(context.WithoutCancel(t.Context()), nil, "commit-tree", "-m", fmt.Sprint("orphan ", n), strings.TrimSpace(string(tree)))
	if err != nil {
		t.Error(err)
	}
	return strings.TrimSpace(string(commit))
}
