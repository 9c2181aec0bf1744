package report

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"farshore/agent/record"
	"farshore/agent/vault"
	"farshore/crypto/seal"
	"farshore/crypto/sign"
	"farshore/providers"
	"farshore/providers/mem"
)

// desk is a vault in memory with an owner, an agent and an auditor.
type desk struct {
	t                     *testing.T
	store                 *mem.Versioned
	bucket                *providers.Bucket
	owner, agent, auditor sign.PrivateKey
	id                    string
	now                   time.Time
}

func must[T any](t *testing.T, v T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// key makes a signing key.
func key(t *testing.T) sign.PrivateKey {
	t.Helper()
	k, err := sign.Generate()
	return must(t, k, err)
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{t: t, store: mem.NewVersioned(), owner: key(t), agent: key(t), auditor: key(t), now: time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC)}
	d.bucket = providers.New(d.store, providers.Options{Attempts: 1})
	_, recovery, err := seal.GenerateX25519()
	must(t, "", err)
	_, metadata, err := seal.GenerateX25519()
	must(t, "", err)
	d.id, err = vault.Create(t.Context(), d.bucket, vault.CreateOptions{
		Owner: d.owner, Recovery: []string{recovery}, Metadata: metadata, Agent: d.agent.Public(), Time: d.now,
	})
	must(t, "", err)
	d.state(func(st *record.Statement) {
		st.Signers = append(st.Signers, record.Signer{ID: d.auditor.ID(), Algorithm: sign.Algorithm, Key: d.auditor.Public().String(), Roles: []string{record.RoleAuditor}, Sources: []string{"*"}})
	})
	return d
}

// state places a next statement by the owner.
func (d *desk) state(change func(*record.Statement)) {
	d.t.Helper()
	v := d.open()
	all := v.Statements()
	last := all[len(all)-1]
	st := *last.Statement
	st.Signers = append([]record.Signer{}, st.Signers...)
	st.N, st.Prev, st.Time = st.N+1, &last.Hash, d.now
	change(&st)
	body, err := record.EncodeStatement(&st)
	must(d.t, "", err)
	stored, err := sign.Envelope(sign.KindStatement, d.id, body, d.owner)
	must(d.t, "", err)
	d.store.Set(record.StatementName(st.N, sha256.Sum256(stored)), stored)
}

func (d *desk) open() *vault.Vault {
	d.t.Helper()
	pub := d.owner.Public()
	v, err := vault.Open(d.t.Context(), d.bucket, vault.Options{Owner: &pub})
	return must(d.t, v, err)
}

// drill is a header drill of so many packs, an hour after the one before it.
func (d *desk) drill(drawn int64) *HeaderDrill {
	d.now = d.now.Add(time.Hour)
	return &HeaderDrill{Vault: must2(record.ParseHash(d.id)), Time: d.now, Statement: 2, Recovery: 1, Population: 100, Drawn: drawn, Opened: drawn}
}

func must2(h record.Hash, err error) record.Hash {
	if err != nil {
		panic(err)
	}
	return h
}

// place places a drill that must be placed.
func (d *desk) place(h *HeaderDrill, k sign.PrivateKey) string {
	d.t.Helper()
	name, stored, err := Place(d.t.Context(), d.open(), h, k)
	must(d.t, name, err)
	if !bytes.Equal(d.store.Objects()[name], stored) {
		d.t.Fatalf("%s does not hold what was signed", name)
	}
	return name
}

// read reads the reports, and holds the findings to the texts given, one each.
func (d *desk) read(findings ...string) *Shelf {
	d.t.Helper()
	s, err := Read(d.t.Context(), d.open())
	must(d.t, s, err)
	for i, f := range s.Findings {
		if i >= len(findings) || !strings.Contains(string(f.Severity)+" "+f.Object+" "+f.Text, findings[i]) {
			d.t.Errorf("finding %d: %+v", i, f)
		}
	}
	if len(s.Findings) < len(findings) {
		d.t.Errorf("%d findings, wanted %q", len(s.Findings), findings)
	}
	return s
}

// newest holds the shelf's newest drill to have drawn so many, by that role.
func (d *desk) newest(s *Shelf, drawn int64, role string) {
	d.t.Helper()
	if s.Drill == nil || s.Drill.Drill.Drawn != drawn || s.Drill.Role != role {
		d.t.Fatalf("%+v", s.Drill)
	}
}

