package repos

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"sync"

	"farshore/agent/record"
	"farshore/agent/restore/gitrepo"
)

// item is one repository with all that was captured of it.
type item struct {
	path  string
	git   gitrepo.Set    // Git nil for one of Subversion
	svn   *record.Record // nil for one of git
	bytes int64
	// earlier says why something of it comes from an earlier capture; empty when nothing does. lost says what of it was never captured.
	earlier, lost string
}

func (it *item) sidecar() *record.Record { return it.git.Sidecar }

// repository is the record of the history.
func (it *item) repository() *record.Record {
	if it.svn != nil {
		return it.svn
	}
	return it.git.Git
}

// gather calls each with the records of one path, which follow one another.
func gather(records iter.Seq2[*record.Record, error], each func([]*record.Record) error) error {
	var group []*record.Record
	for rec, err := range records {
		if err != nil {
			return err
		}
		if len(group) > 0 && group[0].Path != rec.Path {
			if err := each(group); err != nil {
				return err
			}
			group = nil
		}
		group = append(group, rec)
	}
	if len(group) == 0 {
		return nil
	}
	return each(group)
}

// pick puts together what to restore of a path, or notes why nothing is, and returns nil.
func (r *run) pick(group []*record.Record) *item {
	it := &item{path: group[0].Path}
	repository, never := false, ""
	for _, rec := range group {
		switch {
		case rec.Version != "":
			r.note(func() { r.sum.OtherVersions++ })
			continue
		case rec.State == record.DeleteMarker:
			r.note(func() { r.sum.DeleteMarkers++ })
			continue
		case rec.State == record.Deleted:
			continue
		}
		repository = true
		good, why := goodOf(rec)
		if good == nil {
			never = join(never, rec.Kind+": "+why)
			continue
		}
		if !it.take(good) {
			never = join(never, fmt.Sprintf("it is no repository (%s)", rec.Kind))
			continue
		}
		if why != "" {
			it.earlier = join(it.earlier, rec.Kind+": "+why)
		}
		it.bytes += good.Size()
	}
	switch {
	case !repository:
		return nil
	case it.repository() == nil:
		if never == "" {
			never = "the snapshot has only what lay beside the repository, and not the repository"
		}
		r.unrestorable(it, never)
		return nil
	}
	it.lost = never
	return it
}

// goodOf returns the record to restore from, and why it is an earlier one; nil where there is none.
func goodOf(rec *record.Record) (good *record.Record, why string) {
	if rec.State != record.Unreadable {
		return rec, ""
	}
	if why = rec.Reason; rec.Detail != "" {
		why += ": " + rec.Detail
	}
	if rec.Last == nil || rec.Last.State != record.Present {
		return nil, why
	}
	last := *rec.Last
	last.Path, last.Kind = rec.Path, rec.Kind
	return &last, why
}

// take puts a record in its place and reports whether there is one for its kind.
func (it *item) take(rec *record.Record) bool {
	switch rec.Kind {
	case record.KindGit:
		it.git.Git = rec
	case record.KindLFS:
		it.git.LFS = rec
	case record.KindSidecar:
		it.git.Sidecar = rec
	case record.KindSVN:
		it.svn = rec
	default:
		return false
	}
	return true
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}

// inWork knows which repositories the workers have. The zero value is ready.
type inWork struct {
	mu   sync.Mutex
	ends map[string]chan struct{}
}

// enter waits until none that this path lies in is in work, and adds it.
func (w *inWork) enter(ctx context.Context, path string) error {
	for {
		end := w.above(path)
		if end == nil {
			return nil
		}
		select {
		case <-end:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// above returns the end of one in work that the path lies in; nil when there is none, and then the path is in work.
func (w *inWork) above(path string) chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	for p, end := range w.ends {
		if strings.HasPrefix(path, p+"/") {
			return end
		}
	}
	if w.ends == nil {
		w.ends = map[string]chan struct{}{}
	}
	w.ends[path] = make(chan struct{})
	return nil
}

func (w *inWork) done(path string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.ends[path])
	delete(w.ends, path)
}
