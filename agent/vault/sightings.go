package vault

import (
	"fmt"
	"slices"
	"sync"

	"farshore/agent/record"
	"farshore/providers"
)

// maxSightings bounds how many findings reading remembers: whoever may hide can hide everything.
const maxSightings = 1000

// sightings are what reading noticed and went on without. Safe for concurrent use.
type sightings struct {
	mu    sync.Mutex
	list  []Finding
	known map[Finding]struct{} // those in list
	full  bool
}

func newSightings() *sightings { return &sightings{known: map[Finding]struct{}{}} }

func (s *sightings) add(findings ...Finding) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range findings {
		if _, ok := s.known[f]; ok {
			continue
		}
		if len(s.list) == maxSightings {
			s.full = true
			return
		}
		s.known[f] = struct{}{}
		s.list = append(s.list, f)
	}
}

// Sightings returns what reading has noticed so far in the versions of names: delete markers and overwrites that the right bytes lie beneath, each once. There are at
// most 1,000, and one more that says so where there were others. On a store that shows no versions there are none. It may be called concurrently with reads; copies
// that WithCache made share them.
func (v *Vault) Sightings() []Finding {
	s := v.sightings
	s.mu.Lock()
	defer s.mu.Unlock()
	out := slices.Clone(s.list)
	if s.full {
		out = append(out, Finding{Tampering, v.bucket.Traits().Place, fmt.Sprintf("more than %d versions and delete markers were seen: the rest is not listed; a verification counts all", maxSightings)})
	}
	return out
}

// Layers says what lies over, beside or under the version of a name with that id, which is the right one: a finding for each version and marker that is
// remembered, and one for the rest. Bytes are not compared.
func Layers(n *providers.Name, id string) []Finding {
	return layers(n, slices.IndexFunc(n.Oldest, func(o providers.Version) bool { return !o.Marker && o.ID == id }), nil)
}

// beside says what is known of a version that lies with the right one.
type beside int

const (
	other  beside = iota // it has other bytes
	twin                 // it has the same bytes
	unread               // nobody looked
)

// layers says what lies over, beside or under the version of a name that is right: a finding for each version and marker that is remembered, and one for
// the rest. right is the index in n.Oldest, -1 where none is right; known is by that index as well.
func layers(n *providers.Name, right int, known map[int]beside) []Finding {
	var out []Finding
	add := func(s Severity, format string, args ...any) {
		out = append(out, Finding{s, n.Name, fmt.Sprintf(format, args...)})
	}
	for i := range n.Oldest {
		o := &n.Oldest[i]
		switch {
		case i == right:
		case o.Marker && right < 0:
			add(Tampering, "a delete marker%s lies there, and no right version is beneath it", origin("of", o))
		case o.Marker && i < right:
			add(Tampering, "a delete marker%s hid the name before the version that was read was stored", origin("of", o))
		case o.Marker:
			add(Tampering, "a delete marker%s lies over it; the version beneath was read", origin("of", o))
		case known[i] == twin:
			add(Notice, "stored once more%s, with the same %d bytes", origin("at", o), o.Size)
		case known[i] == unread:
			add(Tampering, "a version%s, with %d bytes, could not be read or was not: what it has is not known", origin("of", o), o.Size)
		case right < 0:
			add(Tampering, "a version%s, with %d bytes, is not what belongs there", origin("of", o), o.Size)
		case i < right:
			add(Tampering, "a version%s, with %d bytes, was there before it and is not what belongs there; it was not used", origin("of", o), o.Size)
		default:
			add(Tampering, "overwritten%s, with %d bytes; the version beneath was read", origin("at", o), o.Size)
		}
	}
	if more := n.Versions + n.Markers - len(n.Oldest); more > 0 {
		add(Tampering, "%d more versions and delete markers are newer than the oldest %d, and were not looked at", more, len(n.Oldest))
	}
	if len(out) == 0 && n.Hidden {
		add(Tampering, "hidden: it is no longer the current version; it was read all the same")
	}
	return out
}

// origin says when, behind the word at, and by whom a version was stored, as far as the store tells.
func origin(at string, v *providers.Version) string {
	var s string
	if !v.Modified.IsZero() {
		s = " " + at + " " + record.FormatTime(v.Modified)
	}
	if v.By != "" {
		s += fmt.Sprintf(" by %q", v.By)
	}
	return s
}
