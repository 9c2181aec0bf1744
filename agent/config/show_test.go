package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestShow holds what is shown to mean the same, to have every key, and to be in force: nothing that holds is left out.
func TestShow(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(goodFiles, "*.yaml"))
	if err != nil || len(files) < 3 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		for _, path := range []string{file, "/etc/farshore/farshore.yaml", "farshore.yaml"} {
			c, err := Parse(path, readFile(t, file))
			if err != nil {
				t.Fatal(err)
			}
			shown := c.Show(os.Getenv)
			again, err := Parse(path, shown)
			if err != nil || !same(c, again) {
				t.Errorf("%s is shown as something else: %v\n%+v\n%+v\n%s", file, err, c, again, shown)
			}
			for _, key := range keys(new(parser).topFields(new(Config))) {
				if !strings.Contains("\n"+string(shown), "\n"+key+":") && !strings.Contains("\n"+string(shown), "\n# "+key+":") {
					t.Errorf("%s: %s is not shown:\n%s", file, key, shown)
				}
			}
			if values, err := c.Values(os.Getenv); err != nil || values["vault"] != c.Vault || values["parallel"] != c.Parallel {
				t.Errorf("%s: %v, %v", file, values, err)
			}
		}
	}
}

// TestShowExample holds every key of every section to be shown of a file that has them all.
func TestShowExample(t *testing.T) {
	c, err := Load(filepath.Join(goodFiles, "example.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	shown := string(c.Show(os.Getenv))
	for _, key := range everyKey(new(parser).topFields(new(Config))) {
		if !strings.Contains(shown, " "+key+": ") && !strings.Contains(shown, "\n"+key+":") && !strings.Contains(shown, " "+key+":\n") && !strings.HasPrefix(shown, key+":") {
			t.Errorf("%s is not shown:\n%s", key, shown)
		}
	}
}

// TestShowDefaults holds the defaults to be those that are documented.
func TestShowDefaults(t *testing.T) {
	c, err := Parse("/etc/farshore/farshore.yaml", readFile(t, filepath.Join(goodFiles, "minimal.yaml")))
	if err != nil {
		t.Fatal(err)
	}
	shown := string(c.Show(func(string) string { return "" }))
	for _, want := range []string{
		"keys: /etc/farshore/keys\n", "state: /var/lib/farshore\n", "require: none\n", "read_back: auto\n", "\nschedule: 1h\n", "# jitter: a twentieth of the schedule's period, at most 5m\n",
		"timezone: Local\n", "parallel: 4\n", "probe:\n  schedule: 23h\n", "verify:\n  every: 1d\n  schedule: 1d\n", "  deleted: 30%\n", "  policy: \"on\"\n", "# socket: /run/farshore/farshore.sock\n",
		"web:\n  listen: 127.0.0.1:9277\n", "sources: []\n", "commit:\n  every: 10m\n  bytes: 8GiB\n",
	} {
		if !strings.Contains(shown, want) && !strings.Contains(shown, strings.ReplaceAll(want, `"`, "")) {
			t.Errorf("%q is not shown:\n%s", want, shown)
		}
	}
}

// TestRedact holds that what looks like a secret is not shown, wherever it comes from.
func TestRedact(t *testing.T) {
	for _, address := range []string{
		"s3://swordfish@bucket/", "s3://me:swordfish@bucket/", "s3://b/?secret_access_key=swordfish", "s3://b/?endpoint=https://me:swordfish@storage.example.net",
		"git+ssh://git:swordfish@example.net/x", "git+https://swordfish@example.net/x", "rclone:sftp,pass=swordfish:x", "s3://b/AKIAABCDEFGHIJKLMNOP/swordfish", "s3://%zz/swordfish",
	} {
		c := &Config{Path: "f.yaml", Vault: address, Sources: []Source{{Name: "a", URL: address, Ping: "swordfish", Password: "swordfish"}}, Web: Web{Token: "swordfish", TLSKey: "swordfish"},
			Verify: Verify{Ping: "swordfish"}, Notify: []Channel{{Name: "a", URL: "swordfish", Secret: "swordfish", Password: "swordfish"}}}
		if shown := string(c.Show(os.Getenv)); strings.Contains(shown, "swordfish") || !strings.Contains(shown, redacted) {
			t.Errorf("%s is shown:\n%s", address, shown)
		}
	}
	for _, address := range []string{"git+ssh://git@example.net/x", "rclone:nas:vault", "s3://b/p?region=x&path_style=true", "file:///srv/vault"} {
		if got := redact(address); got != address {
			t.Errorf("%s is shown as %s", address, got)
		}
	}
}
