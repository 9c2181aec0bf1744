package probe_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"farshore/agent/probe"
)

// guards are as many Guards of one directory as passes at a time have.
func guards(w *world, dir string, n int) []*probe.Guard {
	turns := new(probe.Turns)
	out := make([]*probe.Guard, n)
	for i := range out {
		out[i] = &probe.Guard{Store: w, Attacker: w, Options: probe.Options{Now: func() time.Time { return w.now }}, Dir: dir, Turns: turns}
	}
	return out
}

// TestGuardsProbeOnce holds that of several Guards that ask at the same time one probes, whatever comes of it, and that all get its answer.
func TestGuardsProbeOnce(t *testing.T) {
	for _, c := range []struct {
		name    string
		answer  func(room, name string) probe.Result
		verdict probe.Verdict
	}{{"protected", nil, probe.Protected}, {"unprotected", permit("delete-version"), probe.Unprotected}} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld()
			w.answer = c.answer
			if _, err := guards(w, t.TempDir(), 1)[0].Check(t.Context()); err != nil {
				t.Fatal(err)
			}
			once := len(w.tried)
			w.tried = nil
			var all sync.WaitGroup
			for _, g := range guards(w, t.TempDir(), 8) {
				all.Go(func() {
					if r, err := g.Check(t.Context()); err != nil || r.Verdict != c.verdict {
						t.Errorf("%v: %v", r, err)
					}
				})
			}
			all.Wait()
			if len(w.tried) != once {
				t.Errorf("%d attempts, one probe makes %d", len(w.tried), once)
			}
		})
	}
}

// TestGuardsTakeTurns holds for how long what is no proof stands for Guards that share their turns, and that what somebody else keeps meanwhile counts at once.
func TestGuardsTakeTurns(t *testing.T) {
	w, dir := newWorld(), t.TempDir()
	w.answer = permit("delete-version")
	all := guards(w, dir, 2)
	check := func(what string, g *probe.Guard, probed bool, verdict probe.Verdict) {
		t.Helper()
		w.tried = nil
		if r, err := g.Check(t.Context()); err != nil || len(w.tried) > 0 != probed || r.Verdict != verdict {
			t.Errorf("%s: tried %d, %v: %v", what, len(w.tried), r, err)
		}
	}
	check("first", all[0], true, probe.Unprotected)
	w.answer = nil
	w.now = w.now.Add(59 * time.Minute)
	check("59 minutes later", all[1], false, probe.Unprotected)
	w.who = "key two"
	check("another principal", all[1], true, probe.Protected)
	w.answer = permit("delete-version")
	check("a proof", all[0], false, probe.Protected)
	alone := &probe.Guard{Store: w, Attacker: w, Options: all[0].Options, Dir: t.TempDir()}
	r, err := alone.Check(t.Context())
	if err != nil || r.Verdict != probe.Unprotected {
		t.Fatal(r, err)
	}
	if err := probe.Save(dir, r); err != nil {
		t.Fatal(err)
	}
	w.answer = nil
	check("what another command kept", all[0], false, probe.Unprotected)
	w.now = w.now.Add(61 * time.Minute)
	check("61 minutes later", all[1], true, probe.Protected)
	check("from then on", all[0], false, probe.Protected)
}

// TestTurnEnds holds that waiting for a turn ends with the context, and a turn with its leave.
func TestTurnEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var turns probe.Turns
		leave, err := turns.Take(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := turns.Take(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("beside another: %v", err)
		}
		leave()
		if leave, err = turns.Take(t.Context()); err != nil {
			t.Fatal(err)
		}
		leave()
	})
}
