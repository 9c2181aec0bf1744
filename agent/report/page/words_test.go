package page

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"farshore/agent/report"
)

// TestUpper holds a bound to be rounded up, never down.
func TestUpper(t *testing.T) {
	for f, want := range map[float64]string{
		0: "0 %", 1: "100 %", 2: "100 %", 0.009839: "0.99 %", 0.0099: "0.99 %", 0.00991: "1 %", 0.3: "30 %", 0.301: "31 %", 0.999: "100 %", 0.000000003: "0.0000003 %", 0.00000000312: "0.00000032 %",
		-1: "an unknown share", math.NaN(): "an unknown share", 0.05: "5 %", 0.1: "10 %",
	} {
		if got := upper(f); got != want {
			t.Errorf("upper(%g) = %s, want %s", f, got, want)
		}
	}
}

// TestShare holds what was checked to be rounded down, and 100 % to be all of it.
func TestShare(t *testing.T) {
	for _, tt := range []struct {
		part, whole int64
		want        string
	}{
		{0, 0, "none"}, {0, 10, "0 %"}, {10, 10, "100 %"}, {11, 10, "100 %"}, {999_999, 1_000_000, "99.9 %"}, {1, 1_000_000, "< 0.1 %"}, {1, 3, "33.3 %"}, {2, 3, "66.6 %"}, {1, 2, "50 %"},
		{math.MaxInt64 - 1, math.MaxInt64, "99.9 %"}, {-5, 10, "0 %"}, {5, -10, "none"}, {29, 100, "29 %"},
	} {
		if got := share(tt.part, tt.whole); got != tt.want {
			t.Errorf("share(%d, %d) = %s, want %s", tt.part, tt.whole, got, tt.want)
		}
	}
	for f, want := range map[float64]string{0: "0 %", 1e-9: "< 0.1 %", 0.9999: "> 99.9 %", 1: "100 %", 0.2556: "25.6 %"} {
		if got := near(f); got != want {
			t.Errorf("near(%g) = %s, want %s", f, got, want)
		}
	}
}

func TestMiddle(t *testing.T) {
	if got := middle("abcdefghij", 7); got != "abcd…ij" {
		t.Errorf("middle cuts to %s", got)
	}
	if got := middle("ééééé", 5); got != "ééééé" {
		t.Errorf("middle cuts what fits to %s", got)
	}
	if got := len([]rune(safe(strings.Repeat("\x00", 1<<20), maxPath))); got != maxPath {
		t.Errorf("a million bytes are shown as %d characters", got)
	}
}

func TestSum(t *testing.T) {
	if got := sum(math.MaxInt64, 5); got != math.MaxInt64 {
		t.Errorf("the sum overflows to %d", got)
	}
	if got := sum(-5, 3); got != 3 {
		t.Errorf("a negative number counts: %d", got)
	}
}

// TestPeriods holds what a chart shows together to the calendar, and to so many points.
func TestPeriods(t *testing.T) {
	start := time.Date(2026, 1, 5, 3, 0, 0, 0, time.UTC) // a Monday
	list := func(n int, every time.Duration) []*report.Audit {
		var out []*report.Audit
		for i := range n {
			out = append(out, &report.Audit{Time: start.Add(time.Duration(i) * every)})
		}
		return out
	}
	for _, tt := range []struct {
		n     int
		every time.Duration
		kind  string
		want  int
	}{
		{1, time.Hour, "minute", 1}, {60, time.Hour, "minute", 60}, {61, time.Hour, "day", 3}, {365, day24, "week", 53}, {61, 7 * day24, "month", 15}, {300, 30 * day24, "year", 25},
		{400, 7 * day24, "year", 8},
	} {
		got, kind := periods(list(tt.n, tt.every))
		all := 0
		for _, p := range got {
			all += len(p.audits)
		}
		if kind != tt.kind && !(tt.kind == "day" && kind == "hour") || len(got) > maxPoints || all != tt.n {
			t.Errorf("%d every %v: %d stretches of a %s with %d audits, want %d of a %s", tt.n, tt.every, len(got), kind, all, tt.want, tt.kind)
		}
		if len(got) != tt.want {
			t.Errorf("%d every %v: %d stretches of a %s, want %d", tt.n, tt.every, len(got), kind, tt.want)
		}
	}
	if got, _ := periods(nil); got != nil {
		t.Errorf("no audit has %d stretches", len(got))
	}
	week, _ := periods(list(100, day24))
	if week[1].from.Weekday() != time.Monday {
		t.Errorf("a week begins on %s", week[1].from.Weekday())
	}
	if each(week, "week") != "week" || each(week[:0], "week") != "audit" {
		t.Error("a stretch is called by the wrong name")
	}
}

