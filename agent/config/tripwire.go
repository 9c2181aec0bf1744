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

// tripwireKey is a key of the section, its value, and where that goes to: share, or policy where share is nil.
type tripwireKey struct {
	key   string
	text  *string
	share *float64
}

// tripwireKeys are the section's keys in the order in which farshore writes them.
func tripwireKeys(t *Tripwire, limits *tripwire.Thresholds) []tripwireKey {
	return []tripwireKey{
		{"deleted", &t.Deleted, &limits.Deleted}, {"modified", &t.Modified, &limits.Modified}, {"size", &t.Size, &limits.Size}, {"items", &t.Items, &limits.Items},
		{"unreadable", &t.Unreadable, &limits.Unreadable}, {"compression", &t.Compression, &limits.Compression}, {"refs", &t.Refs, &limits.Refs}, {"policy", &t.Policy, nil},
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

// tripwire returns a setter for the section: a mapping, or off for all of it.
func (p *parser) tripwire(t *Tripwire) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if n.Kind == yaml.ScalarNode && n.Value == Off && n.Anchor == "" && n.Style&yaml.TaggedStyle == 0 {
			for _, k := range tripwireKeys(t, new(tripwire.Thresholds)) {
				*k.text = Off
			}
			return
		}
		p.mapping(n, "tripwire", p.tripwireFields(t))
	}
}

func (p *parser) tripwireFields(t *Tripwire) []field {
	var out []field
	for _, k := range tripwireKeys(t, new(tripwire.Thresholds)) {
		parse := parseThreshold
		if k.share == nil {
			parse = parseSwitch
		}
		out = append(out, field{k.key, false, number(p, "tripwire."+k.key, k.text, parse)})
	}
	return out
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
