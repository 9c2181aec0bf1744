package report

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"farshore/agent/record"
	"farshore/agent/vault"
	"farshore/crypto/sign"
)

// commit places a commitment by the key and returns its hash.
func (d *desk) commit(k sign.PrivateKey) record.Hash {
	d.t.Helper()
	d.now = d.now.Add(time.Minute)
	c := &Commitment{Vault: must2(record.ParseHash(d.id)), Time: d.now, Statement: 2, Seed: sum("seed"), Heads: []Head{{chainA, 1, sum("c")}}}
	_, stored, err := Place(d.t.Context(), d.open(), c, k)
	must(d.t, stored, err)
	return sha256.Sum256(stored)
}

// audit is one that reveals the commitment, an hour after it.
func (d *desk) audit(change func(*Audit), commitment *record.Hash) *Audit {
	d.now = d.now.Add(time.Hour)
	a := sample()
	a.Prev, a.Vault, a.Time, a.Started, a.Commitment = nil, must2(record.ParseHash(d.id)), d.now, d.now.Add(-time.Hour), commitment
	if change != nil {
		change(a)
	}
	return a
}

// leave places a body that must be placed.
func (d *desk) leave(b Body, k sign.PrivateKey) string {
	d.t.Helper()
	name, stored, err := Place(d.t.Context(), d.open(), b, k)
	must(d.t, stored, err)
	return name
}

func names(entries []*Entry) (out []string) {
	for _, e := range entries {
		out = append(out, e.Name)
	}
	return out
}

// TestShelf holds that what agents, auditors and the owner left comes back newest first, with what each signer's last audit was, and which commitments have none.
func TestShelf(t *testing.T) {
	d := newDesk(t)
	first := d.commit(d.agent)
	a1 := d.leave(d.audit(nil, &first), d.agent)
	second := d.commit(d.agent)
	a2 := d.leave(d.audit(func(a *Audit) { a.Requests = 2 }, &second), d.agent)
	lost := d.commit(d.agent)
	other := d.commit(d.auditor)
	b1 := d.leave(d.audit(func(a *Audit) { a.Requests = 3; a.Damaged = a.Damaged[:1] }, &other), d.auditor)
	drill := d.drill(4)
	o1 := d.leave(drill, d.owner)
	s := d.read()
	want := []string{o1, b1, Name(d.auditor.ID(), 1), Name(d.agent.ID(), 5), a2, Name(d.agent.ID(), 3), a1, Name(d.agent.ID(), 1)}
	if got := names(s.Entries); !reflect.DeepEqual(got, want) || s.Counted != 8 {
		t.Errorf("%q in place of %q", got, want)
	}
	if len(s.Abandoned) != 1 || s.Abandoned[0].Hash != lost || s.Abandoned[0].Name != Name(d.agent.ID(), 5) {
		t.Errorf("%q", names(s.Abandoned))
	}
	if e := s.Abandoned[0]; !e.UnderWay(e.Time.Add(24*time.Hour-1)) || e.UnderWay(e.Time.Add(24*time.Hour)) || !e.UnderWay(e.Time.Add(-48*time.Hour)) {
		t.Error("when a commitment is under way")
	}
	if e := s.LastAudit(d.agent.ID()); e == nil || e.Name != a2 || e.Audit.Requests != 2 || e.Role != RoleAgent || e.Kind != TypeAudit || e.Seq != 4 || e.Trimmed {
		t.Errorf("%+v", e)
	}
	if e := s.LastAudit(d.auditor.ID()); e == nil || e.Name != b1 || e.Role != RoleAuditor {
		t.Errorf("%+v", e)
	}
	if e := s.LastAudit(d.owner.ID()); e != nil {
		t.Errorf("%+v", e)
	}
	if s.Drill == nil || s.Drill.Name != o1 || s.Drill.Drill.Drawn != 4 {
		t.Errorf("%+v", s.Drill)
	}
	bad := map[record.Hash]bool{sum("pack a"): true, sum("page b"): true}
	if got := s.Damaged(); !reflect.DeepEqual(got, bad) {
		t.Errorf("%v", got)
	}
	stored := d.store.Objects()[a1]
	if e := s.Entries[6]; e.Size != int64(len(stored)) || e.Hash != sha256.Sum256(stored) || e.Audit.Prev == nil {
		t.Errorf("%+v", e)
	}
}

