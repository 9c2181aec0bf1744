package main

import (
	"os"
	"path/filepath"
	"testing"

	"farshore/crypto/keyring"
)

// TestAuditorKey makes an auditor's key, which is never replaced.
func TestAuditorKey(t *testing.T) {
	r := newShop(t)
	path := filepath.Join(t.TempDir(), "auditor.key")
	var res auditorKeyResult
	r.json(&res, "vault", "agent", "key", path)
	k, err := keyring.ReadSigner(path)
	if err != nil || k.Public().String() != res.Key || k.ID() != res.KeyID || res.Fingerprint == "" {
		t.Errorf("%+v, %v", res, err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r.run("vault", "agent", "key", path).ends(exitUsage).warns("exists already", "hint: name a new file")
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Errorf("the key was replaced: %v", err)
	}
	r.run("vault", "agent", "key").ends(exitUsage)
}
