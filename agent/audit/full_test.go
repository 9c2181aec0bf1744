package audit

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/vault"
	"farshore/agent/verify/bound"
	"farshore/agent/verify/census"
	"farshore/agent/verify/draw"
	"farshore/providers"
	"farshore/providers/mem"
)

// prefix holds the ledger of a full audit to what it has as intact, which are the first that it counts: each of them, and not one other, and each of them was read.
func (r *rig) prefix(v *vault.Vault, a *report.Audit, read map[string]bool) {
	r.t.Helper()
	chains, err := v.Chains(r.t.Context())
	must(r.t, err)
	c, err := census.TakeAsOf(r.t.Context(), v, chains, a.Heads, census.Options{})
	must(r.t, err)
	defer c.Close()
	p, n := part(r.t, a, report.PartAll), int64(0)
	for o, err := range c.Objects(r.t.Context()) {
		must(r.t, err)
		_, verified := draw.Verified(&a.Ledger, a.Heads, o)
		if verified != (n < p.Intact) {
			r.t.Errorf("object %d: verified %v, of %+v", n, verified, p)
		}
		if verified && !read[o.Path()] {
			r.t.Errorf("object %d counts as verified, and nobody read it", n)
		}
		n++
	}
	if a.Coverage.Verified != p.Intact || a.ReadObjects != p.Intact || p.Unread > 1 {
		r.t.Errorf("%d verified, %d read, of %+v", a.Coverage.Verified, a.ReadObjects, p)
	}
	if (len(a.Bounds) > 0) != (p.Intact == n) {
		r.t.Errorf("%d of %d were read, and there are the bounds %+v", p.Intact, n, a.Bounds)
	}
}

// TestFullCut stops a full verification before each of its operations, by its context or by a store that gives nothing but reports from then on: the report says what was read until then, and that alone.
func TestFullCut(t *testing.T) {
	base := mem.New()
	r := newRig(t, base).fill(3)
	o := r.defaults()
	o.Workers = 1
	for _, cut := range []string{report.EndInterrupted, report.EndFailed} {
		part, whole := 0, 0 // reports of some of the objects, and of all
		for k := int64(1); ; k++ {
			d := clone(base)
			ctx, cancel := context.WithCancel(t.Context())
			store := newOpened(d)
			v := r.open(store)
			from := store.n.Load()
			store.each = func(n int64, name string) error {
				switch {
				case n < from+k:
				case cut == report.EndInterrupted:
					cancel()
				case !strings.HasPrefix(name, report.Room):
					return &providers.Error{Kind: providers.Temporary, Op: "any", Name: "packs/x", Err: errors.New("away")}
				}
				return nil
			}
			res, err := Full(ctx, v, o)
			cancel()
			if res == nil {
				if err == nil {
					t.Fatalf("operation %d: no result and no error", k)
				}
				continue
			}
			a := res.Audit
			if a.End == report.EndDone && err == nil {
				break
			}
			sound(t, res)
			if a.Verdict == report.VerdictIntact || err == nil {
				t.Errorf("operation %d: %s, %s, %v", k, a.End, a.Verdict, err)
			}
			r.d = d
			r.sound(r.open(d), res)
			r.check(res)
			if len(a.Parts) > 0 {
				r.prefix(r.open(d), a, store.names)
			}
			switch n := a.Parts[0].Checked; {
			case n > 0 && n < a.Parts[0].Planned:
				part++
			case n > 0:
				whole++
			}
		}
		t.Logf("%s: %d times in the middle, %d behind the last object", cut, part, whole)
		if part < 5 || whole < 5 {
			t.Errorf("%s: %d times in the middle, %d behind the last object", cut, part, whole)
		}
	}
}

// TestFullResumed goes on with a sample where a full verification was stopped, and begins anew with a full one.
func TestFullResumed(t *testing.T) {
	base := mem.New()
	r := newRig(t, base).fill(5)
	o := r.defaults()
	o.Workers = 1
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	store := newOpened(base)
	store.each = func(int64, string) error {
		if store.read() == 8 {
			cancel()
		}
		return nil
	}
	res, err := Full(ctx, r.open(store), o)
	if !errors.Is(err, context.Canceled) || res == nil {
		t.Fatalf("%+v, %v", res, err)
	}
	first := res.Audit
	if c := first.Coverage; c.Verified == 0 || c.Never == 0 {
		t.Fatalf("coverage %+v", c)
	}
	o.Bytes = 2000
	second := r.run(o)
	r.check(second)
	if s := part(t, second.Audit, report.PartCoverage).Sweeps; len(s) == 0 || s[0].Only != report.SweepNew {
		t.Errorf("it does not go on with what is left: %+v", s)
	}
	if c := second.Audit.Coverage; c.Verified <= first.Coverage.Verified {
		t.Errorf("the sample verified nothing more: %+v, %+v", first.Coverage, c)
	}
	v := r.open(base)
	third, err := Full(t.Context(), v, r.defaults())
	must(t, err)
	r.sound(v, third)
	r.check(third)
	if p := part(t, third.Audit, report.PartAll); p.Checked != p.Planned || third.Audit.Coverage.Oldest.Before(third.Audit.Started) {
		t.Errorf("%+v, oldest %s", p, third.Audit.Coverage.Oldest)
	}
}

