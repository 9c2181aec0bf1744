package vault_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"farshore/agent/internal/state"
	"farshore/agent/record"
	"farshore/agent/vault"
	"farshore/agent/verify"
	"farshore/crypto/seal"
	"farshore/crypto/sign"
	"farshore/providers"
	"farshore/providers/faults"
	"farshore/providers/mem"
)

// rig is a vault in a store that keeps versions, the agent that writes to it, and what its snapshots should hold. A thief has the agent's key and the store.
type rig struct {
	t        *testing.T
	store    *mem.Versioned
	script   *faults.Faults // around the store
	driver   providers.Driver
	owner    sign.PrivateKey
	agent    sign.PrivateKey
	recovery age.Identity
	id       string
	dir      string
	want     []map[string][]byte // contents of the commits, the first of which is empty
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newRig creates an empty vault in memory.
func newRig(t *testing.T) *rig {
	t.Helper()
	store := mem.NewVersioned()
	script := faults.New(store)
	r := newRigIn(t, script)
	r.store, r.script = store, script
	return r
}

// newRigIn creates an empty vault in any store; what tampers is then the test's.
func newRigIn(t *testing.T, d providers.Driver) *rig {
	t.Helper()
	r := &rig{t: t, driver: d, dir: filepath.Join(t.TempDir(), "state")}
	var err error
	r.owner, err = sign.Generate()
	must(t, err)
	r.agent, err = sign.Generate()
	must(t, err)
	identity, recipient, err := seal.GenerateX25519()
	must(t, err)
	r.recovery, err = seal.ParseIdentity(identity)
	must(t, err)
	_, metadata, err := seal.GenerateX25519()
	must(t, err)
	r.id, err = vault.Create(context.Background(), r.bucket(), vault.CreateOptions{Owner: r.owner, Recovery: []string{recipient}, Metadata: metadata, Agent: r.agent.Public(), Time: time.Now()})
	must(t, err)
	return r
}

func (r *rig) bucket() *providers.Bucket {
	return providers.New(r.driver, providers.Options{Attempts: 1})
}

func (r *rig) open(marks ...vault.Seen) *vault.Vault {
	r.t.Helper()
	pub := r.owner.Public()
	v, err := vault.Open(context.Background(), r.bucket(), vault.Options{Owner: &pub, Identities: []age.Identity{r.recovery}, Seen: marks})
	must(r.t, err)
	return v
}

// state places an owner's statement that follows the newest.
func (r *rig) state(change func(*record.Statement)) {
	r.t.Helper()
	v := r.open()
	st := *v.Statement()
	prev := sha256.Sum256(r.store.Objects()[r.statementName(st.N)])
	st.N, st.Prev = st.N+1, (*record.Hash)(&prev)
	change(&st)
	body, err := record.EncodeStatement(&st)
	must(r.t, err)
	stored, err := sign.Envelope("statement", r.id, body, r.owner)
	must(r.t, err)
	r.store.Set(record.StatementName(st.N, sha256.Sum256(stored)), stored)
}

func (r *rig) statementName(n int64) string {
	for name := range r.store.Objects() {
		if m, _, err := record.ParseStatementName(name); err == nil && m == n {
			return name
		}
	}
	r.t.Fatalf("there is no statement %d", n)
	return ""
}

// begin opens the chain for writing; the returned function ends it.
func (r *rig) begin() (*vault.Writer, func(), error) {
	r.t.Helper()
	v := r.open()
	id, err := record.ParseHash(r.id)
	must(r.t, err)
	s, err := state.Open(r.dir, state.Options{Vault: id})
	must(r.t, err)
	w, err := v.Begin(context.Background(), vault.BeginOptions{Source: record.Place{Name: "s", Kind: "mem", Place: "mem://s"}, Agent: r.agent, Local: s})
	if err != nil {
		must(r.t, s.Close())
		return nil, nil, err
	}
	return w, func() { w.Close(); must(r.t, s.Close()) }, nil
}

// write makes a pass that adds the items, which must not be there yet, and returns its commit.
func (r *rig) write(w *vault.Writer, items map[string][]byte) (*vault.Commit, error) {
	r.t.Helper()
	ctx := context.Background()
	p := w.NewPass()
	old := p.Old(ctx)
	defer old.Close()
	paths := slices.Sorted(maps.Keys(items))
	next, err := old.Next()
	for i, s := range p.Spans() {
		p.Begin(i)
		for {
			for len(paths) > 0 && (s.To == "" || paths[0] < s.To) && (err == io.EOF || paths[0] < next.Path) {
				part, perr := w.Part(ctx, record.Part{Kind: record.PartContent}, int64(len(items[paths[0]])), bytes.NewReader(items[paths[0]]))
				must(r.t, perr)
				must(r.t, p.Put(ctx, &record.Record{Path: paths[0], Kind: record.KindObject, State: record.Present, Parts: []record.Part{part}}))
				paths = paths[1:]
			}
			if err == io.EOF || s.To != "" && next.Path >= s.To {
				break
			}
			must(r.t, err)
			if s.Rewrites() {
				must(r.t, p.Keep(ctx, next))
			}
			next, err = old.Next()
		}
		must(r.t, p.End(ctx, "", true))
	}
	return p.Commit(ctx, "", vault.CommitInfo{Complete: true})
}

// fill makes commits of a few items each. Two packs of any two commits have the same size.
func (r *rig) fill(commits int) *rig {
	r.t.Helper()
	w, end, err := r.begin()
	must(r.t, err)
	defer end()
	have := map[string][]byte{}
	r.want = append(r.want, maps.Clone(have))
	for c := range commits {
		items := map[string][]byte{}
		for i := range 3 {
			items[fmt.Sprintf("%d/%d", c, i)] = noise(uint64(c*10+i), 20_000)
		}
		maps.Copy(have, items)
		_, err := r.write(w, items)
		must(r.t, err)
		r.want = append(r.want, maps.Clone(have))
	}
	return r
}

func noise(seed uint64, n int) []byte {
	src := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), 1})
	out := make([]byte, n)
	_, _ = src.Read(out) // it never fails
	return out
}

