package svndump

import (
	"errors"
	"fmt"
	"io"
)

// Begin writes what a dump of version 3 begins with. An empty uuid is left out.
func Begin(w io.Writer, uuid string) error {
	b := fmt.Appendf(nil, "%s: 3\n\n", headVersion)
	if uuid != "" {
		b = fmt.Appendf(b, "%s: %s\n\n", headUUID, uuid)
	}
	_, err := w.Write(b)
	return err
}

// WriteRevision writes the record of a revision with its properties.
func WriteRevision(w io.Writer, revision int64, props []Property) error {
	block := AppendProps(nil, props)
	b := fmt.Appendf(nil, "%s: %d\nProp-content-length: %d\nContent-length: %d\n\n", headRevision, revision, len(block), len(block))
	_, err := w.Write(append(append(b, block...), '\n'))
	return err
}

// Joiner makes one dump of several that follow one another. Not safe for concurrent use.
type Joiner struct {
	// W is where the dump goes.
	W io.Writer
	// UUID is the repository's.
	UUID string
	// Props, which may be nil, returns the properties that a revision is to have in place of those that its dump says, or false where these hold. It is called
	// once for each revision, in order.
	Props func(revision int64) ([]Property, bool, error)
	// Next is the revision that the next dump must begin with.
	Next int64

	begun bool
}

// Add appends the dump in r, which has revisions from Next to last. Errors: a *FormatError, or what r, W or Props failed with.
func (j *Joiner) Add(r io.Reader, last int64) error {
	if !j.begun {
		if err := Begin(j.W, j.UUID); err != nil {
			return err
		}
		j.begun = true
	}
	d := NewReader(r)
	for {
		rec, err := d.Next()
		if err == io.EOF {
			return j.ended(last)
		}
		if err == nil {
			err = j.record(d, rec, last)
		}
		if err != nil {
			return err
		}
	}
}

func (j *Joiner) ended(last int64) error {
	if j.Next != last+1 {
		return fmt.Errorf("a dump ends before revision %d: %d is expected", j.Next, last)
	}
	return nil
}

func (j *Joiner) record(d *Reader, rec *Record, last int64) error {
	if n, ok := rec.Revision(); ok {
		if n != j.Next || n > last {
			return fmt.Errorf("a dump has revision %d in place of %d", n, j.Next)
		}
		j.Next++
		return j.revision(n, rec)
	}
	if !rec.Node() {
		return nil
	}
	return j.copy(d, rec)
}

func (j *Joiner) revision(n int64, rec *Record) error {
	if j.Props != nil {
		props, ok, err := j.Props(n)
		if err != nil {
			return err
		}
		if ok {
			return WriteRevision(j.W, n, props)
		}
	}
	props, err := rec.Properties()
	if err != nil {
		return err
	}
	return WriteRevision(j.W, n, props)
}

func (j *Joiner) copy(d *Reader, rec *Record) error {
	for _, b := range [][]byte{rec.Head, {'\n'}, rec.Props} {
		if _, err := j.W.Write(b); err != nil {
			return err
		}
	}
	if _, err := io.Copy(j.W, d.Content()); err != nil {
		return err
	}
	_, err := io.WriteString(j.W, "\n\n")
	return err
}

// errStopped ends a scan whose reader was closed.
var errStopped = errors.New("the scan was stopped")

// Tee is a reader that scans the dump which passes through it. Not safe for concurrent use.
type Tee struct {
	r    io.Reader
	w    *io.PipeWriter
	done chan error
	err  error
	over bool
}

// NewTee returns a reader of r that calls revision as Scan does, from a goroutine of its own, which Close waits for.
func NewTee(r io.Reader, revision func(*Revision) error) *Tee {
	pr, pw := io.Pipe()
	t := &Tee{r: r, w: pw, done: make(chan error, 1)}
	go func() {
		err := Scan(pr, revision, nil)
		_ = pr.CloseWithError(err) // never fails; what is written later is refused with the scan's error
		t.done <- err
	}()
	return t
}

// Read reads from the dump. It returns io.EOF only when the dump was whole and each revision was seen.
func (t *Tee) Read(p []byte) (int, error) {
	if t.over {
		return 0, t.err
	}
	n, err := t.r.Read(p)
	if n > 0 {
		if _, werr := t.w.Write(p[:n]); werr != nil {
			return 0, t.finish(nil)
		}
	}
	if err == nil {
		return n, nil
	}
	if err != io.EOF {
		t.finish(err)
		t.err = err
		return n, err
	}
	return n, t.finish(nil)
}

// finish ends the scan and returns what it says; io.EOF when all is well.
func (t *Tee) finish(cause error) error {
	t.over = true
	_ = t.w.CloseWithError(cause) // never fails
	if t.err = <-t.done; t.err == nil {
		t.err = io.EOF
	}
	return t.err
}

// Close ends the scan. It does not close r.
func (t *Tee) Close() error {
	if !t.over {
		t.finish(errStopped)
		t.err = errStopped
	}
	return nil
}
