package report

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"

	"farshore/agent/record"
)

// huge is an audit that has as much as may be of everything, with the widest numbers and texts, and more than that of what may be cut.
func huge() *Audit {
	a := sample()
	wide := strings.Repeat("\x01", 2*MaxText)
	id := func(i int) string { return fmt.Sprintf("%032x", i+1) }
	a.Heads, a.Sources, a.Damaged, a.Findings, a.NotChecked = nil, nil, nil, nil, nil
	for i := range MaxHeads {
		a.Heads = append(a.Heads, Head{id(i), maxSeq, sum("c")})
		a.Sources = append(a.Sources, SourceState{Chain: id(i), Suspicious: []string{wide, wide}, Bytes: 1<<53 - 1, Time: noon.Add(-1), GoodTime: noon.Add(-1)})
	}
	a.Ledger = Ledger{}
	for i := range MaxArcs {
		a.Ledger.Arcs = append(a.Ledger.Arcs, Arc{From: fmt.Sprintf("%016x", i), Time: noon.Add(-1), Position: MaxPositions - 1})
	}
	for range MaxPositions {
		var p Position
		for j := range 1000 {
			p = append(p, ChainPosition{id(j), maxSeq})
		}
		a.Ledger.Positions = append(a.Ledger.Positions, p)
	}
	a.Parts[4].Sweeps = nil
	for i := range MaxSweeps {
		a.Parts[4].Sweeps = append(a.Parts[4].Sweeps, Sweep{fmt.Sprintf("%016x", i), fmt.Sprintf("%016x", i+1), SweepNew})
	}
	for i := range MaxDamaged + 10 {
		a.Damaged = append(a.Damaged, Damage{Object: record.PackName(sum(id(i))), Kind: DamageWithheld, Since: noon.Add(-1), Snapshots: 1<<53 - 1, Items: 1<<53 - 1, Remedy: RemedyUnknown,
			Advice: wide, First: a.Ledger.Positions[0][:50], Names: make([]int64, 50)})
		for j := range a.Damaged[i].Names {
			a.Damaged[i].Names[j] = MaxNames
		}
	}
	for i := range 3 * MaxFindings {
		a.Findings = append(a.Findings, AuditFinding{Severity: severities()[i%3], Text: wide, Object: wide, Item: MaxNames})
		a.NotChecked = append(a.NotChecked, NotChecked{What: wide, Count: 1<<53 - 1, Why: wide})
	}
	a.Store.Rules = append(make([]string, 200), wide)
	a.Why, a.Program, a.Sealed = wide, "\xff"+wide, strings.Repeat("A", MaxSealed)
	return a
}

// TestFit holds that whatever is put into an audit becomes a report that a reader takes, and that nothing is dropped without being counted.
func TestFit(t *testing.T) {
	a := huge()
	if _, err := Encode(a); err == nil {
		t.Fatal("it fits without being cut")
	}
	findings, damaged, sources := len(a.Findings), len(a.Damaged), len(a.Sources)
	grave := a.grave(severityTampering)
	a.Fit()
	if int(a.Omitted)+len(a.Findings) != findings+2 || int(a.MoreDamaged)+len(a.Damaged) != damaged+5 || int(a.MoreSources)+len(a.Sources) != sources+1 {
		t.Errorf("%d+%d findings, %d+%d damaged, %d+%d sources", len(a.Findings), a.Omitted, len(a.Damaged), a.MoreDamaged, len(a.Sources), a.MoreSources)
	}
	if len(a.Findings) < leastListed/2 || len(a.Sources) < leastListed/2 || a.Sealed != "" {
		t.Errorf("%d findings, %d sources are listed", len(a.Findings), len(a.Sources))
	}
	if len(a.Damaged) != MaxDamaged || len(a.Heads) != MaxHeads || len(a.Ledger.Arcs) != MaxArcs || len(a.Parts[4].Sweeps) != MaxSweeps || a.Ledger.places() > MaxPlaces || a.Ledger.places() == 0 {
		t.Errorf("what must stay was cut: %d damaged, %d places", len(a.Damaged), a.Ledger.places())
	}
	for _, f := range a.Findings[:min(len(a.Findings), int(grave))] {
		if f.Severity != severityTampering {
			t.Error("a milder finding was kept before a graver one")
			break
		}
	}
	b := encoded(t, a)
	got, err := DecodeAudit(b)
	if err != nil {
		t.Fatal(err)
	}
	again := encoded(t, got)
	if got.Fit(); !bytes.Equal(again, encoded(t, got)) || !bytes.Equal(again, b) {
		t.Error("making it fit twice changes it")
	}
	t.Logf("%d bytes, %d findings, %d sources, %d places", len(b), len(a.Findings), len(a.Sources), a.Ledger.places())
}

// TestFitLeavesAlone holds that what fits is not changed.
func TestFitLeavesAlone(t *testing.T) {
	for name, v := range auditVectors() {
		if a, ok := v.(*Audit); ok {
			for i := range a.Findings {
				a.Findings[i].Text = strings.ReplaceAll(a.Findings[i].Text, "\x1b", "")
			}
			before := encoded(t, a)
			if a.Fit(); !bytes.Equal(before, encoded(t, a)) {
				t.Errorf("%s was changed", name)
			}
		}
	}
}

// TestLargestCommitment holds that a commitment over the most heads is one that a reader takes.
func TestLargestCommitment(t *testing.T) {
	c := commitment()
	c.Heads = huge().Heads
	if _, err := DecodeCommitment(encoded(t, c)); err != nil {
		t.Error(err)
	}
	c.Heads = append(c.Heads, Head{strings.Repeat("f", 32), 1, sum("c")})
	if _, err := Encode(c); err == nil {
		t.Error("one head too many was written")
	}
}

// TestFitNumbers holds that numbers which no report has, because somebody's commits add up to them, keep no report from being made.
func TestFitNumbers(t *testing.T) {
	a := sample()
	a.Population.Items, a.Population.ItemBytes, a.Sources[0].StoredBytes, a.Written.Items, a.Written.ItemsRead = math.MaxInt64, MaxNumber+1, math.MaxInt64, math.MaxInt64, MaxNumber+5
	a.NotChecked = append(a.NotChecked, NotChecked{What: "items", Count: -7, Why: "somebody stated nonsense"}, NotChecked{What: "locks", Count: math.MaxInt64, Why: "the same"})
	a.Inventory.UnnamedBytes, a.Sources[0].AgeSeconds = math.MaxInt64, -3
	if _, err := Encode(a); err == nil {
		t.Fatal("it fits without being cut")
	}
	a.Fit()
	if a.Population.Items != MaxNumber || a.Population.ItemBytes != MaxNumber || a.Written.ItemsRead != MaxNumber || a.Sources[0].AgeSeconds != 0 || a.NotChecked[len(a.NotChecked)-2].Count != -1 {
		t.Errorf("%+v", a)
	}
	encoded(t, a)
}
