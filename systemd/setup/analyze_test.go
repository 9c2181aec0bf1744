package setup

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"farshore/providers/servers"
	"farshore/systemd"
)

// TestAnalyzed has systemd read the units as they are installed, with everything laid over them, and say nothing; and holds them to their exposure.
func TestAnalyzed(t *testing.T) {
	program, err := exec.LookPath("systemd-analyze")
	if err != nil {
		servers.Missing(t, "systemd-analyze", "apt-get install systemd")
	}
	for _, role := range []systemd.Role{systemd.Agent, systemd.Verifier} {
		m, o := testMachine(t)
		o.Role = role
		for _, name := range []string{"aws", "gcp.json", "rclone.conf", "aws-config", "ops.url", "agent.key.cred"} {
			m.write(t, "/etc/"+string(role)+"/credentials/"+name, "secret")
		}
		o.Asked = &Paths{Read: []string{"/home/git/a b", "/srv/100%"}, Write: []string{"/srv/vault", "/home/v"}, Groups: []string{"root"}}
		o.Derived = &Paths{Write: []string{"/srv/other"}}
		install(t, m, o, false)
		dir := m.path(unitDir)
		for _, unit := range role.Units() {
			m.write(t, unitDir+"/"+unit, strings.ReplaceAll(m.read(t, unitDir+"/"+unit), localBinary, program))
		}
		analyze := func(args ...string) {
			t.Helper()
			cmd := exec.CommandContext(t.Context(), program, args...)
			cmd.Env = append(os.Environ(), "SYSTEMD_UNIT_PATH="+dir+":/usr/lib/systemd/system:/lib/systemd/system", "LC_ALL=C")
			cmd.Dir = dir
			out, err := cmd.CombinedOutput()
			if err != nil || args[0] == "verify" && len(out) > 0 {
				t.Errorf("%v: %v: %s", args, err, out)
			}
		}
		for _, unit := range role.Units() {
			analyze("verify", "--man=no", strings.Replace(unit, "@", "@x.service", 1))
			if strings.HasSuffix(unit, ".service") {
				analyze("security", "--offline=true", "--threshold=15", "./"+unit)
			}
		}
	}
}
