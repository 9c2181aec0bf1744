package schedule

import (
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"
)

func mustParse(t testing.TB, text, zone string) Schedule {
	t.Helper()
	s, err := Parse(text, location(t, zone))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func location(t testing.TB, name string) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func at(t testing.TB, text string) time.Time {
	t.Helper()
	when, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t.Fatal(err)
	}
	return when
}

func TestParse(t *testing.T) {
	for text, period := range map[string]time.Duration{
		"off":                  0,
		" off\n":               0,
		"1m":                   time.Minute,
		"90s":                  90 * time.Second,
		"15m":                  15 * time.Minute,
		"1h30m":                90 * time.Minute,
		"1d":                   day,
		"1d12h":                36 * time.Hour,
		"366d":                 366 * day,
		"0d1h":                 time.Hour,
		"17 3 * * *":           day,
		"*/15  * * * *":        15 * time.Minute,
		"0 4 * * MON":          7 * day,
		"0 4 1 jan-dec *":      31 * day,
		"0 4 ? * 1-5":          day,
		"@hourly":              time.Hour,
		"@daily":               day,
		"@weekly":              7 * day,
		"@monthly":             31 * day,
		"@yearly":              365 * day,
		"0 0 29 2 *":           (4*365 + 1) * day,
		"0-59/20 1-23/2 * * *": 20 * time.Minute,
	} {
		s, err := Parse(text, nil)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got := s.Period(at(t, "2026-07-02T00:30:00Z")); got != period {
			t.Errorf("%q has a period of %s, and not of %s", text, got, period)
		}
		if s.Off() != (period == 0) || s.Interval() != !strings.ContainsAny(text, " @o") {
			t.Errorf("%q: off %v, interval %v", text, s.Off(), s.Interval())
		}
		again, err := Parse(s.String(), nil)
		if err != nil || again.String() != s.String() || !again.Equal(s) {
			t.Errorf("%q becomes %q: %v", s, again, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                               "write an interval",
		" ":                              "write an interval",
		"never":                          "write an interval",
		"Off":                            "write an interval",
		"15":                             "write an interval",
		"m":                              "write an interval",
		"-5m":                            "write an interval",
		"+5m":                            "write an interval",
		"1.5h":                           "write an interval",
		"30m1h":                          "write an interval",
		"1h1h":                           "write an interval",
		"1w":                             "write an interval",
		"100ms":                          "write an interval",
		"59s":                            "at least 1m",
		"0d":                             "at least 1m",
		"367d":                           "at most 366d",
		"366d1s":                         "at most 366d",
		"4000000000d":                    "at most 366d",
		"99999999999999999999d":          "write an interval",
		"@every 5m":                      "write the interval alone",
		"@reboot":                        "write an interval",
		"* * * *":                        "write an interval",
		"0 0 3 * * *":                    "write an interval",
		"60 3 * * *":                     "write an interval",
		"*/0 3 * * *":                    "write an interval",
		"TZ=UTC 0 3 * * *":               "timezone",
		"CRON_TZ=UTC 0 3 * * *":          "timezone",
		" TZ=Europe/Berlin 0 3 * * *":    "timezone",
		"TZ=UTC":                         "write an interval",
		"0 0 30 2 *":                     "never comes",
		"0 0 31 4,6,9,11 *":              "never comes",
		", * * * *":                      "never comes",
		"0 , * * *":                      "never comes",
		"0 0 , * *":                      "never comes",
		"0 0 * , *":                      "never comes",
		"0 0 * * ,":                      "never comes",
		strings.Repeat("0,", 300) + " *": "more than 500 bytes",
	} {
		began := time.Now()
		s, err := Parse(text, time.UTC)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, and not an error with %q", text, err, want)
		}
		if !s.Off() || s.String() != "off" {
			t.Errorf("%q is refused, and left %q", text, s)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%q took %s", text, took)
		}
	}
}

func TestNext(t *testing.T) {
	for _, c := range []struct{ text, zone, last, now, want string }{
		{"off", "UTC", "", "2026-05-04T10:00:00Z", ""},
		{"off", "UTC", "2026-05-04T09:00:00Z", "2026-05-04T10:00:00Z", ""},
		{"1h", "UTC", "", "2026-05-04T10:00:00Z", "2026-05-04T10:00:00Z"},
		{"1h", "UTC", "2026-05-04T09:30:00.5Z", "2026-05-04T10:00:00Z", "2026-05-04T10:30:00.5Z"},
		{"1h", "UTC", "2026-05-01T09:30:00Z", "2026-05-04T10:00:00Z", "2026-05-01T10:30:00Z"},
		{"1h", "UTC", "2027-05-01T09:30:00Z", "2026-05-04T10:00:00Z", "2026-05-04T11:00:00Z"},
		{"1d", "Europe/Berlin", "2026-03-28T12:00:00+01:00", "2026-03-28T13:00:00+01:00", "2026-03-29T13:00:00+02:00"},
		{"17 3 * * *", "UTC", "", "2026-05-04T10:00:00Z", "2026-05-04T10:00:00Z"},
		{"17 3 * * *", "UTC", "2026-05-04T03:17:00.001Z", "2026-05-04T10:00:00Z", "2026-05-05T03:17:00Z"},
		{"17 3 * * *", "UTC", "2026-05-04T03:16:59.999Z", "2026-05-04T10:00:00Z", "2026-05-04T03:17:00Z"},
		{"17 3 * * *", "UTC", "2026-05-01T03:17:00Z", "2026-05-04T10:00:00Z", "2026-05-02T03:17:00Z"},
		{"17 3 * * *", "UTC", "2027-05-01T03:17:00Z", "2026-05-04T10:00:00Z", "2026-05-05T03:17:00Z"},
		{"0 0 29 2 *", "UTC", "2096-02-29T00:00:00Z", "2096-03-01T00:00:00Z", "2104-02-29T00:00:00Z"},
		{"0 0 29 2 *", "Europe/Berlin", "2096-02-29T00:00:00+01:00", "2096-03-01T00:00:00Z", "2104-02-29T00:00:00+01:00"},

		// The clock skips 02:00 to 03:00.
		{"30 2 * * *", "Europe/Berlin", "2026-03-28T02:30:00+01:00", "2026-03-28T03:00:00Z", "2026-03-29T03:00:00+02:00"},
		{"30 2 * * *", "Europe/Berlin", "2026-03-29T03:00:00+02:00", "2026-03-29T03:00:00Z", "2026-03-30T02:30:00+02:00"},
		{"0 3 * * *", "Europe/Berlin", "2026-03-28T03:00:00+01:00", "2026-03-28T03:00:00Z", "2026-03-29T03:00:00+02:00"},
		{"30 2 * * *", "America/New_York", "2026-03-07T02:30:00-05:00", "2026-03-07T12:00:00Z", "2026-03-08T03:00:00-04:00"},
		{"15 2 * * *", "Australia/Lord_Howe", "2026-10-03T02:15:00+10:30", "2026-10-03T12:00:00Z", "2026-10-04T02:30:00+11:00"},
		{"45 2 * * *", "Australia/Lord_Howe", "2026-10-03T02:45:00+10:30", "2026-10-03T12:00:00Z", "2026-10-04T02:45:00+11:00"},
		{"0 0 * * *", "America/Santiago", "2026-09-05T00:00:00-04:00", "2026-09-05T12:00:00Z", "2026-09-06T01:00:00-03:00"},

		// The clock shows 02:00 to 03:00 twice.
		{"30 2 * * *", "Europe/Berlin", "2026-10-24T02:30:00+02:00", "2026-10-24T12:00:00Z", "2026-10-25T02:30:00+02:00"},
		{"30 2 * * *", "Europe/Berlin", "2026-10-25T02:30:00+02:00", "2026-10-25T12:00:00Z", "2026-10-26T02:30:00+01:00"},
		{"30 2 * * *", "Europe/Berlin", "2026-10-25T02:10:00+01:00", "2026-10-25T12:00:00Z", "2026-10-26T02:30:00+01:00"},
		{"0 3 * * *", "Europe/Berlin", "2026-10-25T02:10:00+01:00", "2026-10-25T12:00:00Z", "2026-10-25T03:00:00+01:00"},
		{"30 1 * * *", "America/New_York", "2026-10-31T01:30:00-04:00", "2026-10-31T12:00:00Z", "2026-11-01T01:30:00-04:00"},
		{"30 1 * * *", "America/New_York", "2026-11-01T01:30:00-04:00", "2026-11-01T12:00:00Z", "2026-11-02T01:30:00-05:00"},
		{"45 1 * * *", "Australia/Lord_Howe", "2026-04-05T01:45:00+11:00", "2026-04-05T12:00:00Z", "2026-04-06T01:45:00+10:30"},

		// Whoever wants each hour gets each hour.
		{"30 * * * *", "Europe/Berlin", "2026-10-25T02:30:00+02:00", "2026-10-25T12:00:00Z", "2026-10-25T02:30:00+01:00"},
		{"30 * * * *", "Europe/Berlin", "2026-10-25T02:30:00+01:00", "2026-10-25T12:00:00Z", "2026-10-25T03:30:00+01:00"},
		{"*/15 * * * *", "Australia/Lord_Howe", "2026-04-05T01:45:00+11:00", "2026-04-05T12:00:00Z", "2026-04-05T01:30:00+10:30"},
	} {
		s := mustParse(t, c.text, c.zone)
		var last, want time.Time
		if c.last != "" {
			last = at(t, c.last)
		}
		if c.want != "" {
			want = at(t, c.want)
		}
		if got := s.Next(last, at(t, c.now)); !got.Equal(want) {
			t.Errorf("%s in %s after %s: %s, and not %s", c.text, c.zone, c.last, got, c.want)
		}
	}
}

// TestClock walks through the days around each change of the clock minute by minute, and holds what Next says against what the clock shows.
func TestClock(t *testing.T) {
	for _, zone := range []string{"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Africa/Casablanca", "Pacific/Apia", "Africa/Monrovia"} {
		for _, text := range []string{"30 2 * * *", "*/10 1-3 * * *", "*/20 * * * *", "0 */2 * * *", "0 0 * * *", "59 23 * * 6", "15 2 1,29 * *", "15 0-23 * * *"} {
			s := mustParse(t, text, zone)
			for _, change := range changes(s.zone) {
				t.Run(zone+" "+text+" "+change.Format("20060102"), func(t *testing.T) { walk(t, s, change) })
			}
		}
	}
}

// changes are about when a zone's clock changes in some years, the end of a leap year, and a day on which most do not change. Liberia's changed by 44.5 minutes, Samoa's by a day.
func changes(zone *time.Location) []time.Time {
	var all []time.Time
	for _, year := range []int{1972, 2011, 2026, 2040} {
		for t := time.Date(year, 1, 1, 12, 0, 0, 0, zone); t.Year() == year; {
			next := t.Add(time.Hour)
			if offsetOf(next) != offsetOf(t) {
				all = append(all, next)
			}
			t = next
		}
	}
	return append(all, time.Date(2028, 12, 31, 12, 0, 0, 0, time.UTC), time.Date(2026, 3, 29, 1, 0, 0, 0, time.UTC))
}

func walk(t *testing.T, s Schedule, change time.Time) {
	from, to := change.Add(-27*time.Hour).Truncate(time.Hour), change.Add(27*time.Hour)
	var want, got []time.Time
	shown := map[int64]bool{}
	for at := from.Add(-3 * time.Hour); at.Before(to); at = at.Add(time.Second * 10) {
		if at.Second() != 0 && at.UTC().Year() > 1973 {
			continue
		}
		was, is := s.zoneWall(at.Add(-time.Nanosecond)).Add(time.Nanosecond), s.zoneWall(at)
		skips := is.After(was) && s.cron.wall(was.Add(-time.Nanosecond)).Before(is)
		again := shown[is.Unix()] && !s.cron.hourly
		shown[is.Unix()] = true
		if at.After(from) && (skips || s.cron.wall(is.Add(-time.Nanosecond)).Equal(is) && !again) {
			want = append(want, at.UTC())
		}
	}
	for at := s.Next(from, to); at.Before(to); at = s.Next(at, to) {
		got = append(got, at.UTC())
	}
	if !slices.Equal(got, want) {
		t.Errorf("it is due at\n%v, and the clock says\n%v", got, want)
	}
}

// zoneWall is what the clock of the schedule's zone shows.
func (s Schedule) zoneWall(t time.Time) time.Time {
	t = t.In(s.zone)
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
}

func TestUpcoming(t *testing.T) {
	now := at(t, "2026-05-04T10:00:00Z")
	for _, c := range []struct {
		text, last string
		want       []string
	}{
		{"off", "2026-05-04T09:30:00Z", nil},
		{"1h", "2026-05-04T09:30:00Z", []string{"2026-05-04T10:30:00Z", "2026-05-04T11:30:00Z", "2026-05-04T12:30:00Z"}},
		{"1h", "2026-05-01T09:30:00Z", []string{"2026-05-04T10:00:00Z", "2026-05-04T11:00:00Z", "2026-05-04T12:00:00Z"}},
		{"0 12 * * *", "2026-05-01T09:30:00Z", []string{"2026-05-04T10:00:00Z", "2026-05-04T12:00:00Z", "2026-05-05T12:00:00Z"}},
		{"0 12 * * *", "2026-05-03T12:00:00Z", []string{"2026-05-04T12:00:00Z", "2026-05-05T12:00:00Z", "2026-05-06T12:00:00Z"}},
	} {
		got := mustParse(t, c.text, "UTC").Upcoming(at(t, c.last), now, 3)
		if len(got) != len(c.want) {
			t.Fatalf("%s: %v", c.text, got)
		}
		for i, want := range c.want {
			if !got[i].Equal(at(t, want)) {
				t.Errorf("%s: %v, and not %v", c.text, got, c.want)
			}
		}
	}
	if got := mustParse(t, "1m", "UTC").Upcoming(now, now, 1<<40); len(got) != maxUpcoming {
		t.Errorf("%d are told", len(got))
	}
	if got := mustParse(t, "1m", "UTC").Upcoming(now, now, -1); len(got) != 0 {
		t.Errorf("%d are told", len(got))
	}
}

func TestJittered(t *testing.T) {
	due := at(t, "2026-05-04T10:00:00Z")
	for _, c := range []struct {
		due    time.Time
		jitter time.Duration
		share  float64
		want   time.Time
	}{
		{due, 0, 0.5, due},
		{due, time.Minute, 0, due},
		{due, time.Minute, 0.5, due.Add(30 * time.Second)},
		{due, time.Minute, 2, due.Add(time.Minute)},
		{due, time.Minute, -1, due},
		{due, -time.Minute, 0.5, due},
		{time.Time{}, time.Minute, 0.5, time.Time{}},
	} {
		if got := Jittered(c.due, c.jitter, c.share); !got.Equal(c.want) {
			t.Errorf("%s and %v of %s: %s", c.due, c.share, c.jitter, got)
		}
	}
	for text, want := range map[string]time.Duration{"off": 0, "20m": time.Minute, "1h": 3 * time.Minute, "1d": 5 * time.Minute, "@hourly": 3 * time.Minute} {
		if got := mustParse(t, text, "UTC").DefaultJitter(due); got != want {
			t.Errorf("%s: %s, and not %s", text, got, want)
		}
	}
}

func TestEqual(t *testing.T) {
	a := mustParse(t, "17 3 * * *", "Europe/Berlin")
	if !a.Equal(mustParse(t, "17  3 * * *", "Europe/Berlin")) || a.Equal(mustParse(t, "17 3 * * *", "UTC")) || a.Equal(mustParse(t, "18 3 * * *", "Europe/Berlin")) {
		t.Error("Equal is wrong")
	}
	if !(Schedule{}).Off() || (Schedule{}).Equal(a) || (Schedule{}).String() != "off" || !(Schedule{}).Next(time.Time{}, time.Now()).IsZero() {
		t.Error("the zero value is not off")
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"off", "15m", "1d2h3m4s", "17 3 * * *", "@weekly", "*/7 1-5,9 1 jan mon", "0 0 29 2 *", "0 0 30 2 *", "TZ=UTC 0 3 * * *", ", * * * *", "@every 5m", "? ? ? ? ?", "0 0 31 2 0"} {
		f.Add(text, int64(1774746000), int64(86400))
		f.Add(text, int64(1792893600), int64(-5))
	}
	berlin := location(f, "Europe/Berlin")
	f.Fuzz(func(t *testing.T, text string, last, later int64) {
		began := time.Now()
		s, err := Parse(text, berlin)
		if err != nil {
			return
		}
		again, err := Parse(s.String(), berlin)
		if err != nil || !again.Equal(s) || again.Off() != s.Off() {
			t.Fatalf("%q becomes %q: %v", s, again, err)
		}
		from := time.Unix(last%(1<<33), 0) // to the year 2242, both ways
		now := from.Add(time.Duration(later % 1e9 * 1e9))
		if next := s.Next(from, now); !s.Off() && (!next.After(from) && !next.After(now) || next.After(from) && next.Sub(from) > 9*366*day && next.Sub(now) > 9*366*day) {
			t.Fatalf("%q after %s is %s", s, from, next)
		}
		if up := s.Upcoming(from, now, 5); !s.Off() && (len(up) != 5 || !slices.IsSortedFunc(up, time.Time.Compare) || up[0].Before(now.Round(0))) {
			t.Fatalf("%q comes at %v", s, up)
		}
		if period := s.Period(now); s.Off() != (period == 0) || period < 0 {
			t.Fatalf("%q has the period %s", s, period)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Fatalf("%q took %s", text, took)
		}
	})
}

func BenchmarkNext(b *testing.B) {
	for _, text := range []string{"1h", "*/5 * * * *", "17 3 * * *", "0 0 29 2 *"} {
		b.Run(strings.ReplaceAll(text, " ", "_"), func(b *testing.B) {
			s, now := mustParse(b, text, "Europe/Berlin"), at(b, "2026-05-04T10:00:00Z")
			for b.Loop() {
				s.Next(now, now)
			}
		})
	}
}
