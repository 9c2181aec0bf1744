package audit

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/vault"
	"farshore/crypto/sign"
	"farshore/providers/mem"
)

// forge puts another commit, which the agent's key signs, in the place of one.
func (r *rig) forge(d *mem.Driver, name string, change func(*record.Commit)) {
	r.t.Helper()
	signed, err := sign.Parse("commit", d.Objects()[name])
	must(r.t, err)
	c, err := record.DecodeCommit(signed.JSON)
	must(r.t, err)
	change(c)
	body, err := record.EncodeCommit(c)
	must(r.t, err)
	stored, err := sign.Envelope("commit", r.open(d).ID(), body, r.agent)
	must(r.t, err)
	d.Set(record.CommitName(c.Chain, c.Seq), stored)
}

// covered is how many objects the coverage of an audit read: with a budget of a byte all that it may have verified that the one before had not.
func covered(t *testing.T, a *report.Audit) int64 {
	t.Helper()
	if p := partOf(a, report.PartCoverage); p != nil {
		return p.Intact
	}
	return 0
}

// TestRewrittenChain has a thief and his store put another commit under the number of the newest, which names something that nobody ever read: what the ledger says of the
// old one says nothing of that.
func TestRewrittenChain(t *testing.T) {
	d := mem.New()
	r := newRig(t, d).fill(4)
	first := r.run(r.defaults()).Audit
	if first.Coverage.Never != 0 {
		t.Fatalf("%+v", first.Coverage)
	}
	junk := []byte("what nobody read")
	name := record.Hash(sha256.Sum256(junk))
	d.Set(record.PackName(name), junk)
	h := first.Heads[0]
	r.forge(d, record.CommitName(h.Chain, h.Seq), func(c *record.Commit) {
		c.Packs = append(c.Packs, record.Ref{Name: name, Size: int64(len(junk))})
		slices.SortFunc(c.Packs, func(a, b record.Ref) int { return slices.Compare(a.Name[:], b.Name[:]) })
	})
	o := r.defaults()
	o.Bytes = 1
	second := r.run(o)
	if c := second.Audit.Coverage; c.Verified > covered(t, second.Audit) || c.Never == 0 {
		t.Errorf("of a chain that was rewritten the ledger has %d objects as verified, and this run read %d: %+v", c.Verified, covered(t, second.Audit), c)
	}
	r.check(second)
	r.check(r.run(r.defaults()))
}

// TestRevocationLifted has the owner revoke a commit, and take that back after an audit: what only that commit names was not read, and does not count as verified.
func TestRevocationLifted(t *testing.T) {
	d := mem.New()
	r := newRig(t, d).fill(4)
	chains, err := r.open(d).Chains(t.Context())
	must(t, err)
	k := chains[0].Commits[1]
	r.declare(vault.RevokeCommits([]record.Hash{k.Hash}))
	first := r.run(r.defaults())
	r.check(first)
	if first.Audit.Coverage.Never != 0 {
		t.Fatalf("%+v", first.Audit.Coverage)
	}
	r.declare(func(st *record.Statement) error { st.Revoked = nil; return nil })
	o := r.defaults()
	o.Bytes = 1
	second := r.run(o)
	all := second.Audit.Population.Packs + second.Audit.Population.Pages
	left := all - (first.Audit.Population.Packs + first.Audit.Population.Pages) // what only the revoked commit names
	if left == 0 {
		t.Fatal("the commit names nothing that no other does")
	}
	if c := second.Audit.Coverage; c.Never < left-covered(t, second.Audit) || c.Verified < 2 {
		t.Errorf("%d objects count again and were never read, and this run read %d: %+v", left, covered(t, second.Audit), c)
	}
	r.check(second)
	third := r.run(r.defaults())
	r.check(third)
	if third.Audit.Coverage.Never != 0 {
		t.Errorf("%+v", third.Audit.Coverage)
	}
}

