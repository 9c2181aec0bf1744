package report

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"farshore/agent/record"
	"farshore/agent/vault"
	"farshore/crypto/sign"
	"farshore/providers"
	"farshore/providers/mem"
)

// keeping is a store that does not give some names, nor any version of them: they are stored under a key that no reader has.
type keeping struct {
	*mem.Versioned
	kept func(name string) bool
}

func (k *keeping) refuse(name string) error {
	if k.kept(name) {
		return &providers.Error{Kind: providers.Denied, Op: "read", Name: name, Err: errors.New("not for you")}
	}
	return nil
}

// Open refuses what is kept back.
func (k *keeping) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	if err := k.refuse(name); err != nil {
		return nil, err
	}
	return k.Versioned.Open(ctx, name, off, n)
}

// OpenVersion refuses what is kept back.
func (k *keeping) OpenVersion(ctx context.Context, name, id string, off, n int64) (io.ReadCloser, error) {
	if err := k.refuse(name); err != nil {
		return nil, err
	}
	return k.Versioned.OpenVersion(ctx, name, id, off, n)
}

// TestWithheldReport takes a number with what no reader is given: the reports before and behind it are read, and a next one is placed. A reader who may not read
// reports at all is told so.
func TestWithheldReport(t *testing.T) {
	d := newDesk(t)
	d.place(d.drill(5), d.auditor)
	squat := Name(d.auditor.ID(), 2)
	d.store.Set(squat, []byte("junk"))
	d.bucket = providers.New(&keeping{d.store, func(name string) bool { return name == squat }}, providers.Options{Attempts: 1})
	name := d.place(d.drill(7), d.auditor)
	s, err := Read(t.Context(), d.open())
	must(t, s, err)
	if s.Drill == nil || s.Drill.Name != name || s.Counted != 2 {
		t.Errorf("%+v", s)
	}
	if len(s.Findings) != 1 || s.Findings[0].Severity != vault.Damage || s.Findings[0].Object != squat || !strings.Contains(s.Findings[0].Text, "not for you") {
		t.Errorf("%v", s.Findings)
	}
	d.bucket = providers.New(&keeping{d.store, func(name string) bool { return strings.HasPrefix(name, Room) }}, providers.Options{Attempts: 1})
	if s, err := Read(t.Context(), d.open()); providers.KindOf(err) != providers.Denied {
		t.Errorf("%+v, %v", s, err)
	}
}

// TestFloodedLane fills what one key may write: the reports of the others are read.
func TestFloodedLane(t *testing.T) {
	d := newDesk(t)
	for d.agent.ID() > d.owner.ID() || d.agent.ID() > d.auditor.ID() {
		d = newDesk(t)
	}
	mine, theirs := d.place(d.drill(5), d.owner), d.place(d.drill(6), d.auditor)
	for i := range int64(maxRead + 10) {
		d.store.Set(Name(d.agent.ID(), i+1), []byte("junk"))
	}
	s, err := Read(t.Context(), d.open())
	must(t, s, err)
	if s.Counted != 2 || s.Drill == nil || s.Drill.Name != theirs {
		t.Errorf("%d reports count, of %s and %s: %+v", s.Counted, mine, theirs, s.Drill)
	}
	if len(s.Findings) != maxFindings {
		t.Errorf("%d findings", len(s.Findings))
	}
}

// TestDiligentAuditor has an auditor leave more reports than junk would be read of: all count, and he goes on.
func TestDiligentAuditor(t *testing.T) {
	d := newDesk(t)
	c := &Commitment{Vault: must2(record.ParseHash(d.id)), Statement: 2, Seed: sum("seed")}
	for i := range int64(maxRead + 10) {
		d.now = d.now.Add(time.Second)
		c.Time = d.now
		body, err := Encode(c)
		must(t, body, err)
		stored, err := sign.Envelope(sign.KindReport, d.id, body, d.auditor)
		must(t, stored, err)
		d.store.Set(Name(d.auditor.ID(), i+1), stored)
		hash := record.Hash(sha256.Sum256(stored))
		c.Prev = &hash
	}
	name := d.leave(d.audit(nil, c.Prev), d.auditor)
	if s := d.read(fmt.Sprintf("notice %s%s/ ", Room, d.auditor.ID())); s.Counted != maxRead+11 || s.LastAudit(d.auditor.ID()).Name != name {
		t.Errorf("%d count, and the last is not %s", s.Counted, name)
	}
}
