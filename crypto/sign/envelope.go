package sign

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Kinds of signed objects.
const (
	KindStatement = "statement"
	KindCommit    = "commit"
	KindReport    = "report"
)

// NoVault stands for the vault's id in the signature of the first statement, whose hash is that id.
const NoVault = "-"

// MaxSize is the number of bytes that a signed object has at most.
const MaxSize = 64 << 20

const (
	magic        = "farshore"
	version      = "1"
	signedPrefix = "farshore signature 1\n"
	keyIDLen     = 32
	hashLen      = 64
)

var (
	// ErrMalformed says that the bytes are not a signed object of the wanted kind.
	ErrMalformed = errors.New("not a well-formed signed object")
	// ErrVersion says that the object is of a version that this program doesn't know.
	ErrVersion = errors.New("signed object of an unknown version")
	// ErrSignature says that the signature is not that of the key, over these bytes, in this vault.
	ErrSignature = errors.New("signature does not hold")
)

// Envelope returns the stored bytes of a signed object: first line, JSON, signature. json must be one JSON object without line breaks; vaultID is the
// vault's id, or NoVault in the first statement.
func Envelope(kind, vaultID string, json []byte, k PrivateKey) ([]byte, error) {
	if err := checkPlace(kind, vaultID); err != nil {
		return nil, err
	}
	if k.IsZero() {
		return nil, fmt.Errorf("signing a %s: no private key", kind)
	}
	if err := checkJSON(json); err != nil {
		return nil, fmt.Errorf("signing a %s: %w", kind, err)
	}
	body := make([]byte, 0, len(json)+256)
	body = append(body, magic+" "+kind+" "+version+"\n"...)
	body = append(body, json...)
	body = append(body, '\n')
	sig := ed25519.Sign(k.key, message(kind, vaultID, body))
	stored := append(body, "signature "+Algorithm+" "+k.ID()+" "+encoding().EncodeToString(sig)+"\n"...)
	if len(stored) > MaxSize {
		return nil, fmt.Errorf("signing a %s: %d bytes are more than the %d that an object may have", kind, len(stored), MaxSize)
	}
	return stored, nil
}

// checkJSON accepts one JSON object on one line.
func checkJSON(text []byte) error {
	switch {
	case !isOneObject(text):
		return errors.New("the JSON is not one object on one line")
	case !utf8.Valid(text):
		return errors.New("the JSON is not valid UTF-8")
	case !json.Valid(text):
		return errors.New("the JSON is not valid")
	}
	return nil
}

// isOneObject reports whether a line has the outside of a JSON object: it looks at no more before the signature is verified.
func isOneObject(line []byte) bool {
	return len(line) >= 2 && line[0] == '{' && line[len(line)-1] == '}' && bytes.IndexByte(line, '\n') < 0 && bytes.IndexByte(line, '\r') < 0
}

// checkPlace accepts a known kind with a vault id that fits.
func checkPlace(kind, vaultID string) error {
	if err := checkKind(kind); err != nil {
		return err
	}
	if isHex(vaultID, hashLen) || (vaultID == NoVault && kind == KindStatement) {
		return nil
	}
	return fmt.Errorf("a %s can't be signed or verified for the vault id %.80q: it must be %d hexadecimal digits", kind, vaultID, hashLen)
}

func checkKind(kind string) error {
	switch kind {
	case KindStatement, KindCommit, KindReport:
		return nil
	}
	return fmt.Errorf("%.40q is no kind of signed object", kind)
}

// isHex reports whether s is exactly n lower-case hexadecimal digits.
func isHex(s string, n int) bool {
	return len(s) == n && strings.Trim(s, "0123456789abcdef") == ""
}

// message returns what is signed.
func message(kind, vaultID string, body []byte) []byte {
	m := make([]byte, 0, len(signedPrefix)+len(kind)+len(vaultID)+2+len(body))
	m = append(m, signedPrefix...)
	m = append(m, kind...)
	m = append(m, '\n')
	m = append(m, vaultID...)
	m = append(m, '\n')
	return append(m, body...)
}