// TestDamagedNow holds that what a signer's newer audit no longer has is no longer known to be damaged, and that a drill's is.
func TestDamagedNow(t *testing.T) {
	d := newDesk(t)
	d.leave(d.audit(nil, nil), d.agent)
	d.leave(d.audit(func(a *Audit) { a.Damaged = a.Damaged[1:] }, nil), d.agent)
	if got := d.read().Damaged(); !reflect.DeepEqual(got, map[record.Hash]bool{sum("page b"): true}) {
		t.Errorf("%v", got)
	}
	last := d.leave(d.audit(func(a *Audit) {
		drill := drilled()
		a.Mode, a.Drill, a.Damaged = ModeDrill, drill.Drill, []Damage{{Object: record.PackName(sum("c")), Kind: DamageSeal, Since: d.now, Remedy: RemedyNone}}
	}, nil), d.agent)
	s := d.read()
	if got := s.Damaged(); !reflect.DeepEqual(got, map[record.Hash]bool{sum("page b"): true, sum("c"): true}) {
		t.Errorf("%v", got)
	}
	if e := s.LastAudit(d.agent.ID()); e == nil || e.Name == last {
		t.Errorf("a drill became the last audit: %+v", e)
	}
}

// TestCommitments holds that an audit is kept whose commitment is not its own, and that it is said.
func TestCommitments(t *testing.T) {
	d := newDesk(t)
	theirs := d.commit(d.auditor)
	mine := d.commit(d.agent)
	strange := sum("never stored")
	n1 := d.leave(d.audit(nil, &strange), d.agent)
	n2 := d.leave(d.audit(nil, &theirs), d.agent)
	d.leave(d.audit(nil, &mine), d.agent)
	n4 := d.leave(d.audit(nil, &mine), d.agent)
	early := d.audit(nil, &mine)
	n5 := d.leave(early, d.agent)
	s, err := Read(t.Context(), d.open())
	must(t, s, err)
	text := fmt.Sprint(s.Findings)
	for _, want := range []string{n1 + " its commitment", n2 + " its commitment", n4 + " its commitment " + mine.String() + " is that of an earlier audit", n5 + " its commitment " + mine.String() + " is that"} {
		if !strings.Contains(text, want) {
			t.Errorf("no finding has %q: %s", want, text)
		}
	}
	if len(s.Findings) != 4 || s.Counted != 7 || len(s.Abandoned) != 1 || s.Abandoned[0].Hash != theirs {
		t.Errorf("%d findings, %d count, abandoned %q", len(s.Findings), s.Counted, names(s.Abandoned))
	}
}

// TestCommitmentAfterwards holds that a commitment which is stored behind its audit does not count as its.
func TestCommitmentAfterwards(t *testing.T) {
	d := newDesk(t)
	v := d.open()
	c := &Commitment{Vault: must2(record.ParseHash(d.id)), Time: d.now.Add(2 * time.Hour), Statement: 2, Seed: sum("seed")}
	// The audit names the bytes that the commitment will have, which it can't as the commitment names the audit: so it names those without.
	stored, err := Sign(v, c, d.agent)
	must(t, stored, err)
	hash := record.Hash(sha256.Sum256(stored))
	d.leave(d.audit(nil, &hash), d.agent)
	d.now = d.now.Add(2 * time.Hour)
	d.store.Set(Name(d.agent.ID(), 2), stored)
	s, err := Read(t.Context(), d.open())
	must(t, s, err)
	if text := fmt.Sprint(s.Findings); !strings.Contains(text, "is not stored before it") || len(s.Abandoned) != 1 {
		t.Errorf("%s, abandoned %q", text, names(s.Abandoned))
	}
}

