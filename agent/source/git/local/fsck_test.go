package local

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"farshore/agent/repo/gittest"
)

// TestFsck finds what git fsck finds, whatever the repository's configuration says, and nothing in a sound one.
func TestFsck(t *testing.T) {
	r := gittest.New(t, t.TempDir(), "sha1", true)
	r.Commit("main", map[string]string{"a": "b"})
	sound := open(t, r.Dir, Options{})
	if got, err := sound.Fsck(t.Context()); err != nil || len(got) != 0 {
		t.Errorf("a sound repository: %q, %v", got, err)
	}
	odd := r.Input("tree "+r.Run("rev-parse", "main^{tree}")+"\nauthor no mail 1 +0000\ncommitter no mail 1 +0000\n\nodd\n", "hash-object", "-t", "commit", "-w", "--literally", "--stdin")
	r.Branch("odd", odd)
	r.Run("config", "fsck.missingEmail", "ignore")
	blob := r.Blob("to be lost")
	r.Tag("lost", r.Commit("main", map[string]string{"lost": "to be lost"}), "")
	remove(t, loose(r, blob))
	got, err := open(t, r.Dir, Options{}).Fsck(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(got)), "\n")
	if !slices.IsSorted(lines) || !strings.Contains(string(got), "missingEmail") || !strings.Contains(string(got), "missing blob "+blob) || !strings.Contains(string(got), "broken link from") {
		t.Errorf("fsck: %q", lines)
	}
}

func TestBaseline(t *testing.T) {
	many := strings.Repeat("x", 1000)
	var in strings.Builder
	for i := range 100 {
		fmt.Fprintf(&in, "line %d %s\n", i, many)
	}
	got := string(baseline([]byte(in.String())))
	if len(got) > maxFsck || !strings.HasSuffix(got, " more lines\n") {
		t.Errorf("%d bytes, ending with %q", len(got), got[len(got)-20:])
	}
	if got := string(baseline([]byte("b from\n   to c\nnotice: n\na\r\na\n"))); got != "a\nb from to c\n" {
		t.Errorf("got %q", got)
	}
}
