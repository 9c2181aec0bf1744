package impact

import (
	"context"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"

	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/vault"
	"farshore/agent/verify/live"
)

// ask asks the sources whether the items that were kept for it are as they were captured. A source that does not answer tells nothing.
func (f *fill) ask(ctx context.Context) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(f.o.Workers)
	for i := range f.uses {
		for k := range f.uses[i].looked {
			l := &f.uses[i].looked[k]
			src := f.o.Live[l.span.chain.Source.Name]
			if src == nil {
				continue
			}
			g.Go(func() error {
				l.state, _ = live.Ask(gctx, src, l.rec) // why it could not be told changes nothing
				return gctx.Err()
			})
		}
	}
	return g.Wait()
}

// older looks for the items in the newest snapshot before those that need the damaged object.
func (f *fill) older(ctx context.Context) error {
	open := map[*vault.Commit]*vault.Snapshot{}
	for i := range f.uses {
		for k := range f.uses[i].looked {
			l := &f.uses[i].looked[k]
			if l.span.before == nil || l.state == live.Unchanged || f.finds >= maxFinds {
				continue
			}
			f.finds++
			snap, err := f.snapshot(ctx, open, l.span.before)
			if err == nil && snap != nil {
				l.older, err = f.has(ctx, snap, l.rec)
			}
			if err := f.passOver(ctx, err); err != nil {
				return err
			}
		}
	}
	return nil
}

// maxOpen is how many older snapshots are open at a time: each holds its ranges.
const maxOpen = 8

func (f *fill) snapshot(ctx context.Context, open map[*vault.Commit]*vault.Snapshot, k *vault.Commit) (*vault.Snapshot, error) {
	if snap, ok := open[k]; ok {
		return snap, nil
	}
	if len(open) >= maxOpen {
		clear(open)
	}
	snap, err := f.v.Snapshot(ctx, k)
	if f.passOver(ctx, err) == nil {
		open[k] = snap // nil where it can't be read
	}
	return snap, err
}

// has reports whether a snapshot has an item, with parts that rest on nothing that is known to be damaged.
func (f *fill) has(ctx context.Context, snap *vault.Snapshot, rec *record.Record) (bool, error) {
	every := builder{}
	for i := range f.damaged {
		every[int32(i)] = true
	}
	for old, err := range snap.Records(ctx, rec.Path, rec.Path+"\x00") {
		if err != nil {
			return false, err
		}
		if old.Version != rec.Version || old.Kind != rec.Kind || live.Good(old) == nil {
			continue
		}
		hits, whole, err := f.touched(ctx, old, every)
		return whole && len(hits) == 0, err
	}
	return false, nil
}

// write puts down what is known.
func (f *fill) write() {
	byObject := map[string]int{}
	for i := range f.damaged {
		d := &f.damaged[i]
		byObject[d.Object] = i // the last of a name is the one that was looked for
	}
	for i := range f.damaged {
		d, at := &f.damaged[i], byObject[f.damaged[i].Object]
		u := &f.uses[at]
		d.Snapshots, d.First, d.Names = u.snapshots, u.first, u.names
		d.Items, d.Remedy, d.Advice = f.verdict(int32(at))
	}
}

// verdict says of one damage how many items rest on it, what makes it good, and what to do.
func (f *fill) verdict(i int32) (items int64, remedy, advice string) {
	u := &f.uses[i]
	switch {
	case !stored(f.damaged[i].Object):
		return -1, report.RemedyUnknown, "it is neither a pack nor a page: what needs it was not looked for"
	case !f.walked:
		return -1, report.RemedyUnknown, "which snapshots need it could not be told: the store or the run failed before"
	case u.snapshots == 0 && f.blind > 0:
		return -1, report.RemedyUnknown, fmt.Sprintf("no snapshot is known to need it, but public lists of %s can't be read", snapshots(f.blind))
	case u.snapshots == 0:
		return 0, report.RemedyNeedless, "no snapshot needs it: nothing is lost"
	}
	if text := roleText[f.needs.roles[i]]; text != "" {
		return 0, report.RemedyNeedless, text
	}
	if f.needs.roles[i] == record.LiveRoot && u.about && !u.unknown && u.items == 0 {
		return 0, report.RemedyNeedless, "it is the root of a snapshot that has no items: no content rests on it"
	}
	items = u.items
	if u.unknown || !f.v.CanOpen() {
		items = -1
	}
	remedy, advice = f.remedy(u)
	past := ""
	if u.past {
		past = "only earlier versions of items rest on it: the newest snapshot loses nothing"
	}
	return items, remedy, joined(f.what(i), past, advice, f.elsewhere(u))
}

// roleText says of pages on which no content rests what their loss means.
var roleText = map[string]string{
	roleList:         "it is a public list: no content rests on it; checks without a key, locks and pruning can't tell any more what these snapshots need",
	record.LiveTable: "it is a chunk table: no content rests on it; what it lists is stored anew when it comes again",
	record.LiveKeys:  "it is a page of keys for deduplication: no content rests on it; the agent begins a new domain",
	record.LiveState: "it is capture state: no content rests on it; the next pass reads from the source what it needs",
}

