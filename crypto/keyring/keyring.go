// Package keyring reads and writes key files: the signing keys of owners, agents and auditors, the recovery key, and an agent's metadata key. A key file is text as
// age has it: comment lines that begin with "#" and say in the open what the file is, then one line with the secret. Files are
// created and never replaced, only for their owner to read, and refused when others may read them. No error repeats a secret.
package keyring

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"farshore/crypto/sign"
)

// Prefixes of the secret lines of signing keys.
const (
	ownerPrefix   = "FARSHORE-OWNER-KEY-"
	agentPrefix   = "FARSHORE-AGENT-KEY-"
	auditorPrefix = "FARSHORE-AUDITOR-KEY-"
)

// WriteAgentKey creates the key file of an agent. It fails with fs.ErrExist in its chain where the path exists.
func WriteAgentKey(path string, k sign.PrivateKey) error {
	return writeSigning(path, "agent", agentPrefix, k)
}

// ReadAgentKey reads what WriteAgentKey wrote.
func ReadAgentKey(path string) (sign.PrivateKey, error) {
	return readSigning(path, "agent", agentPrefix)
}

// WriteOwnerKey creates the key file of a vault's owner. It fails with fs.ErrExist in its chain where the path exists.
func WriteOwnerKey(path string, k sign.PrivateKey) error {
	return writeSigning(path, "owner", ownerPrefix, k)
}

// ReadOwnerKey reads what WriteOwnerKey wrote.
func ReadOwnerKey(path string) (sign.PrivateKey, error) {
	return readSigning(path, "owner", ownerPrefix)
}

// WriteAuditorKey creates the key file of an auditor. It fails with fs.ErrExist in its chain where the path exists.
func WriteAuditorKey(path string, k sign.PrivateKey) error {
	return writeSigning(path, "auditor", auditorPrefix, k)
}

// ReadSigner reads the signing key of an auditor, an agent or an owner: whoever may sign reports.
func ReadSigner(path string) (sign.PrivateKey, error) {
	content, err := read(path)
	if err != nil {
		return sign.PrivateKey{}, err
	}
	role, prefix := "auditor", auditorPrefix
	for _, s := range parseText(content).secrets {
		switch upper := strings.ToUpper(s.text); {
		case strings.HasPrefix(upper, agentPrefix+"1"):
			role, prefix = "agent", agentPrefix
		case strings.HasPrefix(upper, ownerPrefix+"1"):
			role, prefix = "owner", ownerPrefix
		}
	}
	k, err := parseSigning(content, role, prefix)
	if err != nil {
		return sign.PrivateKey{}, at(path, err)
	}
	return k, nil
}

func writeSigning(path, role, prefix string, k sign.PrivateKey) error {
	if k.IsZero() {
		return fmt.Errorf("writing %s: there is no %s key to write", path, role)
	}
	return create(path, file(role+" signing key", []comment{
		{"public key", k.Public().String()},
		{"key id", k.ID()},
	}, encodeSecret(prefix, k.Seed())))
}

func readSigning(path, role, prefix string) (sign.PrivateKey, error) {
	content, err := read(path)
	if err != nil {
		return sign.PrivateKey{}, err
	}
	k, err := parseSigning(content, role, prefix)
	if err != nil {
		return sign.PrivateKey{}, at(path, err)
	}
	return k, nil
}

// parseSigning reads a signing key's file.
func parseSigning(content []byte, role, prefix string) (sign.PrivateKey, error) {
	t := parseText(content)
	if len(t.secrets) != 1 {
		return sign.PrivateKey{}, fmt.Errorf("there are %d lines with a secret where one (%s1…) belongs", len(t.secrets), prefix)
	}
	line := t.secrets[0]
	if err := checkPrefix(line.text, role, prefix); err != nil {
		return sign.PrivateKey{}, lineError{line.n, err}
	}
	seed, err := decodeSecret(prefix, line.text)
	if err != nil {
		return sign.PrivateKey{}, lineError{line.n, err}
	}
	k, err := sign.FromSeed(seed)
	if err != nil {
		return sign.PrivateKey{}, lineError{line.n, err}
	}
	for _, c := range t.comments["public key"] {
		if c.text != k.Public().String() {
			return sign.PrivateKey{}, lineError{c.n, errors.New("the comment names another public key than that of the secret: two files were mixed up")}
		}
	}
	return k, nil
}

