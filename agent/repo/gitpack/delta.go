package gitpack

import (
	"bytes"
	"math/bits"
	"strings"
)

// maxDelta is the largest delta whose result can have maxPointer bytes: each instruction takes at most 8 bytes and gives one at least, and two sizes stand
// before them.
const maxDelta = 8*maxPointer + 20

// minDelta is the size below which git takes no delta.
const minDelta = 4

// delta reads a delta's instructions, in chunks, and holds them to the sizes that it begins with.
type delta struct {
	baseSize, resultSize uint64
	made                 uint64 // bytes of the result so far
	size                 int64  // bytes of the delta so far
	sizes                int    // how many of the two were read
	shift                uint   // of the one that is read
	insert               int    // bytes that the instruction still inserts
	command              byte   // copy instruction whose arguments are read; 0: none
	args                 [7]byte
	have, need           int
}

func (d *delta) begin() { *d = delta{} }

// data reads on, and says what is wrong.
func (d *delta) data(p []byte) string {
	d.size += int64(len(p))
	for len(p) > 0 {
		switch {
		case d.insert > 0:
			n := min(d.insert, len(p))
			d.insert -= n
			p = p[n:]
			continue
		case d.sizes < 2:
			if !d.sizeByte(p[0]) {
				return "a delta begins with a size that is too large"
			}
		case d.command != 0:
			d.args[d.have] = p[0]
			d.have++
		case p[0] == 0:
			return "a delta has an instruction that is not known"
		default:
			d.instruction(p[0])
		}
		if d.command != 0 && d.have == d.need {
			if !d.copied() {
				return "a delta copies from behind the end of its base"
			}
		}
		if d.made > d.resultSize && d.sizes == 2 {
			return "a delta gives more than its size says"
		}
		p = p[1:]
	}
	return ""
}

// sizeByte takes a byte of one of the two sizes.
func (d *delta) sizeByte(c byte) bool {
	if d.shift > 56 {
		return false
	}
	dst := &d.baseSize
	if d.sizes == 1 {
		dst = &d.resultSize
	}
	*dst |= uint64(c&0x7f) << d.shift
	d.shift += 7
	if c&0x80 == 0 {
		d.sizes++
		d.shift = 0
	}
	return true
}

func (d *delta) instruction(c byte) {
	if c&0x80 == 0 {
		d.insert = int(c)
		d.made += uint64(c)
		return
	}
	d.command, d.have, d.need = c, 0, bits.OnesCount8(c&0x7f)
}

func (d *delta) copied() bool {
	offset, size := copyArgs(d.command, d.args[:])
	d.command = 0
	d.made += size
	return offset+size <= d.baseSize
}

// copyArgs reads the arguments of a copy instruction: four bytes of the offset and three of the size, of which only those stand there whose bit is set.
func copyArgs(command byte, args []byte) (offset, size uint64) {
	i := 0
	for bit := range 7 {
		if command&(1<<bit) == 0 {
			continue
		}
		if bit < 4 {
			offset |= uint64(args[i]) << (8 * bit)
		} else {
			size |= uint64(args[i]) << (8 * (bit - 4))
		}
		i++
	}
	if size == 0 {
		size = 0x10000
	}
	return offset, size
}

// end says what is wrong with the whole.
func (d *delta) end() string {
	switch {
	case d.size < minDelta || d.sizes < 2 || d.insert > 0 || d.command != 0:
		return "a delta is cut off"
	case d.made != d.resultSize:
		return "a delta gives less than its size says"
	}
	return ""
}

// applyDelta appends what a delta, which was read without complaint, makes of its base. It reports false when it would need a base that is not known. A base
// of another size is complained about.
func applyDelta(dst, base []byte, based bool, data []byte) ([]byte, bool, string) {
	i := instructions(data)
	baseSize := deltaSize(data)
	if based && baseSize != uint64(len(base)) {
		return nil, false, "a delta is made for a base of another size"
	}
	for i < len(data) {
		c := data[i]
		i++
		if c&0x80 == 0 {
			dst = append(dst, data[i:i+int(c)]...)
			i += int(c)
			continue
		}
		if !based {
			return nil, false, ""
		}
		offset, size := copyArgs(c, data[i:])
		i += bits.OnesCount8(c & 0x7f)
		dst = append(dst, base[offset:offset+size]...)
	}
	return dst, true, ""
}

// deltaSize is the size of the base that a delta is made for.
func deltaSize(data []byte) (n uint64) {
	for i, c := range data {
		n |= uint64(c&0x7f) << (7 * i)
		if c&0x80 == 0 {
			break
		}
	}
	return n
}

// instructions is where a delta's instructions begin, behind its two sizes.
func instructions(data []byte) int {
	sizes := 0
	for i, c := range data {
		if c&0x80 == 0 {
			if sizes++; sizes == 2 {
				return i + 1
			}
		}
	}
	return len(data)
}

// mayMakePointer reports whether what a delta inserts can stand in a pointer: printable text only, whose lines begin as a pointer's do. What a delta of a
// tree or of other text inserts hardly ever can.
func mayMakePointer(data []byte) bool {
	made := false // something of the result
	for i := instructions(data); i < len(data); {
		c := data[i]
		i++
		if c&0x80 != 0 {
			i += bits.OnesCount8(c & 0x7f)
			made = true
			continue
		}
		if !fitsPointer(data[i:i+int(c)], !made) {
			return false
		}
		i += int(c)
		made = true
	}
	return true
}

// lineStarts are what lines of pointers begin with.
var lineStarts = []string{"version ", "ext-", "oid sha256:", "size "}

// fitsPointer reports whether text can stand in a pointer, at its beginning or somewhere.
func fitsPointer(text []byte, atStart bool) bool {
	for _, b := range text {
		if b >= 0x7f || b < ' ' && b != '\t' && b != '\n' && b != '\r' {
			return false
		}
	}
	first := true
	for l := range bytes.SplitSeq(text, []byte("\n")) {
		if (!first || atStart) && !startsLine(strings.TrimLeft(string(l), " \t\r")) {
			return false
		}
		first = false
	}
	return true
}

// startsLine reports whether a line that goes on unseen can be one of a pointer.
func startsLine(l string) bool {
	for _, s := range lineStarts {
		if n := min(len(s), len(l)); l[:n] == s[:n] {
			return true
		}
	}
	return false
}
