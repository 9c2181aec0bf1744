package record

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// words reads the words of one line of a public list. After the first thing that does not fit it returns zero values and keeps the error.
type words struct {
	kind   string
	number int
	rest   []string
	err    error
}

func (w *words) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf(format, args...)
	}
}

func (w *words) next() string {
	if len(w.rest) == 0 {
		w.fail("has too few words")
		return ""
	}
	word := w.rest[0]
	w.rest = w.rest[1:]
	return word
}

func (w *words) hash() Hash {
	word := w.next()
	if w.err != nil {
		return Hash{}
	}
	h, err := ParseHash(word)
	switch {
	case err != nil:
		w.fail("%w", err)
	case h.IsZero():
		w.fail("has a zero hash")
	}
	return h
}

// int reads an integer between least and most in its only spelling.
func (w *words) int(least, most int64) int64 {
	word := w.next()
	if w.err != nil {
		return 0
	}
	n, err := strconv.ParseInt(word, 10, 64)
	if err != nil || strconv.FormatInt(n, 10) != word {
		w.fail("%s is not an integer", quote(word))
		return 0
	}
	if err := between(n, least, most); err != nil {
		w.fail("%w", err)
	}
	return n
}

func (w *words) ref() Ref {
	name := w.hash()
	return Ref{Name: name, Size: w.int(0, maxStored)}
}

func (w *words) liveSegment() LiveSegment {
	s := LiveSegment{Ref: w.ref()}
	if len(w.rest) > 0 && w.rest[0] == "-" {
		w.next()
		return s
	}
	s.List = w.hash()
	return s
}

func (w *words) liveMeta() LiveMeta {
	m := LiveMeta{Ref: w.ref(), Role: w.next()}
	switch m.Role {
	case LiveRoot, LiveRanges, LiveTable, LiveKeys, LiveState:
	default:
		w.fail("role %s is not known", quote(m.Role))
	}
	return m
}

// inOrder refuses a line whose rank is less than that of the line before it.
func (w *words) inOrder(last *int, rank int) {
	if rank < *last {
		w.fail("is out of order")
	}
	*last = rank
}

// readWords reads a public list of the kind: each line's first word, and the others, go to line.
func readWords(data []byte, kind string, line func(w *words, word string)) error {
	w := words{kind: kind}
	for len(data) > 0 {
		w.number++
		text, rest, whole := bytes.Cut(data, []byte{'\n'})
		data = rest
		if !whole {
			w.fail("is cut short: it has no line feed")
		}
		if len(text) > maxListLine {
			w.fail("is longer than %d bytes", maxListLine)
		} else {
			w.rest = strings.Split(string(text), " ")
			w.take(line)
		}
		if w.err != nil {
			return fmt.Errorf("%s, line %d: %w", kind, w.number, w.err)
		}
	}
	if w.number == 0 {
		return fmt.Errorf("%s: is empty", kind)
	}
	return nil
}

// maxListLine is more than any line of a list has.
const maxListLine = 512

func (w *words) take(line func(w *words, word string)) {
	if w.number > 1 {
		line(w, w.next())
	} else if w.next() != "farshore" || w.next() != w.kind || w.next() != "1" {
		w.fail("does not say that this is a %s of version 1", w.kind)
	}
	if len(w.rest) > 0 {
		w.fail("has too many words")
	}
}

// DecodeList reads the stored bytes of a list.
func DecodeList(data []byte) (*List, error) {
	l := new(List)
	rank := 0
	err := readWords(data, kindList, func(w *words, word string) {
		if l.HasLive {
			l.liveLine(w, word, &rank)
		} else {
			l.sectionLine(w, word, &rank)
		}
	})
	if err != nil {
		return nil, err
	}
	return l, nil
}

func (l *List) sectionLine(w *words, word string, rank *int) {
	switch word {
	case "live":
		l.HasLive, *rank = true, 0
		return
	case "segment":
		l.Sections = append(l.Sections, ListSection{Segment: w.hash()})
		*rank = 0
		return
	}
	if len(l.Sections) == 0 {
		w.fail("stands before the first segment")
		return
	}
	s := &l.Sections[len(l.Sections)-1]
	refLine(w, word, rank, &s.Packs, &s.Meta)
}

// refLine reads a line with the word pack or meta.
func refLine(w *words, word string, rank *int, packs, meta *[]Ref) {
	switch word {
	case "pack":
		w.inOrder(rank, 1)
		*packs = append(*packs, w.ref())
	case "meta":
		w.inOrder(rank, 2)
		*meta = append(*meta, w.ref())
	default:
		w.fail("word %s is not known here", quote(word))
	}
}

func (l *List) liveLine(w *words, word string, rank *int) {
	switch word {
	case "segment":
		w.inOrder(rank, 1)
		l.Segments = append(l.Segments, w.liveSegment())
	case "meta":
		w.inOrder(rank, 2)
		l.Meta = append(l.Meta, w.liveMeta())
	case "page":
		w.inOrder(rank, 3)
		l.Pages = append(l.Pages, w.ref())
	default:
		w.fail("word %s is not known here", quote(word))
	}
}

// DecodeListPage reads the stored bytes of a page of a list.
func DecodeListPage(data []byte) (*ListPage, error) {
	var l List
	rank := 0
	err := readWords(data, kindListPage, func(w *words, word string) {
		l.liveLine(w, word, &rank)
		if n := len(l.Segments); word == "segment" && l.Segments[n-1].List.IsZero() {
			w.fail("names no list")
		}
		if word == "page" {
			w.fail("is a page in a page")
		}
	})
	if err != nil {
		return nil, err
	}
	return &ListPage{Segments: l.Segments, Meta: l.Meta}, nil
}

// DecodePruneList reads the stored bytes of a prune list.
func DecodePruneList(data []byte) (*PruneList, error) {
	l := new(PruneList)
	rank := 0
	err := readWords(data, kindPrune, func(w *words, word string) { refLine(w, word, &rank, &l.Packs, &l.Meta) })
	if err != nil {
		return nil, err
	}
	return l, nil
}

// DecodeRemapList reads the stored bytes of a remap list.
func DecodeRemapList(data []byte) (*RemapList, error) {
	l := new(RemapList)
	err := readWords(data, kindRemap, func(w *words, word string) {
		if word != "extent" {
			w.fail("word %s is not known here", quote(word))
			return
		}
		l.Moved = append(l.Moved, w.moved())
	})
	if err != nil {
		return nil, err
	}
	return l, nil
}

func (w *words) moved() (m Moved) {
	m.Pack = w.hash()
	m.Offset = w.int(0, maxRaw)
	m.Length = w.int(1, maxRaw)
	m.NewPack = w.hash()
	m.NewOffset = w.int(0, maxRaw)
	if w.err == nil && (m.Offset+m.Length > maxRaw || m.NewOffset+m.Length > maxRaw) {
		w.fail("%w", errors.New("offset and length do not lie in a pack"))
	}
	return m
}
