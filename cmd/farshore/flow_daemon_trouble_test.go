package main

import (
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"farshore/agent/daemon"
	"farshore/agent/notify"
)

// titles waits until a channel of the desk has so many messages, and returns their titles.
func (d *desk) titles(channel string, n int) []string {
	d.t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		d.mu.Lock()
		bodies := slices.Clone(d.bodies[channel])
		d.mu.Unlock()
		if len(bodies) >= n {
			return d.titled(bodies)
		}
		select {
		case <-tick.C:
		case <-late.C:
			d.t.Fatalf("%d messages on %s, and %d are waited for: %q", len(bodies), channel, n, bodies)
		}
	}
}

// titled are the titles of messages.
func (d *desk) titled(bodies []string) (all []string) {
	d.t.Helper()
	for _, b := range bodies {
		all = append(all, message(d.t, b).Title)
	}
	return all
}

// beside gives the configuration sources beside shop, by name and URL.
func (r *rig) beside(sources map[string]string) {
	for name, url := range sources {
		r.configure("  - name: shop\n", "  - name: "+name+"\n    url: "+url+"\n  - name: shop\n")
	}
}

// TestDaemonTrouble has sources that do not exist, are denied, and hang beside one that is well.
func TestDaemonTrouble(t *testing.T) {
	r := newShop(t)
	d := newDesk(r)
	denied, hangs := r.server.Bucket(t), r.server.Bucket(t)
	r.beside(map[string]string{"gone": r.server.URL("no-such-bucket", ""), "denied": r.server.URL(denied, ""), "hangs": r.server.URL(hangs, "")})
	open := make(chan struct{})
	defer close(open)
	r.gate.set(func(w http.ResponseWriter, q *http.Request) bool {
		switch {
		case strings.HasPrefix(q.URL.Path, "/"+denied):
			http.Error(w, "<Error><Code>AccessDenied</Code><Message>not this one</Message></Error>", http.StatusForbidden)
		case strings.HasPrefix(q.URL.Path, "/"+hangs):
			select {
			case <-q.Context().Done():
			case <-open:
			}
		default:
			return false
		}
		return true
	})
	s := r.serve("schedule: 1d\n")
	if run := s.passed("shop", 1); run.Exit != exitDone {
		t.Errorf("%+v", run)
	}
	if run := s.passed("gone", 1); run.Exit != exitFailed || run.Code != "not-found" || run.Text == "" {
		t.Errorf("%+v", run)
	}
	if run := s.passed("denied", 1); run.Exit != exitFailed || run.Code != "denied" || run.Hint == "" {
		t.Errorf("%+v", run)
	}
	st := s.until("the one that hangs does", func(st *daemon.Status) bool { return stands(st, "hangs").Running != nil })
	if gone := stands(st, "gone"); gone.Failures != 1 || !gone.Retry || gone.Next[0].Sub(gone.Last.Ended).Round(time.Minute) != 5*time.Minute {
		t.Errorf("%+v", gone)
	}
	r.run("status", "--check").ends(exitIncomplete).says("FAILED: not-found", "FAILED: denied", "(again)").warns("denied FAILED: denied", "gone FAILED: not-found").lacks(hookSecret)
	s.metrics(`farshore_pass_success{source="gone"} 0`, `farshore_pass_success{source="shop"} 1`, `farshore_pass_exit_code{source="denied"} 1`, `farshore_source_failures{source="denied"} 1`)
	if l := s.said("ended", "pass gone"); len(l) != 1 || l[0]["level"] != "ERROR" || l[0]["text"] == nil || l[0]["code"] != "not-found" {
		t.Errorf("%v", l)
	}
	if got := d.titles("hook", 2); len(got) != 2 || !strings.HasPrefix(got[0], "farshore: pass of source ") || !strings.HasSuffix(got[0], " FAILED") {
		t.Errorf("%q", got)
	}

	// A second failure is no news, and being well again is.
	r.run("trigger", "denied", "--wait").ends(exitFailed).warns("denied")
	if st := s.until("it failed twice", func(st *daemon.Status) bool { return stands(st, "denied").Failures == 2 }); stands(st, "shop").Failures != 0 {
		t.Errorf("%+v", stands(st, "shop"))
	}
	r.ok("status").says("FAILED 2 times: denied")
	r.gate.set(nil)
	r.ok("trigger", "denied", "--wait")
	if got := d.titles("hook", 3); len(got) != 3 || !strings.HasSuffix(got[2], " is well again") {
		t.Errorf("%q", got)
	}
	s.stop()
	if log := string(s.logged()); strings.Contains(log, hookSecret) || strings.Contains(log, d.url) {
		t.Error("the log has the address of a channel")
	}
	if got := d.titles("hook", 3); len(got) != 3 {
		t.Errorf("the stop was told: %q", got)
	}
}

