package agent_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"farshore/agent"
	"farshore/agent/record"
	"farshore/agent/tripwire"
	"farshore/agent/vault"
	"farshore/crypto/sign"
	"farshore/providers/mem"
)

// TestEncryptionAcrossCommits has the pass that finds encrypted contents commit before its end: how they compressed counts to the end, so that its last commit, which adds little,
// is marked as well.
func TestEncryptionAcrossCommits(t *testing.T) {
	const size = 640 << 10
	w := newWatched(t, 100, size)
	first := w.pass("first")
	for i := range 20 {
		w.src.put(fmt.Sprintf("dir0/%04d", 7*(i%15)), random(uint64(i), size))
		w.src.put(fmt.Sprintf("dir1/%04d", 1+7*(i%14)), random(uint64(100+i), size))
	}
	w.src.put(path(6), []byte("a little more at the end"))
	o := w.options()
	o.CommitBytes, o.Captures = 16<<20, 1
	sum := w.passWith("encrypted", o, tripwire.Compressibility)
	if sum.Commits != 2 {
		t.Errorf("%d commits, want 2", sum.Commits)
	}
	w.good("encrypted", first.Head.Seq, nil)
}

// TestAcceptTooLate refuses to accept what a later good snapshot made of no account: it would say of another change that a person accepted this one.
func TestAcceptTooLate(t *testing.T) {
	w := newWatched(t, 100, 100)
	w.pass("first")
	before := w.src.copy()
	for i := range 50 {
		w.src.del(path(i))
	}
	bad := w.pass("deleted", tripwire.DeletedShare)
	for p, b := range before {
		w.src.put(p, b)
	}
	w.pass("put back")
	o := w.options()
	o.Accept = bad.Head.Seq
	if _, err := w.replicate(t.Context(), w.src, o); !errors.Is(err, agent.ErrAccept) {
		t.Errorf("got %v", err)
	}
}

// silent is a source whose settings can't be asked for.
type silent struct{ governed }

func (*silent) Settings(context.Context, [][]byte) ([][]byte, error) {
	return nil, errors.New("no settings today")
}

// TestFailsBeforeItLists has a pass fail after it began to read the last good snapshot: it leaves no reader behind.
func TestFailsBeforeItLists(t *testing.T) {
	w := newWatched(t, 100, 100)
	w.pass("first")
	for i := range 50 {
		w.src.del(path(i))
	}
	w.pass("deleted", tripwire.DeletedShare)
	before := runtime.NumGoroutine()
	for range 20 {
		if _, err := w.replicate(t.Context(), &silent{governed{w.src, "plain"}}, w.options()); err == nil {
			t.Fatal("a pass without settings came to an end")
		}
	}
	tick, deadline := time.NewTicker(time.Millisecond), time.After(time.Minute)
	defer tick.Stop()
	for runtime.NumGoroutine()-before >= 20 { // on a busy machine those that are about to end take a while
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("20 passes left %d goroutines behind", runtime.NumGoroutine()-before)
		}
	}
}

// TestRetireSuspicious ends a chain with its mark.
func TestRetireSuspicious(t *testing.T) {
	w := newWatched(t, 50, 100)
	first := w.pass("first")
	for i := range 30 {
		w.src.del(path(i))
	}
	bad := w.pass("deleted", tripwire.DeletedShare)
	s := w.state()
	defer s.Close()
	pub := w.owner.Public()
	v, err := vault.Open(t.Context(), w.bucket, vault.Options{Owner: &pub, Identities: []age.Identity{w.metadata}, Cache: s})
	must(t, err)
	out, err := v.Begin(t.Context(), vault.BeginOptions{Source: w.src.Place(), Agent: w.agent, Local: s})
	must(t, err)
	defer out.Close()
	k, err := out.Retire(t.Context())
	must(t, err)
	if !slices.Equal(k.Suspicious, bad.Suspicious) {
		t.Errorf("the last commit is marked %v", k.Suspicious)
	}
	w.good("retired", first.Head.Seq, nil)
}

// TestDamagedGood damages what the last good snapshot consists of: the pass goes on, says so, and takes nothing for well that it could not compare.
func TestDamagedGood(t *testing.T) {
	w := newWatched(t, 100, 100)
	w.pass("first")
	for i := range 50 {
		w.src.del(path(i))
	}
	bad := w.pass("deleted", tripwire.DeletedShare)
	again := w.pass("nothing more: its range is written anew", tripwire.DeletedShare, fmt.Sprintf("since-%d", bad.Head.Seq))
	v := w.open()
	good := w.chain(v).NewestGood()
	snap, err := v.Snapshot(t.Context(), good)
	if err != nil {
		t.Fatal(err)
	}
	newest, err := v.Snapshot(t.Context(), again.Head)
	if err != nil {
		t.Fatal(err)
	}
	kept := newest.Segments()
	for _, s := range snap.Segments() {
		if !slices.Contains(kept, s) {
			w.lose(record.MetaName(s.Name))
		}
	}
	w.forget()
	sum := w.pass("its segments are gone", fmt.Sprintf("since-%d", bad.Head.Seq))
	if n := sum.Notices; len(n) == 0 || n[len(n)-1].Severity != vault.Notice || !strings.Contains(n[len(n)-1].Text, "can't be read whole") {
		t.Errorf("notices %v", n)
	}
	w.lose(record.MetaName(good.Root.Name))
	w.forget()
	last := w.pass("its root is gone", fmt.Sprintf("since-%d", bad.Head.Seq))
	if n := last.Notices; len(n) == 0 || !strings.Contains(n[len(n)-1].Text, "can't be read whole") {
		t.Errorf("notices %v", n)
	}
	o := w.options()
	o.Accept = last.Head.Seq
	w.passWith("accepted", o)
}

// lose removes an object from the store.
func (w *watched) lose(name string) { w.driver.(*mem.Driver).Remove(name) }

// TestReplacedAgentIsWatched has another agent take a source over that lost half of its items meanwhile: its first pass is compared with the last good snapshot of the chain that it goes
// on from.
func TestReplacedAgentIsWatched(t *testing.T) {
	w := newWatched(t, 100, 100)
	first := w.pass("first")
	before := w.src.copy()
	other, err := sign.Generate()
	must(t, err)
	w.declare(func(st *record.Statement) {
		st.Signers = append(st.Signers, record.Signer{ID: other.ID(), Algorithm: "ed25519", Key: other.Public().String(), Roles: []string{record.RoleAgent}, Sources: []string{"*"}})
	})
	w.agent = other
	w.forget()
	for i := range 50 {
		w.src.del(path(i))
	}
	sum, err := w.replicate(t.Context(), w.src, w.options())
	must(t, err)
	if sum.Good != first.Head.Seq || len(sum.Suspicious) != 1 {
		t.Errorf("compared with %d, marked %v", sum.Good, sum.Suspicious)
	}
	sum, err = w.replicate(t.Context(), w.src, w.options())
	must(t, err)
	if len(sum.Suspicious) != 2 {
		t.Errorf("the second pass is marked %v", sum.Suspicious)
	}
	for i := range 50 {
		w.src.put(path(i), before[path(i)])
	}
	sum, err = w.replicate(t.Context(), w.src, w.options())
	must(t, err)
	if len(sum.Suspicious) != 0 || !sum.Complete {
		t.Errorf("the third pass is marked %v", sum.Suspicious)
	}
}
