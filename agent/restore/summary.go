package restore

import (
	"sync"
	"sync/atomic"
	"time"

	"farshore/agent/record"
	"farshore/agent/vault"
)

// Progress counts what a run does while it goes on. All of it may be read at any time.
type Progress struct {
	// Planned and PlannedBytes are the items to restore, as far as the snapshot was read, and their bytes.
	Planned, PlannedBytes atomic.Int64
	// Done and DoneBytes are those that are settled, in whatever way.
	Done, DoneBytes atomic.Int64
	// Read are the bytes of content that came from the vault so far.
	Read atomic.Int64
	// Restored, Equal, Differs and Failed are what came of the settled ones; Failed are those that the vault could not give or the target not take.
	Restored, Equal, Differs, Failed atomic.Int64
}

// Named is one item that a summary names.
type Named struct {
	// Path is the item's path.
	Path string
	// As is its name at the target where that is another one.
	As string
	// Why says what is particular about it.
	Why string
}

// Tally counts items and names the first of them.
type Tally struct {
	Items, Bytes int64
	// Named are at most MaxNamed of them; where all passed in order, the first.
	Named []Named
}

// MaxNamed bounds how many items each tally of a summary names.
const MaxNamed = 100

func (t *Tally) add(bytes int64) {
	t.Items++
	t.Bytes += bytes
}

func (t *Tally) name(bytes int64, n Named) {
	t.add(bytes)
	if len(t.Named) < MaxNamed {
		t.Named = append(t.Named, n)
	}
}

// Summary is what came of a run. In a dry run, Restored and Overwritten say what would be.
type Summary struct {
	Source record.Place
	// Commit is the commit whose snapshot was restored; Complete whether that snapshot is complete.
	Commit   *vault.Commit
	Complete bool
	DryRun   bool
	// Restored are the items that were written; they include Overwritten, Earlier and Escaped as far as those were written.
	Restored Tally
	// Equal were at the target already.
	Equal Tally
	// Differs are at the target with something else under the name, and were left as they are.
	Differs Tally
	// Overwritten replaced something else, because it was asked for.
	Overwritten Tally
	// Earlier could not be read at the source when the snapshot was made, and were restored from an earlier capture.
	Earlier Tally
	// Unrestorable could not be read at the source, ever, or are of a kind that has no content of its own.
	Unrestorable Tally
	// Damaged are items whose content the vault no longer has, or not as it was.
	Damaged Tally
	// Failed are items that the target can't hold.
	Failed Tally
	// Escaped are items that have another name at the target than their own. Those that were found equal there are among them.
	Escaped Tally
	// OtherVersions counts records of versions that are not the current one, and DeleteMarkers those of delete markers: neither is restored.
	OtherVersions, DeleteMarkers int64
	// NotPutBack counts, by what it is, attributes that the target did not take.
	NotPutBack map[string]int64
	Started    time.Time
	Duration   time.Duration
}

// Incomplete reports whether something that the snapshot has is not at the target now, for another reason than damage.
func (s *Summary) Incomplete() bool {
	return s.Differs.Items+s.Unrestorable.Items+s.Failed.Items > 0
}

// Damage reports whether the vault could not give something that it should have.
func (s *Summary) Damage() bool { return s.Damaged.Items > 0 }

// ledger keeps the summary while workers add to it.
type ledger struct {
	mu       sync.Mutex
	sum      Summary
	progress *Progress
}

// note changes the summary under its lock.
func (l *ledger) note(change func(s *Summary)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(&l.sum)
}

func (l *ledger) plan(j *job) {
	l.progress.Planned.Add(1)
	l.progress.PlannedBytes.Add(j.item.Size)
}

func (l *ledger) done(j *job, as *atomic.Int64) {
	as.Add(1)
	l.progress.Done.Add(1)
	l.progress.DoneBytes.Add(j.item.Size)
}

// placed notes where an item is at the target, and from which capture.
func (s *Summary) placed(j *job, as, why string) {
	if as != "" {
		s.Escaped.name(j.item.Size, Named{Path: j.item.Path, As: as, Why: why})
	}
	if j.earlier != "" {
		s.Earlier.name(j.item.Size, Named{Path: j.item.Path, As: as, Why: j.earlier})
	}
}

func (l *ledger) equal(j *job, f Found) {
	l.done(j, &l.progress.Equal)
	l.note(func(s *Summary) {
		s.Equal.add(j.item.Size)
		s.placed(j, f.As, f.Why)
	})
}

func (l *ledger) differs(j *job, f Found) {
	l.done(j, &l.progress.Differs)
	l.note(func(s *Summary) {
		s.Differs.name(j.item.Size, Named{Path: j.item.Path, As: f.As, Why: f.Why})
	})
}

func (l *ledger) restored(j *job, replaced string, w Written) {
	l.done(j, &l.progress.Restored)
	l.note(func(s *Summary) {
		s.Restored.add(j.item.Size)
		s.placed(j, w.As, w.Why)
		if replaced != "" {
			s.Overwritten.name(j.item.Size, Named{Path: j.item.Path, As: w.As, Why: replaced})
		}
		for _, what := range w.NotPutBack {
			s.NotPutBack[what]++
		}
	})
}

func (l *ledger) damaged(j *job, err error) {
	l.done(j, &l.progress.Failed)
	l.note(func(s *Summary) { s.Damaged.name(j.item.Size, Named{Path: j.item.Path, Why: err.Error()}) })
}

func (l *ledger) failed(j *job, err error) {
	l.done(j, &l.progress.Failed)
	l.note(func(s *Summary) { s.Failed.name(j.item.Size, Named{Path: j.item.Path, Why: err.Error()}) })
}
