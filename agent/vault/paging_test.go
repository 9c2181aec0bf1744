package vault

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"farshore/agent/internal/state"
	"farshore/agent/record"
)

// manyRanges are n ranges with a segment of their own each, and the lists that know those.
func manyRanges(w *Writer, n int) []record.RootRange {
	out := make([]record.RootRange, n)
	for i := range out {
		if i > 0 {
			out[i].From = fmt.Sprintf("k%06d", i)
			out[i-1].To = out[i].From
		}
		out[i].Segments = []record.Stacked{segmentOf(w, uint64(i))}
	}
	return out
}

// segmentOf invents a segment. Nobody looks whether it is stored.
func segmentOf(w *Writer, n uint64) record.Stacked {
	name := sha256.Sum256(binary.BigEndian.AppendUint64(nil, n))
	ref := record.Ref{Name: name, Size: 1000}
	w.lists[name] = record.LiveSegment{Ref: ref, List: sha256.Sum256([]byte("some list"))}
	return record.Stacked{Ref: ref, Records: 7, Base: true}
}

func (b *bench) commitRanges(w *Writer, ranges []record.RootRange) (*Commit, []record.Ref) {
	b.t.Helper()
	root := *w.base.root
	root.Ranges, root.Pages = ranges, nil
	c, err := w.commitRoot(context.Background(), &root, nil, added{}, CommitInfo{Complete: true})
	must(b.t, err)
	_, meta, err := w.vault.Added(context.Background(), c)
	must(b.t, err)
	return c, meta
}

// TestManyRanges puts more ranges into a root than fit into its page, and more segments into a list than fit into it: both go to pages, and a later commit
// names again what did not change.
func TestManyRanges(t *testing.T) {
	for _, n := range []int{maxInline, maxInline + 1, maxLive, maxLive + 1, 6000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			b := newBench(t, nil)
			w, end := b.writer()
			ranges := manyRanges(w, n)
			c, _ := b.commitRanges(w, append([]record.RootRange(nil), ranges...))
			b.holds(c, ranges)
			again, meta := b.commitRanges(w, append([]record.RootRange(nil), ranges...))
			if *again.Root != *c.Root || *again.List != *c.List || len(meta) != 0 {
				t.Errorf("a commit without change wrote %d objects", len(meta))
			}
			end()

			// A new run finds all of it, and changes one range, splits another and takes one away.
			w, end = b.writer()
			ranges[n/3].Segments = []record.Stacked{segmentOf(w, 1<<40)}
			c, meta = b.commitRanges(w, append([]record.RootRange(nil), ranges...))
			b.holds(c, ranges)
			if most := 6; len(meta) > most {
				t.Errorf("one changed range of %d took %d objects, want at most %d", n, len(meta), most)
			}
			extra := ranges[n/2]
			extra.From = ranges[n/2].From + "+"
			ranges[n/2].To = extra.From
			ranges = append(ranges[:n/2+1], append([]record.RootRange{extra}, ranges[n/2+1:]...)...)
			ranges[9].To = ranges[10].To
			ranges = append(ranges[:10], ranges[11:]...)
			c, meta = b.commitRanges(w, append([]record.RootRange(nil), ranges...))
			b.holds(c, ranges)
			if most := 9; len(meta) > most {
				t.Errorf("a split and a join among %d ranges took %d objects, want at most %d", n, len(meta), most)
			}
			retired, err := w.Retire(context.Background())
			must(t, err)
			b.holds(retired, ranges)
			if *retired.Root != *c.Root || *retired.List != *c.List {
				t.Errorf("retiring wrote another root or list")
			}
			end()
		})
	}
}

// holds reads a commit back with a fresh reader.
func (b *bench) holds(c *Commit, want []record.RootRange) {
	b.t.Helper()
	ctx, v := context.Background(), b.open()
	snap, err := v.Snapshot(ctx, c)
	must(b.t, err)
	if !reflect.DeepEqual(snap.ranges, want) {
		b.t.Fatalf("commit %d: %d ranges were read back and differ from the %d", c.Seq, len(snap.ranges), len(want))
	}
	if n := len(snap.root.Pages); (n == 0) != (len(want) <= record.MaxInlineRanges) {
		b.t.Errorf("commit %d: %d ranges in %d pages", c.Seq, len(want), n)
	}
	live, err := v.Live(ctx, *c.List)
	must(b.t, err)
	list, err := v.List(ctx, c.List.Name)
	must(b.t, err)
	if lines := len(list.Segments) + len(list.Meta); lines > record.MaxInlineLive && len(list.Pages) == 0 {
		b.t.Errorf("commit %d: the list has %d live lines of its own", c.Seq, lines)
	}
	listed := map[record.Hash]bool{}
	for _, s := range live.Segments {
		if listed[s.Name] || s.List.IsZero() {
			b.t.Errorf("commit %d: segment %s is listed twice or without its list", c.Seq, s.Name)
		}
		listed[s.Name] = true
	}
	for _, r := range want {
		if !listed[r.Segments[0].Name] {
			b.t.Fatalf("commit %d: the list leaves segment %s out", c.Seq, r.Segments[0].Name)
		}
	}
	if len(listed) > len(want) {
		b.t.Errorf("commit %d: the list has %d segments, the root %d ranges", c.Seq, len(listed), len(want))
	}
}

