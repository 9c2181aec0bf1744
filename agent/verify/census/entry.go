package census

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"time"

	"farshore/agent/record"
)

// entry is what one commit, or one public list, says of an object.
type entry struct {
	name  record.Hash
	size  int64
	seq   int64
	chain int32
	flags uint8
}

// Flags of an entry: the room above the kind, so that they compare as entries do.
const (
	flagDisputed uint8 = 1 << 0 // entries with other sizes were folded into it
	flagMeta     uint8 = 1 << 7
)

// kind is who names an object.
type kind uint8

const (
	counted kind = 0 << 1 // a commit that counts
	needed  kind = 1 << 1 // a snapshot that counts, by its public list
	revoked kind = 2 << 1 // a commit that the owner revoked
	kinds        = 3 << 1
)

func newEntry(r record.Ref, meta bool, k kind, chain int32, seq int64) entry {
	e := entry{name: r.Name, size: r.Size, seq: seq, chain: chain, flags: uint8(k)}
	if meta {
		e.flags |= flagMeta
	}
	return e
}

func (e *entry) meta() bool { return e.flags&flagMeta != 0 }
func (e *entry) kind() kind { return kind(e.flags & kinds) }

// object is the entry as callers see it.
func (e *entry) object() Object {
	return Object{Name: e.name, Meta: e.meta(), Size: e.size, Chain: e.chain, Seq: e.seq}
}

// sameObject reports whether both are of one object.
func sameObject(a, b *entry) bool { return (a.flags^b.flags)&flagMeta == 0 && a.name == b.name }

// compare orders entries by name, room, kind and then by who was first.
func compare(a, b entry) int {
	return cmp.Or(bytes.Compare(a.name[:], b.name[:]), cmp.Compare(a.flags&^flagDisputed, b.flags&^flagDisputed), cmp.Compare(a.chain, b.chain), cmp.Compare(a.seq, b.seq))
}

// entrySize is the bytes of an entry in a scratch file, and entryHeld those of one in memory.
const (
	entrySize = 32 + 8 + 8 + 4 + 1
	entryHeld = 56
)

func (e *entry) append(b []byte) []byte {
	b = append(b, e.name[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(e.size))
	b = binary.BigEndian.AppendUint64(b, uint64(e.seq))
	b = binary.BigEndian.AppendUint32(b, uint32(e.chain))
	return append(b, e.flags)
}

// decode reads what append wrote.
func (e *entry) decode(b []byte) {
	_ = b[entrySize-1]
	copy(e.name[:], b)
	e.size = int64(binary.BigEndian.Uint64(b[32:]))
	e.seq = int64(binary.BigEndian.Uint64(b[40:]))
	e.chain = int32(binary.BigEndian.Uint32(b[48:]))
	e.flags = b[52]
}

// fold passes on, of entries in order, one of each object and kind: that of the earliest commit, and of those the first.
type fold struct {
	out  func(entry) error
	time func(*entry) time.Time // of its commit; nil: the first are taken
	last entry
	any  bool
}

func (f *fold) add(e entry) error {
	if f.any && sameObject(&f.last, &e) && f.last.kind() == e.kind() {
		f.last.flags |= e.flags & flagDisputed
		if f.last.size != e.size {
			f.last.flags |= flagDisputed
		}
		if f.time != nil && e.kind() != needed && f.time(&e).Before(f.time(&f.last)) {
			f.last.size, f.last.seq, f.last.chain = e.size, e.seq, e.chain
		}
		return nil
	}
	if err := f.end(); err != nil {
		return err
	}
	f.last, f.any = e, true
	return nil
}

// end passes on the last one.
func (f *fold) end() error {
	if !f.any {
		return nil
	}
	f.any = false
	return f.out(f.last)
}

// settle passes on, of folded entries in order, the objects that exist: those that a commit which counts names, and those that a revoked one names and a snapshot that counts needs.
type settle struct {
	out    func(entry) error
	last   entry // of the object that is at hand
	any    bool
	done   bool // it was passed on
	wanted bool // a snapshot needs it
}

func (s *settle) add(e entry) error {
	if !s.any || !sameObject(&s.last, &e) {
		*s = settle{out: s.out, any: true}
	}
	s.last = e
	switch e.kind() {
	case needed:
		s.wanted = true
		return nil
	case revoked:
		if !s.wanted {
			return nil
		}
	}
	if s.done {
		return nil
	}
	s.done = true
	e.flags &^= kinds
	return s.out(e)
}
