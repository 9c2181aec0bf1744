package tripwire

import (
	"farshore/agent/record"
	"farshore/agent/repo/refs"
)

// Attributes of records of repositories (docs/format.md, sections 5.1.3 and 5.1.4).
const (
	attrRefs   = "refs"
	attrDigest = "digest"
)

// LossOf compares a repository's record with that of the last good snapshot. A repository whose refs, or revisions, are again what they were then has lost nothing.
func LossOf(good, now *record.Record) refs.Lost {
	good, now = readable(good), readable(now)
	if good == nil || now == nil {
		return refs.Lost{}
	}
	if why := now.Attrs[record.AttrRewritten]; why != "" && why != good.Attrs[record.AttrRewritten] && now.Attrs[attrDigest] != good.Attrs[attrDigest] {
		return refs.Lost{Heads: 1}
	}
	if now.Attrs[attrRefs] == good.Attrs[attrRefs] {
		return refs.Lost{}
	}
	before, after := refs.ParseLost(good.Attrs[record.AttrLost]), refs.ParseLost(now.Attrs[record.AttrLost])
	return refs.Lost{
		Heads: max(0, after.Heads-before.Heads), Rewritten: max(0, after.Rewritten-before.Rewritten), Vanished: max(0, after.Vanished-before.Vanished),
		Untold: max(0, after.Untold-before.Untold), Of: after.Of,
	}
}

// readable is the record that says what the repository had: of an unreadable one its last good record.
func readable(r *record.Record) *record.Record {
	if r != nil && r.State == record.Unreadable {
		return r.Last
	}
	return r
}

// Judge reports whether a repository's history was written anew, and whether it lost so many refs, that it is suspicious.
func (t Thresholds) Judge(l refs.Lost) (rewritten, vanished bool) {
	if t.Refs <= 0 {
		return false, false
	}
	return l.Heads > 0 || beyond(t.Refs, l.Rewritten, l.Of, fewRefs), beyond(t.Refs, l.Vanished, l.Of, fewRefs)
}
