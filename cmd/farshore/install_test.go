package main

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"farshore/systemd/setup"
)

// serviced runs install or uninstall below a root, and returns its result.
func serviced(t *testing.T, want int, args ...string) (*installResult, string) {
	t.Helper()
	e, stdout, stderr := testEnv(t)
	if code := run(append(args, "--json"), e); code != want {
		t.Fatalf("%v ended with %d: %s%s", args, code, stdout, stderr)
	}
	var out struct {
		Result *installResult
		Error  *struct{ Message, Hint string }
	}
	if err := json.Unmarshal(stdout.Bytes(), &out); err != nil {
		t.Fatal(err)
	}
	message := ""
	if out.Error != nil {
		message = out.Error.Message
	}
	return out.Result, message
}

// putFile writes a file below a root.
func putFile(t *testing.T, root, path, text string, mode fs.FileMode) {
	t.Helper()
	full := filepath.Join(root, path)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// TestInstallFlow goes from a bare machine to a configured one and back.
func TestInstallFlow(t *testing.T) {
	root := t.TempDir()
	r, _ := serviced(t, exitDone, "install", "--root", root, "--dry-run")
	if !r.DryRun || len(r.Steps) == 0 || r.Steps[0].State != setup.WouldDo || len(r.Next) != 0 {
		t.Errorf("a dry run: %+v", r)
	}
	if entries, err := os.ReadDir(root); err != nil || len(entries) != 0 {
		t.Errorf("a dry run left %v, %v", entries, err)
	}
	r, _ = serviced(t, exitDone, "install", "--root", root)
	if len(r.Next) != 4 || !strings.Contains(r.Next[0], "farshore init --vault URL --config /etc/farshore/farshore.yaml") {
		t.Errorf("without a configuration, next is %q", r.Next)
	}
	example, err := os.ReadFile("../../testdata/config/good/example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(`(?m)^(vault|state): .*$`).ReplaceAllStringFunc(string(example), func(line string) string {
		if strings.HasPrefix(line, "state") {
			return "state: /srv/state"
		}
		return "vault: file:///srv/vault"
	})
	putFile(t, root, "/etc/farshore/farshore.yaml", text, 0o600)
	putFile(t, root, "/etc/farshore/credentials/aws", "secret", 0o644)
	r, _ = serviced(t, exitDone, "install", "--root", root)
	if len(r.Next) == 0 || strings.Contains(r.Next[0], "init") || len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "/srv/state") {
		t.Errorf("with a configuration, next is %q, notes are %q", r.Next, r.Notes)
	}
	data, err := os.ReadFile(filepath.Join(root, "/etc/systemd/system/farshore.service.d/configuration.conf"))
	if err != nil || !strings.Contains(string(data), "ReadWritePaths=-/srv/vault\n") || strings.Contains(string(data), "=-/var/tmp\n") {
		t.Errorf("the vault's folder is not opened: %s, %v", data, err)
	}
	r, _ = serviced(t, exitDone, "install", "--root", root)
	for _, s := range r.Steps {
		if s.State != setup.Unchanged {
			t.Errorf("a second run: %+v", s)
		}
	}
	unit := filepath.Join(root, "/etc/systemd/system/farshore.service")
	if err := os.WriteFile(unit, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, message := serviced(t, exitIncomplete, "uninstall", "--root", root); !strings.Contains(message, "kept 2 things") { // and the program that it runs
		t.Errorf("%q", message)
	}
	if _, message := serviced(t, exitUsage, "uninstall", "--root", root, "--keys"); !strings.Contains(message, "--yes") {
		t.Errorf("keys went without a word: %q", message)
	}
	serviced(t, exitDone, "uninstall", "--root", root, "--force", "--keys", "--yes", "--state")
	for _, gone := range []string{unit, filepath.Join(root, "/etc/farshore"), filepath.Join(root, "/usr/local/bin/farshore")} {
		if _, err := os.Lstat(gone); err == nil {
			t.Errorf("%s is there", gone)
		}
	}
}

// TestInstallMistakes holds mistakes to exit code 2.
func TestInstallMistakes(t *testing.T) {
	root := t.TempDir()
	for _, tt := range []struct{ args, message string }{
		{"install --config /srv/farshore.yaml", "the service reads /etc/farshore/farshore.yaml"},
		{"install --verifier --config /etc/farshore/farshore.yaml", "the service reads /etc/farshore-verify/farshore.yaml"},
		{"install --read-path srv", "no absolute path"},
		{"install --read-path /nowhere", "/nowhere"},
		{"install --read-path /", "too much"},
		{"install --group nobody-has-this", "no group nobody-has-this"},
		{"install --group a;b", "no name of a group"},
		{"install now", "no arguments"},
		{"uninstall now", "no arguments"},
	} {
		if _, message := serviced(t, exitUsage, append(strings.Fields(tt.args), "--root", root)...); !strings.Contains(message, tt.message) {
			t.Errorf("%s: %q", tt.args, message)
		}
	}
	if entries, err := os.ReadDir(root); err != nil || len(entries) != 0 {
		t.Errorf("a mistake left %v, %v", entries, err)
	}
}

// TestInstallBroken holds a configuration that can't be used to be noted, and to keep nothing from being installed.
func TestInstallBroken(t *testing.T) {
	root := t.TempDir()
	putFile(t, root, "/etc/farshore/farshore.yaml", "frobnicate: 1\n", 0o600)
	r, _ := serviced(t, exitDone, "install", "--root", root, "--no-start")
	if len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "frobnicate") {
		t.Errorf("notes: %q", r.Notes)
	}
	e, stdout, _ := testEnv(t)
	if code := run([]string{"install", "--root", root}, e); code != exitDone || !strings.Contains(stdout.String(), "note: the configuration can't be used yet") {
		t.Errorf("%d: %s", code, stdout)
	}
}

// TestInstallNeedsRoot holds that nobody else changes the machine.
func TestInstallNeedsRoot(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may")
	}
	for _, command := range []string{"install", "uninstall"} {
		e, _, stderr := testEnv(t)
		if code := run([]string{command}, e); code != exitUsage || !strings.Contains(stderr.String(), "root") || !strings.Contains(stderr.String(), "sudo") {
			t.Errorf("%s: %d: %s", command, code, stderr)
		}
	}
}
