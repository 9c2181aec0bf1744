package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"sync/atomic"

	"farshore/agent/record"
	"farshore/agent/source"
	"farshore/agent/tripwire"
	"farshore/agent/vault"
)

// settingsState names the capture state that has a source's own settings.
const settingsState = "settings"

// watch compares a pass with the last good snapshot of its source, item by item as the pass comes by. The lister and the writer both call it.
//
// Mostly the last good snapshot is the one that the pass goes on from, and costs nothing. Otherwise, behind suspicious or interrupted passes, its records are read
// beside those.
type watch struct {
	limits  tripwire.Thresholds
	history tripwire.History
	// base is the snapshot to compare with; nil: nothing is compared. accepted says that it is a suspicious one, which a person accepted.
	base     *vault.Snapshot
	accepted []string
	records  *goodReader // of base, the lister's; nil where the pass goes on from base, and reads them anyway
	match    func(string) bool
	lasting  bool // the listing is no proof that an item is gone
	repos    bool
	policy   []string
	notices  []string
	blind    atomic.Bool // not all records of base could be read
	lost     error       // why

	deleted, modified, rewritten, vanished, untold atomic.Int64
}

// ErrAccept says that a snapshot can't be accepted: there is none of that number, or none that is complete and suspicious.
var ErrAccept = errors.New("there is nothing to accept")

// newWatch reads from the chain what the pass is compared with.
func newWatch(ctx context.Context, w *vault.Writer, src source.Source, o Options) (*watch, error) {
	t := &watch{match: o.Match}
	_, t.lasting = src.(source.Lasting)
	kind := src.Place().Kind
	t.repos = kind == record.KindGit || kind == record.KindSVN
	if o.Tripwire == nil {
		return t, nil
	}
	t.limits = *o.Tripwire
	if err := t.compareWith(ctx, w, o.Accept); err != nil {
		return nil, err
	}
	return t, t.settings(ctx, w, src)
}

// compareWith finds the last good snapshot, or the one that is accepted.
func (t *watch) compareWith(ctx context.Context, w *vault.Writer, accept int64) error {
	chain := w.Chain()
	if accept > 0 {
		k := chain.Number(accept)
		if k == nil || !k.Complete || len(k.Suspicious) == 0 {
			return fmt.Errorf("%w: snapshot %d of %s is none that is complete and suspicious", ErrAccept, accept, chain.Source.Name)
		}
		t.accepted = k.Suspicious
	}
	commits := countingOf(chain)
	var base int
	if t.history, base = tripwire.HistoryOf(summaries(commits), accept); base < 0 {
		old, err := continued(ctx, w)
		if err != nil {
			return err
		}
		commits = slices.Concat(countingOf(old), commits)
		if t.history, base = tripwire.HistoryOf(summaries(commits), 0); base < 0 {
			return nil
		}
	}
	if b := t.history.Base; accept > 0 && b.Seq != accept {
		return fmt.Errorf("%w: snapshot %d of %s is later than %d and good", ErrAccept, b.Seq, chain.Source.Name, accept)
	}
	return t.open(ctx, w, commits[base])
}

// open opens the snapshot to compare with. Where it is damaged the pass goes on, and is compared with what its commit says alone.
func (t *watch) open(ctx context.Context, w *vault.Writer, k *vault.Commit) error {
	if own := w.Base(); own.Commit.Hash == k.Hash {
		t.base = own
		return nil
	}
	var err error
	t.base, err = w.Vault().Snapshot(ctx, k)
	var damage *vault.DamageError
	if errors.As(err, &damage) {
		t.base, t.lost = nil, err
		t.blind.Store(true)
		return nil
	}
	if err != nil {
		return err
	}
	t.records = newGoodReader(ctx, t.base)
	return nil
}

// continued returns the chain that the writer's goes on from, up to there; nil where there is none.
func continued(ctx context.Context, w *vault.Writer) (*vault.Chain, error) {
	if len(w.Chain().Commits) == 0 || w.Chain().Commits[0].Continues == nil {
		return nil, nil
	}
	from := w.Chain().Commits[0].Continues
	c, err := w.Vault().Chain(ctx, from.Chain)
	if err != nil || int64(len(c.Commits)) < from.Seq || c.Commits[from.Seq-1].Hash != from.Hash {
		return nil, err
	}
	c.Commits = c.Commits[:from.Seq]
	return c, nil
}

