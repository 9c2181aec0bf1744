package page

import (
	"fmt"
	"strings"
	"time"

	"farshore/agent/report"
	"farshore/agent/units"
)

// states are what is not as it should be without anything being damaged.
func (b *builder) states() []act {
	var out []act
	for _, one := range []func() []act{b.guard, b.store, b.lockState, b.late, b.promise, b.keyState, b.slow, b.unpinned, b.silent} {
		out = append(out, one()...)
	}
	return out
}

// guard is about the agent's credential.
func (b *builder) guard() []act {
	p := b.a.Protection
	switch {
	case p == nil || p.Verdict == protected && (p.Expires.IsZero() || !p.Expires.Before(b.a.Time)):
		return nil
	case p.Verdict == protected:
		return []act{newAct(warn, "That the agent's credential can only add was proved until "+when(p.Expires), "Run `farshore probe`.")}
	case p.Verdict == unprotected:
		t, advice := bad, "Replace it with one of the policy that `farshore policy --role writer` prints, and run `farshore probe`."
		if p.Required == "none" {
			t = warn
			advice = "Where the store can keep a credential from destroying, which a directory can't, give the agent one of the policy that `farshore policy --role writer` prints, " +
				"take `require: none` out of its configuration, and run `farshore probe`."
		}
		a := newAct(t, "The agent's credential may destroy what the vault holds", advice, b.words(p)...)
		a.Word = "Not protected"
		return []act{a}
	}
	return []act{newAct(warn, "Nothing proves that the agent's credential can only add", "Run `farshore probe`: it says what is missing.", b.words(p)...)}
}

func (b *builder) words(p *report.Protection) []string {
	if p.Words == "" {
		return nil
	}
	return []string{capital(ended(prose(p.Words)))}
}

// store is about what the bucket's settings would do.
func (b *builder) store() []act {
	s := b.a.Store
	if s == nil {
		return nil
	}
	var out []act
	if len(s.Rules) > 0 {
		a := newAct(bad, "Rules of the store's lifecycle remove what the vault holds", "Take the rules out of the bucket's lifecycle configuration.", proseList(s.Rules)...)
		a.Word = "Not protected"
		out = append(out, a)
	}
	if len(s.Changed) > 0 {
		out = append(out, newAct(warn, "The store keeps things otherwise than at the audit before", "If nobody of yours changed that, treat the second provider's account as broken into.", proseList(s.Changed)...))
	}
	return out
}

func proseList(list []string) []string {
	var out []string
	for i, s := range list {
		if i == 20 {
			return append(out, fmt.Sprintf("… and %d more", len(list)-i))
		}
		out = append(out, capital(prose(s)))
	}
	return out
}

// lockState is about locks that have ended, that somebody can lift, or that end soon.
func (b *builder) lockState() []act {
	l := b.a.Locks
	if l == nil || l.Locked == 0 && l.Liftable == 0 && l.Expired == 0 {
		return nil // there are no locks to lose
	}
	var out []act
	if n := sum(l.Expired, l.Unlocked); n > 0 {
		out = append(out, newAct(warn, fmt.Sprintf("%s of %s that were asked are no longer locked, or never were", units.Plural(n, "pack"), units.Count(l.Asked)),
			"The newest snapshots need them. Extend their retention with the steward's credential; `farshore locks` shows which end first."))
	}
	if l.Liftable > 0 {
		out = append(out, newAct(warn, units.Plural(l.Liftable, "pack")+" have a lock that an account with the right may lift", "Set the bucket's default retention to COMPLIANCE; what is stored from then on has a lock that nobody can lift."))
	}
	if left := l.First.Sub(b.a.Time); !l.First.IsZero() && left > 0 && left < 7*24*time.Hour {
		out = append(out, newAct(warn, "The first lock that nobody can lift ends on "+when(l.First), "Extend their retention with the steward's credential; `farshore locks` shows which end first."))
	}
	return out
}

// late is about sources whose snapshots are old, suspicious or gone.
func (b *builder) late() []act {
	var out []act
	for i := range b.a.Sources {
		s := &b.a.Sources[i]
		name := b.source(s.Chain)
		if s.RolledBack {
			a := newAct(tamper, name+" ends before a commit that was seen earlier", "Somebody removed commits, or another copy of the vault was put in its place. Compare with the heads that you kept elsewhere (`--seen`).")
			out = append(out, a)
		}
		if s.Retired {
			continue
		}
		switch {
		case s.Seq == 0:
			out = append(out, newAct(warn, name+" has no complete snapshot", "Look at the agent's log, and run `farshore replicate`."))
		case s.Late:
			out = append(out, newAct(warn, fmt.Sprintf("%s: the newest complete snapshot is %s old, and may be %s", name, length(s.AgeSeconds), length(s.TargetSeconds)), "Look whether the agent runs, and at its log."))
		}
		if len(s.Suspicious) > 0 {
			out = append(out, newAct(warn, fmt.Sprintf("%s: the newest complete snapshot, %d, is marked suspicious", name, s.Seq), b.suspicion(s), proseList(s.Suspicious)...))
		}
	}
	return out
}

