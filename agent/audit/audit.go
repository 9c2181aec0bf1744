// Package audit puts a verification run together: it commits to a draw before it knows it, takes what the vault should hold from its commits, lists what is there, reads
// what was drawn within a budget, restores items where it can, and leaves a signed report of what was checked and what was not. It never says more than was checked, and
// it writes nothing but below reports/.
package audit

import (
	"sync/atomic"
	"time"

	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/source"
	"farshore/agent/vault"
	"farshore/agent/verify"
	"farshore/agent/verify/census"
	"farshore/agent/verify/items"
	"farshore/crypto/sign"
)

// Options say what an audit may do, and with what. The zero value reads one per cent of what is stored, at least 1 GiB, and leaves no report.
type Options struct {
	// Key signs the commitment and the report, as an agent's, an auditor's or the owner's; nil: none is left in the vault, and the result has no name.
	Key *sign.PrivateKey
	// Bytes, Duration and Share (of the stored bytes, from 0 to 1) bound the run: whichever ends it first. All zero: one per cent of what is stored, at least 1 GiB.
	Bytes    int64
	Duration time.Duration
	Share    float64
	// Coverage is the promise that everything is verified within so long, in whole days (what is over is cut); 0: none. Every is how long after this audit the next is
	// expected; default a day.
	Coverage, Every time.Duration
	// Recovery says that the vault was opened with an identity that opens packs: then items are restored.
	Recovery bool
	// Source restricts items and repositories to one source, by its name or its chain's id; empty: all. The draw of objects is over the whole vault all the same.
	Source string
	// Live are the sources at hand, by name, for comparison; Lookers those of repositories.
	Live    map[string]source.Source
	Lookers map[string]verify.Looker
	// Scratch is a directory for what does not fit into memory, and for repositories; "" is the system's.
	Scratch string
	// Workers is how many objects are read at a time; default 6.
	Workers int
	// Program is what made the report: a name and a version.
	Program string
	// Now is the clock; default time.Now. Its readings should carry the monotonic clock, so that a step of the clock shortens or lengthens no budget.
	Now func() time.Time
	// Protection is what is known of the agent's credential; it is put into the report as it is.
	Protection *report.Protection
	// MaxAge is how old a source's newest complete snapshot may be, by the source's name; none: not judged.
	MaxAge map[string]time.Duration
	// MaxAgeElse is that of sources which MaxAge does not name; 0: not judged.
	MaxAgeElse time.Duration
	// Progress may be nil.
	Progress *Progress
}

// Progress counts what was done, while it runs. It may be read at any time.
type Progress struct {
	Census census.Progress
	Items  items.Progress
	// Objects were read whole and judged, Bytes read for it. PlannedBytes are those of the draw, and PlannedObjects at most as many as will be read for it: 0 until it was made.
	Objects, Bytes, PlannedObjects, PlannedBytes atomic.Int64
	// Verify is the progress of a full verification.
	Verify verify.Progress
	// Stage is what is being done: one of the constants below.
	Stage atomic.Int32
}

// Stages of a run, in their order.
const (
	StageCensus int32 = iota
	StageInventory
	StageObjects
	StageItems
	StageReport
)

// Result is what an audit came to.
type Result struct {
	Audit *report.Audit
	// Names are what the report seals.
	Names *report.Names
	// Name and Hash are the stored report's; empty and zero where none was left.
	Name string
	Hash record.Hash
	// Stored are the signed bytes, also of a report that could not be placed, for a reason that Unplaced says.
	Stored   []byte
	Unplaced error
	// Full is what a full verification came to in its own words; nil for a sample.
	Full *verify.Result
	// Findings are those of the audit with the names of items and sources, for this terminal alone.
	Findings []vault.Finding
	// PacksDenied says that the store let this credential read no pack, and that nothing else was left out which was to be checked.
	PacksDenied bool
}

// Estimate is what a run would read, and what promises cost.
type Estimate struct {
	Population report.Population `json:"population"`
	Coverage   report.Coverage   `json:"coverage"`
	// Budget is how many bytes a run may read; 0: everything.
	Budget int64 `json:"budget_bytes"`
	// Objects and Bytes a run would read of packs and pages, and in Requests of each kind: Opens for objects, Lists for the listing, and Commits to know what is stored.
	Objects int64 `json:"objects"`
	Bytes   int64 `json:"bytes"`
	Opens   int64 `json:"open_requests"`
	Lists   int64 `json:"list_requests"`
	Commits int64 `json:"commit_requests"`
	// ItemBytes of contents would be restored beside, at most; 0 where nothing opens them.
	ItemBytes int64 `json:"item_bytes"`
	// Promises say what it costs to verify everything within so many days: the one that was asked for, and others to compare it with.
	Promises []Promise `json:"promises"`
}

// Promise is what it costs to keep a promise of coverage.
type Promise struct {
	Days int64 `json:"days"`
	// Asked is true for the one that Options.Coverage makes; Feasible whether the budget keeps it.
	Asked    bool `json:"asked"`
	Feasible bool `json:"feasible"`
	// RunBytes is what a run has to read, DayBytes what that comes to in a day of runs as often as Options.Every says.
	RunBytes int64 `json:"run_bytes"`
	DayBytes int64 `json:"day_bytes"`
}

// CheckOptions say how to check a report.
type CheckOptions struct {
	// Scratch is as in Options.
	Scratch  string
	Progress *census.Progress
}

// Checked is what recomputing somebody's report came to.
type Checked struct {
	// Recomputed says what was computed again and found as the report says.
	Recomputed []string `json:"recomputed"`
	// Lies are where the report says something else than comes out.
	Lies []string `json:"lies"`
	// Claims are what nobody can compute again, and only the signer knows. They are no fault of the report: each has some.
	Claims []string `json:"claims"`
	// Verdict is what the report's own numbers come to.
	Verdict string `json:"verdict_recomputed"`
	// Undecided is what could not be computed again, and why.
	Undecided []string `json:"undecided"`
	// Untold are the names of the signer's commitments before the audit of which no audit tells, at most MaxUntold: who draws and tells nothing may have looked for a draw that he likes.
	Untold []string `json:"untold,omitempty"`
}

// MaxUntold bounds Checked.Untold.
const MaxUntold = 100

// OK reports whether nothing was found that differs.
func (c *Checked) OK() bool { return len(c.Lies) == 0 }