// countingOf returns the commits of a chain, which may be nil, that have a snapshot and count.
func countingOf(c *vault.Chain) (out []*vault.Commit) {
	if c == nil {
		return nil
	}
	for _, k := range c.Commits {
		if c.Number(k.Seq) != nil {
			out = append(out, k)
		}
	}
	return out
}

// summaries are what a history needs of commits.
func summaries(commits []*vault.Commit) []tripwire.Commit {
	out := make([]tripwire.Commit, len(commits))
	for i, k := range commits {
		out[i] = tripwire.Commit{Seq: k.Seq, Complete: k.Complete, Suspicious: len(k.Suspicious) > 0, Counts: k.Counts}
	}
	return out
}

// settings asks the source for its own settings, compares them with those of the last good snapshot, and has the next commit keep them.
func (t *watch) settings(ctx context.Context, w *vault.Writer, src source.Source) error {
	g, ok := src.(source.Governed)
	if !ok || !t.limits.Policy {
		return nil
	}
	last, err := stateOf(ctx, w.Base())
	if err != nil {
		return err
	}
	now, err := g.Settings(ctx, last)
	if err != nil {
		return err
	}
	if t.base != nil {
		before, err := stateOf(ctx, t.base)
		if err != nil {
			return err
		}
		t.policy, _ = g.Worse(before, now)
	}
	_, notices := g.Worse(last, now)
	t.notices = append(t.notices, notices...)
	if len(now) == 0 {
		return nil
	}
	return w.SetState(ctx, settingsState, now)
}

// stateOf reads the settings that a snapshot has; nil where it has none, or they are damaged.
func stateOf(ctx context.Context, s *vault.Snapshot) ([][]byte, error) {
	lines, err := s.State(ctx, settingsState)
	var damage *vault.DamageError
	if errors.As(err, &damage) {
		return nil, nil
	}
	return lines, err
}

// close ends the reading.
func (t *watch) close() {
	if t != nil && t.records != nil {
		t.records.stop()
	}
}

// begin passes over records before a span, which failed spans before it left.
func (t *watch) begin(from string) error { return t.pass(from, false) }

// end counts what the last good snapshot has in a span behind its last item.
func (t *watch) end(to string) error { return t.pass(to, true) }

// pass takes the records of the last good snapshot before a path, all of them where it is empty and they are to be counted.
func (t *watch) pass(to string, counted bool) error {
	for t.records != nil {
		r, err := t.peek()
		if err != nil || r == nil || r.Path >= to && (to != "" || !counted) {
			return err
		}
		t.records.take()
		if counted {
			t.gone(r)
		}
	}
	return nil
}

// peek returns the next record of the last good snapshot, nil behind its end. That it is damaged must not keep what is there from being replicated: then the rest is not
// compared, and the notices say so.
func (t *watch) peek() (*record.Record, error) {
	r, err := t.records.peek()
	var damage *vault.DamageError
	switch {
	case err == io.EOF:
		return nil, nil
	case errors.As(err, &damage):
		t.lost = err
		t.blind.Store(true)
		return nil, nil
	}
	return r, err
}

// at returns the record that the last good snapshot has of a listed item, nil where it has none, and counts those before it as gone. last is what the pass goes on
// from.
func (t *watch) at(e *source.Entry, last *vault.OldRecord) (*record.Record, error) {
	if t.base == nil {
		return nil, nil
	}
	if t.records == nil {
		if last == nil || last.State == record.Deleted {
			return nil, nil
		}
		return last.Record, nil
	}
	for {
		r, err := t.peek()
		if err != nil || r == nil {
			return nil, err
		}
		c := compare(r, e)
		if c > 0 {
			return nil, nil
		}
		t.records.take()
		if c == 0 {
			return r, nil
		}
		t.gone(r)
	}
}

// gone counts an item of the last good snapshot that the listing does not have.
func (t *watch) gone(r *record.Record) {
	if !t.lasting && t.match(r.Path) {
		t.deleted.Add(1)
	}
}

