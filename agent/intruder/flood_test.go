package intruder

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"farshore/agent/record"
	"farshore/agent/vault"
)

// Bounds of reading a flooded vault: the heap that it may grow by, which is about a kilobyte for each of the hundred thousand; a reader that kept each body, or each
// finding with its text many times over, would come above it.
const floodHeap = 192 << 20

// TestFlood puts a hundred thousand objects with the names of commits into a directory, behind the agent's head and in chains of their own. To open the vault, to restore
// and to verify stay bounded, and give what they gave before.
func TestFlood(t *testing.T) {
	n := 100_000
	if testing.Short() {
		n = 4_000
	}
	s := newScene(t, onDirectory(t))
	good := s.last()
	began := time.Now()
	chains := n / 20
	for _, name := range []string{"a", "b"} {
		must(t, s.junk(".junk/"+name, []byte("farshore commit 1\n{}\n")))
	}
	var both errgroup.Group
	both.Go(func() error {
		for i := range n / 2 {
			if err := s.linked("a", record.CommitName(good.chain, good.seq+1+int64(i))); err != nil {
				return err
			}
		}
		return nil
	})
	both.Go(func() error {
		for i := range n / 2 {
			if err := s.linked("b", record.CommitName(fmt.Sprintf("%032x", i%chains), int64(i/chains)+1)); err != nil {
				return err
			}
		}
		return nil
	})
	must(t, both.Wait())
	t.Logf("%d objects in %s", n, time.Since(began).Round(time.Millisecond))
	began = time.Now()
	peak := heapOf(t, func() {
		res := s.after(good.mark())
		s.says(res, vault.Tampering, record.CommitName(good.chain, good.seq+1), fmt.Sprintf("neither do the %d commits after it", n/2-1))
		s.says(res, vault.Notice, "commits/", "have no commit that counts: they are counted and not listed")
		if res.Tampered < int64(chains) || len(res.Findings) > 1001 {
			t.Errorf("%d findings are counted, and %d listed", res.Tampered, len(res.Findings))
		}
	})
	t.Logf("restored and verified in %s, with %d MiB of heap at most", time.Since(began).Round(time.Millisecond), peak>>20)
	if peak > floodHeap {
		t.Errorf("the heap grew by %d MiB, and may by %d", peak>>20, floodHeap>>20)
	}
	s.change()
	s.replaceAgent()
	s.restoredAll()
}

// TestSignedFlood puts commits into a directory that the stolen key signs validly: a thousand behind the agent's head, and a thousand chains of the source's name.
// They count until the owner acts, displace nothing, and are gone from what counts thereafter.
func TestSignedFlood(t *testing.T) {
	n := 1_000
	if testing.Short() {
		n = 100
	}
	s := newScene(t, onDirectory(t))
	good := s.last()
	c, hash := s.commit(good.seq), good.hash
	c.Packs, c.Meta, c.Adopted = nil, nil, nil
	for range n {
		prev := hash
		c.Seq, c.Prev, c.Time = c.Seq+1, &prev, c.Time.Add(time.Millisecond)
		body := s.signed(c, s.agent.key)
		hash = sum(body)
		must(t, s.junk(record.CommitName(c.Chain, c.Seq), body))
	}
	first := s.commit(1)
	for i := range n {
		first.Chain, first.Time = fmt.Sprintf("%032x", i), first.Time.Add(time.Millisecond)
		must(t, s.junk(record.CommitName(first.Chain, 1), s.signed(first, s.agent.key)))
	}
	began := time.Now()
	peak := heapOf(t, func() {
		if res := s.after(good.mark()); !res.OK() {
			t.Errorf("what the agent's own key signed is taken for something else: %v", res.Findings)
		}
	})
	t.Logf("restored and verified in %s, with %d MiB of heap at most", time.Since(began).Round(time.Millisecond), peak>>20)
	if peak > floodHeap {
		t.Errorf("the heap grew by %d MiB, and may by %d", peak>>20, floodHeap>>20)
	}
	s.change()
	s.replaceAgent()
	chains, err := s.open(s.at.restorer()).Chains(s.ctx)
	must(t, err)
	counting := 0
	for _, c := range chains {
		counting += len(c.Commits)
	}
	if want := int(good.seq + s.last().seq); counting != want {
		t.Errorf("%d commits count after the revocation, and %d should", counting, want)
	}
	s.restoredAll()
}

// junk stores one object in the directory, without a look at what is there.
func (s *scene) junk(name string, body []byte) error {
	path := s.at.thief.(fileThief).path(name)
	err := os.WriteFile(path, body, 0o644)
	if os.IsNotExist(err) {
		if err = os.MkdirAll(filepath.Dir(path), 0o755); err == nil {
			err = os.WriteFile(path, body, 0o644)
		}
	}
	return err
}

// linked gives a file of junk one more name, which is quicker than another file.
func (s *scene) linked(junk, name string) error {
	thief := s.at.thief.(fileThief)
	err := os.Link(thief.path(".junk/"+junk), thief.path(name))
	if os.IsNotExist(err) {
		if err = os.MkdirAll(filepath.Dir(thief.path(name)), 0o755); err == nil {
			err = os.Link(thief.path(".junk/"+junk), thief.path(name))
		}
	}
	return err
}

// heapOf returns by how many bytes the heap's objects grew at most while f ran, dead ones that were not collected yet included. It looks again and again.
func heapOf(t *testing.T, f func()) (peak uint64) {
	t.Helper()
	runtime.GC()
	before, top := heap(), atomic.Uint64{}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				top.Store(max(top.Load(), heap()))
			}
		}
	}()
	f()
	close(done)
	<-ended
	return max(top.Load(), heap(), before) - before
}

func heap() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
