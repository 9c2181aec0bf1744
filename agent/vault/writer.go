package vault

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"farshore/agent/chunk"
	"farshore/agent/internal/state"
	"farshore/agent/pack"
	"farshore/agent/record"
	"farshore/crypto/digest"
	"farshore/crypto/seal"
	"farshore/crypto/sign"
)

// BeginOptions say who writes for what.
type BeginOptions struct {
	Source           record.Place
	Include, Exclude []string
	Agent            sign.PrivateKey
	// Local is the agent's local state, which the Writer uses and does not close.
	Local *state.Store
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// MinLockLeft is for how long what a new snapshot rests on must still be locked; 0 asks for nothing. Content whose pack's lock ends sooner is stored anew.
	MinLockLeft time.Duration
	// ReadBack is how much of what a commit adds is read back from the vault before it. The zero value: nothing.
	ReadBack ReadBack
	// Damaged are packs and pages that are known to be damaged or missing: nothing new rests on them, and what does is stored anew where it can be. The Writer reads it, and
	// adds what the local state knows.
	Damaged map[record.Hash]bool
}

// Writer appends to one source's chain: parts become chunks in packs, records become segments, and Commit makes it all a snapshot. Part may be
// called concurrently; a Pass belongs to one goroutine.
type Writer struct {
	vault      *Vault
	local      *state.Store
	agent      sign.PrivateKey
	source     record.Place
	include    []string
	exclude    []string
	now        func() time.Time
	params     record.Parameters
	frameSize  int // raw bytes of a frame of a pack
	packSealer *seal.Sealer
	pageSealer *seal.Sealer
	blocks     blocks
	life       context.Context // of what no caller's context ends: uploads, and answers that several wait for
	end        context.CancelCauseFunc
	packer     *packer
	cutter     *chunk.Cutter
	namer      *digest.Namer
	chain      *Chain
	domain     string // the chain's id
	keyID      string
	guard      *guard // nil without MinLockLeft
	back       ReadBack
	recall     *recall
	seen       atomic.Bool // something of a pack was read back: the credential may read them
	unseen     bool        // the credential may not read packs; the Pass's
	damaged    map[record.Hash]bool
	base       *Snapshot
	states     []record.StateRef                  // capture state of the next commit; the Pass's
	lists      map[record.Hash]record.LiveSegment // live segments of the base, with the list that has each one's section
	continues  *record.Continues                  // an earlier chain's last good commit, for the first commit
	intent     state.Head                         // of an earlier run: a commit that may yet arrive
	listPages  map[record.Hash]bool               // pages of the base's list
	newBytes   atomic.Int64
	newPacks   atomic.Int64
	newChunks  atomic.Int64
	segments   sync.WaitGroup // segments on their way to the store
	records    int            // put since the temporary names of packs were last rotated; the Pass's
	failed     bool           // a commit failed; the Pass's
	passed     bool           // a Pass was begun

	flushing sync.Mutex // held while a chunk table is stored

	mu      sync.Mutex
	tables  *tableBuilder
	added   added
	notices []Finding
}

// added is what the next commit adds: packs whose chunk tables are stored, those tables, and pages.
type added struct {
	packs, meta []record.Ref
	adopted     []record.Hash
	tables      []record.Ref
	raw         int64 // bytes of packs before compression
}

// ErrForeignCommit says that an agent found a commit in its chain which it did not write: somebody else uses its key, or its state was
// copied. It must not write until a person has looked.
var ErrForeignCommit = errors.New("the chain has a commit that this agent did not write")

// Begin opens the source's chain for writing, or starts one with a first, empty commit. What an earlier run stored and did not commit is
// adopted. The caller closes the Writer.
func (v *Vault) Begin(ctx context.Context, o BeginOptions) (*Writer, error) {
	w := &Writer{
		vault: v, local: o.Local, agent: o.Agent, source: o.Source, include: o.Include, exclude: o.Exclude, now: o.Now,
		params: v.Statement().Parameters, lists: map[record.Hash]record.LiveSegment{},
		back: o.ReadBack.defaults(), recall: newRecall(), damaged: maps.Clone(o.Damaged),
	}
	if w.damaged == nil {
		w.damaged = map[record.Hash]bool{}
	}
	if w.now == nil {
		w.now = time.Now
	}
	w.guard = newGuard(w, o.MinLockLeft)
	w.life, w.end = context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { w.end(context.Cause(ctx)) }) // until then there is nothing to bring to an end
	err := w.begin(ctx)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		w.Close()
		return nil, err
	}
	return w, nil
}

func (w *Writer) begin(ctx context.Context) error {
	if err := w.prepare(); err != nil {
		return err
	}
	if err := w.guard.checkSettings(ctx); err != nil {
		return err
	}
	if err := w.openChain(ctx); err != nil {
		return err
	}
	if err := w.forgetPruned(ctx); err != nil {
		return err
	}
	w.packer = newPacker(w.life, w)
	return w.adopt(ctx)
}

