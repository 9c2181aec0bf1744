package web

import (
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"

	"farshore/agent/daemon"
	"farshore/agent/daemon/history"
	"farshore/agent/units"
)

// row is a source, or a job of another kind, as it stands: words for people, and what the script puts in their place later.
type row struct {
	Key  string `json:"key"`
	Href string `json:"href,omitempty"`
	Name string `json:"name"`
	Tone tone   `json:"tone"`
	// State is a word or two; Why says more, "" where there is nothing to say.
	State string `json:"state"`
	Why   string `json:"why"`
	// Fresh says how old the newest good snapshot is and may be; Age is that in shares of the bar, of which Limit is what is allowed; negative: there is no bar.
	Fresh string  `json:"fresh"`
	Age   float64 `json:"age"`
	// Now says what is done at the moment, or waits; Done is how much of it, from 0 to 100, negative where nobody knows.
	Now  string  `json:"now"`
	Done float64 `json:"done"`
	Last string  `json:"last"`
	Next string  `json:"next"`
}

// limit is where on the bar of an age the end of what is allowed lies.
const limit = 80.0

// sourceRow says how a source stands.
func sourceRow(s *daemon.SourceStatus, c clock) row {
	r := row{Key: "s:" + safe(s.Name, maxPlace), Name: title(s.Name), Href: sourceHref(s.Name), Age: -1}
	r.State, r.Why, r.Tone = sourceState(s)
	r.Fresh, r.Age = freshness(s)
	r.Now, r.Done = underWay(&s.JobStatus, c)
	r.Last, r.Next = lastOf(s.Last, c), nextOf(&s.JobStatus, c)
	return r
}

// sourceHref is where a source's own page is.
func sourceHref(name string) string { return "/source/" + url.PathEscape(name) }

// title is a source's name for people; one of nothing but spaces stands between quotes.
func title(name string) string {
	if strings.TrimSpace(name) == "" {
		return strconv.Quote(name)
	}
	return safe(name, maxName)
}

// sourceState is the worst that is known of a source.
func sourceState(s *daemon.SourceStatus) (word, why string, t tone) {
	last := noRun
	if s.Last != nil {
		last = outcomeOf(s.Last)
	}
	switch {
	case last == alarm:
		return "Alarm", trouble(s.Last), bad
	case s.Late:
		return "Late", "", bad
	case len(s.Suspicious) > 0 || last == suspicious:
		return "Suspicious", "", tamper
	case s.Failures > 0:
		return "Failing", units.Plural(int64(s.Failures), "run") + " in a row", warn
	case last == failed:
		return "Failing", "", warn
	case last == incomplete:
		return "Incomplete", "", warn
	case s.Good == nil:
		return "Not known yet", "", muted
	case s.MaxAgeSeconds <= 0:
		return "No limit set", "", muted
	}
	return "Fresh", "", good
}

// freshness says how old the newest good snapshot is and may be, and how far that is along the bar; negative where one of them is not known.
func freshness(s *daemon.SourceStatus) (string, float64) {
	most, known := s.MaxAgeSeconds, s.MaxAgeSeconds > 0
	switch {
	case s.Good == nil && known && s.Late:
		return "no good snapshot is known; one may be " + lasting(most) + " old", 100
	case s.Good == nil && known:
		return "no good snapshot is known yet; one may be " + lasting(most) + " old", -1
	case s.Good == nil:
		return "no good snapshot is known yet; nobody said how old one may be", -1
	case !known:
		return lasting(s.AgeSeconds) + " old; nobody said how old it may be", -1
	}
	return lasting(s.AgeSeconds) + " old, may be " + lasting(most), bounded(s.AgeSeconds / most * limit)
}

// bounded is a share for a bar: of 100, with one digit.
func bounded(f float64) float64 {
	if math.IsNaN(f) {
		return 0
	}
	return math.Round(max(0, min(f, 100))*10) / 10
}

