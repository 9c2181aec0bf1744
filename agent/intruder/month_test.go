package intruder

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"filippo.io/age"

	"farshore/agent"
	"farshore/agent/internal/state"
	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/vault"
	"farshore/providers"
	"farshore/providers/mem"
)

// passAt makes a pass at a time, around what the reports say is damaged.
func (s *scene) passAt(now func() time.Time) {
	s.t.Helper()
	id, err := record.ParseHash(s.id)
	must(s.t, err)
	local, err := state.Open(s.agent.state, state.Options{Vault: id})
	must(s.t, err)
	v := s.openAs(s.at.agent(), s.agent.metadata).WithCache(local)
	shelf, err := report.Read(s.ctx, v)
	must(s.t, err)
	w, err := v.Begin(s.ctx, vault.BeginOptions{Source: s.src.Place(), Agent: s.agent.key, Local: local, Now: now, ReadBack: vault.AutoReadBack(), Damaged: shelf.Damaged()})
	must(s.t, err)
	sum, err := agent.Replicate(s.ctx, w, s.src, agent.Options{})
	must(s.t, err)
	w.Close()
	must(s.t, local.Close())
	s.want = append(s.want, snapshot{sum.Head.Chain, sum.Head.Seq, sum.Head.Hash, sums(s.src.items)})
}

// month is a vault that is replicated to, damaged and audited for days.
type month struct {
	*scene
	store *mem.Versioned
	now   time.Time
	day   int
	hit   map[string]int // damaged packs, and the day
}

// damages puts a pack out of order for good, on some days.
func (m *month) damages(chance *rand.Rand) {
	m.t.Helper()
	if chance.IntN(3) > 0 {
		return
	}
	var packs []string
	for info, err := range m.at.owner().List(m.ctx, "packs/", "") {
		must(m.t, err)
		if _, hit := m.hit[info.Name]; !hit {
			packs = append(packs, info.Name)
		}
	}
	p := packs[chance.IntN(len(packs))]
	n, err := providers.New(m.store, providers.Options{}).History(context.Background(), p)
	must(m.t, err)
	m.store.Set(p, flipped(m.stored(p)))
	m.store.RemoveVersion(p, n.ID)
	m.hit[p] = m.day
}

// promisedDays is how soon everything is to be verified in the month.
const promisedDays = 5

// judge holds an audit to the promise: nothing whole is overdue, and what was damaged as long ago as that is listed.
func (m *month) judge(who string, a *report.Audit) {
	m.t.Helper()
	if a.Coverage.Feasible == nil || !*a.Coverage.Feasible || a.Coverage.Overdue > int64(len(a.Damaged)) {
		m.t.Errorf("day %d, %s: the promise is not kept: %+v, %d damaged", m.day, who, a.Coverage, len(a.Damaged))
	}
	got := kinds(a)
	for p, since := range m.hit {
		if m.day-since >= promisedDays && got[p] != report.DamageBytes {
			m.t.Errorf("day %d, %s: %s was damaged on day %d, and is not listed", m.day, who, p, since)
		}
	}
	for p := range got {
		if _, hit := m.hit[p]; !hit {
			m.t.Errorf("day %d, %s: %s is listed, and nothing is wrong with it", m.day, who, p)
		}
	}
}

// TestMonthOfAudits lives through thirty days of passes, damage by chance, and an audit a day by the agent and by an auditor, who promise that everything is verified within five days. The
// promise is kept, every damage is found in its time and nothing else is listed, each report can be drawn again by anybody, and what the source still has is stored anew, so that the
// newest snapshot is whole at the end.
func TestMonthOfAudits(t *testing.T) {
	days := 30
	if testing.Short() {
		days = 8
	}
	store := mem.NewVersioned()
	m := &month{store: store, hit: map[string]int{}}
	m.scene = manyPacks(t, newYard(store, true, nil, nil).where, 25)
	m.now = time.Now()
	store.SetClock(func() time.Time { return m.now })
	theirs, own := m.auditor(), m.agentsAudits()
	chance := rand.New(rand.NewPCG(14, 6))
	for m.day = 1; m.day <= days; m.day++ {
		m.now = m.now.Add(day)
		m.change()
		m.passAt(func() time.Time { return m.now })
		m.damages(chance)
		for _, who := range []*watch{own, theirs} {
			m.now = m.now.Add(time.Minute)
			who.now = m.now
			m.judge(who.key.ID(), who.run(who.promised(promisedDays)).Audit)
		}
	}
	if len(m.hit) < days/6 {
		t.Fatalf("only %d packs were damaged", len(m.hit))
	}
	m.now = m.now.Add(time.Hour)
	theirs.now = m.now
	last := theirs.run(theirs.options()).Audit // all that is damaged is known
	if len(last.Damaged) != len(m.hit) {
		t.Errorf("%d are listed, and %d are damaged", len(last.Damaged), len(m.hit))
	}
	m.now = m.now.Add(day)
	m.passAt(func() time.Time { return m.now })
	m.want = m.want[len(m.want)-1:]
	m.restoredAll()
	shelf := m.shelf()
	if len(shelf.Abandoned) > 0 || slices.ContainsFunc(shelf.Findings, func(f vault.Finding) bool { return f.Severity != vault.Notice }) {
		t.Errorf("%d abandoned, %v", len(shelf.Abandoned), shelf.Findings)
	}
	holder := m.unsigned([]age.Identity{m.recovery, m.agent.metadata}...)
	holder.now = m.now.Add(time.Hour)
	if a := holder.run(m.recovered(holder.options())).Audit; a.Items.Failed > 0 || a.Items.Restored == 0 || a.Items.Differ > 0 {
		t.Errorf("items: %+v", a.Items)
	}
}
