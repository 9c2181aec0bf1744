package svndump

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
)

const propsEnd = "PROPS-END"

// parseProps reads a block of properties: "K" with a name and "V" with a value, or "D" with a name that is removed.
func parseProps(b []byte) ([]Property, error) {
	var all []Property
	for len(b) > 0 {
		line, rest, ok := bytes.Cut(b, []byte("\n"))
		if !ok {
			return nil, errors.New("properties are cut off")
		}
		if string(line) == propsEnd {
			return all, trailing(rest)
		}
		p, after, err := parseProp(line, rest)
		if err != nil {
			return nil, err
		}
		all, b = append(all, p), after
	}
	if all == nil {
		return nil, nil
	}
	return nil, errors.New("properties have no end")
}

// trailing allows line feeds after the end, which some writers count in.
func trailing(rest []byte) error {
	if len(bytes.Trim(rest, "\n")) > 0 {
		return errors.New("bytes follow the end of properties")
	}
	return nil
}

func parseProp(line, rest []byte) (p Property, after []byte, err error) {
	p.Deleted = bytes.HasPrefix(line, []byte("D "))
	if !p.Deleted && !bytes.HasPrefix(line, []byte("K ")) {
		return p, nil, fmt.Errorf("%.40q is no property", line)
	}
	if p.Name, rest, err = counted(line[2:], rest); err != nil || p.Deleted {
		return p, rest, err
	}
	line, rest, ok := bytes.Cut(rest, []byte("\n"))
	if !ok || !bytes.HasPrefix(line, []byte("V ")) {
		return p, nil, fmt.Errorf("the property %.80q has no value", p.Name)
	}
	p.Value, rest, err = counted(line[2:], rest)
	return p, rest, err
}

// counted takes as many bytes as length says, and the line feed after them.
func counted(length, b []byte) (string, []byte, error) {
	n, err := number(string(length))
	if err != nil {
		return "", nil, err
	}
	if n >= int64(len(b)) || b[n] != '\n' {
		return "", nil, errors.New("a property is cut off")
	}
	return string(b[:n]), b[n+1:], nil
}

// AppendProps appends a block of properties, sorted by name.
func AppendProps(dst []byte, props []Property) []byte {
	for _, p := range sorted(props) {
		if p.Deleted {
			dst = fmt.Appendf(dst, "D %d\n%s\n", len(p.Name), p.Name)
			continue
		}
		dst = fmt.Appendf(dst, "K %d\n%s\nV %d\n%s\n", len(p.Name), p.Name, len(p.Value), p.Value)
	}
	return append(dst, propsEnd+"\n"...)
}

func sorted(props []Property) []Property {
	return slices.SortedStableFunc(slices.Values(props), func(a, b Property) int { return strings.Compare(a.Name, b.Name) })
}
