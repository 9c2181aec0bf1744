package draw

import (
	"bytes"
	"cmp"
	"container/heap"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"math/big"
	"math/bits"
	"slices"
	"time"

	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/verify/census"
)

// drawer draws the parts other than coverage, while the objects go by.
type drawer struct {
	packs, pages, risk *lowest
	bytes              *positions
}

func newDrawer(in Input, s *survey, budget int64, everything bool) *drawer {
	packs := count(share(budget, sharePacks), s.packs, big.NewInt(s.packs), big.NewInt(s.packBytes))
	pages := count(share(budget, sharePages), s.pages, big.NewInt(s.pages), big.NewInt(s.pageBytes))
	if everything {
		packs, pages = min(s.packs, MaxDrawn), min(s.pages, MaxDrawn)
	}
	var places int64
	if s.packBytes > 0 {
		square := new(big.Int).SetUint64(s.squareHi)
		square.Lsh(square, 64).Add(square, new(big.Int).SetUint64(s.squareLo))
		places = count(share(budget, shareBytes), MaxDrawn, big.NewInt(s.packBytes), square)
	}
	return &drawer{
		packs: &lowest{rank: newRanker(in.Seed, report.PartPacks), most: packs},
		pages: &lowest{rank: newRanker(in.Seed, report.PartPages), most: pages},
		risk:  &lowest{rank: newRanker(in.Seed, report.PartRisk), most: MaxDrawn, room: share(budget, shareRisk), bounded: true},
		bytes: newPositions(in.Seed, places, s.packBytes),
	}
}

// count is how many draws are made: the room over what a draw takes on the average, which is bytes/number; 1 at least and n and MaxDrawn at most.
func count(room, n int64, number, bytes *big.Int) int64 {
	if bytes.Sign() == 0 {
		return min(n, MaxDrawn) // empty objects cost nothing
	}
	v := new(big.Int).Mul(big.NewInt(room), number)
	v.Quo(v, bytes)
	if !v.IsInt64() {
		return min(n, MaxDrawn)
	}
	return min(max(v.Int64(), 1), n, MaxDrawn)
}

func (d *drawer) see(o census.Object, in Input) {
	if o.Meta {
		d.pages.see(entry{o: o})
	} else {
		d.packs.see(entry{o: o})
		d.bytes.see(o)
	}
	e := entry{o: o, bad: in.Bad[o.Name]}
	if !e.bad {
		e.time = in.Added(o)
	}
	d.risk.see(e)
}

// ranker puts objects into an order that nobody knows who does not know the seed.
type ranker struct {
	mac   hash.Hash
	input []byte // part ‖ 0x00, and room for what follows
	sum   []byte
}

func newRanker(seed record.Hash, part string) *ranker {
	return &ranker{mac: hmac.New(sha256.New, seed[:]), input: append(append(make([]byte, 0, 64), part...), 0), sum: make([]byte, 0, sha256.Size)}
}

// of returns HMAC-SHA256(seed, part ‖ 0x00 ‖ room ‖ name), where room is 0 for a pack and 1 for a page.
func (r *ranker) of(o census.Object) record.Hash { return r.hash(appendObject(r.input, o)) }

// hash returns the HMAC of a message.
func (r *ranker) hash(message []byte) record.Hash {
	r.mac.Reset()
	r.mac.Write(message)
	return record.Hash(r.mac.Sum(r.sum))
}

// appendObject appends the byte of the room and the 32 of the name.
func appendObject(b []byte, o census.Object) []byte {
	room := byte(0)
	if o.Meta {
		room = 1
	}
	return append(append(b, room), o.Name[:]...)
}

// entry is an object in the order of a part: those that were found bad first, then by time, the newest first, then by rank.
type entry struct {
	o    census.Object
	bad  bool
	time time.Time
	rank record.Hash
}

// before compares without the ranks.
func (e *entry) before(f *entry) int {
	if e.bad != f.bad {
		if e.bad {
			return -1
		}
		return 1
	}
	return f.time.Compare(e.time)
}

