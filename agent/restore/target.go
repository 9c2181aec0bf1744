package restore

import (
	"context"
	"errors"
	"io"

	"farshore/agent/record"
)

// Item is one item on its way to a target.
type Item struct {
	// Path is the item's path: bytes as the source had them.
	Path string
	// Attrs are the item's attributes (docs/format.md, section 5.1.1). They must not be changed.
	Attrs record.Attrs
	// Size is the number of the content's bytes.
	Size int64
	// SHA256 is the content's hash.
	SHA256 record.Hash
	// Below says that another item of the same run has a path that this one's path begins with, a slash following: where "a" is a file, "a/b" has
	// no place. It follows from the snapshot alone, and is the same in every run over the same paths.
	Below bool
}

// State is how what a target has compares with an item.
type State int

// States. Absent: the target has nothing under the name. Equal: it has the same content and, where it keeps attributes, the same
// attributes. Differs: it has something else.
const (
	Absent State = iota
	Equal
	Differs
)

// Found is what a target has under an item's name.
type Found struct {
	State State
	// As is the name at the target where the item can't have its own, else empty.
	As string
	// Why says why the name is another one, or what differs.
	Why string
}

// Written says how an item was written.
type Written struct {
	// As and Why are as in Found.
	As, Why string
	// NotPutBack names what of the item the target did not take, each in a word or two: "object lock".
	NotPutBack []string
}

// Body writes an item's content to w. Only when it returns nil has the content the size and the SHA-256 that the item states. It may be called
// again, from the start, but not concurrently.
type Body func(w io.Writer) error

// Target is where items are restored to. Its methods may be called concurrently, for different items.
//
// An error that is about the item alone (the target can't hold it) is an *ItemError; any other error stops the run.
type Target interface {
	// Look compares what the target has with the item. It changes nothing.
	Look(ctx context.Context, it *Item) (Found, error)
	// Write stores the item. Nothing becomes visible under its name unless the body returned nil; then all of it does at once. Without
	// overwrite it replaces nothing: ErrExists says that something is there. An error of the body is returned, wrapped or not.
	Write(ctx context.Context, it *Item, overwrite bool, body Body) (Written, error)
	// Flush makes durable what was written. Run calls it once, at the end.
	Flush(ctx context.Context) error
}

// ErrExists says that something is under the name by now.
var ErrExists = errors.New("something is under the name already")

// ItemError says that a target can't hold one item. It does not stop a run.
type ItemError struct{ Err error }

// Error says why.
func (e *ItemError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *ItemError) Unwrap() error { return e.Err }
