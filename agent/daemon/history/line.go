package history

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"time"
)

const (
	// maxText is how many bytes of a text of an error are kept, maxReason and maxReasons how many of why a snapshot is suspicious.
	maxText    = 2000
	maxReason  = 500
	maxReasons = 20
	// maxLine bounds a line. Each byte of a text may take six.
	maxLine = 256 << 10
)

// tidy returns a copy that shares nothing with r, with times in UTC and without what a line has no room for.
func (r Run) tidy() Run {
	for _, t := range []*time.Time{&r.Started, &r.Ended} {
		*t = utc(*t)
	}
	for _, s := range []*string{&r.Vault, &r.Code, &r.Text, &r.Hint} {
		*s = clip(*s, maxText)
	}
	if r.Pass != nil {
		p := *r.Pass
		p.At = utc(p.At)
		p.Suspicious = slices.Clone(p.Suspicious[:min(len(p.Suspicious), maxReasons)])
		for i, s := range p.Suspicious {
			p.Suspicious[i] = clip(s, maxReason)
		}
		r.Pass = &p
	}
	if r.Audit != nil {
		a := *r.Audit
		a.Line = clip(a.Line, maxText)
		if c := a.Coverage; c != nil {
			share := *c
			a.Coverage = &share
			if math.IsNaN(share) || math.IsInf(share, 0) {
				a.Coverage = nil
			}
		}
		r.Audit = &a
	}
	if r.Probe != nil {
		p := *r.Probe
		p.Words, p.Expires = clip(p.Words, maxText), utc(p.Expires)
		r.Probe = &p
	}
	return r
}

// utc is the time by the wall clock, in UTC.
func utc(t time.Time) time.Time { return t.Round(0).UTC() }

// clip shortens a text to that many bytes of whole characters.
func clip(s string, most int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most-len("…")], "") + "…"
}

// line is the run's line in the file.
func (r *Run) line() ([]byte, error) {
	if r.Job == "" || r.Started.IsZero() || !slices.Contains([]string{KindPass, KindProbe, KindAudit}, r.Kind) {
		return nil, errors.New("a run without a job, a kind or a beginning")
	}
	data, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	if len(data) >= maxLine {
		return nil, errors.New("a run that takes more than a line may have")
	}
	return append(data, '\n'), nil
}

// parse reads a line, with what ends it.
func parse(line []byte) (Run, bool) {
	var r Run
	if !bytes.HasSuffix(line, []byte("\n")) || json.Unmarshal(line, &r) != nil {
		return Run{}, false
	}
	r = r.tidy()
	_, err := r.line() // what can't be written again would keep the file from being written
	return r, err == nil
}
