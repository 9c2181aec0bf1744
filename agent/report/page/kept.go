package page

import (
	"fmt"
	"slices"
	"strings"

	"farshore/agent/report"
	"farshore/agent/units"
)

// sources is how fresh the sources' snapshots are, the latest first.
func (b *builder) sources() section {
	if len(b.a.Sources) == 0 {
		return section{}
	}
	list := slices.Clone(b.a.Sources)
	slices.SortStableFunc(list, func(x, y report.SourceState) int { return urgency(&y) - urgency(&x) })
	t := &table{Caption: "The newest complete snapshot of each source, against how old it may be", Head: []column{
		{Title: "Source"}, {Title: "Newest complete (UTC)"}, {"Age", true}, {Title: "May be"}, {Title: "State"}, {"Items", true}, {"Size", true},
	}}
	for i := range list[:min(len(list), maxRows)] {
		t.Rows = append(t.Rows, b.sourceRow(&list[i]))
	}
	if n := sum(int64(len(list)-len(t.Rows)), b.a.MoreSources); n > 0 {
		t.More = fmt.Sprintf("… and %s more", units.Plural(n, "source"))
	}
	s := section{ID: "sources", Title: "Sources", Table: t}
	if b.names == nil {
		s.Notes = []string{"Sources' names are sealed: who has the metadata key sees them."}
	}
	if b.repositories() {
		s.Notes = append(s.Notes, repositoryItems)
	}
	return s
}

// urgency orders sources: what needs somebody comes first.
func urgency(s *report.SourceState) int {
	switch {
	case s.RolledBack:
		return 5
	case s.Retired:
		return 0
	case s.Seq == 0:
		return 4
	case s.Late:
		return 3
	case len(s.Suspicious) > 0:
		return 2
	}
	return 1
}

func (b *builder) sourceRow(s *report.SourceState) row {
	newest, age := "none", "–"
	if s.Seq > 0 {
		newest, age = fmt.Sprintf("%d, %s", s.Seq, strings.TrimSuffix(when(s.Time), " UTC")), length(s.AgeSeconds)
	}
	state, t := b.sourceState(s)
	target := cell{Text: "nobody said"}
	if s.TargetSeconds > 0 && s.Seq > 0 {
		target.Text = length(s.TargetSeconds)
		// The bar is twice the target long, so that the target stands in its middle.
		target.Bar = &bar{Value: min(float64(max(s.AgeSeconds, 0))/float64(s.TargetSeconds)*50, 100), Target: 50, Tone: toneOf(!s.Late, warn)}
	}
	return row{
		{Text: b.source(s.Chain)}, {Text: newest}, {Text: age}, target, {Text: state, Tone: t},
		{Text: units.Count(s.Items)}, {Text: units.Bytes(s.Bytes)},
	}
}

// sourceState says a source's state in a few words.
func (b *builder) sourceState(s *report.SourceState) (string, tone) {
	var list []string
	t := good
	add := func(word string, as tone) {
		list = append(list, word)
		if rank(as) >= 0 && (rank(t) < 0 || rank(as) < rank(t)) {
			t = as
		}
	}
	if s.RolledBack {
		add("rolled back", tamper)
	}
	if s.Retired {
		return capital(join(append(list, "retired"))), muted
	}
	if s.Seq == 0 {
		add("no complete snapshot", warn)
	}
	if s.Late {
		add(b.lateWords(s.Chain), warn)
	}
	if len(s.Suspicious) > 0 {
		add("suspicious", warn)
	}
	if s.Unreadable > 0 {
		add(units.Count(s.Unreadable)+" unreadable", warn)
	}
	switch {
	case len(list) > 0:
	case s.TargetSeconds > 0:
		list = append(list, "in time")
	default:
		return "Complete", plain
	}
	return capital(join(list)), t
}

// lateWords says how often the source was late in the audits that are on record.
func (b *builder) lateWords(chain string) string {
	late, all := 0, 0
	for _, e := range b.past {
		for i := range e.Audit.Sources {
			if s := &e.Audit.Sources[i]; s.Chain == chain {
				all++
				if s.Late {
					late++
				}
			}
		}
	}
	if all < 2 {
		return "late"
	}
	return fmt.Sprintf("late (in %d of %d audits)", late, all)
}

