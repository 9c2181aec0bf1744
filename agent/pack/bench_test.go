package pack

import (
	"bytes"
	"io"
	"testing"
)

func benchmarkCompress(b *testing.B, raw []byte) {
	c := newCodec(b)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	dst := make([]byte, 0, maxCompressed(len(raw)))
	for b.Loop() {
		dst = c.Compress(dst[:0], raw)
	}
	b.ReportMetric(float64(len(dst))/float64(len(raw)), "ratio")
}

func BenchmarkCompressText(b *testing.B)   { benchmarkCompress(b, text(FrameSize)) }
func BenchmarkCompressRandom(b *testing.B) { benchmarkCompress(b, random(FrameSize)) }

func benchmarkDecompress(b *testing.B, raw []byte) {
	c := newCodec(b)
	frame := c.Compress(nil, raw)
	dst := make([]byte, 0, len(raw))
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Decompress(dst, frame, len(raw)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecompressText(b *testing.B)   { benchmarkDecompress(b, text(FrameSize)) }
func BenchmarkDecompressRandom(b *testing.B) { benchmarkDecompress(b, random(FrameSize)) }

func BenchmarkStream(b *testing.B) {
	c, raw := newCodec(b), text(4*FrameSize)
	plain := encode(b, c, FrameSize, raw)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := io.Copy(io.Discard, NewStream(bytes.NewReader(plain), c, MaxRaw)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNewReader(b *testing.B) {
	c := newCodec(b)
	plain := encode(b, c, FrameSize, random(32*FrameSize))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := NewReader(bytes.NewReader(plain), int64(len(plain)), c); err != nil {
			b.Fatal(err)
		}
	}
}
