// Package web has what clients of strangers' servers share: their words made fit to be shown, and waiting as they ask to be
// left alone.
package web

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// maxWords is how many characters of a stranger's text are shown.
const maxWords = 200

// Clean makes a stranger's text fit to be shown: one line of at most 200 printable characters.
func Clean(s string) string {
	var b strings.Builder
	n := 0
	for _, r := range s {
		if n++; n > maxWords {
			return b.String() + "…"
		}
		if !unicode.IsPrint(r) {
			r = ' '
		}
		b.WriteRune(r)
	}
	return strings.TrimSpace(b.String())
}

// RetryAfter reads the value of a Retry-After header, which is seconds or a date (RFC 9110, section 10.2.3), and reports whether there is one. What can't be read
// asks for no time at all.
func RetryAfter(value string, now time.Time) (time.Duration, bool) {
	if value == "" {
		return 0, false
	}
	if n, err := strconv.ParseUint(value, 10, 64); err == nil {
		return time.Duration(min(n, 1<<30)) * time.Second, true
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, at.Sub(now)), true
	}
	return 0, true
}

// Wait waits, and no longer than the context lives, whose error it then returns.
func Wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
