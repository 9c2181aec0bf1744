package audit

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/source"
	"farshore/agent/vault"
	"farshore/providers"
	"farshore/providers/mem"
)

// withholding is a store that lists and does not give some names.
type withholding struct {
	tamper
	keep func(name string) bool
}

func (w *withholding) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	if w.keep(name) {
		return nil, &providers.Error{Kind: providers.Denied, Op: "open", Name: name, Err: errors.New("no")}
	}
	return w.tamper.Open(ctx, name, off, n)
}

func TestRunWithheld(t *testing.T) {
	d := &withholding{mem.New(), func(string) bool { return false }}
	r := newRig(t, d).fill(5)
	bad := r.packs()[2]
	d.keep = func(name string) bool { return name == bad }
	res := r.run(r.defaults())
	a := res.Audit
	if a.Verdict != report.VerdictDamaged || a.End != report.EndDone || damagedKinds(a)[bad] != report.DamageWithheld {
		t.Errorf("verdict %s, end %s, damaged %+v", a.Verdict, a.End, a.Damaged)
	}
	if p := part(t, a, report.PartPacks); p.Unread != 1 || p.Intact != 4 {
		t.Errorf("packs: %+v", p)
	}
	if b := a.Bounds[0]; b.Failed != 1 {
		t.Errorf("what is not given does not count as damaged: %+v", b)
	}
	if a.Coverage.Never == 0 {
		t.Errorf("what is not given counts as verified: %+v", a.Coverage)
	}
	r.check(res)
}

// TestRunMayNotRead audits with a credential that may not read packs: that is no damage, and nothing is said of them.
func TestRunMayNotRead(t *testing.T) {
	d := &withholding{mem.New(), func(string) bool { return false }}
	r := newRig(t, d).fill(5)
	d.keep = func(name string) bool { return strings.HasPrefix(name, "packs/") }
	res := r.run(r.defaults())
	a := res.Audit
	if a.Verdict != report.VerdictIncomplete || len(a.Damaged) != 0 {
		t.Errorf("verdict %s, damaged %+v", a.Verdict, a.Damaged)
	}
	if b := a.Bounds[0]; b.Unit != report.UnitPacks || b.Upper95 != 1 {
		t.Errorf("bound: %+v", b)
	}
	if count(a, "packs that were asked for") == 0 || a.Coverage.Never == 0 {
		t.Errorf("not checked: %+v, coverage %+v", a.NotChecked, a.Coverage)
	}
	r.check(res)
}

func TestRunEmptyVault(t *testing.T) {
	r := newRig(t, mem.New())
	res := r.run(r.defaults())
	a := res.Audit
	if a.Verdict != report.VerdictIntact || a.Population != (report.Population{}) {
		t.Errorf("%+v", a)
	}
	for _, b := range a.Bounds {
		if b.Upper95 < 1 && b.Population > 0 {
			t.Errorf("bound %+v", b)
		}
	}
	r.check(res)
}

// TestRunLeastBudget reads no more than it must with a budget of one byte: one object of each part.
func TestRunLeastBudget(t *testing.T) {
	r := newRig(t, mem.New()).fill(5)
	o := r.defaults()
	o.Bytes = 1
	res := r.run(o)
	for _, p := range res.Audit.Parts {
		if p.Planned > 1 || p.Checked != p.Planned {
			t.Errorf("part %+v", p)
		}
	}
	if n := count(res.Audit, "objects that were not read whole"); n == 0 {
		t.Errorf("not checked: %+v", res.Audit.NotChecked)
	}
	r.check(res)
}

// TestRunKeyless leaves nothing in the vault.
func TestRunKeyless(t *testing.T) {
	r := newRig(t, mem.New()).fill(2)
	before := len(r.d.Objects())
	o := r.defaults()
	o.Key = nil
	res := r.run(o)
	if res.Name != "" || res.Audit.Commitment != nil || len(r.d.Objects()) != before || res.Audit.Verdict != report.VerdictIntact {
		t.Errorf("%q, %d objects, %d before, %s", res.Name, len(r.d.Objects()), before, res.Audit.Verdict)
	}
}

// TestRunNotEntitled draws nothing where the commitment can't be stored.
func TestRunNotEntitled(t *testing.T) {
	r := newRig(t, mem.New()).fill(2)
	stranger := newRig(t, mem.New())
	o := r.defaults()
	o.Key = &stranger.agent
	res, err := Run(t.Context(), r.open(r.d), o)
	if res != nil || !errors.Is(err, report.ErrNotEntitled) {
		t.Errorf("%+v, %v", res, err)
	}
}

