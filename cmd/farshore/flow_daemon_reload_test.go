package main

import (
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"farshore/agent/daemon"
	"farshore/agent/daemon/history"
	"farshore/providers/servers"
)

// TestDaemonReload has a daemon take changed configurations, by the command and by a signal.
func TestDaemonReload(t *testing.T) {
	r := newShop(t)
	s := r.serve("schedule: 61m\n")
	s.passed("shop", 1)
	r.beside(map[string]string{"more": r.url()})
	r.ok("reload").says("the changed configuration")
	if run := s.passed("more", 1); run.Exit != exitDone || run.Cause != history.CauseSchedule {
		t.Errorf("%+v", run)
	}
	r.configure("schedule: 61m\n", "schedule: 17 3 * * *\ntimezone: Asia/Kolkata\n")
	s.signal(syscall.SIGHUP)
	st := s.until("another schedule counts", func(st *daemon.Status) bool { return stands(st, "shop").Schedule == "17 3 * * *" })
	if next := stands(st, "shop").Next[0].UTC(); st.Zone != "Asia/Kolkata" || next.Hour() != 21 || next.Minute() != 47 {
		t.Errorf("%s in %s", next, st.Zone)
	}
	if n := len(s.said("begins", "pass shop")); n != 1 {
		t.Errorf("a pass that is not due began: %d", n)
	}
	r.ok("status").says("times are in Asia/Kolkata")

	// The page moves, and asks for a token.
	old := s.page
	s.page = servers.Unused(t)
	if err := os.WriteFile(r.path("token"), []byte("0123456789abcdef0123\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.configure("web: {listen: \""+old+"\"}\n", "web: {listen: \""+s.page+"\", token: \"file:token\"}\n")
	r.ok("reload")
	if code, _ := s.getAt("http://" + old + "/healthz"); code != 0 {
		t.Errorf("the old page answers %d", code)
	}
	if code, _ := s.get("/metrics"); code != http.StatusUnauthorized {
		t.Errorf("without a token: %d", code)
	}
	if code, _ := s.get("/metrics", "Authorization", "Bearer 0123456789abcdef0123"); code != http.StatusOK {
		t.Errorf("with a token: %d", code)
	}
	r.configure("  - name: more\n    url: "+r.url()+"\n", "")
	r.ok("reload")
	if st := s.until("it is gone", func(st *daemon.Status) bool { return len(st.Sources) == 1 }); st.Config.Problem != "" {
		t.Error(st.Config.Problem)
	}
	s.stop()
	if strings.Contains(string(s.logged()), "0123456789abcdef0123") {
		t.Error("the token is in the log")
	}
}

// TestDaemonRefuses has a daemon refuse configurations, say all that is wrong with them, and go on with the one before.
func TestDaemonRefuses(t *testing.T) {
	r := newShop(t)
	s := r.serve("schedule: \"off\"\n")
	good, err := os.ReadFile(r.path("farshore.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	taken := servers.HTTP(t, http.NotFoundHandler()).Listener.Addr().String()
	place := func(text string) {
		t.Helper()
		if err := os.WriteFile(r.path("farshore.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	page := "web: {listen: \"" + s.page + "\"}\n"
	for _, tt := range []struct {
		name, old, now string
		says           []string
	}{
		{"no YAML", "sources:\n", "sources: [\n", []string{"farshore.yaml:"}},
		{"two mistakes", "sources:\n", "scheduel: 1h\nparallel: 99\nsources:\n", []string{"scheduel", "parallel"}},
		{"a secret that is not there", page, "web: {listen: \"" + s.page + "\", token: \"file:none\"}\n", []string{"none", "no such file"}},
		{"keys that are not there", "sources:\n", "keys: nowhere\nsources:\n", []string{"nowhere"}},
		{"a page where somebody else listens", page, "web: {listen: \"" + taken + "\"}\n", []string{taken, "in use", "web.listen"}},
		{"another state", "sources:\n", "state: other\nsources:\n", []string{"restart"}},
		{"another socket", "sources:\n", "socket: other.sock\nsources:\n", []string{"restart"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r.t, s.t = t, t
			if strings.Count(string(good), tt.old) != 1 {
				t.Fatalf("%q is not once in\n%s", tt.old, good)
			}
			place(strings.Replace(string(good), tt.old, tt.now, 1))
			r.run("reload", "--socket", "state/farshore.sock").ends(exitUsage).warns(append(tt.says, "hint: ")...)
			r.ok("status", "--socket", "state/farshore.sock").says(append(tt.says, "REFUSED a changed configuration", "shop")...)
			if tt.name != "another state" && tt.name != "another socket" {
				r.ok("status")
			}
			r.run("status", "--check", "--quiet", "--socket", "state/farshore.sock").ends(exitIncomplete).warns("a changed configuration was refused")
			if code, _ := s.get("/healthz"); code != http.StatusOK {
				t.Errorf("the page answers %d", code)
			}
			s.metrics("farshore_config_reload_success 0")
			r.ok("trigger", "shop", "--wait", "--socket", "state/farshore.sock")
			place(string(good))
			r.ok("reload")
			r.ok("status", "--check").lacks("REFUSED")
			s.metrics("farshore_config_reload_success 1")
		})
	}
	r.t, s.t = t, t
	place("nothing of the kind")
	s.signal(syscall.SIGHUP)
	s.until("it is refused", func(st *daemon.Status) bool { return st.Config.Problem != "" })
	place(string(good))
	s.signal(syscall.SIGHUP)
	s.until("it is taken", func(st *daemon.Status) bool { return st.Config.Problem == "" })
	if err := os.Remove(r.path("farshore.yaml")); err != nil {
		t.Fatal(err)
	}
	r.run("reload", "--socket", "state/farshore.sock").ends(exitUsage).warns("farshore.yaml")
	r.run("status", "--config", "farshore.yaml").ends(exitDone).says("REFUSED")
	s.stop()
}

// TestDaemonReloadMeanwhile holds that a pass under way goes on as it began, whatever is taken meanwhile, also when its source is gone.
func TestDaemonReloadMeanwhile(t *testing.T) {
	r := newShop(t)
	begun, letGo := r.held(func(q *http.Request) bool { return reads(q, "b") })
	s := r.serve("schedule: 61m\n")
	comes(t, begun)
	since := stands(s.until("it runs", func(st *daemon.Status) bool { return stands(st, "shop").Running != nil }), "shop").Running.Since
	r.configure("schedule: 61m\n", "schedule: 2h\n")
	r.ok("reload")
	st := s.until("it counts", func(st *daemon.Status) bool { return stands(st, "shop").Schedule == "2h" })
	if run := stands(st, "shop").Running; run == nil || !run.Since.Equal(since) {
		t.Errorf("%+v", run)
	}
	r.configure("  - name: shop\n    url: "+r.url(), "  - name: other\n    url: "+r.url())
	r.ok("reload")
	st = s.until("both are there", func(st *daemon.Status) bool { return stands(st, "other").Name != "" })
	if run := stands(st, "shop").Running; run == nil || !run.Since.Equal(since) {
		t.Errorf("%+v", run)
	}
	r.ok("status").says("shop", "other")
	letGo()
	s.until("it is gone when it ended", func(st *daemon.Status) bool { return len(st.Sources) == 1 && stands(st, "other").Last != nil })
	l := s.said("ended", "pass shop")
	if len(l) != 1 || l[0]["exit"] != 0. || l[0]["complete"] != true {
		t.Errorf("%v", l)
	}
	r.run("trigger", "shop").ends(exitUsage).warns("no source shop", "it has other")
	s.stop()
}

// TestDaemonPageTaken holds a daemon whose page has no place to protect its sources all the same, and to have the page once there is one.
func TestDaemonPageTaken(t *testing.T) {
	r := newShop(t)
	other := servers.HTTP(t, http.NotFoundHandler())
	r.configure("sources:\n", "web: {listen: \""+other.Listener.Addr().String()+"\"}\nsources:\n")
	s := &served{rig: r, page: other.Listener.Addr().String()}
	s.start()
	if run := s.passed("shop", 1); run.Exit != exitDone {
		t.Errorf("%+v", run)
	}
	if l := s.said("the page", ""); len(l) != 1 || l[0]["level"] != "ERROR" || !strings.Contains(l[0]["error"].(string), "in use") {
		t.Errorf("%v", l)
	}
	other.Close()
	deadline := time.Now().Add(patience)
	for code := 0; code != http.StatusOK; code, _ = s.get("/healthz") {
		if time.Now().After(deadline) {
			t.Fatal("there is no page")
		}
	}
	s.stop()
}
