package svndump

import (
	"crypto/sha256"
	"fmt"
	"strings"
)

// BlockSize is how many revisions' properties share a digest: an edit of one costs as many to be stored.
const BlockSize = 1000

// Block is the digest of the properties of a run of revisions that begins at a multiple of BlockSize.
type Block struct {
	// Count is how many revisions it has.
	Count int64
	// Sum is the SHA-256 of the sum before the last revision was added, all zero at first, followed by the digest of that revision's properties.
	Sum Sum
}

// Add appends the next revision's.
func (b *Block) Add(props Sum) {
	b.Sum = sha256.Sum256(append(b.Sum[:], props[:]...))
	b.Count++
}

// Blocks has the digests of the properties of all revisions from 0 on.
type Blocks []Block

// Next is the revision that is added next.
func (s Blocks) Next() int64 {
	if len(s) == 0 {
		return 0
	}
	return int64(len(s)-1)*BlockSize + s[len(s)-1].Count
}

// Add appends the next revision's.
func (s *Blocks) Add(props Sum) {
	if s.Next()%BlockSize == 0 {
		*s = append(*s, Block{})
	}
	(*s)[len(*s)-1].Add(props)
}

// Encode writes a line a block: first revision, last revision, sum.
func (s Blocks) Encode() []byte {
	var out []byte
	for i, b := range s {
		from := int64(i) * BlockSize
		out = fmt.Appendf(out, "%d %d %s\n", from, from+b.Count-1, b.Sum)
	}
	return out
}

// ParseBlocks reads what Encode wrote.
func ParseBlocks(data []byte) (Blocks, error) {
	var s Blocks
	for line := range strings.Lines(string(data)) {
		var from, to int64
		var hex string
		if _, err := fmt.Sscanf(line, "%d %d %s\n", &from, &to, &hex); err != nil {
			return nil, fmt.Errorf("state: line %.80q: %w", line, err)
		}
		sum, err := ParseSum(hex)
		if err != nil || from != s.Next() || from%BlockSize != 0 || to < from || to >= from+BlockSize {
			return nil, fmt.Errorf("state: line %.80q does not follow", line)
		}
		s = append(s, Block{to - from + 1, sum})
	}
	return s, nil
}
