package config

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// Filter says which paths of a source belong to it: those that a pattern of include matches, or all when there is none, without
// those that a pattern of exclude matches.
//
// A pattern matches a whole path, byte by byte; nothing is normalised, and upper and lower case differ.
//
//   - any run of bytes without a slash, also none
//     **      any run of bytes, also none
//     ?       one byte that is no slash
//     /       at the pattern's end: everything below (photos/ is photos/**; photos\x2f is that one path)
//     \*      the byte *; so with \? and \\
//     \x2a    the byte with that hexadecimal value
//
// Everything else stands for itself. A Filter may be used concurrently.
type Filter struct {
	include, exclude []*pattern
}

// NewFilter compiles the patterns. Errors name the pattern.
func NewFilter(include, exclude []string) (*Filter, error) {
	f := &Filter{}
	var err error
	if f.include, err = compileAll(include); err != nil {
		return nil, fmt.Errorf("include: %w", err)
	}
	if f.exclude, err = compileAll(exclude); err != nil {
		return nil, fmt.Errorf("exclude: %w", err)
	}
	return f, nil
}

// Match reports whether the path belongs to the source. Its time is bounded by the lengths of path and patterns.
func (f *Filter) Match(path string) bool {
	return (len(f.include) == 0 || anyMatches(f.include, path)) && !anyMatches(f.exclude, path)
}

func anyMatches(all []*pattern, path string) bool {
	for _, p := range all {
		if p.match(path) {
			return true
		}
	}
	return false
}

// checkPattern accepts a pattern.
func checkPattern(s string) error {
	_, err := compile(s)
	return err
}

func compileAll(patterns []string) ([]*pattern, error) {
	var out []*pattern
	for _, s := range patterns {
		p, err := compile(s)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// maxPattern bounds a pattern's length in bytes: S3 keys have at most 1,024, each four bytes long as \x2a.
const maxPattern = 4096

// compile parses a pattern.
func compile(s string) (*pattern, error) {
	if s == "" {
		return nil, errors.New("an empty pattern matches nothing: leave it out, or write **")
	}
	if len(s) > maxPattern {
		return nil, fmt.Errorf("a pattern of %d bytes: at most %d", len(s), maxPattern)
	}
	tokens, err := scan(s)
	if err != nil {
		return nil, fmt.Errorf("pattern %q: %w", s, err)
	}
	if strings.HasSuffix(s, "/") {
		tokens = append(tokens, token{kind: anyRun})
	}
	return newPattern(tokens), nil
}

// kinds of tokens.
const (
	literal    = iota // one given byte
	oneByte           // one byte that is no slash
	segmentRun        // any run without a slash
	anyRun            // any run
)

type token struct {
	kind int
	b    byte
}

// scan splits a pattern into tokens.
func scan(s string) ([]token, error) {
	var out []token
	for s != "" {
		t, n, err := next(s)
		if err != nil {
			return nil, err
		}
		if wasRun := len(out) > 0 && out[len(out)-1].kind >= segmentRun; wasRun && t.kind >= segmentRun {
			return nil, errors.New("more than two stars in a row mean nothing: write * or **")
		}
		out, s = append(out, t), s[n:]
	}
	return out, nil
}

// next returns the first token of s and how many bytes it took.
func next(s string) (token, int, error) {
	switch {
	case strings.HasPrefix(s, "**"):
		return token{kind: anyRun}, 2, nil
	case s[0] == '*':
		return token{kind: segmentRun}, 1, nil
	case s[0] == '?':
		return token{kind: oneByte}, 1, nil
	case s[0] == '\\':
		return escape(s)
	}
	return token{literal, s[0]}, 1, nil
}

// escape returns the byte that a backslash sequence stands for.
func escape(s string) (token, int, error) {
	if len(s) >= 2 && strings.IndexByte(`*?\`, s[1]) >= 0 {
		return token{literal, s[1]}, 2, nil
	}
	if len(s) >= 4 && s[1] == 'x' {
		if b, err := hex.DecodeString(s[2:4]); err == nil {
			return token{literal, b[0]}, 4, nil
		}
	}
	return token{}, 0, errors.New(`behind a backslash stands *, ?, \ or x and two hexadecimal digits`)
}