// TestRunTogether runs audits of one signer at once: each report counts and holds, and none forgets what another found.
func TestRunTogether(t *testing.T) {
	d := mem.New()
	r := newRig(t, d).fill(4)
	packs := r.packs()
	d.Set(packs[3], flip(d.Objects()[packs[3]]))
	var wg sync.WaitGroup
	const runs = 4
	results := make([]*Result, runs)
	for i := range runs {
		wg.Go(func() {
			o := Options{Key: &r.agent, Program: "test", Scratch: t.TempDir()}
			if i > 0 {
				o.Bytes = 1 // it reads next to nothing
			}
			res, err := Run(context.Background(), r.open(d), o)
			if err != nil {
				t.Error(err)
				return
			}
			results[i] = res
		})
	}
	wg.Wait()
	shelf, err := report.Read(t.Context(), r.open(d))
	must(t, err)
	if len(shelf.Findings) > 0 || len(shelf.Abandoned) > 0 || len(shelf.Entries) != 2*runs {
		t.Fatalf("%d entries, abandoned %d, findings %+v", len(shelf.Entries), len(shelf.Abandoned), shelf.Findings)
	}
	for _, res := range results {
		r.check(res)
	}
	last := shelf.LastAudit(r.agent.ID())
	if last.Time.After(results[0].Audit.Time) && len(last.Audit.Damaged) != 1 {
		t.Errorf("the last has forgotten what another found: %+v", last.Audit.Damaged)
	}
}

// TestRunLocks compares locks and settings with the last audit: what can be proved is tampering, the rest is said.
func TestRunLocks(t *testing.T) {
	d := mem.NewVersioned()
	d.Configure(providers.Settings{Versioning: "on", Lock: true, Mode: providers.Compliance, Retention: 90 * day})
	r := newRig(t, d).fill(3)
	o := r.defaults()
	first := r.run(o).Audit
	if l := first.Locks; l == nil || l.Locked == 0 || l.First.IsZero() || l.FirstObject == "" || l.Unlocked != 0 || l.Asked != l.Locked {
		t.Fatalf("locks: %+v", first.Locks)
	}
	if again := r.run(o).Audit; again.Verdict != report.VerdictIntact || len(again.Store.Changed) > 0 || len(again.Findings) > 0 {
		t.Errorf("nothing changed: %s, %+v, %+v", again.Verdict, again.Store, again.Findings)
	}
	d.Configure(providers.Settings{Versioning: "on", Lock: true, Mode: providers.Compliance, Retention: 7 * day, Rules: []providers.Rule{{ID: "clean", Prefix: "secret/"}}})
	weaker := r.run(o).Audit
	if len(weaker.Store.Changed) == 0 || weaker.Verdict != report.VerdictIntact || !slices.ContainsFunc(weaker.Findings, func(f report.AuditFinding) bool { return strings.Contains(f.Text, "7 d, was 90 d") }) {
		t.Errorf("%s: %+v, %+v", weaker.Verdict, weaker.Store, weaker.Findings)
	}
	for _, rule := range weaker.Store.Rules {
		if containsSecret(rule) {
			t.Errorf("a rule names a place: %s", rule)
		}
	}
	for _, c := range []struct {
		name string
		lock providers.Lock
	}{
		{"shortened", providers.Lock{Mode: providers.Compliance, Until: first.Locks.First.Add(-day)}},
		{"lifted", providers.Lock{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d.SetLock(first.Locks.FirstObject, "", c.lock)
			a := r.run(o).Audit
			if a.Verdict != report.VerdictTampered {
				t.Errorf("verdict %s: %+v", a.Verdict, a.Findings)
			}
			d.SetLock(first.Locks.FirstObject, "", providers.Lock{Mode: providers.Compliance, Until: first.Locks.First})
			r.run(o)
		})
	}
}

