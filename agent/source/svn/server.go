package svn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sync/errgroup"

	"farshore/agent/record"
	"farshore/agent/repo/process"
	"farshore/agent/repo/svncmd"
	"farshore/agent/source"
)

// atOnce is how many repositories of a server are looked at together.
const atOnce = 8

// answer is what came of looking at a repository: an error that says nothing of the repository itself is that of a server which did not answer.
type answer struct {
	path  string
	attrs record.Attrs
	err   error
}

func (a *answer) silent() bool { return a.err != nil && !aboutItself(a.err) }

func aboutItself(err error) bool {
	var un *source.Unreadable
	return errors.As(err, &un) || errors.Is(err, source.ErrGone)
}

// ask looks at the repositories with the paths.
func (s *Source) ask(ctx context.Context, paths []string) ([]answer, error) {
	all := make([]answer, len(paths))
	g, gctx := errgroup.WithContext(ctx)
	for i, path := range paths {
		g.Go(func() error {
			all[i].path = path
			all[i].attrs, all[i].err = s.Look(gctx, path, record.KindSVN)
			return gctx.Err()
		})
	}
	return all, g.Wait()
}

// listServer yields the repositories of a server in the range. Those that do not answer are held back until one does: when none does it is the server.
func (s *Source) listServer(ctx context.Context, r source.Range, yield func(source.Entry) error) error {
	var paths []string
	for _, p := range s.paths() {
		if r.Contains(p) {
			paths = append(paths, p)
		}
	}
	var held []answer
	answered := false
	for len(paths) > 0 {
		n := min(atOnce, len(paths))
		batch, err := s.ask(ctx, paths[:n])
		if err != nil {
			return err
		}
		held, paths = append(held, batch...), paths[n:]
		for i := range batch {
			answered = answered || !batch[i].silent()
		}
		if !answered {
			continue
		}
		if err := give(held, yield); err != nil {
			return err
		}
		held = nil
	}
	if len(held) > 0 {
		return fmt.Errorf("no repository of %s can be reached: %w", s.o.Place, held[0].err)
	}
	return nil
}

func give(all []answer, yield func(source.Entry) error) error {
	for _, a := range all {
		e := source.Entry{Path: a.path, Kind: record.KindSVN, Size: -1}
		if a.err == nil {
			e.Attrs = a.attrs
		}
		if err := yield(e); err != nil {
			return err
		}
	}
	return nil
}

// checkServer returns nil as soon as one repository can be looked at, else what is wrong with the first one.
func (s *Source) checkServer(ctx context.Context) error {
	var first error
	for _, path := range s.paths() {
		_, err := s.Look(ctx, path, record.KindSVN)
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
		if !aboutItself(err) {
			break
		}
	}
	if errors.Is(first, source.ErrGone) {
		first = s.notFound(s.paths()[0])
	}
	return first
}

func (s *Source) notFound(path string) error {
	return unreadable(record.ReasonVanished, "%s has no repository %q: put its path right, or take it off the list; what was captured before is kept", s.o.Place, path)
}

// patience is how long other repositories have to answer before the server counts as not to be reached.
const patience = time.Minute

// verdict tells what is wrong with one repository, which must not keep the others from being captured, from what is wrong with the source.
func (s *Source) verdict(ctx context.Context, path string, err error) error {
	switch {
	case err == nil, errors.Is(err, svncmd.ErrMissing), exhausted(err), s.root != "" && process.NoRoom(err):
		return err
	case errors.Is(err, source.ErrGone) && s.root == "":
		return s.notFound(path)
	case aboutItself(err):
		return err
	case s.root != "":
		return unreadable(record.ReasonOther, "%v: run svnadmin verify there", err)
	case !s.othersAnswer(ctx, path):
		return err
	}
	return unreadable(record.ReasonOther, "%v: others of %s can be read; look at what the server's log says of this one", err, s.o.Place)
}

// othersAnswer asks a few other repositories of the server.
func (s *Source) othersAnswer(ctx context.Context, path string) bool {
	var others []string
	for _, p := range s.paths() {
		if p != path && len(others) < atOnce {
			others = append(others, p)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	all, err := s.ask(ctx, others)
	if err != nil {
		return false
	}
	for i := range all {
		if !all[i].silent() {
			return true
		}
	}
	return false
}

// watchedSink remembers its own failure, apart from those of what it reads.
type watchedSink struct {
	source.Sink
	err error
}

func (w *watchedSink) note(err error) {
	if w.err == nil {
		w.err = err
	}
}

// Part implements source.Sink.
func (w *watchedSink) Part(ctx context.Context, p record.Part, size int64, body io.Reader) (record.Part, error) {
	b := &watchedBody{Reader: body}
	p, err := w.Sink.Part(ctx, p, size, b)
	if err != nil && b.err == nil {
		w.note(err)
	}
	return p, err
}

// Lines implements source.Sink.
func (w *watchedSink) Lines(ctx context.Context, p record.Part, data []byte) (record.Part, error) {
	p, err := w.Sink.Lines(ctx, p, data)
	w.note(err)
	return p, err
}

// Read implements source.Sink.
func (w *watchedSink) Read(ctx context.Context, p *record.Part) ([]byte, error) {
	b, err := w.Sink.Read(ctx, p)
	w.note(err)
	return b, err
}

// watchedBody remembers what reading failed with.
type watchedBody struct {
	io.Reader
	err error
}

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err != nil && err != io.EOF {
		b.err = err
	}
	return n, err
}
