package config

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"farshore/agent/daemon/schedule"
)

// Probe says when a daemon probes.
type Probe struct {
	// Schedule is when; Off for never.
	Schedule string
}

// Values where the file says nothing.
const (
	// DefaultSchedule costs a source without changes one listing an hour.
	DefaultSchedule = "1h"
	// DefaultProbeSchedule has another proof before the last one, which counts for a day, is over: then no pass has to make one. A probe leaves some 30 small objects for ever.
	DefaultProbeSchedule = "23h"
	DefaultTimezone      = "Local"
	// DefaultParallel keeps memory at a few passes' worth: each has up to 130 MiB of buffers under load.
	DefaultParallel = 4
)

const (
	// maxParallel bounds what a machine is asked to hold in memory.
	maxParallel = 32
	// maxJitter bounds jitter: what is put off for longer is a schedule of its own.
	maxJitter = day
	// maxSocket bounds the path of a Unix socket in bytes: the system takes 107, and a client may need some for a relative path.
	maxSocket = 100
	// maxInterval is the longest interval that a schedule has.
	maxInterval = 366 * day
)

const (
	runtimeDirectory = "RUNTIME_DIRECTORY"
	runDir           = "/run/farshore"
	socketName       = "farshore.sock"
)

// Zone is the time zone of schedules.
func (c *Config) Zone() *time.Location {
	if zone, err := time.LoadLocation(orText(c.Timezone, DefaultTimezone)); err == nil {
		return zone
	}
	return time.UTC // a name that the file's reading did not let pass
}

// ScheduleOf is when passes over the source are made, and the most that each is put off by: its own, or what the file says for all.
func (c *Config) ScheduleOf(s *Source) (schedule.Schedule, time.Duration) {
	return c.resolve(orText(s.Schedule, c.Schedule, DefaultSchedule), orText(s.Jitter, c.Jitter))
}

// ProbeSchedule is when the credential is probed, and the most that it is put off by.
func (c *Config) ProbeSchedule() (schedule.Schedule, time.Duration) {
	return c.resolve(orText(c.Probe.Schedule, DefaultProbeSchedule), c.Jitter)
}

// VerifySchedule is when audits are run, and the most that each is put off by.
func (c *Config) VerifySchedule() (schedule.Schedule, time.Duration) {
	return c.resolve(orText(c.Verify.Schedule, intervalText(DefaultVerifyEvery)), c.Jitter)
}

// resolve parses what the file's reading let pass.
func (c *Config) resolve(text, jitter string) (schedule.Schedule, time.Duration) {
	s, err := schedule.Parse(text, c.Zone())
	if err != nil {
		return schedule.Schedule{}, 0
	}
	if most, err := ParseDays(jitter); err == nil {
		return s, most
	}
	return s, s.DefaultJitter(time.Now())
}

// SocketPath is the path of the daemon's socket: that of the file; else farshore.sock in $RUNTIME_DIRECTORY where systemd gives one, in /run/farshore for a configuration in
// /etc/farshore, or in the directory of local state. It fails where the path is too long for a socket.
func (c *Config) SocketPath(getenv func(string) string) (string, error) {
	path := filepath.Join(c.State, socketName)
	// systemd lists all of a service's directories, with colons between them: the first is the unit's own.
	given, _, _ := strings.Cut(getenv(runtimeDirectory), ":")
	switch dir := filepath.Dir(c.Path); {
	case c.Socket != "":
		path = below(dir, c.Socket, "")
	case filepath.IsAbs(given):
		path = filepath.Join(given, socketName)
	case filepath.Clean(dir) == etcDir:
		path = filepath.Join(runDir, socketName)
	}
	return path, checkSocket(path)
}

// checkSocket accepts the path of a Unix socket.
func checkSocket(s string) error {
	if err := checkFile(s); err != nil {
		return err
	}
	if len(s) > maxSocket {
		return fmt.Errorf("the socket's path %s has %d bytes, and the system takes no more than %d: choose a shorter one with the key socket", s, len(s), maxSocket)
	}
	return nil
}

// orText is the first of the texts that says anything.
func orText(texts ...string) string {
	for _, s := range texts {
		if s != "" {
			return s
		}
	}
	return ""
}

// intervalText writes a time as a schedule that comes as often.
func intervalText(d time.Duration) string {
	return FormatDays(min(d, maxInterval).Truncate(time.Second))
}

// parseSchedule reads a schedule, and returns it as farshore writes it.
func parseSchedule(s string) (string, error) {
	parsed, err := schedule.Parse(s, time.UTC)
	if err != nil {
		return "", err
	}
	return parsed.String(), nil
}

const (
	// minProbe is the least time between two probes: each leaves some 30 small objects in the vault, where nobody may remove them.
	minProbe = time.Hour
	// probes is how many times of a schedule are looked at for the least time between two: those of a day of every minute.
	probes = 24 * 60
)

// parseProbeSchedule reads a schedule of probes.
func parseProbeSchedule(s string) (string, error) {
	parsed, err := schedule.Parse(s, time.UTC)
	if err != nil {
		return "", err
	}
	began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) // any time will do
	times := parsed.Upcoming(began, began, probes)
	for i := 1; i < len(times); i++ {
		if gap := times[i].Sub(times[i-1]); gap < minProbe {
			return "", fmt.Errorf("%q probes twice within %s: a probe leaves some 30 small objects in the vault, which stay, so that %s must lie between two", s, FormatDays(gap), FormatDays(minProbe))
		}
	}
	return parsed.String(), nil
}

// parseJitter reads the most that a run is put off by, and returns it as farshore writes it; 0 puts nothing off.
func parseJitter(s string) (string, error) {
	d, err := ParseDays(s)
	switch {
	case err != nil:
		return "", fmt.Errorf("%q is no time: write 90s, 5m, or 0 to put nothing off", s)
	case d > maxJitter:
		return "", fmt.Errorf("%q is more than %s: jitter spreads runs that are due at the same time", s, FormatDays(maxJitter))
	}
	return FormatDays(d), nil
}

func parseParallel(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > maxParallel {
		return 0, fmt.Errorf("%q is no whole number from 1 to %d", s, maxParallel)
	}
	return n, nil
}

// checkTimezone accepts a time zone's name.
func checkTimezone(s string) error {
	if _, err := time.LoadLocation(s); err != nil || s == "" {
		return fmt.Errorf("%q is no time zone: write a name such as Europe/Berlin, UTC, or Local for this machine's own", s)
	}
	return nil
}

func (p *parser) schedule(what string, dst *string) value {
	return number(p, what, dst, parseSchedule, scheduleShape)
}

func (p *parser) jitter(dst *string) value {
	return number(p, "jitter", dst, parseJitter, zeroDaysShape)
}
