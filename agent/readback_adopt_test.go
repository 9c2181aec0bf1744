package agent_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"farshore/agent"
	"farshore/agent/vault"
	"farshore/providers"
)

// TestReadBackAfterDamage damages more packs than the first that is found: the next pass, which takes over what the first one stored, takes over none of them.
func TestReadBackAfterDamage(t *testing.T) {
	for _, lie := range []func([]byte) []byte{
		func(b []byte) []byte { b = slices.Clone(b); b[len(b)/2] ^= 1; return b },
		func([]byte) []byte { return nil },
	} {
		b := newBackRig(t)
		b.src.put("large", noise(5, 100<<20)) // of four packs
		n := 0
		b.store.keep = func(name string, body []byte) []byte {
			if strings.HasPrefix(name, "packs/") {
				if n++; n > 1 {
					return lie(body)
				}
			}
			return body
		}
		_, err := b.pass()
		b.store.keep = nil
		if err == nil || len(b.store.lied) < 2 {
			t.Fatalf("%v, %d lies", err, len(b.store.lied))
		}
		sum := b.mustPass()
		for name := range b.store.lied {
			b.store.Remove(name)
		}
		b.restores()
		if sum.StoredBytes == 0 || sum.StoredBytes >= 100<<20 {
			t.Errorf("%d bytes were stored anew, of packs that are whole too", sum.StoredBytes)
		}
	}
}

// balky is a store that fails to give some packs.
type balky struct {
	*untrue
	mu    sync.Mutex
	keeps func(name string) bool
	asked int
}

func (b *balky) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	b.mu.Lock()
	kept := b.keeps != nil && strings.HasPrefix(name, "packs/") && b.keeps(name)
	if kept {
		b.asked++
	}
	b.mu.Unlock()
	if kept {
		return nil, &providers.Error{Kind: providers.Temporary, Op: "open", Name: name}
	}
	return b.untrue.Open(ctx, name, off, n)
}

// TestReadBackKeepsFailing has one pack of several fail whenever it is read: it is not committed in the end because a later pass takes it over.
func TestReadBackKeepsFailing(t *testing.T) {
	b := newBackRig(t)
	store := &balky{untrue: b.store}
	b.bucket = providers.New(store, providers.Options{Attempts: 1})
	b.src.put("large", noise(5, 60<<20)) // of two packs
	bad := ""
	store.keeps = func(name string) bool {
		if bad == "" {
			bad = name
		}
		return name == bad
	}
	if _, err := b.pass(); providers.KindOf(err) != providers.Temporary {
		t.Fatalf("got %v", err)
	}
	sum := b.mustPass()
	b.store.Remove(bad)
	b.restores()
	if sum.StoredBytes == 0 || sum.StoredBytes >= 60<<20 {
		t.Errorf("%d bytes were stored anew, of packs that can be read too", sum.StoredBytes)
	}
	// A store that gives no packs at all is waited for once.
	b.fill("more", 3, 1000)
	store.keeps = func(string) bool { return true }
	for range 2 {
		store.asked = 0
		if _, err := b.pass(); providers.KindOf(err) != providers.Temporary || store.asked > 1+1 {
			t.Fatalf("got %v, asked %d times", err, store.asked)
		}
	}
	store.keeps = nil
	b.mustPass()
	b.restores()
}

// TestKnownDamagedIsNotAdopted has an audit report a pack that an earlier run stored and did not commit: it is not taken over.
func TestKnownDamagedIsNotAdopted(t *testing.T) {
	for _, off := range []bool{false, true} {
		b := newBackRig(t)
		if off {
			b.back = vault.ReadBack{}
		}
		b.mustPass()
		b.fill("a", 4, 50_000)
		b.store.refuse = func(name string) bool { return strings.HasPrefix(name, "commits/") }
		if _, err := b.replicate(t.Context(), b.src, agent.Options{}); providers.KindOf(err) != providers.Full {
			t.Fatal(err)
		}
		b.store.refuse = nil
		stranded := b.store.packs()
		b.know(stranded...)
		sum := b.mustPass()
		if sum.StoredPacks == 0 || b.chain(b.open()).Head().AdoptedPacks != 0 {
			t.Errorf("%d packs stored, %d adopted", sum.StoredPacks, b.chain(b.open()).Head().AdoptedPacks)
		}
		for _, name := range stranded {
			b.store.Remove(name)
		}
		b.restores()
	}
}