// TestPlaceAndRead holds that reports are numbered and chained by signer, and that the newest counts.
func TestPlaceAndRead(t *testing.T) {
	d := newDesk(t)
	if s := d.read(); s.Drill != nil || s.Counted != 0 {
		t.Fatalf("%+v", s)
	}
	first := d.place(d.drill(1), d.owner)
	if first != Name(d.owner.ID(), 1) {
		t.Error(first)
	}
	second := d.drill(2)
	if name := d.place(second, d.owner); name != Name(d.owner.ID(), 2) || second.Prev == nil || *second.Prev != record.Hash(sha256.Sum256(d.store.Objects()[first])) {
		t.Error(name, second.Prev)
	}
	s := d.read()
	d.newest(s, 2, RoleOwner)
	d.place(d.drill(3), d.auditor)
	s = d.read()
	if d.newest(s, 3, RoleAuditor); s.Counted != 3 || s.Drill.Signer != d.auditor.ID() {
		t.Errorf("%+v", s)
	}
}

// TestNotEntitled holds that neither agents nor strangers get a drill on record.
func TestNotEntitled(t *testing.T) {
	d := newDesk(t)
	stranger := key(t)
	for _, k := range []sign.PrivateKey{d.agent, stranger} {
		if _, _, err := Place(t.Context(), d.open(), d.drill(1), k); !errors.Is(err, ErrNotEntitled) {
			t.Errorf("%v", err)
		}
	}
	d.place(d.drill(4), d.owner)
	forged := func(k sign.PrivateKey, dir string, seq int64) {
		body, err := EncodeHeaderDrill(d.drill(9))
		must(t, body, err)
		stored, err := sign.Envelope(sign.KindReport, d.id, body, k)
		must(t, stored, err)
		d.store.Set(Name(dir, seq), stored)
	}
	forged(d.agent, d.agent.ID(), 1)
	forged(stranger, stranger.ID(), 1)
	forged(stranger, stranger.ID(), 2)
	forged(stranger, d.owner.ID(), 2)
	d.store.Set("reports/canary/x1", []byte("probe"))
	d.store.Set("reports/junk", []byte("junk"))
	s, err := Read(t.Context(), d.open())
	must(t, s, err)
	d.newest(s, 4, RoleOwner)
	text := fmt.Sprint(s.Findings)
	for _, want := range []string{"key " + d.agent.ID() + ", type \"header-drill\"", stranger.ID() + "/ the owner never named this key: what it has here, 2 objects", Name(d.owner.ID(), 2) + " ignored", "1 objects whose names are not those of reports"} {
		if !strings.Contains(text, want) {
			t.Errorf("no finding has %q: %s", want, text)
		}
	}
	if len(s.Findings) != 4 {
		t.Errorf("%d findings", len(s.Findings))
	}
}

// TestSquatted holds that numbers that others took, now or later, keep nobody from placing.
func TestSquatted(t *testing.T) {
	d := newDesk(t)
	for _, seq := range []int64{1, 2, 4, maxSeq} {
		d.store.Set(Name(d.owner.ID(), seq), []byte("squatter"))
	}
	for i, want := range []int64{3, 5, 6} {
		if name := d.place(d.drill(int64(i)+1), d.owner); name != Name(d.owner.ID(), want) {
			t.Error(name)
		}
	}
	s, err := Read(t.Context(), d.open())
	must(t, s, err)
	d.newest(s, 3, RoleOwner)
	if len(s.Findings) != 4 || s.Counted != 3 {
		t.Errorf("%+v", s)
	}
}

// TestHistory holds what hides a report to be seen through, and what replaces or removes one to be said.
func TestHistory(t *testing.T) {
	d := newDesk(t)
	one, two := d.place(d.drill(1), d.owner), d.place(d.drill(2), d.owner)
	three := d.place(d.drill(3), d.owner)
	old := d.store.Objects()[one]
	d.store.Set(two, []byte("other bytes"))
	d.store.Hide(three)
	s := d.read("tampering "+two, "tampering "+three)
	d.newest(s, 3, RoleOwner)
	d.store.Set(Name(d.owner.ID(), 4), old) // replayed
	if s = d.read("tampering "+two, "tampering "+three, "ignored: its time"); s.Counted != 3 {
		t.Error(s.Counted)
	}
	// A report placed behind a replayed one goes on from the right one.
	d.place(d.drill(5), d.owner)
	d.newest(d.read("tampering "+two, "tampering "+three, "ignored: its time"), 5, RoleOwner)
}

// TestRemoved holds that a report that is gone is missed by the one behind it.
func TestRemoved(t *testing.T) {
	d := newDesk(t)
	d.place(d.drill(1), d.owner)
	two := d.place(d.drill(2), d.owner)
	d.place(d.drill(3), d.owner)
	h, err := d.bucket.History(t.Context(), two)
	must(t, h, err)
	d.store.RemoveVersion(two, h.ID)
	d.newest(d.read("damage "+Name(d.owner.ID(), 3)+" the report before it"), 3, RoleOwner)
}

