package items

import (
	"bytes"
	"math"
	"slices"
	"testing"

	"farshore/agent/record"
)

// lying returns n small items, of which each lies in the unit of its pack that at says.
func lying(n int, at func(i int) (pack byte, unit int64)) (due []*item) {
	for i := range n {
		pack, unit := at(i)
		e := record.Extent{Pack: record.Ref{Name: record.Hash{pack}}, Offset: unit*readUnit + int64(i%64)*4096, Length: 4096}
		due = append(due, &item{rec: &record.Record{Parts: []record.Part{{Size: e.Length, Extents: []record.Extent{e}}}}})
	}
	return due
}

// windows returns how many items each window has.
func windows(due []*item) (sizes []int) {
	for spent := int64(0); len(due) > 0; {
		n, cost := window(due, spent)
		sizes = append(sizes, n)
		due, spent = due[n:], plus(spent, cost)
	}
	return sizes
}

// TestWindow holds that items which share their units are dealt with at once, that those which don't are dealt with in windows which grow as what they cost does, and that sizes nobody can have
// hang nothing.
func TestWindow(t *testing.T) {
	if got := windows(lying(10_000, func(i int) (byte, int64) { return byte(i % 2), int64(i*7919) % 20 })); len(got) != 1 {
		t.Errorf("small items of 40 units: windows of %v", got)
	}
	got := windows(lying(8000, func(i int) (byte, int64) { return byte(i % 7), int64(i) }))
	before := 0
	for i, n := range got {
		if n > max(2*firstWindow, before) || n < firstWindow && i < len(got)-1 {
			t.Errorf("items of a unit each: %d behind %d", n, before)
		}
		before += n
	}
	if before != 8000 || len(got) < 4 || len(got) > 6 {
		t.Errorf("items of a unit each: windows of %v", got)
	}
	// All of one unit, whose bytes are hashed again and again: not all of them are lost with the first window.
	if got := windows(lying(1<<20, func(int) (byte, int64) { return 1, 1 })); len(got) < 5 {
		t.Errorf("a million items of one unit: windows of %v", got)
	}
	odd := []*item{{}, {rec: &record.Record{}}}
	for range 3 * firstWindow {
		part := record.Part{Size: 1<<53 - 1, Extents: []record.Extent{{Length: math.MaxInt64}, {Offset: math.MaxInt64, Length: math.MaxInt64}}}
		odd = append(odd, &item{rec: &record.Record{Parts: []record.Part{part, {Size: 1<<53 - 1}}}})
	}
	if got := windows(odd); got[0] < firstWindow {
		t.Errorf("sizes without end: windows of %v", got)
	}
}

// TestInWindows holds that each window's items, and no others, are in the order in which they lie, and that sorting them costs no memory for each comparison.
func TestInWindows(t *testing.T) {
	const n = 8000
	due := lying(n, func(i int) (byte, int64) { return byte(i * 7919 % 5), int64(i) * 104729 % n })
	due[17], due[n-1] = &item{}, &item{rec: &record.Record{Parts: []record.Part{{Inline: "x"}}}}
	before := slices.Clone(due)
	inWindows(due)
	at := 0
	for _, n := range windows(slices.Clone(before)) {
		want := map[*item]bool{}
		for _, it := range before[at:][:n] {
			want[it] = true
		}
		var last record.Extent
		for i, it := range due[at:][:n] {
			e := it.first()
			if c := bytes.Compare(last.Pack.Name[:], e.Pack.Name[:]); c > 0 || c == 0 && last.Offset > e.Offset {
				t.Fatalf("item %d of the window at %d lies before the one before it", i, at)
			}
			last = e
			delete(want, it)
		}
		if len(want) > 0 {
			t.Fatalf("%d items left the window at %d", len(want), at)
		}
		at += n
	}
	if n := testing.AllocsPerRun(1, func() { asTheyLie(slices.Clone(before)) }); n > 10 {
		t.Errorf("sorting takes %v allocations", n)
	}
}