// TestTablesAreMerged makes many small commits: tables stay few, and know every chunk.
func TestTablesAreMerged(t *testing.T) {
	b := newBench(t, tiny)
	w, end := b.writer()
	rng := rand.NewChaCha8([32]byte{1})
	var contents [][]byte
	for i := range 60 {
		c := make([]byte, 500)
		_, _ = rng.Read(c)
		contents = append(contents, c)
		b.commit(w, object(fmt.Sprintf("k%03d", i), b.part(w, c)))
		if n := len(w.base.root.Tables); n > 2*tableFan {
			t.Fatalf("%d tables after %d commits", n, i+1)
		}
	}
	end()
	b.dir += ".new" // the state is lost
	w, end = b.writer()
	defer end()
	for _, c := range contents {
		b.part(w, c)
	}
	if n, _, _ := w.Stored(); n != 0 {
		t.Errorf("%d bytes were stored again after the state was lost", n)
	}
}

// TestDamagedTableIsNoObstacle takes the chunk tables away: that costs space, and nothing else.
func TestDamagedTableIsNoObstacle(t *testing.T) {
	b := newBench(t, tiny)
	w, end := b.writer()
	var content []byte
	for i := range tableFan - 1 {
		content = bytes.Repeat([]byte{byte(i)}, 300)
		b.commit(w, object(fmt.Sprintf("k%03d", i), b.part(w, content)))
	}
	for _, table := range w.base.root.Tables {
		b.store.Remove(record.MetaName(table.Name))
	}
	end()
	var said string
	for _, lost := range []string{"", ".new"} {
		b.dir += lost
		w, end = b.writer()
		for i := range 4 {
			content = []byte(fmt.Sprint(lost, "something else ", i))
			c := b.commit(w, object("z", b.part(w, content)))
			if got := b.content(c, "z"); !bytes.Equal(got, content) {
				t.Errorf("state lost %q: %q", lost, got)
			}
		}
		said += fmt.Sprint(w.TakeNotices())
		end()
	}
	if n := strings.Count(said, "a chunk table can't be used"); n != tableFan-1 {
		t.Errorf("%d lost tables were reported, want %d: %s", n, tableFan-1, said)
	}
}

// shuffled returns two contents: one of some thousand different chunks, and one of n of those in an order in which no two neighbours are neighbours in the
// first. Where a chunk ends depends on it and on the byte behind it, so each is followed by one that begins as its first neighbour does.
func shuffled(t *testing.T, w *Writer, n int) (whole, mixed []byte) {
	t.Helper()
	whole = make([]byte, 1<<20)
	_, _ = rand.NewChaCha8([32]byte{2}).Read(whole)
	for i := range whole {
		whole[i] &= 0x3f // so that many chunks begin with the same byte, wherever the random key of the writer cuts
	}
	var chunks [][]byte
	_, err := w.cutter.Split(bytes.NewReader(whole), int64(len(whole)), func(c []byte) error {
		chunks = append(chunks, bytes.Clone(c))
		return nil
	})
	must(t, err)
	begin := map[byte][]int{} // chunks but the last, by their first byte
	for i, c := range chunks[:len(chunks)-1] {
		begin[c[0]] = append(begin[c[0]], i)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for at := 0; n > 0; n-- {
		mixed = append(mixed, chunks[at]...)
		like := begin[chunks[at+1][0]]
		if len(like) < 2 {
			t.Fatalf("of %d chunks %d begin with byte %d", len(chunks), len(like), chunks[at+1][0])
		}
		next := at + 1
		for next == at+1 {
			next = like[rng.IntN(len(like))]
		}
		at = next
	}
	return whole, mixed
}

// TestManyExtents stores contents of many extents: up to 1,024 stand in the record, more in pages of at most 16,384, which later passes keep. The numbers keep off
// the bound: the cutting key is random, and the last chunks may be others than planned.
func TestManyExtents(t *testing.T) {
	for _, n := range []int{1000, 1100, 16384, 16500, 34000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			b := newBench(t, tiny)
			w, end := b.writer()
			whole, mixed := shuffled(t, w, n)
			first := b.part(w, whole) // its packs are still on their way when the second part refers to them
			second := b.part(w, mixed)
			b.pages(&second, n)
			if stored, _, _ := w.Stored(); stored > int64(len(whole))+1024 { // the last chunk may be another
				t.Errorf("%d bytes were stored for contents of %d different ones", stored, len(whole))
			}
			c := b.commit(w, object("a", first), object("mixed", second))
			if !bytes.Equal(b.content(c, "mixed"), mixed) || !bytes.Equal(b.content(c, "a"), whole) {
				t.Error("read back wrong")
			}
			end()
			for i := range 3 { // among these passes one rewrites the range
				w, end = b.writer()
				again := b.part(w, mixed)
				b.pages(&again, n)
				c = b.commit(w, object("a", b.part(w, []byte(fmt.Sprint(i)))), object(fmt.Sprint("again", i), again))
				if !bytes.Equal(b.content(c, "mixed"), mixed) || !bytes.Equal(b.content(c, fmt.Sprint("again", i)), mixed) {
					t.Errorf("pass %d: read back wrong", i)
				}
				b.listsAll(c)
				end()
			}
		})
	}
}

