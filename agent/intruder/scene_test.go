package intruder

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"filippo.io/age"

	"farshore/agent"
	"farshore/agent/record"
	"farshore/agent/source"
	"farshore/agent/vault"
	"farshore/crypto/seal"
	"farshore/crypto/sign"
	"farshore/providers"
)

// patience bounds all that one test does with its store.
const patience = 8 * time.Minute

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// shop is the source: items in memory.
type shop struct{ items map[string][]byte }

func (s *shop) Place() record.Place {
	return record.Place{Name: "shop", Kind: "mem", Place: "mem://shop"}
}
func (s *shop) Check(context.Context) error { return nil }

func etag(content []byte) string { return fmt.Sprintf("%x", sha256.Sum256(content)) }

func (s *shop) List(_ context.Context, r source.Range, yield func(source.Entry) error) error {
	for _, path := range slices.Sorted(maps.Keys(s.items)) {
		if !r.Contains(path) {
			continue
		}
		e := source.Entry{Path: path, Kind: record.KindObject, Size: int64(len(s.items[path])), Attrs: record.Attrs{"etag": etag(s.items[path])}}
		if err := yield(e); err != nil {
			return err
		}
	}
	return nil
}

func (s *shop) Unchanged(e source.Entry, last *record.Record) bool {
	return last.State == record.Present && last.Attrs["etag"] == e.Attrs["etag"]
}

func (s *shop) Capture(ctx context.Context, e source.Entry, _ *record.Record, sink source.Sink) (*record.Record, error) {
	content := s.items[e.Path]
	part, err := sink.Part(ctx, record.Part{Kind: record.PartContent}, int64(len(content)), bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	return &record.Record{State: record.Present, Attrs: record.Attrs{"etag": etag(content)}, Parts: []record.Part{part}}, nil
}

// noise is n bytes that do not compress, the same for the same seed.
func noise(seed uint64, n int) []byte {
	src := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), 7})
	out := make([]byte, n)
	_, _ = src.Read(out) // it never fails
	return out
}

// host is what lies on an agent's host, and what a thief of it has.
type host struct {
	key      sign.PrivateKey
	metadata age.Identity
	state    string
}

func newHost(t testing.TB) (h host, recipient string) {
	t.Helper()
	key, err := sign.Generate()
	must(t, err)
	identity, recipient, err := seal.GenerateX25519()
	must(t, err)
	metadata, err := seal.ParseIdentity(identity)
	must(t, err)
	return host{key, metadata, filepath.Join(t.TempDir(), "state")}, recipient
}

// snapshot is a commit, and the items that it must give back.
type snapshot struct {
	chain string
	seq   int64
	hash  record.Hash
	items map[string][32]byte
}

// scene is a vault in a store, its owner, its agent, and what was replicated so far.
type scene struct {
	t         *testing.T
	ctx       context.Context
	at        *place
	owner     sign.PrivateKey
	recovery  age.Identity
	recipient string // of the recovery identity
	agent     host
	id        string
	src       *shop
	want      []snapshot
}

// newScene makes a vault with the owner's credential, and three snapshots with the agent's.
func newScene(t *testing.T, at *place) *scene {
	t.Helper()
	s := emptyScene(t, at)
	for pass := range 3 {
		for i := range 4 {
			s.src.items[fmt.Sprintf("%d/%d", pass, i)] = noise(uint64(pass*10+i), 30_000)
		}
		s.src.items["changes"] = noise(uint64(90+pass), 5000+pass)
		delete(s.src.items, fmt.Sprintf("%d/0", pass-1))
		must(t, s.replicate())
	}
	return s
}

// emptyScene makes a vault with the owner's credential.
func emptyScene(t *testing.T, at *place) *scene {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	s := &scene{t: t, ctx: ctx, at: at, src: &shop{items: map[string][]byte{}}}
	var err error
	s.owner, err = sign.Generate()
	must(t, err)
	identity, recipient, err := seal.GenerateX25519()
	must(t, err)
	s.recipient = recipient
	s.recovery, err = seal.ParseIdentity(identity)
	must(t, err)
	var metadata string
	s.agent, metadata = newHost(t)
	s.id, err = vault.Create(ctx, at.owner(), vault.CreateOptions{Owner: s.owner, Recovery: []string{recipient}, Metadata: metadata, Agent: s.agent.key.Public(), Time: time.Now()})
	must(t, err)
	return s
}

// replicate makes one pass with the agent's credential, and remembers what it must give back.
func (s *scene) replicate() error {
	s.t.Helper()
	_, err := s.replicateAs(s.agent, s.at.agent())
	return err
}

func (s *scene) replicateAs(h host, b *providers.Bucket) (*agent.Summary, error) {
	s.t.Helper()
	session, err := agent.Open(s.ctx, b, agent.SessionOptions{
		Owner: s.owner.Public(), Recipients: []string{s.recipient}, Identities: []age.Identity{h.metadata}, Key: h.key, State: h.state,
	})
	if err != nil {
		return nil, err
	}
	sum, err := session.Replicate(s.ctx, s.src, nil, nil, agent.Options{})
	must(s.t, session.Close())
	if err != nil {
		return nil, err
	}
	s.want = append(s.want, snapshot{sum.Head.Chain, sum.Head.Seq, sum.Head.Hash, sums(s.src.items)})
	return sum, nil
}

func sum(b []byte) record.Hash { return sha256.Sum256(b) }

func sums(items map[string][]byte) map[string][32]byte {
	out := map[string][32]byte{}
	for path, content := range items {
		out[path] = sha256.Sum256(content)
	}
	return out
}

// change gives the source something new.
func (s *scene) change() {
	n := uint64(len(s.src.items))
	s.src.items[fmt.Sprintf("later/%d", n)] = noise(500+n, 20_000)
}

// last is the newest snapshot.
func (s *scene) last() snapshot { return s.want[len(s.want)-1] }

// open opens the vault with the recovery key.
func (s *scene) open(b *providers.Bucket, marks ...vault.Seen) *vault.Vault {
	s.t.Helper()
	pub := s.owner.Public()
	v, err := vault.Open(s.ctx, b, vault.Options{Owner: &pub, ID: s.id, Identities: []age.Identity{s.recovery}, Seen: marks})
	must(s.t, err)
	return v
}

// state has the owner sign and place a statement.
func (s *scene) state(edits ...vault.Edit) {
	s.t.Helper()
	d, err := s.open(s.at.owner()).Draft(s.ctx, time.Now(), "", func(st *record.Statement) error {
		for _, edit := range edits {
			if err := edit(st); err != nil {
				return err
			}
		}
		return nil
	})
	must(s.t, err)
	_, stored, err := d.Sign(s.owner)
	must(s.t, err)
	_, err = s.open(s.at.owner()).Place(s.ctx, stored)
	must(s.t, err)
}

// replaceAgent has the owner take a stolen key out of force behind the last good snapshot, and name a new agent on another host, which replicates.
func (s *scene) replaceAgent() {
	s.t.Helper()
	fresh, metadata := newHost(s.t)
	good := s.last()
	s.state(vault.RevokeAfter(s.agent.key.ID(), []vault.Point{{Chain: good.chain, Seq: good.seq}}), vault.AddAgent(fresh.key.Public(), metadata, []string{"*"}))
	s.agent = fresh
	s.change()
	must(s.t, s.replicate())
	if s.last().chain == good.chain {
		s.t.Error("the new agent went on in the chain of the stolen key")
	}
}
