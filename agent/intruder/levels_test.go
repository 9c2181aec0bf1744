package intruder

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"farshore/agent"
	"farshore/agent/audit"
	"farshore/agent/drill"
	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/vault"
	"farshore/crypto/seal"
	"farshore/providers"
	"farshore/providers/mem"
)

// pass makes a pass as the agent does that knows what audits found and reads back what it writes. lie, where there is one, is done to what it knows before.
func (s *scene) pass(lie func(*agent.Session)) *agent.Summary {
	s.t.Helper()
	session, err := agent.Open(s.ctx, s.at.agent(), agent.SessionOptions{
		Owner: s.owner.Public(), Recipients: []string{s.recipient}, Identities: []age.Identity{s.agent.metadata}, Key: s.agent.key, State: s.agent.state, ReadBack: vault.AutoReadBack(),
		Damaged: func(ctx context.Context, v *vault.Vault) map[record.Hash]bool {
			shelf, err := report.Read(ctx, v)
			must(s.t, err)
			return shelf.Damaged()
		},
	})
	must(s.t, err)
	if lie != nil {
		lie(session)
	}
	sum, err := session.Replicate(s.ctx, s.src, nil, nil, agent.Options{})
	must(s.t, session.Close())
	must(s.t, err)
	s.want = append(s.want, snapshot{sum.Head.Chain, sum.Head.Seq, sum.Head.Hash, sums(s.src.items)})
	return sum
}

// TestWrongSeal has an agent that lies seal what it stores to another key than the owner's. Names, sizes and bytes are right, and the agent reads back what it wrote: so listing, bytes
// and read-back are in order, and no report claims more. The header drill, and any attempt to restore, show it.
func TestWrongSeal(t *testing.T) {
	s := manyPacks(t, directoryYard(t).where, 20)
	before := s.contents()
	_, stranger, err := seal.GenerateX25519()
	must(t, err)
	for i := range 3 {
		s.src.items[fmt.Sprintf("sealed wrongly/%d", i)] = noise(uint64(7000+i), 5000)
	}
	sum := s.pass(func(session *agent.Session) { session.Vault.Statement().Recipients[0].Recipient = stranger })
	if sum.ReadBack.Items != 3 {
		t.Fatalf("%+v was read back", sum.ReadBack)
	}
	s.want = s.want[:len(s.want)-1] // nobody can restore it

	who := s.auditor()
	a := who.run(who.options()).Audit
	if a.Verdict != report.VerdictIntact || a.Items.Tried || a.Coverage.Never != 0 || unchecked(a, "headers of packs") != a.Population.Packs {
		t.Errorf("without a key: %s, %+v, %+v", a.Verdict, a.Items, a.NotChecked)
	}
	none := s.unsigned()
	if a := none.full(none.options()).Audit; a.Verdict != report.VerdictIntact || unchecked(a, "items that were not put together") == 0 {
		t.Errorf("everything, without a key: %s, %+v", a.Verdict, a.NotChecked)
	}
	s.sealDrilled(before)
	for _, ids := range [][]age.Identity{{s.recovery, s.agent.metadata}, {s.recovery}} {
		holder := s.unsigned(ids...)
		for name, res := range map[string]*audit.Result{"a sample": holder.run(s.recovered(holder.options())), "everything": holder.full(s.recovered(holder.options()))} {
			a := res.Audit
			if a.Verdict != report.VerdictDamaged {
				t.Errorf("%s, restored with %d keys: %s, %+v", name, len(ids), a.Verdict, a.Items)
			}
			for _, d := range a.Damaged {
				if len(before[d.Object]) > 0 || len(ids) == 2 && name == "a sample" && (d.Kind != report.DamageSeal || d.Items != 1) {
					t.Errorf("%s: %+v", name, d)
				}
			}
			if len(ids) == 2 && len(a.Damaged) != 3 {
				t.Errorf("%s: %d are listed, and 3 packs are sealed to somebody else", name, len(a.Damaged))
			}
		}
	}
	s.restoredAll()
}

// sealDrilled has the owner drill headers, which finds what is sealed to somebody else, and an auditor put that into his report.
func (s *scene) sealDrilled(sound map[string][]string) {
	s.t.Helper()
	v := s.open(s.at.owner())
	chains, err := v.Chains(s.ctx)
	must(s.t, err)
	d, err := drill.Headers(s.ctx, v, chains, drill.Options{Identities: []age.Identity{s.recovery}, Count: 1000, Now: time.Now()})
	must(s.t, err)
	if d.Failed != 3 || d.Opened != int64(len(sound)) || d.Drawn != d.Population {
		s.t.Errorf("the header drill: %+v", d)
	}
	if _, _, err := report.Place(s.ctx, v, d, s.owner); err != nil {
		s.t.Fatal(err)
	}
	none := s.unsigned()
	a := none.least(none.options())
	if a.Keys.DrillFailed != 3 || a.Keys.DrillOpened != d.Opened {
		s.t.Errorf("the audit after it says %+v", a.Keys)
	}
}

