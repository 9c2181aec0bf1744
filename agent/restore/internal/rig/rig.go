// Package rig makes vaults in memory for the tests of restores: put items in, replicate, open the snapshot with the recovery key. Only
// tests import it.
package rig

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"farshore/agent"
	"farshore/agent/internal/state"
	"farshore/agent/record"
	"farshore/agent/source"
	"farshore/agent/vault"
	"farshore/crypto/seal"
	"farshore/crypto/sign"
	"farshore/providers"
	"farshore/providers/mem"
)

// Item is one item of a source.
type Item struct {
	Content []byte
	Attrs   record.Attrs
	// Unreadable makes the source refuse the item with this reason.
	Unreadable string
	version    int
}

// Rig is a source and a vault in memory. Not safe for concurrent use.
type Rig struct {
	tb       testing.TB
	Items    map[string]Item
	Store    *mem.Driver
	bucket   *providers.Bucket
	owner    sign.PrivateKey
	agent    sign.PrivateKey
	recovery age.Identity
	metadata age.Identity
	id       string
	dir      string
	version  int
}

// New returns a new vault and an empty source.
func New(tb testing.TB) *Rig {
	tb.Helper()
	r := &Rig{tb: tb, Items: map[string]Item{}, Store: mem.New(), dir: filepath.Join(tb.TempDir(), "state")}
	r.bucket = providers.New(r.Store, providers.Options{})
	r.owner, r.agent = must(tb, sign.Generate), must(tb, sign.Generate)
	var recovery, metadata string
	r.recovery, recovery = identity(tb)
	r.metadata, metadata = identity(tb)
	id, err := vault.Create(tb.Context(), r.bucket, vault.CreateOptions{
		Owner: r.owner, Recovery: []string{recovery}, Metadata: metadata, Agent: r.agent.Public(), Time: time.Now(),
	})
	check(tb, err)
	r.id = id
	return r
}

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func must[T any](tb testing.TB, f func() (T, error)) T {
	tb.Helper()
	v, err := f()
	check(tb, err)
	return v
}

func identity(tb testing.TB) (age.Identity, string) {
	tb.Helper()
	text, recipient, err := seal.GenerateX25519()
	check(tb, err)
	id, err := seal.ParseIdentity(text)
	check(tb, err)
	return id, recipient
}

// Put puts an item into the source, or another content under its path.
func (r *Rig) Put(path string, content []byte, attrs ...record.Attrs) {
	r.version++
	it := Item{Content: content, Attrs: record.Attrs{}, version: r.version}
	for _, a := range attrs {
		maps.Copy(it.Attrs, a)
	}
	r.Items[path] = it
}

// Refuse makes an item of the source unreadable.
func (r *Rig) Refuse(path, reason string) {
	it := r.Items[path]
	r.version++
	it.Unreadable, it.version = reason, r.version
	r.Items[path] = it
}

// Replicate makes one pass.
func (r *Rig) Replicate() {
	r.tb.Helper()
	r.ReplicateFrom(memory{r})
}

// ReplicateFrom makes one pass over another source.
func (r *Rig) ReplicateFrom(src source.Source) {
	r.tb.Helper()
	hash, err := record.ParseHash(r.id)
	check(r.tb, err)
	local, err := state.Open(r.dir, state.Options{Vault: hash})
	check(r.tb, err)
	defer func() {
		if err := local.Close(); err != nil {
			r.tb.Error(err)
		}
	}()
	v := r.open(r.metadata, local)
	w, err := v.Begin(r.tb.Context(), vault.BeginOptions{Source: src.Place(), Agent: r.agent, Local: local})
	check(r.tb, err)
	defer w.Close()
	if _, err := agent.Replicate(r.tb.Context(), w, src, agent.Options{}); err != nil {
		r.tb.Fatalf("replicate: %v", err)
	}
}

func (r *Rig) open(id age.Identity, cache vault.Cache) *vault.Vault {
	r.tb.Helper()
	pub := r.owner.Public()
	v, err := vault.Open(r.tb.Context(), r.bucket, vault.Options{Owner: &pub, Identities: []age.Identity{id}, Cache: cache})
	check(r.tb, err)
	return v
}

// Snapshot opens the newest snapshot as a bare machine does.
func (r *Rig) Snapshot() (*vault.Snapshot, *vault.Reader) {
	r.tb.Helper()
	return r.snapshot(r.recovery)
}

// AgentsSnapshot opens it with the agent's key, which reads no content.
func (r *Rig) AgentsSnapshot() (*vault.Snapshot, *vault.Reader) {
	r.tb.Helper()
	return r.snapshot(r.metadata)
}

func (r *Rig) snapshot(id age.Identity) (*vault.Snapshot, *vault.Reader) {
	r.tb.Helper()
	v := r.open(id, nil)
	chains, err := v.Chains(r.tb.Context())
	check(r.tb, err)
	snap, err := v.Snapshot(r.tb.Context(), chains[0].Newest())
	check(r.tb, err)
	return snap, v.NewReader()
}

// Record returns the record of a path in the newest snapshot.
func (r *Rig) Record(path string) *record.Record {
	r.tb.Helper()
	snap, _ := r.Snapshot()
	rec, err := snap.Find(r.tb.Context(), path)
	check(r.tb, err)
	if rec == nil {
		r.tb.Fatalf("no record of %q", path)
	}
	return rec
}

// Packs returns the names of the packs that hold an item's content.
func (r *Rig) Packs(path string) []string {
	r.tb.Helper()
	var names []string
	for _, p := range r.Record(path).Parts {
		for _, e := range p.Extents {
			names = append(names, record.PackName(e.Pack.Name))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Noise returns n random bytes, the same for the same seed.
func Noise(seed uint64, n int) []byte {
	var key [32]byte
	copy(key[:], fmt.Sprint(seed))
	b := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(b) // it never fails
	return b
}

// memory is the rig's source.
type memory struct{ *Rig }

// Place names the source.
func (memory) Place() record.Place {
	return record.Place{Name: "fake", Kind: "mem", Place: "mem://fake"}
}

// Check finds nothing wrong.
func (memory) Check(context.Context) error { return nil }

// List lists the items.
func (m memory) List(_ context.Context, r source.Range, yield func(source.Entry) error) error {
	for _, path := range slices.Sorted(maps.Keys(m.Items)) {
		if !r.Contains(path) {
			continue
		}
		it := m.Items[path]
		e := source.Entry{Path: path, Kind: record.KindObject, Size: int64(len(it.Content)), Attrs: record.Attrs{"version-id": fmt.Sprint(it.version)}}
		if err := yield(e); err != nil {
			return err
		}
	}
	return nil
}

// Unchanged compares versions.
func (memory) Unchanged(e source.Entry, last *record.Record) bool {
	return last.State == record.Present && last.Attrs["version-id"] == e.Attrs["version-id"]
}

// Capture reads an item.
func (m memory) Capture(ctx context.Context, e source.Entry, _ *record.Record, sink source.Sink) (*record.Record, error) {
	it := m.Items[e.Path]
	if it.Unreadable != "" {
		return nil, &source.Unreadable{Reason: it.Unreadable, Detail: strings.ToUpper(it.Unreadable)}
	}
	part, err := sink.Part(ctx, record.Part{Kind: record.PartContent}, int64(len(it.Content)), bytes.NewReader(it.Content))
	if err != nil {
		return nil, err
	}
	attrs := record.Attrs{}
	maps.Copy(attrs, it.Attrs)
	maps.Copy(attrs, e.Attrs)
	return &record.Record{State: record.Present, Attrs: attrs, Parts: []record.Part{part}}, nil
}
