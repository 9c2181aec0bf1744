package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Verify says what `farshore verify` may read, and what was promised of it. The zero value says nothing: the command has defaults.
type Verify struct {
	// Bytes, Duration and Share are the budget of a run, whichever ends first; 0 is none. Share is of what is stored, from 0 to 1.
	Bytes    int64
	Duration time.Duration
	Share    float64
	// Coverage is the promise that every object is verified within this time; 0 is none.
	Coverage time.Duration
	// Every is how often verify is run: what the promise is reckoned with.
	Every time.Duration
	// Schedule is when a daemon runs audits; Off for never.
	Schedule string
	// Scratch is the directory in which repositories are restored to be checked, as the file has it; "" the system's for temporary files.
	Scratch string
	// Ping is the URL of a dead man's switch that each run calls; "" for none.
	Ping Secret
}

// DefaultVerifyEvery is what a promise is reckoned with where the file does not say how often verify is run.
const DefaultVerifyEvery = 24 * time.Hour

// Goals say how old a source's newest complete snapshot may be, and how long a whole restore may take. Zero: nobody said.
type Goals struct {
	MaxAge       time.Duration
	RecoveryTime time.Duration
}

// GoalsOf returns the goals of a source: its own, and where it has none those of all.
func (c *Config) GoalsOf(s *Source) Goals {
	g := s.Goals
	if g.MaxAge == 0 {
		g.MaxAge = c.Goals.MaxAge
	}
	if g.RecoveryTime == 0 {
		g.RecoveryTime = c.Goals.RecoveryTime
	}
	return g
}

func (p *parser) verifyFields(v *Verify) []field {
	return []field{
		{"bytes", false, number(p, "verify.bytes", &v.Bytes, parseVerifyBytes, sizeShape), about{text: "What a run reads at most. Without bytes, duration and share: 1 % of what is stored, at least 1 GiB.", examples: examples("20GiB")}},
		{"duration", false, number(p, "verify.duration", &v.Duration, parseVerifyDuration, durationShape), about{text: "How long a run takes at most.", examples: examples("2h")}},
		{"share", false, number(p, "verify.share", &v.Share, ParseShare, shareShape), about{text: "What share of what is stored a run reads at most.", examples: examples("1%")}},
		{"coverage", false, number(p, "verify.coverage", &v.Coverage, parseGoal, daysShape), about{text: "A promise: every stored object is verified within this time. Reading costs egress.", examples: examples("90d")}},
		{"every", false, number(p, "verify.every", &v.Every, parseGoal, daysShape), about{text: "How often verify is run: what the promise is reckoned with.", fallback: FormatDays(DefaultVerifyEvery)}},
		{"schedule", false, p.schedule("verify.schedule", &v.Schedule), about{text: "When a daemon runs audits: an interval, a cron expression, or off. Without it: as often as every says.", examples: examples("1d", "30 2 * * *", Off)}},
		{"scratch", false, p.text("verify.scratch", &v.Scratch, checkDirectory), about{text: "The directory in which repositories are restored to be checked. Without it: the system's for temporary files.", examples: examples("/var/tmp")}},
		{"ping", false, p.secret("verify.ping", &v.Ping), about{text: "Where the address of a dead man's switch is that each audit calls.", examples: examples("env:FARSHORE_AUDIT_PING")}},
	}
}

// verify is the section, whose promise is held to how often it is looked after.
func (p *parser) verify(v *Verify) value {
	section := p.section("verify", p.verifyFields(v))
	return value{func(n *yaml.Node) {
		section.set(n)
		every := v.Every
		if every == 0 {
			every = DefaultVerifyEvery
		}
		if v.Coverage > 0 && v.Coverage < every {
			p.at(n, "verify.coverage is %s, and verify is run every %s only: it can't be kept", FormatDays(v.Coverage), FormatDays(every))
		}
	}, section.shape}
}

// maxGoal bounds times that are promised: a hundred years.
const maxGoal = 36500 * day

// parseGoal reads a time that is promised, in days or what is smaller.
func parseGoal(s string) (time.Duration, error) {
	d, err := ParseDays(s)
	if err != nil {
		return 0, err
	}
	if d < time.Minute || d > maxGoal {
		return 0, fmt.Errorf("%q is not from 1m to %s: leave the key out for no such promise", s, FormatDays(maxGoal))
	}
	return d, nil
}

// parseVerifyBytes reads a budget in bytes.
func parseVerifyBytes(s string) (int64, error) {
	n, err := ParseSize(s)
	if err == nil && n < 1 {
		err = fmt.Errorf("%q reads nothing: leave the key out for no such bound", s)
	}
	return n, err
}

// parseVerifyDuration reads a budget in time.
func parseVerifyDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < time.Second {
		return 0, fmt.Errorf("%q is no time from 1s on: write 90s, 45m or 6h", s)
	}
	return d, nil
}

// ParseShare reads a share such as 5% or 0.05, more than 0 and at most 1.
func ParseShare(s string) (float64, error) {
	text, percent := strings.CutSuffix(strings.TrimSpace(s), "%")
	f, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if percent {
		f /= 100
	}
	if err != nil || !(f > 0 && f <= 1) {
		return 0, fmt.Errorf("%q is no share: write 5%% or 0.05, more than 0 and at most 100%%", s)
	}
	return f, nil
}

// verifyLines are the keys of the section that say anything, and their values as text.
func verifyLines(v Verify) [][2]string {
	var out [][2]string
	add := func(key, value string, there bool) {
		if there {
			out = append(out, [2]string{key, value})
		}
	}
	add("bytes", FormatSize(v.Bytes), v.Bytes > 0)
	add("duration", formatDuration(v.Duration), v.Duration > 0)
	add("share", strconv.FormatFloat(v.Share, 'f', -1, 64), v.Share > 0)
	add("coverage", FormatDays(v.Coverage), v.Coverage > 0)
	add("every", FormatDays(v.Every), v.Every > 0)
	add("schedule", scalar(v.Schedule), v.Schedule != "")
	add("scratch", scalar(v.Scratch), v.Scratch != "")
	add("ping", scalar(v.Ping.shown()), v.Ping != "")
	return out
}

// FormatShare writes what ParseShare reads, in per cent.
func FormatShare(f float64) string { return strconv.FormatFloat(f*100, 'g', 6, 64) + "%" }
