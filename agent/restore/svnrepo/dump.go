package svnrepo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"farshore/agent/record"
	"farshore/agent/repo/svndump"
)

// Dump writes the repository as one dump of version 3, with the properties of revisions as they were at the capture. An empty repository takes it by "svnadmin
// load --bypass-prop-validation". Nothing is written to disk: the parts are read as the dump goes on. After an error, what w received is no dump.
func Dump(ctx context.Context, parts Parts, set Set, w io.Writer) error {
	buffered := bufio.NewWriterSize(w, 256<<10) // records are small, and w may be a pipe
	if err := dump(ctx, parts, set, buffered); err != nil {
		return err
	}
	return buffered.Flush()
}

func dump(ctx context.Context, parts Parts, set Set, w io.Writer) error {
	edited := newRevprops(ctx, parts, set.SVN)
	defer edited.close()
	j := &svndump.Joiner{W: w, UUID: set.SVN.Attrs[attrUUID], Props: edited.at}
	n := 0
	for i := range set.SVN.Parts {
		p := &set.SVN.Parts[i]
		if p.Kind != record.PartDump {
			continue
		}
		n++
		to, err := strconv.ParseInt(p.Attrs[attrTo], 10, 64)
		if err != nil {
			return fmt.Errorf("the record says %q for the last revision of a dump", p.Attrs[attrTo])
		}
		r := open(ctx, parts, p)
		err = j.Add(r, to)
		r.close()
		if err != nil {
			return fmt.Errorf("dump of revisions %s to %s: %w", p.Attrs[attrFrom], p.Attrs[attrTo], err)
		}
	}
	if n == 0 {
		return errors.New("the record has no dump")
	}
	return nil
}

// partReader reads a part while it is copied.
type partReader struct {
	*io.PipeReader
	cancel context.CancelFunc
	done   chan struct{}
}

// open reads the part. Whoever opens it closes it.
func open(ctx context.Context, parts Parts, p *record.Part) *partReader {
	ctx, cancel := context.WithCancel(ctx)
	pr, pw := io.Pipe()
	r := &partReader{pr, cancel, make(chan struct{})}
	go func() {
		defer close(r.done)
		_ = pw.CloseWithError(parts.Copy(ctx, pw, p)) // never fails
	}()
	return r
}

func (r *partReader) close() {
	r.cancel()
	_ = r.PipeReader.Close() // never fails
	<-r.done
}

// revprops gives the properties of revisions that were edited after these were dumped, from parts in the order of revisions.
type revprops struct {
	ctx   context.Context
	parts Parts
	left  []*record.Part

	open  *partReader
	dump  *svndump.Reader
	ahead *svndump.Record // the next revision of the open part
	next  int64
	limit int64 // the revision that the last part ended with
}

func newRevprops(ctx context.Context, parts Parts, rec *record.Record) *revprops {
	r := &revprops{ctx: ctx, parts: parts, limit: -1}
	for i := range rec.Parts {
		if rec.Parts[i].Kind == record.PartRevprops {
			r.left = append(r.left, &rec.Parts[i])
		}
	}
	return r
}

// at returns the properties of the revision, false when none of the parts has them. Revisions are asked for in order.
func (r *revprops) at(revision int64) ([]svndump.Property, bool, error) {
	for r.ahead == nil || r.next < revision {
		if err := r.advance(); err != nil {
			return nil, false, err
		}
		if r.ahead == nil {
			return nil, false, nil
		}
	}
	if r.next != revision {
		return nil, false, nil
	}
	props, err := r.ahead.Properties()
	return props, true, err
}

// advance goes to the next revision of the parts; none is ahead when there are no more.
func (r *revprops) advance() error {
	r.ahead = nil
	for {
		if r.open == nil {
			if len(r.left) == 0 {
				return nil
			}
			r.open = open(r.ctx, r.parts, r.left[0])
			r.dump, r.left = svndump.NewReader(r.open), r.left[1:]
		}
		rec, err := r.dump.Next()
		if err == io.EOF {
			r.open.close()
			r.open = nil
			continue
		}
		if err != nil {
			return fmt.Errorf("properties of revisions: %w", err)
		}
		if n, ok := rec.Revision(); ok {
			return r.found(rec, n)
		}
	}
}

func (r *revprops) found(rec *svndump.Record, n int64) error {
	if n <= r.limit {
		return fmt.Errorf("properties of revisions: %d follows %d", n, r.limit)
	}
	r.ahead, r.next, r.limit = rec, n, n
	return nil
}

func (r *revprops) close() {
	if r.open != nil {
		r.open.close()
	}
}