// TestStrangersAudits holds that nobody but agents, auditors and the owner leaves audits, and that a body which no audit can have come to does not count.
func TestStrangersAudits(t *testing.T) {
	d := newDesk(t)
	stranger := key(t)
	if _, _, err := Place(t.Context(), d.open(), d.audit(nil, nil), stranger); !errors.Is(err, ErrNotEntitled) {
		t.Error(err)
	}
	for _, k := range []sign.PrivateKey{d.owner, d.agent, d.auditor} {
		if err := Entitled(d.open(), k.ID(), d.now, TypeAudit); err != nil {
			t.Error(err)
		}
	}
	lie := strings.Replace(string(encoded(t, d.audit(nil, nil))), `"verdict":"damaged"`, `"verdict":"intact"`, 1)
	stored, err := sign.Envelope(sign.KindReport, d.id, []byte(lie), d.agent)
	must(t, stored, err)
	d.store.Set(Name(d.agent.ID(), 1), stored)
	if s := d.read("tampering " + Name(d.agent.ID(), 1) + " ignored: report: verdict is intact, and objects are damaged"); len(s.Entries) != 0 {
		t.Errorf("%+v", s)
	}
	if _, err := Open(d.open(), stored); err == nil {
		t.Error("it was opened")
	}
}

// TestFloodOfReports has one key leave more valid reports than are kept: what is kept is bounded, its last audit is whole, and the other signers' reports are.
func TestFloodOfReports(t *testing.T) {
	d := newDesk(t)
	theirs := d.leave(d.audit(nil, nil), d.auditor)
	s := &shelf{v: d.open(), keeps: true, Shelf: Shelf{last: map[string]*Entry{}}}
	s.lane = lane{signer: d.agent.ID()}
	large := d.audit(nil, nil)
	large.Heads = huge().Heads
	const size = 2 << 20
	for i := range int64(MaxEntries + maxWhole) {
		a := *large
		a.Requests = i
		s.keep(&Entry{Name: Name(d.agent.ID(), i+1), Seq: i + 1, Signer: d.agent.ID(), Time: d.now.Add(time.Duration(i)), Audit: &a, Size: size})
		s.keep(&Entry{Name: Name(d.agent.ID(), i+1), Seq: i + 1, Signer: d.agent.ID(), Hash: sum(fmt.Sprint(i)), Time: d.now.Add(time.Duration(i)), Commitment: &Commitment{Heads: large.Heads}, Size: size})
	}
	s.endKept()
	s.arrange()
	whole, heads := 0, 0
	for _, e := range s.Entries {
		if !e.Trimmed {
			whole++
		}
		if e.Audit != nil {
			heads += len(e.Audit.Heads)
		} else {
			heads += len(e.Commitment.Heads)
		}
	}
	if len(s.Entries) != MaxEntries || whole != maxWholeBytes/size || heads != whole*MaxHeads {
		t.Errorf("%d entries, %d whole, %d heads", len(s.Entries), whole, heads)
	}
	if len(s.Abandoned) != maxAbandoned || !s.Abandoned[0].Time.After(s.Abandoned[1].Time) || len(s.Findings) != 1 {
		t.Errorf("%d abandoned, %v", len(s.Abandoned), s.Findings)
	}
	if last := s.LastAudit(d.agent.ID()); last.Trimmed || len(last.Audit.Heads) != MaxHeads || last.Audit.Requests != MaxEntries+maxWhole-1 {
		t.Errorf("the last audit is not whole: %d heads", len(last.Audit.Heads))
	}
	if len(large.Heads) != MaxHeads || len(large.Damaged) == 0 {
		t.Error("what others have was trimmed")
	}
	if r := d.read(); len(r.Entries) != 1 || r.Entries[0].Name != theirs {
		t.Errorf("%q", names(r.Entries))
	}
}

