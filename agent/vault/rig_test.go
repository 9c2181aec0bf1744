package vault

import (
	"bytes"
	"context"
	"crypto/sha256"
	"path/filepath"
	"testing"
	"time"

	"filippo.io/age"

	"farshore/agent/internal/state"
	"farshore/agent/record"
	"farshore/crypto/seal"
	"farshore/crypto/sign"
	"farshore/providers"
	"farshore/providers/mem"
)

// bench is a vault in memory with small chunks, and one writer to it.
type bench struct {
	t        testing.TB
	store    *mem.Driver
	bucket   *providers.Bucket
	owner    sign.PublicKey
	agent    sign.PrivateKey
	recovery age.Identity
	dir      string
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newBench creates a vault whose owner has changed the parameters by a second statement.
func newBench(t testing.TB, change func(*record.Parameters)) *bench {
	t.Helper()
	b := &bench{t: t, store: mem.New(), dir: filepath.Join(t.TempDir(), "state")}
	b.bucket = providers.New(b.store, providers.Options{Attempts: 1})
	owner, err := sign.Generate()
	must(t, err)
	b.owner = owner.Public()
	b.agent, err = sign.Generate()
	must(t, err)
	identity, recipient, err := seal.GenerateX25519()
	must(t, err)
	b.recovery, err = seal.ParseIdentity(identity)
	must(t, err)
	_, metadata, err := seal.GenerateX25519()
	must(t, err)
	id, err := Create(context.Background(), b.bucket, CreateOptions{Owner: owner, Recovery: []string{recipient}, Metadata: metadata, Agent: b.agent.Public(), Time: time.Now()})
	must(t, err)
	if change == nil {
		return b
	}
	st := *b.open().Statement()
	prev, err := record.ParseHash(id)
	must(t, err)
	st.N, st.Prev = 2, &prev
	change(&st.Parameters)
	stored, err := encodeSigned(kindStatement, id, func() ([]byte, error) { return record.EncodeStatement(&st) }, owner)
	must(t, err)
	b.store.Set(record.StatementName(2, sha256.Sum256(stored)), stored)
	return b
}

// tiny makes chunks of some hundred bytes.
func tiny(p *record.Parameters) { p.ChunkMin, p.ChunkNormal, p.ChunkMax = 64, 256, 1024 }

func (b *bench) open() *Vault {
	b.t.Helper()
	v, err := Open(context.Background(), b.bucket, Options{Owner: &b.owner, Identities: []age.Identity{b.recovery}})
	must(b.t, err)
	return v
}

// writer begins a run; the returned function ends it.
func (b *bench) writer() (*Writer, func()) {
	b.t.Helper()
	v := b.open()
	id, err := record.ParseHash(v.ID())
	must(b.t, err)
	s, err := state.Open(b.dir, state.Options{Vault: id})
	must(b.t, err)
	w, err := v.Begin(context.Background(), BeginOptions{Source: record.Place{Name: "s", Kind: "mem", Place: "mem://s"}, Agent: b.agent, Local: s})
	must(b.t, err)
	return w, func() { w.Close(); must(b.t, s.Close()) }
}

// store stores one content as a part.
func (b *bench) part(w *Writer, content []byte) record.Part {
	b.t.Helper()
	p, err := w.Part(context.Background(), record.Part{Kind: record.PartContent}, int64(len(content)), bytes.NewReader(content))
	must(b.t, err)
	return p
}

// commit makes a pass that takes over everything as it is but the records given, which must be sorted.
func (b *bench) commit(w *Writer, recs ...*record.Record) *Commit {
	b.t.Helper()
	ctx := context.Background()
	p := w.NewPass()
	old := p.Old(ctx)
	defer old.Close()
	next, err := old.Next()
	for i, s := range p.Spans() {
		p.Begin(i)
		for {
			for len(recs) > 0 && (s.To == "" || recs[0].Path < s.To) && (isEOF(err) || recs[0].Path <= next.Path) {
				if !isEOF(err) && recs[0].Path == next.Path {
					next, err = old.Next()
				}
				must(b.t, p.Put(ctx, recs[0]))
				recs = recs[1:]
			}
			if isEOF(err) || s.To != "" && next.Path >= s.To {
				break
			}
			must(b.t, err)
			if s.Rewrites() {
				must(b.t, p.Keep(ctx, next))
			}
			next, err = old.Next()
		}
		must(b.t, p.End(ctx, "", true))
	}
	c, cerr := p.Commit(ctx, "", CommitInfo{Complete: true})
	must(b.t, cerr)
	return c
}

// object is a present record.
func object(path string, parts ...record.Part) *record.Record {
	return &record.Record{Path: path, Kind: record.KindObject, State: record.Present, Parts: parts}
}

// content reads one item of a commit.
func (b *bench) content(c *Commit, path string) []byte {
	b.t.Helper()
	ctx, v := context.Background(), b.open()
	snap, err := v.Snapshot(ctx, c)
	must(b.t, err)
	rec, err := snap.Find(ctx, path)
	must(b.t, err)
	if rec == nil {
		b.t.Fatalf("commit %d has no %q", c.Seq, path)
	}
	var out bytes.Buffer
	must(b.t, v.NewReader().Copy(ctx, &out, &rec.Parts[0]))
	return out.Bytes()
}