func TestFull(t *testing.T) {
	d := mem.New()
	r := newRig(t, d).fill(4)
	o := r.defaults()
	o.Recovery = true
	v := r.open(d, r.recovery)
	res, err := Full(t.Context(), v, o)
	must(t, err)
	r.sound(v, res)
	a := res.Audit
	if p := part(t, a, report.PartAll); a.Verdict != report.VerdictIntact || p.Checked != p.Planned || p.Intact != p.Planned || a.Coverage.Never != 0 || a.Items.Restored != 4 {
		t.Errorf("%s: %+v, %+v, %+v, %+v", a.Verdict, p, a.Coverage, a.Items, a.Findings)
	}
	for _, b := range a.Bounds {
		if b.Method != report.MethodCensus || b.Upper99 != 0 {
			t.Errorf("bound %+v", b)
		}
	}
	if n := count(a, "items that were not put together"); n != 0 {
		t.Errorf("%d items", n)
	}
	r.check(res)

	packs := r.packs()
	d.Set(packs[1], flip(d.Objects()[packs[1]]))
	d.Remove(packs[2])
	v = r.open(d, r.recovery)
	res, err = Full(t.Context(), v, o)
	must(t, err)
	r.sound(v, res)
	a = res.Audit
	got := damagedKinds(a)
	if a.Verdict != report.VerdictDamaged || got[packs[1]] != report.DamageBytes || got[packs[2]] != report.DamageMissing || len(got) != 2 || a.Items.Failed != 2 || a.Coverage.Never != 2 {
		t.Errorf("%s: %v, %+v, %+v", a.Verdict, got, a.Items, a.Coverage)
	}
	if b := a.Bounds[0]; b.Failed != 2 || b.Upper95 != 0.5 {
		t.Errorf("bound %+v", b)
	}
	if !slices.ContainsFunc(res.Findings, func(f vault.Finding) bool { return strings.Contains(f.Object+f.Text, "item 00") }) || len(res.Names.Items) == 0 {
		t.Errorf("no finding names its item here: %+v, %+v", res.Findings, res.Names)
	}
	r.check(res)
}

func TestLeaveDrill(t *testing.T) {
	d := mem.New()
	r := newRig(t, d).fill(2)
	packs := r.packs()
	d.Set(packs[1], flip(d.Objects()[packs[1]]))
	audit := r.run(r.defaults()).Audit
	v := r.open(d)
	h := audit.Heads[0]
	yes := true
	res, err := LeaveDrill(t.Context(), v, report.Drill{Chain: h.Chain, Seq: h.Seq, Into: report.IntoDirectory, Started: r.now, Seconds: 12, TargetSeconds: 60, Met: &yes, Items: 2, Bytes: 20}, r.defaults())
	must(t, err)
	r.sound(v, res)
	if res.Audit.Verdict != report.VerdictIntact || len(res.Audit.Damaged) != 0 {
		t.Errorf("%s: %+v", res.Audit.Verdict, res.Audit)
	}
	shelf, err := report.Read(t.Context(), r.open(d))
	must(t, err)
	if len(shelf.Damaged()) != 1 {
		t.Errorf("the drill made the shelf forget what is damaged: %v", shelf.Damaged())
	}
	res, err = LeaveDrill(t.Context(), v, report.Drill{Chain: h.Chain, Seq: h.Seq, Into: report.IntoDirectory, Started: r.now, Seconds: 12, Items: 1, Failed: 1}, r.defaults())
	must(t, err)
	if res.Audit.Verdict != report.VerdictDamaged {
		t.Errorf("%s", res.Audit.Verdict)
	}
	if again := r.run(r.defaults()).Audit; len(again.Damaged) != 1 || !again.Damaged[0].Since.Equal(audit.Time) {
		t.Errorf("damaged: %+v", again.Damaged)
	}
}

func TestPlan(t *testing.T) {
	r := newRig(t, mem.New()).fill(5)
	before := len(r.d.Objects())
	o := r.defaults()
	o.Share, o.Coverage = 0.3, 60*day
	e, err := Plan(t.Context(), r.open(r.d), o)
	must(t, err)
	if len(r.d.Objects()) != before {
		t.Error("planning stored something")
	}
	if e.Population.Packs != 5 || e.Bytes <= 0 || e.Objects <= 0 || e.Bytes > e.Population.PackBytes+e.Population.PageBytes || len(e.Promises) != 4 {
		t.Errorf("%+v", e)
	}
	for i, p := range e.Promises {
		if p.Asked != (p.Days == 60) || p.RunBytes <= 0 || p.DayBytes <= 0 || i > 0 && p.RunBytes > e.Promises[i-1].RunBytes {
			t.Errorf("promise %+v", p)
		}
	}
}

// TestRunItems restores items with the recovery key, and compares them with their source.
func TestRunItems(t *testing.T) {
	d := mem.New()
	r := newRig(t, d).fill(5)
	o := r.defaults()
	o.Recovery = true
	o.Live = map[string]source.Source{r.src.Name: r.src}
	res := r.run(o, r.recovery)
	a := res.Audit
	if !a.Items.Tried || a.Items.Restored == 0 || a.Items.Same == 0 || a.Verdict != report.VerdictIntact {
		t.Errorf("%s: %+v, %+v, %+v", a.Verdict, a.Items, a.Findings, a.NotChecked)
	}
	if n := count(a, "sources that were not compared"); n != 0 {
		t.Errorf("%d sources", n)
	}
	if a.Sealed == "" {
		t.Error("no names are sealed")
	}
	r.check(res)
	var names *report.Names
	names, err := a.OpenNames(r.options.Identities)
	must(t, err)
	if names.Sources[a.Heads[0].Chain] != r.src.Name {
		t.Errorf("names: %+v", names)
	}
}

