package booted

import (
	"strings"
	"testing"
)

// secrets: keys and credentials are read by root and, while it runs, by the service; by nobody else, and not even by the service's user elsewhere.
func secrets(t *testing.T, m *machine) {
	pid := m.property(t, "farshore", "MainPID")
	files := []string{"/etc/farshore/keys/agent.key", "/etc/farshore/keys/metadata.key", "/etc/farshore/credentials/aws", "/etc/farshore/credentials/ops-url"}
	for _, path := range files {
		for _, user := range []string{"nobody", "keeper", "farshore", "farshore-verify"} {
			m.refused(t, "runuser -u "+user+" -- cat "+path)
		}
	}
	for _, path := range []string{"/run/credentials/farshore.service/agent.key", "/run/credentials/farshore.service/aws", "/proc/" + pid + "/environ"} {
		for _, user := range []string{"nobody", "keeper", "farshore-verify"} {
			m.refused(t, "runuser -u "+user+" -- cat "+path)
		}
	}
	// The service itself has them, as it shows by working; and of no secret is there a copy in what everybody may ask.
	m.must(t, "test -s /run/credentials/farshore.service/agent.key && test -s /run/credentials/farshore.service/aws")
	secret := strings.SplitN(account, ":", 2)[1]
	for _, script := range []string{"systemctl show farshore", "cat /proc/" + pid + "/environ /proc/" + pid + "/cmdline", "journalctl --no-pager", "farshore status --json", "curl -sS http://127.0.0.1:9277/metrics", "curl -sS http://127.0.0.1:9277/"} {
		if got := m.must(t, script+" | tr '\\0' '\\n'"); got == "" || strings.Contains(got, secret) {
			t.Errorf("%s shows the secret, or nothing", script)
		}
	}
	m.refused(t, "runuser -u nobody -- farshore trigger code --config /etc/farshore/farshore.yaml")
	m.refused(t, "runuser -u nobody -- ls /var/lib/farshore")
}

// sandbox: what the unit says is in force in the running process.
func sandbox(t *testing.T, m *machine) {
	pid := m.property(t, "farshore", "MainPID")
	state := m.must(t, "cat /proc/"+pid+"/status")
	for _, want := range []string{"NoNewPrivs:\t1\n", "CapEff:\t0000000000000000\n", "CapPrm:\t0000000000000000\n", "CapBnd:\t0000000000000000\n", "CapAmb:\t0000000000000000\n", "Seccomp:\t2\n"} {
		if !strings.Contains(state, want) {
			t.Errorf("the process has no %q:\n%s", want, state)
		}
	}
	if strings.Contains(state, "Uid:\t0") {
		t.Error("it runs as root")
	}
	m.must(t, "install -d -m 755 /home/someone && echo private >/home/someone/file && echo private >/root/file")
	// Root itself, in the service's view of the file system.
	inside := "nsenter -t " + pid + " -m -- "
	for _, script := range []string{"touch /usr/there", "touch /etc/farshore/there", "touch /srv/git/there", "touch /there", "cat /home/someone/file", "cat /root/file", "cat /dev/kmsg"} {
		m.refused(t, inside+script)
	}
	for _, path := range []string{"/etc/farshore/farshore.yaml", "/etc/farshore/there", "/usr/bin/farshore", "/etc/systemd/system/there", "/var/lib/farshore-verify/there"} {
		m.refused(t, "runuser -u farshore -- sh -c 'echo >>"+path+"'")
	}
	m.must(t, inside+"sh -c 'touch /var/lib/farshore/there && rm /var/lib/farshore/there && cat /srv/git/app.git/HEAD'")
	if got := m.must(t, "grep -z ^TMPDIR= /proc/"+pid+"/environ | tr '\\0' '\\n'"); strings.TrimSpace(got) == "" {
		t.Error("nothing says where temporary files go")
	}
}

// page: the page, the numbers and the health are there, for this machine alone.
func page(t *testing.T, m *machine) {
	for path, want := range map[string]string{"/": "<title>", "/healthz": "ok", "/readyz": "ok", "/metrics": "farshore_"} {
		got := m.must(t, "curl -fsS -m 10 http://127.0.0.1:9277"+path)
		if !strings.Contains(got, want) {
			t.Errorf("%s has no %q: %.300s", path, want, got)
		}
	}
	m.refused(t, "curl -fsS -m 10 -H 'Host: evil.example.com' http://127.0.0.1:9277/")
	if got := m.must(t, "ss -Hltn 2>/dev/null || cat /proc/net/tcp"); strings.Contains(got, "0.0.0.0:9277") || strings.Contains(got, "00000000:243D") {
		t.Errorf("the page is there for others: %s", got)
	}
}