// TestFullRival stops a full verification, and another audit of the same key is stored while it goes on: its report goes by that one, and holds.
func TestFullRival(t *testing.T) {
	base := mem.New()
	r := newRig(t, base).fill(4)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	store := newOpened(base)
	var once sync.Once
	store.each = func(int64, string) error {
		if store.read() == 8 {
			once.Do(func() {
				o := r.defaults()
				o.Now = time.Now
				r.run(o)
				cancel()
			})
		}
		return nil
	}
	o := r.defaults()
	o.Workers, o.Now = 1, time.Now
	res, err := Full(ctx, r.open(store), o)
	if !errors.Is(err, context.Canceled) || res == nil || res.Name == "" {
		t.Fatalf("%+v, %v", res, err)
	}
	r.sound(r.open(base), res)
	r.check(res)
	if p := part(t, res.Audit, report.PartAll); p.Checked == 0 || p.Checked == p.Planned || res.Audit.Coverage.Never != 0 {
		t.Errorf("%+v, %+v", p, res.Audit.Coverage)
	}
}

// TestFullUnlisted goes on behind what the store does not give.
func TestFullUnlisted(t *testing.T) {
	for _, c := range []struct {
		name   string
		keep   func(names []string) map[string]bool // of packs, in order
		most   int64                                // verified
		failed bool
	}{
		{"the first pack is withheld", func(p []string) map[string]bool { return map[string]bool{p[0]: true} }, 1 << 30, false},
		{"all packs but the last", func(p []string) map[string]bool {
			out := map[string]bool{}
			for _, name := range p[:len(p)-1] {
				out[name] = true
			}
			return out
		}, 1 << 30, false},
		{"all packs", func(p []string) map[string]bool {
			out := map[string]bool{}
			for _, name := range p {
				out[name] = true
			}
			return out
		}, 1 << 30, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := &withholding{mem.New(), func(string) bool { return false }}
			r := newRig(t, d).fill(5)
			kept := c.keep(r.packs())
			d.keep = func(name string) bool { return kept[name] }
			v := r.open(d)
			res, err := Full(t.Context(), v, r.defaults())
			if (err != nil) != c.failed {
				t.Fatal(err)
			}
			r.sound(v, res)
			r.check(res)
			a := res.Audit
			p := part(t, a, report.PartAll)
			if p.Checked != p.Planned || p.Unread != int64(len(kept)) {
				t.Errorf("%+v", p)
			}
			if c.failed {
				if len(a.Damaged) > 0 || a.Verdict != report.VerdictIncomplete || a.End != report.EndFailed || a.Coverage.Never < int64(len(kept)) {
					t.Errorf("%s, %s, %+v", a.End, a.Verdict, a.Coverage)
				}
				return
			}
			if len(p.Sweeps) != 1 || len(a.Damaged) != len(kept) || a.Coverage.Never != int64(len(kept)) || a.Verdict != report.VerdictDamaged {
				t.Errorf("%s: %d damaged, %+v", a.Verdict, len(a.Damaged), a.Coverage)
			}
			said := map[string]int{}
			for _, f := range a.Findings {
				if f.Severity == string(vault.Damage) && strings.Contains(f.Text, "does not give it") {
					said[f.Object]++
				}
			}
			for name := range kept {
				if said[name] != 1 {
					t.Errorf("%s is told %d times: %+v", name, said[name], a.Findings)
				}
			}
		})
	}
}

// TestFullUnread has one pack fail to be read each time, of a store that answers else: nothing is known of it, and the rest is verified all the same.
func TestFullUnread(t *testing.T) {
	d := mem.New()
	r := newRig(t, d).fill(5)
	bad := r.packs()[2]
	store := newOpened(d)
	store.each = func(_ int64, name string) error {
		if name == bad {
			return &providers.Error{Kind: providers.Temporary, Op: "open", Name: name, Err: errors.New("not now")}
		}
		return nil
	}
	v := r.open(store)
	res, err := Full(t.Context(), v, r.defaults())
	must(t, err)
	r.sound(v, res)
	r.check(res)
	a := res.Audit
	p := part(t, a, report.PartAll)
	if a.End != report.EndDone || a.Verdict != report.VerdictIncomplete || p.Unread != 1 || p.Intact != p.Planned-1 || len(a.Damaged) > 0 || a.Coverage.Never != 1 {
		t.Errorf("%s, %s, %+v, %+v, %+v", a.End, a.Verdict, p, a.Damaged, a.Coverage)
	}
	if !slices.ContainsFunc(a.Findings, func(f report.AuditFinding) bool { return f.Severity == string(vault.Notice) && f.Object == bad }) {
		t.Errorf("nothing says which it is: %+v", a.Findings)
	}
	if b := a.Bounds[0]; b.Unit != report.UnitPacks || b.Failed != 1 {
		t.Errorf("%+v", b)
	}
	if res.Full.Chains[0].Whole {
		t.Error("the snapshot counts as whole")
	}
}

