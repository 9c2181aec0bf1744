package booted

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"farshore/agent/daemon"
)

// TestBooted is the life of the service on one machine, from the package's installation to its removal. Each part builds on those before.
func TestBooted(t *testing.T) {
	if testing.Short() {
		t.Skip("takes minutes")
	}
	m := boot(t)
	parts := []struct {
		name string
		run  func(*testing.T, *machine)
	}{
		{"the package installs and starts nothing", packageInstalled},
		{"install starts the service", serviceInstalled},
		{"the first passes", firstPasses},
		{"killed in the middle of a pass", killed},
		{"secrets are the service's alone", secrets},
		{"the sandbox is on", sandbox},
		{"the page answers", page},
		{"an upgrade starts it anew", upgraded},
		{"a broken configuration is refused", refusedReload},
		{"stopped in the middle of a pass", stopped},
		{"a hung process is ended", hung},
		{"a failed unit is told of", alerted},
		{"the verifier has keys of its own", verified},
		{"uninstalled", uninstalled},
		{"the package is purged", purged},
	}
	for i, p := range parts {
		if t.Run(p.name, func(t *testing.T) { p.run(t, m) }) {
			continue
		}
		journal, _ := m.try(t, "journalctl --no-pager -n 60 -o short-monotonic -u 'farshore*'") // it fails where there is none
		t.Logf("the end of the service's journal:\n%s", journal)
		if i < 3 {
			t.Fatal("the rest builds on this")
		}
	}
}

func packageInstalled(t *testing.T, m *machine) {
	deb, _ := packages(t)
	m.put(t, deb, "root/farshore.deb")
	m.must(t, "dpkg -i /root/farshore.deb")
	for script, want := range map[string]string{
		"stat -c '%a %U %G' /etc/farshore":                                "750 root farshore",
		"stat -c '%a %U %G' /etc/farshore/keys":                           "700 root root",
		"stat -c '%a %U %G' /etc/farshore-verify":                         "750 root farshore-verify",
		"id -nG farshore":                                                 "farshore",
		"getent passwd farshore-verify | cut -d: -f7":                     "/usr/sbin/nologin",
		"systemctl is-active farshore || true":                            "inactive",
		"systemctl is-enabled farshore farshore-verify.timer || true":     "disabled\ndisabled",
		"systemctl --failed --no-legend | wc -l":                          "0",
		"zcat /usr/share/man/man1/farshore-daemon.1.gz | head -c 3":       ".TH",
		"bash -n /usr/share/bash-completion/completions/farshore":         "",
		"farshore __complete replicate '' 2>/dev/null":                    ":4",
		"ldd /usr/bin/farshore 2>&1 | grep -c 'not a dynamic executable'": "1",
	} {
		if got := m.must(t, script); got != want {
			t.Errorf("%s: %q, not %q", script, got, want)
		}
	}
	m.must(t, "dpkg -i /root/farshore.deb") // an upgrade, of what does not run
	if got := m.must(t, "systemctl is-active farshore || true"); got != "inactive" {
		t.Errorf("after an upgrade: %s", got)
	}
}

