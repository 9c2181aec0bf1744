package audit

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"farshore/agent/report"
	"farshore/providers"
	"farshore/providers/mem"
)

// flip changes one bit in the middle of an object.
func flip(b []byte) []byte {
	b = bytes.Clone(b)
	b[len(b)/2] ^= 4
	return b
}

// damagedKinds are the kinds of what an audit lists, by object.
func damagedKinds(a *report.Audit) map[string]string {
	out := map[string]string{}
	for _, d := range a.Damaged {
		out[d.Object] = d.Kind
	}
	return out
}

func TestRunFindsDamage(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(d *mem.Driver, packs []string)
		want   map[int]string // kinds, by the index of the pack
		parts  bool           // reading finds it
		listed func(i report.Inventory) bool
	}{
		{"one flipped bit", func(d *mem.Driver, p []string) { d.Set(p[3], flip(d.Objects()[p[3]])) }, map[int]string{3: report.DamageBytes}, true,
			func(i report.Inventory) bool { return i.Missing+i.WrongSize+i.Hidden == 0 }},
		{"missing", func(d *mem.Driver, p []string) { d.Remove(p[2]) }, map[int]string{2: report.DamageMissing}, true,
			func(i report.Inventory) bool { return i.Missing == 1 }},
		{"truncated", func(d *mem.Driver, p []string) { d.Set(p[1], d.Objects()[p[1]][:100]) }, map[int]string{1: report.DamageSize}, true,
			func(i report.Inventory) bool { return i.WrongSize == 1 }},
		{"swapped", func(d *mem.Driver, p []string) {
			a, b := d.Objects()[p[0]], d.Objects()[p[5]]
			d.Set(p[0], b)
			d.Set(p[5], a)
		}, map[int]string{0: report.DamageBytes, 5: report.DamageBytes}, true,
			func(i report.Inventory) bool { return i.Missing == 0 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := mem.New()
			r := newRig(t, d).fill(6)
			packs := r.packs()
			c.damage(d, packs)
			res := r.run(r.defaults())
			a := res.Audit
			if a.Verdict != report.VerdictDamaged {
				t.Errorf("verdict %s", a.Verdict)
			}
			got := damagedKinds(a)
			for i, kind := range c.want {
				if g := got[packs[i]]; g != kind && !(kind == report.DamageBytes && g == report.DamageSize) {
					t.Errorf("pack %d is %q, want %q", i, g, kind)
				}
			}
			if len(got) != len(c.want) {
				t.Errorf("damaged: %v", got)
			}
			if !c.listed(a.Inventory) {
				t.Errorf("inventory: %+v", a.Inventory)
			}
			if p := part(t, a, report.PartPacks); p.Failed != int64(len(c.want)) {
				t.Errorf("packs: %+v", p)
			}
			if a.Coverage.Never != int64(len(c.want)) {
				t.Errorf("what is damaged counts as verified: %+v", a.Coverage)
			}
			for _, x := range a.Damaged {
				if !x.Since.Equal(a.Time) {
					t.Errorf("%s is damaged since %s, and the audit ended %s", x.Object, x.Since, a.Time)
				}
				if x.Snapshots == 0 || x.Advice == "" {
					t.Errorf("nothing is said of what it means: %+v", x)
				}
			}
			r.check(res)
		})
	}
}

// TestRunMended holds that damage is kept from audit to audit, with when it was found, until somebody reads the object whole.
func TestRunMended(t *testing.T) {
	d := mem.New()
	r := newRig(t, d).fill(4)
	packs := r.packs()
	good := d.Objects()[packs[1]]
	d.Set(packs[1], flip(good))
	first := r.run(r.defaults()).Audit
	second := r.run(r.defaults()).Audit
	if len(second.Damaged) != 1 || !second.Damaged[0].Since.Equal(first.Time) {
		t.Fatalf("damaged: %+v, found first at %s", second.Damaged, first.Time)
	}
	if p := part(t, second, report.PartRisk); p.Failed != 1 {
		t.Errorf("what was bad is not looked at first: %+v", p)
	}
	d.Set(packs[1], good)
	third := r.run(r.defaults())
	if len(third.Audit.Damaged) != 0 || third.Audit.Verdict != report.VerdictIntact {
		t.Errorf("mended, and still %s: %+v", third.Audit.Verdict, third.Audit.Damaged)
	}
	if !slices.ContainsFunc(third.Audit.Findings, func(f report.AuditFinding) bool {
		return f.Severity == "notice" && f.Object == packs[1] && strings.Contains(f.Text, "whole now")
	}) {
		t.Errorf("nothing says that it was mended: %+v", third.Audit.Findings)
	}
	if third.Audit.Coverage.Never != 0 {
		t.Errorf("coverage: %+v", third.Audit.Coverage)
	}
}

