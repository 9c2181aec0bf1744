package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"farshore/crypto/keyring"
)

// Secret says where a secret is, never what it is: "env:NAME", a variable of the environment; "file:PATH", the first line of a file that nobody else may read; or
// "credential:NAME", which systemd gives to a service (LoadCredential=). A relative path is seen from the configuration's directory. "" is none.
type Secret string

// Places of secrets.
const (
	inEnvironment = "env"
	inFile        = "file"
	inCredential  = "credential"
)

// credentialsDir is the variable with the directory of the credentials that systemd gives to a service.
const credentialsDir = "CREDENTIALS_DIRECTORY"

// maxVariable bounds a secret in a variable of the environment, in bytes: what keyring reads of a file.
const maxVariable = 64 << 10

// Reveal reads a secret, anew each time. Its errors name the variable or the file, and nothing of what is in them.
func (c *Config) Reveal(s Secret, getenv func(string) string) (string, error) {
	path, err := c.secretPath(s, getenv)
	if err != nil {
		return "", err
	}
	if path != "" {
		return keyring.ReadPassword(path)
	}
	_, name, _ := strings.Cut(string(s), ":")
	v := strings.TrimSpace(getenv(name))
	switch {
	case v == "":
		return "", fmt.Errorf("the environment has no variable %s, or it is empty", name)
	case len(v) > maxVariable || strings.ContainsAny(v, "\r\n\x00"):
		return "", fmt.Errorf("the variable %s has more than one line, or is too long", name)
	}
	return v, nil
}

// secretPath is the path of the file that holds a secret, "" for one in the environment.
func (c *Config) secretPath(s Secret, getenv func(string) string) (string, error) {
	where, name, _ := strings.Cut(string(s), ":")
	switch where {
	case inFile:
		return below(filepath.Dir(c.Path), name, ""), nil
	case inCredential:
		return credentialPath(name, getenv)
	}
	return "", nil
}

// ErrNoCredential is what a credential's error is when this process was given none at all.
var ErrNoCredential = errors.New("this was not started by systemd with such a credential")

// credentialPath is the path of one of systemd's credentials, which need not be there.
func credentialPath(name string, getenv func(string) string) (string, error) {
	dir := getenv(credentialsDir)
	if !filepath.IsAbs(dir) {
		return "", fmt.Errorf("credential %s: %w: %s is not set (the unit needs LoadCredential=%s:PATH or LoadCredentialEncrypted=)", name, ErrNoCredential, credentialsDir, name)
	}
	return filepath.Join(dir, name), nil
}

// KeyPath is the path of one of the agent's keys, agent.key or metadata.key: systemd's credential of that name where there is one, else the file in Keys.
func (c *Config) KeyPath(name string, getenv func(string) string) string {
	if path, err := credentialPath(name, getenv); err == nil {
		// One that is there and can't be looked at is taken, too: its error is the one to tell.
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			return path
		}
	}
	return filepath.Join(c.Keys, name)
}

// PasswordOf says where the source's password is, whichever way the file says it; "" for none.
func (c *Config) PasswordOf(s *Source) Secret {
	if s.PasswordFile != "" {
		return Secret(inFile + ":" + s.PasswordFile)
	}
	return s.Password
}

var (
	variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,99}$`)
	// credentialName is a part of what systemd takes: a file's name that needs no quotes in a unit.
	credentialName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.@-]{0,99}$`)
)

// Patterns of secrets, for editors.
const (
	secretPattern = `^(env:[A-Za-z_][A-Za-z0-9_]{0,99}|file:.*[^ ].*|credential:[A-Za-z0-9_][A-Za-z0-9_.@-]{0,99})$`
	keyPattern    = `^(file:.*[^ ].*|credential:[A-Za-z0-9_][A-Za-z0-9_.@-]{0,99})$`
)

// checkSecret accepts where a secret is. It never repeats the text: it may be the secret itself.
func checkSecret(s string) error {
	where, name, _ := strings.Cut(s, ":")
	switch {
	case where == inEnvironment && variableName.MatchString(name), where == inCredential && credentialName.MatchString(name),
		where == inFile && strings.TrimSpace(name) != "" && !strings.ContainsRune(name, 0) && !strings.HasPrefix(name, "//"):
		return nil
	}
	return errors.New("a secret does not stand in this file: write env:NAME for a variable of the environment, file:PATH for a file that nobody else may read, with the secret in its first line, " +
		"or credential:NAME for one that systemd gives to the service")
}

// checkKeySecret accepts where a secret of several lines is: a file, however it comes to be there.
func checkKeySecret(s string) error {
	if err := checkSecret(s); err != nil || strings.HasPrefix(s, inEnvironment+":") {
		return errors.New("a key does not stand in this file or in the environment: write file:PATH for a file that nobody else may read, or credential:NAME for one that systemd gives to the service")
	}
	return nil
}

// secret is where a secret is. Unlike text it shows nothing of a value that it refuses.
func (p *parser) secret(what string, dst *Secret) value {
	return p.secretIn(what, dst, checkSecret).like(secretPattern)
}

func (p *parser) secretIn(what string, dst *Secret, check func(string) error) value {
	return value{func(n *yaml.Node) {
		if !p.is(n, yaml.ScalarNode, what, "text") {
			return
		}
		if err := check(n.Value); err != nil {
			p.at(n, "%s: %v", what, err)
			return
		}
		*dst = Secret(n.Value)
	}, shape{kind: kindText}}
}