// TestRunAge says which source's newest snapshot is too old.
func TestRunAge(t *testing.T) {
	r := newRig(t, mem.New()).fill(2)
	o := r.defaults()
	o.MaxAge = map[string]time.Duration{r.src.Name: time.Hour}
	if s := r.run(o, r.metadata).Audit.Sources[0]; s.Late || s.TargetSeconds != 3600 || s.Seq == 0 {
		t.Errorf("%+v", s)
	}
	r.now = r.now.Add(2 * time.Hour)
	if s := r.run(o, r.metadata).Audit.Sources[0]; !s.Late || s.AgeSeconds < 7000 {
		t.Errorf("%+v", s)
	}
	o.MaxAge, o.MaxAgeElse = nil, time.Hour // as where nothing names the sources, and no key their names
	if s := r.run(o).Audit.Sources[0]; !s.Late || s.TargetSeconds != 3600 {
		t.Errorf("%+v", s)
	}
	o.MaxAge = map[string]time.Duration{r.src.Name: 3 * time.Hour}
	if s := r.run(o, r.metadata).Audit.Sources[0]; s.Late {
		t.Errorf("%+v", s)
	}
}

// TestRunWrongKey holds that the ciphertext level can't know whom a pack is sealed to: it finds everything intact, and only an attempt to put items together shows that the key at hand
// opens none.
func TestRunWrongKey(t *testing.T) {
	r := newRig(t, mem.New()).fill(3)
	if a := r.run(r.defaults()).Audit; a.Verdict != report.VerdictIntact || a.Items.Tried || count(a, "headers of packs") != 3 {
		t.Errorf("%s: %+v, %+v", a.Verdict, a.Items, a.NotChecked)
	}
	o := r.defaults()
	o.Recovery = true
	stranger := newRig(t, mem.New())
	a := r.run(o, r.metadata, stranger.recovery).Audit
	if a.Verdict != report.VerdictIncomplete || a.Items.Restored != 0 || a.Items.Locked == 0 || count(a, "items that were not put together") != 3 {
		t.Errorf("%s: %+v, %+v", a.Verdict, a.Items, a.NotChecked)
	}
	if p := part(t, a, report.PartPacks); p.Intact != 3 {
		t.Errorf("packs %+v", p)
	}
}

// TestRunOverlaid runs out of its budget of bytes with an attacker's pile of overwritten names: the budget bounds that, too, and the report says how many were not looked into.
func TestRunOverlaid(t *testing.T) {
	d := mem.NewVersioned()
	r := newRig(t, d).fill(5)
	for _, p := range r.packs() {
		d.Set(p, []byte("another"))
	}
	o := r.defaults()
	o.Bytes = 1
	res := r.run(o)
	a := res.Audit
	if n := count(a, "names that something lies over or beneath"); n != 4 {
		t.Errorf("%d were not looked into: %+v", n, a.NotChecked)
	}
	named := map[string]bool{}
	for _, f := range a.Findings {
		if f.Severity == "tampering" {
			named[f.Object] = true
		}
	}
	if a.Verdict != report.VerdictTampered || len(named) != 5 {
		t.Errorf("%s: %v", a.Verdict, named)
	}
	r.check(res)
}

// TestRunManyDamaged holds that where more is damaged than is listed, the ledger stops before what is not on the list.
func TestRunManyDamaged(t *testing.T) {
	d := mem.New()
	r := newRig(t, d).fill(5)
	v := r.open(d)
	o := r.defaults().withDefaults()
	for name, b := range d.Objects() {
		if strings.HasPrefix(name, "packs/") {
			d.Set(name, flip(b))
		}
	}
	x, err := begin(t.Context(), v, o, report.ModeSample)
	must(t, err)
	defer x.close()
	for i := range report.MaxDamaged - 2 { // no room for more than two of the five
		object := record.PackName(record.Hash{1, byte(i >> 8), byte(i)})
		x.found.list[object] = &damaged{Damage: report.Damage{Object: object, Kind: report.DamageBytes}, own: true}
	}
	must(t, x.commit(t.Context()))
	res, err := x.finish(t.Context(), x.all(t.Context()))
	must(t, err)
	sound(t, res)
	a := res.Audit
	if a.MoreDamaged != 3 || len(a.Damaged) != 2 {
		t.Errorf("%d damaged, and %d more", len(a.Damaged), a.MoreDamaged)
	}
	if a.Coverage.Never < 5 { // how much was verified before the first that is not listed hangs on its name
		t.Errorf("coverage: %+v", a.Coverage)
	}
	if c := r.checked(res); !c.OK() {
		t.Errorf("lies: %q", c.Lies)
	}
}
