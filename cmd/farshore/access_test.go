package main

import (
	"path/filepath"
	"strings"
	"testing"

	"farshore/agent/config"
	"farshore/crypto/keyring"
	"farshore/crypto/seal"
	"farshore/crypto/sign"
)

// TestAccess gathers what a reader needs in all the ways that there are.
func TestAccess(t *testing.T) {
	t.Chdir(t.TempDir())
	c := writeConfig(t, "farshore.yaml")
	identity, _, err := seal.GenerateX25519()
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := sign.Generate()
	if err != nil {
		t.Fatal(err)
	}
	id := strings.Repeat("ab", 32)
	for _, err := range []error{
		keyring.WriteRecovery("right.key", identity, id, c.Owner),
		keyring.WriteRecovery("plain.key", identity, "", ""),
		keyring.WriteRecovery("other-owner.key", identity, "", stranger.Public().String()),
		keyring.WriteRecovery("other-vault.key", identity, strings.Repeat("cd", 32), ""),
		keyring.WriteMetadata("metadata.key", identity),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	const elsewhere = "file:///elsewhere"
	tests := []struct {
		name       string
		flags      commonFlags
		url, owner string
		id         string
		identities int
		config     bool
		wrong      string
	}{
		{"configuration", commonFlags{}, c.Vault, c.Owner, "", 0, true, ""},
		{"and an identity", commonFlags{identities: []string{"right.key", "plain.key"}}, c.Vault, c.Owner, id, 2, true, ""},
		{"same vault named", commonFlags{vault: c.Vault}, c.Vault, c.Owner, "", 0, true, ""},
		{"bare machine", commonFlags{vault: elsewhere, identities: []string{"right.key"}}, elsewhere, c.Owner, id, 1, false, ""},
		{"bare machine, unpinned", commonFlags{vault: elsewhere, identities: []string{"metadata.key"}}, elsewhere, "", "", 1, false, ""},
		{"bare machine, pinned by flag", commonFlags{vault: elsewhere, ownerPub: c.Owner}, elsewhere, c.Owner, "", 0, false, ""},
		{"a copy of the vault", commonFlags{vault: elsewhere, config: "farshore.yaml"}, elsewhere, c.Owner, "", 0, true, ""},
		{"another owner", commonFlags{identities: []string{"other-owner.key"}}, "", "", "", 0, false, "farshore.yaml names another owner's key than other-owner.key"},
		{"another vault", commonFlags{identities: []string{"right.key", "other-vault.key"}}, "", "", "", 0, false, "other-vault.key names another vault"},
		{"no such configuration", commonFlags{vault: elsewhere, config: "no.yaml"}, "", "", "", 0, false, "no.yaml"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, _, stderr := testEnv(t)
			e.flags = tt.flags
			a, err := e.access()
			if tt.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wrong) {
					t.Fatalf("got %v, want %q", err, tt.wrong)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			owner := ""
			if a.owner != nil {
				owner = a.owner.String()
			}
			if a.url != tt.url || owner != tt.owner || a.vaultID != tt.id || len(a.identities) != tt.identities || (a.config != nil) != tt.config {
				t.Errorf("got %+v, owner %s", a, owner)
			}
			if unpinned := strings.Contains(stderr.String(), "UNPINNED"); unpinned != (tt.owner == "") {
				t.Errorf("stderr %q", stderr)
			}
		})
	}
}

// TestAccessUsesAgentIdentity finds the agent's metadata key beside the configuration, and refuses a recovery key in its place.
func TestAccessUsesAgentIdentity(t *testing.T) {
	t.Chdir(t.TempDir())
	writeConfig(t, "farshore.yaml")
	identity, _, err := seal.GenerateX25519()
	if err != nil {
		t.Fatal(err)
	}
	l := newLayout(initOptions{config: "farshore.yaml", kit: "kit"})
	if err := l.mkdir("keys"); err != nil {
		t.Fatal(err)
	}
	if err := keyring.WriteMetadata(filepath.Join("keys", config.MetadataKey), identity); err != nil {
		t.Fatal(err)
	}
	e, _, _ := testEnv(t)
	a, err := e.access()
	if err != nil || len(a.identities) != 1 {
		t.Errorf("%+v, %v", a, err)
	}
	if err := l.mkdir("keys2"); err != nil {
		t.Fatal(err)
	}
	if err := keyring.WriteRecovery(filepath.Join("keys2", config.MetadataKey), identity, "", ""); err != nil {
		t.Fatal(err)
	}
	a.config.Keys = "keys2"
	if err := e.addAgentIdentity(a); err == nil {
		t.Error("a recovery key on the agent's host was used")
	}
}
