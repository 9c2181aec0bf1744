package draw

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"math/big"
	"math/bits"
	"slices"
	"testing"
	"time"

	"farshore/agent/record"
	"farshore/agent/verify/census"
)

// TestDefinition draws in the plainest way, as the format says, and compares.
func TestDefinition(t *testing.T) {
	v := heavy(51, 100, 50)
	for i := range 12 {
		v.commit(start.Add(time.Duration(i)*time.Hour), 3, 2, v.sized)
	}
	for _, budget := range []int64{v.bytes / 3, v.bytes / 10, 1, v.bytes, 0} {
		in := v.input(start.Add(30*day), budget)
		in.Bad = map[record.Hash]bool{v.objects[7].Name: true, v.objects[70].Name: true}
		if budget <= 0 {
			budget = v.bytes
		}
		p := draw(t, in)
		checkPlan(t, v, in, p)
		rank := func(part string, o census.Object) []byte {
			m := hmac.New(sha256.New, in.Seed[:])
			m.Write([]byte(part + "\x00" + string([]byte{map[bool]byte{true: 1}[o.Meta]}) + string(o.Name[:])))
			return m.Sum(nil)
		}
		by := func(part string) func(a, b census.Object) int {
			return func(a, b census.Object) int { return bytes.Compare(rank(part, a), rank(part, b)) }
		}
		var packs, pages []census.Object
		var packBytes, pageBytes int64
		square := new(big.Int)
		for _, o := range v.objects {
			if o.Meta {
				pages, pageBytes = append(pages, o), pageBytes+o.Size
				continue
			}
			packs, packBytes = append(packs, o), packBytes+o.Size
			square.Add(square, new(big.Int).Mul(big.NewInt(o.Size), big.NewInt(o.Size)))
		}
		ordered := slices.SortedFunc(slices.Values(packs), by("packs"))
		if n := int(budget * 90 / 1000 * 136 / packBytes); budget < v.bytes {
			ordered = ordered[:max(n, 1)]
		}
		same(t, "packs", p.Packs, ordered)
		ordered = slices.SortedFunc(slices.Values(pages), by("pages"))
		if n := int(budget * 20 / 1000 * 74 / pageBytes); budget < v.bytes {
			ordered = ordered[:min(max(n, 1), 74)]
		}
		same(t, "pages", p.Pages, ordered)

		places := new(big.Int).Mul(big.NewInt(budget*90/1000), big.NewInt(packBytes))
		var drawn []census.Object
		for j := range max(places.Quo(places, square).Uint64(), 1) {
			m := hmac.New(sha256.New, in.Seed[:])
			m.Write(binary.BigEndian.AppendUint64([]byte("bytes\x00"), j))
			place, _ := bits.Mul64(binary.BigEndian.Uint64(m.Sum(nil)), uint64(packBytes))
			for _, o := range packs {
				if place < uint64(o.Size) {
					drawn = append(drawn, o)
					break
				}
				place -= uint64(o.Size)
			}
		}
		same(t, "bytes", p.Bytes, drawn)

		risk := slices.SortedFunc(slices.Values(v.objects), func(a, b census.Object) int {
			if in.Bad[a.Name] != in.Bad[b.Name] {
				return map[bool]int{true: -1, false: 1}[in.Bad[a.Name]]
			}
			if c := v.when(b).Compare(v.when(a)); c != 0 && !in.Bad[a.Name] {
				return c
			}
			return by("risk")(a, b)
		})
		room, fits := budget/10, 0
		for _, o := range risk {
			if room -= o.Size; room < 0 {
				break
			}
			fits++
		}
		same(t, "risk", p.Risk, risk[:max(fits, 1)])
	}
}

// TestEachByte: of packs of a few bytes, each place is of the pack that has it.
func TestEachByte(t *testing.T) {
	v := newVault(62, 1)
	size := int64(0)
	v.commit(start, 3, 0, func(bool) int64 { size++; return size })
	p := newPositions(v.seed(), 600, v.bytes)
	drawn := map[place]int{}
	for _, at := range p.at {
		for i, place := 0, at.place; ; i++ {
			if o := v.objects[i]; place < o.Size {
				drawn[placeOf(o)]++
				break
			}
			place -= v.objects[i].Size
		}
	}
	for _, o := range v.objects {
		p.see(o)
	}
	for _, o := range p.drawn {
		drawn[placeOf(o)]--
	}
	for _, o := range v.objects {
		if drawn[placeOf(o)] != 0 {
			t.Errorf("a pack of %d bytes is drawn %d times too seldom", o.Size, drawn[placeOf(o)])
		}
	}
}

func same(t *testing.T, part string, got, want []census.Object) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("%s: %d are drawn, by the definition %d", part, len(got), len(want))
	}
}
