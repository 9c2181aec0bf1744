package record

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
)

// lineReader cuts a page into its lines, each of at most maxLine bytes.
type lineReader struct {
	r      *bufio.Reader
	kind   string
	number int
	long   []byte // the line, where it is longer than r's buffer
}

const lineBuffer = 64 << 10

func newLineReader(r io.Reader, kind string) *lineReader {
	return &lineReader{r: bufio.NewReaderSize(r, lineBuffer), kind: kind}
}

// next returns the next line without its line feed, valid until the next call. At the page's end it returns io.EOF.
func (l *lineReader) next() ([]byte, error) {
	l.number++
	line, err := l.r.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		line, err = l.rest(line)
	}
	switch {
	case err == io.EOF && len(line) == 0:
		return nil, io.EOF
	case err == io.EOF:
		return nil, l.fail(errors.New("is cut short: it has no line feed"))
	case err != nil:
		return nil, l.fail(err)
	}
	return line[:len(line)-1], nil
}

// rest reads on to the line's end after begin, which fills the buffer.
func (l *lineReader) rest(begin []byte) ([]byte, error) {
	l.long = append(l.long[:0], begin...)
	for {
		more, err := l.r.ReadSlice('\n')
		if len(l.long)+len(more) > maxLine {
			return nil, fmt.Errorf("is longer than %d bytes", maxLine)
		}
		l.long = append(l.long, more...)
		if err != bufio.ErrBufferFull {
			return l.long, err
		}
	}
}

// fail says in which line of the page the error is.
func (l *lineReader) fail(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s page, line %d: %w", l.kind, l.number, err)
}

// header reads the first line: it checks type and version, and hands the other members to member.
func (l *lineReader) header(member func(j *jsonReader, name string) error, need ...string) error {
	line, err := l.next()
	if err == io.EOF {
		return fmt.Errorf("%s page: is empty", l.kind)
	}
	if err != nil {
		return err
	}
	return l.fail(readJSON(line, func(j *jsonReader) error {
		seen, err := readHeader(j, l.kind, member)
		return cmp.Or(err, seen.need("farshore", "version"), seen.need(need...), seen.oneBound())
	}))
}

func readHeader(j *jsonReader, kind string, member func(j *jsonReader, name string) error) (members, error) {
	got := kind
	var version int64
	seen, err := j.object(func(name string) error {
		switch name {
		case "farshore":
			return j.string(&got)
		case "version":
			return j.int64(&version, 1, maxInt)
		}
		return member(j, name)
	})
	switch {
	case got != kind:
		return nil, fmt.Errorf("is the header of type %s, not %s", quote(got), kind)
	case version > 1:
		return nil, fmt.Errorf("is of version %d: this program reads version 1", version)
	}
	return seen, err
}

// noMembers is for headers that have type and version alone.
func noMembers(j *jsonReader, _ string) error { return j.skip() }

// readLines reads a whole page that is in memory: its header, then each line as one JSON value.
func readLines(data []byte, kind string, header func(*jsonReader, string) error, need []string, line func(*jsonReader) error) error {
	l := newLineReader(bytes.NewReader(data), kind)
	if err := l.header(header, need...); err != nil {
		return err
	}
	for {
		b, err := l.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := l.fail(readJSON(b, line)); err != nil {
			return err
		}
	}
}
