package items

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"hash"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/vault"
	"farshore/agent/verify/live"
)

// run is one sample under way.
type run struct {
	v      *vault.Vault
	o      Options
	reader *vault.Reader
	mac    hash.Hash // HMAC-SHA256 under the seed, used again for each hash, by one goroutine at a time
	// expected is how many items the commits state, and uncounted how many records there are beyond what the roots state.
	expected, uncounted int64

	mu      sync.Mutex // guards what follows, and calls of Name and Note
	res     *Result
	short   bool // something was cut
	sources map[string]*asked
	judged  map[string]string // what diagnose said of stored objects
}

// asked is how a source answers.
type asked struct {
	row     int   // failures in a row
	skipped int64 // items that it was not asked for any more
	looked  int64 // repositories of which it said that they are as they were
	beside  int64 // records of what lies beside repositories

	answered bool // once at least
}

// outcome is what came of one item.
type outcome struct {
	done     bool
	restored bool
	locked   bool
	bytes    int64
	lost     *Lost
	live     live.State
	asked    bool // live says something
	told     bool
}

func newRun(v *vault.Vault, o Options) *run {
	if o.Most <= 0 {
		o.Most = DefaultMost
	}
	if o.Workers <= 0 {
		o.Workers = 6
	}
	if o.Repositories == 0 {
		o.Repositories = DefaultRepositories
	}
	if o.Progress == nil {
		o.Progress = new(Progress)
	}
	if o.Name == nil {
		o.Name = func(string, string) int64 { return 0 }
	}
	if o.Note == nil {
		o.Note = func(report.AuditFinding) {}
	}
	return &run{
		v: v, o: o, reader: v.NewReader(), mac: hmac.New(sha256.New, o.Seed[:]), res: new(Result), sources: map[string]*asked{}, judged: map[string]string{},
	}
}

// unchecked says that something was not checked.
func (r *run) unchecked(what string, count int64, why string) {
	r.res.NotChecked = append(r.res.NotChecked, report.NotChecked{What: what, Count: count, Why: why})
}

// cut says that a bound ended something before its end.
func (r *run) cut(what, why string) {
	r.short = true
	r.unchecked(what, -1, why)
}

// isLoss reports whether err says that the vault does not have something as it was stored, or that the store lists it and does not give it.
func (r *run) isLoss(ctx context.Context, err error) bool {
	return damaged(err) || r.v.Withheld(ctx, err)
}

// all draws, deals with the items, and has repositories checked.
func (r *run) all(ctx context.Context) error {
	if !r.v.CanOpen() || !r.o.Restore && len(r.o.Live) == 0 {
		r.unchecked("items put together", -1, "no key that opens contents is at hand")
		return nil
	}
	r.res.Counts.Tried = r.o.Restore
	inTime, cancel := r.within(ctx)
	defer cancel()
	err := r.sample(inTime)
	if err == nil {
		err = r.repositories(inTime)
	}
	if err != nil && ctx.Err() == nil && inTime.Err() != nil {
		const left, why = "items and repositories that were not reached", "the time for them was over"
		if r.o.Bytes > 0 {
			r.cut(left, why)
		} else {
			r.unchecked(left, -1, why) // which is all that was to bound it
		}
		return nil
	}
	return err
}

func (r *run) within(ctx context.Context) (context.Context, context.CancelFunc) {
	if r.o.Deadline.IsZero() {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, r.o.Deadline)
}

// sample draws items and deals with them.
func (r *run) sample(ctx context.Context) error {
	places, err := r.places(ctx)
	if err != nil {
		return err
	}
	picks, all, err := r.draw(ctx, places)
	if err != nil {
		return err
	}
	if r.uncounted > 0 {
		r.unchecked("items that could not be drawn", r.uncounted, "the roots of their snapshots state fewer records than there are")
	}
	if all {
		r.res.Population = int64(len(picks))
	}
	err = r.deal(ctx, picks)
	r.count(picks)
	return err
}

