package gitrepo_test

import (
	"path/filepath"
	"testing"

	"farshore/agent/repo/gittest"
	"farshore/agent/restore/gitrepo"
)

// BenchmarkBuild builds a repository of a thousand commits.
func BenchmarkBuild(b *testing.B) {
	c := newCapture(b, gittest.Large(b, filepath.Join(b.TempDir(), "src.git"), 1000, 1), "app.git")
	c.take()
	b.SetBytes(c.rec.Size())
	for b.Loop() {
		if _, err := gitrepo.Build(b.Context(), c.mem, c.set(), filepath.Join(b.TempDir(), "x.git"), gitrepo.Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCheck checks the same.
func BenchmarkCheck(b *testing.B) {
	c := newCapture(b, gittest.Large(b, filepath.Join(b.TempDir(), "src.git"), 1000, 1), "app.git")
	c.take()
	got, _ := c.build(c.set(), gitrepo.Options{})
	b.SetBytes(c.rec.Size())
	for b.Loop() {
		if found := c.check(c.set(), got.Dir); len(found) > 0 {
			b.Fatal(found)
		}
	}
}
