package agent_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"farshore/agent"
	"farshore/agent/vault"
	"farshore/providers"
	"farshore/providers/mem"
)

// stopWithin is how soon a pass is to have ended, over a store that answers at once, when it is interrupted: items under way have 3 s to come to their end.
const stopWithin = 5 * time.Second

// TestStopsSoon interrupts passes over items of 64 MiB that are read at a limited rate, of the pass or common to all: each ends soon, what is whole is committed, and the next pass
// goes on.
func TestStopsSoon(t *testing.T) {
	for name, o := range map[string]func() agent.Options{
		"its own limit": func() agent.Options { return agent.Options{ReadRate: 2 << 20} },
		"a common limit": func() agent.Options {
			return agent.Options{Reads: providers.NewByteLimit(2 << 20)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { stopsSoon(t, o()) })
		})
	}
}

func stopsSoon(t *testing.T, o agent.Options) {
	r := newRig(t)
	r.back = vault.AutoReadBack()
	src := newNamed("a")
	for i := range 20 {
		src.put(fmt.Sprintf("a%02d", i), noise(uint64(i), 10_000))
	}
	for i := range 2 {
		src.put(fmt.Sprint("b", i), noise(uint64(100+i), 64<<20))
	}
	var begun sync.WaitGroup // the small ones: the two large ones leave no room for others to be read
	begun.Add(20)
	src.onCapture = func(path string) error {
		if path[0] == 'a' {
			begun.Done()
		}
		return nil
	}
	src.onEntry = func(path string) {
		if path == "b0" {
			begun.Wait()
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	var at time.Time
	stop := time.AfterFunc(10*time.Second, func() { at = time.Now(); cancel() })
	defer stop.Stop()
	sum, err := r.pass(ctx, r.local(), r.driver, src, o)
	took := time.Since(at)
	if !errors.Is(err, context.Canceled) || sum.Complete || sum.Commits != 1 {
		t.Errorf("%+v: %v", sum, err)
	}
	if took > stopWithin {
		t.Errorf("it took %s to end", took)
	}
	got := r.head(t, "a")
	for path, want := range src.copy() {
		if _, there := got[path]; there != (path[0] == 'a') {
			t.Errorf("%q (%d bytes) is in the snapshot: %v", path, len(want), there)
		}
	}
	checkSettled(t, r)
	src.onCapture, src.onEntry = nil, nil
	for path, b := range src.copy() {
		src.put(path, b[:min(len(b), 100_000)]) // to be quick about it
	}
	_, err = r.pass(t.Context(), r.local(), r.driver, src, agent.Options{})
	must(t, err)
	diff(t, "the next pass", r.head(t, "a"), src.copy())
}

// hanging are operations in which a store that hangs can hold up the end of a pass.
var hanging = []struct{ op, prefix string }{{"list", "commits/"}, {"open", "commits/"}, {"create", "packs/"}, {"open", "packs/"}, {"create", "meta/"}, {"stat", "meta/"}, {"create", "commits/"}}

// hung has one pass hang in an operation of its store, beside one that does not, interrupts both, and returns what they end with.
func hung(t *testing.T, r *rig, op, prefix string, o agent.Options) (k *killed, stalled *stalling, slow, quick chan error) {
	k = newKilled()
	for _, err := range k.passes(r, r.driver, agent.Options{}) {
		must(t, err)
	}
	k.change()
	stalled = newStalling(r.driver, op, prefix)
	ctx, cancel := context.WithCancel(t.Context())
	local := r.local()
	slow, quick = make(chan error, 1), make(chan error, 1)
	pass := func(ended chan error, d providers.Driver, src *namedSource) {
		_, err := r.pass(ctx, local, d, src, o)
		ended <- err
	}
	go pass(slow, stalled, k.sources[0])
	<-stalled.met
	reading := make(chan struct{})
	k.sources[1].onCapture = func(path string) error {
		if path == "k09" {
			close(reading)
			<-ctx.Done()
		}
		return nil
	}
	go pass(quick, r.driver, k.sources[1])
	<-reading
	cancel()
	synctest.Wait()
	k.sources[1].onCapture = nil
	return k, stalled, slow, quick
}

// TestGivesUp interrupts a pass whose store hangs: it ends when the time that it has for that is over, whatever it waits for, and another one beside it at once.
func TestGivesUp(t *testing.T) {
	for _, c := range hanging {
		t.Run(c.op+" "+c.prefix, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const finish = 20 * time.Second
				r := newRig(t)
				r.back = vault.AutoReadBack()
				k, stalled, slow, quick := hung(t, r, c.op, c.prefix, agent.Options{Finish: finish})
				begin := time.Now()
				if err := <-quick; !errors.Is(err, context.Canceled) || time.Since(begin) > stopWithin {
					t.Errorf("the pass beside it took %s to end: %v", time.Since(begin), err)
				}
				err := <-slow
				if c.op == "open" && c.prefix == "packs/" && err == nil {
					err = context.Canceled // reading back has a time of its own, and all the rest was done
				}
				if !errors.Is(err, context.Canceled) || time.Since(begin) > finish {
					t.Errorf("the pass whose store hangs took %s to end: %v", time.Since(begin), err)
				}
				close(stalled.letGo)
				k.check(t, "after it gave up", r)
			})
		})
	}
}

