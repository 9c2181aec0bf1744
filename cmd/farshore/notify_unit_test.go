package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"farshore/agent/notify"
	"farshore/providers/servers"
)

// TestUnitEvent holds how bad it is to what systemd says of the unit's end.
func TestUnitEvent(t *testing.T) {
	tests := []struct {
		code, status string
		outcome      notify.Outcome
		exit         int
	}{
		{"exited", "1", notify.Failure, exitFailed},
		{"exited", "2", notify.Failure, exitUsage},
		{"exited", "3", notify.Warning, exitIncomplete},
		{"exited", "4", notify.Alarm, exitDamage},
		{"killed", "3", notify.Failure, exitFailed},
		{"killed", "KILL", notify.Failure, exitFailed},
		{"", "", notify.Failure, exitFailed},
	}
	for _, tt := range tests {
		env := map[string]string{"MONITOR_EXIT_CODE": tt.code, "MONITOR_EXIT_STATUS": tt.status}
		ev := unitEvent("farshore.service", func(name string) string { return env[name] })
		if ev.Outcome != tt.outcome || ev.Exit != tt.exit || ev.Subject != "farshore.service" || ev.Kind != notify.Unit {
			t.Errorf("%s %s: %+v", tt.code, tt.status, ev)
		}
	}
}

// TestNotifyUnit holds that a channel is told although everything else in the configuration is wrong, and that nothing but the unit is named.
func TestNotifyUnit(t *testing.T) {
	var mu sync.Mutex
	var got []notify.Message
	server := servers.HTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var m notify.Message
		if err != nil || json.Unmarshal(body, &m) != nil {
			t.Errorf("a strange message: %q, %v", body, err)
		}
		mu.Lock()
		defer mu.Unlock()
		got = append(got, m)
	}))
	dir := t.TempDir()
	path := filepath.Join(dir, "farshore.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	call := func(want int, args ...string) string {
		t.Helper()
		e, stdout, stderr := testEnv(t)
		env := map[string]string{"OPS": server.URL, "MONITOR_SERVICE_RESULT": "watchdog", "MONITOR_EXIT_CODE": "killed", "MONITOR_EXIT_STATUS": "ABRT"}
		e.getenv = func(name string) string { return env[name] }
		if code := run(append([]string{"notify", "unit", "--config", path}, args...), e); code != want {
			t.Errorf("%v ended with %d, not with %d: %s", args, code, want, stderr)
		}
		return stdout.String() + stderr.String()
	}
	write("frobnicate: 1\nsources: [{name: secret-shop, url: 'ftp://x'}]\nnotify:\n  - {name: ops, kind: webhook, url: 'env:OPS'}\n")
	call(exitDone, "farshore.service", "--state", filepath.Join(dir, "elsewhere"))
	if len(got) != 1 || got[0].Title != "farshore: unit farshore.service FAILED" || got[0].Source != "" {
		t.Fatalf("told: %+v", got)
	}
	if body, err := json.Marshal(got[0]); err != nil || strings.Contains(string(body), "secret-shop") || !strings.Contains(string(body), "watchdog") {
		t.Errorf("%s, %v", body, err)
	}
	if out := call(exitDone, "farshore.service", "--state", filepath.Join(dir, "elsewhere")); len(got) != 1 || !strings.Contains(out, "1 held") {
		t.Errorf("the same was told twice: %s", out)
	}
	call(exitUsage, "no unit")
	call(exitUsage, "a\nb.service")
	call(exitUsage)
	write("notify:\n  - {name: ops, kind: webhook, url: 'env:OPS'}\n  - {name: pager, kind: webhook, url: 'env:NOWHERE'}\n")
	if out := call(exitIncomplete, "farshore-verify.service"); len(got) != 2 || !strings.Contains(out, "pager") {
		t.Errorf("one of two channels is broken: %d told, %s", len(got), out)
	}
	write("notify: [")
	call(exitUsage, "farshore.service")
	write("sources: []\n")
	if out := call(exitDone, "farshore.service"); !strings.Contains(out, "nobody is told") {
		t.Error(out)
	}
}
