package audit

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/vault"
	"farshore/agent/verify/bound"
	"farshore/agent/verify/draw"
)

// lastWords is how long the report may take to be stored when the run was stopped or its store failed.
const lastWords = 30 * time.Second

// finish makes the report of what was done until err, stores it where there is a key, and returns it with err.
func (r *run) finish(ctx context.Context, err error) (*Result, error) {
	r.o.Progress.Stage.Store(StageReport)
	r.ended(ctx, err)
	ctx, stop := linger(ctx, err != nil)
	defer stop()
	r.collect()
	if ferr := r.account(ctx); ferr != nil {
		err = errors.Join(err, ferr)
		r.ended(ctx, err)
	}
	r.state()
	a := r.a
	a.Verdict = verdict(a, r.done, r.notes)
	res := &Result{Audit: a, Names: &r.names.names, Full: r.full, Findings: r.notes.told, PacksDenied: r.packsDenied()}
	if r.o.Key == nil {
		return res, err
	}
	if res.Unplaced = r.place(ctx, res); res.Unplaced != nil {
		err = errors.Join(err, fmt.Errorf("the report could not be stored: %w", res.Unplaced))
	}
	return res, err
}

// linger returns a context that outlives ctx by as long as the report may take; where the run failed, that is all the time there is.
func linger(ctx context.Context, failed bool) (context.Context, context.CancelFunc) {
	long, cancel := context.WithCancel(context.WithoutCancel(ctx))
	if failed {
		timed, stop := context.WithTimeout(long, lastWords)
		return timed, func() { stop(); cancel() }
	}
	unhook := context.AfterFunc(ctx, func() {
		t := time.AfterFunc(lastWords, cancel)
		context.AfterFunc(long, func() { t.Stop() })
	})
	return long, func() { unhook(); cancel() }
}

// ended says how the run ended.
func (r *run) ended(ctx context.Context, err error) {
	a := r.a
	switch {
	case err == nil && r.done.timely:
		a.End = report.EndTime
	case err == nil:
		a.End = report.EndDone
	case ctx.Err() != nil && a.End == "":
		a.End = report.EndInterrupted
	case a.End != report.EndInterrupted:
		a.End, a.Why = report.EndFailed, words(err)
	}
}

// account reckons the ledger, the coverage and the bounds from what was read.
func (r *run) account(ctx context.Context) error {
	a := r.a
	if a.Mode == report.ModeDrill {
		a.Time = r.clock.wall()
		return nil
	}
	r.enter()
	a.Time = r.clock.wall()
	named, err := r.found.named(r.census.Objects(ctx))
	if err != nil {
		return err
	}
	var mended []report.Damage
	a.Damaged, mended = r.found.result(a.Time, named)
	a.MoreDamaged = r.found.more
	for _, d := range mended {
		r.notes.note(vault.Notice, d.Object, "an audit found it damaged (%s) on %s, and it is whole now", d.Kind, record.FormatTime(d.Since))
	}
	a.Bounds = append(bounds(a, r.gone), a.Bounds...)
	return r.cover(ctx)
}

// enter writes the ledger: the signer's last one, with what was swept.
func (r *run) enter() {
	a := r.a
	a.Ledger = r.ledger()
	if r.swept.begun {
		a.Ledger = draw.Apply(a.Ledger, r.plan.Sweeps, r.swept.stopped, a.Started, a.Heads)
	}
}

// cover reckons what the ledger says, without what is known to be damaged.
func (r *run) cover(ctx context.Context) (err error) {
	a := r.a
	if a.Mode == report.ModeDrill {
		return nil
	}
	a.Coverage, err = draw.CoverageOf(ctx, r.census.Objects, r.census.Time, a.Ledger, a.Heads, bad(a), a.Time, promise(a.Budget))
	if err == nil && r.plan != nil {
		a.Coverage.Feasible, a.Coverage.NeededBytes = r.plan.Before.Feasible, r.plan.Before.NeededBytes
	}
	return err
}

