package vault_test

import (
	"strings"
	"testing"
	"time"

	"farshore/agent/vault"
	"farshore/providers"
	"farshore/providers/mem"
)

// TestCreateAfterProbe holds that a place which has no more than canaries, current and hidden, is empty: a credential may be tried before there is a vault.
func TestCreateAfterProbe(t *testing.T) {
	r := newRig(t)
	store := mem.NewVersioned()
	store.Set("packs/canary/a-1", []byte("canary"))
	store.Set("vault/canary/b-2", []byte("canary"))
	store.Hide("vault/canary/b-2")
	o := vault.CreateOptions{Owner: r.owner, Recovery: r.recipients("recovery"), Metadata: r.recipients("metadata")[0], Agent: r.agent.Public(), Time: time.Now()}
	_, err := vault.Create(t.Context(), providers.New(store, providers.Options{}), o)
	must(t, err)
	store.Set("packs/other", []byte("no canary"))
	if _, err := vault.Create(t.Context(), providers.New(store, providers.Options{}), o); err == nil || !strings.Contains(err.Error(), "packs/other") {
		t.Errorf("%v", err)
	}
}
