package audit

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/providers/mem"
)

// TestManyChains has a thief of the agent's key begin more chains than a report lists, with ids before the honest one's: the honest chain is audited all the same, and what is left
// out is counted.
func TestManyChains(t *testing.T) {
	maxChains = 4
	defer func() { maxChains = report.MaxHeads }()
	d := mem.New()
	r := newRig(t, d).fill(3)
	chains, err := r.open(d).Chains(t.Context())
	must(t, err)
	honest := chains[0]
	o := r.defaults()
	o.Key = &r.owner
	for i := range 6 {
		r.forge(d, record.CommitName(honest.ID, 1), func(c *record.Commit) { c.Chain, c.Time = fmt.Sprintf("%032x", i), honest.Head().Time })
		res := r.run(o)
		a := res.Audit
		if _, ok := headOf(a.Heads, honest.ID); !ok || len(a.Heads) != min(i+2, 4) || count(a, "chains") != int64(max(0, i+2-4)) {
			t.Fatalf("with %d chains of the thief's: %+v, %+v", i+1, a.Heads, a.NotChecked)
		}
		if full := len(a.Heads) == 4 && i > 2; full != (a.Verdict == report.VerdictIncomplete) || a.Coverage.Never != 0 || res.Name == "" {
			t.Errorf("with %d chains of the thief's: %s, %+v", i+1, a.Verdict, a.Coverage)
		}
	}
	r.now = r.now.Add(5 * headSlack)
	got := r.checked(r.run(o))
	if !got.OK() || len(got.Undecided) != 1 || !strings.Contains(got.Undecided[0], "as many as a report lists") {
		t.Errorf("lies: %q, undecided: %q", got.Lies, got.Undecided)
	}
}

// TestNamedAgain has a thief of the agent's key name everything that is stored in a chain of his own, whose id is the lowest and whose time lies far ahead: that makes nothing new,
// so that what is overdue stays overdue.
func TestNamedAgain(t *testing.T) {
	d := mem.New()
	r := newRig(t, d).fill(3)
	v := r.open(d)
	chains, err := v.Chains(t.Context())
	must(t, err)
	var packs, meta []record.Ref
	for _, k := range chains[0].Commits {
		p, m, err := v.Added(t.Context(), k)
		must(t, err)
		packs, meta = append(packs, p...), append(meta, m...)
	}
	byName := func(a, b record.Ref) int { return bytes.Compare(a.Name[:], b.Name[:]) }
	slices.SortFunc(packs, byName)
	slices.SortFunc(meta, byName)
	o := r.defaults()
	o.Key, o.Bytes, o.Coverage = &r.owner, 1, 30*day
	r.now = r.now.Add(60 * day)
	first := r.run(o).Audit.Coverage
	r.forge(d, record.CommitName(chains[0].ID, 1), func(c *record.Commit) {
		c.Chain, c.Time, c.Packs, c.Meta, c.Adopted = strings.Repeat("0", 32), time.Now().Add(1000*day), packs, meta, nil
	})
	second := r.run(o)
	if c := second.Audit.Coverage; c.Overdue == 0 || c.Overdue < first.Overdue-2 || c.Verified < first.Verified || *c.Met {
		t.Errorf("%+v, and then %+v", first, c)
	}
	r.check(second)
}