// TestDaemonTried holds a start, and a reload, to try at once what failed before: it may be mended.
func TestDaemonTried(t *testing.T) {
	r := newShop(t)
	r.configure("name: shop\n    url: "+r.url(), "name: shop\n    url: "+r.server.URL("no-such-bucket", ""))
	s := r.serve("verify: {schedule: 1d}\n")
	s.ran("verify", 1)
	s.passed("shop", 1)
	s.stop()
	s.start()
	if run := s.passed("shop", 2); run.Code != "not-found" {
		t.Errorf("%+v", run)
	}
	r.configure(r.server.URL("no-such-bucket", ""), r.url())
	r.ok("reload")
	if run := s.passed("shop", 3); run.Exit != exitDone {
		t.Errorf("%+v", run)
	}
	r.ok("reload")
	s.stop()
	if p, v := len(s.said("begins", "pass shop")), len(s.said("begins", "verify")); p != 3 || v != 1 {
		t.Errorf("%d passes and %d audits", p, v)
	}
}

// TestDaemonLate holds a source whose newest good snapshot is too old to be told of once, and once more when it is well again.
func TestDaemonLate(t *testing.T) {
	r := newShop(t)
	d := newDesk(r)
	s := r.serve("schedule: \"off\"\nmax_age: 2h\n")
	r.ok("trigger", "shop", "--wait")
	s.ran("verify", 1)
	s.stop()
	s.aged("pass shop", 3*time.Hour)
	away := r.path("away") // or it says itself how old its newest snapshot is
	rename(t, r.path("vault"), away)
	s.start()
	if got := d.titles("hook", 1); !slices.Equal(got, []string{"farshore: source 1 of 1 is LATE"}) {
		t.Errorf("%q", got)
	}
	r.ok("status").says("3h00m old: LATE", "2h00m")
	r.run("status", "--check", "--quiet").ends(exitIncomplete).warns("shop is late")
	s.metrics(`farshore_source_late{source="shop"} 1`, `farshore_source_max_age_seconds{source="shop"} 7200`)
	if l := s.said("chains and reports could not be read", ""); len(l) == 0 {
		t.Error("nothing is said of a vault that is gone")
	}
	rename(t, away, r.path("vault"))
	r.put(map[string]string{"new": "x"})
	r.ok("trigger", "shop", "--wait")
	if got := d.titles("hook", 2); len(got) != 2 || got[1] != "farshore: source 1 of 1 is not late any more" {
		t.Errorf("%q", got)
	}
	s.metrics(`farshore_source_late{source="shop"} 0`)
	r.ok("status", "--check")
	s.stop()
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// TestDaemonAlarm holds that an alarm of a pass is told, shown, and no failure that is tried again.
func TestDaemonAlarm(t *testing.T) {
	r := newShop(t)
	d := newDesk(r)
	many := map[string]string{}
	for i := range 40 {
		many["many/"+string(rune('A'+i))] = strings.Repeat("x", i)
	}
	r.put(many)
	s := r.serve("")
	s.passed("shop", 1)
	for key := range many {
		r.remove(key)
	}
	r.run("trigger", "shop", "--wait").ends(exitIncomplete).says("ended with an alarm")
	if got := d.titles("hook", 1); !slices.Equal(got, []string{"farshore: ALARM: pass of source 1 of 1"}) {
		t.Errorf("%q", got)
	}
	r.ok("status").says("SUSPICIOUS")
	r.ok("status", "shop").says("SUSPICIOUS", "deleted")
	r.run("status", "--check").ends(exitIncomplete).warns("shop is suspicious")
	s.metrics(`farshore_pass_suspicious{source="shop"} 1`)
	st := s.until("it is known", func(st *daemon.Status) bool { return len(stands(st, "shop").Suspicious) > 0 })
	if shop := stands(st, "shop"); shop.Good == nil || shop.Good.Seq >= shop.Last.Pass.Seq || shop.Retry {
		t.Errorf("%+v", shop)
	}
	if l := s.said("ended", "pass shop"); l[1]["level"] != "WARN" || l[1]["suspicious"] == nil {
		t.Errorf("%v", l)
	}
}

// message reads what came on a channel.
func message(t *testing.T, body string) (m notify.Message) {
	t.Helper()
	decode(t, body, &m)
	return m
}
