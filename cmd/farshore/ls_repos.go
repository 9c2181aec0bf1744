package main

import (
	"strings"

	"farshore/agent/record"
)

// lister hands items on, those of a repository together where people read them.
type lister struct {
	r        *lsResult
	emit     func(result) error
	together bool
	// path is that of the repository that was last seen, held are its items.
	path string
	held lsRepository
}

// add takes the next item, in the order of paths.
func (l *lister) add(i lsItem) error {
	l.r.Count++
	l.r.Bytes += i.Size
	if i.Kind == "" {
		return l.emit(i)
	}
	if l.r.Repositories == 0 || l.path != i.path {
		l.r.Repositories++
		if err := l.flush(); err != nil {
			return err
		}
	}
	l.path = i.path
	if !l.together {
		return l.emit(i)
	}
	l.held = append(l.held, i)
	return nil
}

// flush hands on what is held.
func (l *lister) flush() error {
	if len(l.held) == 0 {
		return nil
	}
	held := l.held
	l.held = nil
	return l.emit(held)
}

// lsRepository is a repository's items, which people see as one line.
type lsRepository []lsItem

func (l lsRepository) text(p *printer) {
	var size int64
	var holds []string
	first := l[0]
	for _, i := range l {
		size += i.Size
		if isMain(i.Kind) {
			first = i
			holds = append([]string{joinedBy(" ", i.Kind, i.About)}, holds...)
		} else if i.About != "" {
			holds = append(holds, i.About)
		}
	}
	p.line("%12s  %-20s  %s  [%s]%s", formatCount(size), toTheSecond(first.Modified), printable(first.path), strings.Join(holds, ", "), l.troubles())
}

// troubles says what of a repository could not be captured, each once.
func (l lsRepository) troubles() string {
	out := ""
	seen := map[string]bool{}
	for _, main := range []bool{true, false} {
		for _, i := range l {
			if isMain(i.Kind) != main {
				continue
			}
			if i.Reason != "" && !seen[i.Reason] {
				seen[i.Reason] = true
				out += "  (" + joined(i.State+": "+i.Reason, lines(i.Detail)) + ")"
			}
			if i.Omitted != "" {
				out += "  (incomplete: " + lines(i.Omitted) + ")"
			}
		}
	}
	return out
}

// about says in a few words what a repository's record of that kind holds, "" for nothing.
func about(kind string, rec *record.Record) string {
	switch {
	case rec.Attrs["count"] == "1":
		return "1 ref"
	case rec.Attrs["count"] != "":
		return rec.Attrs["count"] + " refs"
	case rec.Attrs["youngest"] != "":
		return "revision " + rec.Attrs["youngest"]
	case len(rec.Parts) == 0:
		return ""
	case kind == record.KindLFS:
		return plural(int64(len(rec.Parts)), "large file")
	case kind == record.KindSidecar && len(rec.Parts) == 1:
		return "1 file beside it"
	case kind == record.KindSidecar:
		return plural(int64(len(rec.Parts)), "file") + " beside it"
	}
	return ""
}

// joinedBy joins what is not empty.
func joinedBy(sep string, words ...string) string {
	var out []string
	for _, w := range words {
		if w != "" {
			out = append(out, w)
		}
	}
	return strings.Join(out, sep)
}