// TestRunOtherSigner holds that what another signer found is kept until this one reads it whole.
func TestRunOtherSigner(t *testing.T) {
	d := mem.New()
	r := newRig(t, d).fill(4)
	packs := r.packs()
	d.Set(packs[0], flip(d.Objects()[packs[0]]))
	by := r.defaults()
	by.Key = &r.owner
	first := r.run(by).Audit
	o := r.defaults()
	o.Bytes = 1 // an object of each part
	for range 3 {
		a := r.run(o).Audit
		if len(a.Damaged) != 1 || a.Damaged[0].Object != packs[0] || !a.Damaged[0].Since.Equal(first.Time) {
			t.Fatalf("damaged: %+v", a.Damaged)
		}
		if a.Verdict != report.VerdictDamaged {
			t.Fatalf("verdict %s", a.Verdict)
		}
	}
}

func TestRunVersions(t *testing.T) {
	for _, c := range []struct {
		name    string
		tamper  func(d *mem.Versioned, packs []string)
		verdict string
		damaged int
	}{
		{"overwritten", func(d *mem.Versioned, p []string) { d.Set(p[1], []byte("another")) }, report.VerdictTampered, 0},
		{"hidden", func(d *mem.Versioned, p []string) { d.Hide(p[1]) }, report.VerdictTampered, 0},
		{"another's old version brought back over it", func(d *mem.Versioned, p []string) { d.Set(p[1], d.Objects()[p[0]]) }, report.VerdictTampered, 0},
		{"hidden, and nothing right beneath", func(d *mem.Versioned, p []string) {
			d.Set(p[1], flip(d.Objects()[p[1]]))
			d.RemoveVersion(p[1], oldest(d, p[1]))
			d.Hide(p[1])
		}, report.VerdictDamaged, 1},
		{"only a marker", func(d *mem.Versioned, p []string) {
			d.Hide(p[1])
			d.RemoveVersion(p[1], oldest(d, p[1]))
		}, report.VerdictDamaged, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := mem.NewVersioned()
			r := newRig(t, d).fill(4)
			packs := r.packs()
			c.tamper(d, packs)
			res := r.run(r.defaults())
			a := res.Audit
			if a.Verdict != c.verdict || len(a.Damaged) != c.damaged {
				t.Errorf("verdict %s, damaged %+v, findings %+v", a.Verdict, a.Damaged, a.Findings)
			}
			if !slices.ContainsFunc(a.Findings, func(f report.AuditFinding) bool { return f.Severity == "tampering" && f.Object == packs[1] }) {
				t.Errorf("no finding of tampering with %s: %+v", packs[1], a.Findings)
			}
			if p := part(t, a, report.PartPacks); p.Failed != int64(c.damaged) || p.Checked != p.Planned {
				t.Errorf("packs: %+v", p)
			}
			r.check(res)
		})
	}
}

func oldest(d *mem.Versioned, name string) string {
	n, err := providers.New(d, providers.Options{}).History(context.Background(), name)
	if err != nil {
		panic(err)
	}
	return n.ID
}

// TestRunCoverage holds that a single flipped bit, which no small sample is sure to meet, is found within as many audits as the coverage takes to come round.
func TestRunCoverage(t *testing.T) {
	d := mem.New()
	r := newRig(t, d).fill(24)
	packs := r.packs()
	d.Set(packs[17], flip(d.Objects()[packs[17]]))
	o := r.defaults()
	o.Share, o.Coverage = 0.2, 30*day
	for n := 1; ; n++ {
		a := r.run(o).Audit
		if a.Verdict == report.VerdictDamaged {
			t.Logf("found by audit %d", n)
			return
		}
		if n == 10 { // a seventh of everything is swept each time, and objects are not cut
			t.Fatalf("not found by %d audits: %+v", n, a.Coverage)
		}
		r.now = r.now.Add(24 * time.Hour)
	}
}
