// Package schedule says when something that is done again and again is due. It is pure: it knows no clock but the times that it is given.
package schedule

import (
	"time"
)

// Schedule is when something is due: at the times of a cron expression, in intervals, or never by itself. The zero value is never. It never changes, and may be used concurrently.
type Schedule struct {
	text  string
	every time.Duration
	cron  *expression
	zone  *time.Location
}

// maxUpcoming bounds what Upcoming returns.
const maxUpcoming = 1000

// String returns the text that was parsed, with one space where it had several.
func (s Schedule) String() string {
	if s.text == "" {
		return off
	}
	return s.text
}

// Off reports whether it is never due by itself.
func (s Schedule) Off() bool { return s.every == 0 && s.cron == nil }

// Interval reports whether it is due in intervals, and not at times of the clock.
func (s Schedule) Interval() bool { return s.every > 0 }

// Equal reports whether both were written alike, for the same time zone.
func (s Schedule) Equal(other Schedule) bool {
	return s.String() == other.String() && s.zone.String() == other.zone.String()
}

// Next is the first time that it is due, given when it began last; zero: it never began, and is due now. A result that is not after now means due now: the interval since last is over, or a
// time of the expression lies between last and now and was missed. A last after now, which a clock that was set back leaves, counts as now. The result is after last, without a monotonic
// reading, and the zero time for what is off.
//
// An interval is of elapsed time, whatever the wall clock shows. A time of an expression that the wall clock skips is due when it jumps. One that the wall clock shows twice is due the first
// time alone, unless the expression names each hour of the day: then both.
func (s Schedule) Next(last, now time.Time) time.Time {
	last, now = last.Round(0), now.Round(0)
	switch {
	case s.Off():
		return time.Time{}
	case last.IsZero():
		return now
	case last.After(now):
		last = now
	}
	return s.after(last)
}

// after is the first time after t that it is due.
func (s Schedule) after(t time.Time) time.Time {
	if s.every > 0 {
		return t.Add(s.every)
	}
	return s.cron.after(t, s.zone)
}

// Period is about how long lies between two times that it is due: the interval, or what lies between the next two times of the expression; 0 for what is off.
func (s Schedule) Period(now time.Time) time.Duration {
	if s.cron == nil {
		return s.every
	}
	first := s.after(now.Round(0))
	return s.after(first).Sub(first)
}

// DefaultJitter is the jitter where nobody said another: a twentieth of the period, at most 5 minutes.
func (s Schedule) DefaultJitter(now time.Time) time.Duration {
	return min(s.Period(now)/20, 5*time.Minute)
}

// Upcoming returns the next n times that it is due, in order, where it began last at that time and each that is due is begun. The first is not before now. There are none for what is
// off; at most 1,000 are told. The slice is the caller's.
func (s Schedule) Upcoming(last, now time.Time, n int) []time.Time {
	if s.Off() || n <= 0 {
		return nil
	}
	next := s.Next(last, now)
	if now = now.Round(0); next.Before(now) {
		next = now
	}
	all := make([]time.Time, 0, min(n, maxUpcoming))
	for len(all) < cap(all) {
		all = append(all, next)
		next = s.after(next)
	}
	return all
}

// Jittered is the time put off by that share of the jitter: from 0 to less than 1 of it. The zero time, which is never, stays.
func Jittered(due time.Time, jitter time.Duration, share float64) time.Time {
	if due.IsZero() || jitter <= 0 || !(share > 0) {
		return due
	}
	return due.Add(time.Duration(min(share, 1) * float64(jitter)))
}
