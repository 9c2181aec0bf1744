package record

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestEncodersRefuse holds that no encoder writes what its decoder would refuse.
func TestEncodersRefuse(t *testing.T) {
	root := func(spoil func(*Root)) func() ([]byte, error) {
		return func() ([]byte, error) {
			r := &Root{Ranges: []RootRange{{}}}
			spoil(r)
			return EncodeRoot(r)
		}
	}
	statement := func(spoil func(*Statement)) func() ([]byte, error) {
		return func() ([]byte, error) {
			s := firstStatement(t)
			spoil(s)
			return EncodeStatement(s)
		}
	}
	commit := func(spoil func(*Commit)) func() ([]byte, error) {
		return func() ([]byte, error) {
			c := *commitValues(t)["commit/first.json"].(*Commit)
			spoil(&c)
			return EncodeCommit(&c)
		}
	}
	for _, c := range []struct {
		want   string
		encode func() ([]byte, error)
	}{
		{"do not cover all paths", root(func(r *Root) { r.Ranges = nil })},
		{"do not cover all paths", root(func(r *Root) { r.Ranges[0].To = "a" })},
		{"1025 ranges are more than 1024", root(func(r *Root) { r.Ranges = manyRanges(1025) })},
		{"not UTF-8", root(func(r *Root) { r.Source.Name = "\xff" })},
		{"keys: names nothing", root(func(r *Root) { r.Keys.Size = 1 })},
		{"table 1: 67108865 is not between", root(func(r *Root) { r.Tables = []Ref{ref("t", 67108865)} })},
		{"state 1: names nothing", root(func(r *Root) { r.States = []StateRef{{}} })},
		{"page 1 of ranges: names nothing", root(func(r *Root) { r.Ranges, r.Pages = nil, []RootPage{{}} })},
		{"segment 1: names nothing", root(func(r *Root) { r.Ranges[0].Segments = []Stacked{{}} })},
		{"domain \"x\"", func() ([]byte, error) { return EncodeKeys([]DomainKeys{{Domain: "x"}}) }},
		{"id \"\"", func() ([]byte, error) { return EncodeKeys([]DomainKeys{{Domain: half("c")}}) }},
		{"line 1", func() ([]byte, error) { return EncodeState("", [][]byte{[]byte("a\nb")}) }},
		{"not UTF-8", func() ([]byte, error) { return EncodeState("\xff", nil) }},
		{"statement: n: 0", statement(func(s *Statement) { s.N = 0 })},
		{"format", statement(func(s *Statement) { s.Format = 0 })},
		{"time: is no time", statement(func(s *Statement) { s.Time = time.Time{} })},
		{"time: is no time", statement(func(s *Statement) { s.Time = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) })},
		{"frame_size", statement(func(s *Statement) { s.Parameters.FrameSize = 0 })},
		{"not UTF-8", statement(func(s *Statement) { s.Note = "\xff" })},
		{"prune[0].since: is no time", statement(func(s *Statement) { s.Prune = []Prune{{List: ref("l", 1)}} })},
		{"remap[0]: names nothing", statement(func(s *Statement) { s.Remap = []Ref{{}} })},
		{"revoked[0]: commit is the zero hash", statement(func(s *Statement) { s.Revoked = []Revocation{{Commit: &Hash{}}} })},
		{"commit: chain", commit(func(c *Commit) { c.Chain = "" })},
		{"statement is missing", commit(func(c *Commit) { c.Statement = Hash{} })},
		{"root or list: names nothing", commit(func(c *Commit) { c.Root = &Ref{} })},
		{"packs[2]: " + sum("pack a").String() + " is given twice", commit(func(c *Commit) { c.Packs = append(c.Packs[:2:2], packA()) })},
		{"has 67", commit(func(c *Commit) { c.Suspicious = []string{strings.Repeat("x", 64<<20)} })},
		{"counts: -1", commit(func(c *Commit) { c.Counts.New = -1 })},
	} {
		b, err := c.encode()
		if err == nil || b != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.80s, %v: should say %q", b, err, c.want)
		}
	}
}

func manyRanges(n int) []RootRange {
	list := make([]RootRange, n)
	for i := 1; i < n; i++ {
		list[i].From = fmt.Sprintf("%06d", i)
		list[i-1].To = list[i].From
	}
	return list
}

// TestManyRanges holds that a page takes more ranges than a root.
func TestManyRanges(t *testing.T) {
	got, err := DecodeRanges(EncodeRanges(manyRanges(5000)))
	if err != nil || len(got) != 5000 {
		t.Errorf("%d ranges, %v", len(got), err)
	}
}

// TestSplits holds that splits which JSON can't say are left out.
func TestSplits(t *testing.T) {
	b, err := EncodeRoot(&Root{Ranges: []RootRange{{Splits: []string{"a", "\xff", "", "b"}}}})
	if err != nil || !strings.Contains(string(b), `"splits":["a","b"]}`) {
		t.Errorf("%s, %v", b, err)
	}
}

func TestSigner(t *testing.T) {
	from, until := at3339(t, "2026-01-01T00:00:00Z"), at3339(t, "2027-01-01T00:00:00Z")
	st := &Statement{Signers: []Signer{{ID: "a"}, {ID: "b", Roles: []string{RoleAgent}, Sources: []string{"photos"}, From: from, Until: until}}}
	if st.Signer("c") != nil || st.Signer("b") != &st.Signers[1] {
		t.Error("the wrong signer was found")
	}
	a, b := st.Signer("a"), st.Signer("b")
	if a.RolesHas(RoleAgent) || !b.RolesHas(RoleAgent) || b.RolesHas(RoleSteward) {
		t.Error("roles")
	}
	if a.SourcesHas("photos") || !b.SourcesHas("photos") || b.SourcesHas("other") || !(&Signer{Sources: []string{"*"}}).SourcesHas("other") {
		t.Error("sources")
	}
	for at, want := range map[time.Time]bool{
		from: true, from.Add(-1): false, until: false, until.Add(-1): true,
	} {
		if b.Covers(at) != want || !a.Covers(at) {
			t.Errorf("%s", FormatTime(at))
		}
	}
}

func TestFormatTime(t *testing.T) {
	zone := time.FixedZone("", 3600)
	for want, v := range map[string]time.Time{
		"2026-11-21T19:10:54Z":           time.Date(2026, 11, 21, 20, 10, 54, 0, zone),
		"2026-11-21T19:10:54.5Z":         time.Date(2026, 11, 21, 19, 10, 54, 500_000_000, time.UTC),
		"2026-11-21T19:10:54.000000001Z": time.Date(2026, 11, 21, 19, 10, 54, 1, time.UTC),
	} {
		if got := FormatTime(v); got != want {
			t.Errorf("%s in place of %s", got, want)
		}
		if got, err := parseTime(want); err != nil || !got.Equal(v) {
			t.Errorf("%s: %v, %v", want, got, err)
		}
	}
}
