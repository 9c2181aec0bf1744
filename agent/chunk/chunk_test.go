package chunk

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
)

// small are parameters that cut little content into many chunks.
func small(algorithm string) Params {
	return Params{Min: 1 << 10, Normal: 4 << 10, Max: 16 << 10, Algorithm: algorithm}
}

var algorithms = []string{JC100}

func testKey(fill byte) [32]byte { return [32]byte(bytes.Repeat([]byte{fill}, 32)) }

func newCutter(t testing.TB, p Params, key [32]byte) *Cutter {
	t.Helper()
	c, err := New(p, key)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// content returns n bytes that look random and that anyone can make: SHA-256 of the seed and a counter of eight bytes, little-endian, for
// each 32 bytes.
func content(seed string, n int) []byte {
	b := make([]byte, 0, n+32)
	block := append([]byte(seed), make([]byte, 8)...)
	for i := uint64(0); len(b) < n; i++ {
		binary.LittleEndian.PutUint64(block[len(seed):], i)
		sum := sha256.Sum256(block)
		b = append(b, sum[:]...)
	}
	return b[:n]
}

// random is faster and good enough where nobody else must make the same.
func random(seed byte, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

// cut returns the lengths of the chunks, which must make up the content.
func cut(t testing.TB, c *Cutter, r io.Reader, size int64, want []byte) []int {
	t.Helper()
	lengths := []int{}
	off := 0
	n, err := c.Split(r, size, func(chunk []byte) error {
		if off+len(chunk) > len(want) || !bytes.Equal(chunk, want[off:off+len(chunk)]) {
			return fmt.Errorf("chunk %d at %d is not the content", len(lengths), off)
		}
		off += len(chunk)
		lengths = append(lengths, len(chunk))
		return nil
	})
	if err != nil || n != int64(len(want)) || off != len(want) {
		t.Fatalf("cut %d of %d bytes, %v", n, len(want), err)
	}
	return lengths
}

func TestSizes(t *testing.T) {
	for _, alg := range algorithms {
		p := small(alg)
		c := newCutter(t, p, testKey(1))
		for _, n := range []int{0, 1, 2, 31, 1000, p.Min - 1, p.Min, p.Min + 1, p.Normal, p.Max - 1, p.Max, p.Max + 1, 2 * p.Max, 2*p.Max + 1, 300_000} {
			data := random(2, n)
			lengths := cut(t, c, bytes.NewReader(data), int64(n), data)
			switch {
			case n == 0 && len(lengths) != 0, n > 0 && n <= p.Min && len(lengths) != 1:
				t.Errorf("%s: %d bytes became %v", alg, n, lengths)
			}
			for i, l := range lengths {
				if l > p.Max || l < 1 || (l < p.Min && i < len(lengths)-1) {
					t.Errorf("%s: chunk %d of %d bytes has %d", alg, i, n, l)
				}
			}
		}
	}
}

func TestHintAndReaderDoNotMatter(t *testing.T) {
	for _, alg := range algorithms {
		p := small(alg)
		c := newCutter(t, p, testKey(1))
		for _, n := range []int{0, 1, 500, p.Min, p.Min + 1, p.Max, p.Max + 1, 200_000} {
			data := random(3, n)
			want := cut(t, c, bytes.NewReader(data), -1, data)
			for _, hint := range []int64{-1, -5, 0, 1, int64(n) - 1, int64(n), int64(n) + 1, int64(p.Min), int64(p.Min) + 1, int64(p.Max), int64(p.Max) + 1, 1 << 50} {
				for name, r := range map[string]io.Reader{
					"plain":    bytes.NewReader(data),
					"one byte": iotest.OneByteReader(bytes.NewReader(data)),
					"half":     iotest.HalfReader(bytes.NewReader(data)),
					"data+EOF": iotest.DataErrReader(bytes.NewReader(data)),
					"sluggish": &sluggish{r: bytes.NewReader(data)},
				} {
					if got := cut(t, c, r, hint, data); !slices.Equal(got, want) {
						t.Fatalf("%s: %d bytes, hint %d, %s: %v, want %v", alg, n, hint, name, got, want)
					}
				}
			}
		}
	}
}

// sluggish returns nothing every other time.
type sluggish struct {
	r    io.Reader
	idle bool
}

func (s *sluggish) Read(p []byte) (int, error) {
	if s.idle = !s.idle; s.idle {
		return 0, nil
	}
	return s.r.Read(p)
}

// stuck never returns anything.
type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

func TestReaderErrors(t *testing.T) {
	p := small(JC100)
	c := newCutter(t, p, testKey(1))
	data := random(4, 200_000)
	whole := cut(t, c, bytes.NewReader(data), -1, data)
	for _, end := range []error{errors.New("the source is gone"), io.ErrUnexpectedEOF} {
		for _, n := range []int{0, 1, p.Min, p.Min + 1, p.Max + 5, 150_000} {
			for _, hint := range []int64{-1, int64(n), int64(len(data)), 1 << 40} {
				r := io.MultiReader(bytes.NewReader(data[:n]), iotest.ErrReader(end))
				var got []int
				total, err := c.Split(r, hint, func(chunk []byte) error {
					got = append(got, len(chunk))
					return nil
				})
				sum := 0
				for _, l := range got {
					sum += l
				}
				if err != end || total != int64(sum) || sum > n {
					t.Errorf("fails after %d bytes, hint %d: %d bytes passed, %v", n, hint, total, err)
				}
				if len(got) > len(whole) || !slices.Equal(got, whole[:len(got)]) {
					t.Errorf("fails after %d bytes, hint %d: chunks %v that a whole reading does not have: %v", n, hint, got, whole)
				}
			}
		}
	}
	for _, hint := range []int64{-1, 5, 1 << 20} {
		if _, err := c.Split(stuck{}, hint, func([]byte) error { return nil }); !errors.Is(err, io.ErrNoProgress) {
			t.Errorf("stuck reader, hint %d: %v", hint, err)
		}
	}
}

// lastGasp returns its bytes together with an error that is not the end.
type lastGasp struct {
	data []byte
	err  error
}

func (l *lastGasp) Read(p []byte) (int, error) {
	n := copy(p, l.data)
	l.data = l.data[n:]
	if len(l.data) == 0 {
		return n, l.err
	}
	return n, nil
}

func TestErrorWithTheLastBytes(t *testing.T) {
	c, end := newCutter(t, small(JC100), testKey(1)), errors.New("connection reset")
	for _, n := range []int{1, 100, 1 << 10, 1<<10 + 1} {
		for _, hint := range []int64{-1, 0, 99, 100, 1 << 10} {
			_, err := c.Split(&lastGasp{random(1, n), end}, hint, func([]byte) error { return nil })
			if err != end {
				t.Errorf("%d bytes, hint %d: %v", n, hint, err)
			}
		}
	}
}

func TestCallbackErrors(t *testing.T) {
	c, stop := newCutter(t, small(JC100), testKey(1)), errors.New("enough")
	data := random(5, 100_000)
	lengths := cut(t, c, bytes.NewReader(data), -1, data)
	for _, n := range []int{500, len(data)} {
		calls := 0
		total, err := c.Split(bytes.NewReader(data[:n]), int64(n), func([]byte) error {
			if calls++; calls == 2 || n == 500 {
				return stop
			}
			return nil
		})
		want := int64(0)
		if n > 500 {
			want = int64(lengths[0])
		}
		if err != stop || total != want {
			t.Errorf("%d bytes: %d passed, %v", n, total, err)
		}
	}
	// The buffer went back whole: the next Split is right.
	cut(t, c, bytes.NewReader(data), -1, data)
}

func TestConcurrentUse(t *testing.T) {
	c := newCutter(t, small(JC100), testKey(1))
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 20 {
				data := random(byte(g), (g*37+i*7919)%100_000)
				want := data
				n, err := c.Split(bytes.NewReader(data), int64(len(data)-i%3), func(chunk []byte) error {
					if !bytes.Equal(chunk, want[:len(chunk)]) {
						return errors.New("another content's bytes")
					}
					want = want[len(chunk):]
					return nil
				})
				if err != nil || n != int64(len(data)) {
					t.Errorf("%d of %d bytes: %v", n, len(data), err)
				}
			}
		})
	}
	wg.Wait()
}

