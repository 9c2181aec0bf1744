package audit

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"farshore/agent/report"
	"farshore/agent/vault"
	"farshore/agent/verify"
	"farshore/agent/verify/bound"
	"farshore/agent/verify/draw"
)

// Full verifies everything that a run can: every stored object is read, everything that a snapshot needs is followed, and, with a recovery identity, every item is restored. It
// leaves a report where there is a key. No budget bounds it, and nothing is drawn: objects are read in the order of their names, so that where it does not come to its end, those that it
// read until then are in its report and in the ledger. The next sample goes on from there; the next full one begins anew. Results and errors are as Run's.
func Full(ctx context.Context, v *vault.Vault, o Options) (*Result, error) {
	r, err := begin(ctx, v, o, report.ModeFull)
	if err != nil {
		return nil, err
	}
	defer r.close()
	r.a.Budget.Bytes, r.a.Budget.Seconds = 0, 0
	return r.finish(ctx, r.everything(ctx))
}

// everything lists and verifies all that there is.
func (r *run) everything(ctx context.Context) error {
	r.plan = new(draw.Plan)
	r.a.Parts = []report.Part{{Part: report.PartAll, Planned: r.a.Population.Packs + r.a.Population.Pages, Digest: new(draw.Digest).Sum()}}
	return r.steps(ctx, r.inventory, r.verify, r.locks, r.impact)
}

// verify has everything read, followed and put together.
func (r *run) verify(ctx context.Context) error {
	r.o.Progress.Stage.Store(StageObjects)
	res, err := verify.Full(ctx, r.v, verify.Options{
		Items: r.o.Recovery, Source: r.o.Source, Workers: r.o.Workers, Progress: &r.o.Progress.Verify, Scratch: r.o.Scratch, Live: r.o.Lookers, Before: r.sweep,
	})
	if res != nil {
		r.full = res
		r.adopt(res)
	}
	r.done.full = err == nil
	return err
}

// sweep reads every object that a commit names, in the order of names, and tells what came of each.
func (r *run) sweep(ctx context.Context, tell func(verify.Found)) error {
	r.reads.tell = tell
	defer func() { r.reads.tell = nil }()
	if err := r.overlaid(ctx); err != nil {
		return err
	}
	s := &stretch{part: &r.a.Parts[0], sweep: true, all: true}
	err := r.read(ctx, r.census.Objects(ctx), s)
	s.part.Sweeps = r.runs(s)
	r.plan.Sweeps, r.swept.begun = s.part.Sweeps, true
	if err != nil {
		return err
	}
	if p := s.part; p.Checked == p.Planned {
		r.a.Bounds = append(r.a.Bounds, censuses(&r.a.Population, s.bad[0], s.bad[1], s.lost)...)
		return nil
	}
	return cmp.Or(r.reads.refusal[0], r.reads.refusal[1]) // it stops early for no other reason
}

// censuses are the bounds where every object was dealt with: so many packs and pages are not as they should be, and lost are the bytes of those packs.
func censuses(n *report.Population, packs, pages, lost int64) []report.Bound {
	out := []report.Bound{bound.Of(report.UnitPacks, n.Packs, n.Packs, packs, false), bound.Of(report.UnitPages, n.Pages, n.Pages, pages, false)}
	if n.PackBytes > 0 {
		out = append(out, bound.Of(report.UnitBytes, n.PackBytes, n.PackBytes, lost, false))
	}
	return out
}

// runs are the runs of names that the ledger has as verified: up to where the stretch stopped, but for the names of what is neither intact nor on the list of the damaged.
func (r *run) runs(s *stretch) (out []report.Sweep) {
	from, n := uint64(0), 0
	for _, o := range s.open {
		// What the store did not give at first is on the list once it gave others.
		if r.found.list[o.Path()] != nil {
			continue
		}
		at := binary.BigEndian.Uint64(o.Name[:8])
		if out = appendRun(out, from, at); at == math.MaxUint64 {
			return out
		}
		if from, n = at+1, n+1; n == maxHoles {
			return out
		}
	}
	if s.stopped != nil {
		return appendRun(out, from, binary.BigEndian.Uint64(s.stopped.Name[:8]))
	}
	return append(out, report.Sweep{From: fmt.Sprintf("%016x", from), Only: report.SweepAll})
}

// appendRun adds the names from one beginning up to another, where there are any.
func appendRun(out []report.Sweep, from, to uint64) []report.Sweep {
	if from >= to {
		return out
	}
	return append(out, report.Sweep{From: fmt.Sprintf("%016x", from), To: fmt.Sprintf("%016x", to), Only: report.SweepAll})
}

// adopt takes over what a verification says of items, repositories and findings.
func (r *run) adopt(res *verify.Result) {
	a := r.a
	a.Items = report.ItemCounts{Tried: res.ItemsChecked, Restored: res.Items, Failed: res.ItemsLost, Locked: res.ItemsLocked, Bytes: res.ItemBytes}
	a.Items.Drawn = a.Items.Restored + a.Items.Failed + a.Items.Locked
	n := res.Repositories
	a.Repos = report.RepoCounts{Checked: n.Checked, Problems: n.Problems, Unchecked: n.Unchecked}
	a.Items.Changed, a.Items.Unseen = n.Moved, n.Unseen // that refs are the same compares no bytes
	r.done.answered = res.Answered
	r.useless(res)
	grave := int64(0)
	for _, f := range res.Findings {
		if f.Severity != vault.Notice {
			grave++
		}
		r.told(f)
	}
	// What was only counted there is counted here, but for what was noted here before it was told.
	r.notes.omitted += max(0, res.Damaged+res.Tampered-max(grave, r.reads.told))
	r.notes.damage = r.notes.damage || res.Damaged > 0
	r.notes.tampered = r.notes.tampered || res.Tampered > 0
}

// quoted is a name as findings have them.
var quoted = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

// told takes a finding of a verification, which may name items: the report says the same without the name, and seals that.
func (r *run) told(f vault.Finding) {
	about := f.Object
	if room(about) != "" {
		about = f.Text
	}
	public := report.AuditFinding{Severity: string(f.Severity), Object: room(f.Object), Text: cut(quoted.ReplaceAllString(r.notes.public(f.Text), "(a sealed name)"))}
	switch {
	case strings.HasPrefix(about, "item "):
		public.Text = "an item can't be restored"
	case strings.HasPrefix(about, "repository ") && f.Severity == vault.Notice:
		public.Text = "a repository could not be checked, or not be compared with its source"
	case strings.HasPrefix(about, "repository "):
		public.Text = "a repository did not pass its check"
	default:
		r.notes.put(public, f, true)
		return
	}
	if path, err := strconv.Unquote(quoted.FindString(about)); err == nil {
		public.Item = r.names.item(r.onlySource(), path)
	}
	r.notes.put(public, f, true)
}

// onlySource is the source's name where there is just one, or one was asked for.
func (r *run) onlySource() string {
	name := ""
	for _, c := range r.chosen() {
		if c.Source.Name != "" && name != "" && c.Source.Name != name {
			return "one of the sources"
		}
		name = max(name, c.Source.Name)
	}
	return name
}

// useless lists objects whose bytes are right, and whose content is not.
func (r *run) useless(res *verify.Result) {
	for _, object := range slices.Sorted(maps.Keys(res.Useless)) {
		name, meta, ok := parse(object)
		if !ok {
			continue
		}
		if state, _, found := res.Object(name, meta); !found || state != verify.Intact {
			continue
		}
		kind := report.DamageContent
		if res.Useless[object] {
			kind = report.DamageSeal
		}
		r.found.add(object, kind)
	}
}
