package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// day is what a d stands for: stores count retention in days of 24 hours.
const day = 24 * time.Hour

// maxLockLeft bounds min_lock_left: a hundred years, which is the longest retention that a store is known to take.
const maxLockLeft = 36500 * day

// ParseDays reads a time in days, such as 45d, or in what is smaller, such as 36h. It is not negative.
func ParseDays(s string) (time.Duration, error) {
	if n, ok := strings.CutSuffix(s, "d"); ok {
		days, err := strconv.ParseUint(n, 10, 32)
		if err != nil || days > uint64(math.MaxInt64/day) {
			return 0, fmt.Errorf("%q is no number of days: write 45d", s)
		}
		return time.Duration(days) * day, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is no time in days or hours: write 45d or 36h", s)
	}
	return d, nil
}

// FormatDays writes what ParseDays reads, in days where they are whole.
func FormatDays(d time.Duration) string {
	if d > 0 && d%day == 0 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	return formatDuration(d)
}

// parseLockLeft reads min_lock_left; 0 turns it off.
func parseLockLeft(s string) (time.Duration, error) {
	d, err := ParseDays(s)
	if err != nil {
		return 0, err
	}
	if d > maxLockLeft {
		return 0, fmt.Errorf("%q is more than %s", s, FormatDays(maxLockLeft))
	}
	return d, nil
}
