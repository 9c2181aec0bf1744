package svntest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// History makes random changes to a repository: commits of all kinds, edits of revision properties, locks, and packing.
type History struct {
	*Repo
	rng   *rand.Rand
	trees []map[string]bool // paths of each revision; true for a folder
	locks []string          // paths that stay as they are
}

// NewHistory makes a repository in dir, whose shards are small so that packing does something. The same seed makes the same changes.
func NewHistory(tb testing.TB, dir string, seed uint64) *History {
	tb.Helper()
	r := New(tb, dir)
	format := "8\nlayout sharded 4\naddressing logical\n"
	file := filepath.Join(dir, "db/format")
	if err := os.Chmod(file, 0o600); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(format), 0o600); err != nil {
		tb.Fatal(err)
	}
	return &History{Repo: r, rng: rand.New(rand.NewPCG(seed, 7)), trees: []map[string]bool{{}}}
}

// Step makes one change.
func (h *History) Step() {
	h.TB.Helper()
	switch n := h.rng.IntN(20); {
	case n < 15:
		h.commit()
	case n < 17:
		h.SetRevprop(h.rng.Int64N(h.next), "svn:log", h.words(h.rng.IntN(20))+"\r\n")
	case n == 17:
		h.DeleteRevprop(h.rng.Int64N(h.next), "svn:author")
	case n == 18:
		h.lock()
	default:
		h.Pack()
	}
}

func (h *History) tree() map[string]bool { return h.trees[len(h.trees)-1] }

// pick returns a path of the tree, or "" when it has none of the kind.
func (h *History) pick(tree map[string]bool, dir bool) string {
	var all []string
	for _, p := range slices.Sorted(maps.Keys(tree)) {
		if tree[p] == dir {
			all = append(all, p)
		}
	}
	if len(all) == 0 {
		return ""
	}
	return all[h.rng.IntN(len(all))]
}

func (h *History) lock() {
	p := h.pick(h.tree(), false)
	if p != "" && !slices.Contains(h.locks, p) && len(h.locks) < 4 {
		h.locks = append(h.locks, p)
		h.Lock("/"+p, "alice", h.words(3)+"\n\n"+h.words(2))
	}
}

func (h *History) words(n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = []string{"fare", "schön", "to", "the", "日本", "shore", "'", "<&>"}[h.rng.IntN(8)]
	}
	return strings.Join(all, " ")
}

func (h *History) text() []byte {
	if h.rng.IntN(4) == 0 {
		b := make([]byte, h.rng.IntN(5000))
		for i := range b {
			b[i] = byte(h.rng.Uint32())
		}
		return b
	}
	return []byte(strings.Repeat(h.words(8)+"\n", h.rng.IntN(50)))
}

// commit changes one to three places that have nothing to do with each other.
func (h *History) commit() {
	next := maps.Clone(h.tree())
	var nodes []Node
	for range 1 + h.rng.IntN(3) {
		n, ok := h.change(next, nodes)
		if ok {
			nodes = append(nodes, n)
		}
	}
	h.trees = append(h.trees, next)
	h.Commit(h.words(h.rng.IntN(10)), nodes...)
}

// change makes one change to the tree; false when it would meddle with another one of the same commit.
func (h *History) change(tree map[string]bool, others []Node) (Node, bool) {
	n := h.propose(tree)
	if n.Path == "" {
		return n, false
	}
	for _, o := range others {
		if within(n.Path, o.Path) || within(o.Path, n.Path) {
			return n, false
		}
	}
	for _, l := range h.locks {
		if within(l, n.Path) {
			return n, false
		}
	}
	switch {
	case n.Action == "delete" || n.Action == "replace":
		maps.DeleteFunc(tree, func(p string, _ bool) bool { return within(p, n.Path) })
	case n.CopyPath != "":
		for p, dir := range h.trees[n.CopyRev] {
			if within(p, n.CopyPath) {
				tree[n.Path+strings.TrimPrefix(p, n.CopyPath)] = dir
			}
		}
	}
	if n.Action != "delete" {
		tree[n.Path] = n.Dir
	}
	return n, true
}

func within(p, top string) bool { return p == top || strings.HasPrefix(p, top+"/") }

func (h *History) propose(tree map[string]bool) Node {
	parent := h.pick(tree, true)
	fresh := strings.TrimPrefix(fmt.Sprintf("%s/%s-%d", parent, h.words(1), len(h.trees)*10+h.rng.IntN(10)), "/")
	fresh = strings.NewReplacer("<&>", "&lt", "'", "quote").Replace(fresh)
	if _, there := tree[fresh]; there {
		return Node{}
	}
	switch h.rng.IntN(8) {
	case 0, 1:
		return Node{Path: fresh, Action: "add", Text: h.text(), Props: h.props()}
	case 2:
		return Node{Path: fresh, Action: "add", Dir: true, Props: h.props()}
	case 3, 4:
		return Node{Path: h.pick(tree, false), Action: "change", Text: h.text()}
	case 5:
		return Node{Path: h.pick(tree, false), Action: "change", Props: h.props()}
	case 6:
		return Node{Path: h.pick(tree, h.rng.IntN(4) == 0), Action: "delete"}
	}
	return h.copyNode(fresh)
}

// copyNode copies something of an old revision.
func (h *History) copyNode(to string) Node {
	rev := h.rng.IntN(len(h.trees))
	dir := h.rng.IntN(2) == 0
	from := h.pick(h.trees[rev], dir)
	if from == "" || strings.Count(to, "/") > 4 {
		return Node{}
	}
	n := Node{Path: to, Action: "add", Dir: dir, CopyRev: int64(rev), CopyPath: from}
	if h.rng.IntN(2) == 0 {
		n.Props = h.props()
	}
	if !dir && h.rng.IntN(2) == 0 {
		n.Text = h.text()
	}
	return n
}

func (h *History) props() map[string]string {
	// Properties that are set to what they were make no difference, but one in dumps without deltas: so one of them always differs.
	props := map[string]string{"n": fmt.Sprint(len(h.trees), h.rng.Uint32())}
	for range h.rng.IntN(3) {
		switch h.rng.IntN(4) {
		case 0:
			props["svn:mergeinfo"] = fmt.Sprintf("/trunk:1-%d", max(2, len(h.trees)))
		case 1:
			props["binary"] = string([]byte{0, 255, '\r', '\n', byte(h.rng.Uint32())})
		case 2:
			props["svn:ignore"] = "*.o\r\n*.a\r\n"
		default:
			props["x:"+h.words(1)] = h.words(4)
		}
	}
	return props
}
