package agent

import (
	"context"
	"errors"
	"fmt"
	"io"

	"farshore/agent/record"
	"farshore/agent/source"
	"farshore/agent/vault"
)

// list joins the source's listing with the records of the newest snapshot, span by span, and hands out the steps.
func (p *pass) list() {
	old := &oldReader{r: p.out.Old(p.ctx)}
	defer old.r.Close()
	failed := 0
	for i, s := range p.out.Spans() {
		err := p.out.Renew(p.ctx, i)
		if !p.send(&op{what: begin, span: i}) {
			return
		}
		j := &join{pass: p, span: s, at: i, old: old}
		if err == nil {
			err = j.run()
		}
		if err != nil {
			failed++
		}
		if !p.send(&op{what: end, span: i, err: err}) || failed >= maxFailed || p.ctx.Err() != nil {
			return
		}
	}
}

// maxFailed is after how many spans whose listing failed a pass gives up: one bad range must not keep the others from being replicated, and a source that is
// away fails them all.
const maxFailed = 3

// send hands a step to the writer, and to the captures if it needs one; false means that the pass is over.
func (p *pass) send(o *op) bool {
	if o.what == capture {
		o.done = make(chan struct{})
		select {
		case p.work <- o:
		case <-p.ctx.Done():
			return false
		}
	}
	if o.what == end && o.err != nil {
		p.ops <- o // the writer takes all steps until it has seen this one, or has failed itself
		return true
	}
	select {
	case p.ops <- o:
		return true
	case <-p.ctx.Done():
		return false
	}
}

// join is the join of one span.
type join struct {
	pass *pass
	span *vault.Span
	at   int // which span it is
	old  *oldReader
	seen int
}

// run lists the span. A listing that fails leaves everything behind its last item as it was: it records no deletion there.
func (j *join) run() error {
	if err := j.skip(); err != nil {
		return err
	}
	if err := j.pass.watch.begin(j.span.From); err != nil {
		return err
	}
	r := source.Range{From: j.span.From, To: j.span.To, Splits: j.span.Splits}
	if err := j.pass.src.List(j.pass.ctx, r, j.entry); err != nil {
		return err
	}
	for {
		o, err := j.old.peek()
		if errors.Is(err, io.EOF) || err == nil && j.span.To != "" && o.Path >= j.span.To {
			return j.pass.watch.end(j.span.To)
		}
		if err == nil {
			err = j.gone(o)
		}
		if err != nil {
			return err
		}
	}
}

// skip passes over the old records that a failed span before this one left.
func (j *join) skip() error {
	for {
		o, err := j.old.peek()
		if errors.Is(err, io.EOF) || err == nil && o.Path >= j.span.From {
			return nil
		}
		if err != nil {
			return err
		}
		j.old.take()
	}
}

// entry deals with one listed item and with the old records before it.
func (j *join) entry(e source.Entry) error {
	if e.Version != "" {
		return fmt.Errorf("%q: versions of a path are not replicated by this version of farshore", e.Path)
	}
	if j.seen++; j.seen%vault.SplitEvery == 0 && !j.pass.send(&op{what: split, path: e.Path}) {
		return j.pass.ctx.Err()
	}
	var last *vault.OldRecord
	for last == nil {
		o, err := j.old.peek()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		c := compare(o.Record, &e)
		if c > 0 {
			break
		}
		if c == 0 {
			last = &o
			j.old.take()
			break
		}
		if err := j.gone(o); err != nil {
			return err
		}
	}
	good, err := j.pass.watch.at(&e, last)
	if err != nil {
		return err
	}
	return j.decide(e, last, good)
}

func compare(o *record.Record, e *source.Entry) int {
	return record.Compare(o, &record.Record{Path: e.Path, Version: e.Version, Kind: e.Kind})
}

// decide keeps an item as it is, or has it captured. good is its record in the last good snapshot, if any.
func (j *join) decide(e source.Entry, last *vault.OldRecord, good *record.Record) error {
	progress := j.pass.o.Progress
	progress.Listed.Add(1)
	excluded := !j.pass.o.Match(e.Path)
	damaged, err := j.damaged(last)
	if err != nil {
		return err
	}
	switch {
	case excluded && last == nil:
		progress.Excluded.Add(1)
		return nil
	case excluded:
		progress.Excluded.Add(1)
		if last.State != record.Deleted {
			j.pass.countKept(last.Record)
		}
		return j.keepAsItIs(*last)
	case last != nil && last.State != record.Deleted && damaged:
		// A repository is not asked whether it changed: it may take that for the last word on it.
		mends := e.Kind != record.KindObject || j.pass.src.Unchanged(e, last.Record)
		return j.capture(&op{what: capture, path: e.Path, entry: e, old: *last, good: good, span: j.at, anew: true, mends: mends})
	case last != nil && last.State != record.Deleted && j.pass.src.Unchanged(e, last.Record):
		end, short, err := j.pass.out.Short(j.pass.ctx, j.span, last.Record)
		if err != nil {
			return err
		}
		if short && e.Kind == record.KindObject {
			return j.capture(&op{what: capture, path: e.Path, entry: e, old: *last, good: good, span: j.at, renews: true, until: end})
		}
		if short {
			j.pass.outlived(e.Path, end)
		}
		progress.Unchanged.Add(1)
		j.pass.countItem(e.Path, last.Record)
		j.pass.watch.saw(good, last.Record)
		return j.keep(*last)
	}
	o := &op{what: capture, path: e.Path, entry: e, good: good, span: j.at}
	if last != nil {
		o.old = *last
	}
	return j.capture(o)
}

