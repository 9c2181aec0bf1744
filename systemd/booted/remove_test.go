package booted

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// verified: the verifier is another user with keys of its own, whom the owner named. Its service reads the vault and signs what it found.
func verified(t *testing.T, m *machine) {
	text := m.must(t, "install -d -m 700 /etc/farshore-verify/keys && farshore vault agent key /etc/farshore-verify/keys/auditor.key --json")
	var made struct{ Result struct{ Key string } }
	if err := json.Unmarshal([]byte(text), &made); err != nil {
		t.Fatal(err)
	}
	m.must(t, `cd /root
export AWS_SHARED_CREDENTIALS_FILE=/root/writer
farshore vault agent add --role auditor --key `+made.Result.Key+` `+reader+` --out draft
farshore vault sign --yes --owner /root/kit/owner.key draft --out signed `+reader+`
mkdir signed.d && mv signed signed.d/
farshore vault place signed.d/* `+reader)
	m.must(t, `cd /etc/farshore-verify
grep -E '^(vault|owner|recipients|  - age)' /etc/farshore/farshore.yaml >farshore.yaml
printf 'require: none\nverify:\n  share: 10%%\n' >>farshore.yaml
install -d -m 700 credentials`)
	m.write(t, "/etc/farshore-verify/credentials/aws", "600", profile("writer"))
	m.must(t, "farshore install --verifier")
	if got := m.must(t, "systemctl is-active farshore-verify.timer; systemctl is-enabled farshore-verify.timer"); got != "active\nenabled" {
		t.Errorf("the timer: %s", got)
	}
	m.must(t, "systemctl start --no-block farshore-verify.service")
	m.wait(t, "an audit of its own", passDeadline, func() (bool, string) {
		active := m.property(t, "farshore-verify.service", "ActiveState")
		return active == "failed" || active == "inactive" && m.property(t, "farshore-verify.service", "ExecMainExitTimestamp") != "", active
	})
	if got := m.property(t, "farshore-verify.service", "Result"); got != "success" {
		t.Errorf("the audit ended with %s: %s", got, m.must(t, "journalctl --no-pager -n 30 -u farshore-verify.service"))
	}
	if got := m.must(t, "AWS_SHARED_CREDENTIALS_FILE=/root/writer farshore report "+reader); !strings.Contains(got, "auditor") {
		t.Errorf("no report of the auditor's: %s", got)
	}
	for _, user := range []string{"farshore", "nobody"} {
		m.refused(t, "runuser -u "+user+" -- cat /etc/farshore-verify/keys/auditor.key")
		m.refused(t, "runuser -u "+user+" -- cat /etc/farshore-verify/credentials/aws")
	}
}

// uninstalled: nothing runs and nothing of install's is left; state, keys and configuration are, until somebody wants them gone.
func uninstalled(t *testing.T, m *machine) {
	m.must(t, "rm -f /etc/systemd/system/farshore.service.d/90-test.conf")
	m.must(t, "farshore uninstall --verifier")
	m.must(t, "farshore uninstall")
	for script, want := range map[string]string{
		"systemctl is-active farshore farshore-verify.timer || true":  "inactive\ninactive",
		"systemctl is-enabled farshore farshore-verify.timer || true": "disabled\ndisabled",
		"ls -d /etc/systemd/system/farshore* 2>/dev/null || true":     "",
		"pgrep -u farshore || pgrep -u farshore-verify || true":       "",
		"ls /run/credentials | grep farshore || true":                 "",
	} {
		if got := m.must(t, script); got != want {
			t.Errorf("%s: %q, not %q", script, got, want)
		}
	}
	m.must(t, "test -s /etc/farshore/keys/agent.key && test -s /etc/farshore/farshore.yaml && test -d /var/lib/farshore && test -s /etc/farshore-verify/keys/auditor.key")
	m.must(t, "farshore uninstall --state")
	m.must(t, "test ! -e /var/lib/farshore && test -s /etc/farshore/keys/agent.key")
	m.refused(t, "farshore uninstall --keys </dev/null") // asks for the word
	m.must(t, "test -s /etc/farshore/keys/agent.key")
	m.must(t, "farshore uninstall --verifier --keys --yes && test ! -e /etc/farshore-verify/keys/auditor.key && test -s /etc/farshore/keys/agent.key")
	// The vault does not care.
	restores(t, m, "shop")
}

// purged: the package goes, with the local state; keys stay.
func purged(t *testing.T, m *machine) {
	m.must(t, "farshore install") // the service runs when the package is removed under it
	m.wait(t, "the service runs again", time.Minute, func() (bool, string) {
		got := m.property(t, "farshore", "ActiveState")
		return got == "active", got
	})
	m.must(t, "dpkg -r farshore")
	for script, want := range map[string]string{
		"pgrep -u farshore || true":                                              "",
		"ls /usr/bin/farshore 2>/dev/null || true":                               "",
		"systemctl is-active farshore || true":                                   "inactive",
		"find /usr /etc/systemd -name '*farshore*' -type f":                      "",
		"test -d /var/lib/farshore && echo kept":                                 "kept",
		"test -s /etc/farshore/keys/agent.key && echo kept":                      "kept",
		"find /etc/systemd -name 'farshore*.service' -o -name 'farshore*.timer'": "",
	} {
		if got := m.must(t, script); got != want {
			t.Errorf("%s: %q, not %q", script, got, want)
		}
	}
	if got := m.must(t, "dpkg -P farshore 2>&1"); !strings.Contains(got, "/etc/farshore is kept") {
		t.Errorf("the purge says: %s", got)
	}
	m.must(t, "test ! -e /var/lib/farshore && test -s /etc/farshore/keys/agent.key")
	m.must(t, "dpkg -l farshore 2>/dev/null | grep -c ^ii || true")
}
