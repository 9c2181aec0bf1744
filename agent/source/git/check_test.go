package git

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"farshore/agent/repo/gittest"
)

// TestCheckTree holds that a folder is taken for a source only if there is something in it.
func TestCheckTree(t *testing.T) {
	root := t.TempDir()
	gittest.New(t, filepath.Join(root, "full", "a.git"), "sha1", true)
	for _, path := range []string{"empty", "file"} {
		if err := os.Mkdir(filepath.Join(root, path), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "file", "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]string{
		"full": "", "full?match=b*": "no git repository was found", "empty": "no git repository was found", "none": "no directory", "file/file": "no directory",
	} {
		s, err := New(Options{Address: "git+file://" + root + "/" + address})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Check(t.Context()); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", address, err)
		}
	}
}