// bounds are what the uniform parts say of the damaged share: what the store did not give counts as damaged. Where every pack was asked for, it is known of every byte whether it
// lies in a whole one, whatever positions were drawn: lost are the bytes of those packs that failed or were not given.
func bounds(a *report.Audit, lost int64) (out []report.Bound) {
	every := false
	for _, p := range a.Parts {
		bad := p.Failed + p.Unread
		switch p.Part {
		case report.PartPacks:
			every = p.Checked == a.Population.Packs
			out = append(out, bound.Of(report.UnitPacks, a.Population.Packs, p.Checked, bad, false))
		case report.PartPages:
			out = append(out, bound.Of(report.UnitPages, a.Population.Pages, p.Checked, bad, false))
		case report.PartBytes:
			if every {
				out = append(out, bound.Of(report.UnitBytes, a.Population.PackBytes, a.Population.PackBytes, lost, false))
				continue
			}
			out = append(out, bound.Of(report.UnitBytes, a.Population.PackBytes, p.Checked, bad, true))
		}
	}
	return out
}

// state fills in what is known besides, and what was not checked.
func (r *run) state() {
	a := r.a
	a.Sources = r.sources(a.Time)
	for _, s := range a.Sources {
		if len(s.Suspicious) > 0 {
			r.notes.note(vault.Notice, record.CommitName(s.Chain, s.Seq), "the newest complete snapshot is marked as suspicious: %s", s.Suspicious[0])
		}
	}
	a.Written, a.Keys = written(r.chains), r.keys()
	a.NotChecked = append(r.unchecked(), a.NotChecked...)
	a.Findings, a.Omitted = r.notes.list, r.notes.omitted
	now := r.v.Bucket().Stats()
	a.ReadObjects, a.ReadObjectBytes = r.reads.right, r.reads.bytes
	a.Requests, a.ReadBytes = now.Requests()-r.before.Requests(), now.Received-r.before.Received
	var err error
	if a.Sealed, err = report.SealNames(r.v, &r.names.names); err != nil {
		a.NotChecked = append(a.NotChecked, report.NotChecked{What: "names", Count: int64(len(r.names.names.Items)), Why: "they could not be sealed, and are not in the report"})
	}
}

// placing is how often a report is signed anew because another of the same key was stored first.
const placing = 16

// place signs the report as the next of its signer's, and stores it. Where another run of the same signer stored one meanwhile, it first takes over what that one found.
func (r *run) place(ctx context.Context, res *Result) error {
	for n := 1; ; n++ {
		prev, err := report.Last(ctx, r.v, r.signer())
		if err == nil && prev != nil && *prev != r.placed {
			err = r.others(ctx, *prev)
		}
		if err != nil {
			return err
		}
		r.a.Prev = prev
		r.a.Fit()
		if res.Stored, err = report.Sign(r.v, r.a, *r.o.Key); err != nil {
			return err
		}
		name, _, err := report.PlaceSigned(ctx, r.v, res.Stored)
		if errors.Is(err, report.ErrOutdated) && n < placing {
			continue
		}
		if err == nil {
			res.Name, res.Hash = name, sha256.Sum256(res.Stored)
		}
		return err
	}
}

// others takes over what other runs of the same signer found damaged that were reported while this one went on: the newest audit is what the next ones go by, and must not forget
// it. newest is the hash of the last of their reports.
func (r *run) others(ctx context.Context, newest record.Hash) error {
	shelf, err := report.Read(ctx, r.v)
	if err != nil {
		return err
	}
	r.shelf, r.placed = shelf, newest
	if e := r.newestOwn(); e != nil {
		if err := r.clock.behind(e.Time, e.Name); err != nil {
			return err
		}
	}
	if r.a.Time.Before(r.clock.floor) {
		r.a.Time = r.clock.wall()
	}
	if e := shelf.LastAudit(r.signer()); e != nil && r.a.Mode != report.ModeDrill {
		r.merge(e.Audit)
		if r.a.Mode == report.ModeFull { // no commitment says behind which audit it was begun
			r.last = e.Audit
			r.enter()
		}
	}
	r.a.Verdict = verdict(r.a, r.done, r.notes)
	return r.cover(ctx)
}

// merge lists what another audit has as damaged, and this one has no word on.
func (r *run) merge(a *report.Audit) {
	for _, d := range a.Damaged {
		if r.found.list[d.Object] != nil || slices.ContainsFunc(r.a.Damaged, func(x report.Damage) bool { return x.Object == d.Object }) {
			continue
		}
		if len(r.a.Damaged) >= report.MaxDamaged {
			r.a.MoreDamaged++
			continue
		}
		r.a.Damaged = append(r.a.Damaged, report.Damage{Object: d.Object, Kind: d.Kind, Since: d.Since, Items: -1, Remedy: report.RemedyUnknown})
	}
	slices.SortFunc(r.a.Damaged, byObject)
}
