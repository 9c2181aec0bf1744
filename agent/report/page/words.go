package page

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"farshore/agent/units"
)

// Lengths, in characters, to which strings of a report are cut.
const (
	maxName  = 60  // a source's
	maxPath  = 240 // an item's
	maxProse = 600 // a text
)

// safe makes a name or path of a report safe to show.
func safe(s string, most int) string {
	return middle(units.Printable(clip(s)), most)
}

// prose makes a text of a report safe to show, on one line. Backslashes stay as they are: where a text has a path, it was escaped when the text was written.
func prose(s string) string {
	var b strings.Builder
	for _, r := range clip(s) {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			b.WriteByte(' ')
		case r == utf8.RuneError || !unicode.IsPrint(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return middle(strings.TrimSpace(b.String()), maxProse)
}

// clip bounds what is looked at of a string.
func clip(s string) string {
	const most = 1 << 16
	if len(s) > most {
		return s[:most]
	}
	return s
}

// middle cuts a string to so many characters by leaving out its middle: a path's beginning and end say the most.
func middle(s string, most int) string {
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	r := []rune(s)
	left := most * 2 / 3
	return string(r[:left]) + "…" + string(r[len(r)-(most-left-1):])
}

// short is the beginning of an id that is enough to tell it from others.
func short(id string) string {
	if r := []rune(safe(id, maxName)); len(r) > 12 {
		return string(r[:12])
	}
	return safe(id, maxName)
}

// when writes a time to the minute.
func when(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format("2006-01-02 15:04 UTC")
}

// day writes a date.
func day(t time.Time) string {
	return t.UTC().Format("2006-01-02")
}

// since writes how long before now a time was; now is the end of the audit.
func since(t, now time.Time) string {
	switch {
	case t.IsZero():
		return "never"
	case t.After(now):
		return "in the future"
	}
	return units.Duration(now.Sub(t))
}

// seconds writes a number of seconds as a duration.
func seconds(s float64) string {
	if math.IsNaN(s) || s < 0 {
		return "not known"
	}
	return units.Duration(time.Duration(min(s, float64(math.MaxInt64/int64(time.Second))-1) * float64(time.Second)))
}

// length is a number of seconds, negative ones as none.
func length(s int64) string { return seconds(float64(max(s, 0))) }

// share writes part of whole in per cent, rounded down: 100 % is all of it.
func share(part, whole int64) string {
	f := percent(part, whole)
	switch {
	case whole <= 0:
		return "none"
	case f > 0 && f < 0.1:
		return "< 0.1 %"
	}
	return strconv.FormatFloat(math.Floor(f*10+1e-9)/10, 'f', -1, 64) + " %"
}

// percent is part of whole, from 0 to 100; below 100 where part is not all of it.
func percent(part, whole int64) float64 {
	switch {
	case whole <= 0 || part <= 0:
		return 0
	case part >= whole:
		return 100
	}
	return min(float64(part)/float64(whole)*100, 99.9)
}

// upper writes a bound, from 0 to 1, in per cent with two digits that count, rounded up.
func upper(f float64) string {
	switch {
	case math.IsNaN(f) || f < 0:
		return "an unknown share"
	case f == 0:
		return "0 %"
	case f >= 1:
		return "100 %"
	}
	p := f * 100
	digits := 1 - int(math.Floor(math.Log10(p)))
	scale := math.Pow(10, float64(digits))
	p = math.Ceil(p*scale-1e-6) / scale
	return strconv.FormatFloat(min(p, 100), 'f', -1, 64) + " %"
}

// sum adds numbers of a stranger's without overflow; negative ones count as none.
func sum(list ...int64) int64 {
	var out int64
	for _, n := range list {
		n = max(n, 0)
		if out > math.MaxInt64-n {
			return math.MaxInt64
		}
		out += n
	}
	return out
}

// some writes a number and a noun, of which there may be unknown many.
func some(n int64, noun string) string {
	if n < 0 {
		return "an unknown number of " + strings.TrimPrefix(units.Plural(0, noun), "0 ")
	}
	return units.Plural(n, noun)
}

// of writes "n of m", with commas.
func of(n, m int64) string { return units.Count(n) + " of " + units.Count(m) }

// join writes a list: a, b and c.
func join(list []string) string {
	switch len(list) {
	case 0:
		return ""
	case 1:
		return list[0]
	}
	return strings.Join(list[:len(list)-1], ", ") + " and " + list[len(list)-1]
}

// capital makes the first letter of a sentence large.
func capital(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return s
	}
	return string(unicode.ToUpper(r)) + s[n:]
}

// ended makes a text end with a full stop.
func ended(s string) string {
	if s == "" || strings.HasSuffix(s, "…") || strings.ContainsAny(s[len(s)-1:], ".!?:") {
		return s
	}
	return s + "."
}
