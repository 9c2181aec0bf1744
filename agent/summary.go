package agent

import (
	"context"
	"io"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"farshore/agent/record"
	"farshore/agent/source"
	"farshore/agent/vault"
)

// Progress counts what a pass does while it runs. All of it may be read at any time.
type Progress struct {
	Listed, Excluded, Unchanged atomic.Int64
	Planned, PlannedBytes       atomic.Int64 // items to capture, as far as they were listed, and their bytes
	New, Changed, Deleted, Gone atomic.Int64
	Renewed                     atomic.Int64 // captured again though unchanged: what they rested on was locked for too short
	Mended                      atomic.Int64 // captured anew for no other reason than that what they rested on is damaged
	Unreadable                  atomic.Int64
	// RestoredBytes are the bytes of contents that were read back from the vault so far.
	RestoredBytes atomic.Int64
	// ReadBytes are the bytes of contents read so far, also of items under way.
	ReadBytes     atomic.Int64
	CapturedBytes atomic.Int64 // of items whose capture is done
	items, bytes  atomic.Int64
}

// Summary is what came of a pass.
type Summary struct {
	Source   record.Place
	Complete bool
	Commits  int
	// Head is the newest commit of this pass; nil when none was made.
	Head                        *vault.Commit
	Listed, Excluded, Unchanged int64
	New, Changed, Deleted, Gone int64
	Renewed                     int64 // items that did not change and were stored anew, for their locks
	Mended                      int64 // items that were stored anew, because what they rested on is damaged
	// ReadBack is what the pass's commits say together of what they read back.
	ReadBack                               record.ReadBack
	CapturedBytes                          int64
	StoredBytes, StoredPacks, StoredChunks int64 // new raw bytes, packs and chunks
	Unreadable                             map[string]int64
	Examples                               []Unread
	Started                                time.Time
	Duration                               time.Duration
	Notices                                []vault.Finding
	// Suspicious says why the newest commit of this pass looks like an attack, Accepted which reasons of an earlier snapshot it was told to accept. Good is the number of
	// the last good snapshot that it was compared with; 0: there was none, so that nothing could be unusual.
	Suspicious, Accepted []string
	Good                 int64
}

// Unread is one item that could not be read.
type Unread struct{ Path, Reason, Detail string }

// maxExamples bounds how many unreadable items a summary names.
const maxExamples = 20

// count counts a capture.
func (p *pass) count(o *op) {
	progress := p.o.Progress
	p.countItem(o.path, o.rec)
	if o.rec.State == record.Unreadable {
		return
	}
	switch {
	case o.renews:
		progress.Renewed.Add(1)
	case o.mends:
		progress.Mended.Add(1)
	case o.old.Record == nil || o.old.State == record.Deleted:
		progress.New.Add(1)
	default:
		progress.Changed.Add(1)
	}
	progress.CapturedBytes.Add(o.rec.Size())
}

// countItem counts an item of the snapshot in the making. The lister and the writer both call it.
func (p *pass) countItem(path string, r *record.Record) {
	p.countKept(r)
	switch omitted := r.Attrs[record.AttrOmitted]; {
	case r.State == record.Unreadable:
		p.unread(Unread{path, r.Reason, r.Detail})
	case omitted != "":
		p.unread(Unread{path, record.ReasonPartial, omitted})
	}
}

// countKept counts an item of the snapshot in the making without asking whether it can be read: what is excluded is nobody's concern in this pass.
func (p *pass) countKept(r *record.Record) {
	p.o.Progress.items.Add(1)
	p.o.Progress.bytes.Add(r.Size())
	if r.Last != nil {
		p.o.Progress.bytes.Add(r.Last.Size())
	}
}

// unread counts an item that was not captured, or not all of it.
func (p *pass) unread(u Unread) {
	p.o.Progress.Unreadable.Add(1)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sum.Unreadable[u.Reason]++
	if len(p.sum.Examples) < maxExamples {
		p.sum.Examples = append(p.sum.Examples, u)
	}
}

// counts are a commit's: of items and bytes only when all were seen.
func (p *pass) counts(complete bool) record.Counts {
	progress := p.o.Progress
	c := record.Counts{New: progress.New.Load(), Changed: progress.Changed.Load(), Deleted: progress.Deleted.Load()}
	if complete {
		c.Items, c.Bytes, c.Unreadable = progress.items.Load(), progress.bytes.Load(), progress.Unreadable.Load()
	}
	return c
}

func (p *pass) summary() *Summary {
	s, progress := &p.sum, p.o.Progress
	s.Listed, s.Excluded, s.Unchanged = progress.Listed.Load(), progress.Excluded.Load(), progress.Unchanged.Load()
	s.New, s.Changed, s.Deleted, s.Gone = progress.New.Load(), progress.Changed.Load(), progress.Deleted.Load(), progress.Gone.Load()
	s.CapturedBytes = progress.CapturedBytes.Load()
	s.StoredBytes, s.StoredPacks, s.StoredChunks = p.w.Stored()
	s.Duration = time.Since(s.Started)
	s.Renewed, s.Mended = progress.Renewed.Load(), progress.Mended.Load()
	s.Notices = append(p.w.TakeNotices(), p.fading.notices(p.sum.Source)...)
	s.Notices = append(s.Notices, p.damaged.notices(p.sum.Source)...)
	if p.watch != nil && p.watch.history.Base != nil {
		s.Good = p.watch.history.Base.Seq
	}
	s.Notices = append(s.Notices, p.watch.findings(p.sum.Source)...)
	return s
}

// counted is a sink that counts what it is given, and reads no faster than it may. What a failed attempt read is taken back.
type counted struct {
	to source.Sink
	n  *atomic.Int64
	pace
}

// pace is how fast a pass may read: its own limit, and the one that it shares. Either may be nil.
type pace struct {
	rate   *rate.Limiter
	common Limiter
}

func (p pace) free() bool { return p.rate == nil && p.common == nil }

// wait returns when n more bytes, at most readBurst, may be read.
func (p pace) wait(ctx context.Context, n int) error {
	if p.rate != nil {
		if err := p.rate.WaitN(ctx, n); err != nil {
			return err
		}
	}
	if p.common != nil {
		return p.common.Wait(ctx, n)
	}
	return nil
}

// Part implements source.Sink.
func (c counted) Part(ctx context.Context, p record.Part, size int64, body io.Reader) (record.Part, error) {
	r := &countedReader{ctx: ctx, body: body, n: c.n, pace: c.pace}
	out, err := c.to.Part(ctx, p, size, r)
	if err != nil {
		c.n.Add(-r.read)
	}
	return out, err
}

// Lines implements source.Sink.
func (c counted) Lines(ctx context.Context, p record.Part, data []byte) (record.Part, error) {
	return c.to.Lines(ctx, p, data)
}

// Read implements source.Sink.
func (c counted) Read(ctx context.Context, p *record.Part) ([]byte, error) { return c.to.Read(ctx, p) }

type countedReader struct {
	ctx  context.Context
	body io.Reader
	n    *atomic.Int64
	pace pace
	read int64
}

func (r *countedReader) Read(p []byte) (int, error) {
	if !r.pace.free() {
		p = p[:min(len(p), readBurst)]
	}
	n, err := r.body.Read(p)
	if n > 0 {
		if werr := r.pace.wait(r.ctx, n); werr != nil {
			return 0, werr
		}
	}
	r.n.Add(int64(n))
	r.read += int64(n)
	return n, err
}