// serviceInstalled does as the documents say: a vault, credentials, sources, install.
func serviceInstalled(t *testing.T, m *machine) {
	stage(t, m)
	vault := "s3://vault/v?" + server + "&profile=writer"
	m.write(t, "/root/writer", "600", profile("writer"))
	m.must(t, `export AWS_SHARED_CREDENTIALS_FILE=/root/writer
farshore init --quiet --vault '`+vault+`' --config /etc/farshore/farshore.yaml --kit /root/kit`)
	m.must(t, `cd /etc/farshore
cat >>farshore.yaml <<END
require: none
notify:
  - name: ops
    kind: webhook
    url: credential:ops-url
    names: true
END
install -d -m 700 credentials
echo http://127.0.0.1:9000/-told >credentials/ops-url`)
	m.write(t, "/etc/farshore/credentials/aws", "600", profile("writer")+profile("reader"))
	m.must(t, `export AWS_SHARED_CREDENTIALS_FILE=/etc/farshore/credentials/aws
farshore source add shop '`+bucket("shop", "reader")+`' --limit-download `+rate+`
farshore source add code 'git+file:///srv/git?match=*.git'`)
	m.must(t, "mkdir -p /etc/systemd/system/farshore.service.d && printf '[Service]\nRestartSec=1\n' >/etc/systemd/system/farshore.service.d/90-test.conf")
	m.must(t, "farshore install --read-path /srv/git --group gitreaders")
	if got := m.must(t, "systemctl is-active farshore; systemctl is-enabled farshore; stat -c '%a %U' /etc/farshore/keys/agent.key"); got != "active\nenabled\n600 root" {
		t.Errorf("after install: %s", got)
	}
	if got := m.must(t, "farshore install --read-path /srv/git --group gitreaders"); !strings.Contains(got, "unchanged") {
		t.Errorf("the second install: %s", got)
	}
	if got := m.property(t, "farshore", "Type"); got != "notify" {
		t.Errorf("Type=%s", got)
	}
}

// firstPasses: what was never captured is, at once; and a quick source does not wait for a slow one.
func firstPasses(t *testing.T, m *machine) {
	meets(t, m, "code", "is captured", good)
	if s := meets(t, m, "shop", "is under way", running); s.Last != nil {
		t.Errorf("shop has been captured: %+v", s.Last)
	}
}

// killed: SIGKILL in the middle of a pass. systemd starts the service anew, which goes on and completes.
func killed(t *testing.T, m *machine) {
	before := m.number(t, "farshore", "NRestarts")
	m.must(t, "systemctl kill --kill-who=main --signal=KILL farshore")
	m.wait(t, "the service is started anew", time.Minute, func() (bool, string) {
		return m.number(t, "farshore", "NRestarts") > before && m.property(t, "farshore", "ActiveState") == "active", m.property(t, "farshore", "ActiveState")
	})
	s := meets(t, m, "shop", "is captured", good)
	if s.Last.Cause != "missed" {
		t.Errorf("the pass was made because of %q", s.Last.Cause)
	}
	restores(t, m, "shop")
	m.must(t, `rm -rf /root/out
AWS_SHARED_CREDENTIALS_FILE=/root/writer farshore restore --quiet --source code --to /root/out `+reader+`
test "$(git --git-dir=/root/out/app.git log --format=%s main)" = one`)
}

// upgraded: a service that runs is started anew by the new version.
func upgraded(t *testing.T, m *machine) {
	before := m.property(t, "farshore", "MainPID")
	m.must(t, "dpkg -i /root/farshore.deb")
	if now := m.property(t, "farshore", "MainPID"); now == before || m.property(t, "farshore", "ActiveState") != "active" {
		t.Errorf("process %s became %s", before, now)
	}
	meets(t, m, "code", "is known as before", good)
}

// refusedReload: a configuration with a mistake is refused, by name, and passes go on with the old one.
func refusedReload(t *testing.T, m *machine) {
	m.must(t, "cp -a /etc/farshore/farshore.yaml /root/good.yaml && echo 'scheduel: 1h' >>/etc/farshore/farshore.yaml")
	m.refused(t, "systemctl reload farshore")
	s, err := status(t, m)
	if err != nil || !strings.Contains(s.Config.Problem, "scheduel") {
		t.Errorf("the status says %q, %v", s.Config.Problem, err)
	}
	last := sourceOf(s, "code").Last
	m.must(t, "mv /etc/farshore/farshore.yaml /root/bad.yaml; cp -a /root/good.yaml /etc/farshore/farshore.yaml; cp -a /root/bad.yaml /etc/farshore/farshore.yaml")
	m.must(t, "farshore trigger code")
	meets(t, m, "code", "is captured again", func(s daemon.SourceStatus) bool { return good(s) && s.Last.Started.After(last.Started) })
	m.must(t, "cp -a /root/good.yaml /etc/farshore/farshore.yaml && systemctl reload farshore")
	if s, err := status(t, m); err != nil || s.Config.Problem != "" {
		t.Errorf("the status still says %q, %v", s.Config.Problem, err)
	}
}

