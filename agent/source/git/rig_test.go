package git

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"farshore/agent/record"
	"farshore/agent/repo/gitserver"
	"farshore/agent/repo/gittest"
	"farshore/agent/restore/gitrepo"
	"farshore/agent/source"
	"farshore/agent/source/sourcetest"
)

// item names a record.
type item struct{ path, kind string }

// replica makes passes over a source as the agent does, and keeps the records of the newest.
type replica struct {
	tb      testing.TB
	src     *Source
	memory  *sourcetest.Memory
	records map[item]*record.Record

	captured []item // of the latest pass, sorted
	excluded func(path string) bool
	failAt   func(item) error // what the sink fails with for this item
	workers  int
}

func replicate(tb testing.TB, o Options) *replica {
	tb.Helper()
	src, err := New(o)
	if err != nil {
		tb.Fatal(err)
	}
	src.patience = 2 * time.Second
	return &replica{tb: tb, src: src, memory: new(sourcetest.Memory), records: map[item]*record.Record{}, workers: 4}
}

type job struct {
	entry source.Entry
	last  *record.Record
	rec   *record.Record
	err   error
	done  chan struct{}
}

// pass makes one pass: entries are joined with the records in order, captures begin in that order, some at a time.
func (p *replica) pass() error {
	p.tb.Helper()
	ctx, cancel := context.WithTimeout(p.tb.Context(), 5*time.Minute)
	defer cancel()
	work := make(chan *job, 1000)
	var wg sync.WaitGroup
	for range p.workers {
		wg.Go(func() {
			for j := range work {
				j.rec, j.err = p.src.Capture(ctx, j.entry, j.last, p.sink(j.entry))
				close(j.done)
			}
		})
	}
	jobs, listed, listing := p.list(ctx, work)
	close(work)
	wg.Wait()
	p.captured = nil
	var failed error
	for _, j := range jobs {
		it := item{j.entry.Path, j.entry.Kind}
		p.captured = append(p.captured, it)
		failed = errors.Join(failed, p.keep(it, j))
	}
	p.vanish(listed)
	return errors.Join(failed, listing)
}

func (p *replica) list(ctx context.Context, work chan<- *job) (jobs []*job, listed map[item]bool, err error) {
	listed = map[item]bool{}
	var before source.Entry
	err = p.src.List(ctx, source.Range{}, func(e source.Entry) error {
		if before.Path+"\x00"+before.Kind >= e.Path+"\x00"+e.Kind {
			p.tb.Errorf("%q %s is listed behind %q %s", e.Path, e.Kind, before.Path, before.Kind)
		}
		before = e
		it := item{e.Path, e.Kind}
		listed[it] = true
		last := p.records[it]
		if p.excluded != nil && p.excluded(e.Path) || last != nil && p.src.Unchanged(e, last) {
			return nil
		}
		j := &job{entry: e, last: last, done: make(chan struct{})}
		jobs = append(jobs, j)
		work <- j
		return nil
	})
	return jobs, listed, err
}

// keep takes what came of a capture.
func (p *replica) keep(it item, j *job) error {
	var bad *source.Unreadable
	switch {
	case errors.As(j.err, &bad):
		p.records[it] = unreadable(bad, j.last)
	case errors.Is(j.err, source.ErrGone):
	case j.err != nil:
		return fmt.Errorf("%s %s: %w", it.path, it.kind, j.err)
	default:
		if err := j.rec.Check(); err != nil && !strings.Contains(err.Error(), "place") { // the memory has no places
			p.tb.Errorf("%s %s: %v", it.path, it.kind, err)
		}
		p.records[it] = j.rec
	}
	return nil
}

func (p *replica) vanish(listed map[item]bool) {
	for it, last := range p.records {
		if listed[it] {
			continue
		}
		if bad := p.src.Vanished(last); bad != nil {
			p.records[it] = unreadable(bad, last)
		}
	}
}

func unreadable(u *source.Unreadable, last *record.Record) *record.Record {
	r := &record.Record{State: record.Unreadable, Reason: u.Reason, Detail: u.Detail, Attrs: u.Attrs}
	if last != nil && last.State == record.Unreadable {
		r.Last = last.Last
	} else if last != nil {
		r.Last = last
	}
	return r
}

func (p *replica) must() {
	p.tb.Helper()
	if err := p.pass(); err != nil {
		p.tb.Fatal(err)
	}
}