// TestCarried holds what of a ledger holds on, and that what holds whole is left as it is.
func TestCarried(t *testing.T) {
	d := mem.New()
	r := newRig(t, d).fill(3)
	v := r.open(d)
	chains, err := v.Chains(t.Context())
	must(t, err)
	c := chains[0]
	head := func(n int) report.Head { return report.Head{Chain: c.ID, Seq: int64(n), Hash: c.Commits[n-1].Hash} }
	other := report.Head{Chain: c.ID, Seq: 2, Hash: record.Hash{1}}
	gone := "ffffffffffffffffffffffffffffffff"
	ledger := report.Ledger{
		Arcs:      []report.Arc{{From: "0000000000000000", Time: time.Now(), Position: 0}},
		Positions: []report.Position{{{Chain: c.ID, Seq: 2}}, {{Chain: c.ID, Seq: 1}, {Chain: gone, Seq: 1}}},
	}
	for name, x := range map[string]struct {
		last  report.Audit
		heads []report.Head
		want  int64 // of the first position
	}{
		"as it was":                 {report.Audit{Statement: 1, Heads: []report.Head{head(2)}, Ledger: ledger}, []report.Head{head(3)}, 2},
		"another commit":            {report.Audit{Statement: 1, Heads: []report.Head{other}, Ledger: ledger}, []report.Head{head(3)}, 0},
		"the chain is shorter":      {report.Audit{Statement: 1, Heads: []report.Head{head(2)}, Ledger: ledger}, []report.Head{head(1)}, 0},
		"the chain is gone":         {report.Audit{Statement: 1, Heads: []report.Head{head(2)}, Ledger: ledger}, nil, 0},
		"it was not there":          {report.Audit{Statement: 1, Ledger: ledger}, []report.Head{head(3)}, 0},
		"a head beyond the chain":   {report.Audit{Statement: 1, Heads: []report.Head{{Chain: c.ID, Seq: 9, Hash: record.Hash{1}}}, Ledger: ledger}, []report.Head{head(3)}, 0},
		"a statement nobody knows":  {report.Audit{Statement: 7, Heads: []report.Head{head(2)}, Ledger: ledger}, []report.Head{head(3)}, 0},
		"it says more than it knew": {report.Audit{Statement: 1, Heads: []report.Head{head(1)}, Ledger: ledger}, []report.Head{head(3)}, 1},
	} {
		got := carried(v, &x.last, chains, 1, x.heads)
		var seq int64
		if len(got.Positions) > 0 && len(got.Positions[0]) > 0 {
			seq = got.Positions[0][0].Seq
		}
		if seq != x.want {
			t.Errorf("%s: commit %d in place of %d", name, seq, x.want)
		}
		if len(ledger.Positions[1]) != 2 || ledger.Positions[0][0].Seq != 2 {
			t.Fatalf("%s: the earlier report was changed", name)
		}
	}
}

// TestBoastfulCommit has a thief commit to numbers that together no report has: the auditor's report is made all the same.
func TestBoastfulCommit(t *testing.T) {
	d := mem.New()
	r := newRig(t, d).fill(2)
	chains, err := r.open(d).Chains(t.Context())
	must(t, err)
	const most = 1<<53 - 1
	for i := range 3 {
		r.forge(d, record.CommitName(chains[0].ID, 1), func(c *record.Commit) {
			c.Chain = strings.Repeat(fmt.Sprint(i), 32)
			c.Root, c.List, c.Complete = chains[0].Head().Root, chains[0].Head().List, true
			c.Counts.Items, c.Counts.Bytes, c.ReadBack = most, most, &record.ReadBack{Items: most, Bytes: most, OfItems: most, OfBytes: most}
		})
	}
	o := r.defaults()
	o.Key = &r.owner
	res := r.run(o)
	if a := res.Audit; res.Name == "" || a.Population.Items != most || a.Written.ItemsRead != most {
		t.Errorf("%q: %+v, %+v", res.Name, a.Population, a.Written)
	}
	r.check(res)
}
