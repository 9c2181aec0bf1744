package main

import (
	"context"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestMeter(t *testing.T) {
	begin := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	m := &meter{label: "replicate", begin: begin, last: begin}
	plain := func(s string) string { return s }
	if got := m.line(begin, 80, plain); got != "replicate  0 items  0 B  0s" {
		t.Error(got)
	}
	m.totalItems, m.totalBytes = 1000, 1000<<20
	m.items, m.bytes = 250, 250<<20
	now := begin.Add(25 * time.Second)
	m.sample(now)
	if m.byteRate != 10<<20 || m.left() != 75*time.Second {
		t.Errorf("rate %f, left %s", m.byteRate, m.left())
	}
	want := "replicate  ━━━━━╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌  25%  250/1,000 items  250 MiB/1.0 GiB  10.0 MiB/s  1m15s left"
	if got := m.line(now, 120, plain); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := m.line(now, 40, plain); len(got) > 39 || !strings.HasPrefix(got, "replicate   25%") {
		t.Errorf("in 40 columns: %q", got)
	}
	if got := m.line(now, 0, plain); got != "" {
		t.Errorf("in 0 columns: %q", got)
	}
	m.sample(now.Add(time.Minute)) // nothing came
	if m.left() < 75*time.Second {
		t.Errorf("a stalled transfer has %s left", m.left())
	}
	m.items, m.bytes = 2000, 2000<<20
	if m.share() != 1 || strings.Contains(m.line(now, 80, plain), "left") {
		t.Error(m.line(now, 80, plain))
	}
}

// terminal makes an environment's stderr a terminal of 100 columns.
func terminal(e *env, vars map[string]string) {
	e.width = func() int { return 100 }
	e.getenv = func(k string) string { return vars[k] }
}

func TestBar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, _, stderr := testEnv(t)
		terminal(e, map[string]string{"TERM": "xterm"})
		p := e.follow("verify", nil)
		p.Total(10, 0)
		for range 5 {
			p.Add(1, 100)
			time.Sleep(time.Second)
		}
		p.Note("one %s", "thing")
		p.Done()
		p.Done()
		got := stderr.String()
		for _, want := range []string{clearLine + "one thing\n", "5/10 items", " B/s  ", "s left", "\x1b[36m━"} {
			if !strings.Contains(got, want) {
				t.Errorf("no %q in %q", want, got)
			}
		}
		if !strings.HasSuffix(got, clearLine) {
			t.Errorf("the bar stays: %q", got)
		}
	})
}

func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, _, stderr := testEnv(t)
		terminal(e, map[string]string{"TERM": "xterm"})
		n := int64(0)
		p := e.follow("replicate", func() (items, bytes, totalItems, totalBytes int64) {
			n++
			return n, 10 * n, 1000, 0
		})
		time.Sleep(2*refresh + refresh/2)
		p.Done()
		if got := stderr.String(); !strings.Contains(got, "1/1,000 items  10 B") || !strings.Contains(got, "2/1,000 items  20 B") {
			t.Errorf("%q", got)
		}
	})
}

func TestProgressIsQuiet(t *testing.T) {
	tests := []struct {
		name  string
		width int
		vars  map[string]string
		quiet bool
		want  string
	}{
		{"pipe", 0, map[string]string{"TERM": "xterm"}, false, "note\n"},
		{"dumb terminal", 80, map[string]string{"TERM": "dumb"}, false, "note\n"},
		{"no TERM", 80, nil, false, "note\n"},
		{"--quiet", 80, map[string]string{"TERM": "xterm"}, true, ""},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			e, _, stderr := testEnv(t)
			terminal(e, tt.vars)
			e.width = func() int { return tt.width }
			e.flags.quiet = tt.quiet
			p := e.follow("x", nil)
			p.Total(1, 1)
			p.Add(1, 1)
			time.Sleep(time.Minute)
			p.Note("note")
			p.Done()
			if stderr.String() != tt.want {
				t.Errorf("%s: %q", tt.name, stderr)
			}
		})
	}
}

func TestNoColour(t *testing.T) {
	e, _, _ := testEnv(t)
	terminal(e, map[string]string{"TERM": "xterm", "NO_COLOR": "1"})
	if got := e.paint(red, "x"); got != "x" {
		t.Errorf("%q", got)
	}
	terminal(e, map[string]string{"TERM": "xterm"})
	if got := e.paint(red, "x"); got != "\x1b[31mx\x1b[0m" {
		t.Errorf("%q", got)
	}
}

// TestSignals holds the first signal to end the context, and the second to end the process.
func TestSignals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, _, _ := testEnv(t)
		code := 0
		e.exit = func(c int) { code = c }
		signals, over := make(chan os.Signal, 2), make(chan struct{})
		ctx, cancel := context.WithCancelCause(t.Context())
		go watchSignals(e, signals, over, cancel)
		signals <- syscall.SIGTERM
		synctest.Wait()
		if context.Cause(ctx) != errInterrupted || code != 0 {
			t.Errorf("after one signal: %v, %d", context.Cause(ctx), code)
		}
		signals <- syscall.SIGINT
		synctest.Wait()
		if code != exitInterrupted {
			t.Errorf("after two signals: %d", code)
		}
	})
}
