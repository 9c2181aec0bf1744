package intruder

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"farshore/agent/audit"
	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/source"
	"farshore/agent/vault"
	"farshore/agent/verify/bound"
	"farshore/agent/verify/census"
	"farshore/crypto/sign"
	"farshore/providers"
)

const day = 24 * time.Hour

// watch is somebody who audits: an auditor with a key of his own, or the agent, or who has its key.
type watch struct {
	s   *scene
	key *sign.PrivateKey // nil: he leaves no reports
	ids []age.Identity
	b   func() *providers.Bucket
	now time.Time
}

// auditor has the owner name an auditor, who has the auditor's credential and no key that opens anything.
func (s *scene) auditor() *watch {
	s.t.Helper()
	key, err := sign.Generate()
	must(s.t, err)
	s.state(vault.AddAuditor(key.Public()))
	return &watch{s: s, key: &key, b: s.at.auditor, now: time.Now()}
}

// agentsAudits are those that the agent makes, with its key and the metadata identity.
func (s *scene) agentsAudits() *watch {
	key := s.agent.key
	return &watch{s: s, key: &key, ids: []age.Identity{s.agent.metadata}, b: s.at.agent, now: time.Now()}
}

// unsigned are audits that leave nothing, with these identities.
func (s *scene) unsigned(ids ...age.Identity) *watch {
	return &watch{s: s, ids: ids, b: s.at.auditor, now: time.Now()}
}

func (w *watch) vault() *vault.Vault {
	w.s.t.Helper()
	return w.s.openAs(w.b(), w.ids...)
}

// openAs opens the vault with these identities alone.
func (s *scene) openAs(b *providers.Bucket, ids ...age.Identity) *vault.Vault {
	s.t.Helper()
	pub := s.owner.Public()
	v, err := vault.Open(s.ctx, b, vault.Options{Owner: &pub, ID: s.id, Identities: ids})
	must(s.t, err)
	return v
}

// options are those of an audit by him; his clock goes on by a millisecond with each look.
func (w *watch) options() audit.Options {
	return audit.Options{Key: w.key, Program: "farshore test", Scratch: w.s.t.TempDir(), Workers: 4, Every: day, Now: func() time.Time {
		w.now = w.now.Add(time.Millisecond)
		return w.now
	}}
}

// run makes an audit and holds it to what it may say.
func (w *watch) run(o audit.Options) *audit.Result {
	w.s.t.Helper()
	return w.try(audit.Run, o)
}

// full makes an audit of everything.
func (w *watch) full(o audit.Options) *audit.Result {
	w.s.t.Helper()
	return w.try(audit.Full, o)
}

func (w *watch) try(make func(context.Context, *vault.Vault, audit.Options) (*audit.Result, error), o audit.Options) *audit.Result {
	w.s.t.Helper()
	v := w.vault()
	res, err := make(w.s.ctx, v, o)
	must(w.s.t, err)
	honest(w.s.t, w.s.ctx, v, res)
	if res.Name != "" {
		w.s.drawnAgain(res.Name)
	}
	return res
}

// least is an audit that reads next to nothing: what it finds, its listing finds.
func (w *watch) least(o audit.Options) *report.Audit {
	w.s.t.Helper()
	o.Bytes = 1
	return w.run(o).Audit
}

// promised returns the options of audits that read what a promise of so many days needs, a day apart.
func (w *watch) promised(days int) audit.Options {
	w.s.t.Helper()
	o := w.options()
	o.Coverage = time.Duration(days) * day
	e, err := audit.Plan(w.s.ctx, w.vault(), o)
	must(w.s.t, err)
	for _, p := range e.Promises {
		if p.Asked {
			o.Bytes = p.RunBytes
		}
	}
	return o
}

// recovery lets an audit restore items with the recovery key, and compare them with the source.
func (s *scene) recovered(o audit.Options) audit.Options {
	o.Recovery, o.Live = true, map[string]source.Source{"shop": s.src}
	return o
}

// shelf are the reports as the auditor sees them.
func (s *scene) shelf() *report.Shelf {
	s.t.Helper()
	shelf, err := report.Read(s.ctx, s.openAs(s.at.auditor()))
	must(s.t, err)
	return shelf
}

// drawnAgain has somebody else draw a stored report again, which must hold.
func (s *scene) drawnAgain(name string) {
	s.t.Helper()
	if c := s.check(name); !c.OK() || len(c.Undecided) > 0 {
		s.t.Errorf("%s does not hold: %q, undecided %q", name, c.Lies, c.Undecided)
	}
}

