package restore

import (
	"fmt"
	"strings"

	"farshore/agent/record"
)

// job is one item and where its content is.
type job struct {
	item Item
	part *record.Part
	// earlier says why the item comes from an earlier capture; empty when it does not.
	earlier string
}

// pick returns what to restore of a record, or notes why nothing is, and returns nil.
func (r *run) pick(rec *record.Record) *job {
	good, earlier := rec, ""
	switch {
	case rec.Version != "":
		r.ledger.note(func(s *Summary) { s.OtherVersions++ })
		return nil
	case rec.State == record.DeleteMarker:
		r.ledger.note(func(s *Summary) { s.DeleteMarkers++ })
		return nil
	case rec.State == record.Deleted:
		return nil
	case rec.State == record.Unreadable:
		good, earlier = rec.Last, unreadable(rec)
		if good == nil || good.State != record.Present {
			r.unrestorable(rec, earlier)
			return nil
		}
	}
	if rec.Kind != record.KindObject || len(good.Parts) != 1 || good.Parts[0].Kind != record.PartContent || good.Parts[0].Encoding != "" || good.Parts[0].Base != "" {
		r.unrestorable(rec, fmt.Sprintf("it is no plain object (%s): this version can't put it together", rec.Kind))
		return nil
	}
	p := &good.Parts[0]
	return &job{
		item: Item{Path: rec.Path, Attrs: good.Attrs, Size: p.Size, SHA256: p.SHA256, Below: r.above.below(rec.Path)},
		part: p, earlier: earlier,
	}
}

// unreadable says why the source could not read the item.
func unreadable(rec *record.Record) string {
	if rec.Detail == "" {
		return rec.Reason
	}
	return rec.Reason + ": " + rec.Detail
}

func (r *run) unrestorable(rec *record.Record, why string) {
	r.ledger.progress.Failed.Add(1)
	r.ledger.note(func(s *Summary) { s.Unrestorable.name(rec.Size(), Named{Path: rec.Path, Why: why}) })
}

// ancestors finds out which of a sorted run of paths lie below another one. It keeps those seen that a later path may lie below: each
// is a beginning of the next, so that there are never more than the bytes of one path.
type ancestors []string

// below takes the next path, which must be greater than the one before, and reports whether one of those before is an ancestor of it.
func (a *ancestors) below(path string) bool {
	s := *a
	for len(s) > 0 && !canHold(s[len(s)-1], path) {
		s = s[:len(s)-1]
	}
	found := false
	for _, up := range s {
		found = found || path[len(up)] == '/'
	}
	*a = append(s, path)
	return found
}

// canHold reports whether a path that is not less than this one may lie below up.
func canHold(up, path string) bool {
	return len(path) > len(up) && strings.HasPrefix(path, up) && path[len(up)] <= '/'
}
