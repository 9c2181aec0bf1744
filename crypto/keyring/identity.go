package keyring

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"filippo.io/age"

	"farshore/crypto/seal"
	"farshore/crypto/sign"
)

// Titles of identity files, which keep one from being used as the other.
const (
	recoveryTitle = "recovery key"
	metadataTitle = "metadata key"
)

// Recovery is what a recovery key's file says.
type Recovery struct {
	// Identities are the identities in the file, at least one.
	Identities []age.Identity
	// VaultID is the id of the vault that it is for; empty where the file doesn't say, as in one that age-keygen wrote.
	VaultID string
	// Owner is the public key of the vault's owner, as sign.ParsePublic reads it; empty where the file doesn't say.
	Owner string
}

// WriteRecovery creates a recovery key's file: the age identity, with the vault's id and its owner's public key as comments. age -d -i reads it
// too. It fails with fs.ErrExist in its chain where the path exists.
func WriteRecovery(path, identity, vaultID, ownerPub string) error {
	recipient, err := recipientOf(identity)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := checkVault(vaultID, ownerPub); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return create(path, file(recoveryTitle, []comment{
		{"vault", vaultID},
		{"owner", ownerPub},
		{"recipient", recipient},
	}, identity))
}

// ReadRecovery reads a recovery key's file, or any file of age identities. A comment that farshore writes must be right where it is there.
func ReadRecovery(path string) (Recovery, error) {
	content, err := read(path)
	if err != nil {
		return Recovery{}, err
	}
	r, err := parseRecovery(content)
	if err != nil {
		return Recovery{}, at(path, err)
	}
	return r, nil
}

func parseRecovery(content []byte) (Recovery, error) {
	t := parseText(content)
	if t.title == metadataTitle {
		return Recovery{}, errors.New("this is an agent's metadata key, which opens no packs; the recovery key is wanted")
	}
	vault, err := t.only("vault")
	if err != nil {
		return Recovery{}, err
	}
	owner, err := t.only("owner")
	if err != nil {
		return Recovery{}, err
	}
	if vault.n > 0 && !isVaultID(vault.text) {
		return Recovery{}, lineError{vault.n, errors.New("the vault id in this comment is not 64 hexadecimal digits")}
	}
	if owner.n > 0 {
		if _, err := sign.ParsePublic(owner.text); err != nil {
			return Recovery{}, lineError{owner.n, fmt.Errorf("the owner in this comment: %w", err)}
		}
	}
	ids, err := t.identities()
	if err != nil {
		return Recovery{}, err
	}
	return Recovery{Identities: ids, VaultID: vault.text, Owner: owner.text}, nil
}

// WriteMetadata creates the file of an agent's metadata identity. It fails with fs.ErrExist in its chain where the path exists.
func WriteMetadata(path, identity string) error {
	recipient, err := recipientOf(identity)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return create(path, file(metadataTitle, []comment{{"recipient", recipient}}, identity))
}

// ReadMetadata reads what WriteMetadata wrote, or any file of age identities but a recovery key's: that must never lie on an agent's host.
func ReadMetadata(path string) ([]age.Identity, error) {
	content, err := read(path)
	if err != nil {
		return nil, err
	}
	ids, err := parseMetadata(content)
	if err != nil {
		return nil, at(path, err)
	}
	return ids, nil
}

func parseMetadata(content []byte) ([]age.Identity, error) {
	t := parseText(content)
	if t.title == recoveryTitle {
		return nil, errors.New("this is a recovery key, where an agent's metadata key belongs: take it off this host")
	}
	return t.identities()
}

// identities parses the secret lines, and holds a comment that names a recipient against them.
func (t text) identities() ([]age.Identity, error) {
	var ids []age.Identity
	var recipients []string
	for _, l := range t.secrets {
		if strings.HasPrefix(strings.ToUpper(l.text), "FARSHORE-") {
			return nil, lineError{l.n, errors.New("this is a signing key, where an age identity (AGE-SECRET-KEY-…) belongs")}
		}
		id, err := seal.ParseIdentity(l.text)
		if err != nil {
			return nil, lineError{l.n, err}
		}
		recipient, err := seal.RecipientOf(id)
		if err != nil {
			return nil, lineError{l.n, err}
		}
		ids, recipients = append(ids, id), append(recipients, recipient)
	}
	if len(ids) == 0 {
		return nil, errors.New("there is no identity (a line that begins with AGE-SECRET-KEY-) in it")
	}
	for _, c := range t.comments["recipient"] {
		if !slices.Contains(recipients, c.text) {
			return nil, lineError{c.n, errors.New("the comment names another recipient than that of the identity: two files were mixed up")}
		}
	}
	return ids, nil
}

// recipientOf returns the recipient of an identity as text.
func recipientOf(identity string) (string, error) {
	id, err := seal.ParseIdentity(identity)
	if err != nil {
		return "", err
	}
	return seal.RecipientOf(id)
}

// checkVault refuses comments that ReadRecovery would refuse. Both may be empty, for a key that is made before its vault.
func checkVault(vaultID, ownerPub string) error {
	if vaultID != "" && !isVaultID(vaultID) {
		return fmt.Errorf("vault id %.80q is not 64 hexadecimal digits", vaultID)
	}
	if ownerPub == "" {
		return nil
	}
	if _, err := sign.ParsePublic(ownerPub); err != nil {
		return fmt.Errorf("owner: %w", err)
	}
	return nil
}

// isVaultID reports whether s is a hash as the format writes it.
func isVaultID(s string) bool {
	return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == ""
}
