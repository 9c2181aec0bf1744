package audit

import (
	"context"
	"fmt"
	"iter"
	"time"

	"farshore/agent/report"
	"farshore/agent/vault"
	"farshore/agent/verify/census"
	"farshore/agent/verify/draw"
)

// maxOverlaid is how many names that something lies over or beneath are looked into: whoever may write can make any number.
const maxOverlaid = 10_000

// overlay are the names that something lies over or beneath.
type overlay struct {
	names []census.Sighting
	more  int64 // were seen beyond those
	left  int64 // were not looked into, of names
}

// inventory lists what is there and holds it against the census. What is missing or has another size is damage that no byte was read for.
func (r *run) inventory(ctx context.Context) error {
	r.o.Progress.Stage.Store(StageInventory)
	var err error
	r.a.Inventory, err = r.census.Inventory(ctx, r.v.Bucket(), r.sight)
	return err
}

// sight takes one name that is not as it should be.
func (r *run) sight(s census.Sighting) error {
	path := s.Object.Path()
	switch s.Kind {
	case census.KindMissing:
		r.damaged(path, report.DamageMissing, missingWords)
		if s.Name != nil {
			for _, f := range vault.Layers(s.Name, "") {
				r.notes.add(f)
			}
		}
		return nil
	case census.KindSize:
		r.damaged(path, report.DamageSize, sizes(s))
	case census.KindJunk:
		r.notes.note(vault.Tampering, s.Name.Name, "no object of a vault has such a name: ignored")
		return nil
	case census.KindUnnamed:
		return nil
	}
	if s.Name == nil || s.Name.Plain() {
		return nil
	}
	if len(r.over.names) == maxOverlaid {
		r.over.more++
		r.notes.addListed(vault.Finding{Severity: vault.Tampering, Object: path, Text: "something lies over it, or beneath"}, false)
		return nil
	}
	r.over.names = append(r.over.names, s)
	return nil
}

func sizes(s census.Sighting) string {
	if s.Name == nil || !s.Name.Plain() {
		return fmt.Sprintf("none of its versions has the %d bytes that its commit states", s.Object.Size)
	}
	return fmt.Sprintf("it has %d bytes, its commit says %d", s.Name.Size, s.Object.Size)
}

// overlaid looks into the names that something lies over, whichever of their versions is the right one: within the bytes of the budget, beside those of the draw, and a tenth of the
// time. That something lies there is tampering all the same.
func (r *run) overlaid(ctx context.Context) error {
	names := r.over.names
	r.over.names = nil
	rctx, stop := context.WithCancel(ctx)
	defer stop()
	queue := make(chan chan answer, r.o.Workers)
	go r.examineAll(rctx, r.affordable(names), queue)
	n := 0
	for done := range queue {
		a := <-done
		if a.err != nil {
			stop()
			for rest := range queue {
				<-rest
			}
			return a.err
		}
		r.reads.known[placeOf(names[n].Object)] = a.outcome
		r.learn(names[n].Object, a)
		n++
	}
	r.over.left = int64(len(names) - n)
	for _, rest := range names[n:] {
		r.layers(rest)
	}
	return nil
}

// affordable returns the first of the names, as many as the bytes of the budget are enough for: one at least.
func (r *run) affordable(names []census.Sighting) []census.Sighting {
	left := r.a.Budget.Bytes
	for i, s := range names {
		if left -= s.Object.Size; i > 0 && r.a.Budget.Bytes > 0 && left < 0 {
			return names[:i]
		}
	}
	return names
}

// examineAll examines names, about as many at a time as there are workers, and sends where the answer to each will be, in their order. It closes the queue behind the last that it
// asked for: when a tenth of the time is over, or ctx is.
func (r *run) examineAll(ctx context.Context, names []census.Sighting, queue chan<- chan answer) {
	defer close(queue)
	slots := make(chan struct{}, r.o.Workers)
	until := seconds(r.a.Budget.Seconds) / 10
	for i, s := range names {
		slots <- struct{}{}
		if ctx.Err() != nil || until > 0 && r.clock.elapsed() >= until {
			return
		}
		done := make(chan answer, 1)
		queue <- done
		go func() {
			done <- r.examine(ctx, *names[i].Name, s.Object)
			<-slots
		}()
	}
}

