package verify

import (
	"crypto/sha256"
	"encoding/binary"

	"farshore/agent/record"
)

// maxSeen bounds how many parts are remembered as checked, which takes some 40 MB at the most; beyond that a part that several segments carry is checked again.
const maxSeen = 1 << 20

// parts remembers which parts were checked, and which of them can't be restored. Not safe for concurrent use.
type parts struct {
	lost map[[16]byte]bool   // of those that were checked: at most maxSeen
	why  map[[16]byte]string // of those that are lost: at most maxFindings, since no more are listed
}

func newParts() parts { return parts{map[[16]byte]bool{}, map[[16]byte]string{}} }

// check remembers a part as checked. Again says that it was before, lost that it could not be restored then, and why, where that would still be listed.
func (p *parts) check(part [16]byte) (again, lost bool, why string) {
	lost, again = p.lost[part]
	if !again && len(p.lost) < maxSeen {
		p.lost[part] = false
	}
	return again, lost, p.why[part]
}

// lose remembers why a part can't be restored, for when another item has it: one that check does not remember is checked again instead.
func (p *parts) lose(part [16]byte, why string) {
	if _, known := p.lost[part]; !known {
		return
	}
	p.lost[part] = true
	if len(p.why) < maxFindings {
		p.why[part] = why
	}
}

// partKey identifies a part by its hash and its place.
func partKey(p *record.Part) (key [16]byte) {
	h := sha256.New()
	h.Write(p.SHA256[:])
	for _, e := range p.Extents {
		h.Write(e.Pack.Name[:])
		_ = binary.Write(h, binary.BigEndian, [2]int64{e.Offset, e.Length}) // a hash takes everything
	}
	for _, e := range p.Pages {
		h.Write(e.Name[:])
	}
	for _, e := range p.Lines {
		h.Write(e.Name[:])
	}
	copy(key[:], h.Sum(nil))
	return key
}
