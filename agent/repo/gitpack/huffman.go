package gitpack

import "math/bits"

// huffman is a table by which codes are read: the next bits of the input, the first one lowest, are the index. Codes that are longer than the table is wide
// lead to a second one behind it. An entry has, from its lowest bit on: 4 bits, how many to take; 4 unused; 4, how many extra bits follow, or how wide the
// second table is; 4, what it is (op...); 16, the value: a literal, what the extra bits are added to, or where the second table begins. The way in which it is
// built, doubling the table with each bit, is libdeflate's.
type huffman struct {
	mask   uint
	single bool // there is less than two codes, so that not all bits mean something
	table  [tableSize]uint32
}

const (
	// tableSize is more than any code needs: 1,334 entries for 286 symbols at a width of 10, 402 for 30 at 8 (examples/enough.c of zlib).
	tableSize = 2048
	tableMask = tableSize - 1
	litBits   = 10
	distBits  = 8
	codeBits  = 7
	maxBits   = 15
)

// What an entry is; none of it: a literal.
const (
	opBase    = 1 << 12
	opEnd     = 1 << 13
	opTable   = 1 << 14
	opInvalid = 1 << 15
	opMask    = opBase | opEnd | opTable | opInvalid
)

// Entries of symbols, but for how many bits are to be taken.
var (
	litSymbols  = makeLitSymbols()
	distSymbols = makeDistSymbols()
	codeSymbols = makeCodeSymbols()
)

func makeLitSymbols() (s [288]uint32) {
	for i := range 256 {
		s[i] = uint32(i) << 16
	}
	s[256] = opEnd
	base := uint32(3)
	for i := range uint32(28) {
		extra := uint32(0)
		if i >= 8 {
			extra = i/4 - 1
		}
		s[257+i] = base<<16 | opBase | extra<<8
		base += 1 << extra
	}
	s[285] = 258<<16 | opBase
	s[286], s[287] = opInvalid, opInvalid
	return s
}

func makeDistSymbols() (s [32]uint32) {
	base := uint32(1)
	for i := range uint32(30) {
		extra := uint32(0)
		if i >= 4 {
			extra = i/2 - 1
		}
		s[i] = base<<16 | opBase | extra<<8
		base += 1 << extra
	}
	s[30], s[31] = opInvalid, opInvalid
	return s
}

func makeCodeSymbols() (s [19]uint32) {
	for i := range s {
		s[i] = uint32(i) << 16
	}
	return s
}

// build makes the table for codes of the lengths, one a symbol, 0 for those that have none. It reports false for lengths that no code has. As in zlib, codes
// may leave bits without meaning only if there is at most one, of one bit.
func (h *huffman) build(lengths []byte, width int, symbols []uint32) bool {
	var b builder
	longest := b.sort(lengths)
	left := 1
	for l := 1; l <= maxBits; l++ {
		if left = left<<1 - int(b.count[l]); left < 0 {
			return false
		}
	}
	h.single = left > 0
	if h.single {
		return longest <= 1 && h.buildSingle(&b, longest, symbols)
	}
	b.table, b.symbols, b.width = &h.table, symbols, min(width, longest)
	h.mask = 1<<b.width - 1
	if length, count := b.first(); count > 0 {
		b.second(length, count)
	}
	return true
}

// buildSingle makes the table of one code of one bit, or of none.
func (h *huffman) buildSingle(b *builder, longest int, symbols []uint32) bool {
	h.mask = 1
	h.table[0], h.table[1] = opInvalid, opInvalid
	if longest == 1 {
		h.table[0] = symbols[b.sorted[0]] | 1
	}
	return true
}

// builder is the state of making a table.
type builder struct {
	table   *[tableSize]uint32
	symbols []uint32
	width   int
	count   [maxBits + 2]uint16 // codes of each length
	sorted  [288]uint16         // symbols by the length of their codes
	next    int                 // of sorted
	code    int                 // with its first bit lowest
}

// sort puts the symbols into order and returns the greatest length.
func (b *builder) sort(lengths []byte) (longest int) {
	for _, l := range lengths {
		b.count[l]++
	}
	b.count[0] = 0
	var offset [maxBits + 2]uint16
	for l := 1; l <= maxBits; l++ {
		offset[l+1] = offset[l] + b.count[l]
		if b.count[l] > 0 {
			longest = l
		}
	}
	for s, l := range lengths {
		if l > 0 {
			b.sorted[offset[l]] = uint16(s)
			offset[l]++
		}
	}
	return longest
}

// entry is that of the next symbol.
func (b *builder) entry(length int) uint32 {
	e := b.symbols[b.sorted[b.next]] | uint32(length)
	b.next++
	return e
}

// advance goes to the next code of a length: it adds one, carrying towards the lowest bit. It reports false behind the last.
func (b *builder) advance(length int) bool {
	free := b.code ^ (1<<length - 1)
	if free == 0 {
		return false
	}
	bit := 1 << (bits.Len(uint(free)) - 1)
	b.code = b.code&(bit-1) | bit
	return true
}

// first fills the first table with the codes that fit. It returns the length of the first code that does not, and how many of this length there are, 0
// if there are none.
func (b *builder) first() (length, count int) {
	length = 1
	for ; b.count[length] == 0; length++ {
	}
	size := 1 << length
	for {
		for range b.count[length] {
			b.table[b.code] = b.entry(length)
			if !b.advance(length) {
				for ; size < 1<<b.width; size *= 2 {
					copy(b.table[size:2*size], b.table[:size])
				}
				return 0, 0
			}
		}
		for length++; ; length++ {
			if length <= b.width {
				copy(b.table[size:2*size], b.table[:size])
				size *= 2
			}
			if b.count[length] > 0 {
				break
			}
		}
		if length > b.width {
			return length, int(b.count[length])
		}
	}
}

// second appends tables for longer codes, one for all codes that begin with the same bits.
func (b *builder) second(length, count int) {
	prefix, start, end := -1, 0, 1<<b.width
	for {
		if p := b.code & (1<<b.width - 1); p != prefix {
			prefix, start = p, end
			wide := b.secondWidth(length, count)
			end = start + 1<<wide
			b.table[prefix] = uint32(start)<<16 | opTable | uint32(wide)<<8 | uint32(b.width)
		}
		e := b.entry(length - b.width)
		for i := start + b.code>>b.width; i < end; i += 1 << (length - b.width) {
			b.table[i] = e
		}
		if !b.advance(length) {
			return
		}
		for count--; count == 0; count = int(b.count[length]) {
			length++
		}
	}
}

// secondWidth is how wide a second table must be, when of its first codes' length there are count left.
func (b *builder) secondWidth(length, count int) int {
	wide := length - b.width
	for used := count; used < 1<<wide; {
		wide++
		used = used<<1 + int(b.count[b.width+wide])
	}
	return wide
}
