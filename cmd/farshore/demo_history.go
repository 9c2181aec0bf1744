package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
)

// demoHistory writes history in the form that git fast-import takes: the same each time. A commit is named by its mark (":7") or id.
type demoHistory struct {
	stream bytes.Buffer
	rng    *rand.Rand
	clock  int64 // Unix time of the next commit
	marks  int
}

func newDemoHistory(clock int64) *demoHistory {
	return &demoHistory{rng: rand.New(rand.NewPCG(uint64(clock), 3)), clock: clock}
}

// commits adds so many commits to a branch, and returns the last. from is where the branch begins, "" where it goes on.
func (h *demoHistory) commits(branch, from string, n int) (last string) {
	for range n {
		last, from = h.commit(branch, from, ""), ""
	}
	return last
}

// commit adds one that changes some files. merged, where it is not "", becomes its second parent.
func (h *demoHistory) commit(branch, from, merged string) string {
	h.marks++
	h.clock += 3600
	w := &h.stream
	fmt.Fprintf(w, "commit refs/heads/%s\nmark :%d\ncommitter demo <demo@localhost> %d +0000\n", branch, h.marks, h.clock)
	h.data([]byte(fmt.Sprintf("%s: change %d\n", branch, h.marks)))
	if from != "" {
		fmt.Fprintf(w, "from %s\n", from)
	}
	if merged != "" {
		fmt.Fprintf(w, "merge %s\n", merged)
	}
	for range 1 + h.rng.IntN(3) {
		fmt.Fprintf(w, "M 100644 inline berth%d/log%02d.txt\n", h.rng.IntN(4), h.rng.IntN(15))
		h.data(demoWords(fmt.Sprint(branch, h.clock, h.rng.Uint64()), 200+h.rng.IntN(3000)))
	}
	w.WriteByte('\n')
	return fmt.Sprintf(":%d", h.marks)
}

// reset lets a ref be a commit.
func (h *demoHistory) reset(ref, commit string) {
	fmt.Fprintf(&h.stream, "reset %s\nfrom %s\n\n", ref, commit)
}

// tag adds an annotated tag.
func (h *demoHistory) tag(name, commit string) {
	fmt.Fprintf(&h.stream, "tag %s\nfrom %s\ntagger demo <demo@localhost> %d +0000\n", name, commit, h.clock)
	h.data([]byte("Release " + name + "\n"))
}

func (h *demoHistory) data(b []byte) { fmt.Fprintf(&h.stream, "data %d\n%s\n", len(b), b) }

// demoWords returns lines of words: the same for the same seed.
func demoWords(seed string, size int) []byte {
	b := make([]byte, size)
	fillText(b, rand.NewChaCha8(sha256.Sum256([]byte(seed))))
	for i := 60; i < size; i += 60 {
		b[i] = '\n'
	}
	return b
}
