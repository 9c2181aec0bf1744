// Package rig makes vaults in memory for the tests of what verifies them: sources that do what a script says, passes over them, and the keys. Only tests import it.
package rig

import (
	"path/filepath"
	"testing"
	"time"

	"filippo.io/age"

	"farshore/agent"
	"farshore/agent/source"
	"farshore/agent/vault"
	"farshore/crypto/seal"
	"farshore/crypto/sign"
	"farshore/providers"
	"farshore/providers/mem"
)

// Rig is a vault in memory with all its keys. Not safe for concurrent use.
type Rig struct {
	tb                 testing.TB
	Store              *mem.Driver
	Owner              sign.PrivateKey
	Agent              sign.PrivateKey
	Recovery, Metadata age.Identity
	// Recipient is that of Recovery.
	Recipient string
	dir       string
}

// New returns a new vault.
func New(tb testing.TB) *Rig {
	tb.Helper()
	r := &Rig{tb: tb, Store: mem.New(), dir: filepath.Join(tb.TempDir(), "state")}
	var err error
	r.Owner, err = sign.Generate()
	r.Must(err)
	r.Agent, err = sign.Generate()
	r.Must(err)
	var metadata string
	r.Recovery, r.Recipient = Identity(tb)
	r.Metadata, metadata = Identity(tb)
	_, err = vault.Create(tb.Context(), r.Bucket(r.Store), vault.CreateOptions{
		Owner: r.Owner, Recovery: []string{r.Recipient}, Metadata: metadata, Agent: r.Agent.Public(), Time: time.Now(),
	})
	r.Must(err)
	return r
}

// Identity makes an identity and its recipient.
func Identity(tb testing.TB) (age.Identity, string) {
	tb.Helper()
	text, recipient, err := seal.GenerateX25519()
	if err != nil {
		tb.Fatal(err)
	}
	id, err := seal.ParseIdentity(text)
	if err != nil {
		tb.Fatal(err)
	}
	return id, recipient
}

// Must ends the test on an error.
func (r *Rig) Must(err error) {
	r.tb.Helper()
	if err != nil {
		r.tb.Fatal(err)
	}
}

// Bucket is a store without retries.
func (r *Rig) Bucket(d providers.Driver) *providers.Bucket {
	return providers.New(d, providers.Options{Attempts: 1})
}

// Pass replicates a source.
func (r *Rig) Pass(src source.Source) {
	r.tb.Helper()
	s, err := agent.Open(r.tb.Context(), r.Bucket(r.Store), agent.SessionOptions{
		Owner: r.Owner.Public(), Recipients: []string{r.Recipient}, Identities: []age.Identity{r.Metadata}, Key: r.Agent, State: r.dir,
	})
	r.Must(err)
	_, err = s.Replicate(r.tb.Context(), src, nil, nil, agent.Options{})
	r.Must(err)
	r.Must(s.Close())
}

// Open opens the vault as it lies in a store, with keys.
func (r *Rig) Open(d providers.Driver, ids ...age.Identity) (*vault.Vault, []*vault.Chain) {
	r.tb.Helper()
	pub := r.Owner.Public()
	v, err := vault.Open(r.tb.Context(), r.Bucket(d), vault.Options{Owner: &pub, Identities: ids})
	r.Must(err)
	chains, err := v.Chains(r.tb.Context())
	r.Must(err)
	return v, chains
}
