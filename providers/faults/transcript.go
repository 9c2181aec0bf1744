package faults

import (
	"regexp"
	"slices"
	"strings"

	"farshore/providers"
)

// Transcript returns a line for each operation that has ended, in that order: its kind, name, arguments, and what became of it.
func (f *Faults) Transcript() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	lines := slices.Clone(f.lines)
	if f.short {
		for i := range lines {
			lines[i] = abbreviate(lines[i])
		}
	}
	return lines
}

func (f *Faults) record(op, name, note, result string) {
	words := []string{op}
	for _, w := range []string{name, note, result} {
		if w != "" {
			words = append(words, w)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lines = append(f.lines, strings.Join(words, " "))
}

// outcome is a result without what differs from run to run.
func outcome(err error) string {
	if err == nil {
		return "ok"
	}
	return providers.KindOf(err).String()
}

// hash is a SHA-256 or a random id as names have them.
var hash = regexp.MustCompile(`\b([0-9a-f]{4})(?:[0-9a-f]{28}|[0-9a-f]{60})\b`)

func abbreviate(line string) string { return hash.ReplaceAllString(line, "$1…") }