// layers tells of a name that was not looked into.
func (r *run) layers(s census.Sighting) {
	for _, f := range vault.Layers(s.Name, s.Name.ID) {
		r.notes.add(f)
	}
}

// draw makes the plan.
func (r *run) draw(ctx context.Context) error {
	plan, err := draw.Draw(ctx, r.input())
	if err != nil {
		return err
	}
	r.plan = plan
	for _, p := range []struct {
		name string
		list []census.Object
	}{{report.PartPacks, plan.Packs}, {report.PartPages, plan.Pages}, {report.PartBytes, plan.Bytes}, {report.PartRisk, plan.Risk}} {
		if len(p.list) > 0 {
			r.a.Parts = append(r.a.Parts, report.Part{Part: p.name, Planned: int64(len(p.list)), Digest: new(draw.Digest).Sum()})
		}
	}
	if len(plan.Sweeps) > 0 {
		r.a.Parts = append(r.a.Parts, report.Part{Part: report.PartCoverage, Planned: plan.SweepObjects, Sweeps: plan.Sweeps, Digest: new(draw.Digest).Sum()})
	}
	r.o.Progress.PlannedBytes.Store(plan.TotalBytes)
	r.o.Progress.PlannedObjects.Store(min(r.a.Population.Packs+r.a.Population.Pages, plan.SweepObjects+int64(len(plan.Packs)+len(plan.Pages)+len(plan.Bytes)+len(plan.Risk))))
	return nil
}

// input is what the draw rests on: what anybody can find out who has the report and the vault.
func (r *run) input() draw.Input {
	return inputOf(r.a, r.last, r.census, r.ledger())
}

func inputOf(a, last *report.Audit, c *census.Census, ledger report.Ledger) draw.Input {
	in := draw.Input{
		Bytes: a.Budget.Bytes, Now: a.Started, Promise: promise(a.Budget), Every: every(a.Budget), Ledger: ledger, Heads: a.Heads, Objects: c.Objects, Added: c.Time, Bad: bad(last),
	}
	if a.Seed != nil {
		in.Seed = *a.Seed
	}
	return in
}

// ledgerOf is the ledger of the signer's audit before. One that fills its bound was written by no audit, which keeps below it: nothing is believed of it.
func ledgerOf(last *report.Audit) report.Ledger {
	if last == nil || len(last.Ledger.Arcs) >= report.MaxArcs {
		return report.Ledger{}
	}
	return last.Ledger
}

// shares says how much of the time that is left each part may take, together with those before it: what one does not need is the next one's.
var shares = map[string]float64{report.PartPacks: 0.08, report.PartPages: 0.1, report.PartBytes: 0.18, report.PartRisk: 0.27, report.PartCoverage: 0.9}

// objects reads what was drawn, part by part, those first that the bounds rest on.
func (r *run) objects(ctx context.Context) error {
	r.o.Progress.Stage.Store(StageObjects)
	begun := r.clock.elapsed()
	lists := map[string][]census.Object{report.PartPacks: r.plan.Packs, report.PartPages: r.plan.Pages, report.PartBytes: r.plan.Bytes, report.PartRisk: r.plan.Risk}
	for i := range r.a.Parts {
		p := &r.a.Parts[i]
		s := &stretch{part: p, sweep: p.Part == report.PartCoverage}
		if total := seconds(r.a.Budget.Seconds); total > 0 {
			s.until = begun + max(1, time.Duration(float64(max(0, total-begun))*shares[p.Part]))
		}
		objects := each(lists[p.Part])
		if s.sweep {
			r.swept.begun = true
			objects = draw.Swept(ctx, r.input(), p.Sweeps)
		}
		err := r.read(ctx, objects, s)
		r.done.timely = r.done.timely || s.timely
		if s.sweep {
			r.swept.stopped = s.stopped
		}
		if p.Part == report.PartPacks {
			r.gone = s.lost
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func each(list []census.Object) iter.Seq2[census.Object, error] {
	return func(yield func(census.Object, error) bool) {
		for _, o := range list {
			if !yield(o, nil) {
				return
			}
		}
	}
}