// TestRetiredAuditor holds that reports count as of the time in which the owner named their key, whoever signs an old time later.
func TestRetiredAuditor(t *testing.T) {
	d := newDesk(t)
	d.place(d.drill(1), d.auditor)
	d.now = d.now.Add(time.Minute)
	d.state(func(st *record.Statement) { st.Signers = st.Signers[:1] })
	d.newest(d.read(), 1, RoleAuditor)
	late := d.drill(2)
	if _, _, err := Place(t.Context(), d.open(), late, d.auditor); !errors.Is(err, ErrNotEntitled) {
		t.Error(err)
	}
}

// TestOtherVault holds that a report of one vault is none of another.
func TestOtherVault(t *testing.T) {
	d := newDesk(t)
	stored, err := Sign(d.open(), d.drill(1), d.owner)
	must(t, stored, err)
	e := newDesk(t)
	if _, _, err := PlaceSigned(t.Context(), e.open(), stored); !errors.Is(err, ErrNotEntitled) {
		t.Error(err)
	}
	foreign := d.drill(1)
	foreign.Vault = sum("another")
	if _, err := Sign(d.open(), foreign, d.owner); err == nil || !strings.Contains(err.Error(), "another vault") {
		t.Error(err)
	}
	body, err := Encode(foreign)
	must(t, body, err)
	if stored, err = sign.Envelope(sign.KindReport, d.id, body, d.owner); err != nil {
		t.Fatal(err)
	}
	if _, _, err := PlaceSigned(t.Context(), d.open(), stored); err == nil || !strings.Contains(err.Error(), "another vault") {
		t.Error(err)
	}
	for _, junk := range [][]byte{nil, []byte("{}"), stored[:len(stored)-1], append(bytes.Clone(stored), '\n'), bytes.Replace(stored, []byte(`"drawn":1`), []byte(`"drawn":2`), 1)} {
		if _, _, err := PlaceSigned(t.Context(), d.open(), junk); err == nil {
			t.Errorf("%.40q was placed", junk)
		}
	}
}

// TestPlaceSigned holds that placing twice is placing once, and that a report which another overtook is refused.
func TestPlaceSigned(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	early, err := Sign(d.open(), d.drill(1), d.owner)
	must(t, early, err)
	late, err := Sign(d.open(), d.drill(2), d.owner)
	must(t, late, err)
	name, existed, err := PlaceSigned(ctx, d.open(), early)
	if err != nil || existed {
		t.Fatal(name, existed, err)
	}
	if again, existed, err := PlaceSigned(ctx, d.open(), early); again != name || !existed || err != nil {
		t.Error(again, existed, err)
	}
	if _, _, err := PlaceSigned(ctx, d.open(), late); !errors.Is(err, ErrOutdated) {
		t.Error(err)
	}
}

// TestRace has many place at the same time: all are on record, in one chain.
func TestRace(t *testing.T) {
	d := newDesk(t)
	v := d.open()
	const many = 4
	var wg sync.WaitGroup
	errs := make([]error, many)
	at := d.now
	for i := range many {
		wg.Add(1)
		go func() {
			defer wg.Done()
			h := &HeaderDrill{Vault: must2(record.ParseHash(d.id)), Time: at, Statement: 2, Recovery: 1, Population: 100, Drawn: int64(i) + 1, Opened: int64(i) + 1}
			_, _, errs[i] = Place(context.Background(), v, h, d.owner)
		}()
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	if s := d.read(); s.Counted != many {
		t.Errorf("%d are on record", s.Counted)
	}
}

// TestUnknownType holds that a report of a later version is counted, and chained, and otherwise left alone.
func TestUnknownType(t *testing.T) {
	d := newDesk(t)
	d.now = d.now.Add(time.Hour)
	put := func(k sign.PrivateKey) {
		stored, err := sign.Envelope(sign.KindReport, d.id, []byte(`{"type":"later","time":"`+record.FormatTime(d.now)+`"}`), k)
		must(t, stored, err)
		body := io.NewSectionReader(bytes.NewReader(stored), 0, int64(len(stored)))
		_, _, err = d.bucket.Create(t.Context(), Name(k.ID(), 1), body, sha256.Sum256(stored))
		must(t, "", err)
	}
	put(d.owner)
	put(d.agent)
	if s := d.read(); s.Drill != nil || s.Counted != 2 {
		t.Errorf("%+v", s)
	}
	h := d.drill(1)
	d.place(h, d.owner)
	if h.Prev == nil {
		t.Error("it does not follow the one before it")
	}
	d.newest(d.read(), 1, RoleOwner)
}