// capture has an item captured.
func (j *join) capture(o *op) error {
	e, progress := o.entry, j.pass.o.Progress
	progress.Planned.Add(1)
	progress.PlannedBytes.Add(max(0, e.Size))
	return j.send(o)
}

// gone deals with an old record whose item the listing no longer has.
func (j *join) gone(o vault.OldRecord) error {
	j.old.take()
	good, err := j.pass.watch.missed(&o)
	if err != nil {
		return err
	}
	if o.State == record.Deleted {
		return j.keep(o)
	}
	if !j.pass.o.Match(o.Path) {
		j.pass.countKept(o.Record)
		return j.keepAsItIs(o)
	}
	if l, ok := j.pass.src.(source.Lasting); ok {
		j.pass.watch.saw(good, o.Record)
		return j.vanished(o, l.Vanished(o.Record))
	}
	j.pass.o.Progress.Deleted.Add(1)
	return j.send(&op{what: remove, path: o.Path, old: o})
}

// vanished deals with an old record of a source whose listing is no proof that an item is gone.
func (j *join) vanished(o vault.OldRecord, u *source.Unreadable) error {
	if u == nil || o.State == record.Unreadable && o.Reason == u.Reason {
		j.pass.countItem(o.Path, o.Record)
		return j.keepAsItIs(o)
	}
	rec := unreadable(u, o.Record)
	rec.Path, rec.Version, rec.Kind = o.Path, o.Version, o.Kind
	if err := j.outlived(o); err != nil {
		return err
	}
	return j.send(&op{what: lose, path: o.Path, old: o, rec: rec})
}

// keepAsItIs keeps the record of an item that is not to be, or can't be, captured again, whatever it rests on.
func (j *join) keepAsItIs(o vault.OldRecord) error {
	if err := j.outlived(o); err != nil {
		return err
	}
	return j.keep(o)
}

// outlived notes a record that stays, where what it rests on is locked for too short, or damaged.
func (j *join) outlived(o vault.OldRecord) error {
	end, short, err := j.pass.out.Short(j.pass.ctx, j.span, o.Record)
	if err == nil && short {
		j.pass.outlived(o.Path, end)
	}
	if err != nil {
		return err
	}
	damaged, err := j.damaged(&o)
	if err == nil && damaged {
		j.pass.stayed(o.Path)
	}
	return err
}

// damaged reports whether an old record rests on what is known to be damaged.
func (j *join) damaged(o *vault.OldRecord) (bool, error) {
	if o == nil {
		return false, nil
	}
	return j.pass.out.Damaged(j.pass.ctx, j.span, o.Record)
}

// keep hands an unchanged record on where its range is written anew.
func (j *join) keep(o vault.OldRecord) error {
	if !j.span.Rewrites() {
		return nil
	}
	return j.send(&op{what: keep, path: o.Path, old: o})
}

func (j *join) send(o *op) error {
	if !j.pass.send(o) {
		return context.Cause(j.pass.ctx)
	}
	return nil
}

// oldReader reads old records one ahead.
type oldReader struct {
	r    *vault.Old
	cur  vault.OldRecord
	have bool
	err  error
}

func (o *oldReader) peek() (vault.OldRecord, error) {
	if !o.have && o.err == nil {
		o.cur, o.err = o.r.Next()
		o.have = o.err == nil
	}
	return o.cur, o.err
}

func (o *oldReader) take() { o.have = false }

// capture reads one item; what came of it is for the writer, in its turn.
func (p *pass) capture(o *op) {
	defer close(o.done)
	cost := int64(smallCost)
	if o.entry.Size < 0 || o.entry.Size > largeShare {
		cost = largeShare
	} else {
		cost += o.entry.Size
	}
	if o.err = p.budget.Acquire(p.reading, min(cost, inFlight)); o.err != nil {
		return
	}
	defer p.budget.Release(min(cost, inFlight))
	last := o.old.Record
	if last != nil && last.State == record.Deleted {
		last = nil
	}
	from, e := last, o.entry
	if o.anew {
		from = nil
	}
	if from == nil {
		if e.Before = last; last == nil {
			e.Before = o.good
		}
	}
	o.rec, o.err = p.src.Capture(p.reading, e, from, counted{p.w, &p.o.Progress.ReadBytes, p.pace})
	var bad *source.Unreadable
	if errors.As(o.err, &bad) {
		o.rec, o.err = unreadable(bad, last), nil
	}
	if o.err == nil {
		if n := o.rec.LineSize(); n > record.MaxRecord {
			o.rec = unreadable(&source.Unreadable{
				Reason: record.ReasonTooLarge, Detail: fmt.Sprintf("what describes it comes to %d bytes, and a record has at most %d", n, record.MaxRecord),
			}, last)
		}
		o.rec.Path, o.rec.Version, o.rec.Kind = o.entry.Path, o.entry.Version, o.entry.Kind
	}
}

// unreadable is the record of an item that is there and can't be read, with the last good one.
func unreadable(u *source.Unreadable, last *record.Record) *record.Record {
	r := &record.Record{State: record.Unreadable, Reason: u.Reason, Detail: u.Detail, Attrs: u.Attrs}
	if last == nil {
		return r
	}
	if last.State == record.Unreadable {
		r.Last = last.Last
		return r
	}
	good := *last
	good.Path, good.Version, good.Kind, good.Last = "", "", "", nil
	r.Last = &good
	return r
}