// kept is whether what is stored can be destroyed, as far as it was tried and the store tells.
func (b *builder) kept() section {
	a := b.a
	s := section{ID: "kept", Title: "Append-only"}
	if p := a.Protection; p != nil {
		f := fact{Label: "Agent's credential", Value: capital(prose(p.Verdict)), Tone: map[string]tone{protected: good, unprotected: bad}[p.Verdict]}
		if f.Tone == plain {
			f.Tone = warn
		}
		if p.Words != "" {
			f.Value += ": " + prose(p.Words)
		}
		if !p.Time.IsZero() {
			f.Value += "; tried " + when(p.Time)
		}
		if !p.Expires.IsZero() {
			f.Value += ", holds until " + when(p.Expires)
		}
		s.Facts = append(s.Facts, f)
	} else if a.Mode != report.ModeDrill {
		s.Facts = append(s.Facts, fact{Label: "Agent's credential", Value: "this run knew of no probe of it", Tone: muted})
	}
	s.Facts = append(s.Facts, b.versions()...)
	s.Facts = append(s.Facts, b.settings()...)
	if len(s.Facts) == 0 {
		return section{}
	}
	return s
}

func (b *builder) versions() []fact {
	n := b.a.Inventory
	if n.Present == 0 && n.Versions == "" {
		return nil
	}
	var out []fact
	switch n.Versions {
	case "seen":
		dirty := sum(n.ExtraVersions, n.Markers, n.Hidden) > 0
		out = append(out, fact{Label: "Versions", Tone: toneOf(!dirty, warn), Value: fmt.Sprintf("%s beside the right ones, %s, %s hidden by one of them",
			units.Plural(n.ExtraVersions, "version"), units.Plural(n.Markers, "delete marker"), units.Plural(n.Hidden, "object"))})
	case "none":
		out = append(out, fact{Label: "Versions", Value: "the store keeps none"})
	case "denied":
		out = append(out, fact{Label: "Versions", Value: "not looked at: the credential may not list them", Tone: warn})
	default:
		out = append(out, fact{Label: "Versions", Value: prose(n.Versions)})
	}
	if n.Unnamed > 0 {
		out = append(out, fact{Label: "Named by no commit", Value: fmt.Sprintf("%s, %s: left by passes that did not come to their end, or put there by somebody", units.Plural(n.Unnamed, "object"), units.Bytes(n.UnnamedBytes))})
	}
	return out
}

func (b *builder) settings() []fact {
	s := b.a.Store
	if s == nil {
		return nil
	}
	var out []fact
	if s.Versioning != "" {
		out = append(out, fact{Label: "Bucket's versioning", Value: prose(s.Versioning)})
	}
	lock := "off"
	if s.Lock {
		lock = "on"
		if s.Mode != "" {
			lock += ", by default " + prose(s.Mode)
		}
		if s.RetentionSeconds > 0 {
			lock += " for " + length(s.RetentionSeconds)
		}
	}
	out = append(out, fact{Label: "Bucket's lock", Value: lock})
	if len(s.Rules) > 0 {
		out = append(out, fact{Label: "Lifecycle", Value: units.Plural(int64(len(s.Rules)), "rule") + " that remove something", Tone: bad})
	}
	for _, u := range proseList(s.Unknown) {
		out = append(out, fact{Label: "Could not be read", Value: u, Tone: muted})
	}
	return out
}