// Signed is a signed object that was taken apart and not yet verified.
type Signed struct {
	// Kind is the kind of its first line.
	Kind string
	// Body is the first two lines with their line feeds, as stored: what the signature covers. It shares memory with what Parse got.
	Body []byte
	// JSON is the second line without its line feed. It must not be parsed before Verify returned nil. It shares memory with Body.
	JSON []byte
	// KeyID names the key that the signature claims to be of.
	KeyID string
	// Signature is the signature itself.
	Signature [ed25519.SignatureSize]byte
}

// Parse takes the stored bytes of a signed object of the kind apart. It accepts exactly what Envelope can write and verifies nothing.
// Errors: ErrMalformed, ErrVersion.
func Parse(kind string, stored []byte) (Signed, error) {
	s := Signed{Kind: kind}
	if err := checkKind(kind); err != nil {
		return s, err
	}
	if len(stored) > MaxSize {
		return s, malformed(kind, fmt.Sprintf("%d bytes are more than the %d that it may have", len(stored), MaxSize))
	}
	first, rest, ok := bytes.Cut(stored, []byte{'\n'})
	if !ok {
		return s, malformed(kind, "its first line does not end")
	}
	if err := checkFirst(kind, first); err != nil {
		return s, err
	}
	line, last, ok := bytes.Cut(rest, []byte{'\n'})
	if !ok || !isOneObject(line) {
		return s, malformed(kind, "its second line is not one JSON object")
	}
	s.JSON = line[:len(line):len(line)]
	end := len(first) + 1 + len(line) + 1
	s.Body = stored[:end:end]
	if err := s.parseSignature(last); err != nil {
		return Signed{Kind: kind}, err
	}
	return s, nil
}

func malformed(kind, why string) error {
	return fmt.Errorf("%w of kind %s: %s", ErrMalformed, kind, why)
}

// checkFirst accepts the first line of an object of the kind in the known version.
func checkFirst(kind string, line []byte) error {
	v, ok := strings.CutPrefix(string(line[:min(len(line), 64)]), magic+" "+kind+" ")
	if !ok {
		return malformed(kind, fmt.Sprintf("its first line is %.64q", line))
	}
	if v == version {
		return nil
	}
	if v != "" && len(v) <= 9 && v[0] != '0' && strings.Trim(v, "0123456789") == "" {
		return fmt.Errorf("%w: this %s is of version %s and the newest known is %s; a newer farshore reads it", ErrVersion, kind, v, version)
	}
	return malformed(kind, fmt.Sprintf("its first line is %.64q", line))
}

// parseSignature reads the third line, which must be the last.
func (s *Signed) parseSignature(line []byte) error {
	sigLen := encoding().EncodedLen(ed25519.SignatureSize)
	prefix := "signature " + Algorithm + " "
	if len(line) != len(prefix)+keyIDLen+1+sigLen+1 || line[len(line)-1] != '\n' {
		return malformed(s.Kind, "its third line is not one signature and the end")
	}
	text := string(line[:len(line)-1])
	rest, ok := strings.CutPrefix(text, prefix)
	if !ok || !isHex(rest[:keyIDLen], keyIDLen) || rest[keyIDLen] != ' ' {
		return malformed(s.Kind, "its third line is not a signature")
	}
	sig, err := encoding().DecodeString(rest[keyIDLen+1:])
	if err != nil || len(sig) != ed25519.SignatureSize {
		return malformed(s.Kind, "its signature is not base64 of 64 bytes")
	}
	s.KeyID = rest[:keyIDLen]
	s.Signature = [ed25519.SignatureSize]byte(sig)
	return nil
}

// Verify returns nil when the object was signed with the key for the vault (NoVault for the first statement). Otherwise the error is
// ErrSignature, or says that the vault id is none.
func (s Signed) Verify(vaultID string, pub PublicKey) error {
	if err := checkPlace(s.Kind, vaultID); err != nil {
		return err
	}
	if s.KeyID != pub.ID() {
		return fmt.Errorf("%w: this %s names the key %s, not %s", ErrSignature, s.Kind, s.KeyID, pub.ID())
	}
	if !ed25519.Verify(pub[:], message(s.Kind, vaultID, s.Body), s.Signature[:]) {
		return fmt.Errorf("%w: this %s was changed, is not by the key %s, or belongs to another vault", ErrSignature, s.Kind, s.KeyID)
	}
	return nil
}
