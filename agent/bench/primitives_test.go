package bench_test

import (
	"bytes"
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"farshore/agent/chunk"
	"farshore/agent/pack"
	"farshore/crypto/digest"
	"farshore/crypto/seal"
)

// cpu returns the CPU time that this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// words is text with the compressibility of prose: words of a fixed vocabulary, drawn unevenly.
func words(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 7))
	vocabulary := make([]string, 4096)
	for i := range vocabulary {
		w := make([]byte, 2+r.IntN(9))
		for j := range w {
			w[j] = 'a' + byte(r.IntN(26))
		}
		vocabulary[i] = string(w)
	}
	b := make([]byte, 0, n+16)
	for len(b) < n {
		i := int(r.ExpFloat64() * 300)
		b = append(b, vocabulary[i%len(vocabulary)]...)
		b = append(b, ' ')
	}
	return b[:n]
}

// primitives runs what the whole path can't do without over the same bytes: cut, keyed hash, SHA-256 of the plaintext, zstd, age, SHA-256 of
// the ciphertext. It returns the CPU time.
func primitives(tb testing.TB, items [][]byte) time.Duration {
	tb.Helper()
	codec, err := pack.NewCodec()
	if err != nil {
		tb.Fatal(err)
	}
	_, rcpt, err := seal.GenerateHybrid()
	if err != nil {
		tb.Fatal(err)
	}
	sealer, err := seal.NewSealer([]string{rcpt})
	if err != nil {
		tb.Fatal(err)
	}
	cutter, err := chunk.New(chunk.Default(), [32]byte{1})
	if err != nil {
		tb.Fatal(err)
	}
	namer := digest.NewNamer([32]byte{2})
	start := cpu()
	cipher := sha256.New()
	var out bytes.Buffer
	var frame, zbuf []byte
	flush := func() {
		zbuf = codec.Compress(zbuf[:0], frame)
		frame = frame[:0]
		out.Write(zbuf)
		if out.Len() >= 32<<20 {
			sealInto(tb, sealer, cipher, out.Bytes())
			out.Reset()
		}
	}
	for _, b := range items {
		plain := sha256.New()
		_, err := cutter.Split(bytes.NewReader(b), int64(len(b)), func(c []byte) error {
			plain.Write(c)
			namer.Name(c)
			for len(c) > 0 {
				n := min(len(c), 1<<20-len(frame))
				frame = append(frame, c[:n]...)
				c = c[n:]
				if len(frame) == 1<<20 {
					flush()
				}
			}
			return nil
		})
		if err != nil {
			tb.Fatal(err)
		}
		plain.Sum(nil)
	}
	flush()
	sealInto(tb, sealer, cipher, out.Bytes())
	return cpu() - start
}

func sealInto(tb testing.TB, s *seal.Sealer, w io.Writer, b []byte) {
	age, err := s.Writer(w)
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := age.Write(b); err != nil {
		tb.Fatal(err)
	}
	if err := age.Close(); err != nil {
		tb.Fatal(err)
	}
}
