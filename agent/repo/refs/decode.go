package refs

import (
	"errors"
	"fmt"
	"strings"
)

// maxLine bounds the bytes of a line, which holds at most two names.
const maxLine = 1 << 20

// Decode reads what Encode gives. It takes any other spelling of the same JSON, ignores members that it does not know, and refuses what Check does. The
// manifest keeps no reference to data.
func Decode(data []byte) (*Manifest, error) {
	ls, err := newLines(data)
	if err != nil {
		return nil, err
	}
	m := &Manifest{Refs: make([]Ref, 0, ls.count)}
	head, err := ls.next()
	if err == nil {
		err = m.setHeader(&head)
	}
	if err != nil {
		return nil, ls.failed(err)
	}
	for ls.more() {
		l, err := ls.next()
		if err == nil && l.has&hasGone != 0 {
			err = errors.New("gone has no place in a full manifest")
		}
		if err == nil {
			err = ls.ref(&l, m.Format)
		}
		if err != nil {
			return nil, ls.failed(err)
		}
		m.Refs = append(m.Refs, l.Ref)
	}
	return m, nil
}

// setHeader takes the manifest's header from a line.
func (m *Manifest) setHeader(l *line) error {
	if l.has&hasFormat == 0 {
		return errors.New("the first line is no header: it has no format")
	}
	if l.has&^(hasFormat|hasHead|hasHeadOID) != 0 {
		return errors.New("a header holds no ref")
	}
	m.Format, m.Head, m.HeadOID = l.format, l.head, l.headOID
	return m.checkHeader()
}

// lines walks through text line by line.
type lines struct {
	rest   string
	count  int // of all lines
	number int // of the line that was read last, from 1
	before string
}

func newLines(data []byte) (*lines, error) {
	if len(data) == 0 || data[len(data)-1] != '\n' {
		return nil, errors.New("refs: the last line has no end: the text is cut off")
	}
	ls := &lines{rest: string(data)}
	ls.count = strings.Count(ls.rest, "\n")
	if ls.count > MaxRefs+1 {
		return nil, fmt.Errorf("refs: %d lines are more than the %d refs that a repository may have", ls.count, MaxRefs)
	}
	return ls, nil
}

func (ls *lines) more() bool { return ls.rest != "" }

// next reads the next line.
func (ls *lines) next() (line, error) {
	text, rest, _ := strings.Cut(ls.rest, "\n")
	ls.rest = rest
	ls.number++
	if len(text) > maxLine {
		return line{}, fmt.Errorf("is longer than %d bytes", maxLine)
	}
	return parseLine(text)
}

// ref checks that the line holds a ref, and that it comes after the one before.
func (ls *lines) ref(l *line, format string) error {
	switch {
	case l.has&(hasFormat|hasHead|hasHeadOID) != 0:
		return errors.New("a header stands only in the first line")
	case l.has&hasRef == 0:
		return errors.New("holds no ref")
	case l.Name <= ls.before:
		return fmt.Errorf("%q does not come after %q: refs are sorted by their names' bytes, each once", l.Name, ls.before)
	}
	ls.before = l.Name
	if l.has&hasGone == 0 {
		return l.check(format)
	}
	if l.has != hasGone|hasRef {
		return fmt.Errorf("ref %q is gone and has a value", l.Name)
	}
	if !ValidName(l.Name) {
		return fmt.Errorf("%q is no name that git allows for a ref", l.Name)
	}
	return nil
}

func (ls *lines) failed(err error) error {
	return fmt.Errorf("refs: line %d: %w", ls.number, err)
}