// checkPrefix says what a secret line is when it is none of the wanted kind.
func checkPrefix(text, role, prefix string) error {
	upper := strings.ToUpper(text)
	for _, known := range []struct{ prefix, what string }{
		{ownerPrefix + "1", "the owner's signing key"},
		{agentPrefix + "1", "an agent's signing key"},
		{auditorPrefix + "1", "an auditor's signing key"},
		{"AGE-SECRET-KEY-", "an age identity"},
		{"ED25519:", "a public key"},
	} {
		if strings.HasPrefix(upper, known.prefix) {
			if known.prefix == prefix+"1" {
				return nil
			}
			return fmt.Errorf("this is %s, where the %s's signing key (%s1…) belongs", known.what, role, prefix)
		}
	}
	return fmt.Errorf("this is not the %s's signing key: it does not begin with %s1", role, prefix)
}

// comment is one "# key: value" line.
type comment struct{ key, value string }

// file returns the text of a key file.
func file(title string, comments []comment, secret string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# farshore %s\n# created: %s\n", title, time.Now().UTC().Format(time.RFC3339))
	for _, c := range comments {
		if c.value != "" {
			fmt.Fprintf(&b, "# %s: %s\n", c.key, c.value)
		}
	}
	b.WriteString(secret + "\n")
	return []byte(b.String())
}

// line is a numbered line of a file.
type line struct {
	n    int
	text string
}

// text is a key file taken apart.
type text struct {
	// title is what the first "# farshore …" line says, as in "recovery key".
	title    string
	comments map[string][]line
	secrets  []line
}

// titlePrefix begins the comment that says what a file is.
const titlePrefix = "farshore "

// parseText takes a key file apart.
func parseText(content []byte) text {
	t := text{comments: map[string][]line{}}
	for i, raw := range strings.Split(string(content), "\n") {
		n, s := i+1, strings.TrimSpace(raw)
		if s == "" {
			continue
		}
		body, isComment := strings.CutPrefix(s, "#")
		if !isComment {
			t.secrets = append(t.secrets, line{n, s})
			continue
		}
		body = strings.TrimSpace(body)
		if title, ok := strings.CutPrefix(body, titlePrefix); ok && t.title == "" {
			t.title = title
		}
		if key, value, ok := strings.Cut(body, ":"); ok {
			t.comments[key] = append(t.comments[key], line{n, strings.TrimSpace(value)})
		}
	}
	return t
}

// only returns the value of a comment that may stand there several times, but with one value; empty where there is none.
func (t text) only(key string) (line, error) {
	all := t.comments[key]
	if len(all) == 0 {
		return line{}, nil
	}
	for _, c := range all[1:] {
		if c.text != all[0].text {
			return line{}, lineError{c.n, fmt.Errorf("the comment %q differs from that of line %d", key, all[0].n)}
		}
	}
	return all[0], nil
}

// lineError is an error at a line of a file.
type lineError struct {
	n   int
	err error
}

func (e lineError) Error() string { return fmt.Sprintf("line %d: %v", e.n, e.err) }
func (e lineError) Unwrap() error { return e.err }

// at adds a path to an error: "path:line: …" where there is a line.
func at(path string, err error) error {
	var l lineError
	if errors.As(err, &l) {
		return fmt.Errorf("%s:%d: %w", path, l.n, l.err)
	}
	return fmt.Errorf("%s: %w", path, err)
}
