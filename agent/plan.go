package agent

import (
	"context"
	"errors"
	"io"
	"iter"

	"farshore/agent/record"
	"farshore/agent/source"
	"farshore/agent/vault"
)

// Estimate is what a pass would do, as far as a listing tells. Requests are estimated from the sizes: what deduplication saves is not known before.
type Estimate struct {
	Listed, Excluded, Unchanged, New, Changed, Deleted int64
	// ReadBytes are the sizes of new and changed items: at most so much is stored, before compression.
	ReadBytes int64
	// Lists and Gets are requests to the source, Puts to the vault.
	Lists, Gets, Puts int64
}

// Sizes that the estimate reckons with: keys of a listing's page, the range in which large objects are read, and a pack.
const (
	pageKeys  = 1000
	readRange = 8 << 20
	packSize  = 32 << 20
	// fixedPuts are segment, table, root, list and commit.
	fixedPuts = 5
)

// Plan lists the source and joins it with the snapshot, which is nil before the first pass. It reads no items and stores nothing.
func Plan(ctx context.Context, snap *vault.Snapshot, src source.Source, match func(string) bool, progress *Progress) (*Estimate, error) {
	if match == nil {
		match = func(string) bool { return true }
	}
	if progress == nil {
		progress = new(Progress)
	}
	p := &planner{src: src, match: match, progress: progress, est: new(Estimate)}
	next, stop := iter.Pull2(records(ctx, snap))
	defer stop()
	p.next = next
	if err := src.List(ctx, source.Range{}, p.entry); err != nil {
		return p.est, err
	}
	for {
		old, err := p.peek()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return p.est, err
		}
		p.gone(old)
	}
	e := p.est
	e.Lists = e.Listed/pageKeys + 1
	if e.New+e.Changed+e.Deleted > 0 {
		e.Puts = e.ReadBytes/packSize + fixedPuts + 1
	}
	return e, nil
}

func records(ctx context.Context, snap *vault.Snapshot) iter.Seq2[*record.Record, error] {
	if snap == nil {
		return func(func(*record.Record, error) bool) {}
	}
	return snap.Records(ctx, "", "")
}

type planner struct {
	src      source.Source
	match    func(string) bool
	progress *Progress
	est      *Estimate
	next     func() (*record.Record, error, bool)
	cur      *record.Record
}

func (p *planner) peek() (*record.Record, error) {
	if p.cur != nil {
		return p.cur, nil
	}
	r, err, ok := p.next()
	if !ok {
		return nil, io.EOF
	}
	p.cur = r
	return r, err
}

func (p *planner) gone(old *record.Record) {
	p.cur = nil
	if _, lasting := p.src.(source.Lasting); lasting {
		return
	}
	if p.match(old.Path) {
		p.est.Deleted++
	}
}

func (p *planner) entry(e source.Entry) error {
	p.est.Listed++
	p.progress.Listed.Add(1)
	var last *record.Record
	for {
		old, err := p.peek()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		c := compare(old, &e)
		if c > 0 {
			break
		}
		if c == 0 {
			last, p.cur = old, nil
			break
		}
		p.gone(old)
	}
	p.decide(e, last)
	return nil
}

func (p *planner) decide(e source.Entry, last *record.Record) {
	est := p.est
	switch {
	case !p.match(e.Path):
		est.Excluded++
		return
	case last == nil:
		est.New++
	case p.src.Unchanged(e, last):
		est.Unchanged++
		return
	default:
		est.Changed++
	}
	size := max(0, e.Size)
	est.ReadBytes += size
	est.Gets++
	if size > 4*readRange {
		est.Gets += size/readRange - 1
	}
}
