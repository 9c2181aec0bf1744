package digest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"sync"
	"testing"

	"github.com/zeebo/blake3"
)

// pattern is the input of BLAKE3's published test vectors: the bytes 0 to 250, again and again.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i % 251)
	}
	return b
}

func TestPublishedVectors(t *testing.T) {
	// Key and keyed hashes from test_vectors.json of github.com/BLAKE3-team/BLAKE3.
	n := NewNamer([32]byte([]byte("whats the Elvish word for friend")))
	for _, tc := range []struct {
		size int
		want string
	}{
		{0, "92b2b75604ed3c761f9d6f62392c8a9227ad0ea3f09573e783f1498a4ed60d26"},
		{1, "6d7878dfff2f485635d39013278ae14f1454b8c0a3a2d34bc1ab38228a80c95b"},
		{1024, "75c46f6f3d9eb4f55ecaaee480db732e6c2105546f1e675003687c31719c7ba4"},
	} {
		got := n.Name(pattern(tc.size))
		if hex.EncodeToString(got[:]) != tc.want {
			t.Errorf("%d bytes: %x, want %s", tc.size, got, tc.want)
		}
	}
}

func TestKeysAndContentsDecide(t *testing.T) {
	a, b := NewNamer([32]byte{1}), NewNamer([32]byte{2})
	seen := map[[32]byte]string{}
	for _, size := range []int{0, 1, 63, 64, 65, 1023, 1024, 1025, 8192, 8193, 100_000} {
		for name, n := range map[string]*Namer{"a": a, "b": b} {
			sum := n.Name(pattern(size))
			if sum != n.Name(pattern(size)) {
				t.Errorf("%s gives %d bytes two names", name, size)
			}
			if other, ok := seen[sum]; ok {
				t.Errorf("%s and %s, %d bytes, have one name", name, other, size)
			}
			seen[sum] = name
		}
		h, err := blake3.NewKeyed(append([]byte{1}, make([]byte, 31)...))
		if err != nil {
			t.Fatal(err)
		}
		h.Write(pattern(size))
		if got := a.Name(pattern(size)); !bytes.Equal(h.Sum(nil), got[:]) {
			t.Errorf("%d bytes: not the keyed hash", size)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	n := NewNamer([32]byte{3})
	var wg sync.WaitGroup
	for g := range 8 {
		want := n.Name(pattern(g * 5000))
		wg.Go(func() {
			for range 50 {
				if n.Name(pattern(g*5000)) != want {
					t.Error("another name")
				}
			}
		})
	}
	wg.Wait()
}

func benchmarkName(b *testing.B, size int) {
	n, chunk := NewNamer([32]byte{1}), pattern(size)
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		n.Name(chunk)
	}
}

func BenchmarkNameSmall(b *testing.B) { benchmarkName(b, 4<<10) }
func BenchmarkName(b *testing.B)      { benchmarkName(b, 1<<20) }

// BenchmarkSHA256 is what an item's own hash costs, to compare with.
func BenchmarkSHA256(b *testing.B) {
	chunk := pattern(1 << 20)
	b.SetBytes(int64(len(chunk)))
	for b.Loop() {
		sha256.Sum256(chunk)
	}
}
