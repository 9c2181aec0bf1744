package seal

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
)

// maxIdentities is the number of bytes that ParseIdentities reads at most.
const maxIdentities = 64 << 10

// GenerateHybrid returns a new post-quantum identity (AGE-SECRET-KEY-PQ-1…) and its recipient (age1pq1…).
func GenerateHybrid() (identity, recipient string, err error) {
	id, err := age.GenerateHybridIdentity()
	if err != nil {
		return "", "", fmt.Errorf("generating an identity: %w", err)
	}
	return id.String(), id.Recipient().String(), nil
}

// GenerateX25519 returns a new identity (AGE-SECRET-KEY-1…) and its recipient (age1…), for tests and for vaults that must be read by an age
// older than 1.3.
func GenerateX25519() (identity, recipient string, err error) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return "", "", fmt.Errorf("generating an identity: %w", err)
	}
	return id.String(), id.Recipient().String(), nil
}

// ParseIdentities reads identities, one a line; empty lines and lines that begin with "#" are left out. Errors name the line and
// never repeat its text, which may be a secret.
func ParseIdentities(r io.Reader) ([]age.Identity, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxIdentities+1))
	if err != nil {
		return nil, fmt.Errorf("reading identities: %w", err)
	}
	if len(text) > maxIdentities {
		return nil, fmt.Errorf("more than %d bytes: this is not a file of identities", maxIdentities)
	}
	var ids []age.Identity
	for i, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		id, err := ParseIdentity(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		ids = append(ids, id)
	}
	if len(ids) == 0 {
		return nil, errors.New("there is no identity (a line that begins with AGE-SECRET-KEY-) in it")
	}
	return ids, nil
}

// ParseIdentity parses one identity. The error never repeats the text, which may be a secret.
func ParseIdentity(s string) (age.Identity, error) {
	switch {
	case strings.HasPrefix(s, "AGE-SECRET-KEY-PQ-1"):
		if id, err := age.ParseHybridIdentity(s); err == nil {
			return id, nil
		}
		return nil, errors.New("the identity is damaged: mistyped or cut short")
	case strings.HasPrefix(s, "AGE-SECRET-KEY-1"):
		if id, err := age.ParseX25519Identity(s); err == nil {
			return id, nil
		}
		return nil, errors.New("the identity is damaged: mistyped or cut short")
	case strings.HasPrefix(s, "AGE-PLUGIN-"):
		return nil, errors.New("identities of plugins are not supported")
	case strings.HasPrefix(s, "age1"):
		return nil, errors.New("this is a recipient, where an identity (AGE-SECRET-KEY-…) belongs")
	}
	return nil, errors.New("this is no identity: it does not begin with AGE-SECRET-KEY-")
}

// RecipientOf returns the recipient that an identity opens. Identities other than age's own two kinds don't tell.
func RecipientOf(id age.Identity) (string, error) {
	switch id := id.(type) {
	case *age.HybridIdentity:
		return id.Recipient().String(), nil
	case *age.X25519Identity:
		return id.Recipient().String(), nil
	}
	return "", fmt.Errorf("an identity of type %T doesn't tell its recipient", id)
}
