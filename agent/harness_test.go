package agent_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sort"
	"sync"
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

// fakeSource is a source in memory. It lists in order and can fail on demand.
type fakeSource struct {
	mu      sync.Mutex
	items   map[string]fakeItem
	version int64
	// listFail stops a listing with an error before this path; empty never.
	listFail string
	// onCapture is asked before each capture, onEntry told of each item before it is listed.
	onCapture func(path string) error
	onEntry   func(path string)
	captures  int
}

type fakeItem struct {
	content []byte
	etag    string
}

func newFakeSource() *fakeSource { return &fakeSource{items: map[string]fakeItem{}} }

func (f *fakeSource) put(path string, content []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.version++
	f.items[path] = fakeItem{content, fmt.Sprintf("\"%d\"", f.version)}
}

func (f *fakeSource) del(path string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.items, path)
}

func (f *fakeSource) copy() map[string][]byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := map[string][]byte{}
	for k, v := range f.items {
		out[k] = v.content
	}
	return out
}

// bytes is how many bytes all items have.
func (f *fakeSource) bytes() (n int64) {
	for _, b := range f.copy() {
		n += int64(len(b))
	}
	return n
}

func (f *fakeSource) Place() record.Place {
	return record.Place{Name: "fake", Kind: "mem", Place: "mem://fake"}
}
func (f *fakeSource) Check(context.Context) error { return nil }