func (s *scene) check(name string) *audit.Checked {
	s.t.Helper()
	e, err := report.Find(s.shelf(), name)
	must(s.t, err)
	c, err := audit.Check(s.ctx, s.openAs(s.at.auditor()), e, audit.CheckOptions{Scratch: s.t.TempDir()})
	must(s.t, err)
	return c
}

// honest holds that a report says no more than was checked: its numbers are sums of one another, the population is what the commits name, bounds follow from the parts, each level
// that was left out is counted, and no verdict is better than what was found.
func honest(t *testing.T, ctx context.Context, v *vault.Vault, res *audit.Result) {
	t.Helper()
	a := res.Audit
	if _, err := report.Encode(a); err != nil {
		t.Errorf("no reader would take the report: %v", err)
	}
	honestPopulation(t, ctx, v, a)
	honestParts(t, a)
	honestBounds(t, a)
	honestLevels(t, a)
	grave := len(a.Damaged) > 0 || a.MoreDamaged > 0 || a.Inventory.Missing > 0 || a.Inventory.WrongSize > 0 || a.Items.Failed > 0
	if grave != (a.Verdict == report.VerdictDamaged) && a.Repos.Problems == 0 && a.Items.Differ == 0 {
		t.Errorf("the verdict is %s: %+v", a.Verdict, a)
	}
	for _, d := range a.Damaged {
		if !slices.ContainsFunc(a.Findings, func(f report.AuditFinding) bool { return f.Object == d.Object }) && d.Since.Equal(a.Time) {
			t.Errorf("no finding tells of %s, which is damaged since this audit", d.Object)
		}
	}
	if line := a.Line(); len(line) > 100 || a.Verdict != report.VerdictIntact && strings.Contains(line, "intact ") {
		t.Errorf("the line says %q", line)
	}
}

func honestPopulation(t *testing.T, ctx context.Context, v *vault.Vault, a *report.Audit) {
	t.Helper()
	chains, err := v.Chains(ctx)
	must(t, err)
	c, err := census.TakeAsOf(ctx, v, chains, a.Heads, census.Options{Dir: t.TempDir()})
	must(t, err)
	defer c.Close()
	want := c.Population()
	want.Items, want.ItemBytes = a.Population.Items, a.Population.ItemBytes
	if a.Population != want {
		t.Errorf("the population is %+v, and the commits name %+v", a.Population, want)
	}
	if n := a.Coverage.Verified + a.Coverage.Never; n != want.Packs+want.Pages {
		t.Errorf("coverage of %d objects, of %d", n, want.Packs+want.Pages)
	}
	if a.Inventory.Done && a.Inventory.Present+a.Inventory.Missing != want.Packs+want.Pages {
		t.Errorf("the listing is of other objects than there are: %+v", a.Inventory)
	}
}

func honestParts(t *testing.T, a *report.Audit) {
	t.Helper()
	most, least, bad := int64(0), int64(0), int64(0)
	for _, p := range a.Parts {
		if p.Intact+p.Failed+p.Unread != p.Checked || p.Checked > p.Planned || p.Checked < p.Planned && a.Verdict == report.VerdictIntact && !a.InTime() {
			t.Errorf("part %+v, verdict %s", p, a.Verdict)
		}
		most += p.Intact + p.Failed
		if p.Part == report.PartBytes { // an object counts in it as often as it was drawn
			bad = max(bad, min(p.Failed, 1))
			continue
		}
		least, bad = max(least, p.Intact+p.Failed), max(bad, p.Failed)
	}
	left, all := unchecked(a, "objects that were not read whole"), a.Population.Packs+a.Population.Pages
	most += a.Inventory.Hidden // names that something lies over are looked into whether they were drawn or not
	if left < max(0, all-most) || left > all-least {
		t.Errorf("%d of %d objects were not read, it says, and its parts have %d to %d", left, all, least, most)
	}
	if bad > int64(len(a.Damaged))+a.MoreDamaged {
		t.Errorf("%d failed, and %d are listed", bad, len(a.Damaged))
	}
	if a.Coverage.Verified > 0 && a.Coverage.Verified+int64(len(a.Damaged)) > all {
		t.Errorf("%d of %d are verified, and %d damaged", a.Coverage.Verified, all, len(a.Damaged))
	}
}