// TestRing holds the strip to the ledger: its shares are the arcs' and each cell shows the worst in it.
func TestRing(t *testing.T) {
	now := time.Date(2026, 10, 3, 0, 0, 0, 0, time.UTC)
	b := &builder{a: &report.Audit{Time: now, Ledger: report.Ledger{Arcs: []report.Arc{
		{From: "0000000000000000", Time: now.Add(-day24)}, {From: "4000000000000000"}, {From: "4000000000000001", Time: now.Add(-100 * day24)}, {From: "8000000000000000", Time: now.Add(-8 * day24)},
		{From: "7000000000000000"}, {From: "zz"}, {From: "c000000000000000"},
	}}}}
	s := b.strip()
	want := map[string]string{"age0": "25 %", "age1": "25 %", "age2": "0 %", "age3": "25 %", "never": "25 %"}
	for _, k := range s.Legend {
		if k.Share != want[k.Class] {
			t.Errorf("%s has %s of the ring, want %s", k.Class, k.Share, want[k.Class])
		}
	}
	var classes []string
	for _, c := range s.Cells {
		classes = append(classes, c.Class)
	}
	if got := strings.Join(classes, " "); got != "age0 never age3 age1 never" {
		t.Errorf("the cells are %s: the stretch of one name that was never read is not to be seen, or another is", got)
	}
	for _, l := range []report.Ledger{{}, {Arcs: []report.Arc{{From: "x"}}}} {
		b.a.Ledger = l
		if b.strip() != nil {
			t.Errorf("a ledger of %v is drawn", l)
		}
	}
	b.a.Ledger = report.Ledger{Arcs: []report.Arc{{From: "8000000000000000", Time: now}}}
	if s := b.strip(); s.Legend[4].Share != "50 %" {
		t.Errorf("what lies before the first arc: %v", s.Legend)
	}
}

// TestAxes holds an axis to reach what it shows, in a few round steps.
func TestAxes(t *testing.T) {
	for _, value := range []float64{0, 1, 3, 7, 10, 99, 100, 101, 12_345, 1e6, 1e9, 3.7e13, 1e18, 9e18} {
		for name, a := range map[string]valueAxis{"count": countAxis(value), "bytes": bytesAxis(value), "time": timesAxis(finite(value))} {
			ticks, most := a.ticks(), value
			if name == "time" {
				most = finite(value)
			}
			if a.Top < most*0.999 || len(ticks) < 2 || len(ticks) > 7 {
				t.Errorf("%s to %g: top %g, %d ticks", name, most, a.Top, len(ticks))
			}
			seen := map[string]bool{}
			for _, k := range ticks {
				if seen[k.Text] || len(k.Text) > 9 {
					t.Errorf("%s to %g: tick %q twice, or too long", name, most, k.Text)
				}
				seen[k.Text] = true
			}
		}
	}
}

// TestVerdictIsTheWorst holds the verdict that is shown to what the report itself lists: one that calls itself intact and is not is shown as what it is.
func TestVerdictIsTheWorst(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*report.Audit)
		want   string
	}{
		"nothing":         {func(*report.Audit) {}, "Intact"},
		"a damage":        {func(a *report.Audit) { a.Damaged = []report.Damage{{Object: "packs/x"}} }, "Damaged"},
		"more damage":     {func(a *report.Audit) { a.MoreDamaged = 1 }, "Damaged"},
		"a finding":       {func(a *report.Audit) { a.Findings = []report.AuditFinding{{Severity: "damage"}} }, "Damaged"},
		"tampering":       {func(a *report.Audit) { a.Findings = []report.AuditFinding{{Severity: "tampering"}} }, "Tampered"},
		"a notice":        {func(a *report.Audit) { a.Findings = []report.AuditFinding{{Severity: "notice"}} }, "Intact"},
		"missing":         {func(a *report.Audit) { a.Inventory.Missing = 1 }, "Damaged"},
		"a failed part":   {func(a *report.Audit) { a.Parts = []report.Part{{Failed: 1}} }, "Damaged"},
		"another content": {func(a *report.Audit) { a.Items.Differ = 1 }, "Damaged"},
		"interrupted":     {func(a *report.Audit) { a.End = report.EndInterrupted }, "Incomplete"},
		"out of time":     {func(a *report.Audit) { a.Mode, a.End, a.Budget.Bytes = report.ModeSample, report.EndTime, 1 }, "Incomplete"},
		"its time alone":  {func(a *report.Audit) { a.Mode, a.End = report.ModeSample, report.EndTime }, "Intact"},
		"unknown":         {func(a *report.Audit) { a.Verdict = "splendid" }, "Unknown"},
	} {
		a := &report.Audit{End: report.EndDone, Verdict: report.VerdictIntact}
		tt.change(a)
		v := NewView(&report.Entry{Audit: a}, nil, nil)
		if v.doc.Verdict.Word != tt.want {
			t.Errorf("%s: %s, want %s", name, v.doc.Verdict.Word, tt.want)
		}
		if says := strings.Contains(v.doc.Verdict.Sentence, "contradicts itself"); says != (tt.want != "Intact" && tt.want != "Unknown") {
			t.Errorf("%s: says that the report contradicts itself: %t", name, says)
		}
	}
}