// missed is at for a record that the pass goes on from and the listing does not have: what the last good snapshot has of it is gone.
func (t *watch) missed(o *vault.OldRecord) (*record.Record, error) {
	good, err := t.at(&source.Entry{Path: o.Path, Version: o.Version, Kind: o.Kind}, o)
	if good != nil {
		t.gone(good)
	}
	return good, err
}

// saw compares an item as it is now with what the last good snapshot has of it, which may be nil.
func (t *watch) saw(good, now *record.Record) {
	if good == nil || now == nil || good == now {
		return
	}
	switch good.Kind {
	case record.KindObject:
		if good.State == record.Present && now.State == record.Present && !slices.EqualFunc(good.Parts, now.Parts, sameBytes) {
			t.modified.Add(1)
		}
	case record.KindGit, record.KindSVN:
		lost := tripwire.LossOf(good, now)
		if lost.Untold > 0 {
			t.untold.Add(1)
		}
		rewritten, vanished := t.limits.Judge(lost)
		if rewritten {
			t.rewritten.Add(1)
		}
		if vanished {
			t.vanished.Add(1)
		}
	}
}

func sameBytes(a, b record.Part) bool {
	return a.Kind == b.Kind && a.SHA256 == b.SHA256 && a.Size == b.Size
}

// judge says why the commit in the making is suspicious, or, where it is whole and is not, what was accepted.
func (t *watch) judge(complete bool, c record.Counts, raw, stored int64) (j vault.Judgement) {
	reasons := tripwire.Judge(t.limits, t.history, tripwire.Observation{
		Complete: complete, Blind: t.blind.Load(), Repositories: t.repos, Items: c.Items, Bytes: c.Bytes, Unreadable: c.Unreadable,
		Deleted: t.deleted.Load(), Modified: t.modified.Load(), Rewritten: t.rewritten.Load(), Vanished: t.vanished.Load(), Raw: raw, Stored: stored, Policy: t.policy,
	})
	for _, r := range reasons {
		j.Suspicious = append(j.Suspicious, r.String())
	}
	if complete && len(reasons) == 0 {
		j.Accepted = t.accepted
	}
	return j
}

// info is what the commit in the making says of the pass.
func (p *pass) info(complete bool) vault.CommitInfo {
	counts := p.counts(complete)
	return vault.CommitInfo{
		Complete: complete, Counts: counts, Hurry: p.interrupted, Restored: func(n int64) { p.o.Progress.RestoredBytes.Add(n) },
		Judge: func(raw, stored int64) vault.Judgement { return p.watch.judge(complete, counts, raw, stored) },
	}
}

// committed takes note of what a commit of the pass added: the next one of the pass is judged by all of it.
func (t *watch) committed(c record.Counts) {
	t.history.NewRaw, t.history.NewStored = t.history.NewRaw+c.Raw, t.history.NewStored+c.Stored
}

// findings are what the watch has to say besides.
func (t *watch) findings(place record.Place) (out []vault.Finding) {
	if t == nil {
		return nil
	}
	if t.lost != nil {
		t.notices = append(t.notices, fmt.Sprintf("snapshot %d, the last good one, can't be read whole, so that not all of this pass's change was compared with it: %v", t.history.Base.Seq, t.lost))
	}
	if n := t.untold.Load(); n > 0 && t.limits.Refs > 0 {
		t.notices = append(t.notices, fmt.Sprintf("of %d repositories the server does not say whether refs that changed were rewritten", n))
	}
	for _, n := range t.notices {
		out = append(out, vault.Finding{Severity: vault.Notice, Object: place.Name, Text: n})
	}
	return out
}

// goodReader reads the records of a snapshot one ahead.
type goodReader struct {
	next func() (*record.Record, error, bool)
	stop func()
	cur  *record.Record
}

func newGoodReader(ctx context.Context, s *vault.Snapshot) *goodReader {
	next, stop := iter.Pull2(s.Records(ctx, "", ""))
	return &goodReader{next: next, stop: stop}
}

// peek returns the next record, or io.EOF.
func (g *goodReader) peek() (*record.Record, error) {
	if g.cur != nil {
		return g.cur, nil
	}
	r, err, ok := g.next()
	if !ok {
		return nil, io.EOF
	}
	if err == nil {
		g.cur = r
	}
	return r, err
}

func (g *goodReader) take() { g.cur = nil }