// TestTrimmed holds that what is trimmed is counted, and read whole again on demand.
func TestTrimmed(t *testing.T) {
	d := newDesk(t)
	d.leave(d.audit(nil, nil), d.agent)
	e := d.read().Entries[0]
	want := *e.Audit
	e.trim()
	if a := e.Audit; !e.Trimmed || a.MoreDamaged != 5+2 || a.Omitted != 2+2 || a.MoreSources != 1+2 || a.Heads != nil || a.Coverage != want.Coverage {
		t.Errorf("%+v", a)
	}
	whole, stored, err := Load(t.Context(), d.open(), e)
	if err != nil || whole.Trimmed || !reflect.DeepEqual(*whole.Audit, want) || whole.Hash != e.Hash || whole.Name != e.Name || sha256.Sum256(stored) != e.Hash {
		t.Errorf("%+v, %v", whole, err)
	}
	// What was overwritten is read from beneath; what is gone is damage.
	d.store.Set(e.Name, []byte("other bytes"))
	if _, _, err := Load(t.Context(), d.open(), e); err != nil {
		t.Error(err)
	}
	gone := *e
	gone.Name = Name(d.agent.ID(), 9)
	if _, _, err := Load(t.Context(), d.open(), &gone); err == nil {
		t.Error("a report was read that is not there")
	}
	gone = *e
	gone.Hash = sum("other")
	var damage *vault.DamageError
	if _, _, err := Load(t.Context(), d.open(), &gone); !errors.As(err, &damage) {
		t.Error(err)
	}
}

// TestFind holds what means which report, and that what means several, or none, is said.
func TestFind(t *testing.T) {
	d := newDesk(t)
	if _, err := Find(d.read(), Latest); !errors.Is(err, ErrNoReport) {
		t.Error(err)
	}
	drill := d.leave(d.drill(1), d.owner)
	d.commit(d.agent)
	if e, err := Find(d.read(), Latest); err != nil || e.Name != drill {
		t.Error(e, err)
	}
	a := d.leave(d.audit(nil, nil), d.agent)
	d.leave(d.drill(2), d.owner)
	s := d.read()
	e, err := Find(s, Latest)
	if err != nil || e.Name != a {
		t.Fatal(e, err)
	}
	for _, id := range []string{a, d.agent.ID() + "/2", d.agent.ID() + "/0000000002", e.Hash.String(), e.Hash.String()[:8], " " + a + "\n"} {
		if got, err := Find(s, id); err != nil || got != e {
			t.Errorf("%q: %v, %v", id, got, err)
		}
	}
	for _, id := range []string{"", "x", e.Hash.String()[:7], strings.ToUpper(e.Hash.String()), e.Hash.String() + "0", d.agent.ID() + "/0", d.agent.ID() + "/99999999999", "abc/1", a + "/1", "../../x"} {
		if got, err := Find(s, id); err == nil {
			t.Errorf("%q: %+v", id, got)
		}
	}
	if _, err := Find(s, d.agent.ID()+"/9"); !errors.Is(err, ErrNoReport) {
		t.Error(err)
	}
	twin := *e
	twin.Name, twin.Hash[31] = "twin", twin.Hash[31]+1
	s.Entries = append(s.Entries, &twin)
	if _, err := Find(s, e.Hash.String()[:8]); err == nil || !strings.Contains(err.Error(), "more digits") {
		t.Error(err)
	}
}

// TestLate holds that nothing is placed that no reader would let count: a time before that of the report before it.
func TestLate(t *testing.T) {
	d := newDesk(t)
	d.leave(d.audit(nil, nil), d.agent)
	last := d.now
	a := d.audit(nil, nil)
	a.Time, a.Started = last.Add(-1), last.Add(-2)
	var late *LateError
	if name, _, err := Place(t.Context(), d.open(), a, d.agent); !errors.As(err, &late) || !late.Last.Equal(last) {
		t.Error(name, err)
	}
	prev, err := Last(t.Context(), d.open(), d.agent.ID())
	must(t, prev, err)
	a.Prev = prev
	stored, err := Sign(d.open(), a, d.agent)
	must(t, stored, err)
	if name, _, err := PlaceSigned(t.Context(), d.open(), stored); !errors.As(err, &late) {
		t.Error(name, err)
	}
	a.Time = last
	d.leave(a, d.agent)
	if s := d.read(); s.Counted != 2 {
		t.Errorf("%d count", s.Counted)
	}
}
