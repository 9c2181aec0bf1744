package web

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"farshore/agent/units"
)

// Lengths, in characters, to which texts are cut.
const (
	maxName  = 80  // a source's name, an id
	maxPlace = 240 // an address or a path
	maxProse = 600 // an error, a reason, a hint
	maxBytes = 8192
)

// safe makes a name or an address harmless: no byte of it moves a cursor or turns the direction of what is beside it.
func safe(s string, most int) string { return middle(units.Printable(clip(s)), most) }

// prose makes a text of several words harmless, on one line.
func prose(s string) string {
	return middle(units.Shown(strings.Join(strings.Fields(clip(s)), " ")), maxProse)
}

// clip bounds what is looked at of a text.
func clip(s string) string { return s[:min(len(s), maxBytes)] }

// middle cuts a text to so many characters by leaving out its middle: beginning and end say the most.
func middle(s string, most int) string {
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	r := []rune(s)
	left := most * 2 / 3
	return string(r[:left]) + "…" + string(r[len(r)-(most-left-1):])
}

// proseList makes at most so many texts harmless, and says how many there are besides.
func proseList(list []string, most int) []string {
	var out []string
	for i, s := range list {
		if i == most {
			return append(out, fmt.Sprintf("… and %d more", len(list)-i))
		}
		out = append(out, capital(prose(s)))
	}
	return out
}

// capital makes the first letter of a sentence large, where it begins with a plain word: not that of an address, a path or a command.
func capital(s string) string {
	word, _, _ := strings.Cut(s, " ")
	word = strings.TrimRight(word, ",.;:")
	if word == "" || strings.Trim(word, "abcdefghijklmnopqrstuvwxyz-'") != "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// ended makes a text end with a full stop.
func ended(s string) string {
	if s == "" || strings.HasSuffix(s, "…") || strings.ContainsAny(s[len(s)-1:], ".!?:") {
		return s
	}
	return s + "."
}

// joined writes a list: a, b and c.
func joined(list []string) string {
	if len(list) < 2 {
		return strings.Join(list, "")
	}
	return strings.Join(list[:len(list)-1], ", ") + " and " + list[len(list)-1]
}

// span writes how long something is, in its two largest units: 12 s, 52 min, 2 h, 1 h 20 min, 3 d 4 h.
func span(d time.Duration) string {
	s := int64(max(d, 0).Round(time.Second) / time.Second)
	switch {
	case s >= 86400:
		return two(s/86400, "d", s%86400/3600, "h")
	case s >= 3600:
		return two(s/3600, "h", s%3600/60, "min")
	case s >= 300:
		return two(s/60, "min", 0, "")
	case s >= 60:
		return two(s/60, "min", s%60, "s")
	}
	return two(s, "s", 0, "")
}

func two(n int64, unit string, rest int64, next string) string {
	out := units.Count(n) + " " + unit
	if rest > 0 {
		out += " " + strconv.FormatInt(rest, 10) + " " + next
	}
	return out
}

// lasting writes a number of seconds.
func lasting(seconds float64) string {
	if math.IsNaN(seconds) || seconds < 0 {
		return "not known"
	}
	return span(time.Duration(min(seconds, 1e9) * float64(time.Second)))
}

// clock writes times for people: in the zone of the schedules, as seen from now.
type clock struct {
	now  time.Time
	zone *time.Location
}

// newClock takes the zone's name; UTC where this machine does not know it.
func newClock(now time.Time, zone string) clock {
	loc, err := time.LoadLocation(zone)
	if err != nil {
		loc = time.UTC
	}
	return clock{now.In(loc), loc}
}

// at writes a time to the minute: with the day where that is not today's, and the year where it is far.
func (c clock) at(t time.Time) string {
	t = t.In(c.zone)
	y, m, d := c.now.Date()
	for days, word := range map[int]string{-1: "yesterday ", 0: "", 1: "tomorrow "} {
		if ty, tm, td := time.Date(y, m, d+days, 12, 0, 0, 0, c.zone).Date(); ty == t.Year() && tm == t.Month() && td == t.Day() {
			return word + t.Format("15:04 MST")
		}
	}
	if away := t.Sub(c.now).Abs(); away > 300*24*time.Hour {
		return t.Format("2 Jan 2006 15:04 MST")
	}
	return t.Format("2 Jan 15:04 MST")
}

// dated writes a time to the minute with its date.
func (c clock) dated(t time.Time) string { return t.In(c.zone).Format("2006-01-02 15:04 MST") }

// exact writes a time to the second.
func (c clock) exact(t time.Time) string { return t.In(c.zone).Format("15:04:05 MST") }

// until writes when something that comes will be, and how long that is.
func (c clock) until(t time.Time) string {
	if d := t.Sub(c.now); d >= time.Minute {
		return c.at(t) + ", in " + span(d)
	}
	return c.at(t) + ", now"
}

// percent writes a share, from 0 to 1, in per cent, rounded down: 100 % is all of it.
func percent(share float64) string {
	switch {
	case math.IsNaN(share) || share < 0:
		return "an unknown share"
	case share > 0 && share < 0.001:
		return "< 0.1 %"
	}
	return strconv.FormatFloat(math.Floor(min(share, 1)*1000+1e-9)/10, 'f', -1, 64) + " %"
}
