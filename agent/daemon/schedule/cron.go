package schedule

import (
	"time"

	"github.com/robfig/cron/v3"
)

const (
	// allMinutes, allHours, allDays, allMonths and allWeekdays are the bits that mean something in a field.
	allMinutes  = 1<<60 - 1
	allHours    = 1<<24 - 1
	allDays     = 1<<32 - 2
	allMonths   = 1<<13 - 2
	allWeekdays = 1<<7 - 1

	// searches is how often the parser's own search is tried, each of which gives up after five years: 29 February is eight years away around a year such as 2100.
	searches = 2
	// longest is more years than lie between two times of any expression.
	longest = 10
	// maxPeriods bounds the periods of a time zone that are looked through for the next time: no zone changes its offset as often in eight years.
	maxPeriods = 200
)

// expression is a cron expression. It is asked in wall clock times, which are kept as times in UTC: there is no hour among them that comes twice, and none that is left out. What a zone's
// clock does with them is reckoned here.
type expression struct {
	spec *cron.SpecSchedule
	// hourly says that it names each hour of the day.
	hourly bool
}

func newExpression(spec *cron.SpecSchedule) *expression {
	spec.Location = time.UTC
	return &expression{spec: spec, hourly: spec.Hour&allHours == allHours}
}

// comes reports whether there is a time for it. An empty field would be looked for minute by minute.
func (e *expression) comes() bool {
	s := e.spec
	if s.Minute&allMinutes == 0 || s.Hour&allHours == 0 || s.Month&allMonths == 0 || s.Dom&allDays == 0 || s.Dow&allWeekdays == 0 {
		return false
	}
	return !e.wall(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero()
}

// wall is the first of its wall clock times after that one; the zero time where there is none.
func (e *expression) wall(t time.Time) time.Time {
	for range searches {
		if next := e.spec.Next(t); !next.IsZero() {
			return next
		}
		t = time.Date(t.Year()+5, 1, 1, 0, 0, 0, 0, time.UTC).Add(-time.Second)
	}
	return time.Time{}
}

// after is the first time after t at which the expression is due in a zone. It goes through the periods of the zone, from the one of t on.
func (e *expression) after(t time.Time, zone *time.Location) time.Time {
	p := periodOf(t, zone)
	from := p.wall(t)
	for range maxPeriods {
		if !e.hourly && from.Before(p.shown) {
			from = p.shown.Add(-time.Nanosecond)
		}
		due := e.wall(from)
		at := p.instant(due)
		if p.end.IsZero() || at.Before(p.end) {
			return at.In(zone)
		}
		jump := p.end
		p = periodOf(jump, zone)
		if due.Before(p.wall(jump)) {
			return jump // the clock skips it
		}
		from = p.wall(jump).Add(-time.Nanosecond)
	}
	return t.AddDate(longest, 0, 0) // for a zone that no clock has
}

// period is a time in which a zone's clock runs evenly. The next one need not differ.
type period struct {
	offset time.Duration
	// end is when the next one begins; zero where there is none.
	end time.Time
	// shown is up to where the clock came in the period before, where it was set back then; else the zero time.
	shown time.Time
}

// periodOf is the period in which t lies.
func periodOf(t time.Time, zone *time.Location) period {
	t = t.In(zone)
	start, end := t.ZoneBounds()
	if !end.IsZero() && !end.After(t) { // on the last day of a leap year the standard library names its beginning
		end = t.Truncate(day).Add(day)
	}
	p := period{offset: offsetOf(t), end: end}
	if start.IsZero() {
		return p
	}
	if before := (period{offset: offsetOf(start.Add(-time.Nanosecond))}); before.offset > p.offset {
		p.shown = before.wall(start)
	}
	return p
}

func offsetOf(t time.Time) time.Duration {
	_, seconds := t.Zone()
	return time.Duration(seconds) * time.Second
}

// wall is what the clock shows at t, as a time in UTC; instant is when it shows that.
func (p period) wall(t time.Time) time.Time    { return t.UTC().Add(p.offset) }
func (p period) instant(w time.Time) time.Time { return w.Add(-p.offset) }
