package census

import (
	"crypto/sha256"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"farshore/agent"
	"farshore/agent/internal/small"
	"farshore/agent/vault"
	"farshore/crypto/seal"
	"farshore/crypto/sign"
	"farshore/providers"
)

// rig is a vault on a store, which the agent writes to.
type rig struct {
	t        *testing.T
	d        providers.Driver
	owner    sign.PrivateKey
	options  agent.SessionOptions
	recovery age.Identity
}

func newRig(t *testing.T, d providers.Driver) *rig {
	t.Helper()
	r := &rig{t: t, d: d}
	var err error
	r.owner, err = sign.Generate()
	must(t, err)
	key, err := sign.Generate()
	must(t, err)
	text, recovery, err := seal.GenerateX25519()
	must(t, err)
	r.recovery, err = seal.ParseIdentity(text)
	must(t, err)
	text, metadata, err := seal.GenerateX25519()
	must(t, err)
	id, err := seal.ParseIdentity(text)
	must(t, err)
	_, err = vault.Create(t.Context(), r.bucket(d), vault.CreateOptions{Owner: r.owner, Recovery: []string{recovery}, Metadata: metadata, Agent: key.Public(), Time: time.Now()})
	must(t, err)
	r.options = agent.SessionOptions{Owner: r.owner.Public(), Recipients: []string{recovery}, Identities: []age.Identity{id}, Key: key, State: filepath.Join(t.TempDir(), "state")}
	return r
}

func (r *rig) bucket(d providers.Driver) *providers.Bucket {
	return providers.New(d, providers.Options{Attempts: 1})
}

// pass stores items as the next commit of a source, each in a pack of its own or with others, as the agent has it.
func (r *rig) pass(src *small.Source) {
	r.t.Helper()
	s, err := agent.Open(r.t.Context(), r.bucket(r.d), r.options)
	must(r.t, err)
	_, err = s.Replicate(r.t.Context(), src, nil, nil, agent.Options{})
	must(r.t, err)
	must(r.t, s.Close())
}

// passes makes commits of two sources.
func (r *rig) passes(n int) {
	r.t.Helper()
	for _, name := range []string{"one", "two"} {
		src := &small.Source{Name: name, All: map[string]string{}}
		for i := range n {
			src.All[fmt.Sprint("item ", i)] = fmt.Sprintf("%8d of %s", i, name)
			r.pass(src)
		}
	}
}

func (r *rig) open() (*vault.Vault, []*vault.Chain) {
	r.t.Helper()
	owner := r.owner.Public()
	v, err := vault.Open(r.t.Context(), r.bucket(r.d), vault.Options{Owner: &owner})
	must(r.t, err)
	chains, err := v.Chains(r.t.Context())
	must(r.t, err)
	return v, chains
}

func (r *rig) take() *Census {
	r.t.Helper()
	v, chains := r.open()
	c, err := Take(r.t.Context(), v, chains, Options{})
	must(r.t, err)
	r.t.Cleanup(func() { must(r.t, c.Close()) })
	return c
}

// declare places the owner's next statement.
func (r *rig) declare(edit vault.Edit) {
	r.t.Helper()
	v, _ := r.open()
	d, err := v.Draft(r.t.Context(), time.Now(), "a test", edit)
	must(r.t, err)
	_, stored, err := d.Sign(r.owner)
	must(r.t, err)
	_, err = v.Place(r.t.Context(), stored)
	must(r.t, err)
}

func bytesOf(s string) *io.SectionReader {
	return io.NewSectionReader(strings.NewReader(s), 0, int64(len(s)))
}

func sumOf(s string) [32]byte { return sha256.Sum256([]byte(s)) }
