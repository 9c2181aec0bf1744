package gitpack

import (
	"bytes"
	"compress/flate"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	fastflate "github.com/klauspost/compress/flate"
)

// behindStream is what stands behind a stream at least, in a pack.
var behindStream = bytes.Repeat([]byte{0xff}, 24)

// inflateAll decompresses with the package's own decoder, and returns how many bytes it took.
func inflateAll(src io.Reader, max int) (out []byte, taken int, err error) {
	counted := &counter{r: src}
	b := &buffer{src: counted, buf: make([]byte, 512)}
	err = newInflater(b).inflate(func(p []byte) error {
		if len(out)+len(p) > max {
			return io.ErrShortBuffer
		}
		out = append(out, p...)
		return nil
	})
	return out, counted.n - (b.w - b.r), err
}

type counter struct {
	r io.Reader
	n int
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

func TestInflate(t *testing.T) {
	rnd := rand.New(rand.NewPCG(9, 9))
	random := make([]byte, 70000)
	for i := range random {
		random[i] = byte(rnd.Uint32())
	}
	skewed := make([]byte, 100000) // codes of all lengths
	for i := range skewed {
		skewed[i] = byte(rnd.ExpFloat64() * 12)
	}
	few := make([]byte, 250000) // repetitions at all distances
	for i := range few {
		few[i] = byte(rnd.IntN(2))
		if d := 1 + rnd.IntN(40000); i > d && rnd.IntN(3) > 0 {
			few[i] = few[i-d]
		}
	}
	inputs := [][]byte{nil, []byte("a"), random, skewed, few, make([]byte, 500000), bytes.Repeat([]byte("abc"), 100000), text(rnd, 1000), text(rnd, 1)}
	for n, in := range inputs {
		for _, level := range []int{fastflate.NoCompression, fastflate.BestSpeed, 5, fastflate.HuffmanOnly} {
			var z bytes.Buffer
			w, _ := fastflate.NewWriter(&z, level)
			_, _ = w.Write(in)
			_ = w.Close()
			size := z.Len()
			z.Write(behindStream)
			for name, r := range map[string]io.Reader{"all": bytes.NewReader(z.Bytes()), "bytes": iotest.OneByteReader(bytes.NewReader(z.Bytes()))} {
				out, taken, err := inflateAll(r, len(in))
				if err != nil || !bytes.Equal(out, in) || taken != size {
					t.Errorf("input %d, level %d, %s: %d bytes of %d, took %d of %d: %v", n, level, name, len(out), len(in), taken, size, err)
				}
			}
		}
	}
}

// FuzzInflate compares with the standard library: the same is accepted, with the same data, and the same is left behind.
func FuzzInflate(f *testing.F) {
	for _, s := range []string{"", "hello", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaabaaaaaaaaaa", pointer(1) + pointer(2)} {
		for _, level := range []int{flate.NoCompression, flate.DefaultCompression, flate.HuffmanOnly} {
			var z bytes.Buffer
			w, _ := flate.NewWriter(&z, level)
			_, _ = w.Write([]byte(s))
			_ = w.Close()
			f.Add(z.Bytes())
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		const max = 1 << 20
		all := append(bytes.Clone(data), behindStream...)
		src := bytes.NewReader(all)
		want, wantErr := io.ReadAll(io.LimitReader(flate.NewReader(src), max+1))
		if len(want) > max || wantErr == nil && src.Len() < len(behindStream) || wantErr == io.ErrUnexpectedEOF {
			return // what stands behind was taken for data
		}
		got, taken, err := inflateAll(bytes.NewReader(all), max)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%x: %v, the library says %v", data, err, wantErr)
		}
		if err == nil && (!bytes.Equal(got, want) || taken != len(all)-src.Len()) {
			t.Fatalf("%x: %d bytes of %d, took %d, the library %d", data, len(got), len(want), taken, len(all)-src.Len())
		}
	})
}

// BenchmarkInflate sets the decoder beside the libraries', on objects of a usual size.
func BenchmarkInflate(b *testing.B) {
	rnd := rand.New(rand.NewPCG(1, 1))
	var streams [][]byte
	total := 0
	for range 500 {
		var z bytes.Buffer
		w, _ := flate.NewWriter(&z, 6)
		_, _ = w.Write(text(rnd, 5+rnd.IntN(100)))
		_ = w.Close()
		total += z.Len()
		streams = append(streams, append(z.Bytes(), behindStream...))
	}
	each := func(run func(s []byte) error) func(b *testing.B) {
		return func(b *testing.B) {
			b.SetBytes(int64(total))
			b.ReportAllocs()
			for b.Loop() {
				for _, s := range streams {
					if err := run(s); err != nil {
						b.Fatal(err)
					}
				}
			}
		}
	}
	buf := &buffer{buf: make([]byte, inputSize)}
	own := newInflater(buf)
	b.Run("own", each(func(s []byte) error {
		*buf = buffer{src: bytes.NewReader(s), buf: buf.buf}
		return own.inflate(func([]byte) error { return nil })
	}))
	library := func(r io.ReadCloser) func(s []byte) error {
		room := make([]byte, 64<<10)
		return func(s []byte) error {
			if err := r.(flate.Resetter).Reset(bytes.NewReader(s), nil); err != nil {
				return err
			}
			_, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{r}, room)
			return err
		}
	}
	b.Run("compress/flate", each(library(flate.NewReader(nil))))
	b.Run("klauspost", each(library(fastflate.NewReader(nil))))
	b.Logf("%d bytes a stream", total/len(streams))
}
