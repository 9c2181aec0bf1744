package report

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"farshore/agent/record"
)

// holdLine holds an audit's line to what every one is.
func holdLine(t testing.TB, a *Audit) string {
	t.Helper()
	line := a.Line()
	if utf8.RuneCountInString(line) > maxLine || line == "" || strings.Contains(line, "NaN") || strings.HasSuffix(line, ": ") || strings.HasSuffix(line, " ") {
		t.Errorf("%q", line)
	}
	if strings.ContainsFunc(line, func(r rune) bool { return unicode.IsControl(r) }) {
		t.Errorf("%q has a control character", line)
	}
	return line
}

// intact is an audit within a budget that found nothing wrong.
func intact() *Audit {
	a := sample()
	a.End, a.Verdict, a.Damaged, a.MoreDamaged, a.Findings, a.Omitted = EndDone, VerdictIntact, nil, 0, nil, 0
	a.Inventory.Present, a.Inventory.Missing, a.Inventory.WrongSize = 1300, 0, 0
	a.Items = ItemCounts{Tried: true, Drawn: 20, Restored: 20}
	a.Repos = RepoCounts{}
	a.Parts = []Part{
		{Part: PartPacks, Planned: 30, Checked: 30, Intact: 30, Digest: sum("packs")},
		{Part: PartPages, Planned: 4, Checked: 4, Intact: 4, Digest: sum("pages")},
		{Part: PartBytes, Planned: 900, Checked: 900, Intact: 900, Digest: sum("bytes")},
		{Part: PartCoverage, Planned: 312, Checked: 312, Intact: 312, Digest: sum("coverage")},
	}
	a.ReadObjects = 320
	a.Bounds = []Bound{{Unit: UnitPacks, Population: 1204, Sampled: 30, Method: MethodHypergeometric, Upper95: 0.009000001, Upper99: 0.02}}
	a.Coverage = Coverage{Verified: 1300, Oldest: noon.AddDate(0, 0, -34), Met: to(true)}
	return a
}

// TestLine holds what is said of audits of each mode, end and verdict.
func TestLine(t *testing.T) {
	for _, c := range []struct {
		name, want string
		of         *Audit
		change     func(*Audit)
	}{
		{"intact", "intact: 320 of 1,300 objects read, at most 1.0 % of packs damaged (95 %), 100 % covered, oldest 34 d", intact(), nil},
		{"overdue", "intact: 320 of 1,300 objects read, at most 1.0 % of packs damaged (95 %), 1 object overdue", intact(), func(a *Audit) {
			a.Coverage = Coverage{Verified: 1299, Never: 1, Overdue: 1, Met: to(false)}
		}},
		{"not quite all", "intact: 320 of 1,300 objects read, at most 0.0003 % of packs damaged (95 %), 99 % covered", intact(), func(a *Audit) {
			a.Coverage = Coverage{Verified: 1299, Never: 1}
			a.Bounds[0].Upper95 = 0.000002001
		}},
		{"everything", "intact: 1,300 of 1,300 objects read, every pack, 100 % covered, oldest 0 d, 20 items restored", intact(), func(a *Audit) {
			a.Mode, a.Parts = ModeFull, []Part{{Part: PartAll, Planned: 1300, Checked: 1300, Intact: 1300, Digest: sum("all")}}
			a.Bounds = []Bound{{Unit: UnitPacks, Population: 1204, Sampled: 1204, Method: MethodCensus}}
			a.ReadObjects = 1300
			a.Coverage.Oldest = noon.AddDate(0, 0, 1) // the clock was set back
		}},
		{"no pack given", "INCOMPLETE: 96 of 1,300 objects read, no pack, 100 % covered, oldest 34 d, 20 items restored", intact(), func(a *Audit) {
			a.Verdict, a.ReadObjects = VerdictIncomplete, 96
			a.Parts = []Part{{Part: PartPacks, Planned: 1204, Checked: 1204, Unread: 1204, Digest: sum("packs")}}
			a.Bounds = []Bound{{Unit: UnitPacks, Population: 1204, Sampled: 1204, Failed: 1204, Method: MethodCensus, Upper95: 1, Upper99: 1}}
		}},
		{"a pack not given", "INCOMPLETE: 1,299 of 1,300 objects read, all but 1 of 1,204 packs, 100 % covered, oldest 34 d, 20 items restored", intact(), func(a *Audit) {
			a.Verdict, a.ReadObjects = VerdictIncomplete, 1299
			a.Parts = []Part{{Part: PartPacks, Planned: 1204, Checked: 1204, Intact: 1203, Unread: 1, Digest: sum("packs")}}
			a.Bounds = []Bound{{Unit: UnitPacks, Population: 1204, Sampled: 1204, Failed: 1, Method: MethodCensus, Upper95: 0.000830565, Upper99: 0.000830565}}
		}},
		{"bytes alone", "intact: 17 of 1,300 objects read, 100 % covered, oldest 34 d, 20 items restored", intact(), func(a *Audit) {
			a.Parts, a.Bounds, a.ReadObjects = a.Parts[2:3], nil, 17
		}},
		{"nothing read", "INCOMPLETE: interrupted, no object was read", empty(), func(a *Audit) {
			a.Verdict, a.End, a.Inventory.Done = VerdictIncomplete, EndInterrupted, false
		}},
		{"out of time", "INCOMPLETE: out of time, 34 of 1,300 objects read, 100 % covered, oldest 34 d, 20 items restored", intact(), func(a *Audit) {
			a.Verdict, a.End, a.Parts, a.Bounds, a.ReadObjects = VerdictIncomplete, EndTime, a.Parts[:3], nil, 34
		}},
		{"failed", "INCOMPLETE: it could not go on (the store\\x0awent away), no object was read", empty(), func(a *Audit) {
			a.Verdict, a.End, a.Why, a.Population.Packs = VerdictIncomplete, EndFailed, "the store\nwent away", 3
			a.Inventory.Done = false
		}},
		{"empty", "intact: nothing is stored yet", empty(), nil},
		{"damaged", "DAMAGED: 1 pack, 1 page, 5 more objects, at least 3 snapshots hit, 1 item not restorable, 1 repository with problems", sample(), nil},
		{"one pack", "DAMAGED: 1 pack, 3 snapshots hit, 20 items restored", intact(), func(a *Audit) {
			a.Verdict, a.Damaged = VerdictDamaged, sample().Damaged[:1]
		}},
		{"damage in words", "DAMAGED: 1 finding", empty(), func(a *Audit) {
			a.Verdict, a.Findings = VerdictDamaged, []AuditFinding{{Severity: "damage", Text: "x"}, {Severity: "notice", Text: "x"}}
		}},
		{"damage untold", "DAMAGED: see the report", empty(), func(a *Audit) { a.Verdict = VerdictDamaged }},
		{"tampered", "TAMPERED: 2 findings (7 not listed), 1 object damaged", empty(), func(a *Audit) {
			a.Verdict, a.Omitted = VerdictTampered, 7
			a.Findings = []AuditFinding{{Severity: "tampering", Text: "x"}, {Severity: "tampering", Text: "x"}}
			a.Damaged = []Damage{{Object: record.PackName(sum("p")), Kind: DamageBytes, Since: noon, Remedy: RemedyNone}}
		}},
		{"drill", "intact: drill restored 1,204 items (3.0 GiB) in 3h12m, in time, 12 repositories checked", drilled(), nil},
		{"slow drill", "intact: drill restored 1,204 items (3.0 GiB) in 3h12m, too late, 12 repositories checked", drilled(), func(a *Audit) { a.Drill.Met = to(false) }},
		{"failed drill", "DAMAGED: 3 items not restorable, drill restored 1,204 items (3.0 GiB) in 3h12m, in time", drilled(), func(a *Audit) {
			a.Verdict, a.Drill.Failed = VerdictDamaged, 3
		}},
		{"interrupted drill", "INCOMPLETE: interrupted, drill restored 1 item (3.0 GiB) in 3h12m, 12 repositories checked", drilled(), func(a *Audit) {
			a.Verdict, a.End, a.Drill.Items, a.Drill.Met = VerdictIncomplete, EndInterrupted, 1, nil
		}},
	} {
		if c.change != nil {
			c.change(c.of)
		}
		encoded(t, c.of)
		if got := holdLine(t, c.of); got != c.want && !(len(c.want) > maxLine && strings.HasPrefix(c.want, strings.TrimSuffix(got, "…"))) {
			t.Errorf("%s: %q (%d)", c.name, got, utf8.RuneCountInString(got))
		}
	}
}

