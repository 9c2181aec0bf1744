package main

import (
	"context"
	"errors"
	"slices"
	"sync"

	"farshore/agent/record"
	"farshore/agent/source"
)

// repositories is what a source of repositories is to a pass.
type repositories interface {
	source.Source
	source.Lasting
}

// tally is a source that counts repositories while a pass works on their items, of which each repository has up to three. It may be used concurrently.
type tally struct {
	repositories
	match func(string) bool

	mu sync.Mutex
	by map[string]*fate
}

// fate is what a pass made of one repository.
type fate struct {
	listed, excluded, gone bool
	// known was captured before; stale is not as it was then; fresh and changed were captured now.
	known, stale, fresh, changed bool
	// reasons say what could not be captured: the detail by reason.
	reasons map[string]string
}

// tallied wraps a source of repositories; nil for another one.
func tallied(src source.Source, match func(string) bool) *tally {
	r, ok := src.(repositories)
	if !ok {
		return nil
	}
	return &tally{repositories: r, match: match, by: map[string]*fate{}}
}

// isMain reports whether a record of this kind is a repository's main one.
func isMain(kind string) bool { return kind == record.KindGit || kind == record.KindSVN }

// note changes what is known of a repository.
func (t *tally) note(path string, change func(*fate)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.by[path]
	if f == nil {
		f = &fate{}
		t.by[path] = f
	}
	change(f)
}

// List implements source.Source.
func (t *tally) List(ctx context.Context, r source.Range, yield func(source.Entry) error) error {
	return t.repositories.List(ctx, r, func(e source.Entry) error {
		if t.match(e.Path) {
			t.note(e.Path, func(f *fate) { f.listed = true })
		} else {
			t.note(e.Path, func(f *fate) { f.excluded = true })
		}
		return yield(e)
	})
}

// Unchanged implements source.Source.
func (t *tally) Unchanged(e source.Entry, last *record.Record) bool {
	same := t.repositories.Unchanged(e, last)
	t.note(e.Path, func(f *fate) {
		f.known = f.known || isMain(e.Kind)
		f.stale = f.stale || !same
		if same {
			f.wants(last)
		}
	})
	return same
}

// Capture implements source.Source.
func (t *tally) Capture(ctx context.Context, e source.Entry, last *record.Record, sink source.Sink) (*record.Record, error) {
	rec, err := t.repositories.Capture(ctx, e, last, sink)
	var bad *source.Unreadable
	switch {
	case err == nil:
		t.note(e.Path, func(f *fate) { f.captured(last, rec) })
	case errors.As(err, &bad):
		t.note(e.Path, func(f *fate) { f.reason(bad.Reason, bad.Detail) })
	case errors.Is(err, source.ErrGone):
		t.note(e.Path, func(f *fate) { f.gone = f.gone || isMain(e.Kind) })
	}
	return rec, err
}

// Vanished implements source.Lasting.
func (t *tally) Vanished(last *record.Record) *source.Unreadable {
	u := t.repositories.Vanished(last)
	t.note(last.Path, func(f *fate) {
		if u == nil {
			f.wants(last)
		} else if isMain(last.Kind) || f.reasons == nil {
			f.reason(u.Reason, u.Detail)
		}
	})
	return u
}

// captured notes a new record in the place of last, which may be nil.
func (f *fate) captured(last, rec *record.Record) {
	f.wants(rec)
	if last != nil && last.State == record.Unreadable {
		last = last.Last
	}
	switch {
	case last == nil && isMain(rec.Kind):
		f.fresh = true
	case last == nil || !sameContent(last, rec):
		f.changed = true
	}
}

// wants notes what a record lacks.
func (f *fate) wants(rec *record.Record) {
	switch omitted := rec.Attrs[record.AttrOmitted]; {
	case rec.State == record.Unreadable:
		f.reason(rec.Reason, rec.Detail)
	case omitted != "":
		f.reason(record.ReasonPartial, omitted)
	}
}

func (f *fate) reason(reason, detail string) {
	if f.reasons == nil {
		f.reasons = map[string]string{}
	}
	f.reasons[reason] = detail
}

// sameContent reports whether two records hold the same: what was captured again because it could not be told apart without is no change.
func sameContent(a, b *record.Record) bool {
	return a.State == b.State && slices.EqualFunc(a.Parts, b.Parts, func(p, q record.Part) bool { return p.Kind == q.Kind && p.SHA256 == q.SHA256 })
}

// repositoryCounts are what a pass over repositories did, or would do, counted by repository.
type repositoryCounts struct {
	Listed   int64 `json:"listed"`
	Excluded int64 `json:"excluded"`
	New      int64 `json:"new"`
	Changed  int64 `json:"changed"`
	Gone     int64 `json:"gone"`
	// Unreadable counts those that could not be captured, or not all of them, by reason. One may have more than one reason.
	Unreadable map[string]int64 `json:"unreadable,omitempty"`
}

// counts adds up.
func (t *tally) counts(dryRun bool) *repositoryCounts {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := &repositoryCounts{Unreadable: map[string]int64{}}
	one := func(n *int64, is bool) {
		if is {
			*n++
		}
	}
	for _, f := range t.by {
		if dryRun {
			f.fresh, f.changed = f.listed && !f.known, f.known && f.stale
		}
		one(&c.Listed, f.listed)
		one(&c.Excluded, f.excluded)
		one(&c.New, f.fresh)
		one(&c.Changed, f.changed && !f.fresh)
		one(&c.Gone, f.gone && f.reasons == nil)
		for reason := range f.reasons {
			c.Unreadable[reason]++
		}
	}
	return c
}

// unaccepted returns how many repositories want something for a reason that is not accepted, and these reasons.
func (t *tally) unaccepted(accept []string) (n int64, reasons []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range t.by {
		bad := false
		for reason := range f.reasons {
			if !slices.Contains(accept, reason) {
				bad = true
				reasons = append(reasons, reason)
			}
		}
		if bad {
			n++
		}
	}
	slices.Sort(reasons)
	return n, slices.Compact(reasons)
}

// maxExamples bounds how many repositories a pass names.
const maxExamples = 20

// examples names repositories that could not be captured whole, in order.
func (t *tally) examples() (out []unreadResult) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, path := range sortedKeys(t.by) {
		for _, reason := range sortedKeys(t.by[path].reasons) {
			if len(out) == maxExamples {
				return out
			}
			out = append(out, unreadResult{pathJSON: jsonPath(path), Reason: reason, Detail: t.by[path].reasons[reason], path: path})
		}
	}
	return out
}
