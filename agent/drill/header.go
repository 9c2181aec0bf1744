package drill

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"filippo.io/age"
)

// errHeader says that bytes do not begin with a whole, unchanged header of an age file.
var errHeader = errors.New("it has no whole header of a sealed file")

// identityError is a failure of the identity itself: a token that is not there, a plugin that is not installed. It says nothing about a pack.
type identityError struct{ err error }

func (e *identityError) Error() string { return "the recovery identity failed: " + e.err.Error() }
func (e *identityError) Unwrap() error { return e.err }

// endsBefore reports whether an object ended before all that was wanted.
func endsBefore(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }

// opener unwraps file keys and forgets them. It may be used concurrently.
type opener struct {
	own []age.Identity
	// foreign are plugins', which may ask for a touch: one at a time.
	mu      sync.Mutex
	foreign []age.Identity
}

func newOpener(ids []age.Identity) *opener {
	o := new(opener)
	for _, id := range ids {
		switch id.(type) {
		case *age.HybridIdentity, *age.X25519Identity:
			o.own = append(o.own, id)
		default:
			o.foreign = append(o.foreign, id)
		}
	}
	return o
}

// open has the identities unwrap the file key of the header that the bytes begin with, and checks the header's MAC with it. It returns the kinds of the
// header's recipients wherever there is a header. Errors: errHeader, *identityError, or that no identity opens it.
func (o *opener) open(first []byte) (kinds []string, err error) {
	header, err := age.ExtractHeader(bytes.NewReader(first))
	if err != nil {
		return nil, fmt.Errorf("%w: %v", errHeader, err)
	}
	w := &witness{opener: o}
	key, err := age.DecryptHeader(header, w)
	clear(key)
	var none *age.NoIdentityMatchError
	var broken *identityError
	switch {
	case err == nil:
		return w.kinds, nil
	case errors.As(err, &broken):
		return w.kinds, broken
	case errors.As(err, &none):
		return w.kinds, fmt.Errorf("the recovery identity does not open it: it is sealed to %s", describe(w.kinds))
	}
	return w.kinds, fmt.Errorf("%w: %v", errHeader, err)
}

// witness is all identities as one, and sees what recipients a header has.
type witness struct {
	*opener
	kinds []string
}

// Unwrap implements age.Identity.
func (w *witness) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	for _, s := range stanzas {
		w.kinds = append(w.kinds, s.Type)
	}
	for _, id := range w.own {
		if key, err := id.Unwrap(stanzas); !errors.Is(err, age.ErrIncorrectIdentity) {
			return key, err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range w.foreign {
		key, err := id.Unwrap(stanzas)
		switch {
		case err == nil:
			return key, nil
		case !errors.Is(err, age.ErrIncorrectIdentity):
			return nil, &identityError{err}
		}
	}
	return nil, age.ErrIncorrectIdentity
}

// Kinds of recipients in headers, as age names them.
const (
	stanzaHybrid = "mlkem768x25519"
	stanzaX25519 = "X25519"
)

// describe counts recipients by kind. A stranger may have written the names: they are quoted, cut, and at most so many.
func describe(kinds []string) string {
	const most = 4
	count := map[string]int{}
	var order []string
	for _, k := range kinds {
		if count[k]++; count[k] == 1 {
			order = append(order, k)
		}
	}
	slices.Sort(order)
	more := len(order) - most
	order = order[:min(most, len(order))]
	for i, k := range order {
		noun := "recipients"
		if count[k] == 1 {
			noun = "recipient"
		}
		order[i] = fmt.Sprintf("%d %s of kind %s", count[k], noun, kindName(k))
	}
	if more > 0 {
		order = append(order, fmt.Sprintf("%d more kinds", more))
	}
	return strings.Join(order, ", ")
}

func kindName(stanza string) string {
	switch stanza {
	case stanzaHybrid:
		return "hybrid"
	case stanzaX25519:
		return "x25519"
	}
	return fmt.Sprintf("%.40q", stanza)
}
