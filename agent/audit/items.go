package audit

import (
	"context"
	"maps"
	"slices"
	"time"

	"farshore/agent/report"
	"farshore/agent/source"
	"farshore/agent/vault"
	"farshore/agent/verify/bound"
	"farshore/agent/verify/impact"
	"farshore/agent/verify/items"
)

// itemShare is how much of the budget's bytes items may take beside the draw of objects.
const itemShare = 10

// items restores a sample of items, or compares it with the sources at hand, where a key opens the records.
func (r *run) items(ctx context.Context) error {
	r.o.Progress.Stage.Store(StageItems)
	if !r.v.CanOpen() || !r.o.Recovery && len(r.o.Live) == 0 {
		return nil
	}
	o := items.Options{
		Seed: r.seed, Chains: r.chosen(), Restore: r.o.Recovery, Live: r.o.Live, Scratch: r.o.Scratch, Workers: r.o.Workers,
		Name: r.names.item, Note: r.notes.item, Progress: &r.o.Progress.Items,
	}
	if b := r.a.Budget.Bytes; b > 0 {
		o.Bytes = max(1, b/itemShare)
	}
	if s := r.a.Budget.Seconds; s > 0 {
		if r.clock.elapsed() >= seconds(s) {
			r.done.timely = true
			return nil
		}
		o.Deadline = r.clock.started.Add(seconds(s))
	}
	res, err := items.Sample(ctx, r.v, o)
	if res != nil {
		r.done.items, r.done.full = true, res.Complete && err == nil
		r.a.Items, r.a.Repos = res.Counts, res.Repos
		r.done.answered = res.Answered
		r.a.NotChecked = append(r.a.NotChecked, res.NotChecked...)
		if r.o.Recovery && res.Sampled > 0 {
			r.a.Bounds = append(r.a.Bounds, bound.Of(report.UnitItems, res.Population, res.Sampled, res.Failed, res.Population == 0))
		}
		r.lost(res.Lost)
	}
	return err
}

// chosen are the chains of the source that was asked for, or all.
func (r *run) chosen() []*vault.Chain {
	if r.o.Source == "" {
		return r.chains
	}
	return slices.DeleteFunc(slices.Clone(r.chains), func(c *vault.Chain) bool { return c.ID != r.o.Source && c.Source.Name != r.o.Source })
}

// lost lists the objects that items could not be put together from; findings tell of them already.
func (r *run) lost(lost []items.Lost) {
	for _, l := range lost {
		if _, _, ok := parse(l.Object); ok {
			r.found.add(l.Object, l.Kind)
		}
	}
}

// meaning is how long the run may take to find out what damage means: that it is damage is known without it.
const meaning = time.Hour

// impact says what the damage means.
func (r *run) impact(ctx context.Context) error {
	r.o.Progress.Stage.Store(StageReport)
	if len(r.found.list) == 0 {
		return nil
	}
	var list []report.Damage
	for _, object := range slices.Sorted(maps.Keys(r.found.list)) {
		if x := r.found.list[object]; !x.whole {
			list = append(list, x.Damage)
		}
	}
	live := r.o.Live
	if !r.v.CanOpen() {
		live = map[string]source.Source{}
	}
	timed, stop := context.WithTimeout(ctx, meaning)
	defer stop()
	err := impact.Fill(timed, r.v, list, impact.Options{Chains: r.chains, Live: live, Name: r.names.item, Workers: r.o.Workers})
	for i := range list {
		r.found.list[list[i].Object].Damage = list[i]
	}
	if err != nil && ctx.Err() == nil && timed.Err() != nil {
		r.a.NotChecked = append(r.a.NotChecked, report.NotChecked{What: "what the damage means", Count: int64(len(list)), Why: "what needs it could not be found out within an hour"})
		return nil
	}
	return err
}
