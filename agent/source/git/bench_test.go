package git

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"farshore/agent/record"
	"farshore/agent/repo/gittest"
	"farshore/agent/source"
	"farshore/agent/source/sourcetest"
)

// BenchmarkCapture captures a repository of 2,000 commits on this machine from nothing, then what one more commit adds, then nothing.
func BenchmarkCapture(b *testing.B) {
	root := b.TempDir()
	r := gittest.Large(b, filepath.Join(root, "r.git"), 2000, 1)
	s, err := New(Options{Address: "git+file://" + root, LFS: "off"})
	if err != nil {
		b.Fatal(err)
	}
	e := source.Entry{Path: "r.git", Kind: record.KindGit}
	sink := new(sourcetest.Memory)
	var base, last *record.Record
	capture := func(b *testing.B) {
		for b.Loop() {
			if last, err = s.Capture(b.Context(), e, base, sink); err != nil {
				b.Fatal(err)
			}
		}
		b.SetBytes(last.Size())
	}
	b.Run("all", capture)
	base = last
	r.Commit("main", map[string]string{"new": "1\n"})
	b.Run("one commit", capture)
	base = last
	b.Run("nothing new", capture)
}

// BenchmarkList lists 50 repositories on this machine, and one with 100,000 refs.
func BenchmarkList(b *testing.B) {
	small, large := b.TempDir(), b.TempDir()
	for i := range 50 {
		gittest.New(b, filepath.Join(small, fmt.Sprintf("r%d.git", i)), "", true).Commit("main", map[string]string{"a": "1\n"})
	}
	r := gittest.New(b, filepath.Join(large, "r.git"), "", true)
	oid := r.Commit("main", map[string]string{"a": "1\n"})
	var refs strings.Builder
	refs.WriteString("# pack-refs with: peeled fully-peeled sorted\n")
	for i := range 100000 {
		fmt.Fprintf(&refs, "%s refs/pull/%06d/head\n", oid, i)
	}
	if err := os.WriteFile(filepath.Join(r.Dir, "packed-refs"), []byte(refs.String()), 0o666); err != nil {
		b.Fatal(err)
	}
	for name, root := range map[string]string{"50 repositories": small, "100000 refs": large} {
		b.Run(name, func(b *testing.B) {
			s, err := New(Options{Address: "git+file://" + root})
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if err := s.List(b.Context(), source.Range{}, func(source.Entry) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
