package state

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"farshore/agent/sidefile"
)

// TestForeign holds that root opens no state of another user's, whatever lies in it, and writes to nothing that a link there leads to.
func TestForeign(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give directories away")
	}
	dir, precious := t.TempDir(), filepath.Join(t.TempDir(), "precious")
	must(t, errors.Join(os.WriteFile(precious, []byte("kept"), 0o600), os.Symlink(precious, filepath.Join(dir, lockFile))))
	for _, owner := range []int{65534, 0} {
		must(t, os.Chown(dir, owner, owner))
		s, err := Open(dir, Options{Vault: hash(1)})
		if err == nil {
			must(t, s.Close())
			t.Errorf("of user %d: opened", owner)
		}
		if owner != 0 && !errors.Is(err, sidefile.ErrForeign) {
			t.Errorf("of user %d: %v", owner, err)
		}
		if text, err := os.ReadFile(precious); err != nil || string(text) != "kept" {
			t.Errorf("of user %d: %q, %v", owner, text, err)
		}
	}
}

// TestOpenFull holds that no index is opened on a full disk, where opening one would never end, and that nothing is lost by that.
func TestOpenFull(t *testing.T) {
	dir, free := t.TempDir(), int64(minRoom)
	o := Options{Vault: vaultID, freeRoom: func(string) (int64, error) { return free, nil }, OnReset: func(reason string) { t.Error(reason) }}
	for _, tt := range []struct {
		free int64
		want error
	}{{minRoom, nil}, {minRoom - 1, ErrFull}, {0, ErrFull}, {minRoom, nil}} {
		free = tt.free
		s, err := Open(dir, o)
		if !errors.Is(err, tt.want) {
			t.Errorf("%d bytes free: %v", tt.free, err)
		}
		if s != nil {
			must(t, s.Close())
		}
	}
}
