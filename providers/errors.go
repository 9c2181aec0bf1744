package providers

import (
	"context"
	"errors"
	"fmt"
)

// Kind classifies a store's failure for code to act on.
type Kind int

const (
	// Other is any failure that is none of the rest. It is not retried.
	Other Kind = iota
	// NotFound means that the name does not exist.
	NotFound
	// Exists means that the name exists already and was left as it was.
	Exists
	// Denied means that the store understood who asks and refuses it.
	Denied
	// Unauthenticated means that the credential itself is missing, wrong or expired.
	Unauthenticated
	// Throttled means that the store asks to slow down. It is retried.
	Throttled
	// Temporary means a failure of the network or the store that a later attempt may not meet. It is retried.
	Temporary
	// Corrupt means that bytes were damaged on the way: a checksum did not match, or a body was cut short. It is retried.
	Corrupt
	// Full means that the store has no room left or a quota is used up.
	Full
	// Unsupported means that the store cannot do what was asked.
	Unsupported
)

var kindNames = [...]string{"failed", "not found", "exists already", "access denied", "credential not accepted", "slow down", "temporary failure", "damaged on the way", "no room left", "not supported"}

// String says the kind in words for people.
func (k Kind) String() string {
	if k < 0 || int(k) >= len(kindNames) {
		return "failed"
	}
	return kindNames[k]
}

// Error is a store's failure: what was tried, on what, and what kind of failure it was.
type Error struct {
	Kind Kind
	// Op is the operation: "create", "open", "read", "stat", "list".
	Op string
	// Name is the object or prefix that it was about.
	Name string
	// Err is what the store or its library said.
	Err error
}

// Error returns one line: operation, name, kind and cause.
func (e *Error) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("%s %s: %s", e.Op, e.Name, e.Kind)
	}
	return fmt.Sprintf("%s %s: %s: %v", e.Op, e.Name, e.Kind, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the kind of the first *Error in err's chain, and Other for every other error.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Other
}

// Retryable reports whether a later attempt at the same operation may succeed. A cancelled or expired context is not.
func Retryable(err error) bool {
	if errors.Is(err, context.Canceled) {
		return false
	}
	switch KindOf(err) {
	case Throttled, Temporary, Corrupt:
		return true
	}
	return false
}
