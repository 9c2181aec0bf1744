package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"farshore/agent/record"

	"github.com/cockroachdb/pebble/v2"
)

// MaxChunks is the most chunks that a pack holds (docs/format.md, section 4.3).
const MaxChunks = 32768

// Location is where a chunk is: a run of a pack's raw bytes. Pack has the pack's stored size too, which public lists state.
type Location struct {
	Pack           record.Ref
	Offset, Length int64
}

// Pack is a pack of the vault with what it holds.
type Pack struct {
	// Name is the hash of the pack's stored bytes, and Size their number.
	Name record.Hash
	Size int64
	// Chunks are in the order in which they lie in the pack, so that each one's offset is the sum of the lengths before it.
	Chunks []record.TableChunk
}

// Lookup returns where the chunk of that name is. Most lookups miss, and most misses read nothing: the seek asks the bloom filters of
// every level, which the index's plain Get does not do for the last, where nine keys in ten are.
func (s *Store) Lookup(domain string, name [32]byte) (loc Location, found bool, err error) {
	id, err := parseChain(domain)
	if err != nil {
		return loc, false, err
	}
	err = s.use("look up a chunk", func(db *pebble.DB) error {
		var buf [64]byte
		p, ok, err := seek(db, key(buf[:0], kindChunk, id, name[:]))
		if err != nil || !ok {
			return err
		}
		loc = Location{Offset: p.offset, Length: p.length}
		found, err = get(db, numberKey(kindNumber, id, p.number), func(v []byte) error { return readRef(&loc.Pack, v) })
		return err
	})
	if err != nil || !found {
		return Location{}, false, err
	}
	return loc, true, nil
}

// AddPack records a pack and the places of its chunks. A chunk whose place is known keeps it; of several equal names in the pack, the
// first counts. The pack counts as uncommitted until Commit, unless committed says otherwise; adding it again never turns it back.
//
// The caller has stored the pack in the vault before. That is why the entry need not be durable: what a power cut leaves is a prefix of
// what was recorded, and every prefix names stored packs only. What it loses is found again in the vault, or stored twice.
func (s *Store) AddPack(domain string, p Pack, committed bool) error {
	return s.addPack(domain, p, committed, 0)
}

// addPack adds a pack, which takes the chunks over from packs whose locks end before that many seconds since 1970; 0: from none.
func (s *Store) addPack(domain string, p Pack, committed bool, over uint64) error {
	id, err := parseChain(domain)
	if err != nil {
		return err
	}
	if err := checkPack(p); err != nil {
		return err
	}
	return s.update("add a pack", pebble.NoSync, func(db *pebble.DB, b *pebble.Batch) error {
		number, isNew, err := packNumber(db, b, id, p)
		if err != nil {
			return err
		}
		switch {
		case committed && !isNew:
			err = b.Delete(numberKey(kindOpen, id, number), nil)
		case !committed && isNew:
			err = b.Set(numberKey(kindOpen, id, number), appendPack(nil, p), nil)
		}
		if err != nil {
			return err
		}
		return addChunks(db, b, id, number, p.Chunks, over)
	})
}

func checkPack(p Pack) error {
	if len(p.Chunks) > MaxChunks {
		return fmt.Errorf("local state: pack %s: %d chunks, at most %d are allowed", p.Name, len(p.Chunks), MaxChunks)
	}
	if p.Size < 0 {
		return fmt.Errorf("local state: pack %s: size %d is negative", p.Name, p.Size)
	}
	for _, c := range p.Chunks {
		if c.Length < 0 || c.Length > math.MaxInt32 {
			return fmt.Errorf("local state: pack %s: chunk of %d bytes", p.Name, c.Length)
		}
	}
	return nil
}

// packNumber returns the pack's number, and gives it one if it has none.
func packNumber(db *pebble.DB, b *pebble.Batch, id chainID, p Pack) (number uint32, isNew bool, err error) {
	known, err := get(db, key(nil, kindPack, id, p.Name[:]), func(v []byte) error { return readNumber(&number, v) })
	if err != nil || known {
		return number, false, err
	}
	next := key(nil, kindNext, id, nil)
	if _, err := get(db, next, func(v []byte) error { return readNumber(&number, v) }); err != nil {
		return 0, false, err
	}
	if number == math.MaxUint32 {
		return 0, false, errors.New("pack numbers are used up: remove the state directory, it will be rebuilt")
	}
	err = errors.Join(
		b.Set(next, binary.BigEndian.AppendUint32(nil, number+1), nil),
		b.Set(key(nil, kindPack, id, p.Name[:]), binary.BigEndian.AppendUint32(nil, number), nil),
		b.Set(numberKey(kindNumber, id, number), binary.BigEndian.AppendUint64(p.Name[:], uint64(p.Size)), nil))
	return number, true, err
}

