package repos

import (
	"strings"
	"sync"
	"sync/atomic"

	"farshore/agent/record"
	"farshore/agent/restore"
)

// ledger keeps the summary while workers add to it.
type ledger struct {
	mu       sync.Mutex
	sum      restore.Summary
	progress *restore.Progress
}

func (l *ledger) note(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
}

func (l *ledger) plan(it *item) {
	l.progress.Planned.Add(1)
	l.progress.PlannedBytes.Add(it.bytes)
}

func (l *ledger) done(it *item, as *atomic.Int64) {
	as.Add(1)
	l.progress.Done.Add(1)
	l.progress.DoneBytes.Add(it.bytes)
}

func add(t *restore.Tally, it *item) {
	t.Items++
	t.Bytes += it.bytes
}

func name(t *restore.Tally, it *item, as, why string) {
	add(t, it)
	if len(t.Named) < restore.MaxNamed {
		t.Named = append(t.Named, restore.Named{Path: it.path, As: as, Why: why})
	}
}

// unrestorable names one of which the vault never had the repository, or which can't be restored in this form.
func (l *ledger) unrestorable(it *item, why string) {
	l.progress.Failed.Add(1)
	l.note(func() { name(&l.sum.Unrestorable, it, "", why) })
}

// outOfForm is the same for one that was planned.
func (l *ledger) outOfForm(it *item, why string) {
	l.done(it, &l.progress.Failed)
	l.note(func() { name(&l.sum.Unrestorable, it, "", why) })
}

// placed notes where a repository is, and what of it is not as it was when the snapshot was made.
func (l *ledger) placed(it *item, p place) {
	if p.as != "" {
		name(&l.sum.Escaped, it, p.as, p.why)
	}
	if it.earlier != "" {
		name(&l.sum.Earlier, it, p.as, it.earlier)
	}
	if it.lost != "" {
		name(&l.sum.Unrestorable, it, p.as, "without its "+it.lost)
	}
	if omitted := it.repository().Attrs[record.AttrOmitted]; omitted != "" {
		l.sum.NotPutBack["what the capture could not have"] += int64(strings.Count(strings.TrimSuffix(omitted, "\n"), "\n") + 1)
	}
}

func (l *ledger) equal(it *item, p place) {
	l.done(it, &l.progress.Equal)
	l.note(func() {
		add(&l.sum.Equal, it)
		l.placed(it, p)
	})
}

func (l *ledger) differs(it *item, p place, why string) {
	l.done(it, &l.progress.Differs)
	l.note(func() { name(&l.sum.Differs, it, p.as, why) })
}

// restored counts a repository that was written; replaced says what it took the place of, empty where nothing was there.
func (l *ledger) restored(it *item, p place, replaced string, b *built) {
	l.done(it, &l.progress.Restored)
	l.note(func() {
		add(&l.sum.Restored, it)
		l.placed(it, p)
		if replaced != "" {
			name(&l.sum.Overwritten, it, p.as, replaced)
		}
		if b == nil {
			return
		}
		switch {
		case b.damaged:
			name(&l.sum.Damaged, it, p.as, "restored, but: "+strings.Join(b.problems, "; "))
		case len(b.problems) > 0:
			name(&l.sum.Failed, it, p.as, "restored, but: "+strings.Join(b.problems, "; "))
		}
		for what, n := range b.notPutBack {
			if _, known := l.sum.NotPutBack[what]; !known && len(l.sum.NotPutBack) >= restore.MaxNamed {
				what = "more of this"
			}
			l.sum.NotPutBack[what] += n
		}
	})
}

func (l *ledger) damaged(it *item, err error) {
	l.done(it, &l.progress.Failed)
	l.note(func() { name(&l.sum.Damaged, it, "", err.Error()) })
}

func (l *ledger) failed(it *item, err error) {
	l.done(it, &l.progress.Failed)
	l.note(func() { name(&l.sum.Failed, it, "", err.Error()) })
}
