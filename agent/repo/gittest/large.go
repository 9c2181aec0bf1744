package gittest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// Large makes a bare repository with that many commits of realistic text: files of up to some hundred lines in folders, edited here and there, now and then a
// new, moved or deleted one, side branches that are merged, and tags. The same commits and seed make the same repository.
func Large(tb testing.TB, dir string, commits int, seed uint64) *Repo {
	tb.Helper()
	r := New(tb, dir, "sha1", true)
	w := &writer{r: r, rng: rand.New(rand.NewPCG(seed, 0x6c61726765))}
	for i := range commits {
		w.next(i)
	}
	r.Input(w.b.String(), "fast-import", "--quiet", "--force")
	return r
}

// writer writes the fast-import stream of a large repository.
type writer struct {
	r     *Repo
	rng   *rand.Rand
	b     bytes.Buffer
	paths []string
	files map[string][]string // lines
	side  bool                // the side branch has commits that main has not
	sides int
}

const maxFiles = 400

// next adds commit i: mostly to main, sometimes to the side branch or as a merge of it.
func (w *writer) next(i int) {
	ref := "refs/heads/main"
	merge := false
	switch {
	case i > 10 && w.rng.IntN(8) == 0:
		ref = fmt.Sprintf("refs/heads/topic-%d", w.sides)
	case w.side && w.rng.IntN(6) == 0:
		merge = true
	}
	w.r.head(&w.b, ref, fmt.Sprintf("change %d\n\n%s\n", i, w.sentence()))
	switch {
	case ref != "refs/heads/main" && !w.side:
		fmt.Fprintf(&w.b, "from refs/heads/main\n")
		w.side = true
	case merge:
		fmt.Fprintf(&w.b, "merge refs/heads/topic-%d\n", w.sides)
		w.side = false
		w.sides++
	}
	for range 1 + w.rng.IntN(3) {
		w.change()
	}
	if i%100 == 99 {
		fmt.Fprintf(&w.b, "tag v%d\nfrom %s\ntagger %s %d +0000\ndata 8\nrelease\n\n", i/100, ref, identity, w.r.clock)
	}
}

// change writes one file.
func (w *writer) change() {
	n := w.rng.IntN(100)
	switch {
	case len(w.paths) < 20 || n < 8 && len(w.paths) < maxFiles:
		w.add()
	case n < 10 && len(w.paths) > 20:
		i := w.rng.IntN(len(w.paths))
		fmt.Fprintf(&w.b, "D %s\n", quote(w.paths[i]))
		delete(w.files, w.paths[i])
		w.paths = append(w.paths[:i], w.paths[i+1:]...)
	default:
		w.edit(w.paths[w.rng.IntN(len(w.paths))])
	}
}

func (w *writer) add() {
	path := fmt.Sprintf("%s/%s/%s-%d.txt", word(w.rng.IntN(8)), word(w.rng.IntN(12)), word(w.rng.IntN(500)), w.rng.IntN(1000))
	if w.files == nil {
		w.files = map[string][]string{}
	}
	if w.files[path] != nil {
		return
	}
	for range 10 + w.rng.IntN(200) {
		w.files[path] = append(w.files[path], w.sentence())
	}
	w.paths = append(w.paths, path)
	w.put(path)
}

// edit replaces, adds or removes a few lines.
func (w *writer) edit(path string) {
	lines := w.files[path]
	for range 1 + w.rng.IntN(4) {
		at := w.rng.IntN(len(lines))
		switch {
		case w.rng.IntN(3) > 0:
			lines[at] = w.sentence()
		case w.rng.IntN(2) == 0 && len(lines) > 10:
			lines = append(lines[:at], lines[at+1:]...)
		default:
			lines = append(lines[:at], append([]string{w.sentence()}, lines[at:]...)...)
		}
	}
	w.files[path] = lines
	w.put(path)
}

func (w *writer) put(path string) { write(&w.b, path, strings.Join(w.files[path], "\n")+"\n") }

func (w *writer) sentence() string {
	words := make([]string, 3+w.rng.IntN(10))
	for i := range words {
		words[i] = word(int(w.rng.ExpFloat64() * 150))
	}
	return strings.Join(words, " ")
}

// word returns the n-th of an endless list of words that can be spoken.
func word(n int) string {
	const first, second = "bdfghklmnprstvz", "aeiou"
	var b strings.Builder
	for n += 75; n > 0; n /= 75 {
		b.WriteByte(first[n%15])
		b.WriteByte(second[n/15%5])
	}
	return b.String()
}
