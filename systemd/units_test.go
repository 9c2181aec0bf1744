package systemd_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"farshore/providers/servers"
	"farshore/systemd"
)

// maxExposure is what `systemd-analyze security` may say of a unit, in tenths.
const maxExposure = 15

// units are the names of all units of all roles.
func units() []string {
	return slices.Concat(systemd.Agent.Units(), systemd.Verifier.Units())
}

// TestUnitsNamed holds the list of units to the files that are here, both ways.
func TestUnitsNamed(t *testing.T) {
	var here []string
	for _, pattern := range []string{"*.service", "*.timer"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		here = append(here, found...)
	}
	named := units()
	slices.Sort(here)
	slices.Sort(named)
	if !slices.Equal(here, named) {
		t.Errorf("the files are %v, the roles have %v", here, named)
	}
}

// TestUnit holds what is made of a unit for another program.
func TestUnit(t *testing.T) {
	for _, name := range units() {
		packaged, err := systemd.Unit(name, systemd.PackagedBinary)
		if err != nil {
			t.Fatal(err)
		}
		local, err := systemd.Unit(name, "/usr/local/bin/farshore")
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(packaged, "=/usr/bin/farshore "); n == 0 && strings.HasSuffix(name, ".service") || n != strings.Count(local, "=/usr/local/bin/farshore ") {
			t.Errorf("%s: the program stands there %d times, and not as often in what is made of it", name, n)
		}
		if strings.Contains(local, "/usr/bin/farshore") || strings.Contains(local, "man:") {
			t.Errorf("%s names what only a package has:\n%s", name, local)
		}
	}
	for _, binary := range []string{"", "farshore", "/opt/a b", "/opt/%d", "/opt/../farshore", "/opt/x;y", `/opt/"x`, "/opt/x\ny"} {
		if _, err := systemd.Unit("farshore.service", binary); err == nil {
			t.Errorf("a unit for the program %q was made", binary)
		}
	}
	if _, err := systemd.Unit("other.service", systemd.PackagedBinary); err == nil {
		t.Error("a unit that is not there was found")
	}
}

// TestRoles holds each role's users and folders to be its own.
func TestRoles(t *testing.T) {
	for _, r := range []systemd.Role{systemd.Agent, systemd.Verifier} {
		for _, text := range []string{systemd.Sysusers(r), systemd.Tmpfiles(r)} {
			lines := 0
			for line := range strings.Lines(text) {
				if strings.HasPrefix(line, "#") {
					continue
				}
				lines++
				if strings.Contains(line, "farshore-verify") != (r == systemd.Verifier) {
					t.Errorf("%s: %s", r, line)
				}
			}
			if lines == 0 {
				t.Errorf("nothing for %s", r)
			}
		}
	}
}

// TestSettings holds what a unit must say. A test on a booted machine shows that it has effect.
func TestSettings(t *testing.T) {
	sandbox := []string{
		"NoNewPrivileges=yes", "CapabilityBoundingSet=", "ProtectSystem=strict", "ProtectHome=yes", "PrivateTmp=yes", "PrivateDevices=yes", "PrivateUsers=yes", "ProtectProc=invisible",
		"MemoryDenyWriteExecute=yes", "RestrictNamespaces=yes", "RestrictSUIDSGID=yes", "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX", "SystemCallFilter=@system-service",
		"SystemCallFilter=~@privileged @resources", "UMask=0077", "LimitCORE=0", "MemorySwapMax=0",
	}
	for unit, more := range map[string][]string{
		// A Go program that panics ends with 2, as one that has a bad configuration does: without crash it would stay down.
		"farshore.service": {
			"RestartPreventExitStatus=2", "Environment=GOTRACEBACK=crash", "Restart=on-failure", "Type=notify", "NotifyAccess=main", "WatchdogSec=60", "KillMode=mixed", "User=farshore",
			"OnFailure=farshore-alert@%n.service", "LoadCredential=agent.key:/etc/farshore/keys/agent.key", "LoadCredential=metadata.key:/etc/farshore/keys/metadata.key", "OOMPolicy=continue",
		},
		"farshore-verify.service":        {"Type=oneshot", "User=farshore-verify", "OnFailure=farshore-verify-alert@%n.service", "LoadCredential=auditor.key:/etc/farshore-verify/keys/auditor.key"},
		"farshore-alert@.service":        {"Type=oneshot", "User=farshore"},
		"farshore-verify-alert@.service": {"Type=oneshot", "User=farshore-verify"},
	} {
		text, err := systemd.Unit(unit, systemd.PackagedBinary)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range slices.Concat(sandbox, more) {
			if strings.Count(text, "\n"+want+"\n") != 1 {
				t.Errorf("%s does not say %s, once", unit, want)
			}
		}
	}
}

var overall = regexp.MustCompile(`Overall exposure level for \S+: (\d+)\.(\d)`)

// place writes all units, for a program that is there, to a folder.
func place(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "farshore")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range units() {
		text, err := systemd.Unit(name, program)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// analyze runs systemd-analyze over units in a folder, with nothing but the folder and the system's own units on their path.
func analyze(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	program, err := exec.LookPath("systemd-analyze")
	if err != nil {
		servers.Missing(t, "systemd-analyze", "apt-get install systemd")
	}
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "SYSTEMD_UNIT_PATH="+dir+":/usr/lib/systemd/system:/lib/systemd/system", "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestVerify has systemd read every unit and say nothing. Package setup does the same with all that can be laid over them.
func TestVerify(t *testing.T) {
	dir := place(t)
	for _, unit := range units() {
		unit = strings.Replace(unit, "@", "@x.service", 1)
		if out, err := analyze(t, dir, "verify", "--man=no", unit); err != nil || out != "" {
			t.Errorf("%s: %v: %s", unit, err, out)
		}
	}
}

// TestExposure holds every service to an exposure of at most 1.5.
func TestExposure(t *testing.T) {
	dir := place(t)
	for _, unit := range units() {
		if !strings.HasSuffix(unit, ".service") {
			continue
		}
		out, err := analyze(t, dir, "security", "--offline=true", fmt.Sprintf("--threshold=%d", maxExposure), "./"+unit)
		m := overall.FindStringSubmatch(out)
		if err != nil || m == nil {
			t.Fatalf("%s: %v: %s", unit, err, out)
		}
		whole, _ := strconv.Atoi(m[1])
		tenth, _ := strconv.Atoi(m[2])
		t.Logf("%s: %d.%d", unit, whole, tenth)
		if whole*10+tenth > maxExposure {
			t.Errorf("%s: exposure %d.%d", unit, whole, tenth)
		}
	}
}