// late is a store that answers reads of packs only once they are no longer waited for.
type late struct {
	*untrue
	asked atomic.Bool // for a pack
}

func (l *late) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	if strings.HasPrefix(name, "packs/") {
		l.asked.Store(true)
		<-ctx.Done()
		return l.untrue.Open(context.WithoutCancel(ctx), name, off, n)
	}
	return l.untrue.Open(ctx, name, off, n)
}

// TestReadBackDamageBesideInterruption finds a pack missing in the moment in which the interrupted pass has no more time: it is not committed for that.
func TestReadBackDamageBesideInterruption(t *testing.T) {
	for grace := 10 * time.Millisecond; !damagedInTheEnd(t, grace); grace *= 4 {
		if grace > time.Minute {
			t.Fatal("no pack was read back in all that time")
		}
	}
}

// damagedInTheEnd interrupts a pass that has as long to read back; false where it had not begun to read packs by then.
func damagedInTheEnd(t *testing.T, grace time.Duration) bool {
	b := newBackRig(t)
	b.mustPass()
	before := b.head()
	b.back.Grace = grace
	b.fill("a", 20, 40_000)
	ctx := b.interruptedAt("a/015")
	b.store.keep = func(name string, body []byte) []byte {
		if strings.HasPrefix(name, "packs/") {
			return nil
		}
		return body
	}
	l := &late{untrue: b.store}
	b.bucket = providers.New(l, providers.Options{Attempts: 1})
	_, err := b.replicate(ctx, b.src, agent.Options{Captures: 1})
	if !l.asked.Load() {
		return false
	}
	b.damage(err, slices.Collect(maps.Keys(b.store.lied))...)
	b.bucket = providers.New(b.store, providers.Options{})
	if b.head() != before {
		t.Fatal("a commit was made")
	}
	b.src.onCapture, b.store.keep, b.back.Grace = nil, nil, 0
	b.mustPass()
	b.restores()
	return true
}

// stalled is a store that gives the beginnings of packs, and of what lies behind them nothing before the request is given up.
type stalled struct{ *untrue }

func (s *stalled) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	if strings.HasPrefix(name, "packs/") && off > 0 && off+n < int64(len(s.Objects()[name])) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return s.untrue.Open(ctx, name, off, n)
}

// TestReadBackStalls interrupts a pass whose read-back waits for the middle of a pack: what is whole is committed, and nothing is taken for damage.
func TestReadBackStalls(t *testing.T) {
	b := newBackRig(t)
	b.mustPass()
	b.back.Grace = time.Millisecond
	b.fill("a", 6, 2<<20)
	ctx := b.interruptedAt("a/005")
	b.bucket = providers.New(&stalled{b.store}, providers.Options{Attempts: 1})
	sum, err := b.replicate(ctx, b.src, agent.Options{Captures: 1})
	var d *vault.DamageError
	if !errors.Is(err, context.Canceled) || errors.As(err, &d) || sum.Commits != 1 || sum.ReadBack.Bytes >= sum.ReadBack.OfBytes {
		t.Fatalf("%v, %+v", err, sum)
	}
	b.bucket = providers.New(b.store, providers.Options{})
	b.src.onCapture, b.back.Grace = nil, 0
	b.mustPass()
	b.restores()
}

// TestReadBackPages has the store keep something else than each of the pages of a pass, one after the other, of a chain's first commit too: nothing is committed that names it, and the
// next pass stores it anew.
func TestReadBackPages(t *testing.T) {
	for first := range 2 {
		for n := range 20 {
			b := newBackRig(t)
			if first == 0 {
				b.mustPass()
			}
			b.fill("a", 3, 1000)
			met := 0
			b.store.keep = func(name string, body []byte) []byte {
				if !strings.HasPrefix(name, "meta/") {
					return body
				}
				if met++; met-1 != n {
					return body
				}
				return body[:len(body)-1]
			}
			_, err := b.pass()
			b.store.keep = nil
			if met <= n {
				must(t, err)
				if n < 4 {
					t.Errorf("a pass stored %d pages", met)
				}
				break
			}
			b.damage(err, slices.Collect(maps.Keys(b.store.lied))...)
			sum := b.mustPass()
			for name := range b.store.lied {
				b.store.Remove(name)
			}
			b.restores()
			if !sum.Complete {
				t.Errorf("page %d: %+v", n, sum)
			}
		}
	}
}
