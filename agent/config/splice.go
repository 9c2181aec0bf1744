package config

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// text is a file's bytes with the places of its lines.
type text struct {
	data []byte
	// starts are the offsets of the lines, and of the end.
	starts []int
	eol    string
}

func newText(data []byte) text {
	t := text{data: data, starts: []int{0}, eol: "\n"}
	for i, b := range data {
		if b == '\n' {
			t.starts = append(t.starts, i+1)
		}
	}
	if last := t.starts[len(t.starts)-1]; last < len(data) {
		t.starts = append(t.starts, len(data))
	}
	if bytes.Contains(data, []byte("\r\n")) {
		t.eol = "\r\n"
	}
	return t
}

// lines is the number of lines.
func (t *text) lines() int { return len(t.starts) - 1 }

// start is the offset of a line, counted from 1; behind the last it is the end.
func (t *text) start(line int) int { return t.starts[min(line-1, len(t.starts)-1)] }

// line returns a line without its end.
func (t *text) line(n int) string {
	return strings.TrimRight(string(t.data[t.start(n):t.start(n+1)]), "\r\n")
}

// end is the offset of the end of a line's text.
func (t *text) end(line int) int { return t.start(line) + len(t.line(line)) }

// offset is where a node begins; YAML counts columns in characters.
func (t *text) offset(n *yaml.Node) int {
	at := t.start(n.Line)
	for range n.Column - 1 {
		_, size := utf8.DecodeRune(t.data[at:])
		at += size
	}
	return at
}

// lastContent is the last line before the given one, not before first, that is neither blank nor a comment.
func (t *text) lastContent(first, before int) int {
	for line := before - 1; line > first; line-- {
		s := strings.TrimSpace(t.line(line))
		if s != "" && s[0] != '#' {
			return line
		}
	}
	return first
}

// splice replaces the bytes from start to end. The new text's line feeds become the file's own line ends.
func (t *text) splice(start, end int, with string) {
	with = strings.ReplaceAll(with, "\n", t.eol)
	*t = newText(slices.Concat(t.data[:start], []byte(with), t.data[end:]))
}

// lookup returns the key and value nodes of a key in a mapping and the line of the next key, 0 when it is the last.
func lookup(m *yaml.Node, name string) (key, value *yaml.Node, next int) {
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value != name {
			continue
		}
		if i+2 < len(m.Content) {
			next = m.Content[i+2].Line
		}
		return m.Content[i], m.Content[i+1], next
	}
	return nil, nil, 0
}

// block reports whether a node is written in lines, not in braces or brackets.
func block(n *yaml.Node) bool { return n.Style&yaml.FlowStyle == 0 }

// list returns the nodes of the sources and the line behind their section.
func (f *file) list() (key, value *yaml.Node, after int) {
	key, value, after = lookup(f.root, "sources")
	if after == 0 {
		after = f.text.lines() + 1
	}
	return key, value, after
}

// add writes a source behind the last.
func (f *file) add(s Source) error {
	key, value, after := f.list()
	switch {
	case !block(f.root):
		return errByHand
	case key == nil:
		f.append("\nsources:\n" + renderSource(s, 2))
	case len(value.Content) == 0:
		return f.first(key, value, s)
	case !block(value):
		return errByHand
	default:
		last := f.text.lastContent(value.Content[len(value.Content)-1].Line, after)
		f.insertBelow(last, renderSource(s, value.Column-1))
	}
	return nil
}

// append writes lines at the end of the file.
func (f *file) append(lines string) {
	if n := len(f.text.data); n > 0 && f.text.data[n-1] != '\n' {
		lines = "\n" + lines
	}
	f.text.splice(len(f.text.data), len(f.text.data), lines)
}

// insertBelow writes lines below a line, whether that has an end or not.
func (f *file) insertBelow(line int, lines string) {
	at := f.text.end(line)
	f.text.splice(at, at, "\n"+strings.TrimSuffix(lines, "\n"))
}

// first writes the first source of a list that is empty: no value, ~, or [] beside the key.
func (f *file) first(key, value *yaml.Node, s Source) error {
	written := value.Kind == yaml.SequenceNode || value.Value != ""
	if written && value.Line != key.Line {
		return errByHand
	}
	end := f.text.end(key.Line)
	f.insertBelow(key.Line, renderSource(s, key.Column+1))
	if !written {
		return nil
	}
	start := f.text.offset(value)
	size := len(value.Value)
	if value.Kind == yaml.SequenceNode {
		size = 1 + bytes.IndexByte(f.text.data[start:end], ']')
	}
	if size == 0 {
		return errByHand
	}
	behind := start + size
	for f.text.data[start-1] == ' ' {
		start--
	}
	f.text.splice(start, behind, "")
	return nil
}

// remove takes the source of that number out.
func (f *file) remove(i int) error {
	key, value, after := f.list()
	if !block(f.root) || !block(value) {
		return errByHand
	}
	next := after
	if i+1 < len(value.Content) {
		next = f.dash(value, i+1)
	}
	first := f.dash(value, i)
	last := f.text.lastContent(max(first, value.Content[i].Line), next)
	first = f.comment(first, key.Line, value.Column-1)
	for f.blank(first-1) && f.blank(last+1) {
		last++
	}
	f.text.splice(f.text.start(first), f.text.start(last+1), "")
	if len(value.Content) == 1 {
		colon := f.text.offset(key)
		colon += bytes.IndexByte(f.text.data[colon:], ':')
		f.text.splice(colon+1, colon+1, " []")
	}
	return nil
}

// dash is the line of the dash before item i of a list: the item's own, or one above it.
func (f *file) dash(list *yaml.Node, i int) int {
	for line := list.Content[i].Line; line > 1; line-- {
		s := f.text.line(line)
		if len(s) >= list.Column && s[list.Column-1] == '-' && strings.TrimSpace(s[:list.Column-1]) == "" {
			return line
		}
	}
	return list.Content[i].Line
}

// comment is the first of the comment lines directly above a line, at the same indentation; the line itself when there are none or when they
// follow the line of the list's key.
func (f *file) comment(line, key, indent int) int {
	first := line
	for first > key+1 && strings.HasPrefix(f.text.line(first-1), strings.Repeat(" ", indent)+"#") {
		first--
	}
	if first == key+1 {
		return line
	}
	return first
}

// blank reports whether a line is there and has nothing on it.
func (f *file) blank(line int) bool {
	return line >= 1 && line <= f.text.lines() && strings.TrimSpace(f.text.line(line)) == ""
}