// TestStoredAnew damages packs that the newest snapshot needs and one that only older ones need, and has the agent go on: the next pass stores anew what the source still has, so that the
// newest snapshot is whole again. What older snapshots lost stays listed, and as what it is, until nothing names it.
func TestStoredAnew(t *testing.T) {
	w := newWreck(t, directoryYard(t), 40)
	who := w.auditor()
	who.ids = []age.Identity{w.agent.metadata}
	bad := []string{w.packs[2], w.packs[9], w.old[0]}
	for _, p := range bad {
		w.set(p, flipped(w.stored(p)))
	}
	o := who.options()
	o.Live = w.recovered(o).Live
	a := who.run(o).Audit
	if len(a.Damaged) != 3 {
		t.Fatalf("%v are listed", kinds(a))
	}
	w.pass(nil)
	before := w.want
	w.want = w.want[len(w.want)-1:]
	w.restoredAll()
	after := who.run(o).Audit
	if got := kinds(after); len(got) != 3 || after.Verdict != report.VerdictDamaged {
		t.Errorf("%s, %v: what older snapshots lost is still lost", after.Verdict, got)
	}
	for _, d := range after.Damaged {
		if !strings.Contains(d.Advice, "the newest snapshot does not need it") || d.Snapshots < 1 || d.Snapshots >= int64(len(before)) {
			t.Errorf("%s: %d of %d snapshots, %s, %q", d.Object, d.Snapshots, len(before), d.Remedy, d.Advice)
		}
	}
	holder := w.unsigned(w.recovery, w.agent.metadata)
	if s := holder.run(w.recovered(holder.options())).Audit; s.Items.Failed != 0 || s.Items.Restored == 0 || s.Items.Differ != 0 {
		t.Errorf("items of the newest snapshot: %+v", s.Items)
	}
	// The snapshots that lost something go out of force, and with them what nothing else names.
	w.revokeBefore(before)
	who.now = who.now.Add(time.Minute)
	if gone := who.run(o).Audit; len(gone.Damaged) != 0 || gone.Verdict == report.VerdictDamaged {
		t.Errorf("%s, %v: nothing that counts names it", gone.Verdict, kinds(gone))
	}
	w.restoredAll()
}

// revokeBefore has the owner take all snapshots but the newest out of force.
func (s *scene) revokeBefore(all []snapshot) {
	s.t.Helper()
	var hashes []record.Hash
	for _, w := range all[:len(all)-1] {
		hashes = append(hashes, w.hash)
	}
	s.state(vault.RevokeCommits(hashes))
}

// TestShortenedLock shortens locks behind everybody's back, on a store that lets whoever runs it do so: one lock that the last audit saw, all of them, and one of many that none asked for.
func TestShortenedLock(t *testing.T) {
	d := mem.NewVersioned()
	const kept = 90 * day
	d.Configure(providers.Settings{Versioning: "on", Lock: true, Mode: providers.Compliance, Retention: kept})
	y := newYard(d, true, nil, nil)
	s := manyPacks(t, y.where, 40)
	who := s.auditor()
	first := who.run(who.options()).Audit
	if l := first.Locks; l == nil || l.First.IsZero() || l.Asked != l.Needed || first.Verdict != report.VerdictIntact {
		t.Fatalf("%s, %+v", first.Verdict, first.Locks)
	}
	until := first.Locks.First
	shorten := func(name string, to time.Time) {
		d.SetLock(name, "", providers.Lock{Mode: providers.Compliance, Until: to})
	}
	shorten(first.Locks.FirstObject, until.Add(-day))
	if a := who.run(who.options()).Audit; a.Verdict != report.VerdictTampered || !tells(a, vault.Tampering, first.Locks.FirstObject) {
		t.Errorf("the lock that the last audit saw: %s, %+v", a.Verdict, a.Findings)
	}
	shorten(first.Locks.FirstObject, until)

	var all []string // of the newest snapshot: locks of what only older ones need are not asked for
	for pack, items := range s.contents() {
		if _, there := s.src.items[strings.TrimPrefix(items[0], "shop: ")]; there && pack != first.Locks.FirstObject {
			all = append(all, pack)
		}
	}
	other := slices.Min(all)
	quiet := s.auditor() // his first audit: there is nothing to hold it against
	shorten(other, time.Now().Add(-time.Hour))
	a := quiet.run(quiet.options()).Audit
	if a.Locks.Expired != 1 || a.Locks.Locked+a.Locks.Expired != a.Locks.Asked {
		t.Errorf("a lock that ended: %+v", a.Locks)
	}
	if a.Verdict != report.VerdictIntact {
		t.Errorf("that one lock ended sooner proves nothing by itself: %s, %+v", a.Verdict, a.Findings)
	}
	d.SetLock(other, "", providers.Lock{})
	if a := quiet.run(quiet.options()).Audit; a.Locks.Unlocked != 1 {
		t.Errorf("a lock that is gone: %+v", a.Locks)
	}
}
