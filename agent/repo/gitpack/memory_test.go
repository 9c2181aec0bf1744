package gitpack

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"runtime"
	"testing"
)

// endless is a pack of count objects, made as it is read: a small blob and a delta on it, again and again.
type endless struct {
	pair []byte
	left int // pairs
}

func (e *endless) Read(p []byte) (int, error) {
	n := 0
	for ; e.left > 0 && len(p)-n >= len(e.pair); e.left-- {
		n += copy(p[n:], e.pair)
	}
	if n == 0 && e.left == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// peak is a writer that remembers how much memory was in use while it was written to.
type peak struct {
	n, heap uint64
}

func (p *peak) Write(b []byte) (int, error) {
	if p.n += uint64(len(b)); p.n%(4<<20) < uint64(len(b)) {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		p.heap = max(p.heap, m.HeapAlloc)
	}
	return len(b), nil
}

// TestMemory rewrites a pack of many small objects and holds the memory to its bound.
func TestMemory(t *testing.T) {
	objects, bound := 100_000, uint64(32<<20)
	if os.Getenv("FARSHORE_TEST_LONG") != "" {
		objects, bound = 8_000_000, 120<<20
	}
	blob := part{typ: typeBlob, data: []byte("hello world, hello world")}
	distance := int64(len(appendSize(nil, typeBlob, 24)) + len(deflated(blob.data)))
	whole := build(blob, part{typ: typeOfsDelta, data: copyAll(24, "x"), distance: distance})
	pair := whole[headerSize : len(whole)-20]
	header := binary.BigEndian.AppendUint32([]byte("PACK\x00\x00\x00\x02"), uint32(objects))
	sum := newHash(20)
	sum.Write(header)
	for range objects / 2 {
		sum.Write(pair)
	}
	for _, level := range []int{0, 6} {
		src := io.MultiReader(bytes.NewReader(header), &endless{pair, objects / 2}, bytes.NewReader(sum.Sum(nil)))
		runtime.GC()
		var before runtime.MemStats
		runtime.ReadMemStats(&before)
		dst := new(peak)
		facts, err := Transcode(dst, src, Options{IDSize: 20, Level: level})
		if err != nil {
			t.Fatal(err)
		}
		dst.heap -= min(dst.heap, before.HeapAlloc)
		t.Logf("level %d: %d objects, %d bytes read, %d written: %d MiB of memory at most", level, facts.Objects, facts.SourceSize, dst.n, dst.heap>>20)
		if dst.heap > bound {
			t.Errorf("level %d: %d MiB of memory were in use, more than %d", level, dst.heap>>20, bound>>20)
		}
	}
}