// repositoryFrames is how many times the parameter's frame size packs of repositories have. What a history repeats lies megabytes apart: a generated one of 20,000
// commits compressed to 0.70 of git's own pack in frames of 1 MiB, 0.58 in 2 MiB, 0.45 in 4 MiB and 0.36 in 8 MiB, in ever less time. Memory is what
// speaks against more.
const repositoryFrames = 4

// Chain is the chain written to.
func (w *Writer) Chain() *Chain { return w.chain }

// Base is the newest snapshot of the chain; it is never nil.
func (w *Writer) Base() *Snapshot { return w.base }

// Vault is the vault written to.
func (w *Writer) Vault() *Vault { return w.vault }

// Stored tells how many bytes of new chunks, how many packs and how many chunks this Writer has taken so far.
func (w *Writer) Stored() (bytes, packs, chunks int64) {
	return w.newBytes.Load(), w.newPacks.Load(), w.newChunks.Load()
}

func (w *Writer) prepare() error {
	st := w.vault.Statement()
	if st.Format != 1 {
		return fmt.Errorf("the owner's statement %d asks for format %d; this program writes format 1 only: upgrade it", st.N, st.Format)
	}
	s := st.Signer(w.agent.ID())
	if s == nil || !s.RolesHas(record.RoleAgent) || !s.Covers(w.now()) {
		return fmt.Errorf("the owner's statement %d does not name this agent's key %s as an agent: it may not write to this vault", st.N, w.agent.ID())
	}
	if !s.SourcesHas(w.source.Name) {
		return fmt.Errorf("the owner's statement %d does not let this agent's key %s commit for source %q", st.N, w.agent.ID(), w.source.Name)
	}
	w.frameSize = int(w.params.FrameSize)
	if k := w.source.Kind; k == record.KindGit || k == record.KindSVN {
		w.frameSize = min(w.frameSize*repositoryFrames, pack.MaxFrame)
	}
	var err error
	if w.packSealer, err = seal.NewSealer(recipients(st, record.RoleRecovery)); err != nil {
		return err
	}
	if w.pageSealer, err = seal.NewSealer(recipients(st, record.RoleRecovery, record.RoleMetadata)); err != nil {
		return err
	}
	return nil
}

// openChain finds the source's chain and checks it against what this agent has seen, or starts a new one.
func (w *Writer) openChain(ctx context.Context) error {
	chain, err := w.findChain(ctx)
	if err != nil {
		return err
	}
	if chain == nil {
		return w.startChain(ctx)
	}
	if chain.Revoked {
		w.notice(Notice, "commits/"+chain.ID, "the owner revoked commits of this chain: a new one begins, which deduplicates against nothing of it")
		w.goOnFrom(chain)
		return w.startChain(ctx)
	}
	if err := w.checkHead(chain); err != nil {
		return err
	}
	if chain.Retired() {
		return w.startChain(ctx)
	}
	w.chain, w.domain = chain, chain.ID
	newest := chain.Newest()
	if newest == nil {
		return fmt.Errorf("chain %s has no snapshot to go on from", chain.ID)
	}
	if err := w.loadDamage(); err != nil {
		return err
	}
	// Whether locks can be read at all shows before anything is captured.
	if _, _, err := w.guard.metaLasts(ctx, *newest.Root); err != nil {
		return err
	}
	if err := w.openBase(ctx, newest); err != nil {
		return err
	}
	return w.loadTables(ctx)
}

// findChain returns the chain of this agent's key for this source, or nil: then a new one begins, which continues the newest one of another agent's where its name
// can be read.
func (w *Writer) findChain(ctx context.Context) (*Chain, error) {
	id, ok, err := w.local.Chain(w.source.Name)
	if err != nil {
		return nil, err
	}
	if ok {
		return w.knownChain(ctx, id)
	}
	chains, err := w.vault.Chains(ctx)
	if err != nil {
		return nil, err
	}
	var best, others *Chain // the newest of ours, and of another agent's
	for _, c := range chains {
		if c.Head() == nil || c.Source.Name != w.source.Name || c.Retired() {
			continue
		}
		newest := &others
		if c.Commits[0].Signer == w.agent.ID() {
			newest = &best
		}
		if *newest == nil || c.Head().Time.After((*newest).Head().Time) {
			*newest = c
		}
	}
	if best != nil {
		return best, w.local.SetChain(w.source.Name, best.ID)
	}
	if others != nil {
		w.goOnFrom(others)
	}
	return nil, nil
}