func (f *fakeSource) List(ctx context.Context, r source.Range, yield func(source.Entry) error) error {
	f.mu.Lock()
	var entries []source.Entry
	for k, v := range f.items {
		if r.Contains(k) {
			entries = append(entries, source.Entry{Path: k, Kind: record.KindObject, Size: int64(len(v.content)), Attrs: record.Attrs{"etag": v.etag}})
		}
	}
	f.mu.Unlock()
	sort.Slice(entries, func(i, j int) bool { return entries[i].Path < entries[j].Path })
	for _, e := range entries {
		if f.listFail != "" && e.Path >= f.listFail {
			return fmt.Errorf("listing failed at %q", e.Path)
		}
		if f.onEntry != nil {
			f.onEntry(e.Path)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := yield(e); err != nil {
			return err
		}
	}
	return nil
}

func (f *fakeSource) Unchanged(e source.Entry, last *record.Record) bool {
	return last.State == record.Present && last.Attrs["etag"] == e.Attrs["etag"]
}

func (f *fakeSource) Capture(ctx context.Context, e source.Entry, last *record.Record, sink source.Sink) (*record.Record, error) {
	f.mu.Lock()
	it, ok := f.items[e.Path]
	hook := f.onCapture
	f.captures++
	f.mu.Unlock()
	if hook != nil {
		if err := hook(e.Path); err != nil {
			return nil, err
		}
	}
	if !ok {
		return nil, source.ErrGone
	}
	part, err := sink.Part(ctx, record.Part{Kind: record.PartContent}, int64(len(it.content)), bytes.NewReader(it.content))
	if err != nil {
		return nil, err
	}
	return &record.Record{State: record.Present, Attrs: record.Attrs{"etag": it.etag}, Parts: []record.Part{part}}, nil
}

// rig is a vault in memory with its keys, and the agent's state directory.
type rig struct {
	t            testing.TB
	driver       providers.Driver
	bucket       *providers.Bucket
	owner        sign.PrivateKey
	agent        sign.PrivateKey
	recovery     age.Identity
	recoveryText string
	recipient    string // of the recovery identity
	metadata     age.Identity
	id           string
	dir          string
	now          func() time.Time
	back         vault.ReadBack
	bad          map[record.Hash]bool // known to be damaged
}

func newRig(t testing.TB) *rig { return newRigOn(t, mem.New()) }

func newRigOn(t testing.TB, d providers.Driver) *rig { return newRigWith(t, d, seal.GenerateX25519) }

// newHybridRig uses post-quantum keys, as init does; they cost a little more.
func newHybridRig(t testing.TB, d providers.Driver) *rig {
	return newRigWith(t, d, seal.GenerateHybrid)
}

func newRigWith(t testing.TB, d providers.Driver, generate func() (string, string, error)) *rig {
	t.Helper()
	r := &rig{t: t, driver: d, dir: filepath.Join(t.TempDir(), "state")}
	r.bucket = providers.New(d, providers.Options{})
	must := func(err error) { t.Helper(); must(t, err) }
	var err error
	r.owner, err = sign.Generate()
	must(err)
	r.agent, err = sign.Generate()
	must(err)
	recID, recRcpt, err := generate()
	must(err)
	r.recoveryText = recID
	metaID, metaRcpt, err := generate()
	must(err)
	r.recipient = recRcpt
	r.recovery, err = seal.ParseIdentity(recID)
	must(err)
	r.metadata, err = seal.ParseIdentity(metaID)
	must(err)
	r.id, err = vault.Create(context.Background(), r.bucket, vault.CreateOptions{
		Owner: r.owner, Recovery: []string{recRcpt}, Metadata: metaRcpt, Agent: r.agent.Public(), Time: time.Now(),
	})
	must(err)
	return r
}

func (r *rig) state() *state.Store {
	r.t.Helper()
	s, err := state.Open(r.dir, state.Options{Vault: mustHash(r.id)})
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

// replicate makes one pass with fresh state handles, as a one-shot run does.
func (r *rig) replicate(ctx context.Context, src source.Source, o agent.Options) (*agent.Summary, error) {
	r.t.Helper()
	s := r.state()
	defer func() {
		if err := s.Close(); err != nil {
			r.t.Errorf("close state: %v", err)
		}
	}()
	return r.replicateWith(ctx, s, src, o)
}

// replicateWith makes one pass with the state that is at hand.
func (r *rig) replicateWith(ctx context.Context, s *state.Store, src source.Source, o agent.Options) (*agent.Summary, error) {
	pub := r.owner.Public()
	v, err := vault.Open(ctx, r.bucket, vault.Options{Owner: &pub, Identities: []age.Identity{r.metadata}, Cache: s})
	if err != nil {
		return nil, err
	}
	w, err := v.Begin(ctx, vault.BeginOptions{Source: src.Place(), Agent: r.agent, Local: s, Now: r.now, ReadBack: r.back, Damaged: r.bad})
	if err != nil {
		return nil, err
	}
	defer w.Close()
	return agent.Replicate(ctx, w, src, o)
}

func (r *rig) mustReplicate(src source.Source, o agent.Options) *agent.Summary {
	r.t.Helper()
	sum, err := r.replicate(context.Background(), src, o)
	if err != nil {
		r.t.Fatalf("replicate: %v", err)
	}
	return sum
}

// open opens the vault with the recovery key, as a bare machine does.
func (r *rig) open() *vault.Vault {
	r.t.Helper()
	pub := r.owner.Public()
	v, err := vault.Open(context.Background(), r.bucket, vault.Options{Owner: &pub, Identities: []age.Identity{r.recovery}})
	if err != nil {
		r.t.Fatal(err)
	}
	return v
}

// chain returns the only chain of the vault.
func (r *rig) chain(v *vault.Vault) *vault.Chain {
	r.t.Helper()
	chains, err := v.Chains(context.Background())
	if err != nil {
		r.t.Fatal(err)
	}
	if len(chains) != 1 {
		r.t.Fatalf("%d chains, want 1", len(chains))
	}
	for _, f := range chains[0].Findings {
		r.t.Errorf("finding: %+v", f)
	}
	return chains[0]
}

// contents reads every item of a snapshot.
func (r *rig) contents(v *vault.Vault, c *vault.Commit) map[string][]byte {
	r.t.Helper()
	ctx := context.Background()
	snap, err := v.Snapshot(ctx, c)
	if err != nil {
		r.t.Fatalf("commit %d: %v", c.Seq, err)
	}
	reader := v.NewReader()
	out := map[string][]byte{}
	for rec, err := range snap.Records(ctx, "", "") {
		if err != nil {
			r.t.Fatalf("commit %d: %v", c.Seq, err)
		}
		good := rec
		if rec.State == record.Unreadable {
			if good = rec.Last; good == nil {
				continue
			}
		}
		var b bytes.Buffer
		if err := reader.Copy(ctx, &b, &good.Parts[0]); err != nil {
			r.t.Fatalf("commit %d, %q: %v", c.Seq, rec.Path, err)
		}
		out[rec.Path] = b.Bytes()
	}
	return out
}

func diff(t testing.TB, what string, got, want map[string][]byte) {
	t.Helper()
	for k, w := range want {
		g, ok := got[k]
		if !ok {
			t.Errorf("%s: %q is missing", what, k)
		} else if !bytes.Equal(g, w) {
			t.Errorf("%s: %q differs: %d bytes %x, want %d bytes %x", what, k, len(g), sha256.Sum256(g), len(w), sha256.Sum256(w))
		}
	}
	for k := range got {
		if _, ok := want[k]; !ok {
			t.Errorf("%s: %q should not be there", what, k)
		}
	}
}

func mustHash(s string) record.Hash {
	h, err := record.ParseHash(s)
	if err != nil {
		panic(err)
	}
	return h
}

// words returns n bytes of text that compresses as text does, the same for the same seed.
func words(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 7))
	var b []byte
	for len(b) < n {
		b = fmt.Appendf(b, "%d bottles of %x on the wall, ", r.IntN(100), r.IntN(300))
	}
	return b[:n]
}