// pages holds where the extents of a part of n chunks stand.
func (b *bench) pages(p *record.Part, n int) {
	b.t.Helper()
	if n <= record.MaxInlineExtents != (len(p.Pages) == 0) || len(p.Pages) > 0 && len(p.Extents) > 0 {
		b.t.Errorf("%d extents: %d in the record, %d pages", n, len(p.Extents), len(p.Pages))
	}
	if want := (n + record.MaxPageExtents - 1) / record.MaxPageExtents; len(p.Pages) > want+1 {
		b.t.Errorf("%d extents in %d pages, want about %d", n, len(p.Pages), want)
	}
}

// listsAll holds that the public list has all packs and pages that the records refer to.
func (b *bench) listsAll(c *Commit) {
	b.t.Helper()
	ctx, v := context.Background(), b.open()
	live, err := v.Live(ctx, *c.List)
	must(b.t, err)
	listed := map[record.Hash]bool{}
	for _, s := range live.Segments {
		l, err := v.List(ctx, s.List)
		must(b.t, err)
		for _, section := range l.Sections {
			for _, ref := range append(section.Packs, section.Meta...) {
				listed[ref.Name] = section.Segment == s.Name || listed[ref.Name]
			}
		}
	}
	snap, err := v.Snapshot(ctx, c)
	must(b.t, err)
	for rec, err := range snap.Records(ctx, "", "") {
		must(b.t, err)
		for i := range rec.Parts {
			for _, page := range rec.Parts[i].Pages {
				if !listed[page.Name] {
					b.t.Errorf("commit %d: %q needs page %s, which the list leaves out", c.Seq, rec.Path, page.Name)
				}
			}
			must(b.t, v.eachExtent(ctx, &rec.Parts[i], func(e record.Extent) error {
				if !listed[e.Pack.Name] {
					return fmt.Errorf("commit %d: %q needs pack %s, which the list leaves out", c.Seq, rec.Path, e.Pack.Name)
				}
				return nil
			}))
		}
	}
}

// TestFailedPartLeavesNothing has a body fail: what was read is forgotten, and the writer goes on.
func TestFailedPartLeavesNothing(t *testing.T) {
	b := newBench(t, tiny)
	w, end := b.writer()
	defer end()
	broken := errors.New("the body broke")
	_, err := w.Part(context.Background(), record.Part{Kind: record.PartContent}, -1, &failing{left: 50_000, err: broken})
	if !errors.Is(err, broken) {
		t.Errorf("a body that fails: %v", err)
	}
	c := b.commit(w, object("a", b.part(w, []byte("whole"))))
	if got := b.content(c, "a"); string(got) != "whole" {
		t.Errorf("after it: %q", got)
	}
}

// failing reads some zeros and then fails.
type failing struct {
	left int
	err  error
}

func (f *failing) Read(p []byte) (int, error) {
	if f.left == 0 {
		return 0, f.err
	}
	n := min(f.left, len(p))
	f.left -= n
	clear(p[:n])
	return n, nil
}

var _ Cache = (*state.Store)(nil)

// TestRootOfPagesThatEndSoon holds that a root is not named again whose pages, which may be older than the root, are locked for too short.
func TestRootOfPagesThatEndSoon(t *testing.T) {
	b := newBench(t, nil)
	w, end := b.writer()
	defer end()
	c, _ := b.commitRanges(w, manyRanges(w, maxInline+1))
	pages := w.base.root.Pages
	if len(pages) < 2 {
		t.Fatalf("%d pages of ranges", len(pages))
	}
	w.guard = newGuard(w, time.Hour)
	defer func() { w.guard = nil }()
	for _, r := range append([]record.RootPage{{Ref: *c.Root}, {Ref: *c.List}}, pages...) {
		w.guard.asked.put(r.Name, w.now().Add(2*time.Hour))
	}
	if ok, err := w.rootLasts(t.Context()); err != nil || !ok {
		t.Errorf("all of it lasts: %v, %v", ok, err)
	}
	w.guard.asked.put(pages[1].Name, w.now().Add(time.Minute))
	if ok, err := w.rootLasts(t.Context()); err != nil || ok {
		t.Errorf("a page ends soon: %v, %v", ok, err)
	}
}
