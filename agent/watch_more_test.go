package agent_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"

	"farshore/agent"
	"farshore/agent/tripwire"
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
	if n := runtime.NumGoroutine() - before; n >= 20 {
		t.Errorf("20 passes left %d goroutines behind", n)
	}
}