// honestBounds computes the bounds again from the parts.
func honestBounds(t *testing.T, a *report.Audit) {
	t.Helper()
	packs, population := part(a, report.PartPacks), map[string]int64{report.PartPacks: a.Population.Packs, report.PartPages: a.Population.Pages, report.PartBytes: a.Population.PackBytes}
	for _, b := range a.Bounds {
		for _, p := range a.Parts {
			if p.Part != b.Unit {
				continue
			}
			want := bound.Of(b.Unit, population[p.Part], p.Checked, p.Failed+p.Unread, p.Part == report.PartBytes)
			if p.Part == report.PartBytes && packs.Checked == a.Population.Packs { // all of them were dealt with
				want = bound.Of(b.Unit, a.Population.PackBytes, a.Population.PackBytes, b.Failed, false)
				if (b.Failed == 0) != (packs.Failed+packs.Unread == 0) {
					t.Errorf("%d bytes are damaged, it says, and of packs %+v", b.Failed, packs)
				}
			}
			if b != want {
				t.Errorf("the bound of %s is %+v, and comes to %+v", b.Unit, b, want)
			}
		}
		if b.Sampled < b.Population && b.Upper95 == 0 {
			t.Errorf("nothing is left uncertain of %s, of which a sample was read: %+v", b.Unit, b)
		}
		if b.Method == report.MethodCensus && b.Upper95 == 0 && slices.ContainsFunc(a.Damaged, func(d report.Damage) bool {
			return !opened[d.Kind] && roomOf[b.Unit] != "" && strings.HasPrefix(d.Object, roomOf[b.Unit])
		}) {
			t.Errorf("none of the %s is damaged, it says, and lists %v", b.Unit, kinds(a))
		}
	}
}

// opened are the kinds of damage that only shows when an object is opened: no bound is about those but that of items.
var opened = map[string]bool{report.DamageSeal: true, report.DamageContent: true}

// roomOf is where the objects of a bound's unit lie.
var roomOf = map[string]string{report.UnitPacks: "packs/", report.UnitBytes: "packs/", report.UnitPages: "meta/"}

// honestLevels holds that what was not done at a level is a number.
func honestLevels(t *testing.T, a *report.Audit) {
	t.Helper()
	if a.Mode == report.ModeSample && !a.Items.Tried && a.Items.Compared == 0 && unchecked(a, "items that were not put together") != a.Population.Items {
		t.Errorf("no item was tried of %d, and it says: %+v", a.Population.Items, a.NotChecked)
	}
	if a.Keys.DrillOpened+a.Keys.DrillFailed == 0 && a.Population.Packs > 0 && unchecked(a, "headers of packs") != a.Population.Packs {
		t.Errorf("no header was tried, and it says: %+v", a.NotChecked)
	}
	if (a.Locks == nil || a.Locks.Asked == 0) && a.Population.Packs > 0 && unchecked(a, "locks") == 0 {
		t.Errorf("no lock was asked for, and it says: %+v", a.NotChecked)
	}
	if l := a.Locks; l != nil && l.Asked < l.Needed && unchecked(a, "locks") != l.Needed-l.Asked {
		t.Errorf("of %d locks %d were asked for, and it says: %+v", l.Needed, l.Asked, a.NotChecked)
	}
}

// unchecked is how many of something an audit says that it did not check.
func unchecked(a *report.Audit, what string) int64 {
	for _, n := range a.NotChecked {
		if n.What == what {
			return n.Count
		}
	}
	return 0
}

// kinds are the kinds of what an audit lists as damaged, by object.
func kinds(a *report.Audit) map[string]string {
	out := map[string]string{}
	for _, d := range a.Damaged {
		out[d.Object] = d.Kind
	}
	return out
}

// part is a part of an audit.
func part(a *report.Audit, name string) report.Part {
	for _, p := range a.Parts {
		if p.Part == name {
			return p
		}
	}
	return report.Part{}
}

// tells reports whether an audit has a finding of this severity about the object.
func tells(a *report.Audit, severity vault.Severity, object string) bool {
	return slices.ContainsFunc(a.Findings, func(f report.AuditFinding) bool { return f.Severity == string(severity) && f.Object == object })
}

// contents says which items rest on which pack, of the newest commit and of all.
func (s *scene) contents() map[string][]string {
	s.t.Helper()
	v := s.open(s.at.restorer())
	out := map[string][]string{}
	for _, want := range s.want {
		c, err := v.Chain(s.ctx, want.chain)
		must(s.t, err)
		snap, err := v.Snapshot(s.ctx, c.Number(want.seq))
		must(s.t, err)
		for rec, err := range snap.Records(s.ctx, "", "") {
			must(s.t, err)
			for _, p := range rec.Parts {
				for _, e := range p.Extents {
					pack, item := record.PackName(e.Pack.Name), fmt.Sprintf("shop: %s", rec.Path)
					if !slices.Contains(out[pack], item) {
						out[pack] = append(out[pack], item)
					}
				}
			}
		}
	}
	return out
}
