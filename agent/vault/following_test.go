package vault

import "testing"

// TestFollowing writes of one commit and of more as people do.
func TestFollowing(t *testing.T) {
	for n, want := range map[int]string{1: "does the one", 2: "do the 2 commits"} {
		if got := following(n); got != want {
			t.Errorf("%q", got)
		}
	}
}
