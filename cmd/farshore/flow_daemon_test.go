package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"farshore/agent/daemon"
	"farshore/agent/daemon/history"
	"farshore/agent/probe"
)

// TestDaemonStart holds that passes run at once, that the status follows a slow one, and that there is never a second over the same source, by whomever.
func TestDaemonStart(t *testing.T) {
	r := newShop(t)
	r.put(map[string]string{"big/1": strings.Repeat("0123456789abcdef", 40_000), "big/2": strings.Repeat("fedcba9876543210", 40_000)})
	begun, letGo := r.held(func(q *http.Request) bool { return reads(q, "big/2") })
	s := r.serve("max_age: 2h\n")
	comes(t, begun)
	st := s.until("the rest and the time for it are known", func(st *daemon.Status) bool {
		run := stands(st, "shop").Running
		return run != nil && run.TotalItems == 5 && run.Items == 4 && stands(st, "shop").Backlog.Items == 1
	})
	if shop := stands(st, "shop"); shop.Running.TotalBytes < 1_280_000 || shop.Backlog.Bytes < 640_000 || shop.Good != nil || shop.Late || shop.MaxAgeSeconds != 7200 {
		t.Errorf("%+v", shop)
	}
	r.ok("status").says("running for", "KiB of 1.2 MiB", "none known")

	// It is not begun a second time.
	r.run("replicate").ends(exitFailed).warns("in use", "farshore trigger SOURCE")
	r.ok("trigger", "shop").says("under way since 20", "not begun a second time")
	second := &served{rig: r, page: s.page}
	second.launch()
	if code := second.ended(); code != exitFailed {
		t.Errorf("a second daemon ended with exit code %d", code)
	}
	if log := string(s.logged()); !strings.Contains(log, "another daemon") || !strings.Contains(log, "hint: ") {
		t.Errorf("a second daemon does not say why:\n%s", log)
	}

	letGo()
	run := s.passed("shop", 1)
	if run.Exit != exitDone || run.Cause != history.CauseSchedule || run.Pass.New != 5 {
		t.Errorf("%+v", run)
	}
	st = s.until("the probe and the audit ended", func(st *daemon.Status) bool { return st.Verify.Last != nil })
	shop := stands(st, "shop")
	if shop.Good == nil || shop.Good.Seq != run.Pass.Seq || shop.AgeSeconds <= 0 || shop.AgeSeconds > 300 || len(shop.Next) != 3 || shop.Backlog.Items != 0 {
		t.Errorf("%+v", shop)
	}
	if until := shop.Next[0].Sub(run.Started); until < 59*time.Minute || until > 61*time.Minute {
		t.Errorf("it is due %s after it began", until)
	}
	var out struct{ daemon.Status }
	r.json(&out, "status", "shop")
	if len(out.Sources) != 1 || out.Sources[0].Good.Hash != shop.Good.Hash {
		t.Errorf("%+v", out)
	}
	r.ok("status", "--check", "--quiet")
	r.ok("status", "shop").says("good snapshot  2 of ", "last pass", "well", "5 new", "schedule       1h")

	// Between passes the command works, and the daemon's next pass goes on from there.
	r.put(map[string]string{"new": "x"})
	r.ok("replicate").says("1 new", "snapshot 3")
	r.ok("trigger", "shop", "--wait").says("pass shop: well")
	s.stop()
	for _, job := range []string{"pass shop", "verify"} {
		if b, e := len(s.said("begins", job)), len(s.said("ended", job)); b != e || b == 0 {
			t.Errorf("%s: %d lines of beginnings, %d of ends", job, b, e)
		}
	}
	if l := s.said("ended", "pass shop")[0]; l["listed"] != 5. || l["new"] != 5. || l["snapshot"] != 2. || l["took"] == "" || l["read"] == "" {
		t.Errorf("the end of a pass is logged as %v", l)
	}
}