// locks is what the store says of locks.
func (b *builder) locks() section {
	l := b.a.Locks
	if l == nil {
		return section{}
	}
	needed := units.Count(l.Needed)
	if l.Estimated {
		needed = "about " + needed
	}
	s := section{ID: "locks", Title: "Locks"}
	s.Facts = []fact{{Label: "Asked", Value: fmt.Sprintf("%s, of %s that the newest snapshots need", units.Plural(l.Asked, "pack"), needed)}}
	if l.Asked > 0 {
		s.Facts = append(s.Facts, fact{Label: "Locked for everybody", Value: of(l.Locked, l.Asked), Tone: toneOf(l.Locked == l.Asked, plain)})
	}
	for _, f := range []struct {
		label string
		n     int64
	}{{"An account may lift", l.Liftable}, {"Lock has ended", l.Expired}, {"Never locked", l.Unlocked}, {"Not known", l.Unknown}} {
		if f.n > 0 {
			s.Facts = append(s.Facts, fact{Label: f.label, Value: units.Count(f.n), Tone: warn})
		}
	}
	if !l.First.IsZero() {
		s.Facts = append(s.Facts, fact{Label: "First lock to end", Value: when(l.First)})
	}
	if l.Why != "" {
		s.Notes = []string{"Could not be asked: " + ended(prose(l.Why))}
	}
	return s
}

// keys is what is known of the recovery keys and of what was read back.
func (b *builder) keys() section {
	k, w := b.a.Keys, b.a.Written
	s := section{ID: "keys", Title: "Keys and read-back"}
	if k.Recovery > 0 {
		s.Facts = append(s.Facts, fact{Label: "Recovery recipients", Value: units.Count(k.Recovery)})
	}
	switch {
	case k.DrillTime.IsZero() && b.a.Mode != report.ModeDrill:
		s.Facts = append(s.Facts, fact{Label: "Header drill", Value: "none on record: that the recovery key opens the packs is not proved by one", Tone: warn})
	case !k.DrillTime.IsZero():
		f := fact{Label: "Header drill", Value: fmt.Sprintf("%s (%s before): %s headers opened", when(k.DrillTime), since(k.DrillTime, b.a.Time), of(k.DrillOpened, k.DrillDrawn)), Tone: toneOf(k.DrillOpened == k.DrillDrawn && k.DrillDrawn > 0, warn)}
		if k.DrillFailed > 0 {
			f.Value, f.Tone = f.Value+fmt.Sprintf(", %s failed", units.Count(k.DrillFailed)), bad
		}
		s.Facts = append(s.Facts, f)
	}
	if w.Commits > 0 {
		s.Facts = append(s.Facts, fact{Label: "Read back when written", Value: fmt.Sprintf("%s items, %s of %s, in %s", of(w.ItemsRead, w.Items), units.Bytes(w.BytesRead), units.Bytes(w.Bytes), units.Plural(w.Commits, "commit"))})
	}
	if w.Silent > 0 {
		s.Facts = append(s.Facts, fact{Label: "Read-back not stated", Value: units.Plural(w.Silent, "commit"), Tone: muted})
	}
	if w.Adopted > 0 {
		s.Facts = append(s.Facts, fact{Label: "Adopted, not read back", Value: units.Plural(w.Adopted, "pack"), Tone: muted})
	}
	if len(s.Facts) == 0 {
		return section{}
	}
	return s
}

// drill is a restore drill that the report is about.
func (b *builder) drill() section {
	d := b.a.Drill
	if d == nil {
		return section{}
	}
	s := section{ID: "drill", Title: "Restore drill"}
	into := map[string]string{"directory": "a directory", "bucket": "a bucket", "repositories": "repositories of git or Subversion"}[d.Into]
	if into == "" {
		into = prose(d.Into)
	}
	took := fact{Label: "Took", Value: seconds(d.Seconds)}
	if d.TargetSeconds > 0 {
		took.Value += ", of " + length(d.TargetSeconds) + " that it may take"
		took.Tone = toneOf(d.Seconds <= float64(d.TargetSeconds), warn)
	}
	s.Facts = []fact{
		{Label: "Snapshot", Value: fmt.Sprintf("%s, %d", b.source(d.Chain), d.Seq)}, {Label: "Into", Value: into}, {Label: "Began", Value: when(d.Started)}, took,
		{Label: "Restored", Value: fmt.Sprintf("%s, %s", units.Plural(d.Items, "item"), units.Bytes(d.Bytes))},
		{Label: "Failed", Value: units.Plural(d.Failed, "item"), Tone: toneOf(d.Failed == 0, bad)},
	}
	if d.Repositories > 0 {
		s.Facts = append(s.Facts, fact{Label: "Repositories", Value: units.Count(d.Repositories) + " passed git's or Subversion's own check"})
	}
	return s
}
