package audit

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"time"

	"farshore/agent/record"
	"farshore/agent/report"
)

const (
	// leastBytes is the least that a run reads where nobody says how much: of a small vault that is all of it.
	leastBytes = 1 << 30
	// defaultShare is how much of what is stored it reads else.
	defaultShare = 0.01
	// defaultWorkers is how many objects are read at a time.
	defaultWorkers = 6
	day            = 24 * time.Hour
)

func (o Options) withDefaults() Options {
	if o.Workers <= 0 {
		o.Workers = defaultWorkers
	}
	if o.Every <= 0 {
		o.Every = day
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Progress == nil {
		o.Progress = new(Progress)
	}
	return o
}

// budget puts the options into the numbers that the report states, and that everything is reckoned with from then on.
func (o Options) budget(stored int64) report.Budget {
	b := report.Budget{Bytes: max(o.Bytes, 0), Seconds: int64(math.Ceil(max(o.Duration, 0).Seconds())), EverySeconds: max(1, int64(o.Every/time.Second))}
	if o.Coverage > 0 {
		b.CoverageDays = max(1, int64(o.Coverage/day))
	}
	share := o.Share
	if b.Bytes == 0 && b.Seconds == 0 && share <= 0 {
		share, b.Bytes = 0, max(leastBytes, int64(math.Ceil(float64(stored)*defaultShare)))
	}
	if share > 0 && share < 1 {
		n := max(1, int64(math.Ceil(float64(stored)*share)))
		if b.Bytes == 0 || n < b.Bytes {
			b.Bytes = n
		}
	}
	return b
}

// promise and every are the budget's as durations.
func promise(b report.Budget) time.Duration { return days(b.CoverageDays) }
func every(b report.Budget) time.Duration   { return seconds(b.EverySeconds) }

// days is so many days, or the longest duration.
func days(n int64) time.Duration { return scaled(n, day) }

func seconds(n int64) time.Duration { return scaled(n, time.Second) }

func scaled(n int64, unit time.Duration) time.Duration {
	if n > int64(math.MaxInt64/unit) {
		return math.MaxInt64
	}
	return time.Duration(n) * unit
}

// maxBehind is how far the clock may be behind the signer's last report: as far as clocks are set and drift.
const maxBehind = time.Hour

// ErrClock says that the signer's last report bears a time that this clock has not come to.
var ErrClock = errors.New("the clock is behind the last report of this key")

// clock tells the time of reports, which never goes backwards along a signer's, and how long the run has taken, which no step of the clock changes where its readings are
// monotonic.
type clock struct {
	now     func() time.Time
	started time.Time
	floor   time.Time
}

func newClock(now func() time.Time) clock { return clock{now: now, started: now()} }

// wall is the time for what is written.
func (c *clock) wall() time.Time {
	t := c.now().Round(0).UTC()
	if t.Before(c.floor) {
		return c.floor
	}
	c.floor = t
	return t
}

// elapsed is how long the run has taken.
func (c *clock) elapsed() time.Duration { return max(0, c.now().Sub(c.started)) }

// behind holds the clock to the time of an earlier report, which has that name, or "".
func (c *clock) behind(last time.Time, name string) error {
	now := c.now().UTC()
	if last.Sub(now) > maxBehind {
		return fmt.Errorf("%w: %s bears the time %s, and the clock says %s. Until then no other report of this key counts. If the clock is wrong, set it. Otherwise it was "+
			"wrong once, or somebody else has the key: have the owner take it out of force and name another key, or wait. Passes of replication, and the reports of other keys, go on as ever",
			ErrClock, cmp.Or(name, "it"), record.FormatTime(last), record.FormatTime(now))
	}
	if last.After(c.floor) {
		c.floor = last.Round(0).UTC()
	}
	return nil
}
