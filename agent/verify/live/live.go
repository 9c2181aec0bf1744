// Package live asks a source whether an item is still there as it was captured, and whether it still has the same bytes. It stores nothing.
package live

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"farshore/agent/record"
	"farshore/agent/source"
	"farshore/agent/verify/repos"
)

// State is what a source says of an item.
type State int

// What a source can say.
const (
	// Unseen: it could not be asked, or can't tell.
	Unseen State = iota
	// Changed: it is gone, or says that it is another by now.
	Changed
	// Unchanged: it says that the item is what was captured. Its bytes were not read.
	Unchanged
	// Same: it was read, and has the bytes that the record states.
	Same
	// Differ: it says that the item is what was captured, and has other bytes.
	Differ
)

// ErrLarge says that the source has more bytes than may be read.
var ErrLarge = errors.New("reading it would take more bytes than may be read")

// errListed ends a listing that found what it was for.
var errListed = errors.New("found")

// Good is what was captured of an item: its record, or the last good one of an item that is unreadable, with its path, version and kind. Nil: nothing was.
func Good(rec *record.Record) *record.Record {
	good := rec
	if rec.State == record.Unreadable {
		good = rec.Last
	}
	if good == nil || good.State != record.Present {
		return nil
	}
	out := *good
	out.Path, out.Version, out.Kind, out.Last = rec.Path, rec.Version, rec.Kind, nil
	return &out
}

// Ask says whether an item is at its source as the record, one of Good's, has it: Changed, Unchanged or Unseen, and then why. It reads no contents.
func Ask(ctx context.Context, src source.Source, rec *record.Record) (State, error) {
	switch rec.Kind {
	case record.KindGit, record.KindSVN:
		return look(ctx, src, rec)
	case record.KindLFS, record.KindSidecar:
		return Unseen, errors.New("what lies beside a repository is not compared")
	}
	_, state, err := entry(ctx, src, rec)
	return state, err
}

// entry lists the item, and says whether it is Unchanged.
func entry(ctx context.Context, src source.Source, rec *record.Record) (*source.Entry, State, error) {
	e, err := find(ctx, src, rec)
	switch {
	case errors.Is(err, source.ErrGone):
		return nil, Changed, nil
	case err != nil:
		return nil, Unseen, err
	case !src.Unchanged(*e, rec):
		return nil, Changed, nil
	}
	return e, Unchanged, nil
}

// look asks a source of repositories.
func look(ctx context.Context, src source.Source, rec *record.Record) (State, error) {
	l, ok := src.(source.Looker)
	if !ok {
		return Unseen, errors.New("the source can't be asked for one repository")
	}
	now, err := l.Look(ctx, rec.Path, rec.Kind)
	switch {
	case errors.Is(err, source.ErrGone):
		return Changed, nil
	case err != nil:
		return Unseen, err
	case repos.Current(rec, now):
		return Unchanged, nil
	}
	return Changed, nil
}

// find lists the item; source.ErrGone says that it is not there.
func find(ctx context.Context, src source.Source, rec *record.Record) (*source.Entry, error) {
	var found *source.Entry
	err := src.List(ctx, source.Range{From: rec.Path, To: rec.Path + "\x00"}, func(e source.Entry) error {
		if e.Path != rec.Path || e.Version != rec.Version || e.Kind != rec.Kind {
			return nil
		}
		found = &e
		return errListed
	})
	switch {
	case found != nil:
		return found, nil
	case err != nil:
		return nil, fmt.Errorf("list it: %w", err)
	}
	return nil, source.ErrGone
}

// Compare is Ask, and reads what is unchanged, at most so many bytes at a time: Same, Differ, Changed, or Unseen and why. Before it says Differ it reads the item twice. Of
// repositories nothing is read: what Ask says is all.
func Compare(ctx context.Context, src source.Source, rec *record.Record, most int64) (State, error) {
	if rec.Kind != record.KindObject {
		return Ask(ctx, src, rec)
	}
	state := Differ
	for n := 0; n < 2 && state == Differ; n++ {
		e, now, err := entry(ctx, src, rec)
		if now != Unchanged {
			return now, err
		}
		if e.Size > most {
			return Unseen, ErrLarge
		}
		if state, err = read(ctx, src, *e, rec, most); err != nil {
			return state, err
		}
	}
	if state == Differ { // it may have been written to between its listing and its reading
		if now, err := Ask(ctx, src, rec); now != Unchanged {
			return now, err
		}
	}
	return state, nil
}

// read captures the item into nothing, and compares parts.
func read(ctx context.Context, src source.Source, e source.Entry, rec *record.Record, most int64) (State, error) {
	now, err := src.Capture(ctx, e, nil, &sink{left: most})
	switch {
	case errors.Is(err, source.ErrGone):
		return Changed, nil
	case err != nil:
		return Unseen, err
	case now.State != record.Present:
		return Unseen, fmt.Errorf("the source has it as %s", now.State)
	case same(now, rec):
		return Same, nil
	}
	return Differ, nil
}

// same compares what parts hold, wherever they are kept.
func same(a, b *record.Record) bool {
	if len(a.Parts) != len(b.Parts) {
		return false
	}
	for i := range a.Parts {
		p, q := &a.Parts[i], &b.Parts[i]
		if p.Kind != q.Kind || p.Size != q.Size || p.SHA256 != q.SHA256 {
			return false
		}
	}
	return true
}

// sink counts and hashes, and keeps nothing. Not safe for concurrent use.
type sink struct{ left int64 }

// Part implements source.Sink.
func (s *sink) Part(ctx context.Context, p record.Part, _ int64, body io.Reader) (record.Part, error) {
	h := sha256.New()
	n, err := io.Copy(h, io.LimitReader(body, s.left+1))
	if err == nil && n > s.left {
		err = ErrLarge
	}
	if err != nil {
		return p, err
	}
	s.left -= n
	p.Size = n
	h.Sum(p.SHA256[:0])
	return p, ctx.Err()
}

// Lines implements source.Sink.
func (s *sink) Lines(ctx context.Context, p record.Part, data []byte) (record.Part, error) {
	p.Size, p.SHA256 = int64(len(data)), sha256.Sum256(data)
	return p, ctx.Err()
}

// Read implements source.Sink: there is nothing to read.
func (s *sink) Read(context.Context, *record.Part) ([]byte, error) {
	return nil, errors.New("nothing is kept")
}