// addChunks writes the entries of the chunks that have none yet, in the order of their names: seeks that go forward are cheap.
func addChunks(db *pebble.DB, b *pebble.Batch, id chainID, number uint32, chunks []record.TableChunk, over uint64) (err error) {
	type entry struct {
		name  *[32]byte
		place place
	}
	entries := make([]entry, len(chunks))
	var offset int64
	for i := range chunks {
		entries[i] = entry{(*[32]byte)(&chunks[i].Name), place{number, offset, chunks[i].Length}}
		offset += chunks[i].Length
	}
	slices.SortStableFunc(entries, func(x, y entry) int { return bytes.Compare(x.name[:], y.name[:]) })
	entries = slices.CompactFunc(entries, func(x, y entry) bool { return *x.name == *y.name })

	known, err := newKnown(db, id, number, over)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, known.iter.Close()) }()
	var k, v []byte
	for _, e := range entries {
		k = key(k[:0], kindChunk, id, e.name[:])
		if ok, err := known.has(k); err != nil {
			return err
		} else if ok {
			continue
		}
		v = e.place.append(v[:0])
		if err := b.Set(k, v, nil); err != nil {
			return err
		}
	}
	return nil
}

// known tells which chunks have a place.
type known struct {
	db   *pebble.DB
	id   chainID
	iter *pebble.Iterator
	self uint32          // the pack that is added
	over uint64          // packs whose locks end before it do not count
	live map[uint32]bool // by pack number: not forgotten
}

func newKnown(db *pebble.DB, id chainID, self uint32, over uint64) (*known, error) {
	iter, err := db.NewIter(&pebble.IterOptions{UseL6Filters: true})
	return &known{db, id, iter, self, over, make(map[uint32]bool)}, err
}

// has reports whether the chunk with that key lies in a pack that is neither forgotten nor to be replaced.
func (n *known) has(k []byte) (bool, error) {
	p, ok, err := seekIn(n.iter, k)
	if err != nil || !ok {
		return false, err
	}
	live, seen := n.live[p.number]
	if !seen {
		if live, err = n.counts(p.number); err != nil {
			return false, err
		}
		n.live[p.number] = live
	}
	return live, nil
}

// counts reports whether what lies in the pack of that number stays there.
func (n *known) counts(number uint32) (bool, error) {
	live, err := get(n.db, numberKey(kindNumber, n.id, number), func([]byte) error { return nil })
	if err != nil || !live || n.over == 0 || number == n.self {
		return live, err
	}
	ends, err := endsBefore(n.db, n.id, number, n.over)
	return !ends, err
}

// seek reads a chunk's entry.
func seek(db *pebble.DB, k []byte) (p place, ok bool, err error) {
	iter, err := db.NewIter(&pebble.IterOptions{UseL6Filters: true})
	if err != nil {
		return p, false, err
	}
	p, ok, err = seekIn(iter, k)
	return p, ok, errors.Join(err, iter.Close())
}

// seekIn is seek with an iterator. The default comparer takes the whole key as its prefix, so that the filter is asked for exactly this key.
func seekIn(iter *pebble.Iterator, k []byte) (p place, ok bool, err error) {
	if !iter.SeekPrefixGE(k) || !bytes.Equal(iter.Key(), k) {
		return p, false, iter.Error()
	}
	v, err := iter.ValueAndErr()
	if err != nil {
		return p, false, err
	}
	p, err = parsePlace(v)
	return p, err == nil, err
}

// get calls read with the key's value, which is valid only until it returns, and reports whether there is one.
func get(db *pebble.DB, k []byte, read func(v []byte) error) (found bool, err error) {
	v, closer, err := db.Get(k)
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := errors.Join(read(v), closer.Close()); err != nil {
		return false, err
	}
	return true, nil
}

// readRef reads a pack's name and stored size.
func readRef(r *record.Ref, v []byte) error {
	if len(v) != len(r.Name)+8 {
		return malformed("number")
	}
	copy(r.Name[:], v)
	r.Size = int64(binary.BigEndian.Uint64(v[len(r.Name):]))
	return nil
}

func readNumber(n *uint32, v []byte) error {
	if len(v) != 4 {
		return malformed("pack")
	}
	*n = binary.BigEndian.Uint32(v)
	return nil
}