// TestDaemonMissed holds that what was due while no daemon ran is made up for, and that what was not is not.
func TestDaemonMissed(t *testing.T) {
	r := newShop(t)
	r.ok("source", "add", "late", r.url())
	s := r.serve("verify: {schedule: 30d}\n")
	s.passed("shop", 1)
	s.passed("late", 1)
	s.ran("verify", 1)
	s.stop()
	s.aged("pass late", 2*time.Hour)
	s.start()
	if run := s.passed("late", 2); run.Cause != history.CauseMissed {
		t.Errorf("%+v", run)
	}
	r.ok("trigger", "shop", "--wait") // what was due at the start began before
	for job, n := range map[string]int{"pass late": 2, "pass shop": 2, "verify": 1} {
		if got := len(s.said("begins", job)); got != n {
			t.Errorf("%s began %d times", job, got)
		}
	}
	if l := s.said("begins", "pass shop"); l[1]["cause"] != history.CauseTrigger {
		t.Errorf("what was not due ran: %v", l)
	}
}

// aged makes all runs of a job as long ago, in the history of a daemon that does not run.
func (s *served) aged(job string, by time.Duration) {
	s.t.Helper()
	path := s.path("state", "history.jsonl")
	data, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	var b strings.Builder
	for line := range strings.Lines(string(data)) {
		one := map[string]any{}
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			s.t.Fatal(err)
		}
		if one["job"] == job {
			before(one, "started", by)
			before(one, "ended", by)
			pass, _ := one["pass"].(map[string]any)
			before(pass, "at", by)
		}
		out, err := json.Marshal(one)
		if err != nil {
			s.t.Fatal(err)
		}
		b.Write(append(out, '\n'))
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// before makes a time earlier, if it is there.
func before(of map[string]any, key string, by time.Duration) {
	text, _ := of[key].(string)
	if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
		of[key] = at.Add(-by)
	}
}

// TestDaemonTrigger holds trigger to say what came of what it asked for, and to end as that did.
func TestDaemonTrigger(t *testing.T) {
	r := newShop(t)
	r.run("trigger", "shop").ends(exitFailed).warns("no daemon runs here", "journalctl", "farshore daemon")
	r.run("status").ends(exitFailed).warns("no daemon runs here")
	r.run("reload").ends(exitFailed).warns("no daemon runs here")
	s := r.serve("schedule: \"off\"\nverify: {schedule: \"off\"}\n")
	r.ok("trigger", "shop", "--verify", "--wait").says("pass shop: well", "verify: well")
	if run := s.passed("shop", 1); run.Cause != history.CauseTrigger {
		t.Errorf("%+v", run)
	}
	r.run("trigger").ends(exitUsage).warns("SOURCE, --verify or --probe")
	r.run("trigger", "shop", "shp").ends(exitUsage).warns("no source shp", "it has shop").lacks("pass shop", "pass shp")
	r.run("trigger", "--probe").ends(exitUsage).warns("require: none").lacks("no such job")
	r.run("status", "shp").ends(exitUsage).warns("no source shp", "it has shop")
	if n := len(s.said("begins", "pass shop")); n != 1 {
		t.Errorf("a pass that was named beside what is not there began: %d", n)
	}

	r.gate.deny("b")
	r.run("trigger", "shop", "--wait").ends(exitDone) // nothing of b changed, so that it is not read
	r.put(map[string]string{"b": "delta"})
	r.run("trigger", "shop", "--wait").ends(exitIncomplete).says("ended incomplete").warns("source shop: 1 item could not be read")
	r.gate.set(nil)

	begun, _ := r.held(func(q *http.Request) bool { return reads(q, "b") })
	waits := make(chan *did, 1)
	go func() { waits <- r.run("trigger", "shop", "--wait") }()
	comes(t, begun)
	s.signal(syscall.SIGTERM)
	(<-waits).ends(exitInterrupted).warns("stopped before it ended", "next start")
	if code := s.ended(); code != exitDone {
		t.Errorf("it ended with exit code %d", code)
	}
	if left, err := filepath.Glob(r.path("state", "*.sock")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestDaemonProbes holds that the daemon proves what the credential may do, and that trigger has it proved anew.
func TestDaemonProbes(t *testing.T) {
	r := newShop(t)
	s := r.serve("require: append-only\n")
	run := s.ran(probeJob, 1)
	if run.Probe == nil || run.Probe.Verdict == "" {
		t.Fatalf("%+v", run)
	}
	r.run("trigger", "--probe", "--wait").ends(run.Exit)
	if n := len(s.said("ended", probeJob)); n != 2 {
		t.Errorf("%d probes", n)
	}
	r.ok("status").says("credential: " + verdictWord(probe.Verdict(run.Probe.Verdict)))
	r.run("status", "--check").ends(exitDamage)
}