// chain returns the one chain of the vault.
func (r *rig) chain(v *vault.Vault) *vault.Chain {
	r.t.Helper()
	chains, err := v.Chains(context.Background())
	must(r.t, err)
	for _, c := range chains {
		if c.ID != "" {
			return c
		}
	}
	r.t.Fatal("there is no chain")
	return nil
}

// restored holds every snapshot to what was put into it, byte for byte, and returns the vault that was read.
func (r *rig) restored() *vault.Vault {
	r.t.Helper()
	v := r.open()
	r.restoredFrom(v, v.NewReader())
	return v
}

func (r *rig) restoredFrom(v *vault.Vault, reader *vault.Reader) {
	r.t.Helper()
	ctx := context.Background()
	c := r.chain(v)
	if len(c.Commits) != len(r.want) {
		r.t.Fatalf("%d commits count, and not %d: %v", len(c.Commits), len(r.want), c.Findings)
	}
	for i, k := range c.Commits {
		snap, err := v.Snapshot(ctx, k)
		must(r.t, err)
		n := 0
		for rec, err := range snap.Records(ctx, "", "") {
			must(r.t, err)
			var out bytes.Buffer
			if err := reader.Copy(ctx, &out, &rec.Parts[0]); err != nil {
				r.t.Fatalf("commit %d: %s: %v", k.Seq, rec.Path, err)
			}
			if !bytes.Equal(out.Bytes(), r.want[i][rec.Path]) {
				r.t.Fatalf("commit %d: %s has other bytes", k.Seq, rec.Path)
			}
			n++
		}
		if n != len(r.want[i]) {
			r.t.Fatalf("commit %d has %d items, and not %d", k.Seq, n, len(r.want[i]))
		}
	}
}

// verified runs a verification that must find nothing damaged, and returns it.
func (r *rig) verified() *verify.Result {
	r.t.Helper()
	res, err := verify.Full(context.Background(), r.open(), verify.Options{Items: true})
	must(r.t, err)
	if res.Damaged > 0 {
		r.t.Fatalf("%d damaged: %v", res.Damaged, res.Findings)
	}
	return res
}

// about returns what findings of a severity say of an object.
func about(findings []vault.Finding, s vault.Severity, object string) string {
	var out []string
	for _, f := range findings {
		if f.Object == object && f.Severity == s {
			out = append(out, f.Text)
		}
	}
	return strings.Join(out, "\n")
}

// count is how many operations of a kind on names with the prefix the store has seen.
func (r *rig) count(op, prefix string) (n int) {
	for _, line := range r.script.Transcript() {
		if strings.HasPrefix(line, op+" "+prefix) {
			n++
		}
	}
	return n
}

// names are those of all objects, in order.
func (r *rig) names() []string { return slices.Sorted(maps.Keys(r.store.Objects())) }

// forged returns a commit that the agent's stolen key signs in place of the one under the name.
func (r *rig) forged(name string) []byte {
	r.t.Helper()
	signed, err := sign.Parse("commit", r.original(name))
	must(r.t, err)
	c, err := record.DecodeCommit(signed.JSON)
	must(r.t, err)
	c.Suspicious = append(c.Suspicious, "forged")
	body, err := record.EncodeCommit(c)
	must(r.t, err)
	stored, err := sign.Envelope("commit", r.id, body, r.agent)
	must(r.t, err)
	return stored
}

// original returns the bytes of a name's oldest version.
func (r *rig) original(name string) []byte {
	r.t.Helper()
	b := r.bucket()
	n, err := b.History(context.Background(), name)
	must(r.t, err)
	stored, err := b.ReadVersion(context.Background(), name, n.ID, providers.MaxObject)
	must(r.t, err)
	return stored
}

// isForeign reports whether the error is that of a commit which somebody else wrote.
func isForeign(err error) bool { return errors.Is(err, vault.ErrForeignCommit) }

func verifyFull(r *rig) (*verify.Result, error) {
	return verify.Full(context.Background(), r.open(), verify.Options{Items: true})
}

func verifyFullOf(v *vault.Vault, workers int) (*verify.Result, error) {
	return verify.Full(context.Background(), v, verify.Options{Workers: workers})
}
