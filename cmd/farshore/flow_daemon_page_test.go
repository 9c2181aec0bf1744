package main

import (
	"net/http"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"farshore/agent/daemon"
	"farshore/agent/daemon/history"
)

// TestDaemonPage holds what the page shows to be what the vault and the commands say, before and after a restart, and without the local state.
func TestDaemonPage(t *testing.T) {
	r := newShop(t)
	s := r.serve("max_age: 2h\n")
	s.passed("shop", 1)
	s.ran("verify", 1)
	r.ok("trigger", "--verify", "--wait")
	head := regexp.MustCompile(`head of shop: (\d+:[0-9a-f]+)`).FindStringSubmatch(r.ok("snapshots").stdout)
	if head == nil {
		t.Fatal("snapshots says no head")
	}
	for path, want := range map[string]string{"/healthz": "", "/readyz": "", "/": "shop", "/source/shop": "shop", "/heads.txt": head[1], "/live.json": "{"} {
		if code, body := s.get(path); code != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d, without %q:\n%s", path, code, want, body)
		}
	}
	if code, _ := s.get("/nothing"); code != http.StatusNotFound {
		t.Errorf("/nothing: %d", code)
	}
	pass := []string{
		`farshore_pass_success{source="shop"} 1`, `farshore_pass_items{result="new",source="shop"} 3`, "farshore_audit_success 1", `farshore_audit_verdict{verdict="intact"} 1`,
		`farshore_source_late{source="shop"} 0`, "farshore_config_reload_success 1",
	}
	s.metrics(pass...)
	links := s.reports()
	if len(links) < 1 {
		t.Fatal("no report is a click away")
	}
	// The report of the second audit is a page with names in it.
	code, page := s.get(links[0])
	if code != http.StatusOK || !strings.Contains(page, "shop") || !strings.Contains(page, "<html") {
		t.Errorf("%s: %d\n%s", links[0], code, page)
	}

	// What it knew it knows again, also where nothing told it that it was to end.
	s.signal(syscall.SIGKILL)
	s.ended()
	s.start()
	s.wait("the heads were read", func() bool { _, body := s.get("/heads.txt"); return strings.Contains(body, head[1]) }, nil)
	s.metrics(pass...)
	if run := stands(s.until("it answers", func(*daemon.Status) bool { return true }), "shop").Last; run == nil || run.Pass.New != 3 || run.Cause != history.CauseSchedule {
		t.Errorf("%+v", run)
	}
	s.wait("the reports were read", func() bool { return len(s.reports()) >= len(links) }, nil)

	// What the vault knows needs no local state.
	s.stop()
	if err := os.RemoveAll(r.path("state")); err != nil {
		t.Fatal(err)
	}
	r.configure("max_age: 2h\n", "max_age: 2h\nschedule: \"off\"\nverify: {schedule: \"off\"}\n")
	s.start()
	st := s.until("the vault said what the newest good snapshot is", func(st *daemon.Status) bool { return stands(st, "shop").Good != nil })
	if good := stands(st, "shop").Good; !strings.HasPrefix(head[1], "2:"+good.Hash[:16]) || good.Seq != 2 || stands(st, "shop").Last != nil {
		t.Errorf("%+v and not %s", good, head[1])
	}
	s.wait("the page knows, too", func() bool { _, body := s.get("/heads.txt"); return strings.Contains(body, head[1]) }, nil)
	s.stop()
}

// reports are the links to reports, the newest first.
func (s *served) reports() []string {
	s.t.Helper()
	_, body := s.get("/reports")
	var links []string
	for _, m := range regexp.MustCompile(`href="(/report/[0-9a-f]{64})"`).FindAllStringSubmatch(body, -1) {
		links = append(links, m[1])
	}
	return links
}
