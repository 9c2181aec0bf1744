package svnrepo_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"farshore/agent/repo/svntest"
)

// TestHistories captures random histories at random moments. Each capture restores to a repository whose dump is the same, byte for byte.
func TestHistories(t *testing.T) {
	seeds := uint64(1)
	if os.Getenv("FARSHORE_TEST_LONG") == "1" {
		seeds = 30
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			r := local(t, root)
			dir := filepath.Join(root, "app")
			h := svntest.NewHistory(t, dir, seed)
			for i := range 5 {
				r.pass()
				r.same(dir)
				for range 3 + 4*i {
					h.Step()
				}
			}
			r.pass()
			r.same(dir)
		})
	}
}