func (b *builder) suspicion(s *report.SourceState) string {
	if s.GoodSeq == 0 {
		return "Look at what changed at the source before anything is restored from it; there is no complete snapshot before it that is not marked."
	}
	return fmt.Sprintf("Look at what changed at the source. The newest complete snapshot that is not marked is %d, of %s.", s.GoodSeq, when(s.GoodTime))
}

// promise is about coverage that falls behind.
func (b *builder) promise() []act {
	c, days := b.a.Coverage, units.Plural(b.a.Budget.CoverageDays, "day")
	var out []act
	if c.Met != nil && !*c.Met {
		out = append(out, newAct(warn, fmt.Sprintf("%s (%s) were not verified within the promised %s", units.Plural(c.Overdue, "object"), units.Bytes(c.OverdueBytes), days),
			"Run `farshore verify` more often or with a larger budget, or promise a longer term."))
	}
	if c.Feasible != nil && !*c.Feasible {
		line := fmt.Sprintf("An audit would have to read %s; the budget of this one was %s.", units.Bytes(c.NeededBytes), b.budgetBytes())
		out = append(out, newAct(warn, "Audits of this budget can't keep the promise of "+days, "Raise the budget, audit more often, or promise a longer term: `farshore verify --dry-run` shows what each costs.", line))
	}
	return out
}

func (b *builder) budgetBytes() string {
	if b.a.Budget.Bytes <= 0 {
		return "not bounded in bytes"
	}
	return units.Bytes(b.a.Budget.Bytes)
}

// keyState is about the recovery key.
func (b *builder) keyState() []act {
	k := b.a.Keys
	switch {
	case b.a.Mode == report.ModeDrill:
		return nil
	case k.DrillFailed > 0:
		return []act{newAct(bad, fmt.Sprintf("The recovery key did not open %s of %s", units.Plural(k.DrillFailed, "header"), units.Count(k.DrillDrawn)),
			"Look at the header drill's report (`farshore report`). Packs that are sealed to another key can't be restored: `farshore verify --full` with the recovery identity says which.")}
	case k.DrillTime.IsZero() && !b.nothing() && b.a.Items.Restored == 0:
		return []act{newAct(warn, "That the recovery key opens what is stored was never tried", "Run `farshore drill header` with the recovery identity: it reads headers alone.")}
	}
	return nil
}

// slow is about a drill that took too long.
func (b *builder) slow() []act {
	d := b.a.Drill
	if d == nil || d.TargetSeconds <= 0 || d.Seconds <= float64(d.TargetSeconds) {
		return nil
	}
	return []act{newAct(warn, fmt.Sprintf("The drill took %s, and may take %s", seconds(d.Seconds), length(d.TargetSeconds)),
		"Restore nearer to the second provider, with more workers or in parts, or allow more time.")}
}

func (b *builder) unpinned() []act {
	if b.a.Pinned {
		return nil
	}
	return []act{newAct(warn, "The owner's key was taken from the vault itself", "A vault that was forged as a whole would pass. Run `farshore verify` with the configuration that pins the owner's key, or with `--identity recovery.key`, which carries it.")}
}

// liveSources are the states of the chains that are not retired.
func (b *builder) liveSources() []report.SourceState {
	var out []report.SourceState
	for _, s := range b.a.Sources {
		if !s.Retired {
			out = append(out, s)
		}
	}
	return out
}

// budget says what the run may have read.
func (b *builder) budget() string {
	g := b.a.Budget
	var list []string
	if g.Bytes > 0 {
		list = append(list, units.Bytes(g.Bytes))
	}
	if g.Seconds > 0 {
		list = append(list, length(g.Seconds))
	}
	if len(list) == 0 {
		return "not bounded"
	}
	return strings.Join(list, " or ") + map[bool]string{true: ", whichever ends first"}[len(list) > 1]
}

// maxDropped is how many commitments without an audit are named.
const maxDropped = 10

// silent is about draws of which the signer told nothing.
func (b *builder) silent() []act {
	n := len(b.dropped)
	if n == 0 {
		return nil
	}
	var lines []string
	for _, e := range b.dropped[:min(n, maxDropped)] {
		lines = append(lines, safe(e.Name, maxPath)+", stored "+when(e.Time))
	}
	if n > maxDropped {
		lines = append(lines, fmt.Sprintf("… and %d more", n-maxDropped))
	}
	return []act{newAct(warn, fmt.Sprintf("Before this audit its signer announced %s and never told what came of it", units.Plural(int64(n), "other draw")),
		"Find out what stopped these runs. Somebody who draws until he likes what he finds leaves the same behind: if nothing explains it, have another key audit.", lines...)}
}
