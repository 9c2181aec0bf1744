package local

import (
	"fmt"
	"os"
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
	if got, damage, err := sound.Fsck(t.Context()); err != nil || len(got) != 0 || damage != "" {
		t.Errorf("a sound repository: %q, %v", got, err)
	}
	odd := r.Input("tree "+r.Run("rev-parse", "main^{tree}")+"\nauthor no mail 1 +0000\ncommitter no mail 1 +0000\n\nodd\n", "hash-object", "-t", "commit", "-w", "--literally", "--stdin")
	r.Branch("odd", odd)
	r.Run("config", "fsck.missingEmail", "ignore")
	if got, damage, err := open(t, r.Dir, Options{}).Fsck(t.Context()); err != nil || len(got) == 0 || damage != "" {
		t.Errorf("an odd commit: %q, %q, %v", got, damage, err)
	}
	blob := r.Blob("to be lost")
	r.Tag("lost", r.Commit("main", map[string]string{"lost": "to be lost"}), "")
	remove(t, loose(r, blob))
	got, damage, err := open(t, r.Dir, Options{}).Fsck(t.Context())
	if err != nil || !strings.Contains(damage, "and 1 more") {
		t.Fatal(damage, err)
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
	got := string(baseline(findings([]byte(in.String()))))
	if len(got) > maxFsck || !strings.HasSuffix(got, " more lines\n") {
		t.Errorf("%d bytes, ending with %q", len(got), got[len(got)-20:])
	}
	if got := string(baseline(findings([]byte("b from\n   to c\nnotice: n\na\r\na\n")))); got != "a\nb from to c\n" {
		t.Errorf("got %q", got)
	}
}

// TestDamage tells damage from what git finds wrong with what objects have.
func TestDamage(t *testing.T) {
	for line, want := range map[string]bool{
		"error in commit 1234: missingEmail: a missing blob of text": false,
		"warning in tree 1234: zeroPaddedFilemode: corrupt":          false,
		"missing blob 1234":                                           true,
		"broken link from tree 1 to blob 2":                           true,
		"error: 1234: hash-path mismatch, found at: objects/12/34":    true,
		"error: 1234: object corrupt or missing: objects/12/34":       true,
		"error: inflate: data stream error (incorrect data check)":    true,
		"error: packed 1234 from objects/pack/pack-1.pack is corrupt": true,
		"error: refs/heads/x: not a commit":                           false,
		"error: objects/pack/pack-1.pack SHA1 checksum mismatch":      true,
		"error: garbage at end of loose object '1234'":                true,
		"error: object file objects/12/34 is empty":                   true,
	} {
		if got := damaged([]string{line}) != ""; got != want {
			t.Errorf("%q is damage: %v", line, got)
		}
	}
}

// TestWrongContent finds an object that has another's content.
func TestWrongContent(t *testing.T) {
	r := gittest.New(t, t.TempDir(), "sha1", true)
	r.Commit("main", map[string]string{"a": "what it says"})
	right, wrong := loose(r, r.Blob("what it says")), loose(r, r.Blob("something else"))
	text, err := os.ReadFile(wrong)
	if err != nil {
		t.Fatal(err)
	}
	remove(t, right)
	put(t, right, string(text))
	if _, damage, err := open(t, r.Dir, Options{}).Fsck(t.Context()); err != nil || damage == "" {
		t.Errorf("%q, %v", damage, err)
	}
}
