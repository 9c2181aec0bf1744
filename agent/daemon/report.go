package daemon

import (
	"context"
	"log/slog"
	"strings"

	"farshore/agent/daemon/history"
	"farshore/agent/units"
)

// report says in one line of the log how a run ended: its numbers, and what went wrong.
func (d *Daemon) report(ctx context.Context, r *history.Run) {
	attrs := []slog.Attr{slog.String("job", r.Job), slog.Int("exit", r.Exit), slog.String("took", units.Duration(r.Ended.Sub(r.Started)))}
	if r.Stopped {
		attrs = append(attrs, slog.Bool("stopped", true))
	}
	attrs = append(attrs, numbers(r)...)
	for _, a := range []slog.Attr{slog.String("code", r.Code), slog.String("text", oneLine(r.Text)), slog.String("hint", oneLine(r.Hint))} {
		if a.Value.String() != "" {
			attrs = append(attrs, a)
		}
	}
	d.o.Logger.LogAttrs(ctx, levelOf(r), "ended", attrs...)
}

// levelOf is how much the end of a run matters.
func levelOf(r *history.Run) slog.Level {
	switch {
	case r.Exit == exitDamage:
		return slog.LevelError
	case r.Stopped, r.Exit == 0:
		return slog.LevelInfo
	case r.Exit == exitIncomplete:
		return slog.LevelWarn
	}
	return slog.LevelError
}

// numbers are those of a run, as far as it has any.
func numbers(r *history.Run) []slog.Attr {
	switch {
	case r.Pass != nil:
		return passNumbers(r.Pass)
	case r.Audit != nil:
		return []slog.Attr{slog.String("verdict", r.Audit.Verdict), slog.String("line", r.Audit.Line), slog.String("read", units.Bytes(r.Audit.ReadBytes)), slog.String("report", r.Audit.Report)}
	case r.Probe != nil:
		return []slog.Attr{slog.String("verdict", r.Probe.Verdict), slog.String("words", oneLine(r.Probe.Words))}
	}
	return nil
}

func passNumbers(p *history.Pass) []slog.Attr {
	if !p.Complete && p.Seq == 0 && p.Listed == 0 {
		return nil // it did not come to anything
	}
	attrs := []slog.Attr{
		slog.Bool("complete", p.Complete), slog.Int64("snapshot", p.Seq), slog.Int64("listed", p.Listed), slog.Int64("new", p.New), slog.Int64("changed", p.Changed), slog.Int64("deleted", p.Deleted),
		slog.Int64("unreadable", p.Unreadable), slog.String("read", units.Bytes(p.ReadBytes)), slog.String("stored", units.Bytes(p.StoredBytes)),
	}
	if !p.Complete {
		attrs = append(attrs, slog.Int64("left", p.LeftItems))
	}
	if len(p.Suspicious) > 0 {
		attrs = append(attrs, slog.String("suspicious", strings.Join(p.Suspicious, "; ")))
	}
	return attrs
}

// oneLine makes one line of several.
func oneLine(text string) string { return strings.ReplaceAll(strings.TrimSpace(text), "\n", "; ") }
