package main

import (
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"farshore/agent/daemon"
	"farshore/agent/daemon/history"
)

// newOverseas is newShop with the vault at the same server, behind the same gate, in a bucket of its own.
func newOverseas(t *testing.T) (r *rig, vault string) {
	t.Helper()
	r = newMachine(t)
	vault = r.server.Bucket(t)
	r.ok("init", "--vault", r.server.URL(vault, "v"), "--config", "farshore.yaml", "--kit", "kit", "--quiet")
	r.configure("sources:", "require: none\nsources:")
	r.put(map[string]string{"a/1": "alpha", "a/2": "beta", "b": "gamma"})
	r.ok("source", "add", "shop", r.url())
	return r, vault
}

// TestDaemonStopped stops a daemon in the middle of a pass: what is whole is committed, and the next start goes on there.
func TestDaemonStopped(t *testing.T) {
	r := newShop(t)
	d := newDesk(r)
	r.put(map[string]string{"z/big": strings.Repeat("0123456789abcdef", 40_000)})
	begun, letGo := r.held(func(q *http.Request) bool { return reads(q, "z/big") })
	s := r.serve("schedule: 1d\n")
	comes(t, begun)
	s.until("the others were read", func(st *daemon.Status) bool {
		run := stands(st, "shop").Running
		return run != nil && run.Items == 3
	})
	if took := s.stop(); took > 20*time.Second {
		t.Errorf("it took %s", took)
	}
	if l := s.said("ended", "pass shop"); len(l) != 1 || l[0]["stopped"] != true || l[0]["left"] != 1. || l[0]["new"] != 3. {
		t.Errorf("%v", l)
	}
	r.ok("ls", "shop").says("a/1", "a/2", "b").lacks("z/big")
	letGo()
	s.start()
	run := s.passed("shop", 2)
	if run.Exit != exitDone || run.Cause != history.CauseMissed || run.Pass.New != 1 || run.Pass.ReadBytes != 640_000 {
		t.Errorf("%+v, %+v", run, run.Pass)
	}
	if run := s.ran("verify", 1); run.Exit != exitDone {
		t.Errorf("%+v", run)
	}
	s.stop()
	if got := d.titles("hook", 0); len(got) != 0 {
		t.Errorf("a stop was told: %q", got)
	}
}

// TestDaemonHung stops a daemon while the vault's store takes what it is sent and does not answer: it ends all the same, and at once when it is told so twice.
func TestDaemonHung(t *testing.T) {
	r, vault := newOverseas(t)
	hang := func() (begun <-chan struct{}, letGo func()) {
		return r.held(func(q *http.Request) bool {
			return q.Method == http.MethodPut && strings.HasPrefix(q.URL.Path, "/"+vault+"/v/packs/")
		})
	}
	begun, letGo := hang()
	s := r.serve("verify: {schedule: \"off\"}\n")
	comes(t, begun)
	s.stop()
	letGo()

	begun, letGo = hang()
	s.start()
	comes(t, begun)
	began := time.Now()
	s.signal(syscall.SIGTERM)
	s.wait("it knows that it is stopping", func() bool { return len(s.said("stopping", "")) == 2 }, nil)
	s.signal(syscall.SIGTERM)
	if code := s.ended(); code != exitInterrupted || time.Since(began) > 10*time.Second {
		t.Errorf("told twice, it ended with exit code %d after %s", code, time.Since(began))
	}
	letGo()
	s.start() // its end was not seen
	if run := s.passed("shop", 2); run.Exit != exitDone || run.Cause != history.CauseMissed || !run.Pass.Complete {
		t.Errorf("%+v", run)
	}
	s.stop()
	r.ok("verify", "--full", "--identity", "kit/recovery.key")
}
