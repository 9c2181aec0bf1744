package probe

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"farshore/providers"
)

// compare makes a finding of each setting of the bucket that was changed while the probe ran: by one of its requests, or by somebody else. Either is a reason
// to look.
func (p *run) compare(before, after providers.Settings) {
	for _, d := range differences(before, after) {
		p.record(Attempt{Probe: "settings", Property: NoShorten, Harm: Loosens, Grant: "the setting of " + d[0]},
			Result{Answer: Permitted, Text: "a setting of the bucket changed while the probe ran: " + d[0] + " was " + d[1] + ", is " + d[2] + ": put it back, and see who did it"})
	}
}

// hold compares the settings with what the bucket is held to, and takes over what is stronger now. What can't be read is neither.
func (p *run) hold(base *providers.Settings) {
	now := p.r.Settings
	if base == nil {
		p.r.Baseline = now
		return
	}
	b := *base
	blind := func(name string) bool { return now.Unknown[name] != "" || now.Unknown["all"] != "" }
	weaker := func(format string, args ...any) { p.r.Weaker = append(p.r.Weaker, fmt.Sprintf(format, args...)) }
	if !blind("versioning") {
		if b.Versioning == "on" && now.Versioning != "on" {
			weaker("versioning was on, is %s", now.Versioning)
		} else {
			b.Versioning = now.Versioning
		}
	}
	if !blind("lock") {
		switch {
		case b.Mode.Binding() && !now.Mode.Binding():
			weaker("new objects were locked with mode %s, are now with %s", b.Mode, cmp.Or(string(now.Mode), "none"))
		case b.Mode != providers.LockNone && now.Mode == providers.LockNone:
			weaker("new objects were locked with mode %s, are not now", b.Mode)
		case now.Retention < b.Retention:
			weaker("new objects were locked for %v, are now for %v", b.Retention, now.Retention)
		default:
			b.Lock, b.Mode, b.Retention = now.Lock, now.Mode, now.Retention
		}
	}
	if !blind("rules") {
		for _, r := range ruleTexts(now.Rules) {
			if !slices.Contains(ruleTexts(b.Rules), r) {
				p.note("since the bucket's settings were accepted there is a new lifecycle " + r)
			}
		}
	}
	p.r.Baseline = b
}

// differences returns name, before and after of each setting that differs. What could not be read at one of the two times is none.
func differences(before, after providers.Settings) [][3]string {
	var out [][3]string
	differ := func(name, unknown string, a, b any) {
		_, all := merge(before, after)["all"]
		_, one := merge(before, after)[unknown]
		if !all && !one && !reflect.DeepEqual(a, b) {
			out = append(out, [3]string{name, fmt.Sprint(a), fmt.Sprint(b)})
		}
	}
	differ("versioning", "versioning", before.Versioning, after.Versioning)
	differ("object lock", "lock", before.Lock, after.Lock)
	differ("default lock mode", "lock", before.Mode, after.Mode)
	differ("default retention", "lock", before.Retention, after.Retention)
	differ("lifecycle", "rules", ruleTexts(before.Rules), ruleTexts(after.Rules))
	return out
}

func merge(before, after providers.Settings) map[string]string {
	out := map[string]string{}
	for _, s := range []providers.Settings{before, after} {
		for name, why := range s.Unknown {
			out[name] = why
		}
	}
	return out
}

// ruleTexts returns the rules for people, in an order that does not depend on the store's.
func ruleTexts(rules []providers.Rule) []string {
	out := make([]string, len(rules))
	for i, r := range rules {
		out[i] = ruleText(r)
	}
	slices.Sort(out)
	return out
}

func ruleText(r providers.Rule) string {
	text := fmt.Sprintf("rule %q", r.ID)
	if r.Prefix != "" {
		text += fmt.Sprintf(" for %q", r.Prefix)
	}
	if r.Tagged {
		text += " by tags"
	}
	if r.Expire != nil {
		text += " removes current objects " + after(*r.Expire)
	}
	if r.Noncurrent != nil {
		text += " removes what was overwritten or hidden " + after(*r.Noncurrent)
	}
	return text
}

func after(d time.Duration) string {
	switch {
	case d <= 0:
		return "at once"
	case d%(24*time.Hour) == 0:
		return fmt.Sprintf("after %d days", d/(24*time.Hour))
	}
	return "after " + d.String()
}

// reaches reports whether a rule can take an object of the vault.
func (p *run) reaches(r providers.Rule) bool {
	return !p.known || strings.HasPrefix(p.prefix, r.Prefix) || strings.HasPrefix(r.Prefix, p.prefix)
}

// early returns the rules that remove what was hidden sooner than the promised retention, or by tags: with a permission to hide they remove for the thief.
func (p *run) early() []string {
	var out []string
	for _, r := range p.r.Settings.Rules {
		if p.reaches(r) && r.Noncurrent != nil && (*r.Noncurrent < p.r.Settings.Retention || p.r.Settings.Retention == 0 || r.Tagged) {
			out = append(out, ruleText(r))
		}
	}
	return out
}

// rulesText says what the bucket's own rules remove of the vault; "" for nothing.
func (p *run) rulesText() string {
	var out []string
	for _, r := range p.r.Settings.Rules {
		if p.reaches(r) && (r.Expire != nil || r.Noncurrent != nil) {
			out = append(out, ruleText(r))
		}
	}
	if len(out) == 0 {
		return ""
	}
	return "the bucket's own lifecycle removes objects of the vault where no lock keeps them: " + strings.Join(out, "; ")
}

// consumed reports whether the bucket itself removes the vault's objects for good: a rule does that reaches them, no lock keeps them, and no version stays, or those go too.
func (p *run) consumed() bool {
	s := p.r.Settings
	expire, noncurrent := false, false
	for _, r := range s.Rules {
		if p.reaches(r) {
			expire, noncurrent = expire || r.Expire != nil, noncurrent || r.Noncurrent != nil
		}
	}
	return expire && !s.Mode.Binding() && (s.Versioning != "on" || noncurrent)
}
