package draw

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"math/bits"
	"runtime"
	"testing"
	"time"

	"farshore/agent/report"
	"farshore/agent/verify/census"
)

// endless is a vault of n objects that are not held in memory: nine packs to a page, and a commit for a hundred objects.
func endless(n int) Input {
	object := func(i int) census.Object {
		x := uint64(i) * 0x9e3779b97f4a7c15
		o := census.Object{Meta: i%10 == 9, Size: 1<<20 + int64(x>>38), Seq: 1 + int64(bits.RotateLeft64(x, 32)%uint64(n/100+1))}
		if o.Meta {
			o.Size = 1 + int64(x>>46)
		}
		binary.BigEndian.PutUint64(o.Name[:], uint64(i)*(1<<63/uint64(n))*2)
		binary.BigEndian.PutUint64(o.Name[24:], x)
		return o
	}
	return Input{
		Seed: named(1, 2), Bytes: int64(n) << 20, Now: start.Add(100 * day), Promise: 90 * day, Every: day,
		Heads: []report.Head{{Chain: fmt.Sprintf("%032x", 1), Seq: int64(n/100 + 1)}},
		Objects: func(context.Context) iter.Seq2[census.Object, error] {
			return func(yield func(census.Object, error) bool) {
				for i := range n {
					if !yield(object(i), nil) {
						return
					}
				}
			}
		},
		Added: func(o census.Object) time.Time { return start.Add(time.Duration(o.Seq) * time.Minute) },
	}
}

// TestMemory: what a draw holds does not grow with the number of objects.
func TestMemory(t *testing.T) {
	held := func(n int) uint64 {
		in := endless(n)
		in.Bytes = 20 << 30 // the same for all
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		p := draw(t, in)
		runtime.ReadMemStats(&after)
		if len(p.Packs) < 50 {
			t.Fatalf("%d packs", len(p.Packs))
		}
		return after.TotalAlloc - before.TotalAlloc
	}
	few, many := held(100_000), held(400_000)
	if many > few+few/2+1<<20 {
		t.Errorf("%d bytes of memory for 100,000 objects, %d for 400,000", few, many)
	}
}

func BenchmarkDraw(b *testing.B) {
	for _, n := range []int{100_000, 1_000_000, 10_000_000} {
		if n > 1_000_000 && !long() {
			continue
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			in := endless(n)
			in.Ledger = Apply(report.Ledger{}, []report.Sweep{over('0', 'c', report.SweepAll)}, nil, start.Add(50*day), in.Heads)
			b.ReportAllocs()
			for b.Loop() {
				draw(b, in)
			}
		})
	}
}

func BenchmarkApply(b *testing.B) {
	var l report.Ledger
	h := heads(9, 9, 9)
	for i := range uint64(maxArcs) {
		l.Arcs = append(l.Arcs, report.Arc{From: formatPrefix(i << 53), Time: start.Add(time.Duration(i) * time.Hour)})
	}
	l.Positions = []report.Position{positionOf(h)}
	for b.Loop() {
		Apply(l, []report.Sweep{{From: formatPrefix(1), To: formatPrefix(2), Only: report.SweepAll}}, nil, start, h)
	}
}
