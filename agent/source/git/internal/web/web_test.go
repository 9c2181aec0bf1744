package web_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"farshore/agent/source/git/internal/web"
)

func TestClean(t *testing.T) {
	for said, want := range map[string]string{
		"plain": "plain", " two\nlines\t": "two lines", "bell\x07 and \x1b[31mred": "bell  and  [31mred", "bad \xff byte": "bad \ufffd byte",
		strings.Repeat("é", 201): strings.Repeat("é", 200) + "…", "": "",
	} {
		if got := web.Clean(said); got != want {
			t.Errorf("%q became %q", said, got)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"0": 0, "7": 7 * time.Second, "99999999999999": (1 << 30) * time.Second, "Sat, 21 Nov 2026 12:00:09 GMT": 9 * time.Second,
		"Sat, 21 Nov 2026 11:00:00 GMT": 0, "soon": 0, "-3": 0,
	} {
		if got, has := web.RetryAfter(value, now); got != want || !has {
			t.Errorf("%q: %s, %v", value, got, has)
		}
	}
	if _, has := web.RetryAfter("", now); has {
		t.Error("no header asks for time")
	}
}

func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		if err := web.Wait(t.Context(), time.Hour); err != nil || time.Since(begin) != time.Hour {
			t.Errorf("it waited %s: %v", time.Since(begin), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := web.Wait(ctx, time.Hour); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a context that ended: %v", err)
		}
	})
}
