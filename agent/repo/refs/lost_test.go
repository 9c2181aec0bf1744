package refs

import (
	"slices"
	"testing"
)

// TestLost writes and reads counts, and takes nothing else for some.
func TestLost(t *testing.T) {
	for _, l := range []Lost{{}, {Heads: 1, Of: 3}, {1, 2, 3, 4, 5}} {
		if got := ParseLost(l.String()); got != l {
			t.Errorf("%+v is read as %+v", l, got)
		}
	}
	for _, bad := range []string{"1", "1 2 3 4", "a b c d e", "-1 0 0 0 0", "9007199254740992 0 0 0 0", "99999999999999999999 0 0 0 0"} {
		if got := ParseLost(bad); got != (Lost{}) {
			t.Errorf("%q is read as %+v", bad, got)
		}
	}
	if got := (Lost{1, 2, 3, 4, 50}).And(Lost{1, 1, 1, 1, 40}); got != (Lost{2, 3, 4, 5, 40}) {
		t.Errorf("added up to %+v", got)
	}
}

// TestMoves finds branches and tags that are not as they were, and no others.
func TestMoves(t *testing.T) {
	before := &Manifest{Format: SHA1, Refs: []Ref{
		{Name: "refs/heads/gone", OID: "1"}, {Name: "refs/heads/moved", OID: "2"}, {Name: "refs/heads/same", OID: "3"}, {Name: "refs/heads/name", OID: "2", Symref: "refs/heads/moved"},
		{Name: "refs/pull/1/merge", OID: "4"}, {Name: "refs/tags/t", OID: "5"},
	}}
	now := &Manifest{Format: SHA1, Refs: []Ref{{Name: "refs/heads/moved", OID: "9"}, {Name: "refs/heads/new", OID: "8"}, {Name: "refs/heads/same", OID: "3"}, {Name: "refs/tags/t", OID: "6"}}}
	moves, of := Moves(before, now)
	want := []Move{{"refs/heads/gone", "1", ""}, {"refs/heads/moved", "2", "9"}, {"refs/tags/t", "5", "6"}}
	if of != 4 || !slices.Equal(moves, want) {
		t.Errorf("got %v of %d", moves, of)
	}
}
