package main

import (
	"context"
	"fmt"

	"farshore/agent/record"
	"farshore/agent/vault"
)

// holdsResult says how many repositories a snapshot has: its items are up to three of each.
type holdsResult struct {
	Seq   int64 `json:"seq"`
	Count int64 `json:"count"`
	// Lacking are those of Count that could not be captured, or not all of them.
	Lacking int64 `json:"lacking"`
}

// lacks says what is not whole.
func (h *holdsResult) lacks(source string) string {
	if h.Lacking == 0 {
		return ""
	}
	return fmt.Sprintf(", %s of them not captured, or not as a whole: `farshore ls %s` says why", formatCount(h.Lacking), source)
}

// holds counts the repositories of a chain's newest snapshot; nil for a chain of something else, and for one that can't be read, of which verify says more.
func holds(ctx context.Context, v *vault.Vault, c *vault.Chain) *holdsResult {
	if !isMain(c.Source.Kind) {
		return nil
	}
	var k *vault.Commit
	for _, other := range c.Commits {
		if other.Seq > 1 && other.Root != nil && !other.Revoked && !other.Retired {
			k = other
		}
	}
	if k == nil {
		return nil
	}
	snap, err := v.Snapshot(ctx, k)
	if err != nil {
		return nil
	}
	h := &holdsResult{Seq: k.Seq}
	path, lacking := "", false
	for rec, err := range snap.Records(ctx, "", "") {
		if err != nil {
			return nil
		}
		if rec.State == record.Deleted {
			continue
		}
		if h.Count == 0 || rec.Path != path {
			h.Count++
			path, lacking = rec.Path, false
		}
		if !lacking && (rec.State == record.Unreadable || rec.Attrs[record.AttrOmitted] != "") {
			lacking = true
			h.Lacking++
		}
	}
	return h
}
