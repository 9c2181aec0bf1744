package config

import (
	"fmt"

	"go.yaml.in/yaml/v3"

	"farshore/agent/tripwire"
)

// Tripwire says from which change of a source on its snapshot is suspicious. A value is a share such as 30%, or Off; of Policy On or Off. An empty value says nothing: for a
// source what the file says for all holds, for all the defaults of tripwire.Default.
type Tripwire struct {
	Deleted, Modified, Size, Items, Unreadable, Compression, Refs, Policy string
}

// Values that are no shares.
const (
	On  = "on"
	Off = "off"
)

// tripwireKey is a key of the section, its value, where that goes to (share, or policy where share is nil), and what it means.
type tripwireKey struct {
	key   string
	text  *string
	share *float64
	means string
}

// tripwireKeys are the section's keys in the order in which farshore writes them.
func tripwireKeys(t *Tripwire, limits *tripwire.Thresholds) []tripwireKey {
	return []tripwireKey{
		{"deleted", &t.Deleted, &limits.Deleted, "Items that were deleted: a share, or off."},
		{"modified", &t.Modified, &limits.Modified, "Items that have other contents: a share, or off."},
		{"size", &t.Size, &limits.Size, "By how much less the snapshot has in bytes: a share, or off."},
		{"items", &t.Items, &limits.Items, "By how much fewer items the snapshot has: a share, or off."},
		{"unreadable", &t.Unreadable, &limits.Unreadable, "Items that can't be read and could be before: a share, or off."},
		{"compression", &t.Compression, &limits.Compression, "What of compression's savings is lost on new contents: a share, or off."},
		{"refs", &t.Refs, &limits.Refs, "Refs of a repository that were rewritten or vanished: a share, or off."},
		{"policy", &t.Policy, nil, "Changes to the bucket's own lifecycle, versioning, policy and public access: on or off."},
	}
}

// TripwireOf returns the thresholds of a source: its own, those of all where it has none, and the defaults where neither says anything.
func (c *Config) TripwireOf(s *Source) tripwire.Thresholds {
	limits := tripwire.Default()
	for _, t := range []*Tripwire{&c.Tripwire, &s.Tripwire} {
		for _, k := range tripwireKeys(t, &limits) {
			switch {
			case *k.text == "":
			case k.share == nil:
				limits.Policy = *k.text == On
			case *k.text == Off:
				*k.share = 0
			default:
				// It was parsed when the file was read.
				if f, err := ParseShare(*k.text); err == nil {
					*k.share = f
				}
			}
		}
	}
	return limits
}

// tripwire is the section: a mapping, or off for all of it.
func (p *parser) tripwire(t *Tripwire) value {
	section := p.section("tripwire", p.tripwireFields(t))
	section.shape.instead = Off
	return value{func(n *yaml.Node) {
		if n.Kind == yaml.ScalarNode && n.Value == Off && n.Anchor == "" && n.Style&yaml.TaggedStyle == 0 {
			for _, k := range tripwireKeys(t, new(tripwire.Thresholds)) {
				*k.text = Off
			}
			return
		}
		section.set(n)
	}, section.shape}
}

func (p *parser) tripwireFields(t *Tripwire) []field {
	var out []field
	defaults := defaultTripwire()
	fallback := tripwireKeys(&defaults, new(tripwire.Thresholds))
	for i, k := range tripwireKeys(t, new(tripwire.Thresholds)) {
		v := number(p, "tripwire."+k.key, k.text, parseThreshold, thresholdShape)
		if k.share == nil {
			v = number(p, "tripwire."+k.key, k.text, parseSwitch, shape{kind: kindText, words: []string{On, Off}})
		}
		out = append(out, field{k.key, false, v, about{text: k.means, fallback: *fallback[i].text}})
	}
	return out
}

// defaultTripwire is what holds where the file says nothing, as text.
func defaultTripwire() Tripwire {
	var t Tripwire
	limits := tripwire.Default()
	for _, k := range tripwireKeys(&t, &limits) {
		switch {
		case k.share == nil && limits.Policy:
			*k.text = On
		case k.share == nil || *k.share == 0:
			*k.text = Off
		default:
			*k.text = FormatShare(*k.share)
		}
	}
	return t
}

// fill says for all that the file says nothing of what holds then.
func (t *Tripwire) fill() {
	defaults := defaultTripwire()
	fallback := tripwireKeys(&defaults, new(tripwire.Thresholds))
	for i, k := range tripwireKeys(t, new(tripwire.Thresholds)) {
		*k.text = orText(*k.text, *fallback[i].text)
	}
}

// parseThreshold reads a share or off, and returns it as farshore writes it.
func parseThreshold(s string) (string, error) {
	if s == Off {
		return Off, nil
	}
	f, err := ParseShare(s)
	if err != nil {
		return "", fmt.Errorf("%q is no threshold: write 30%%, 0.3, or off", s)
	}
	return FormatShare(f), nil
}

func parseSwitch(s string) (string, error) {
	if s != On && s != Off {
		return "", fmt.Errorf("%q is neither on nor off", s)
	}
	return s, nil
}

// tripwireLines are the keys of the section that say anything, and their values as text.
func tripwireLines(t Tripwire) [][2]string {
	var out [][2]string
	for _, k := range tripwireKeys(&t, new(tripwire.Thresholds)) {
		if *k.text != "" {
			out = append(out, [2]string{k.key, *k.text})
		}
	}
	return out
}
