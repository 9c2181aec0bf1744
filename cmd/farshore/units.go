package main

import (
	"strings"
	"time"
	"unicode/utf8"

	"farshore/agent/units"
)

// formatBytes writes a number of bytes with three digits or so: 850 B, 1.2 GiB.
func formatBytes(n int64) string { return units.Bytes(n) }

// formatRate writes bytes per second: 12.3 MiB/s.
func formatRate(bytesPerSecond float64) string { return units.Rate(bytesPerSecond) }

// formatCount writes a number with commas: 1,234,567.
func formatCount(n int64) string { return units.Count(n) }

// plural writes a number and a noun: 1 object, 2 objects, 2 repositories.
func plural(n int64, noun string) string { return units.Plural(n, noun) }

// formatDuration writes a duration in its two largest units: 12s, 3m20s, 1h02m, 3d04h.
func formatDuration(d time.Duration) string { return units.Duration(d) }

// printable writes a path so that no byte of it can move the cursor or look like another.
func printable(path string) string { return units.Printable(path) }

// shown is a text of which no character can move the cursor or turn the direction of what follows: those that are not printed are escaped, and lines stay lines. What a store or a source
// is called, or says, may have any.
func shown(text string) string { return units.Shown(text) }

// clean is a text as shown, on one line.
func clean(text string) string { return strings.ReplaceAll(shown(text), "\n", " ") }

// pathJSON is a path in JSON, as docs/format.md has it: base64 where it is not UTF-8.
type pathJSON struct {
	Path   string `json:"path,omitempty"`
	Path64 []byte `json:"path64,omitempty"`
}

// jsonPath returns a path for JSON.
func jsonPath(path string) pathJSON {
	if utf8.ValidString(path) {
		return pathJSON{Path: path}
	}
	return pathJSON{Path64: []byte(path)}
}