// sink is the memory, or one that fails.
func (p *replica) sink(e source.Entry) source.Sink {
	if p.failAt != nil {
		if err := p.failAt(item{e.Path, e.Kind}); err != nil {
			return failingSink{p.memory, err}
		}
	}
	return p.memory
}

// get returns a record that must be there and present.
func (p *replica) get(path, kind string) *record.Record {
	p.tb.Helper()
	r := p.records[item{path, kind}]
	if r == nil || r.State != record.Present {
		p.tb.Fatalf("%s %s: no present record: %+v", path, kind, r)
	}
	return r
}

// packs returns the pack parts.
func packs(r *record.Record) (list []record.Part) {
	for _, p := range r.Parts {
		if p.Kind == record.PartPack {
			list = append(list, p)
		}
	}
	return list
}

// state is what a repository has at a moment.
type state struct {
	refs    map[string]string
	objects []string
}

func stateOf(r *gittest.Repo) state { return state{r.Refs(), r.Objects()} }

// set is what the replica has of a path now.
func (p *replica) set(path string) gitrepo.Set {
	s := gitrepo.Set{Git: p.records[item{path, record.KindGit}]}
	if r := p.records[item{path, record.KindLFS}]; r != nil && r.State == record.Present {
		s.LFS = r
	}
	if r := p.records[item{path, record.KindSidecar}]; r != nil && r.State == record.Present {
		s.Sidecar = r
	}
	return s
}

// restores builds the set and compares it with the state.
func (p *replica) restores(what string, set gitrepo.Set, want state) {
	p.tb.Helper()
	dir := filepath.Join(p.tb.TempDir(), "restored.git")
	if _, err := gitrepo.Build(p.tb.Context(), p.memory, set, dir, gitrepo.Options{}); err != nil {
		p.tb.Errorf("%s: %v", what, err)
		return
	}
	got := stateOf(gittest.At(p.tb, dir))
	if !maps.Equal(got.refs, want.refs) {
		p.tb.Errorf("%s: restored refs are\n%v\nin place of\n%v", what, got.refs, want.refs)
	}
	if !slices.Equal(got.objects, want.objects) {
		p.tb.Errorf("%s: %d objects are reachable in what was restored, %d at the source", what, len(got.objects), len(want.objects))
	}
}

// checked builds the set, which checks ids and refs, and runs gitrepo's own check.
func (p *replica) checked(what string, set gitrepo.Set) {
	p.tb.Helper()
	dir := filepath.Join(p.tb.TempDir(), "checked.git")
	if _, err := gitrepo.Build(p.tb.Context(), p.memory, set, dir, gitrepo.Options{}); err != nil {
		p.tb.Errorf("%s: %v", what, err)
		return
	}
	problems, err := gitrepo.Check(p.tb.Context(), p.memory, set, dir)
	if err != nil || len(problems) > 0 {
		p.tb.Errorf("%s: %v %q", what, err, problems)
	}
}

// failingSink refuses parts.
type failingSink struct {
	source.Sink
	err error
}

// Part reads some and fails.
func (f failingSink) Part(_ context.Context, p record.Part, _ int64, body io.Reader) (record.Part, error) {
	_, _ = io.CopyN(io.Discard, body, 100)
	return p, f.err
}

// places are the ways to reach repositories below a folder of this machine.
var places = []struct {
	name    string
	address func(testing.TB, string) Options
}{
	{"local", func(_ testing.TB, root string) Options { return Options{Address: "git+file://" + root} }},
	{"http", func(tb testing.TB, root string) Options {
		return Options{Address: "git+" + gitserver.HTTP(tb, root, gitserver.HTTPOptions{})}
	}},
}

// bodyOf reads a request's body, unpacked, and returns it with one to read it again.
func bodyOf(req *http.Request) (string, io.ReadCloser) {
	b, err := io.ReadAll(req.Body)
	if err != nil {
		return "", io.NopCloser(strings.NewReader(""))
	}
	text := string(b)
	if req.Header.Get("Content-Encoding") == "gzip" {
		if z, err := gzip.NewReader(bytes.NewReader(b)); err == nil {
			plain, _ := io.ReadAll(z)
			text = string(plain)
		}
	}
	return text, io.NopCloser(bytes.NewReader(b))
}
