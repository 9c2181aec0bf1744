// Package digest names chunks: a chunk's name is BLAKE3 of its bytes, keyed with the chunk-name key of its deduplication domain
// (docs/format.md, section 4.3). Without the key nobody can test whether a vault holds a chunk that he has. What people check, the hash of a
// stored object or of an item, is plain SHA-256 and has no place here.
package digest

import (
	"fmt"
	"sync"

	"github.com/zeebo/blake3"
)

// Namer names the chunks of one domain. It may be used concurrently, and must be made by NewNamer.
type Namer struct {
	pool sync.Pool
}

// state is one hasher with room for its result, so that a call allocates nothing.
type state struct {
	hasher *blake3.Hasher
	sum    [32]byte
}

// NewNamer returns a Namer for the chunk-name key of a domain.
func NewNamer(key [32]byte) *Namer {
	n := &Namer{}
	n.pool.New = func() any {
		h, err := blake3.NewKeyed(key[:])
		if err != nil {
			// NewKeyed fails only for a key that is not 32 bytes long.
			panic(fmt.Sprintf("digest: %v", err))
		}
		return &state{hasher: h}
	}
	return n
}

// Name returns the name of a chunk. It keeps no reference to chunk.
func (n *Namer) Name(chunk []byte) [32]byte {
	s := n.pool.Get().(*state)
	s.hasher.Reset()
	s.hasher.Write(chunk) // never returns an error
	s.hasher.Sum(s.sum[:0])
	name := s.sum
	n.pool.Put(s)
	return name
}
