package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"farshore/agent/repo/gittest"
)

// soakRepo is a repository that is pushed to, and all refs that it ever had. It belongs to the test's own goroutine.
type soakRepo struct {
	t    *testing.T
	repo *gittest.Repo
	rng  *rand.Rand
	// states are those that it had, one behind the other. Each step changes one ref, or some at once that nobody sees in between.
	states  []soakRefs
	commits map[string]bool
	serial  int
}

// soakRefs are the refs that a repository had for a while.
type soakRefs struct {
	refs map[string]string
	seen soakSpan
}

// newSoakRepo makes a repository with a few commits.
func newSoakRepo(s *soak) *soakRepo {
	r := &soakRepo{t: s.t, repo: gittest.New(s.t, s.path("git", "code.git"), "", true), rng: s.draw("git"), commits: map[string]bool{}}
	for range 5 {
		r.change(func() { r.commit("main") })
	}
	return r
}

// change makes one step, and remembers what there was from when to when.
func (r *soakRepo) change(step func()) {
	begin := time.Now()
	step()
	refs := r.repo.Refs()
	if n := len(r.states); n > 0 {
		r.states[n-1].seen.until = time.Now()
	}
	r.states = append(r.states, soakRefs{refs, soakSpan{from: begin}})
}

func (r *soakRepo) commit(branch string) {
	r.serial++
	text := make([]byte, 2048)
	for i := range text {
		text[i] = "0123456789abcdef\n"[r.rng.IntN(17)]
	}
	path := fmt.Sprintf("dir%d/file%d", r.serial%5, r.serial%40)
	r.commits[r.repo.Commit(branch, map[string]string{path: fmt.Sprintf("%d\n%s", r.serial, text)})] = true
}

// live pushes to the repository until then: commits, and now and then a force-push, a branch or a tag.
func (r *soakRepo) live(end time.Time) {
	for time.Now().Before(end) {
		r.change(func() { r.step(r.branches()) })
		soakWait(r.t.Context(), time.Duration(r.rng.IntN(400))*time.Millisecond)
	}
}

func (r *soakRepo) step(branches []string) {
	some := "main"
	if len(branches) > 0 && r.rng.IntN(2) == 0 {
		some = branches[r.rng.IntN(len(branches))]
	}
	switch n := r.rng.IntN(20); {
	case n < 2 && len(branches) < 8:
		r.repo.Branch(fmt.Sprintf("topic-%d", r.serial), some)
	case n < 3 && some != "main":
		r.repo.Delete("refs/heads/" + some)
	case n < 6 && strings.Count(r.repo.Run("rev-list", "--max-count=4", "refs/heads/"+some), "\n") == 3:
		r.repo.Force(some, fmt.Sprintf("refs/heads/%s~%d", some, 1+r.rng.IntN(3)))
	case n < 7:
		r.serial++
		r.repo.Tag(fmt.Sprintf("v%d", r.serial), "refs/heads/"+some, "")
	default:
		r.commit(some)
	}
}

// branches are those beside main.
func (r *soakRepo) branches() []string {
	var all []string
	for ref := range r.states[len(r.states)-1].refs {
		if name, ok := strings.CutPrefix(ref, "refs/heads/"); ok && name != "main" {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}

// now are the refs that there are.
func (r *soakRepo) now() map[string]string { return r.states[len(r.states)-1].refs }

// judge holds a restored repository to be one that was there while the pass went on, or before where the snapshot says that it could not be read or is not complete; and to be whole.
func (r *soakRepo) judge(dir string, pass soakSpan, doubtful bool) (refs map[string]string, wrong []string) {
	r.t.Helper()
	got := gittest.At(r.t, dir)
	refs = got.Refs()
	if doubtful {
		pass.from = time.Time{}
	}
	if !slices.ContainsFunc(r.states, func(x soakRefs) bool { return x.seen.meets(pass) && maps.Equal(x.refs, refs) }) {
		wrong = append(wrong, fmt.Sprintf("these refs were never there together, or not then: %v", refs))
	}
	for _, id := range strings.Fields(got.Run("rev-list", "--all")) {
		if !r.commits[id] {
			wrong = append(wrong, "commit "+id+" was never there")
		}
	}
	if said := got.Run("fsck", "--full", "--no-dangling"); said != "" {
		wrong = append(wrong, "git fsck: "+said)
	}
	return refs, wrong
}

// soakRepository finds the one repository that was restored below a directory; "" for none.
func soakRepository(t *testing.T, dir string) string {
	t.Helper()
	for _, pattern := range []string{"HEAD", "*/HEAD", "*/*/HEAD"} {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		if len(found) == 1 {
			return filepath.Dir(found[0])
		}
	}
	return ""
}
