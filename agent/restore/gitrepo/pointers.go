package gitrepo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"farshore/agent/record"
	"farshore/agent/restore/internal/workplace"
)

// maxPointer is what git-lfs reads of a file to see whether it is a pointer: a longer one is none (its docs/spec.md).
const maxPointer = 1024

// pointerBatch is how many small files are read at a time: at most that many KiB.
const pointerBatch = 8192

// pointers makes sure that each pointer to a large file in what refs point to has its file, or that the record says why not.
func (c *checker) pointers(ctx context.Context) error {
	tips := c.manifest.Tips()
	if len(tips) == 0 {
		return nil
	}
	p := &pointerCheck{c: c, omitted: c.set.Git.Attrs[record.AttrOmitted], seen: map[string]bool{}}
	if c.set.LFS != nil {
		p.omitted += "\n" + c.set.LFS.Attrs[record.AttrOmitted]
		if c.set.LFS.Part(record.PartState) != nil { // the ids of all that are missing
			state, err := readPart(ctx, c.parts, c.set.LFS, record.PartState)
			if err != nil {
				return failed(ctx, c.set.LFS, "list of missing large files", err)
			}
			p.omitted += "\n" + string(state)
		}
	}
	list := func(ctx context.Context, w io.Writer) error {
		in := strings.NewReader(strings.Join(tips, "\n") + "\n")
		return c.ours.Run(ctx, in, w, "rev-list", "--objects", "--no-walk=unsorted", "--no-object-names", "--missing=allow-any", "--stdin") // what is missing, git fsck says
	}
	lines := &lineWriter{each: func(line string) error { return p.object(ctx, line) }}
	err := feed(ctx, c.ours, list, lines, "cat-file", "--batch-check=%(objecttype) %(objectsize) %(objectname)", "--buffer")
	return errors.Join(err, p.flush(ctx))
}

// pointerCheck reads the small files and keeps which pointers it saw.
type pointerCheck struct {
	c       *checker
	omitted string
	batch   []string
	seen    map[string]bool
}

// object takes a line of type, size and id.
func (p *pointerCheck) object(ctx context.Context, line string) error {
	f := strings.Fields(line)
	if len(f) != 3 || f[0] != "blob" {
		return nil
	}
	if n, err := strconv.Atoi(f[1]); err != nil || n >= maxPointer {
		return nil
	}
	if p.batch = append(p.batch, f[2]); len(p.batch) < pointerBatch {
		return nil
	}
	return p.flush(ctx)
}

// flush reads the small files that were collected.
func (p *pointerCheck) flush(ctx context.Context) error {
	if len(p.batch) == 0 {
		return nil
	}
	in := strings.NewReader(strings.Join(p.batch, "\n") + "\n")
	p.batch = p.batch[:0]
	out, err := p.c.ours.Output(ctx, in, "cat-file", "--batch=%(objectsize)", "--buffer")
	if err != nil {
		return err
	}
	for len(out) > 0 {
		head, rest, _ := bytes.Cut(out, []byte{'\n'})
		n, err := strconv.Atoi(string(head))
		if err != nil || n < 0 || n >= len(rest) {
			return fmt.Errorf("git cat-file printed %q", head)
		}
		if oid, ok := pointer(rest[:n]); ok {
			if err := p.pointer(oid); err != nil {
				return err
			}
		}
		out = rest[n+1:]
	}
	return nil
}

// pointer looks for one large file.
func (p *pointerCheck) pointer(oid string) error {
	if p.seen[oid] {
		return nil
	}
	p.seen[oid] = true
	there, err := workplace.Exists(lfsPath(p.c.dir, oid))
	if err != nil || there || p.said(oid) {
		return err
	}
	p.c.problems.add("large file %s: a file in the repository points to it, and it was not captured, nor does the record say why", oid)
	return nil
}

// allLarge is what a record calls all large files, or an unknown number of them, where it says that they could not be captured.
var allLarge = []string{"lfs", "objects", "pointers"}

// said reports whether the record says that the large file, or all of them, could not be captured.
func (p *pointerCheck) said(oid string) bool {
	if strings.Contains(p.omitted, oid) {
		return true
	}
	for line := range strings.Lines(p.omitted) {
		what, _, _ := strings.Cut(line, ":")
		if slices.Contains(allLarge, what) {
			return true
		}
	}
	return false
}

// pointer reports whether a file's content is a pointer of git-lfs, and to what (docs/spec.md of git-lfs).
func pointer(data []byte) (oid string, ok bool) {
	if len(data) >= maxPointer || !bytes.HasPrefix(data, []byte("version https://git-lfs.github.com/spec/")) && !bytes.HasPrefix(data, []byte("version https://hawser.github.com/spec/")) {
		return "", false
	}
	sized := false
	for line := range strings.Lines(string(data)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch key {
		case "oid":
			oid, _ = strings.CutPrefix(value, "sha256:")
		case "size":
			_, err := strconv.ParseUint(value, 10, 63)
			sized = err == nil
		}
	}
	_, err := record.ParseHash(oid)
	return oid, sized && err == nil
}

// lineWriter calls each with the lines that are written to it.
type lineWriter struct {
	each func(line string) error
	rest []byte
}

// maxWrittenLine bounds a line of which the end is not there yet.
const maxWrittenLine = 1 << 20

// Write takes what follows.
func (l *lineWriter) Write(p []byte) (int, error) {
	n := len(p)
	for {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			break
		}
		line := append(l.rest, p[:i]...)
		if err := l.each(string(line)); err != nil {
			return 0, err
		}
		l.rest, p = line[:0], p[i+1:]
	}
	if l.rest = append(l.rest, p...); len(l.rest) > maxWrittenLine {
		return 0, fmt.Errorf("a line of more than %d bytes", maxWrittenLine)
	}
	return n, nil
}