// TestFullManyDamaged counts all that there is also where the list of the damaged is full, and its ledger leaves out what is not listed.
func TestFullManyDamaged(t *testing.T) {
	d := mem.New()
	r := newRig(t, d).fill(5)
	v := r.open(d)
	for name, b := range d.Objects() {
		if strings.HasPrefix(name, "packs/") {
			d.Set(name, flip(b))
		}
	}
	x, err := begin(t.Context(), v, r.defaults().withDefaults(), report.ModeFull)
	must(t, err)
	defer x.close()
	for i := range report.MaxDamaged - 2 { // no room for more than two of the five
		object := record.PackName(record.Hash{1, byte(i >> 8), byte(i)})
		x.found.list[object] = &damaged{Damage: report.Damage{Object: object, Kind: report.DamageBytes}, own: true}
	}
	res, err := x.finish(t.Context(), x.everything(t.Context()))
	must(t, err)
	r.sound(v, res)
	a := res.Audit
	if p := part(t, a, report.PartAll); p.Checked != p.Planned || p.Failed != 5 || a.MoreDamaged != 3 || len(a.Damaged) != 2 {
		t.Errorf("%+v, %d damaged, and %d more", p, len(a.Damaged), a.MoreDamaged)
	}
	if a.Coverage.Never != 5 || len(part(t, a, report.PartAll).Sweeps) != 4 {
		t.Errorf("coverage: %+v", a.Coverage)
	}
	if c := r.checked(res); !c.OK() {
		t.Errorf("lies: %q", c.Lies)
	}
	for _, f := range res.Findings {
		if strings.Contains(f.Text, "missing") {
			t.Errorf("%+v", f)
		}
	}
}

// TestFullLies changes what a full audit says: whoever checks it finds that.
func TestFullLies(t *testing.T) {
	base := mem.New()
	r := newRig(t, base).fill(4)
	for _, c := range []struct {
		name   string
		change func(a *report.Audit)
		want   string
	}{
		{"", func(*report.Audit) {}, ""},
		{"sweeps that its ledger does not follow from", func(a *report.Audit) { a.Parts[0].Sweeps[0].From = "8000000000000000" }, "the ledger"},
		{"a sweep twice", func(a *report.Audit) { a.Parts[0].Sweeps = append(a.Parts[0].Sweeps, a.Parts[0].Sweeps...) }, "go over everything once"},
		{"sweeps of what was new", func(a *report.Audit) { a.Parts[0].Sweeps[0].Only = report.SweepNew }, "go over everything once"},
		{"a ledger of more than was read", func(a *report.Audit) {
			p := &a.Parts[0]
			p.Checked, p.Intact, p.Bytes, p.Digest = 0, 0, 0, new(draw.Digest).Sum()
			a.ReadObjects, a.ReadObjectBytes, a.Bounds, a.End, a.Verdict = 0, 0, nil, report.EndInterrupted, report.VerdictIncomplete
		}, "more than the 0 objects"},
		{"a ledger of more than its sweeps", func(a *report.Audit) {
			p := &a.Parts[0]
			p.Checked, p.Intact, p.Bytes, p.Digest, p.Sweeps = 0, 0, 0, new(draw.Digest).Sum(), nil
			a.ReadObjects, a.ReadObjectBytes, a.Bounds, a.End, a.Verdict = 0, 0, nil, report.EndInterrupted, report.VerdictIncomplete
		}, "the ledger"},
		{"bounds of a part that is not whole", func(a *report.Audit) {
			p := &a.Parts[0]
			p.Checked, p.Intact, p.Bytes, p.Digest = 0, 0, 0, new(draw.Digest).Sum()
			a.End, a.Verdict, a.Ledger = report.EndInterrupted, report.VerdictIncomplete, report.Ledger{}
		}, "bounds"},
		{"a smaller population in the bound", func(a *report.Audit) { a.Bounds[0].Population, a.Bounds[0].Sampled = 1, 1 }, "bounds"},
		{"bytes damaged of no pack", func(a *report.Audit) {
			b := &a.Bounds[2]
			*b = bound.Of(b.Unit, b.Population, b.Sampled, 1, false)
		}, "bytes of the packs that are not whole"},
		{"no bound of bytes", func(a *report.Audit) { a.Bounds = a.Bounds[:2] }, "bounds"},
		{"a failure that the bounds leave out", func(a *report.Audit) {
			a.Parts[0].Intact, a.Parts[0].Failed, a.Verdict = a.Parts[0].Intact-1, 1, report.VerdictDamaged
		}, "its bounds count 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r.t, r.d = t, clone(base)
			v := r.open(r.d)
			o := r.defaults()
			o.Key = nil
			res, err := Full(t.Context(), v, o)
			must(t, err)
			c.change(res.Audit)
			res.Name, _, err = report.Place(t.Context(), v, res.Audit, r.agent)
			must(t, err)
			got := r.checked(res)
			if lies := strings.Join(got.Lies, "\n"); got.OK() != (c.want == "") || !strings.Contains(lies, c.want) {
				t.Errorf("lies: %q, want one about %q", got.Lies, c.want)
			}
		})
	}
}
