package report

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"farshore/agent/vault"
	"farshore/providers"
)

// TestFloodOfStrangers fills the room with names of signers that nobody named, on both sides of the true ones: as many as are listed, and more. The true reports are read, and the
// flood is told.
func TestFloodOfStrangers(t *testing.T) {
	d := newDesk(t)
	theirs, mine := d.leave(d.audit(nil, nil), d.auditor), d.leave(d.audit(nil, nil), d.owner)
	for i := range maxNames + 10 {
		d.store.Set(Name(strings.Repeat("0", signerDigits), int64(i+1)), nil)
	}
	d.store.Set(Name(strings.Repeat("f", signerDigits), 1), nil)
	s, err := Read(t.Context(), d.open())
	must(t, s, err)
	got := names(s.Entries)
	slices.Sort(got)
	want := []string{theirs, mine}
	slices.Sort(want)
	if !slices.Equal(got, want) || s.LastAudit(d.auditor.ID()) == nil {
		t.Errorf("%q count, and there are %q", got, want)
	}
	if !slices.ContainsFunc(s.Findings, func(f vault.Finding) bool {
		return f.Severity == vault.Tampering && strings.Contains(f.Text, fmt.Sprintf("more than %d objects", maxNames))
	}) {
		t.Errorf("%v", s.Findings)
	}
}

// TestStrangersBeside counts each name that is nobody's once, wherever it lies among the true ones.
func TestStrangersBeside(t *testing.T) {
	d := newDesk(t)
	d.leave(d.audit(nil, nil), d.auditor)
	d.leave(d.audit(nil, nil), d.owner)
	d.leave(d.audit(nil, nil), d.agent)
	for _, digit := range "0123456789abcdef" {
		id := strings.Repeat(string(digit), signerDigits)
		d.store.Set(Name(id, 1), []byte("x"))
		d.store.Set(Name(id, 2), []byte("x"))
		d.store.Set(Room+id, []byte("x"))
	}
	s, err := Read(t.Context(), d.open())
	must(t, s, err)
	if len(s.Entries) != 3 || len(s.Findings) != 17 || !strings.Contains(s.Findings[16].Text, "16 objects whose names are not") {
		t.Errorf("%d entries, %v", len(s.Entries), s.Findings)
	}
}

// TestFloodedWithBytes stops reading a signer's reports when they have more bytes than are read of one.
func TestFloodedWithBytes(t *testing.T) {
	d := newDesk(t)
	s := &shelf{v: d.open(), keeps: true, Shelf: Shelf{last: map[string]*Entry{}}}
	take := func(seq int64) {
		n := providers.Name{Info: providers.Info{Name: Name(d.agent.ID(), seq)}, Versions: 1}
		if err := s.take(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
	take(1)
	s.spent.Store(maxReadBytes + 1)
	take(2)
	take(3)
	if len(s.batch) != 1 || !s.flooded || len(s.Findings) != 1 {
		t.Errorf("%d would be read, %v", len(s.batch), s.Findings)
	}
	if _, err := laneOf(t.Context(), d.open(), d.agent.ID(), [32]byte{}); err != nil {
		t.Error(err)
	}
}
