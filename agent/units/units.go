// Package units writes numbers, durations and paths for people, the same everywhere: in the commands' output and in reports. It is pure.
package units

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Bytes writes a number of bytes with three digits or so: 850 B, 1.2 GiB.
func Bytes(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	f, unit := float64(n)/1024, 0
	for f >= 999.5 && unit < len("KMGTPE")-1 {
		f /= 1024
		unit++
	}
	return fmt.Sprintf("%s %ciB", short(f), "KMGTPE"[unit])
}

// short writes a number below 1000 with one digit behind the point where there are fewer than three before it.
func short(f float64) string {
	if f < 99.95 {
		return strconv.FormatFloat(f, 'f', 1, 64)
	}
	return strconv.FormatFloat(f, 'f', 0, 64)
}

// Rate writes bytes per second: 12.3 MiB/s.
func Rate(bytesPerSecond float64) string {
	return Bytes(int64(bytesPerSecond)) + "/s"
}

// Count writes a number with commas: 1,234,567.
func Count(n int64) string {
	s := strconv.FormatInt(n, 10)
	var b strings.Builder
	for i, r := range s {
		if i > 0 && s[i-1] != '-' && (len(s)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// Plural writes a number and a noun: 1 object, 2 objects, 2 repositories, 2 passes.
func Plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if stem, ok := strings.CutSuffix(noun, "ry"); ok {
		return Count(n) + " " + stem + "ries"
	}
	if strings.HasSuffix(noun, "s") {
		return Count(n) + " " + noun + "es"
	}
	return Count(n) + " " + noun + "s"
}

// Duration writes a duration in its two largest units: 12s, 3m20s, 1h02m, 3d04h.
func Duration(d time.Duration) string {
	s := int64(d.Round(time.Second) / time.Second)
	switch {
	case d < 0:
		return "0s"
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	case s < 86400:
		return fmt.Sprintf("%dh%02dm", s/3600, s%3600/60)
	}
	return fmt.Sprintf("%dd%02dh", s/86400, s%86400/3600)
}

// Printable writes a path so that no byte of it can move the cursor or look like another: control characters, bytes that are not UTF-8 and
// backslashes as escapes of the filter language (\x1b, \\).
func Printable(path string) string { return escaped(path, odd) }

// Shown writes a text so that no byte of it can move the cursor or turn the direction of what follows; lines stay lines, and backslashes what they are.
func Shown(text string) string {
	return escaped(text, func(r rune) bool { return r != '\n' && r != '\\' && odd(r) })
}

func escaped(text string, odd func(rune) bool) string {
	if !strings.ContainsFunc(text, odd) {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		switch {
		case !odd(r):
			b.WriteString(text[i : i+n])
		case r == '\\':
			b.WriteString(`\\`)
		default:
			for _, c := range []byte(text[i : i+n]) {
				fmt.Fprintf(&b, `\x%02x`, c)
			}
		}
		i += n
	}
	return b.String()
}

// odd reports whether a character needs an escape; bytes that are not UTF-8 arrive as utf8.RuneError.
func odd(r rune) bool {
	return r == '\\' || r == utf8.RuneError || !unicode.IsPrint(r)
}

// Span is a run of a text; Code ones are commands.
type Span struct {
	Text string
	Code bool
}

// Spans takes a text apart at its backticks. What a stranger put between some is shown in another type, and is harmless.
func Spans(s string) []Span {
	var out []Span
	for i, part := range strings.Split(s, "`") {
		if part != "" {
			out = append(out, Span{part, i%2 == 1})
		}
	}
	return out
}
