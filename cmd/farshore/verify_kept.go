package main

import (
	"farshore/agent/record"
	"farshore/agent/verify"
	"farshore/providers"
)

// keptResult says how the store keeps what it holds, as far as a verification could see it.
type keptResult struct {
	// Versions is "seen", "none" where the store keeps no versions, or "denied" where the credential may not list them.
	Versions providers.Sight `json:"versions"`
	// ExtraVersions and Markers are how many versions there are beside the right ones, and how many delete markers.
	ExtraVersions int64 `json:"extra_versions"`
	Markers       int64 `json:"delete_markers"`
	// Locks is nil where the store can't be asked.
	Locks *verify.Locks `json:"locks,omitempty"`
}

func keptOf(res *verify.Result) keptResult {
	return keptResult{Versions: res.Versions, ExtraVersions: res.ExtraVersions, Markers: res.Markers, Locks: res.Locks}
}

// kept says it in a few lines. What could not be looked at is said, too.
func (r keptResult) kept(p *printer) {
	switch r.Versions {
	case providers.SightSeen:
		p.line("  versions were looked at: %s beside the right ones, %s", plural(r.ExtraVersions, "version"), plural(r.Markers, "delete marker"))
	case providers.SightDenied:
		p.line("  versions were not looked at: the credential may not list them")
	}
	l := r.Locks
	if l == nil {
		return
	}
	if l.Asked > 0 {
		p.line("  locks: %s asked, of %s that the newest snapshots need; %s locked for everybody, %s not, %s not known", plural(l.Asked, "pack"), formatCount(l.Needed), formatCount(l.Locked), formatCount(l.Unlocked), formatCount(l.Unknown))
	}
	if l.First != nil {
		p.line("  the first lock ends on %s: %s", record.FormatTime(l.First.Until), l.First.Object)
	}
	if l.Why != "" {
		p.line("  locks that could not be asked for: %s", lines(l.Why))
	}
}
