// Package items draws items of the newest snapshots at random, puts each together from the vault and compares it with the hash that was taken at its source, and, where the
// source is at hand, with what the source has now. It reads only. What it finds holds for the items that it drew; how large a share of all may be lost follows from that alone,
// because every item is as likely to be drawn as any other.
package items

import (
	"context"
	"sync/atomic"
	"time"

	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/source"
	"farshore/agent/vault"
)

// DefaultMost is how many items are drawn where nobody says how many.
const DefaultMost = 1000

// Options say what to draw and what to do with it.
type Options struct {
	// Seed decides what is drawn.
	Seed   record.Hash
	Chains []*vault.Chain
	// Restore says that an identity which opens packs is at hand. Without it items are drawn for the comparison with their source alone, and only where Live has some.
	Restore bool
	// Bytes is how much may be read, about: the segments that the draw needs, and what restoring the items takes (an extent costs its length, and 1 MiB at the
	// least). 0: no bound. It also bounds the bytes read at the sources, and again those of the repositories. At least one item is dealt with, unless it alone takes ten times
	// as much.
	Bytes int64
	// Deadline is when to stop; zero: never.
	Deadline time.Time
	// Most is how many items are drawn; default DefaultMost.
	Most int
	// Live are sources to compare with, by name; it may be empty.
	Live map[string]source.Source
	// Scratch is the directory in which repositories are restored to be checked; empty: the system's for temporary files.
	Scratch string
	// Repositories is how many repositories are restored and checked; default DefaultRepositories, negative: none.
	Repositories int
	// Workers is how many items are restored at a time; default 6.
	Workers int
	// Name keeps the name of an item for who may know it, and returns its index from 1 on; 0: there is no more room. It may be nil, and is called by one goroutine at a time.
	Name func(source, path string) int64
	// Note is told of findings, by one goroutine at a time; it may be nil.
	Note     func(report.AuditFinding)
	Progress *Progress
}

// Progress counts what was restored, while it runs.
type Progress struct{ Items, Bytes atomic.Int64 }

// Lost is an item that can't be put together, or that is not what it should be.
type Lost struct {
	// Object is the name of the stored object that fails, where it is known.
	Object string
	// Kind is report.DamageContent, DamageSeal, DamageMissing or DamageWithheld.
	Kind         string
	Source, Path string
	Why          string
}

// Result is what came of it. It is given with an error too: what was done until then counts.
type Result struct {
	Counts report.ItemCounts
	Repos  report.RepoCounts
	// Population is how many items there are; 0: not known, and the draw was with replacement. Otherwise it was without.
	Population int64
	// Sampled items are the longest run from the beginning of the draw that was tried, and Failed those of them that can't be put together, whatever the reason.
	Sampled, Failed int64
	// Lost are at most MaxLost.
	Lost []Lost
	// Complete says that nothing was left out but for the end of the budget: of bytes, or where there are none, of time. So not for want of time before the bytes were spent, nor for an
	// item that is far beyond them.
	Complete   bool
	NotChecked []report.NotChecked
	// Answered are the sources, by name, that said of one item at least what it is now.
	Answered map[string]bool
}

// MaxLost bounds the list of lost items; Counts has them all.
const MaxLost = 1000

// Sample draws items uniformly from the newest complete snapshots of the chains that are not retired, and deals with them in the order of the draw.
func Sample(ctx context.Context, v *vault.Vault, o Options) (*Result, error) {
	r := newRun(v, o)
	err := r.all(ctx)
	return r.finish(), err
}
