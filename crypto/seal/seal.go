// Package seal seals bytes to age recipients and opens them with age identities. It adds to age what the vault needs: one class of
// recipients in a file, errors that tell a wrong key from damage and from a failure of the store, and bounded reads. It holds no keys of
// its own, writes no files, and never prints a secret.
package seal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
)

// Classes of recipients. age refuses to mix them in one file, since the weaker one would decide.
const (
	// Hybrid is the class of age1pq1… recipients: ML-KEM-768 with X25519, safe against quantum computers.
	Hybrid = "hybrid"
	// X25519 is the class of age1… recipients.
	X25519 = "x25519"
)

// Class returns the class of a recipient, Hybrid or X25519, or an error that says why the text is neither.
func Class(recipient string) (string, error) {
	_, class, err := parseRecipient(recipient)
	return class, err
}

// parseRecipient parses one canonical recipient.
func parseRecipient(s string) (age.Recipient, string, error) {
	switch {
	case s == "":
		return nil, "", errors.New("empty recipient")
	case strings.HasPrefix(strings.ToUpper(s), "AGE-SECRET-KEY-"), strings.HasPrefix(strings.ToUpper(s), "AGE-PLUGIN-"):
		return nil, "", errors.New("this is an identity, a secret, where a recipient (age1pq1… or age1…) belongs")
	}
	// A Bech32 text is its kind, the last "1", and the data, which has no "1".
	kind := s
	if i := strings.LastIndexByte(s, '1'); i >= 0 {
		kind = s[:i]
	}
	switch kind {
	case "age1pq":
		r, err := age.ParseHybridRecipient(s)
		if err != nil {
			return nil, "", malformed(s)
		}
		return r, Hybrid, nil
	case "age":
		r, err := age.ParseX25519Recipient(s)
		if err != nil {
			return nil, "", malformed(s)
		}
		return r, X25519, nil
	}
	return nil, "", fmt.Errorf("recipient %q is of a kind that is not supported: use age1pq1… (post-quantum) or age1…", brief(s))
}

func malformed(s string) error {
	return fmt.Errorf("recipient %q is damaged: mistyped, cut short, or not a public key", brief(s))
}

// brief shortens a recipient, which may have 2,000 characters, for an error's text.
func brief(s string) string {
	const head = 24
	if len(s) <= head {
		return s
	}
	return s[:head] + "…"
}

// Sealer seals to a fixed set of recipients. It may be used concurrently.
type Sealer struct {
	recipients []age.Recipient
	names      []string
}

// NewSealer returns a Sealer for the recipients, which must be at least one, all different, and of one class.
func NewSealer(recipients []string) (*Sealer, error) {
	if len(recipients) == 0 {
		return nil, errors.New("no recipient to seal to: what is sealed to nobody can't be opened")
	}
	s := &Sealer{}
	first := ""
	seen := make(map[string]int, len(recipients))
	for i, text := range recipients {
		r, class, err := parseRecipient(text)
		if err != nil {
			return nil, fmt.Errorf("recipient %d of %d: %w", i+1, len(recipients), err)
		}
		if j, again := seen[text]; again {
			return nil, fmt.Errorf("recipients %d and %d are the same: %s", j+1, i+1, brief(text))
		}
		if first == "" {
			first = class
		}
		if class != first {
			return nil, fmt.Errorf("recipient 1 is %s and recipient %d is %s: all recipients of a vault must be of one class", first, i+1, class)
		}
		seen[text] = i
		s.recipients = append(s.recipients, r)
		s.names = append(s.names, text)
	}
	return s, nil
}

// Recipients returns a copy of the recipients, in the order in which they were given.
func (s *Sealer) Recipients() []string { return append([]string(nil), s.names...) }

// Writer writes the header of a sealed file to dst and returns a writer for its plaintext. Close writes the last bytes and
// must be called for the file to be whole; it doesn't close dst. An error of dst is in the chain of the error that is returned.
func (s *Sealer) Writer(dst io.Writer) (io.WriteCloser, error) {
	w, err := age.Encrypt(dst, s.recipients...)
	if err != nil {
		return nil, fmt.Errorf("sealing: %w", err)
	}
	return w, nil
}

// What a sealed file has more than its plaintext, for buffers: header of each recipient, MAC and nonce, tag of each 64 KiB.
const (
	headerRoom    = 2048
	recipientRoom = 1792
	tagShare      = 64 << 10 / 16
)

// SealBytes returns plain as a sealed file.
func SealBytes(s *Sealer, plain []byte) ([]byte, error) {
	var buf bytes.Buffer
	buf.Grow(len(plain) + len(plain)/tagShare + headerRoom + recipientRoom*len(s.recipients))
	w, err := s.Writer(&buf)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(plain); err != nil {
		return nil, fmt.Errorf("sealing: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("sealing: %w", err)
	}
	return buf.Bytes(), nil
}
