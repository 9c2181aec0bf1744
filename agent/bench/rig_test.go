package bench_test

import (
	"context"
	"math/rand/v2"
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
)

// rig is an empty vault with post-quantum keys, as init makes it, and the agent's state directory.
type rig struct {
	tb           testing.TB
	bucket       *providers.Bucket
	owner, agent sign.PrivateKey
	recovery     age.Identity
	metadata     age.Identity
	recipient    string
	state        string
	back         vault.ReadBack
}

func newRig(tb testing.TB, d providers.Driver) *rig {
	tb.Helper()
	r := &rig{tb: tb, bucket: providers.New(d, providers.Options{}), state: filepath.Join(tb.TempDir(), "state")}
	var err error
	r.owner, err = sign.Generate()
	must(tb, err)
	r.agent, err = sign.Generate()
	must(tb, err)
	recovery, recipient, err := seal.GenerateHybrid()
	must(tb, err)
	r.recipient = recipient
	r.recovery, err = seal.ParseIdentity(recovery)
	must(tb, err)
	metadata, metaRecipient, err := seal.GenerateHybrid()
	must(tb, err)
	r.metadata, err = seal.ParseIdentity(metadata)
	must(tb, err)
	_, err = vault.Create(context.Background(), r.bucket, vault.CreateOptions{
		Owner: r.owner, Recovery: []string{recipient}, Metadata: metaRecipient, Agent: r.agent.Public(), Time: time.Now(),
	})
	must(tb, err)
	return r
}

// replicate makes one pass as a one-shot run does, local state opened and closed included.
func (r *rig) replicate(src source.Source) *agent.Summary {
	r.tb.Helper()
	s, err := agent.Open(context.Background(), r.bucket, agent.SessionOptions{
		Owner: r.owner.Public(), Recipients: []string{r.recipient}, Identities: []age.Identity{r.metadata}, Key: r.agent, State: r.state, ReadBack: r.back,
	})
	must(r.tb, err)
	sum, err := s.Replicate(context.Background(), src, nil, nil, agent.Options{})
	must(r.tb, err)
	must(r.tb, s.Close())
	return sum
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// noise returns n random bytes, the same for the same seed.
func noise(seed uint64, n int) []byte {
	var key [32]byte
	for i := range 8 {
		key[i] = byte(seed >> (8 * i))
	}
	b := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(b)
	return b
}
