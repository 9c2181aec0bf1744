// Package sign has the Ed25519 keys of owners, agents and auditors, and the signed objects of docs/format.md, section 2: three lines of
// text whose last is a signature over the first two. It does not know what the JSON in them means, and writes no files.
package sign

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Algorithm is the name of the only signature algorithm of version 1.
const Algorithm = "ed25519"

const publicPrefix = Algorithm + ":"

// encoding is base64 as the format has it: standard alphabet, no padding, and only one way to write each value.
func encoding() *base64.Encoding { return base64.RawStdEncoding.Strict() }

// PublicKey is an Ed25519 public key. It can be compared with == and used as a map's key.
type PublicKey [ed25519.PublicKeySize]byte

// ParsePublic parses "ed25519:" and the base64 of 32 bytes, and accepts nothing but what String writes.
func ParsePublic(s string) (PublicKey, error) {
	var p PublicKey
	text, ok := strings.CutPrefix(s, publicPrefix)
	if !ok {
		return p, fmt.Errorf("public key does not begin with %q", publicPrefix)
	}
	if len(text) != encoding().EncodedLen(len(p)) {
		return p, fmt.Errorf("public key has %d characters after %q, not %d", len(text), publicPrefix, encoding().EncodedLen(len(p)))
	}
	b, err := encoding().DecodeString(text)
	if err != nil || len(b) != len(p) {
		return p, errors.New("public key is not base64 of 32 bytes: mistyped or cut short")
	}
	return PublicKey(b), nil
}

// String returns the key as ParsePublic reads it.
func (p PublicKey) String() string { return publicPrefix + encoding().EncodeToString(p[:]) }

// ID returns the key id: the first 32 hexadecimal digits of the SHA-256 of the key's 32 bytes.
func (p PublicKey) ID() string {
	sum := sha256.Sum256(p[:])
	return hex.EncodeToString(sum[:16])
}

// PrivateKey is an Ed25519 private key. The zero value is no key: it signs nothing. Formatting one never shows the secret.
type PrivateKey struct {
	key ed25519.PrivateKey
}

// Generate returns a new random key.
func Generate() (PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return PrivateKey{}, fmt.Errorf("generating a signing key: %w", err)
	}
	return PrivateKey{key: key}, nil
}

// FromSeed returns the key of a seed of 32 bytes (RFC 8032, section 5.1.5).
func FromSeed(seed []byte) (PrivateKey, error) {
	if len(seed) != ed25519.SeedSize {
		return PrivateKey{}, fmt.Errorf("signing key has %d bytes, not %d", len(seed), ed25519.SeedSize)
	}
	return PrivateKey{key: ed25519.NewKeyFromSeed(seed)}, nil
}

// Seed returns a copy of the secret of a key that is not zero.
func (k PrivateKey) Seed() []byte { return k.key.Seed() }

// IsZero reports whether k is no key.
func (k PrivateKey) IsZero() bool { return len(k.key) == 0 }

// Public returns the public key, which is zero for the zero value.
func (k PrivateKey) Public() PublicKey {
	if k.IsZero() {
		return PublicKey{}
	}
	return PublicKey(k.key.Public().(ed25519.PublicKey))
}

// ID returns the key id of the public key.
func (k PrivateKey) ID() string { return k.Public().ID() }

// Format writes the public key in place of the secret, whatever the verb.
func (k PrivateKey) Format(f fmt.State, _ rune) {
	if k.IsZero() {
		io.WriteString(f, "no private key")
		return
	}
	io.WriteString(f, "private key of "+k.Public().String())
}
