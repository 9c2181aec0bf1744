package gittest

import (
	"maps"
	"path/filepath"
	"slices"
	"testing"
)

// TestRepo builds by hand and looks with git, in both formats.
func TestRepo(t *testing.T) {
	for _, format := range []string{"sha1", "sha256"} {
		t.Run(format, func(t *testing.T) {
			r := New(t, t.TempDir(), format, format == "sha256")
			first := r.Commit("main", map[string]string{"a.txt": "one\n", "d/\"q\" \\.txt": "x"})
			second := r.Commit("main", map[string]string{"a.txt": "two\n"})
			r.Branch("topic", first)
			third := r.Commit("topic", map[string]string{"b": ""})
			merge := r.Merge("main", "topic")
			r.Tag("light", first, "")
			tag := r.Tag("heavy", second, "message")
			if got := r.Run("rev-parse", "main^1", "main^2"); got != second+"\n"+third {
				t.Errorf("parents of the merge are %q", got)
			}
			if got := r.Run("show", "main:d/\"q\" \\.txt"); got != "x" {
				t.Errorf("the file has %q", got)
			}
			want := map[string]string{"HEAD": "ref: refs/heads/main", "refs/heads/main": merge, "refs/heads/topic": third, "refs/tags/light": first, "refs/tags/heavy": tag}
			if got := r.Refs(); !maps.Equal(got, want) {
				t.Errorf("refs are %v, want %v", got, want)
			}
			if got := r.Objects(); !slices.Contains(got, tag) || !slices.Contains(got, second) || !slices.IsSorted(got) {
				t.Errorf("objects are %v", got)
			}
			r.Run("fsck", "--strict", "--full")
		})
	}
}

// TestLarge checks that the same seed makes the same repository, and another another.
func TestLarge(t *testing.T) {
	a, b, c := Large(t, t.TempDir(), 150, 7), Large(t, t.TempDir(), 150, 7), Large(t, t.TempDir(), 150, 8)
	if !maps.Equal(a.Refs(), b.Refs()) || maps.Equal(a.Refs(), c.Refs()) {
		t.Error("the seed does not decide the repository")
	}
	if n := len(a.Objects()); n < 600 {
		t.Errorf("only %d objects", n)
	}
	a.Run("fsck", "--strict", "--full")
}

// TestHistory makes many steps, some of them twice, and checks that nothing that refs reach is lost and that the kinds of steps are drawn.
func TestHistory(t *testing.T) {
	const many, again = 80, 15
	one := NewHistory(t, filepath.Join(t.TempDir(), "one.git"), 3)
	drawn := map[string]int{}
	var early map[string]string
	for i := range many {
		drawn[one.Step()]++
		if i == again-1 {
			early = one.Refs()
		}
	}
	if len(drawn) < len(steps)*2/3 {
		t.Errorf("only these steps were drawn: %v", drawn)
	}
	one.Objects() // fails where one is missing
	two := NewHistory(t, filepath.Join(t.TempDir(), "two.git"), 3)
	for range again {
		two.Step()
	}
	if !maps.Equal(early, two.Refs()) {
		t.Error("the seed does not decide the history")
	}
}
