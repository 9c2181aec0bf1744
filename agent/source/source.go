// Package source says what farshore protects: a Source lists the items of a bucket or of a set of repositories in order, and
// captures each as a record with its parts. The kinds live in packages below it. Nothing here writes to the source, and nothing here
// knows where the captured bytes go.
package source

import (
	"context"
	"errors"
	"io"

	"farshore/agent/record"
)

// Range is a run of paths, From included and To excluded; an empty To means to the end.
type Range struct {
	From, To string
	// Splits are paths inside the range at which its listing may be cut to run in parallel. They cost nothing when wrong.
	Splits []string
}

// Contains reports whether the path lies in the range.
func (r Range) Contains(path string) bool {
	return path >= r.From && (r.To == "" || path < r.To)
}

// Entry is what a listing tells about one item, before it is read.
type Entry struct {
	// Path is the item's path: bytes as the source has them, never normalised.
	Path string
	// Version distinguishes versions of one path where the source keeps them; empty for the current one.
	Version string
	// Kind is the record kind that a capture will have: record.KindObject, …
	Kind string
	// Size is the size in bytes that the listing gives; -1 when it gives none.
	Size int64
	// Attrs is what the listing gives, under the keys that a record uses (docs/format.md, section 5.1.1).
	Attrs record.Attrs
	// Before is set for Capture alone, where it is given no last record: what the item's last record was. It may rest on what is damaged: a source says what became of it
	// since, and builds nothing on it. Usually nil.
	Before *record.Record
}

// Source is one protected set of items. Its methods may be called concurrently.
type Source interface {
	// Place describes the source for its records: its name, kind, and address without secrets.
	Place() record.Place
	// Check reports whether the source can be listed and read now, as far as one or two requests tell.
	Check(ctx context.Context) error
	// List calls yield with the items of the range, in strictly ascending order of (path, version). It returns nil only when
	// the listing reached the end of the range without any error: whoever records deletions depends on it. An error of yield stops it
	// and is returned as it is.
	List(ctx context.Context, r Range, yield func(Entry) error) error
	// Unchanged reports whether the entry is what last was captured from, so that it need not be read again. last is never nil.
	Unchanged(e Entry, last *record.Record) bool
	// Capture reads the item as it is now and returns its record, complete but for what the sink knows. last is the item's previous record
	// or nil. Failures: ErrGone when the item is no longer there; *Unreadable when it is there and can't be read; any other error means
	// that the source as a whole can't be read now, after retries.
	Capture(ctx context.Context, e Entry, last *record.Record, sink Sink) (*record.Record, error)
}

// Sink takes the bytes of an item's parts. It is handed to one Capture and must not be used after that returned. Not safe for
// concurrent use.
type Sink interface {
	// Part stores all of body as one part and returns p with Size, SHA256 and place filled in. An error of body is returned as it is,
	// and what was read is forgotten. size is a hint of the length, -1 when unknown.
	Part(ctx context.Context, p record.Part, size int64, body io.Reader) (record.Part, error)
	// Lines stores data, which is empty or ends with a line feed, where the agent itself can read it again: in the record when it is at most
	// record.MaxInline bytes, else in pages of lines. It returns p with Size, SHA256 and place filled in.
	Lines(ctx context.Context, p record.Part, data []byte) (record.Part, error)
	// Read returns the bytes of a part that Lines stored, in this pass or in an earlier one.
	Read(ctx context.Context, p *record.Part) ([]byte, error)
}

// Lasting is a source whose listing is no proof that an item is gone: a repository that is not listed was perhaps renamed, made private, or left out by a
// listing that was cut short.
type Lasting interface {
	// Vanished says how an item is recorded whose last record is given, and which a complete listing does not have: as unreadable, with its last good
	// record kept. nil keeps the record as it is. It is never recorded as deleted.
	Vanished(last *record.Record) *Unreadable
}

// Governed is a source that has settings of its own by which it may lose what it holds, or show it to everybody.
type Governed interface {
	// Settings returns what the settings are now, as lines without line feeds whose meaning is the source's own, and of what can't be read now what before has, which is
	// what an earlier call returned, or nil. Nothing of it is secret. It fails only with the context.
	Settings(ctx context.Context, before [][]byte) ([][]byte, error)
	// Worse says what changed from before to now such that the source loses or shows more than it did, and what else people should know: one text each, without
	// names. Either may be nil: nothing is known.
	Worse(before, now [][]byte) (alarms, notices []string)
}

// Looker is a source that can be asked what an item is now, to compare it with what the vault has.
type Looker interface {
	// Look returns the attributes that a listing gives for the item of that path and kind now. ErrGone: it is not there.
	Look(ctx context.Context, path, kind string) (record.Attrs, error)
}

// Gap is a listing's error that says: every path that was yielded was yielded with all its items, and Err is about what was not listed. After any other error of a
// listing, its last path may have had more items.
type Gap struct{ Err error }

// Error says what was not listed.
func (g *Gap) Error() string { return g.Err.Error() }

// Unwrap returns the cause.
func (g *Gap) Unwrap() error { return g.Err }

// ErrGone says that an item was listed and is no longer there. It is neither changed nor deleted: the next listing decides.
var ErrGone = errors.New("the item is no longer there")

// Unreadable says that an item is there and can't be read: a bad sector of the source, to be recorded as such.
type Unreadable struct {
	// Reason is one of the reasons of docs/format.md, section 5.1.2.
	Reason string
	// Detail is what the source said.
	Detail string
	// Attrs is what is known of the item.
	Attrs record.Attrs
}

// Error says reason and detail.
func (u *Unreadable) Error() string { return "unreadable (" + u.Reason + "): " + u.Detail }
