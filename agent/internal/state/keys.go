package state

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"farshore/agent/record"
)

// Kinds of entries: the first byte of a key. Behind it come
//
//	chunk      domain, name            → pack number (4), offset, length (varints)
//	pack       domain, pack's name     → pack number
//	number     domain, pack number     → pack's name, size (8)
//	open       domain, pack number     → pack's name, size, then name and length of each chunk: a pack that no commit names yet
//	next       domain                  → the next pack number
//	loaded     domain, table's name    → nothing
//	head       chain                   → seq (8), hash
//	intent     chain                   → seq (8), hash
//	source     source's name           → chain
//	lock       domain, object's name, LockOf → until when, in seconds since 1970 (8)
//	damaged    domain, object's name   → nothing
//
// Numbers in keys are big-endian. A domain is a chain's id, 16 bytes. A chunk's name stands in full: 16 bytes of it would save a quarter
// of the space and never meet by accident (2^32 chunks: one chance in 2^65), but nothing that reads a place back could notice if two did meet,
// and whoever has the chunk-name key could search for such a pair in 2^64 steps instead of 2^128.
//
// A pack number is never used twice in a domain, even after Reset. So a chunk entry whose number leads nowhere belongs to a forgotten pack,
// and counts as absent: Forget need not find the chunks of a pack.
const (
	kindChunk  = 'c'
	kindPack   = 'p'
	kindNumber = 'n'
	kindOpen   = 'u'
	kindNext   = 'q'
	kindLoaded = 'l'
	kindHead   = 'h'
	kindIntent = 'i'
	kindSource = 's'
	kindLock   = 'k'
	kindDamage = 'd'
)

// chainID is a chain's id in bytes.
type chainID [16]byte

// parseChain reads 32 lower-case hexadecimal digits, as docs/format.md writes a chain's id.
func parseChain(s string) (id chainID, err error) {
	n, err := hex.Decode(id[:], []byte(s[:min(len(s), 2*len(id))]))
	if err != nil || n != len(id) || hex.EncodeToString(id[:]) != s {
		return id, fmt.Errorf("local state: %q is no chain id: it has 32 lower-case hexadecimal digits", s)
	}
	return id, nil
}

func (id chainID) String() string { return hex.EncodeToString(id[:]) }

// key appends kind, chain and rest to b.
func key(b []byte, kind byte, id chainID, rest []byte) []byte {
	b = append(b, kind)
	b = append(b, id[:]...)
	return append(b, rest...)
}

// numberKey is the key of an entry by pack number.
func numberKey(kind byte, id chainID, n uint32) []byte {
	return binary.BigEndian.AppendUint32(key(nil, kind, id, nil), n)
}

// span returns the first key of a kind and domain, and the first behind them.
func span(kind byte, id chainID) (from, to []byte) {
	from = key(nil, kind, id, nil)
	to = key(nil, kind, id, nil)
	for i := len(to) - 1; i >= 0; i-- {
		to[i]++
		if to[i] != 0 {
			break
		}
	}
	return from, to
}

func malformed(what string) error {
	return fmt.Errorf("%w: an entry of kind %s does not parse", ErrDamaged, what)
}

// place is a chunk's entry.
type place struct {
	number         uint32
	offset, length int64
}

func (p place) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, p.number)
	b = binary.AppendUvarint(b, uint64(p.offset))
	return binary.AppendUvarint(b, uint64(p.length))
}

func parsePlace(b []byte) (p place, err error) {
	if len(b) < 4 {
		return p, malformed("chunk")
	}
	p.number = binary.BigEndian.Uint32(b)
	var rest []byte
	if p.offset, rest, err = cutSize(b[4:]); err != nil {
		return p, err
	}
	if p.length, rest, err = cutSize(rest); err != nil {
		return p, err
	}
	if len(rest) != 0 {
		return p, malformed("chunk")
	}
	return p, nil
}

// cutSize reads a size that is not negative from the front of b.
func cutSize(b []byte) (int64, []byte, error) {
	v, n := binary.Uvarint(b)
	if n <= 0 || v > 1<<62 {
		return 0, nil, malformed("number")
	}
	return int64(v), b[n:], nil
}

// appendPack writes the entry of a pack that no commit names yet.
func appendPack(b []byte, p Pack) []byte {
	b = append(b, p.Name[:]...)
	b = binary.AppendUvarint(b, uint64(p.Size))
	for _, c := range p.Chunks {
		b = append(b, c.Name[:]...)
		b = binary.AppendUvarint(b, uint64(c.Length))
	}
	return b
}

func parsePack(b []byte) (p Pack, err error) {
	if len(b) < len(p.Name) {
		return p, malformed("pack")
	}
	b = b[copy(p.Name[:], b):]
	if p.Size, b, err = cutSize(b); err != nil {
		return p, err
	}
	for len(b) > 0 {
		var c record.TableChunk
		if len(b) < len(c.Name) {
			return p, malformed("pack")
		}
		b = b[copy(c.Name[:], b):]
		if c.Length, b, err = cutSize(b); err != nil {
			return p, err
		}
		p.Chunks = append(p.Chunks, c)
	}
	return p, nil
}

func (h Head) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(h.Seq))
	return append(b, h.Hash[:]...)
}

func parseHead(chain string, b []byte) (Head, error) {
	h := Head{Chain: chain}
	if len(b) != 8+len(h.Hash) {
		return h, malformed("head")
	}
	h.Seq = int64(binary.BigEndian.Uint64(b))
	copy(h.Hash[:], b[8:])
	return h, nil
}
