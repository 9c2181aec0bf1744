package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSecretFiles holds each way of naming a file with a secret to refuse one that others may read, and what is none, without a word of it.
func TestSecretFiles(t *testing.T) {
	dir := t.TempDir()
	secret := func(mode os.FileMode) func(string) {
		return func(path string) { write(t, path, "swordfish swordfish\n"); chmod(t, path, mode) }
	}
	files := []struct {
		name string
		make func(path string)
		ok   bool
	}{
		{"own", secret(0o600), true},
		{"own-read-only", secret(0o400), true},
		{"group", secret(0o640), false},
		{"group-writes", secret(0o620), false},
		{"world", secret(0o604), false},
		{"open", secret(0o666), false},
		{"directory", func(path string) {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, false},
		{"link", func(path string) { secret(0o600)(path + ".real"); link(t, path+".real", path) }, true},
		{"link-to-open", func(path string) { secret(0o644)(path + ".real"); link(t, path+".real", path) }, false},
		{"circle", func(path string) { link(t, path, path) }, false},
		{"none", func(string) {}, false},
	}
	getenv := func(name string) string {
		return map[string]string{credentialsDir: dir}[name]
	}
	c := &Config{Path: filepath.Join(dir, "farshore.yaml")}
	for _, f := range files {
		f.make(filepath.Join(dir, f.name))
		for _, s := range []Secret{Secret("file:" + f.name), Secret("file:" + filepath.Join(dir, f.name)), Secret("credential:" + f.name)} {
			reads := map[string]func() (string, error){
				"Reveal":        func() (string, error) { return c.Reveal(s, getenv) },
				"a password":    func() (string, error) { return c.Reveal(c.PasswordOf(&Source{Password: s}), getenv) },
				"a token":       func() (string, error) { return (&Config{Path: c.Path, Web: Web{Token: s}}).WebToken(getenv) },
				"a token's key": func() (string, error) { return keyError(c, s, getenv) },
			}
			if f.name != "none" {
				reads["a password file"] = func() (string, error) { return c.Reveal(c.PasswordOf(&Source{PasswordFile: f.name}), getenv) }
			}
			for what, read := range reads {
				got, err := read()
				if (err == nil) != f.ok || f.ok && got != "swordfish swordfish" || err != nil && (got != "" || strings.Contains(err.Error(), "swordfish")) {
					t.Errorf("%s as %s of %s: %q, %v", f.name, what, s, got, err)
				}
			}
		}
	}
}

// keyError reads a file as a certificate's key: what is no key is read, and then refused for that.
func keyError(c *Config, s Secret, getenv func(string) string) (string, error) {
	web := &Config{Path: c.Path, Web: Web{TLSCert: "own", TLSKey: s}}
	_, err := web.WebCertificate(getenv)
	if err != nil && strings.Contains(err.Error(), "tls: failed to find any PEM data") {
		return "swordfish swordfish", nil
	}
	if err == nil {
		err = fmt.Errorf("what is no certificate is taken for one")
	}
	return "", err
}

func link(t *testing.T, to, path string) {
	t.Helper()
	if err := os.Symlink(to, path); err != nil {
		t.Fatal(err)
	}
}

// TestCredentials holds what is said where systemd gave no credentials, and that a name can't lead out of their directory.
func TestCredentials(t *testing.T) {
	c := &Config{Path: "/x/farshore.yaml"}
	for _, dir := range []string{"", "relative"} {
		_, err := c.Reveal("credential:token", func(string) string { return dir })
		if !errors.Is(err, ErrNoCredential) || !strings.Contains(err.Error(), "LoadCredential=token:PATH") {
			t.Errorf("%q: %v", dir, err)
		}
	}
	for s, ok := range map[string]bool{
		"credential:token": true, "credential:a.b-c_d@e": true, "credential:": false, "credential:../token": false, "credential:/etc/shadow": false, "credential:.": false, "credential:..": false,
		"credential:a b": false, "credential:a/b": false, "credentials:token": false, "credential:-x": false,
	} {
		if err := checkSecret(s); (err == nil) != ok {
			t.Errorf("%s: %v", s, err)
		}
	}
}

// TestKeyPath takes a key from systemd's credentials where there is one of that name, whatever is wrong with it, and else from the directory of keys.
func TestKeyPath(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, AgentKey), "x")
	link(t, "/nonexistent", filepath.Join(dir, "dangling.key"))
	c := &Config{Keys: "/k"}
	for name, want := range map[string]string{AgentKey: filepath.Join(dir, AgentKey), MetadataKey: "/k/metadata.key", "dangling.key": filepath.Join(dir, "dangling.key")} {
		if got := c.KeyPath(name, func(string) string { return dir }); got != want {
			t.Errorf("%s is read from %s, not %s", name, got, want)
		}
		if got := c.KeyPath(name, func(string) string { return "" }); got != "/k/"+name {
			t.Errorf("without credentials %s is read from %s", name, got)
		}
	}
}
