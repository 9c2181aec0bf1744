package gittest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// History is a repository that lives on by random changes: the ones that captures have to follow. The same seed makes the same history.
type History struct {
	*Repo
	rng   *rand.Rand
	count int
}

// NewHistory makes an empty repository in dir, to which Step adds.
func NewHistory(tb testing.TB, dir string, seed uint64) *History {
	tb.Helper()
	return New(tb, dir, "sha1", true).History(seed)
}

// History lets the repository live on.
func (r *Repo) History(seed uint64) *History {
	return &History{Repo: r, rng: rand.New(rand.NewPCG(seed, 0x68697374))}
}

// steps are the changes and how often each is drawn.
var steps = []struct {
	weight int
	name   string
	do     func(*History)
}{
	{30, "commit", (*History).commitStep},
	{8, "branch", (*History).branchStep},
	{8, "merge", (*History).mergeStep},
	{8, "tag an old commit", (*History).tagStep},
	{3, "tag a blob or a tree", (*History).oddTagStep},
	{8, "force a branch back", (*History).forceStep},
	{6, "delete a ref", (*History).deleteStep},
	{5, "turn a branch into a folder, or back", (*History).renameStep},
	{4, "move HEAD", (*History).headStep},
	{3, "make a symbolic ref", (*History).symrefStep},
	{3, "pack refs", func(h *History) { h.Run("pack-refs", "--all") }},
	{4, "repack", func(h *History) { h.Run("repack", "-a", "-d", "-q") }},
	{4, "gc", func(h *History) { h.Run("gc", "--prune=now", "--quiet") }},
	{1, "delete every ref", (*History).emptyStep},
}

// Step makes one random change and says which. The first one is a commit.
func (h *History) Step() string {
	h.tb.Helper()
	total := 0
	for _, s := range steps {
		total += s.weight
	}
	n := h.rng.IntN(total)
	if len(h.branches()) == 0 {
		n = 0
	}
	for _, s := range steps {
		if n -= s.weight; n < 0 {
			h.count++
			s.do(h)
			return s.name
		}
	}
	return ""
}

// branches are the names of all branches that are not symbolic, without refs/heads/.
func (h *History) branches() []string { return h.names("refs/heads/") }

func (h *History) names(prefix string) []string {
	h.tb.Helper()
	var names []string
	for name, value := range h.Refs() {
		if short, ok := strings.CutPrefix(name, prefix); ok && !strings.HasPrefix(value, "ref: ") {
			names = append(names, short)
		}
	}
	slices.Sort(names)
	return names
}

func (h *History) pick(names []string) string { return names[h.rng.IntN(len(names))] }

// old returns the id of a commit that a branch reaches.
func (h *History) old() string {
	h.tb.Helper()
	return h.pick(strings.Fields(h.Run("rev-list", "--max-count=50", "--branches")))
}

func (h *History) files() map[string]string {
	files := map[string]string{}
	for range 1 + h.rng.IntN(3) {
		var b strings.Builder
		for range 5 + h.rng.IntN(60) {
			fmt.Fprintf(&b, "%s %s %d\n", word(h.rng.IntN(400)), word(h.rng.IntN(400)), h.rng.IntN(10))
		}
		files[fmt.Sprintf("%s/%s.txt", word(h.rng.IntN(3)), word(h.rng.IntN(20)))] = b.String()
	}
	return files
}

func (h *History) commitStep() {
	branch := "main"
	if all := h.branches(); len(all) > 0 {
		branch = h.pick(all)
	}
	h.Commit(branch, h.files())
}

func (h *History) branchStep() { h.Branch(fmt.Sprintf("b%d", h.count), h.old()) }

func (h *History) mergeStep() {
	all := h.branches()
	into, from := h.pick(all), h.pick(all)
	if into != from {
		h.Merge(into, from)
	}
}

func (h *History) tagStep() {
	message := ""
	if h.rng.IntN(2) == 0 {
		message = "tagged"
	}
	h.Tag(fmt.Sprintf("t%d", h.count), h.old(), message)
}

func (h *History) oddTagStep() {
	name := fmt.Sprintf("odd%d", h.count)
	switch h.rng.IntN(3) {
	case 0:
		h.Tag(name, h.Blob(name), "a blob")
	case 1:
		h.Tag(name, h.Blob(name), "")
	default:
		h.Tag(name, h.old()+"^{tree}", "")
	}
}

func (h *History) forceStep() {
	branch := h.pick(h.branches())
	h.Force(branch, h.old())
	if h.rng.IntN(2) == 0 {
		h.Commit(branch, h.files())
	}
}

func (h *History) deleteStep() {
	prefix := "refs/heads/"
	if h.rng.IntN(2) == 0 && len(h.names("refs/tags/")) > 0 {
		prefix = "refs/tags/"
	}
	h.Delete(prefix + h.pick(h.names(prefix)))
}

// renameStep makes b/x of b, or b of b/x: names that can't be there together.
func (h *History) renameStep() {
	from := h.pick(h.branches())
	to := from + "/x"
	if short, ok := strings.CutSuffix(from, "/x"); ok {
		to = short
	}
	oid := h.Run("rev-parse", "refs/heads/"+from)
	h.Delete("refs/heads/" + from)
	h.Branch(to, oid)
}

func (h *History) headStep() {
	if h.rng.IntN(3) == 0 {
		h.Run("update-ref", "--no-deref", "HEAD", h.old())
		return
	}
	h.Run("symbolic-ref", "HEAD", "refs/heads/"+h.pick(append(h.branches(), "unborn")))
}

func (h *History) symrefStep() {
	h.Run("symbolic-ref", fmt.Sprintf("refs/remotes/r%d/HEAD", h.count%3), "refs/heads/"+h.pick(h.branches()))
}

func (h *History) emptyStep() {
	if !strings.HasPrefix(h.headOf(), "ref: ") {
		h.Run("symbolic-ref", "HEAD", "refs/heads/main")
	}
	for name := range h.Refs() {
		if name != "HEAD" {
			h.Delete(name)
		}
	}
}
