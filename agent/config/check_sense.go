package config

import (
	"slices"
	"strings"
	"time"

	"farshore/agent/daemon/schedule"
	"farshore/agent/tripwire"
)

// schedules looks for what never runs, and for promises that can't be kept.
func (k *checker) schedules() {
	probe, _ := k.c.ProbeSchedule()
	verify, _ := k.c.VerifySchedule()
	passes := slices.ContainsFunc(k.c.Sources, func(s Source) bool {
		when, _ := k.c.ScheduleOf(&s)
		return !when.Off()
	})
	switch {
	case len(k.c.Sources) == 0 || passes:
	case probe.Off() && verify.Off():
		k.note(in("schedule"), "every schedule is off: a daemon does nothing but what `farshore trigger` asks for")
	default:
		k.note(in("schedule"), "the schedule of every source is off: a daemon makes no pass but those that `farshore trigger` asks for")
	}
	k.audits(verify)
}

// audits holds the schedule of audits to what was promised of them.
func (k *checker) audits(when schedule.Schedule) {
	v, gap := &k.c.Verify, k.longest(when)
	switch {
	case when.Off() && v.Coverage > 0:
		k.note(in("verify", "coverage"), "every object is promised to be verified within %s, and no daemon runs an audit (verify.schedule is off): somebody else must", FormatDays(v.Coverage))
	case v.Coverage > 0 && gap > v.Coverage+changeOfClocks:
		k.note(in("verify", "schedule"), "audits are up to %s apart, and every object is promised to be verified within %s", short(gap), FormatDays(v.Coverage))
	case v.Coverage > 0 && gap > v.Every+changeOfClocks:
		k.note(in("verify", "schedule"), "audits are up to %s apart, and the promise is reckoned with one every %s: say so with every", short(gap), FormatDays(v.Every))
	}
}

// source looks at what a source says, and at what holds for all beside it.
func (k *checker) source(i int) {
	s, at := &k.c.Sources[i], in("sources", i)
	k.age(s, at)
	k.patterns(s, at)
	k.bounds(s, at)
	off := tripwire.Thresholds{}
	if common := k.c.TripwireOf(new(Source)); k.c.TripwireOf(s) == off && common != off {
		k.note(at.and("tripwire"), "every threshold of source %s is off: no change of it is ever suspicious", s.Name)
	}
	for j := range i {
		if other := &k.c.Sources[j]; s.URL != "" && other.URL == s.URL && slices.Equal(other.Include, s.Include) && slices.Equal(other.Exclude, s.Exclude) && slices.Equal(other.Repositories, s.Repositories) {
			k.note(at.and("url"), "source %s is what source %s is: everything is stored twice", s.Name, other.Name)
		}
	}
}

// age holds the schedule to how old a snapshot may be.
func (k *checker) age(s *Source, at spot) {
	when, jitter := k.c.ScheduleOf(s)
	gap, most := k.longest(when), k.c.GoalsOf(s).MaxAge
	spot := at.and("max_age")
	if s.Goals.MaxAge == 0 {
		spot = in("max_age")
	}
	switch {
	case most > 0 && when.Off():
		k.note(spot, "the newest snapshot of source %s may be %s old, and its schedule is off", s.Name, FormatDays(most))
	case most > 0 && most < gap+jitter:
		k.note(spot, "the newest snapshot of source %s may be %s old, and its passes are up to %s apart (schedule %s, jitter %s): it will be late", s.Name, FormatDays(most), short(gap+jitter), when, short(jitter))
	}
	if own := s.Jitter != "" || s.Schedule != ""; own && !when.Off() && jitter >= gap {
		k.note(at.and("jitter"), "a pass over source %s is put off by up to %s, which is no less than the %s between two", s.Name, short(jitter), short(gap))
	}
}

// patterns looks for those that leave nothing.
func (k *checker) patterns(s *Source, at spot) {
	for i, p := range s.Exclude {
		switch {
		case p == "**":
			k.note(at.and("exclude", i), "** excludes everything: source %s has no items", s.Name)
		case slices.Contains(s.Include, p):
			k.note(at.and("exclude", i), "%q is included and excluded: it is left out", p)
		}
	}
	for i, p := range s.Include {
		if strings.HasPrefix(p, "/") && s.RepositoryKind() == "" {
			k.note(at.and("include", i), "%q matches only keys that begin with a slash, which are rare", p)
		}
	}
}

// bounds looks for limits of a source beyond the common ones.
func (k *checker) bounds(s *Source, at spot) {
	for _, l := range []struct {
		key         string
		own, common int64
		text        func(int64) string
	}{
		{"upload", s.Limits.Upload, k.c.Limits.Upload, rateText}, {"download", s.Limits.Download, k.c.Limits.Download, rateText},
		{"requests", int64(s.Limits.Requests), int64(k.c.Limits.Requests), countText},
	} {
		if l.common > 0 && l.own > l.common {
			k.note(at.and("limits", l.key), "%s is more than limits.%s of all sources together, %s: that one holds", l.text(l.own), l.key, l.text(l.common))
		}
	}
}

// changeOfClocks is by how much a day in autumn is longer than others: that is nobody's mistake.
const changeOfClocks = time.Hour

// gaps is how many times of a schedule are looked at for the longest time between two: those of a week of every hour.
const gaps = 7 * 24

// longest is the longest time between two of a schedule's next times.
func (k *checker) longest(s schedule.Schedule) time.Duration {
	most := s.Period(k.now)
	times := s.Upcoming(k.now, k.now, gaps)
	for i := 1; i < len(times); i++ {
		most = max(most, times[i].Sub(times[i-1]))
	}
	return most
}

// short writes a time to the second.
func short(d time.Duration) string { return FormatDays(d.Round(time.Second)) }
