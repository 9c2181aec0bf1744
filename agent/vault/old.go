package vault

import (
	"context"

	"farshore/agent/record"
)

// Old reads a span's records as the base has them.
type Old struct {
	m *merger
	w *Writer
}

// Old opens the old records of all spans, to be read in order; Enter begins each span.
func (p *Pass) Old(ctx context.Context) *Old {
	var all []record.RootRange
	for _, s := range p.spans {
		all = append(all, s.ranges...)
	}
	p.findLost(ctx)
	m := newMerger(ctx, p.w.vault, all, "", "")
	m.lost = p.lost
	return &Old{m, p.w}
}

// OldRecord is a record of the base with its level in the stack; it may be one of a deletion.
type OldRecord struct {
	*record.Record
	level int
	based bool // it comes from the range's base
}

// Next returns the next old record, deletions included, or io.EOF.
func (o *Old) Next() (OldRecord, error) {
	r, level, err := o.m.next()
	if err != nil {
		return OldRecord{}, o.w.noteUnread(err)
	}
	stack := o.m.ranges[o.m.at].Segments
	return OldRecord{r, level, level < len(stack) && stack[level].Base}, nil
}

// Close ends the reading.
func (o *Old) Close() { o.m.close() }
