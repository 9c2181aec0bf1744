package bucket

import (
	"hash/crc64"
	"math/rand/v2"
	"testing"
)

func TestCRC64NVMEIsThatOfTheLibrary(t *testing.T) {
	h := newCRC64NVME()
	h.Write([]byte("123456789"))
	if got := h.Sum(nil); string(got) != "\xae\x8b\x14\x86\x0a\x79\x98\x88" { // the check value of the CRC catalogue
		t.Errorf("the checksum of 123456789 is %x", got)
	}
	data := make([]byte, 100_000)
	rng := rand.NewChaCha8([32]byte{1})
	_, _ = rng.Read(data)
	table := crc64.MakeTable(nvme)
	for n := 0; n < len(data); n += 1 + n/3 {
		h, want := newCRC64NVME(), crc64.New(table)
		for p := data[:n]; len(p) > 0; {
			k := 1 + int(rng.Uint64()%uint64(len(p)))
			h.Write(p[:k])
			want.Write(p[:k])
			p = p[k:]
		}
		if string(h.Sum(nil)) != string(want.Sum(nil)) {
			t.Errorf("%d bytes: %x, want %x", n, h.Sum(nil), want.Sum(nil))
		}
	}
}

func BenchmarkCRC64NVME(b *testing.B) {
	data := make([]byte, 1<<20)
	table := crc64.MakeTable(nvme)
	b.Run("lanes", func(b *testing.B) {
		b.SetBytes(1 << 20)
		for h := newCRC64NVME(); b.Loop(); {
			h.Write(data)
		}
	})
	b.Run("library", func(b *testing.B) {
		b.SetBytes(1 << 20)
		for h := crc64.New(table); b.Loop(); {
			h.Write(data)
		}
	})
}