// TestPercentUp holds that a bound is never written smaller than it is.
func TestPercentUp(t *testing.T) {
	for share, want := range map[float64]string{0: "0.0 %", 1: "100.0 %", 0.5: "50.0 %", 0.009: "0.9 %", 0.009000001: "1.0 %", 0.00987: "1.0 %", 0.0003: "0.03 %", 0.000301: "0.04 %", 0.999999999: "100.0 %", 1e-9: "0.0000001 %"} {
		if got := percentUp(share); got != want {
			t.Errorf("%v: %s in place of %s", share, got, want)
		}
	}
}

// fill makes up a value: what a member may be, and nothing that its neighbours would agree with.
func fill(r *rand.Rand, v reflect.Value) {
	switch v.Addr().Interface().(type) {
	case *time.Time:
		v.Set(reflect.ValueOf(time.Unix(r.Int64N(1<<36), r.Int64N(1e9)).UTC()))
		return
	case *record.Hash:
		v.Set(reflect.ValueOf(sum(fmt.Sprint(r.Uint64()))))
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if r.IntN(3) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(r, v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			fill(r, v.Field(i))
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), r.IntN(3), 3))
		if v.Len() == 0 {
			v.SetZero()
		}
		for i := range v.Len() {
			fill(r, v.Index(i))
		}
	case reflect.String:
		words := []string{"", "x", "a\"b\\", "\x00\x1f\u2028é😀", ModeDrill, ModeFull, EndFailed, EndTime, VerdictIntact, VerdictDamaged, VerdictTampered, PartPacks, PartAll, UnitPacks, MethodCensus, "tampering", "meta/x", strings.Repeat("w", 300)}
		v.SetString(words[r.IntN(len(words))])
	case reflect.Int64:
		v.SetInt([]int64{0, 1, 2, 999, 1_000_000, 1<<53 - 1}[r.IntN(6)])
	case reflect.Float64:
		v.SetFloat([]float64{0, 1e-9, 0.000301, 0.5, 0.999999999, 1, 86400.25, 1e15}[r.IntN(8)])
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	}
}

// TestAnything holds, of audits that are made up, that each member comes back as it was written, and that whatever they say, their line is one.
func TestAnything(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 42))
	for range 500 {
		a, got := new(Audit), new(Audit)
		fill(r, reflect.ValueOf(a).Elem())
		holdLine(t, a)
		if err := (shapes{}).sound(reflect.ValueOf(a).Elem(), member{}); err != nil {
			t.Fatal(err)
		}
		b := shapes{}.appendValue(nil, reflect.ValueOf(a).Elem())
		if err := decode(b, got, false); err != nil || !reflect.DeepEqual(a, got) {
			t.Fatalf("%v\n%s\n%+v", err, b, got)
		}
		if a.Fit(); a.check() == nil {
			t.Fatal("what was made up passes for an audit")
		}
		if t.Failed() {
			return
		}
	}
}
