package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"strings"
	"sync"

	"farshore/agent/units"
)

// newLogger writes what the daemon says. Under systemd the journal has the time of each line, and its own priorities: what begins with <N> has that one.
func newLogger(w io.Writer, format string, journal, verbose bool) *slog.Logger {
	o := &slog.HandlerOptions{Level: slog.LevelInfo}
	if verbose {
		o.Level = slog.LevelDebug
	}
	if journal {
		o.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}
	}
	if format == formatJSON {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	h := slog.Handler(slog.NewTextHandler(w, o))
	if journal {
		h = &priorities{Handler: slog.NewTextHandler(w, o), w: w, mu: new(sync.Mutex)}
	}
	return slog.New(h)
}

// priorities writes before each line which priority it has in the journal (sd-daemon(3)).
type priorities struct {
	slog.Handler
	w  io.Writer
	mu *sync.Mutex
}

// Handle implements slog.Handler.
func (p *priorities) Handle(ctx context.Context, r slog.Record) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	mark := "<6>"
	switch {
	case r.Level >= slog.LevelError:
		mark = "<3>"
	case r.Level >= slog.LevelWarn:
		mark = "<4>"
	case r.Level < slog.LevelInfo:
		mark = "<7>"
	}
	if _, err := io.WriteString(p.w, mark); err != nil {
		return err
	}
	return p.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (p *priorities) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &priorities{p.Handler.WithAttrs(attrs), p.w, p.mu}
}

// WithGroup implements slog.Handler.
func (p *priorities) WithGroup(name string) slog.Handler {
	return &priorities{p.Handler.WithGroup(name), p.w, p.mu}
}

// maxLogLine bounds a line that a command wrote, in bytes.
const maxLogLine = 8 << 10

// logLines is a stderr for commands that the daemon runs: each line that they write becomes a line of the log. It may be used concurrently.
type logLines struct {
	log  *slog.Logger
	mu   sync.Mutex
	rest []byte
}

// Write implements io.Writer. It never fails.
func (l *logLines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest = append(l.rest, b...)
	for {
		line, rest, found := bytes.Cut(l.rest, []byte("\n"))
		if !found && len(l.rest) < maxLogLine {
			return len(b), nil
		}
		if !found {
			line, rest = l.rest[:maxLogLine], l.rest[maxLogLine:]
		}
		text := string(line)
		l.rest = append(l.rest[:0], rest...)
		l.say(text)
	}
}

// say logs a line at the level that its beginning means.
func (l *logLines) say(line string) {
	line = strings.TrimSpace(line)
	if line == "" {
		return
	}
	if text, ok := strings.CutPrefix(line, "warning: "); ok {
		l.log.Warn(units.Printable(text))
		return
	}
	l.log.Info(units.Printable(line))
}
