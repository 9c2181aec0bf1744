package record

import (
	"bytes"
	"fmt"
	"io"
	"testing"
)

// benchSegment is records of about 350 bytes with 8 attributes, as a bucket of photographs has them.
func benchSegment(n int) *segment {
	s := &segment{header: SegmentHeader{Records: n, Packs: []Ref{packA(), packB()}}}
	for i := range n {
		s.records = append(s.records, &Record{
			Path: fmt.Sprintf("photos/2026/11/%08d.jpg", i), Kind: KindObject, State: Present,
			Attrs: Attrs{
				"etag": `"9b2cf535f27731c974343645a3985328"`, "modified": "2026-11-21T19:10:54Z", "h:content-type": "image/jpeg",
				"c:crc32": "AAAAAA==", "c:type": "FULL_OBJECT", "m:id": fmt.Sprint(i), "t:owner": "a", "class": "GLACIER_IR",
			},
			Parts: []Part{content(1048576, fmt.Sprint(i), Extent{packA(), int64(i) % 30 << 20, 1048576})},
		})
	}
	return s
}

func BenchmarkAppendRecord(b *testing.B) {
	s := benchSegment(1000)
	position := map[Hash]int{packA().Name: 0, packB().Name: 1}
	pack := func(h Hash) int { return position[h] }
	var buf []byte
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		buf = AppendRecord(buf[:0], s.records[i%1000], pack)
	}
	b.SetBytes(int64(len(buf)))
}

func BenchmarkNext(b *testing.B) {
	const n = 1000
	data := benchSegment(n).encode()
	b.SetBytes(int64(len(data) / n))
	b.ReportAllocs()
	r, err := NewSegmentReader(bytes.NewReader(data))
	for b.Loop() {
		if err == nil {
			_, err = r.Next()
		}
		if err == io.EOF {
			r, err = NewSegmentReader(bytes.NewReader(data))
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNextSlow(b *testing.B) {
	s := benchSegment(1)
	line := AppendRecord(nil, s.records[0], s.position)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := slowRecord(line, s.header.Packs); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTable(b *testing.B) {
	chunks := make([]TableChunk, 64)
	for i := range chunks {
		chunks[i] = TableChunk{sum(fmt.Sprint(i)), 1 << 20}
	}
	line := AppendTablePack(nil, sum("pack"), 32<<20, chunks)
	b.Run("append", func(b *testing.B) {
		var buf []byte
		b.SetBytes(int64(len(line)))
		b.ReportAllocs()
		for b.Loop() {
			buf = AppendTablePack(buf[:0], sum("pack"), 32<<20, chunks)
		}
	})
	b.Run("next", func(b *testing.B) {
		line := line[:len(line)-1]
		b.SetBytes(int64(len(line)))
		b.ReportAllocs()
		for b.Loop() {
			if l, ok := fastTableLine(line); !ok || len(l.chunks) != len(chunks) {
				b.Fatal("the fast reader did not take the line")
			}
		}
	})
}
