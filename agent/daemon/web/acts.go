package web

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"farshore/agent/daemon"
	"farshore/agent/units"
)

// act is something that is not as it should be, and what to do about it.
type act struct {
	Key    string   `json:"key"`
	Tone   tone     `json:"tone"`
	Word   string   `json:"word"`
	Title  string   `json:"title"`
	Lines  []string `json:"lines"`
	Advice string   `json:"advice"`
	Href   string   `json:"href,omitempty"`
	More   string   `json:"more"`
}

// Bounds of what is listed.
const (
	maxActs  = 60
	maxLines = 6
)

// acts are all that wants a person, the worst first.
func (b *builder) acts() []act {
	list := slices.Concat(b.refused(), b.sourceActs(), b.auditActs(), b.guardActs())
	slices.SortStableFunc(list, func(x, y act) int { return cmp.Compare(y.Tone.rank(), x.Tone.rank()) })
	return list
}

// refused is about a configuration that was not taken.
func (b *builder) refused() []act {
	c := &b.st.Config
	if c.Problem == "" {
		return nil
	}
	title := "A new configuration was refused; the earlier one still counts"
	if !c.ProblemAt.IsZero() {
		title = "A new configuration was refused at " + b.c.at(c.ProblemAt) + "; the one of " + b.c.at(c.Loaded) + " still counts"
	}
	// A configuration's problems are a list, a line each.
	lines := proseList(nonEmpty(strings.Split(clip(c.Problem), "\n")), maxLines)
	return []act{{Key: "config", Tone: bad, Word: "Refused", Title: title, Lines: lines, Advice: "Run `farshore config check`, mend what it names, and then `farshore reload`."}}
}

func (b *builder) sourceActs() []act {
	var out []act
	for i := range b.st.Sources {
		s := &b.st.Sources[i]
		list := nonNil(b.alarmed(s), b.late(s), b.marked(s), b.failing(s), b.partial(s))
		for j := range list {
			list[j].Key += ":" + safe(s.Name, maxPlace)
			list[j].Href, list[j].More = sourceHref(s.Name), "What is known of "+title(s.Name)
		}
		out = append(out, list...)
	}
	return out
}

func nonNil(list ...*act) []act {
	var out []act
	for _, a := range list {
		if a != nil {
			out = append(out, *a)
		}
	}
	return out
}

// alarmed is about a pass that met damage, tampering, or a credential that may destroy.
func (b *builder) alarmed(s *daemon.SourceStatus) *act {
	if s.Last == nil || outcomeOf(s.Last) != alarm {
		return nil
	}
	return &act{Key: "alarm", Tone: bad, Word: "Alarm", Title: "The last pass of " + title(s.Name) + " met damage, tampering or a permission that destroys", Lines: b.failure(&s.JobStatus), Advice: adviceOf(s.Last.Hint)}
}

// late is about a source whose newest good snapshot is too old.
func (b *builder) late(s *daemon.SourceStatus) *act {
	if !s.Late {
		return nil
	}
	text := "no good snapshot is known, and one may be " + lasting(s.MaxAgeSeconds) + " old"
	if s.Good != nil {
		text = "the newest good snapshot is " + lasting(s.AgeSeconds) + " old, and may be " + lasting(s.MaxAgeSeconds)
	}
	a := &act{Key: "late", Tone: bad, Word: "Late", Title: title(s.Name) + ": " + text, Advice: "Look at what its passes came to, and at the daemon's log."}
	if s.Failures > 0 && s.Last != nil {
		a.Lines, a.Advice = b.failure(&s.JobStatus), cmp.Or(adviceOf(s.Last.Hint), a.Advice)
	}
	return a
}

// marked is about a newest snapshot that looks like an attack.
func (b *builder) marked(s *daemon.SourceStatus) *act {
	if len(s.Suspicious) == 0 {
		return nil
	}
	advice := "Look at what changed at the source before anything is restored from it; no good snapshot before it is known to this daemon."
	if s.Good != nil {
		advice = fmt.Sprintf("Look at what changed at the source. The newest complete snapshot that is not marked is %d, of %s.", s.Good.Seq, b.c.dated(s.Good.Time))
	}
	return &act{Key: "marked", Tone: tamper, Word: "Suspicious", Title: title(s.Name) + ": the newest snapshot is marked suspicious", Lines: proseList(s.Suspicious, maxLines), Advice: advice}
}

