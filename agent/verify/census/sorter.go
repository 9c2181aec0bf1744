package census

import (
	"context"
	"errors"
	"slices"
	"time"
)

// sorter puts entries in order, each object and kind once, in bounded memory: runs that are sorted in memory go to scratch files and are merged. Whoever signs commits
// chooses the names in them; no choice of names makes it slower or larger. Not safe for concurrent use.
type sorter struct {
	scratch *scratch
	time    func(*entry) time.Time // as fold has it
	most    int                    // entries that are held
	per     int                    // entries of a block of a file
	ways    int                    // files that are merged at a time
	held    []entry
	runs    []*table
}

// Bounds of a sorter.
const (
	leastHeld  = 64
	leastBlock = 16
	mostBlock  = 64 << 10 / entrySize
	leastWays  = 4
	mostWays   = 128
)

// newSorter returns one that holds about so many bytes: half of them entries, and a quarter the blocks of files that are merged.
func newSorter(s *scratch, memory int64) *sorter {
	within := func(n, least, most int64) int { return int(max(least, min(n, most))) }
	per := within(memory/4/mostWays/entrySize, leastBlock, mostBlock)
	return &sorter{
		scratch: s, per: per,
		most: within(memory/2/entryHeld, leastHeld, 1<<30),
		ways: within(memory/4/int64(per*entrySize), leastWays, mostWays),
	}
}

func (s *sorter) add(e entry) error {
	if len(s.held) == s.most {
		if err := s.spill(); err != nil {
			return err
		}
	}
	if len(s.held) == cap(s.held) {
		s.held = slices.Grow(s.held, min(max(leastHeld, len(s.held)), s.most-len(s.held)))
	}
	s.held = append(s.held, e)
	return nil
}

// order sorts and folds what is held.
func (s *sorter) order() {
	slices.SortFunc(s.held, compare)
	kept := s.held[:0]
	f := fold{out: func(e entry) error { kept = append(kept, e); return nil }, time: s.time}
	for _, e := range s.held { // kept ends before what is read
		_ = f.add(e) // out does not fail
	}
	_ = f.end()
	s.held = kept
}

// spill makes room: by folding, where that halves what is held, and else by a file.
func (s *sorter) spill() error {
	s.order()
	if len(s.held) <= s.most/2 {
		return nil
	}
	w, err := newWriter(s.scratch, s.per)
	if err != nil {
		return err
	}
	for _, e := range s.held {
		if err := w.add(e); err != nil {
			return err
		}
	}
	t, err := w.end()
	if err != nil {
		return err
	}
	s.runs, s.held = append(s.runs, t), s.held[:0]
	return nil
}

// finish returns the objects that exist, in order, and calls tell with each.
func (s *sorter) finish(ctx context.Context, tell func(entry)) (*table, error) {
	s.order()
	if len(s.runs) == 0 {
		kept := s.held[:0]
		all := settle{out: func(e entry) error { tell(e); kept = append(kept, e); return nil }}
		for _, e := range s.held {
			_ = all.add(e) // out does not fail
		}
		return &table{entries: kept, n: int64(len(kept))}, nil
	}
	if len(s.held) > 0 {
		// What is held is a run as well, which needs no file.
		s.runs = append(s.runs, &table{entries: s.held, n: int64(len(s.held))})
	}
	for len(s.runs) > s.ways {
		if err := s.mergeSome(ctx); err != nil {
			return nil, err
		}
	}
	w, err := newWriter(s.scratch, s.per)
	if err != nil {
		return nil, err
	}
	all := settle{out: func(e entry) error { tell(e); return w.add(e) }}
	if err := s.mergeInto(ctx, s.runs, all.add); err != nil {
		return nil, err
	}
	s.held, s.runs = nil, nil
	return w.end()
}

// mergeSome makes one file of the first ones, which are the smallest.
func (s *sorter) mergeSome(ctx context.Context) error {
	w, err := newWriter(s.scratch, s.per)
	if err != nil {
		return err
	}
	if err := s.mergeInto(ctx, s.runs[:s.ways], w.add); err != nil {
		return err
	}
	t, err := w.end()
	if err != nil {
		return err
	}
	s.runs = append(slices.Clone(s.runs[s.ways:]), t)
	return nil
}

// mergeInto merges runs, folded, and removes their files.
func (s *sorter) mergeInto(ctx context.Context, runs []*table, out func(entry) error) error {
	f := fold{out: out, time: s.time}
	if err := merge(ctx, runs, f.add); err != nil {
		return err
	}
	if err := f.end(); err != nil {
		return err
	}
	var err error
	for _, t := range runs {
		if t.file != nil {
			err = errors.Join(err, s.scratch.remove(t.path))
		}
	}
	return err
}