// TestCensusOfBytes holds that a census of bytes counts bytes, and a sample of them positions.
func TestCensusOfBytes(t *testing.T) {
	b := report.Bound{Unit: report.UnitBytes, Population: 10 << 20, Sampled: 10 << 20, Failed: 1 << 20, Method: report.MethodCensus, Upper95: 0.1, Upper99: 0.1}
	if got, want := statement(&b), "Of the packs' stored bytes, all of which were checked, 1.0 MiB (10 %) lie in damaged packs."; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	b.Method, b.Sampled = report.MethodBinomial, 2000
	if got := amount(&b, b.Sampled); got != "2,000" {
		t.Errorf("of a sample: %q", got)
	}
}

// TestReadWords holds the basis to the number of different objects that were read, whatever the parts of the draw come to together.
func TestReadWords(t *testing.T) {
	for n, want := range map[int64]string{149: "149 objects (1.5 KiB) read whole and right", 1: "1 object (1.5 KiB) read whole and right", 0: ""} {
		b := &builder{a: &report.Audit{ReadObjects: n, ReadObjectBytes: 1536, Parts: []report.Part{
			{Part: report.PartPacks, Checked: 100, Intact: 100, Bytes: 1000}, {Part: report.PartBytes, Checked: 900, Intact: 900, Bytes: 9000},
		}}}
		if got := b.basis(); !strings.Contains(got, want) || strings.Contains(got, "read whole") != (n > 0) || strings.Contains(got, "at least") {
			t.Errorf("%d: %s", n, got)
		}
	}
}

// TestRepositoryItems says what an item of a repository is where the audit knows that there are some.
func TestRepositoryItems(t *testing.T) {
	for n, want := range map[int64]bool{0: false, 2: true} {
		v := NewView(&report.Entry{Audit: &report.Audit{Items: report.ItemCounts{Tried: true, Drawn: 3, Restored: 3}, Repos: report.RepoCounts{Checked: n}, Sources: []report.SourceState{{Chain: "x", Items: 3}}}}, nil, nil)
		said := 0
		for _, s := range v.doc.Sections {
			if strings.Contains(strings.Join(s.Notes, " "), repositoryItems) {
				said++
			}
		}
		if (said == 2) != want || !want && said > 0 {
			t.Errorf("of %d repositories: said %d times", n, said)
		}
	}
}

func TestWrap(t *testing.T) {
	for _, tt := range []struct {
		in   string
		most int
		want string
	}{
		{"", 10, ""}, {"a b c", 8, "a b c"}, {"one two three", 8, "one two|three"}, {"0123456789012345", 8, "01234567|89012345"}, {"ab 0123456789", 8, "ab|01234567|89"}, {"日本語日本語", 8, "日本語日|本語"},
	} {
		if got := strings.Join(wrap(tt.in, tt.most), "|"); got != tt.want {
			t.Errorf("wrap(%q, %d) = %s, want %s", tt.in, tt.most, got, tt.want)
		}
	}
}

// TestTrimmed holds a view to say that lists were left out where it was made of an entry without them.
func TestTrimmed(t *testing.T) {
	for _, trimmed := range []bool{false, true} {
		v := NewView(&report.Entry{Trimmed: trimmed, Audit: &report.Audit{Verdict: report.VerdictDamaged, MoreDamaged: 3}}, nil, nil)
		if got := len(v.doc.Notices) > 0; got != trimmed || !strings.Contains(v.doc.MoreActs, "3 more") {
			t.Errorf("trimmed %t: notices %q, more %q", trimmed, v.doc.Notices, v.doc.MoreActs)
		}
	}
}

// TestUntried holds that a report of a run that ended early does not say that there was no key: it does not know.
func TestUntried(t *testing.T) {
	for end, want := range map[string]string{report.EndDone: ": no key that opens packs was at hand.", report.EndInterrupted: ": the run ended before it came to that, or no key", report.EndTime: ": the run ended before"} {
		b := &builder{a: &report.Audit{Mode: report.ModeSample, End: end}}
		if got := b.basis(); !strings.Contains(got, "No item was put together"+want) {
			t.Errorf("%s: %s", end, got)
		}
	}
}

// TestOneDamaged writes of one that it is damaged, and of more that they are.
func TestOneDamaged(t *testing.T) {
	for n, want := range map[int64]string{1: "is damaged.", 2: "are damaged."} {
		b := report.Bound{Unit: report.UnitPacks, Population: 4, Sampled: 4, Failed: n, Method: report.MethodCensus, Upper95: 0.5, Upper99: 0.5}
		if got := statement(&b); !strings.HasSuffix(got, want) {
			t.Errorf("%q", got)
		}
	}
}

// TestNoPolicy advises whoever asked for no proof what would be one, and not to replace what a directory can't have.
func TestNoPolicy(t *testing.T) {
	for required, want := range map[string]string{"none": "which a directory can't", "append-only": "Replace it with one of the policy"} {
		b := &builder{a: &report.Audit{Protection: &report.Protection{Required: required, Verdict: unprotected}}}
		if got := fmt.Sprint(b.guard()); !strings.Contains(got, want) {
			t.Errorf("%s: %s", required, got)
		}
	}
}
