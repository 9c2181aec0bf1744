package agent_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"farshore/agent"
	"farshore/agent/record"
	"farshore/agent/vault"
	"farshore/providers"
	"farshore/providers/mem"
)

// untrue is a store that takes every object as it should, and keeps something else.
type untrue struct {
	*mem.Driver
	mu sync.Mutex
	// keep returns what is kept in place of an object, nil for nothing at all; nil: the store is honest.
	keep func(name string, body []byte) []byte
	// deny says which objects may not be read.
	deny func(name string) bool
	// refuse says which objects may not be created.
	refuse func(name string) bool
	// hang makes reads of packs wait for the end of their context.
	hang bool
	lied map[string][]byte // what was to be stored
	read map[string]int64  // bytes by name
}

func newUntrue() *untrue {
	return &untrue{Driver: mem.New(), lied: map[string][]byte{}, read: map[string]int64{}}
}

func (u *untrue) Create(ctx context.Context, name string, body *io.SectionReader, sum [32]byte) (providers.Info, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.refuse != nil && u.refuse(name) {
		return providers.Info{}, &providers.Error{Kind: providers.Full, Op: "create", Name: name}
	}
	info, err := u.Driver.Create(ctx, name, body, sum)
	if err != nil || u.keep == nil {
		return info, err
	}
	b := u.Objects()[name]
	if other := u.keep(name, b); !bytes.Equal(other, b) {
		u.lied[name] = b
		u.Remove(name)
		if other != nil {
			u.Set(name, other)
		}
	}
	return info, nil
}

func (u *untrue) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	u.mu.Lock()
	denied, hangs := u.deny != nil && u.deny(name), u.hang && strings.HasPrefix(name, "packs/")
	u.read[name] += max(n, 0)
	u.mu.Unlock()
	if denied {
		return nil, &providers.Error{Kind: providers.Denied, Op: "open", Name: name}
	}
	if hangs {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return u.Driver.Open(ctx, name, off, n)
}

// packBytes is how many bytes of packs were asked for.
func (u *untrue) packBytes() (n int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for name, k := range u.read {
		if strings.HasPrefix(name, "packs/") {
			n += k
		}
	}
	return n
}

// backRig is a rig on such a store that reads everything back.
type backRig struct {
	*rig
	store *untrue
	src   *fakeSource
}

// interruptedAt is a context that ends when the source is asked for the item.
func (b *backRig) interruptedAt(item string) context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	b.t.Cleanup(cancel)
	b.src.onCapture = func(path string) error {
		if path == item {
			cancel()
		}
		return nil
	}
	return ctx
}

func newBackRig(t testing.TB) *backRig {
	store := newUntrue()
	b := &backRig{newRigOn(t, store), store, newFakeSource()}
	b.back = vault.AutoReadBack()
	return b
}

func (b *backRig) pass() (*agent.Summary, error) {
	return b.replicate(context.Background(), b.src, agent.Options{})
}

func (b *backRig) mustPass() *agent.Summary {
	b.t.Helper()
	return b.mustReplicate(b.src, agent.Options{})
}

// fill puts items into the source, from seeds of their own.
func (b *backRig) fill(prefix string, n, size int) {
	for i := range n {
		b.src.put(fmt.Sprintf("%s/%03d", prefix, i), noise(uint64(1000*len(prefix)+i), size))
	}
}

// restores holds that the newest snapshot has what the source has.
func (b *backRig) restores() {
	b.t.Helper()
	v := b.open()
	c := b.chain(v).Newest()
	diff(b.t, fmt.Sprintf("snapshot %d", c.Seq), b.contents(v, c), b.src.copy())
}

func (b *backRig) head() int64 { return b.chain(b.open()).Head().Seq }

// damage holds that the error is damage to one of the objects.
func (b *backRig) damage(err error, objects ...string) {
	b.t.Helper()
	var d *vault.DamageError
	if !errors.As(err, &d) || !slices.Contains(objects, d.Object) {
		b.t.Fatalf("the pass ended with %v; want damage of one of %v", err, objects)
	}
}

// know has the next passes know packs to be damaged.
func (b *backRig) know(packs ...string) {
	b.t.Helper()
	b.bad = map[record.Hash]bool{}
	for _, name := range packs {
		h, err := record.ParsePackName(name)
		must(b.t, err)
		b.bad[h] = true
	}
}

// failing is a store that does not give packs.
type failing struct{ *untrue }

func (f *failing) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	if strings.HasPrefix(name, "packs/") {
		return nil, &providers.Error{Kind: providers.Temporary, Op: "open", Name: name}
	}
	return f.untrue.Open(ctx, name, off, n)
}

// packs are the names of the packs.
func (u *untrue) packs() (names []string) {
	for name := range u.Objects() {
		if strings.HasPrefix(name, "packs/") {
			names = append(names, name)
		}
	}
	return names
}
