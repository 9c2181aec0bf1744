package gitpack

import (
	"hash"
	"strconv"
)

// maxStore bounds the bytes of the small blobs that are kept, with what it costs to find them.
const maxStore = 16 << 20

// storeCost is about what it costs to find a blob.
const storeCost = 128

// store keeps small blobs, until it is full.
type store struct {
	sum   hash.Hash
	room  int
	data  []byte
	start map[int64]span    // by where the object begins
	ids   map[[32]byte]span // by its id
	head  []byte
}

type span struct{ from, to uint32 }

func newStore(idSize int) store {
	return store{sum: newHash(idSize), room: maxStore, start: map[int64]span{}, ids: map[[32]byte]span{}}
}

// add keeps a blob, if there is room.
func (s *store) add(start int64, data []byte) {
	if s.room -= len(data) + storeCost; s.room < 0 {
		s.room = 0
		return
	}
	at := span{uint32(len(s.data)), uint32(len(s.data) + len(data))}
	s.data = append(s.data, data...)
	s.start[start] = at
	s.ids[s.id(data)] = at
}

// id returns a blob's id, with zeros behind it where it is shorter.
func (s *store) id(data []byte) (id [32]byte) {
	s.sum.Reset()
	s.head = strconv.AppendInt(append(s.head[:0], "blob "...), int64(len(data)), 10)
	s.head = append(s.head, 0)
	s.sum.Write(s.head)
	s.sum.Write(data)
	s.head = s.sum.Sum(s.head[:0])
	copy(id[:], s.head)
	return id
}

// at returns the blob that begins at an offset of the pack.
func (s *store) at(start int64) ([]byte, bool) {
	at, ok := s.start[start]
	return s.data[at.from:at.to:at.to], ok
}

// byID returns the blob with an id.
func (s *store) byID(id []byte) ([]byte, bool) {
	var key [32]byte
	copy(key[:], id)
	at, ok := s.ids[key]
	return s.data[at.from:at.to:at.to], ok
}