func TestKeyDecides(t *testing.T) {
	data := random(6, 400_000)
	for _, alg := range algorithms {
		a := cut(t, newCutter(t, small(alg), testKey(1)), bytes.NewReader(data), -1, data)
		b := cut(t, newCutter(t, small(alg), testKey(2)), bytes.NewReader(data), -1, data)
		again := cut(t, newCutter(t, small(alg), testKey(1)), bytes.NewReader(data), -1, data)
		if slices.Equal(a, b) || !slices.Equal(a, again) {
			t.Errorf("%s: one key gives %v and %v, another %v", alg, a, again, b)
		}
	}
}

// shared returns the share of b's bytes that lie in chunks which a has too.
func shared(t *testing.T, c *Cutter, a, b []byte) float64 {
	t.Helper()
	known, seed := map[uint64]bool{}, maphash.MakeSeed()
	if _, err := c.Split(bytes.NewReader(a), int64(len(a)), func(chunk []byte) error {
		known[maphash.Bytes(seed, chunk)] = true
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	same := 0
	if _, err := c.Split(bytes.NewReader(b), int64(len(b)), func(chunk []byte) error {
		if known[maphash.Bytes(seed, chunk)] {
			same += len(chunk)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return float64(same) / float64(len(b))
}

// TestResync inserts bytes at the front of 32 MiB and says how much is still shared, with the format's sizes.
func TestResync(t *testing.T) {
	data := random(7, 32<<20)
	for _, tc := range []struct {
		algorithm string
		insert    int
		least     float64
	}{
		{JC100, 1, 0.9}, {JC100, 10_007, 0.9}, {JC100, 100_003, 0.9},
	} {
		p := Default()
		p.Algorithm = tc.algorithm
		got := shared(t, newCutter(t, p, testKey(7)), data, append(random(8, tc.insert), data...))
		t.Logf("%s: %d bytes inserted, %.1f %% shared", tc.algorithm, tc.insert, 100*got)
		if got < tc.least {
			t.Errorf("%s: %d bytes inserted, %.1f %% shared, want %.0f %%", tc.algorithm, tc.insert, 100*got, 100*tc.least)
		}
	}
}

func TestResyncSmall(t *testing.T) {
	data := random(9, 2<<20)
	middle := slices.Concat(data[:1<<20], []byte("inserted in the middle"), data[1<<20:])
	removed := slices.Concat(data[:700_000], data[730_000:])
	for _, alg := range algorithms {
		c := newCutter(t, small(alg), testKey(3))
		for name, b := range map[string][]byte{"prefix": append([]byte("prefix"), data...), "middle": middle, "removed": removed} {
			if got := shared(t, c, data, b); got < 0.9 {
				t.Errorf("%s, %s: %.1f %% shared", alg, name, 100*got)
			}
		}
	}
}

func TestValidate(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
	if err := (Params{Min: 64, Normal: 65, Max: 66, Algorithm: JC100}).Validate(); err != nil {
		t.Error(err)
	}
	for _, tc := range []struct {
		p    Params
		want string
	}{
		{Params{}, "smallest"},
		{Params{Min: 63, Normal: 1024, Max: 4096, Algorithm: JC100}, "smallest"},
		{Params{Min: -1, Normal: 1024, Max: 4096}, "smallest"},
		{Params{Min: 1024, Normal: 1024, Max: 4096, Algorithm: JC100}, "normal"},
		{Params{Min: 1024, Normal: 512, Max: 4096, Algorithm: JC100}, "normal"},
		{Params{Min: 1024, Normal: 4096, Max: 4096, Algorithm: JC100}, "largest"},
		{Params{Min: 1024, Normal: 4096, Max: 1<<25 + 1}, "largest"},
		{Params{Min: 1024, Normal: 4096, Max: 8192, Algorithm: "fixed"}, "not known"},
	} {
		if err := tc.p.Validate(); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%+v: %v", tc.p, err)
		}
		if _, err := New(tc.p, testKey(1)); err == nil {
			t.Errorf("%+v made a cutter", tc.p)
		}
	}
	if _, err := New(Default(), [32]byte{}); err == nil {
		t.Error("an empty key made a cutter")
	}
}

func TestBuffersAreReused(t *testing.T) {
	c := newCutter(t, Default(), testKey(1))
	for _, tc := range []struct{ content, buffer int }{{100_000, 100_000}, {1 << 20, 4 << 20}, {5 << 20, 8 << 20}} {
		data := random(1, tc.content)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		const runs = 20
		for range runs {
			if _, err := c.Split(bytes.NewReader(data), int64(len(data)), func([]byte) error { return nil }); err != nil {
				t.Fatal(err)
			}
		}
		runtime.ReadMemStats(&after)
		// The pool may forget some: the race detector makes it forget one in four.
		if got := after.TotalAlloc - before.TotalAlloc; got > runs*uint64(tc.buffer)*6/10 {
			t.Errorf("%d bytes: %d times Split allocated %d bytes", tc.content, runs, got)
		}
	}
}

func FuzzSplit(f *testing.F) {
	c := map[string]*Cutter{}
	for _, alg := range algorithms {
		c[alg] = newCutter(f, Params{Min: 64, Normal: 128, Max: 512, Algorithm: alg}, testKey(1))
	}
	f.Add([]byte("abc"), int64(3), uint8(1))
	f.Add(random(1, 2000), int64(-1), uint8(7))
	f.Fuzz(func(t *testing.T, data []byte, hint int64, step uint8) {
		for _, c := range c {
			want := cut(t, c, bytes.NewReader(data), int64(len(data)), data)
			got := cut(t, c, &stepReader{bytes.NewReader(data), int(step)}, hint, data)
			if !slices.Equal(got, want) {
				t.Fatalf("hint %d, steps of %d: %v, want %v", hint, step, got, want)
			}
		}
	})
}

// stepReader returns at most step+1 bytes at once.
type stepReader struct {
	r    io.Reader
	step int
}

func (s *stepReader) Read(p []byte) (int, error) { return s.r.Read(p[:min(len(p), s.step+1)]) }

func benchmarkSplit(b *testing.B, alg string) {
	p := Default()
	p.Algorithm = alg
	c, data := newCutter(b, p, testKey(1)), random(1, 32<<20)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Split(bytes.NewReader(data), int64(len(data)), func([]byte) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSplit(b *testing.B) { benchmarkSplit(b, JC100) }

func BenchmarkSplitSmall(b *testing.B) {
	c, data := newCutter(b, Default(), testKey(1)), random(1, 10_000)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Split(bytes.NewReader(data), int64(len(data)), func([]byte) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}
