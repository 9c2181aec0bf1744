package main

import (
	"strconv"
	"strings"
	"time"
)

// when is a point of a source's history: a commit's number, the last complete snapshot not later than a time, or the newest.
type when struct {
	Number int64
	Time   time.Time
}

// newest reports whether neither a number nor a time was given.
func (w when) newest() bool { return w.Number == 0 && w.Time.IsZero() }

// String writes it as parseWhen reads it, and "newest" for none.
func (w when) String() string {
	switch {
	case w.Number > 0:
		return strconv.FormatInt(w.Number, 10)
	case !w.Time.IsZero():
		return w.Time.Format(time.RFC3339Nano)
	}
	return "newest"
}

// parseWhen reads a WHEN of a command; empty is the newest.
func parseWhen(s string) (when, error) {
	if s == "" {
		return when{}, nil
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && n > 0 {
		return when{Number: n}, nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return when{}, usagef("%q is neither a commit's number nor a time", s).with("write 17, or 2026-11-21T19:10:54Z; `farshore snapshots` lists both")
	}
	return when{Time: t}, nil
}

// parseAt reads SOURCE[@WHEN].
func parseAt(s string) (source string, at when, err error) {
	source, text, found := strings.Cut(s, "@")
	if source == "" || (found && text == "") {
		return "", when{}, usagef("%q is no SOURCE[@WHEN]", s).with("write shop, shop@17 or shop@2026-11-21T19:10:54Z")
	}
	at, err = parseWhen(text)
	return source, at, err
}
