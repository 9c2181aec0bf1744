package main

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// rateWindow is how far back the shown rate looks, roughly: long enough to be read, short enough to follow a change.
const rateWindow = 10 * time.Second

// meter knows how far a long command is and how fast. Not for concurrent use.
type meter struct {
	label                  string
	items, bytes           int64
	totalItems, totalBytes int64
	begin, last            time.Time
	lastItems, lastBytes   int64
	// itemRate and byteRate are exponentially weighted, per second. They are ready once they cover a second.
	itemRate, byteRate float64
	ready              bool
}

// sample brings the rates up to the time now.
func (m *meter) sample(now time.Time) {
	dt := now.Sub(m.last)
	if dt < time.Second {
		return
	}
	items, bytes := float64(m.items-m.lastItems)/dt.Seconds(), float64(m.bytes-m.lastBytes)/dt.Seconds()
	weight := 1 - math.Exp(-dt.Seconds()/rateWindow.Seconds())
	if !m.ready {
		weight = 1
	}
	m.itemRate += weight * (items - m.itemRate)
	m.byteRate += weight * (bytes - m.byteRate)
	m.ready, m.last, m.lastItems, m.lastBytes = true, now, m.items, m.bytes
}

// share is how much is done, from 0 to 1, by bytes where their total is known; negative when nothing is known.
func (m *meter) share() float64 {
	switch {
	case m.totalBytes > 0:
		return min(1, float64(m.bytes)/float64(m.totalBytes))
	case m.totalItems > 0:
		return min(1, float64(m.items)/float64(m.totalItems))
	}
	return -1
}

// left is how long the rest takes at the present rates; negative when that is not known. The slower of items and bytes decides.
func (m *meter) left() time.Duration {
	if !m.ready || m.share() < 0 {
		return -1
	}
	longest := 0.0
	for _, one := range []struct{ rest, rate float64 }{
		{float64(m.totalBytes - m.bytes), m.byteRate},
		{float64(m.totalItems - m.items), m.itemRate},
	} {
		if one.rest <= 0 {
			continue
		}
		if one.rate <= 0 {
			return -1
		}
		longest = max(longest, one.rest/one.rate)
	}
	if longest > (1000 * time.Hour).Seconds() {
		return -1
	}
	return time.Duration(longest * float64(time.Second))
}

// barWidth is the number of characters of the bar itself.
const barWidth = 20

// line writes one line of at most width columns.
func (m *meter) line(now time.Time, width int, paint func(string) string) string {
	parts := []string{m.label}
	if share := m.share(); share >= 0 {
		parts = append(parts, fmt.Sprintf("%3.0f%%", math.Floor(share*100)))
	}
	parts = append(parts, of(formatCount(m.items), formatCount(m.totalItems), m.totalItems)+" items", of(formatBytes(m.bytes), formatBytes(m.totalBytes), m.totalBytes))
	if m.ready {
		parts = append(parts, formatRate(m.byteRate))
	}
	if left := m.left(); left >= 0 && m.share() < 1 {
		parts = append(parts, formatDuration(left)+" left")
	} else {
		parts = append(parts, formatDuration(now.Sub(m.begin)))
	}
	text := strings.Join(parts, "  ")
	if share := m.share(); share >= 0 && len(text)+barWidth+2 < width {
		full := int(share * barWidth)
		return parts[0] + "  " + paint(strings.Repeat("━", full)) + strings.Repeat("╌", barWidth-full) + " " + strings.Join(parts[1:], "  ")
	}
	return text[:min(len(text), max(0, width-1))]
}

// of writes "1 of 2" where the total is known.
func of(done, total string, n int64) string {
	if n <= 0 {
		return done
	}
	return done + "/" + total
}