// what says what a lost page is.
func (f *fill) what(i int32) string {
	about := ""
	if u := &f.uses[i]; u.about && !u.unknown {
		about = fmt.Sprintf(", about %d", u.items)
	}
	switch f.needs.roles[i] {
	case record.LiveRoot:
		return "it is the root of a snapshot: without it none of its items can be found" + about
	case record.LiveRanges:
		return "it says of a part of a snapshot which segments it has: items there can't be found"
	case roleSegment:
		return "it is a segment: the records of its items" + about + ", are lost, and their contents can't be found by them"
	case rolePart:
		return "it says where contents of large items lie"
	}
	return ""
}

// remedy says what makes the loss good.
func (f *fill) remedy(u *use) (remedy, advice string) {
	var unchanged, changed, older int
	before := map[span]int{}
	for _, l := range u.looked {
		switch l.state {
		case live.Unchanged:
			unchanged++
		case live.Changed:
			changed++
		}
		if l.older {
			older++
			before[l.span]++
		}
	}
	told := unchanged + changed
	if u.past {
		return pastRemedy(unchanged, told)
	}
	back := olderText(before, len(u.looked))
	switch {
	case u.items == 0 && !u.unknown && !u.about && f.v.CanOpen():
		return report.RemedyNeedless, "no item rests on it"
	case told == 0:
		return report.RemedyUnknown, joined(f.why(u), back)
	case unchanged == told && f.elsewhere(u) != "":
		return report.RemedySource, fmt.Sprintf("%s unchanged at the source, and stored anew: only the older snapshots lack what rested on it, until its right bytes are back", lookedAt(unchanged))
	case unchanged == told:
		return report.RemedySource, fmt.Sprintf("run `farshore replicate`: %s unchanged at the source, and the next pass stores what is missing anew", lookedAt(unchanged))
	case unchanged > 0:
		return report.RemedyPartly, joined(fmt.Sprintf("run `farshore replicate`: %d of the %d items that were looked at are unchanged at the source, and the next pass stores those anew", unchanged, told), back)
	case older > 0:
		return report.RemedyNone, joined(fmt.Sprintf("%s changed or gone at the source", lookedAt(told)), back)
	}
	return report.RemedyNone, fmt.Sprintf("%s changed or gone at the source, and no other copy is known: %s", lookedAt(told), keep)
}

// keep is what to do where there is no other copy.
const keep = "keep the damaged object: a part of it may be readable"

// pastRemedy is remedy for earlier versions of items: a pass does not store them anew, and those that the source still has can be had from there.
func pastRemedy(unchanged, told int) (remedy, advice string) {
	switch {
	case told == 0:
		return report.RemedyUnknown, "whether the source still has these versions could not be told: " + keep
	case unchanged == 0:
		return report.RemedyNone, fmt.Sprintf("%s another version at the source by now, or gone, and no other copy of the earlier one is known: %s", lookedAt(told), keep)
	}
	return report.RemedyPartly, fmt.Sprintf("of the %d items that were looked at the source still has %d in that version", told, unchanged)
}

// why says why no source could tell.
func (f *fill) why(u *use) string {
	switch {
	case !f.v.CanOpen():
		return "which items rest on it can't be told without a metadata key"
	case u.about || u.unknown && len(u.looked) == 0:
		return "which items these are can't be told; run `farshore replicate`, and a pass stores anew what the source still has"
	}
	return "whether the source still has its items could not be told"
}

// elsewhere says that newer snapshots do not need it.
func (f *fill) elsewhere(u *use) string {
	for _, s := range u.chains {
		if s.after == nil {
			return ""
		}
	}
	return "the newest snapshot does not need it"
}

func olderText(before map[span]int, looked int) string {
	for s, n := range before {
		if len(before) == 1 {
			return fmt.Sprintf("snapshot %d of chain %s does not need it, and has an earlier version of %d of the %d items that were looked at", s.before.Seq, s.chain.ID, n, looked)
		}
	}
	if len(before) > 1 {
		return "older snapshots, which do not need it, have an earlier version of some of its items"
	}
	return ""
}

// lookedAt says how many items were looked at, as the subject of a sentence.
func lookedAt(n int) string {
	if n == 1 {
		return "the 1 item that was looked at is"
	}
	return fmt.Sprintf("the %d items that were looked at are", n)
}

func snapshots(n int64) string {
	if n == 1 {
		return "1 snapshot"
	}
	return fmt.Sprintf("%d snapshots", n)
}

// joined joins what is said.
func joined(texts ...string) string {
	var out []string
	for _, t := range texts {
		if t != "" {
			out = append(out, t)
		}
	}
	return strings.Join(out, "; ")
}

// stored reports whether an object is a pack or a page.
func stored(object string) bool {
	_, perr := record.ParsePackName(object)
	_, merr := record.ParseMetaName(object)
	return perr == nil || merr == nil
}