// stopped: SIGTERM in the middle of a pass ends the service in less than 30 seconds, with what is whole committed; the next start goes on.
func stopped(t *testing.T, m *machine) {
	m.must(t, `export AWS_SHARED_CREDENTIALS_FILE=/etc/farshore/credentials/aws
farshore source add late '`+bucket("late", "reader")+`' --limit-download `+rate+`
systemctl reload farshore`)
	meets(t, m, "late", "is under way", running)
	begin := time.Now()
	m.must(t, "systemctl stop farshore")
	if took := time.Since(begin); took > 30*time.Second {
		t.Errorf("the stop took %v", took)
	}
	if got := m.property(t, "farshore", "Result"); got != "success" {
		t.Errorf("it ended with %s", got)
	}
	part := snapshots(t, m, "late")
	if len(part) == 0 || part[len(part)-1].Complete { // restores, below, says what it has
		t.Errorf("nothing of the pass was committed: %+v", part)
	}
	m.must(t, "systemctl start farshore")
	meets(t, m, "late", "is captured", good)
	restores(t, m, "late")
}

// hung: a process that does nothing any more is ended by the watchdog, and started anew.
func hung(t *testing.T, m *machine) {
	dropIn := "/etc/systemd/system/farshore.service.d/91-watchdog.conf"
	m.write(t, dropIn, "644", "[Service]\nWatchdogSec=2s\nTimeoutAbortSec=1s\n")
	m.must(t, "systemctl daemon-reload && systemctl restart farshore")
	before := m.number(t, "farshore", "NRestarts")
	time.Sleep(5 * time.Second) // more than twice the watchdog's time: who works is left alone
	if got := m.number(t, "farshore", "NRestarts"); got != before {
		t.Fatalf("a service that works was restarted %d times", got-before)
	}
	pid := m.property(t, "farshore", "MainPID")
	m.must(t, "kill -STOP "+pid)
	m.wait(t, "the service is started anew", time.Minute, func() (bool, string) {
		return m.number(t, "farshore", "NRestarts") > before && m.property(t, "farshore", "ActiveState") == "active", m.property(t, "farshore", "ActiveState")
	})
	if got := m.property(t, "farshore", "MainPID"); got == pid {
		t.Errorf("it is still process %s", pid)
	}
	if got := m.must(t, "journalctl -u farshore --no-pager | grep -ci watchdog"); got == "0" {
		t.Error("the journal says nothing of the watchdog")
	}
	m.must(t, "rm "+dropIn+" && systemctl daemon-reload && systemctl restart farshore")
}

// alerted: a service that can't start is told of by another unit, although its configuration is what is broken.
func alerted(t *testing.T, m *machine) {
	m.must(t, "rm -f /srv/cloud/told; cp -a /etc/farshore/farshore.yaml /root/good.yaml; sed -i 's,url: s3://shop,url: s4://shop,' /etc/farshore/farshore.yaml")
	m.refused(t, "systemctl restart farshore")
	if got := m.property(t, "farshore", "NRestarts"); got != "0" {
		t.Errorf("a broken configuration was tried %s times again", got)
	}
	m.wait(t, "somebody is told", time.Minute, func() (bool, string) {
		got, err := m.try(t, "cat /srv/cloud/told")
		return err == nil && strings.Contains(got, "farshore.service"), got
	})
	m.must(t, "cp -a /root/good.yaml /etc/farshore/farshore.yaml; systemctl reset-failed; systemctl restart farshore")
	if got := filepath.Base(m.property(t, "farshore", "ActiveState")); got != "active" {
		t.Errorf("afterwards it is %s", got)
	}
}