// underWay says how far a job's run is, or that it waits; "" for neither.
func underWay(j *daemon.JobStatus, c clock) (string, float64) {
	r := j.Running
	switch {
	case r == nil && j.Waiting.IsZero():
		return "", -1
	case r == nil:
		return "waits for others to end, since " + c.at(j.Waiting), -1
	}
	list := []string{progressOf(&r.Measured)}
	if r.BytesPerSecond >= 1 {
		list = append(list, units.Rate(r.BytesPerSecond))
	}
	if r.LeftSeconds != nil {
		list = append(list, "about "+lasting(*r.LeftSeconds)+" left")
	}
	if still := c.now.Sub(r.Moved); !r.Moved.IsZero() && still > quiet {
		list = append(list, "nothing moved for "+span(still))
	}
	out := "running since " + c.at(r.Since) + causeOf(r.Cause)
	if how := strings.Join(nonEmpty(list), ", "); how != "" {
		out += ": " + how
	}
	return out, doneOf(&r.Measured)
}

// quiet is after how long without any movement that is said.
const quiet = 5 * time.Minute

func nonEmpty(list []string) []string {
	var out []string
	for _, s := range list {
		if s != "" {
			out = append(out, s)
		}
	}
	return out
}

// progressOf writes numbers as far as they are known.
func progressOf(m *daemon.Measured) string {
	var list []string
	switch {
	case m.TotalItems > 0:
		list = append(list, units.Count(m.Items)+" of "+units.Plural(m.TotalItems, "item"))
	case m.Items > 0:
		list = append(list, units.Plural(m.Items, "item"))
	case m.Listed > 0:
		list = append(list, units.Count(m.Listed)+" listed")
	}
	switch {
	case m.TotalBytes > 0:
		list = append(list, units.Bytes(m.Bytes)+" of "+units.Bytes(m.TotalBytes))
	case m.Bytes > 0:
		list = append(list, units.Bytes(m.Bytes))
	}
	return strings.Join(list, ", ")
}

// doneOf is how much of a run is done, from 0 to 100; negative where the whole is not known.
func doneOf(m *daemon.Measured) float64 {
	switch {
	case m.TotalBytes > 0:
		return bounded(float64(m.Bytes) / float64(m.TotalBytes) * 100)
	case m.TotalItems > 0:
		return bounded(float64(m.Items) / float64(m.TotalItems) * 100)
	}
	return -1
}

// causeOf says why a run began, where that is not the schedule.
func causeOf(cause string) string {
	switch cause {
	case history.CauseMissed:
		return " in place of a missed one"
	case history.CauseTrigger:
		return ", triggered"
	}
	return ""
}

// lastOf says what the last run came to.
func lastOf(r *history.Run, c clock) string {
	if r == nil {
		return "none known yet"
	}
	out := strings.ToLower(outcomeOf(r).word()) + ", began " + c.at(r.Started)
	if d := took(r); d > 0 {
		out += ", took " + span(d)
	}
	return out
}

// nextOf says when a job is due next.
func nextOf(j *daemon.JobStatus, c clock) string {
	switch {
	case len(j.Next) == 0 && j.Running != nil:
		return "known once this one has ended"
	case len(j.Next) == 0 && !j.Waiting.IsZero():
		return "now, once others have ended"
	case len(j.Next) == 0:
		return "not scheduled"
	case j.Retry:
		return c.until(j.Next[0]) + ", another try"
	}
	return c.until(j.Next[0])
}

// trouble is what a run says of how it failed.
func trouble(r *history.Run) string {
	switch {
	case r.Text != "":
		return ended(capital(prose(r.Text)))
	case r.Code != "":
		return ended(capital(prose(r.Code)))
	}
	return ""
}

// jobRow says how the probe or the audits stand.
func jobRow(key, name, href string, j *daemon.JobStatus, c clock) row {
	r := row{Key: key, Name: name, Href: href, Age: -1, Tone: muted, State: "Not known yet"}
	if j.Last != nil {
		o := outcomeOf(j.Last)
		r.State, r.Tone = o.word(), o.tone()
		if o != complete {
			r.Why = trouble(j.Last)
		}
	}
	r.Now, r.Done = underWay(j, c)
	r.Last, r.Next = lastOf(j.Last, c), nextOf(j, c)
	return r
}
