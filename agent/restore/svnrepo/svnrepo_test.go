package svnrepo_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"farshore/agent/repo/svntest"
)

// long reports whether tests may take minutes.
func long() bool { return os.Getenv("FARSHORE_TEST_LONG") == "1" }

// TestHistories captures random histories at random moments. Each capture restores to a repository whose dump is the same, byte for byte.
func TestHistories(t *testing.T) {
	seeds, captures, steps := uint64(1), 3, 6
	if long() {
		seeds, captures, steps = 30, 5, 4
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			r := local(t, root)
			dir := filepath.Join(root, "app")
			h := svntest.NewHistory(t, dir, seed)
			for i := range captures {
				r.pass()
				r.same(dir)
				for range 3 + steps*i {
					h.Step()
				}
			}
			r.pass()
			r.same(dir)
		})
	}
}
