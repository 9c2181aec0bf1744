package daemon

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"farshore/agent/daemon/history"
)

// TestOtherVault holds that what is known of one vault is said of no other, whether the plan changes while the daemon runs or in between.
func TestOtherVault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, seq := &tape{}, int64(0)
		job := pass(t, "a", "6h", func(context.Context, *Follow) history.Run {
			time.Sleep(time.Hour) // it goes on with what it had
			seq++
			return good(seq)
		})
		job.MaxAge = 8 * time.Hour
		r := newRig(t, plan(job), log, options()).start()
		after(2 * time.Hour)
		if s := r.Status().Sources[0]; s.Good == nil || s.Good.Seq != 1 || s.Last == nil {
			t.Fatalf("%+v", s)
		}
		r.Seed("a", Snapshot{Seq: 9, Time: r.clock()})
		if _, err := r.Trigger("pass a"); err != nil {
			t.Fatal(err)
		}
		after(time.Minute)
		other := plan(job)
		other.Vault = "file:///other"
		r.Reload(other)
		unknown := func(what string) {
			t.Helper()
			if s := r.Status().Sources[0]; s.Good != nil || s.Last != nil || s.Late || s.Failures != 0 {
				t.Errorf("%s: %+v", what, s)
			}
		}
		unknown("after the reload")
		after(time.Hour)
		if s := r.Status().Sources[0]; s.Running == nil || s.Running.Since.Before(r.clock().Add(-2*time.Minute)) {
			t.Errorf("no pass to the new vault is made at once: %+v", s)
		}
		unknown("after the pass to the one before")
		after(time.Hour)
		if s := r.Status().Sources[0]; s.Good == nil || s.Good.Seq != 3 {
			t.Errorf("%+v", s)
		}
		r.stop()
		third := plan(job)
		third.Vault = "file:///third"
		r = newRig(t, third, log, options())
		unknown("after a start with a third vault")
		for seq, p := range map[int64]*Plan{2: plan(job), 3: other} {
			r = newRig(t, p, log, options())
			if s := r.Status().Sources[0]; s.Good == nil || s.Good.Seq != seq || s.Last == nil {
				t.Errorf("%s: %+v", p.Vault, s)
			}
		}
		for i, vault := range []string{"file:///vault", "file:///vault", "file:///other"} {
			if got := log.of("pass a")[i].Vault; got != vault {
				t.Errorf("run %d is of %s", i, got)
			}
		}
	})
}

// TestLateSince holds that a source is not late because the daemon is old, and is late although daemons are young.
func TestLateSince(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &tape{}
		old, fresh := pass(t, "old", "6h", takes(time.Minute)), pass(t, "new", "6h", exits(1))
		old.MaxAge, fresh.MaxAge = 30*time.Hour, 30*time.Hour
		r := newRig(t, plan(old), log, options()).start()
		after(1000 * time.Hour)
		r.Reload(plan(old, fresh))
		after(time.Minute)
		if s := r.Status().Sources[1]; s.Late {
			t.Errorf("late as soon as it is there: %+v", s)
		}
		for day := range 3 {
			r.stop()
			r = newRig(t, plan(old, fresh), log, options()).start()
			after(24 * time.Hour)
			if s := r.Status().Sources[1]; s.Late != (day > 0) {
				t.Errorf("day %d: late %v", day, s.Late)
			}
		}
		r.stop()
	})
}
