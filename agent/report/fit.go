package report

import (
	"reflect"
	"slices"
	"time"

	"farshore/agent/record"
)

// Severities of findings, as the vault's readers have them.
const (
	severityNotice    = "notice"
	severityDamage    = "damage"
	severityTampering = "tampering"
)

func severities() []string { return []string{severityNotice, severityDamage, severityTampering} }

// Fit makes an audit fit into a report: it cuts texts and lists that are too long, and counts what it drops where there is a count. A number that is larger than one can be
// becomes the largest: commits state what who signs them likes, and what they add up to must not keep a report from being made. It drops the mildest findings first. A ledger
// with too many places forgets those of the last chains, so that what it claims becomes less. Calling it again changes nothing.
func (a *Audit) Fit() {
	slices.SortStableFunc(a.Findings, func(x, y AuditFinding) int {
		return slices.Index(severities(), y.Severity) - slices.Index(severities(), x.Severity)
	})
	shapes{}.cutTexts(reflect.ValueOf(a).Elem(), "")
	shapes{}.limit(reflect.ValueOf(a).Elem(), 0)
	a.keepFindings(MaxFindings)
	a.keepDamaged(MaxDamaged)
	a.keepSources(MaxSources)
	a.NotChecked = a.NotChecked[:min(len(a.NotChecked), MaxNotChecked)]
	for i := range a.Damaged {
		d := &a.Damaged[i]
		d.First, d.Names = d.First[:min(len(d.First), MaxRefs)], d.Names[:min(len(d.Names), MaxRefs)]
	}
	a.Ledger.fit(MaxPlaces)
	for size(a)+envelopeRoom > MaxSize && a.shrink() {
	}
}

// size is how many bytes a body has in a report.
func size(v any) int { return len(shapes{}.appendValue(nil, reflect.Indirect(reflect.ValueOf(v)))) }

// leastListed is how many findings and sources are always listed.
const leastListed = 16

// shrink halves the longest of the lists that may be cut, and reports whether it did anything. Which objects are damaged is cut last of all, and never here: the ledger counts what
// is not on that list as verified. That it forgets places does no harm.
func (a *Audit) shrink() bool {
	weights := []int{size(a.Findings), a.damageDetails(), size(a.Sources), len(a.Sealed)}
	if len(a.Findings) <= leastListed {
		weights[0] = 0
	}
	if len(a.Sources) <= leastListed {
		weights[2] = 0
	}
	switch longest := slices.Max(weights); {
	case longest == 0:
		return a.Ledger.fit(a.Ledger.places() / 2)
	case longest == weights[0]:
		a.keepFindings(len(a.Findings) / 2)
	case longest == weights[1]:
		for i := range a.Damaged {
			d := &a.Damaged[i]
			d.First, d.Names, d.Advice = d.First[:len(d.First)/2], d.Names[:len(d.Names)/2], ""
		}
	case longest == weights[2]:
		a.keepSources(len(a.Sources) / 2)
	default:
		a.Sealed = ""
	}
	return true
}

// damageDetails is how many bytes those members of damages have that may be cut.
func (a *Audit) damageDetails() (n int) {
	for i := range a.Damaged {
		d := &a.Damaged[i]
		if len(d.First)+len(d.Names)+len(d.Advice) > 0 {
			n += size(d.First) + size(d.Names) + size(d.Advice)
		}
	}
	return n
}

func (a *Audit) keepFindings(n int) {
	n = min(n, len(a.Findings))
	a.Omitted += int64(len(a.Findings) - n)
	a.Findings = a.Findings[:n]
}

func (a *Audit) keepDamaged(n int) {
	n = min(n, len(a.Damaged))
	a.MoreDamaged += int64(len(a.Damaged) - n)
	a.Damaged = a.Damaged[:n]
}

func (a *Audit) keepSources(n int) {
	n = min(n, len(a.Sources))
	a.MoreSources += int64(len(a.Sources) - n)
	a.Sources = a.Sources[:n]
}

// places is how many elements the positions have together.
func (l *Ledger) places() (n int) {
	for _, p := range l.Positions {
		n += len(p)
	}
	return n
}

// fit leaves each position its share of so many places, and reports whether it dropped any: that a chain is not there claims nothing of it.
func (l *Ledger) fit(places int) bool {
	before := l.places()
	if before <= places {
		return false
	}
	positions := slices.Clone(l.Positions)
	for i, p := range positions {
		positions[i] = p[:min(len(p), places/len(positions))]
	}
	l.Positions = positions
	return l.places() < before
}

// cutTexts makes every text fit, and cuts lists of texts. Base64 is not cut.
func (s shapes) cutTexts(v reflect.Value, name string) {
	switch v.Interface().(type) {
	case time.Time, record.Hash:
		return
	}
	switch v.Kind() {
	case reflect.String:
		if name != "sealed" {
			v.SetString(cut(v.String()))
		}
	case reflect.Pointer:
		if !v.IsNil() {
			s.cutTexts(v.Elem(), name)
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.String && v.Len() > most(name) {
			v.SetLen(most(name))
		}
		for i := range v.Len() {
			s.cutTexts(v.Index(i), name)
		}
	case reflect.Struct:
		for _, m := range s.of(v.Type()) {
			s.cutTexts(v.Field(m.index), m.name)
		}
	}
}

// limit holds each integer to what a member may be, which is from least on.
func (s shapes) limit(v reflect.Value, least int64) {
	switch v.Kind() {
	case reflect.Int64:
		v.SetInt(min(max(v.Int(), least), MaxNumber))
	case reflect.Pointer:
		if !v.IsNil() {
			s.limit(v.Elem(), least)
		}
	case reflect.Slice:
		for i := range v.Len() {
			s.limit(v.Index(i), least)
		}
	case reflect.Struct:
		if _, ok := v.Interface().(time.Time); ok {
			return
		}
		for _, m := range s.of(v.Type()) {
			s.limit(v.Field(m.index), m.least)
		}
	}
}