func (e *entry) compare(f *entry) int {
	return cmp.Or(e.before(f), bytes.Compare(e.rank[:], f.rank[:]), census.Compare(e.o, f.o))
}

// lowest keeps the first objects of an order: as many as said, or, where it is bounded, as the room holds, and one at least. It is a heap whose top is the last of them.
type lowest struct {
	rank    *ranker
	most    int64
	bounded bool
	room    int64
	bytes   int64
	entries []entry
}

func (l *lowest) Len() int           { return len(l.entries) }
func (l *lowest) Less(i, j int) bool { return l.entries[i].compare(&l.entries[j]) > 0 }
func (l *lowest) Swap(i, j int)      { l.entries[i], l.entries[j] = l.entries[j], l.entries[i] }
func (l *lowest) Push(e any)         { l.entries = append(l.entries, e.(entry)) }
func (l *lowest) Pop() any {
	last := l.entries[len(l.entries)-1]
	l.entries = l.entries[:len(l.entries)-1]
	return last
}

// see offers an object. Of a bounded part, the entries kept are those that come to the room, with the one that does not fit.
func (l *lowest) see(e entry) {
	if l.most == 0 {
		return
	}
	full := l.full(0)
	if full && e.before(&l.entries[0]) > 0 {
		return
	}
	if e.rank = l.rank.of(e.o); full && e.compare(&l.entries[0]) > 0 {
		return
	}
	heap.Push(l, e)
	l.bytes += e.o.Size
	for len(l.entries) > 1 && (int64(len(l.entries)) > l.most || l.bounded && l.full(l.entries[0].o.Size)) {
		l.bytes -= heap.Pop(l).(entry).o.Size
	}
}

// full reports whether what is kept, less so many bytes, is all that can count.
func (l *lowest) full(less int64) bool {
	return len(l.entries) > 0 && (int64(len(l.entries)) >= l.most && less == 0 || l.bounded && l.bytes-less >= l.room)
}

// list returns the objects in order, and ends before the first that does not fit.
func (l *lowest) list() []census.Object {
	slices.SortFunc(l.entries, func(a, b entry) int { return a.compare(&b) })
	var out []census.Object
	var bytes int64
	for _, e := range l.entries {
		if bytes += e.o.Size; l.bounded && bytes > l.room && len(out) > 0 {
			break
		}
		out = append(out, e.o)
	}
	return out
}

// positions draws bytes of packs, laid one after the other in the order of their names, with replacement.
type positions struct {
	at    []position // ascending
	next  int
	sum   int64 // of the packs that went by
	drawn []census.Object
}

// position is the place of a byte, and which draw it is.
type position struct {
	place int64
	draw  int
}

// newPositions draws n bytes among so many. The j-th of them, from 0 on, is x·total/2^64, where x is the first 8 bytes, big-endian, of HMAC-SHA256(seed, "bytes" ‖ 0x00 ‖ j as 8 bytes,
// big-endian): a place is more probable than another by total/2^64 at most, less than one in a million for a million of terabytes.
func newPositions(seed record.Hash, n, total int64) *positions {
	p := &positions{at: make([]position, n), drawn: make([]census.Object, n)}
	r := newRanker(seed, report.PartBytes)
	for j := range p.at {
		sum := r.hash(binary.BigEndian.AppendUint64(r.input, uint64(j)))
		place, _ := bits.Mul64(binary.BigEndian.Uint64(sum[:8]), uint64(total))
		p.at[j] = position{int64(place), j}
	}
	slices.SortFunc(p.at, func(a, b position) int { return cmp.Compare(a.place, b.place) })
	return p
}

func (p *positions) see(o census.Object) {
	p.sum += o.Size
	for p.next < len(p.at) && p.at[p.next].place < p.sum {
		p.drawn[p.at[p.next].draw] = o
		p.next++
	}
}

// done reports whether every byte was met.
func (p *positions) done() bool { return p.next == len(p.at) }
