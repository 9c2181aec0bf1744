package vault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"farshore/agent/record"
)

// TestLines stores lines of many sizes in a record, commits, and reads them back from there and through a Reader.
func TestLines(t *testing.T) {
	b := newBench(t, nil)
	w, end := b.writer()
	ctx := context.Background()
	long := strings.Repeat(strings.Repeat("x", 99)+"\n", 200_000) // 20 MB: three pages
	all := []string{"", "a", "no line feed at the end", strings.Repeat("y", record.MaxInline), strings.Repeat("z", record.MaxInline) + "\n", "\xff\x00\n", long}
	rec := &record.Record{Path: "p", Kind: record.KindGit, State: record.Present}
	for _, s := range all {
		p, err := w.Lines(ctx, record.Part{Kind: record.PartRefs}, []byte(s))
		must(t, err)
		if len(p.Lines) > 0 != (len(s) > record.MaxInline) {
			t.Errorf("%d bytes have %d pages", len(s), len(p.Lines))
		}
		rec.Parts = append(rec.Parts, p)
	}
	c := b.commit(w, rec)
	end()
	v := b.open()
	snap, err := v.Snapshot(ctx, c)
	must(t, err)
	got, err := snap.Find(ctx, "p")
	must(t, err)
	for i, s := range all {
		p := &got.Parts[i]
		data, err := v.Lines(ctx, p)
		if err != nil || string(data) != s {
			t.Errorf("part %d: %d bytes in place of %d: %v", i, len(data), len(s), err)
		}
		var out bytes.Buffer
		if err := v.NewReader().Copy(ctx, &out, p); err != nil || out.String() != s {
			t.Errorf("part %d through a reader: %d bytes: %v", i, out.Len(), err)
		}
	}
	// The public list names the pages: whoever has no key must know that the snapshot needs them.
	live, err := v.Live(ctx, *c.List)
	must(t, err)
	l, err := v.List(ctx, live.Segments[0].List)
	must(t, err)
	if n := len(l.Sections[0].Meta); n != 4 {
		t.Errorf("the segment's section names %d pages, not 4", n)
	}
	big := &got.Parts[len(all)-1]
	b.store.Set(record.MetaName(big.Lines[1].Name), []byte("damage"))
	var damage *DamageError
	if _, err := b.open().Lines(ctx, big); !errors.As(err, &damage) {
		t.Errorf("a damaged page: %v", err)
	}
	big.SHA256[0]++
	big.Lines = big.Lines[:1]
	big.Size = big.Lines[0].Length
	if _, err := b.open().Lines(ctx, big); !errors.Is(err, ErrContent) {
		t.Errorf("a wrong hash: %v", err)
	}
}

// TestLinesRefused holds that what can't be stored as lines is refused before anything is stored.
func TestLinesRefused(t *testing.T) {
	b := newBench(t, nil)
	w, end := b.writer()
	defer end()
	for what, s := range map[string]string{
		"no line feed at the end": strings.Repeat("x", record.MaxInline+1),
		"a line without end":      strings.Repeat("x", linesPage+1) + "\n",
	} {
		if _, err := w.Lines(context.Background(), record.Part{Kind: record.PartRefs}, []byte(s)); err == nil {
			t.Error(fmt.Sprint(what, " was taken"))
		}
	}
	p := b.part(w, []byte("content"))
	if _, err := w.Read(context.Background(), &p); err == nil {
		t.Error("a part in a pack was read as lines")
	}
}