// TestExitLosesNothing ends the process while a pass that was interrupted still waits for a store that hangs, 25 s later: what was committed stays, and the next passes go on from what the
// dead process left on the disk and in the store.
func TestExitLosesNothing(t *testing.T) {
	for _, c := range hanging {
		t.Run(c.op+" "+c.prefix, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.back = vault.AutoReadBack()
				k, stalled, slow, quick := hung(t, r, c.op, c.prefix, agent.Options{})
				time.Sleep(25 * time.Second)
				if err := <-quick; !errors.Is(err, context.Canceled) {
					t.Errorf("the pass beside it: %v", err)
				}
				exit := world{when: "after the exit", objects: r.driver.(*mem.Driver).Objects(), dir: r.dir}
				next, _ := r.in(t, exit)
				k.check(t, exit.when, next)
				close(stalled.letGo)
				if err := <-slow; err != nil && !errors.Is(err, context.Canceled) { // it may have come to the last commit
					t.Errorf("the pass whose store hung: %v", err)
				}
			})
		})
	}
}

// silentLocks does not tell of locks after so many questions.
type silentLocks struct {
	*mem.Versioned
	left atomic.Int64
	met  chan struct{}
	once sync.Once
}

func (s *silentLocks) Lock(ctx context.Context, name, id string) (providers.Lock, error) {
	if s.left.Add(-1) >= 0 {
		return s.Versioned.Lock(ctx, name, id)
	}
	s.once.Do(func() { close(s.met) })
	<-ctx.Done()
	return providers.Lock{}, ctx.Err()
}

// TestGivesUpOnLocks interrupts a pass that waits to be told of a lock: as it begins, it ends at once, and later when it gives up.
func TestGivesUpOnLocks(t *testing.T) {
	for _, c := range []struct {
		answers int64
		within  time.Duration
	}{{0, 0}, {3, 20 * time.Second}} {
		t.Run(fmt.Sprint(c.answers), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLockRig(t)
				for i := range 10 {
					l.src.put(fmt.Sprint(i), noise(uint64(i), 1000))
				}
				l.mustPass()
				must(t, os.RemoveAll(l.dir)) // what is known of locks
				l.src.put("more", noise(20, 1000))
				silent := &silentLocks{Versioned: l.store, met: make(chan struct{})}
				silent.left.Store(c.answers)
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() {
					o := l.options(nil)
					o.MinLockLeft = l.left
					s, err := agent.Open(ctx, providers.New(silent, quick), o)
					if err == nil {
						_, err = s.Replicate(ctx, l.src, nil, nil, agent.Options{Finish: 20 * time.Second})
						err = errors.Join(err, s.Close())
					}
					ended <- err
				}()
				<-silent.met
				cancel()
				begin := time.Now()
				if err := <-ended; !errors.Is(err, context.Canceled) || time.Since(begin) > c.within {
					t.Errorf("it took %s to end: %v", time.Since(begin), err)
				}
				l.mustPass()
				l.check(l.in(l.left))
			})
		})
	}
}
