package schedule

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

const (
	off = "off"

	day = 24 * time.Hour
	// minEvery and maxEvery bound intervals.
	minEvery = time.Minute
	maxEvery = 366 * day

	// maxText bounds what is parsed, in bytes: an expression that names each minute has less.
	maxText = 500

	forms = `write an interval such as 15m, 6h or 1d, a cron expression such as "17 3 * * *", one of @hourly, @daily, @weekly, @monthly and @yearly, or off`
)

// Parse reads a schedule:
//
//   - off
//   - an interval, from a minute to 366 days, of whole numbers with d, h, m and s, from the largest to the smallest: 15m, 1h30m, 7d. A day has 24 hours.
//   - a cron expression of five fields: minute, hour, day of the month, month, day of the week, in that time zone; or @hourly, @daily, @weekly, @monthly or @yearly. Where both days are
//     restricted, one of them is enough.
//
// A nil zone is UTC. An error says what to write instead.
func Parse(text string, zone *time.Location) (Schedule, error) {
	if zone == nil {
		zone = time.UTC
	}
	if len(text) > maxText {
		return Schedule{}, fmt.Errorf("a schedule of more than %d bytes: %s", maxText, forms)
	}
	text = strings.Join(strings.Fields(text), " ")
	s := Schedule{text: text, zone: zone}
	var err error
	switch {
	case text == off:
	case strings.HasPrefix(text, "@") || strings.Contains(text, " "):
		s.cron, err = parseCron(text)
	default:
		s.every, err = parseInterval(text)
	}
	if err != nil {
		return Schedule{}, fmt.Errorf("%q is no schedule: %w", text, err)
	}
	return s, nil
}

// parseInterval reads numbers with their units, each unit once, from the largest to the smallest.
func parseInterval(text string) (time.Duration, error) {
	var total time.Duration
	rest := text
	for _, unit := range []struct {
		letter string
		length time.Duration
	}{{"d", day}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}} {
		number, after, found := strings.Cut(rest, unit.letter)
		if !found {
			continue
		}
		n, err := strconv.ParseUint(number, 10, 32)
		if err != nil {
			return 0, errors.New(forms)
		}
		if n > uint64(maxEvery/unit.length) {
			return 0, errors.New("an interval is at most 366d long")
		}
		total, rest = total+time.Duration(n)*unit.length, after
	}
	switch {
	case rest != "" || text == "":
		return 0, errors.New(forms)
	case total < minEvery:
		return 0, errors.New("an interval is at least 1m long; write off for never")
	case total > maxEvery:
		return 0, errors.New("an interval is at most 366d long")
	}
	return total, nil
}

// parseCron reads an expression. What it returns comes again and again.
func parseCron(text string) (*expression, error) {
	switch {
	case strings.Contains(text, "="):
		return nil, errors.New("a time zone has a key of its own: write timezone: beside it, and five fields here")
	case strings.HasPrefix(text, "@every"):
		return nil, errors.New("write the interval alone, such as 15m")
	}
	parsed, err := cron.ParseStandard(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, forms)
	}
	spec, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return nil, errors.New(forms)
	}
	e := newExpression(spec)
	if !e.comes() {
		return nil, errors.New("it never comes: there is no such day, or a field that names nothing")
	}
	return e, nil
}