// failing is about passes that fail, while the newest snapshot is still fresh enough.
func (b *builder) failing(s *daemon.SourceStatus) *act {
	if s.Late || s.Last == nil || outcomeOf(s.Last) != failed {
		return nil
	}
	text := title(s.Name) + ": the last pass failed"
	if s.Failures > 1 {
		text = fmt.Sprintf("%s: the last %s passes failed", title(s.Name), units.Count(int64(s.Failures)))
	}
	return &act{Key: "failing", Tone: warn, Word: "Failing", Title: text, Lines: b.failure(&s.JobStatus), Advice: adviceOf(s.Last.Hint)}
}

// partial is about a pass that could not do all.
func (b *builder) partial(s *daemon.SourceStatus) *act {
	if s.Last == nil || outcomeOf(s.Last) != incomplete {
		return nil
	}
	return &act{Key: "partial", Tone: warn, Word: "Incomplete", Title: title(s.Name) + ": the last pass could not do, or not prove, all of it", Lines: b.failure(&s.JobStatus), Advice: adviceOf(s.Last.Hint)}
}

// failure is what a job's last run says, and when it is tried again.
func (b *builder) failure(j *daemon.JobStatus) []string {
	var out []string
	if j.Last != nil {
		out = nonEmpty([]string{trouble(j.Last)})
	}
	if j.Running == nil && len(j.Next) > 0 {
		out = append(out, "Next try: "+b.c.until(j.Next[0])+".")
	}
	return out
}

// adviceOf is what a run's hint says to do.
func adviceOf(hint string) string { return ended(capital(prose(hint))) }

// auditActs are about the newest audit, and about the one of this daemon that failed.
func (b *builder) auditActs() []act {
	var out []act
	if a := b.audit; a.known {
		word, t := verdictWord(a.verdict)
		if t != good && t != muted {
			out = append(out, act{
				Key: "verdict", Tone: t, Word: word, Title: "The newest audit of the vault, of " + b.c.at(a.time) + ", found it " + strings.ToLower(word), Lines: nonEmpty([]string{ended(capital(prose(a.line)))}),
				Advice: auditAdvice(t), Href: a.href(), More: "The report",
			})
		}
	}
	if j := b.st.Verify; j != nil && j.Last != nil && outcomeOf(j.Last) == failed {
		out = append(out, act{Key: "audit", Tone: warn, Word: "Failing", Title: "The last audit could not be made", Lines: b.failure(j), Advice: adviceOf(j.Last.Hint)})
	}
	return out
}

func auditAdvice(t tone) string {
	if t == warn {
		return "The report says what was not checked, and why."
	}
	return "The report says which snapshots are hit, and what can make it good. Do not change the sources before you have read it."
}

// guardActs are about the agent's credential.
func (b *builder) guardActs() []act {
	var out []act
	if g := &b.guard; g.tone == warn || g.tone == bad {
		a := act{Key: "guard", Tone: g.tone, Word: g.word, Title: "The agent's credential is not proven to add only", Lines: []string{g.note}, Advice: g.advice}
		if g.proof != nil && g.proof.Verdict == verdictUnprotected {
			a.Title = "The agent's credential may destroy what the vault holds"
		}
		if g.proof != nil && g.proof.Words != "" {
			a.Lines = append(a.Lines, ended(capital(prose(g.proof.Words))))
		}
		out = append(out, a)
	}
	if j := b.st.Probe; j != nil && j.Last != nil && outcomeOf(j.Last) == failed {
		out = append(out, act{Key: "probe", Tone: warn, Word: "Failing", Title: "The last probe of the credential could not be made", Lines: b.failure(j), Advice: adviceOf(j.Last.Hint)})
	}
	return out
}