// deal restores and compares the items in the order of the draw, as far as the budget goes.
func (r *run) deal(ctx context.Context, picks []pick) error {
	due := r.affordable(picks)
	inWindows(due)
	g, gctx := errgroup.WithContext(ctx)
	var taken atomic.Int64
	for range min(r.o.Workers, len(due)) {
		g.Go(func() error {
			for i := taken.Add(1); i <= int64(len(due)) && gctx.Err() == nil; i = taken.Add(1) {
				if err := r.one(gctx, due[i-1]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return cmp.Or(g.Wait(), ctx.Err())
}

// one deals with one item.
func (r *run) one(ctx context.Context, it *item) error {
	if it.err != nil {
		it.once.lost, it.once.locked = r.lostRecord(ctx, it)
		it.once.done = ctx.Err() == nil
		return ctx.Err()
	}
	if r.o.Restore {
		if err := r.restore(ctx, it); err != nil {
			return err
		}
	}
	if err := r.compare(ctx, it); err != nil {
		return err
	}
	it.once.done = true
	return nil
}

// count adds up the longest run of picks from the beginning that were dealt with. Items that were drawn again count again; what is told of them is told once.
func (r *run) count(picks []pick) {
	c := &r.res.Counts
	for _, p := range picks {
		once := &p.item.once
		if !once.done {
			break
		}
		r.tell(p.item)
		if r.o.Restore {
			c.Drawn++
			switch {
			case once.lost != nil:
				c.Failed++
			case once.locked:
				c.Locked++
			default:
				c.Restored++
			}
		}
		r.countLive(once)
		once.told = true
	}
	if c.Restored+c.Failed > 0 {
		r.res.Sampled, r.res.Failed = c.Drawn, c.Failed+c.Locked
	}
	if c.Locked > 0 {
		r.unchecked("items drawn that no key at hand opens", c.Locked, "they are sealed to another key; for the bound they count as not restorable")
	}
}

func (r *run) countLive(once *outcome) {
	c := &r.res.Counts
	if once.told {
		return
	}
	c.Bytes += once.bytes
	if !once.asked {
		return
	}
	switch once.live {
	case live.Same:
		c.Same++
		c.Compared++
	case live.Differ:
		c.Differ++
		c.Compared++
	case live.Changed:
		c.Changed++
	case live.Unseen:
		c.Unseen++
	}
}

// tell lists what is wrong with an item, once.
func (r *run) tell(it *item) {
	if it.once.told {
		return
	}
	source := it.place.source
	if l := it.once.lost; l != nil {
		r.lose(*l, textOf(l.Kind))
	}
	if it.once.asked && it.once.live == live.Differ {
		r.o.Note(report.AuditFinding{
			Severity: string(vault.Damage), Item: r.o.Name(source, it.rec.Path),
			Text: "the source has other bytes of this item than were captured, though it says that the item is unchanged",
		})
	}
}

// lose lists something that is lost, with a finding whose text has no name.
func (r *run) lose(l Lost, text string) {
	if len(r.res.Lost) < MaxLost {
		r.res.Lost = append(r.res.Lost, l)
	}
	f := report.AuditFinding{Severity: string(vault.Damage), Object: l.Object, Text: text}
	if l.Path != "" {
		f.Item = r.o.Name(l.Source, l.Path)
	}
	r.o.Note(f)
}

// finish says what the sources were not asked for, and whether all was done.
func (r *run) finish() *Result {
	var skipped, looked, beside int64
	r.res.Answered = map[string]bool{}
	for name, s := range r.sources {
		skipped, looked, beside = skipped+s.skipped, looked+s.looked, beside+s.beside
		r.res.Answered[name] = s.answered
	}
	if skipped > 0 {
		r.unchecked("items that were drawn and not compared with their source", skipped, "the source did not answer several times in a row")
	}
	if looked > 0 {
		r.unchecked("contents of repositories at their source", looked, "their refs, or their newest revision, are as captured; the contents there were not read")
	}
	if beside > 0 {
		r.unchecked("what lies beside repositories, at its source", beside, "it is not compared")
	}
	r.res.Complete = !r.short
	return r.res
}

// kinds of records that lie beside a repository.
var besides = []string{record.KindLFS, record.KindSidecar}

// maxRow is how often in a row a source may fail before it is asked no more.
const maxRow = 5

// compare asks the item's source, where it is at hand.
func (r *run) compare(ctx context.Context, it *item) error {
	src := r.o.Live[it.place.source]
	if src == nil {
		return nil
	}
	r.mu.Lock()
	a := r.sources[it.place.source]
	if a == nil {
		a = new(asked)
		r.sources[it.place.source] = a
	}
	skip := a.row >= maxRow || slices.Contains(besides, it.rec.Kind)
	switch {
	case slices.Contains(besides, it.rec.Kind):
		a.beside++
	case skip:
		a.skipped++
	}
	r.mu.Unlock()
	if skip {
		return nil
	}
	state, err := live.Compare(ctx, src, it.rec, 2*it.rec.Size()+readUnit)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if failedToAnswer(err) {
		a.row++
	} else {
		a.row = 0
	}
	a.answered = a.answered || state != live.Unseen
	if state == live.Unchanged { // a repository, of which no more is asked
		a.looked++
		return nil
	}
	it.once.live, it.once.asked = state, true
	return nil
}