// goOnFrom makes the first commit of a new chain say that it continues another one, where that has a snapshot.
func (w *Writer) goOnFrom(c *Chain) {
	if last := c.Newest(); last != nil {
		w.continues = &record.Continues{Chain: c.ID, Seq: last.Seq, Hash: last.Hash}
	}
}

func (w *Writer) knownChain(ctx context.Context, id string) (*Chain, error) {
	c, err := w.vault.Chain(ctx, id)
	if err != nil {
		return nil, err
	}
	if c.Head() == nil && !c.Revoked {
		_, seen, err := w.local.Head(id)
		if err != nil {
			return nil, err
		}
		if seen {
			return nil, fmt.Errorf("%w: commits/%s/ has no commit that counts%s", ErrRolledBack, id, firstText(c.Findings))
		}
		return nil, nil // its first commit never came to be
	}
	return c, nil
}

func firstText(f []Finding) string {
	if len(f) == 0 {
		return ""
	}
	return ": " + f[0].Object + ": " + f[0].Text
}

// checkHead compares the chain with what this agent has written: one commit more is its own only if it announced it before.
func (w *Writer) checkHead(c *Chain) error {
	for _, k := range c.Commits {
		if k.Signer != w.agent.ID() {
			return fmt.Errorf("%w: %s is signed by %s", ErrForeignCommit, record.CommitName(c.ID, k.Seq), k.Signer)
		}
	}
	head, seen, err := w.local.Head(c.ID)
	if err != nil {
		return err
	}
	for _, f := range c.Findings {
		w.notice(f.Severity, f.Object, "%s", f.Text)
	}
	if !seen && len(c.Findings) > 0 {
		return fmt.Errorf("%w, and there is no local state to tell what it was%s", ErrRolledBack, firstText(c.Findings))
	}
	if !seen {
		w.notice(Notice, "commits/"+c.ID, "no local state: going on from commit %d as the vault shows it", c.Head().Seq)
		return w.local.SetHead(state.Head{Chain: c.ID, Seq: c.Head().Seq, Hash: c.Head().Hash})
	}
	if head.Seq > int64(len(c.Commits)) || c.Commits[head.Seq-1].Hash != head.Hash {
		return fmt.Errorf("%w: it saw commit %d with hash %s%s", ErrRolledBack, head.Seq, head.Hash, firstText(c.Findings))
	}
	if w.intent, _, err = w.local.Intent(c.ID); err != nil {
		return err
	}
	if int64(len(c.Commits)) == head.Seq {
		return nil
	}
	next := c.Commits[head.Seq]
	intent, ok := w.intent, w.intent.Seq > 0
	if !ok || intent.Seq != next.Seq || intent.Hash != next.Hash || int64(len(c.Commits)) > next.Seq {
		return fmt.Errorf("%w: %s, while its own last is %d", ErrForeignCommit, record.CommitName(c.ID, next.Seq), head.Seq)
	}
	return w.local.SetHead(intent)
}

// startChain makes new keys and the first commit, so that whatever happens later, a next run finds both again.
func (w *Writer) startChain(ctx context.Context) error {
	var id [16]byte
	keys := record.DomainKeys{}
	var keyID [8]byte
	for _, b := range [][]byte{id[:], keyID[:], keys.ChunkName[:], keys.Cutting[:]} {
		if _, err := rand.Read(b); err != nil {
			return err
		}
	}
	w.domain = hex.EncodeToString(id[:])
	w.chain = &Chain{ID: w.domain, Source: w.source}
	keys.Domain, keys.ID = w.domain, hex.EncodeToString(keyID[:])
	if err := w.local.SetChain(w.source.Name, w.domain); err != nil {
		return err
	}
	raw, err := record.EncodeKeys([]record.DomainKeys{keys})
	if err != nil {
		return err
	}
	ref, err := w.putBytes(ctx, raw)
	if err != nil {
		return err
	}
	root := &record.Root{Source: w.source, Include: w.include, Exclude: w.exclude, Ranges: []record.RootRange{{}}, Keys: ref}
	if err := w.useKeys(keys); err != nil {
		return err
	}
	_, err = w.commitRoot(ctx, root, nil, added{}, CommitInfo{})
	return err
}

func (w *Writer) useKeys(k record.DomainKeys) error {
	var err error
	w.keyID = k.ID
	w.namer = digest.NewNamer(k.ChunkName)
	w.cutter, err = chunk.New(chunk.Params{Min: int(w.params.ChunkMin), Normal: int(w.params.ChunkNormal), Max: int(w.params.ChunkMax), Algorithm: w.params.Chunking}, k.Cutting)
	w.tables = nil
	return err
}

// descriptor seals the source's description for the chain's first commit.
func (w *Writer) descriptor() (string, error) {
	plain, err := json.Marshal(w.source)
	if err != nil {
		return "", err
	}
	sealed, err := seal.SealBytes(w.pageSealer, plain)
	if err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(sealed), nil
}
