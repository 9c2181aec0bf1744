package report

import (
	"cmp"
	"slices"

	"farshore/agent/record"
)

// Dropped returns, oldest first, the commitments which the signer of an audit stored between his audit before it and it, and of which no audit of the entries tells what came. A run
// that died leaves one. So does somebody who looks at what a draw would show, and tells of another: a commitment binds him only if each is seen.
func Dropped(entries []*Entry, e *Entry) []*Entry {
	told, before := map[record.Hash]bool{}, int64(0)
	for _, x := range entries {
		if x == nil || x.Audit == nil || x.Signer != e.Signer {
			continue
		}
		if x.Audit.Commitment != nil {
			told[*x.Audit.Commitment] = true
		}
		if x.Seq < e.Seq && x.Audit.Mode != ModeDrill {
			before = max(before, x.Seq)
		}
	}
	if e.Audit != nil && e.Audit.Commitment != nil {
		told[*e.Audit.Commitment] = true
	}
	var out []*Entry
	for _, x := range entries {
		if x != nil && x.Commitment != nil && x.Signer == e.Signer && x.Seq > before && x.Seq < e.Seq && !told[x.Hash] {
			out = append(out, x)
		}
	}
	slices.SortFunc(out, func(a, b *Entry) int { return cmp.Compare(a.Seq, b.Seq) })
	return out
}
