package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReveal holds where secrets come from, and that errors have nothing of one.
func TestReveal(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("good", "s3cret\n", 0o600)
	write("open", "s3cret\n", 0o644)
	write("lines", "s3cret\ns3cret\n", 0o600)
	write("empty", "", 0o600)
	c := &Config{Path: filepath.Join(dir, "farshore.yaml")}
	getenv := func(name string) string {
		return map[string]string{"GOOD": " s3cret\n", "LINES": "s3cret\ns3cret", "BLANK": " "}[name]
	}
	for s, ok := range map[Secret]bool{
		"file:good": true, Secret("file:" + filepath.Join(dir, "good")): true, "file:open": false, "file:lines": false, "file:empty": false, "file:none": false, "file:.": false,
		"env:GOOD": true, "env:LINES": false, "env:BLANK": false, "env:NONE": false,
	} {
		got, err := c.Reveal(s, getenv)
		if (err == nil) != ok || ok && got != "s3cret" || !ok && (got != "" || strings.Contains(err.Error(), "s3cret")) {
			t.Errorf("%s: %q, %v", s, got, err)
		}
	}
}

// TestSecretsUnseen holds that what is written in place of a reference to a secret is refused and not repeated, whatever it is.
func TestSecretsUnseen(t *testing.T) {
	for _, value := range []string{"https://hooks.example.net/T0KEN", "T0KEN", "'T0KEN'", "env:T0KEN/x", "file:", "file:///T0KEN", "[T0KEN]", "{a: T0KEN}", "!x T0KEN", "&T0KEN x", "env:", "T0KEN: x"} {
		data := "vault: file:///v\nverify:\n  ping: " + value + "\nnotify:\n  - {name: a, kind: webhook, url: " + value + "}\n"
		_, err := Parse("farshore.yaml", []byte(data))
		if err == nil || !strings.Contains(err.Error(), "farshore.yaml:3:") && !strings.Contains(err.Error(), "not YAML") {
			t.Errorf("%s: %v", value, err)
			continue
		}
		if strings.Contains(err.Error(), "T0KEN") {
			t.Errorf("%s is repeated in %v", value, err)
		}
	}
}
