package wire

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"farshore/agent/record"
	"farshore/agent/source"
)

// ErrMoved says that an object which was asked for is no longer there, because the refs changed since they were read: read them again.
var ErrMoved = errors.New("the refs changed while they were read")

// maxSaid bounds what an error repeats of a server's words, in bytes.
const maxSaid = 500

// clean makes a server's words fit for one line of an error: valid text without control characters, of bounded length, what is cut off marked.
func clean(said string) string {
	if len(said) > 4*maxSaid {
		said = said[:4*maxSaid]
	}
	said = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			return ' '
		case r < ' ' || 0x7f <= r && r < 0xa0 || 0x202a <= r && r <= 0x202e || 0x2066 <= r && r <= 0x2069: // also what changes the direction of writing
			return -1
		}
		return r
	}, strings.ToValidUTF8(said, "?"))
	said = strings.Join(strings.Fields(said), " ")
	if len(said) > maxSaid {
		said = strings.ToValidUTF8(said[:maxSaid], "") + "…"
	}
	return said
}

// serverError makes an error of what a server says is wrong. It was reached and speaks git, so what it says concerns this one repository.
func serverError(said string) error {
	said = clean(said)
	switch low := strings.ToLower(said); {
	case strings.Contains(low, "not our ref"), strings.Contains(low, "want ") && strings.Contains(low, "not valid"):
		return fmt.Errorf("%w: the server says %q", ErrMoved, said)
	case saysGone(low):
		return fmt.Errorf("%w: the server says %q", source.ErrGone, said)
	case saysDenied(low):
		return &source.Unreadable{Reason: record.ReasonDenied, Detail: fmt.Sprintf("the server says %q: the credential must be able to read the repository's contents", said)}
	case saysBroken(low):
		return &source.Unreadable{Reason: record.ReasonBroken, Detail: fmt.Sprintf("the server says %q: run git fsck on the repository there", said)}
	}
	return &source.Unreadable{Reason: record.ReasonOther, Detail: fmt.Sprintf("the server says %q", said)}
}

// The words of git, of its daemon and of the common forges, in lower case.
func saysGone(low string) bool {
	return containsAny(low, "repository not found", "does not appear to be a git repository", "repository not exported", "no such repository",
		"could not be found", "cannot find repository", "repository does not exist", "not a git repository")
}

func saysDenied(low string) bool {
	return containsAny(low, "permission denied", "access denied", "unauthorized", "not authorized", "forbidden", "authentication failed")
}

func saysBroken(low string) bool {
	return containsAny(low, "corrupt", "bad object", "unable to read", "missing blob", "missing tree", "missing commit", "loose object", "could not read", "died with error",
		"failed to read object", "unable to parse", "bad tree object")
}

func containsAny(s string, words ...string) bool {
	for _, w := range words {
		if strings.Contains(s, w) {
			return true
		}
	}
	return false
}

func unsupported(detail string) error {
	return &source.Unreadable{Reason: record.ReasonUnsupported, Detail: detail}
}

func tooLarge(detail string) error {
	return &source.Unreadable{Reason: record.ReasonTooLarge, Detail: detail}
}

func denied(detail string) error {
	return &source.Unreadable{Reason: record.ReasonDenied, Detail: detail}
}

// passing is a failure that may be gone when the same is tried again.
type passing struct {
	err   error
	after time.Duration // when the server wants to be asked again; 0: it did not say
}

// Error says what failed.
func (p *passing) Error() string { return p.err.Error() }

// Unwrap returns the cause.
func (p *passing) Unwrap() error { return p.err }
