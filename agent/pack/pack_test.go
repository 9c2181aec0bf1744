package pack

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	seekable "github.com/SaveTheRbtz/zstd-seekable-format-go/pkg"
	"github.com/klauspost/compress/zstd"
)

func newCodec(t testing.TB, level ...int) *Codec {
	t.Helper()
	c, err := NewCodec(level...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// random returns n bytes that don't compress, text n that do; both are always the same.
func random(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{7}).Read(b)
	return b
}

func text(n int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "{\"path\":\"logs/2026/11/%06d.json\",\"size\":%d}\n", i, i*i)
	}
	return b.Bytes()[:n]
}

func encode(t testing.TB, c *Codec, frameSize int, raw []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	if err := Encode(&buf, c, frameSize, bytes.NewReader(raw)); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func open(t testing.TB, c *Codec, plain []byte) *Reader {
	t.Helper()
	r, err := NewReader(bytes.NewReader(plain), int64(len(plain)), c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// contents are the raw bytes that most tests go through, with a frame size.
var contents = []struct {
	name  string
	frame int
	raw   []byte
}{
	{"empty", 4096, nil},
	{"one byte", 4096, []byte{1}},
	{"below 256 bytes", 4096, text(200)},
	{"one frame", 4096, text(4096)},
	{"one frame and a byte", 4096, text(4097)},
	{"many frames of text", 4096, text(100_000)},
	{"many frames of noise", 4096, random(100_001)},
	{"real frame size", FrameSize, append(text(3*FrameSize/2), random(FrameSize)...)},
	{"frames of one byte", 1, text(300)},
	{"table longer than the tail", 16, text(16 * 9000)},
}

func TestRoundTrip(t *testing.T) {
	c := newCodec(t)
	for _, tc := range contents {
		t.Run(tc.name, func(t *testing.T) {
			plain := encode(t, c, tc.frame, tc.raw)
			if n := int64(len(plain)); Padded(n) != n {
				t.Errorf("a plaintext of %d bytes is not of a permitted size", n)
			}
			r := open(t, c, plain)
			if r.RawSize() != int64(len(tc.raw)) || r.Frames() != (len(tc.raw)+tc.frame-1)/tc.frame {
				t.Fatalf("%d raw bytes in %d frames", r.RawSize(), r.Frames())
			}
			checkFrames(t, r, tc.raw)
			got, err := io.ReadAll(io.NewSectionReader(r, 0, r.RawSize()+1))
			if err != nil || !bytes.Equal(got, tc.raw) {
				t.Errorf("ReadAt gives %d bytes, %v", len(got), err)
			}
			got, err = io.ReadAll(NewStream(bytes.NewReader(plain), c, int64(len(tc.raw))))
			if err != nil || !bytes.Equal(got, tc.raw) {
				t.Errorf("NewStream gives %d bytes, %v", len(got), err)
			}
		})
	}
}

// checkFrames reads every frame and holds FrameRange and FrameAt to each other.
func checkFrames(t *testing.T, r *Reader, raw []byte) {
	t.Helper()
	end, rawEnd := int64(0), int64(0)
	for i := range r.Frames() {
		off, n, rawOff, rawLen := r.FrameRange(i)
		if off != end || rawOff != rawEnd || n < 1 || rawLen < 1 {
			t.Fatalf("frame %d at %d+%d, raw %d+%d, after %d, raw %d", i, off, n, rawOff, rawLen, end, rawEnd)
		}
		end, rawEnd = off+n, rawOff+rawLen
		if a, b := r.FrameAt(rawOff), r.FrameAt(rawEnd-1); a != i || b != i {
			t.Fatalf("frame %d: FrameAt of its ends gives %d and %d", i, a, b)
		}
		got, err := r.ReadFrame(i, []byte("kept"))
		if err != nil || string(got[:4]) != "kept" || !bytes.Equal(got[4:], raw[rawOff:rawEnd]) {
			t.Fatalf("frame %d: %d bytes, %v", i, len(got), err)
		}
	}
	if rawEnd != int64(len(raw)) || r.FrameAt(rawEnd) != -1 || r.FrameAt(-1) != -1 {
		t.Errorf("frames end at %d of %d", rawEnd, len(raw))
	}
	for _, i := range []int{-1, r.Frames()} {
		if _, err := r.ReadFrame(i, nil); err == nil {
			t.Errorf("frame %d of %d was read", i, r.Frames())
		}
	}
}

// TestFramesOfAnySize is what pages look like whose header was known last.
func TestFramesOfAnySize(t *testing.T) {
	c, raw := newCodec(t), text(10_000)
	var buf bytes.Buffer
	w := NewWriter(&buf)
	rest := raw
	for _, n := range []int{120, 1, 4096, 4096, 700, len(raw) - 9013} {
		if err := w.Frame(c.Compress(nil, rest[:n]), n); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	if w.Raw() != int64(len(raw)) || w.Size() != int64(buf.Len()) {
		t.Errorf("%d raw bytes, %d bytes, wrote %d", w.Raw(), w.Size(), buf.Len())
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	r := open(t, c, buf.Bytes())
	if r.Frames() != 6 {
		t.Errorf("%d frames", r.Frames())
	}
	checkFrames(t, r, raw)
	b := make([]byte, 9000)
	if n, err := r.ReadAt(b, 60); n != len(b) || err != nil || !bytes.Equal(b, raw[60:9060]) {
		t.Errorf("ReadAt = %d, %v", n, err)
	}
	if _, err := r.ReadFrame(1, nil); err != nil {
		t.Error(err)
	}
	got, err := io.ReadAll(NewStream(bytes.NewReader(buf.Bytes()), c, 10_000))
	if err != nil || !bytes.Equal(got, raw) {
		t.Errorf("stream of %d bytes, %v", len(got), err)
	}
}

func TestReadAtRanges(t *testing.T) {
	c, raw := newCodec(t), text(50_000)
	r := open(t, c, encode(t, c, 4096, raw))
	rng := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		off, n := rng.IntN(len(raw)+10), rng.IntN(10_000)
		b := make([]byte, n)
		got, err := r.ReadAt(b, int64(off))
		want := raw[min(off, len(raw)):min(off+n, len(raw))]
		if !bytes.Equal(b[:got], want) || (err == nil) != (got == n) || (err != nil && err != io.EOF) {
			t.Fatalf("ReadAt(%d bytes, %d) = %d, %v", n, off, got, err)
		}
	}
	if _, err := r.ReadAt(make([]byte, 1), -1); err == nil {
		t.Error("a negative offset was read")
	}
}

func TestConcurrentUse(t *testing.T) {
	c, raw := newCodec(t), append(text(200_000), random(200_000)...)
	r := open(t, c, encode(t, c, 8192, raw))
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range r.Frames() {
				i = (i + g*5) % r.Frames()
				_, _, off, n := r.FrameRange(i)
				got, err := r.ReadFrame(i, nil)
				if err != nil || !bytes.Equal(got, raw[off:off+n]) {
					t.Errorf("frame %d: %v", i, err)
				}
			}
		})
	}
	wg.Wait()
}

// countingAt counts the reads of a plaintext.
type countingAt struct {
	io.ReaderAt
	reads [][2]int64
}

func (c *countingAt) ReadAt(p []byte, off int64) (int, error) {
	c.reads = append(c.reads, [2]int64{off, int64(len(p))})
	return c.ReaderAt.ReadAt(p, off)
}

func TestReadsOnlyTheTail(t *testing.T) {
	c := newCodec(t)
	for _, tc := range []struct {
		frame, raw, reads int
	}{{FrameSize, 3 * FrameSize, 1}, {4096, 1000, 1}, {16, 16 * 9000, 2}} {
		plain := encode(t, c, tc.frame, random(tc.raw))
		at := &countingAt{ReaderAt: bytes.NewReader(plain)}
		r, err := NewReader(at, int64(len(plain)), c)
		if err != nil {
			t.Fatal(err)
		}
		if len(at.reads) != tc.reads || at.reads[0][1] != min(int64(len(plain)), 64<<10) {
			t.Errorf("opening %d bytes read %v", len(plain), at.reads)
		}
		at.reads = nil
		if _, err := r.ReadFrame(0, nil); err != nil {
			t.Fatal(err)
		}
		off, n, _, _ := r.FrameRange(0)
		if len(at.reads) != 1 || at.reads[0] != [2]int64{off, n} {
			t.Errorf("frame at %d+%d read as %v", off, n, at.reads)
		}
	}
}

func TestSeekableReaderAgrees(t *testing.T) {
	dec, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	c := newCodec(t)
	for _, tc := range contents {
		if len(tc.raw) == 0 {
			continue
		}
		sr, err := seekable.NewReader(bytes.NewReader(encode(t, c, tc.frame, tc.raw)), dec)
		if err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		for _, rg := range [][2]int{{0, len(tc.raw)}, {len(tc.raw) / 3, len(tc.raw) / 2}, {len(tc.raw) - 1, len(tc.raw)}} {
			b := make([]byte, rg[1]-rg[0])
			if _, err := sr.ReadAt(b, int64(rg[0])); (err != nil && err != io.EOF) || !bytes.Equal(b, tc.raw[rg[0]:rg[1]]) {
				t.Errorf("%s: range %v: %v", tc.name, rg, err)
			}
		}
		if err := sr.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestStandardDecodersAgree(t *testing.T) {
	program, err := exec.LookPath("zstd")
	if err != nil {
		t.Log("no zstd program here: only the library's decoder is compared")
	}
	c := newCodec(t)
	for _, tc := range contents {
		plain := encode(t, c, tc.frame, tc.raw)
		dec, err := zstd.NewReader(bytes.NewReader(plain))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(dec); err != nil || !bytes.Equal(got, tc.raw) {
			t.Errorf("%s: library gives %d bytes, %v", tc.name, len(got), err)
		}
		dec.Close()
		if program == "" {
			continue
		}
		cmd := exec.Command(program, "-d", "-c", "-q")
		cmd.Stdin = bytes.NewReader(plain)
		if got, err := cmd.Output(); err != nil || !bytes.Equal(got, tc.raw) {
			t.Errorf("%s: zstd gives %d bytes, %v", tc.name, len(got), err)
		}
	}
}

func TestFramesAreAsSpecified(t *testing.T) {
	for _, level := range []int{1, 3, 7, 19} {
		c := newCodec(t, level)
		for _, raw := range [][]byte{{0}, text(100), random(255), text(256), text(1023), text(70_000), random(FrameSize), text(FrameSize)} {
			frame := c.Compress(nil, raw)
			var h zstd.Header
			if err := h.Decode(frame); err != nil {
				t.Fatal(err)
			}
			if !h.HasFCS || h.FrameContentSize != uint64(len(raw)) || !h.HasCheckSum || h.DictionaryID != 0 {
				t.Errorf("level %d, %d bytes: header %+v", level, len(raw), h)
			}
			if len(frame) > maxCompressed(len(raw)) {
				t.Errorf("level %d: %d bytes became %d", level, len(raw), len(frame))
			}
			got, err := c.Decompress(nil, frame, len(raw))
			if err != nil || !bytes.Equal(got, raw) || cap(got) > len(raw) {
				t.Errorf("level %d: %d of %d bytes, capacity %d, %v", level, len(got), len(raw), cap(got), err)
			}
		}
	}
	for _, levels := range [][]int{{0}, {23}, {-1}, {1, 2}} {
		if _, err := NewCodec(levels...); err == nil {
			t.Errorf("levels %v were accepted", levels)
		}
	}
}

func TestDecompressRefuses(t *testing.T) {
	c := newCodec(t)
	good := c.Compress(nil, text(5000))
	plain, err := zstd.NewWriter(nil, zstd.WithEncoderCRC(false))
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	flipped := bytes.Clone(good)
	flipped[len(flipped)-1] ^= 1
	skippable := append([]byte{0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0}, 1, 2, 3, 4)
	for _, tc := range []struct {
		name  string
		frame []byte
		raw   int
	}{
		{"fewer bytes than stated", good, 4999},
		{"more bytes than stated", good, 5001},
		{"no bytes", good, 0},
		{"negative", good, -1},
		{"too many", good, MaxFrame + 1},
		{"empty", nil, 5000},
		{"cut short", good[:len(good)-5], 5000},
		{"checksum wrong", flipped, 5000},
		{"no checksum", plain.EncodeAll(text(5000), nil), 5000},
		{"skippable", skippable, 5000},
		{"two frames", append(bytes.Clone(good), good...), 5000},
		{"frame and noise", append(bytes.Clone(good), 1, 2, 3), 5000},
		{"much too long", make([]byte, 20_000), 5000},
	} {
		got, err := c.Decompress([]byte("kept"), tc.frame, tc.raw)
		if !errors.Is(err, ErrFormat) || string(got) != "kept" {
			t.Errorf("%s: %q, %v", tc.name, got, err)
		}
	}
}

func TestWriterRefuses(t *testing.T) {
	c := newCodec(t)
	full := c.Compress(nil, text(100))
	for _, tc := range []struct {
		name  string
		write func(w *Writer) error
		want  string
	}{
		{"empty frame", func(w *Writer) error { return w.Frame(full, 0) }, "not between"},
		{"frame too large", func(w *Writer) error { return w.Frame(full, MaxFrame+1) }, "not between"},
		{"no bytes", func(w *Writer) error { return w.Frame(nil, 10) }, "can't be"},
		{"not compressed", func(w *Writer) error { return w.Frame(make([]byte, 10_000), 10) }, "can't be"},
		{"frame after Close", func(w *Writer) error { return errors.Join(w.Close(), w.Frame(full, 100)) }, "finished already"},
		{"second Close", func(w *Writer) error { return errors.Join(w.Close(), w.Close()) }, "finished already"},
		{"too many raw bytes", func(w *Writer) error {
			var err error
			for range MaxRaw/MaxFrame + 1 {
				err = errors.Join(err, w.Frame(full, MaxFrame))
			}
			return err
		}, "raw bytes"},
		{"too many frames", func(w *Writer) error {
			var err error
			for i := 0; i <= MaxFrames && err == nil; i++ {
				err = w.Frame([]byte{1}, 1)
			}
			return err
		}, "data frames"},
		{"too much content", func(w *Writer) error {
			var err error
			frame := make([]byte, MaxFrame)
			for i := 0; i < 4 && err == nil; i++ {
				err = w.Frame(frame, MaxFrame)
			}
			return err
		}, "compressed content"},
	} {
		w := NewWriter(io.Discard)
		if err := tc.write(w); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", tc.name, err)
		} else if w.Close() == nil {
			t.Errorf("%s: Close forgot the error", tc.name)
		}
	}
}

// limitedWriter fails once it took its bytes.
type limitedWriter struct{ left int }

var errDisk = errors.New("disk on fire")

func (l *limitedWriter) Write(p []byte) (int, error) {
	if len(p) > l.left {
		n := l.left
		l.left = 0
		return n, errDisk
	}
	l.left -= len(p)
	return len(p), nil
}

func TestWriteErrorsAreKept(t *testing.T) {
	c, raw := newCodec(t), text(20_000)
	size := len(encode(t, c, 4096, raw))
	for n := range size {
		if err := Encode(&limitedWriter{n}, c, 4096, bytes.NewReader(raw)); !errors.Is(err, errDisk) {
			t.Fatalf("writer that fails after %d bytes: %v", n, err)
		}
	}
	if err := Encode(&limitedWriter{size}, c, 4096, bytes.NewReader(raw)); err != nil {
		t.Fatal(err)
	}
}

func TestEncodeReader(t *testing.T) {
	c, raw := newCodec(t), text(20_000)
	want := encode(t, c, 4096, raw)
	for name, r := range map[string]io.Reader{
		"one byte": iotest.OneByteReader(bytes.NewReader(raw)),
		"half":     iotest.HalfReader(bytes.NewReader(raw)),
		"data+EOF": iotest.DataErrReader(bytes.NewReader(raw)),
	} {
		var buf bytes.Buffer
		if err := Encode(&buf, c, 4096, r); err != nil || !bytes.Equal(buf.Bytes(), want) {
			t.Errorf("%s: %d bytes, want %d, %v", name, buf.Len(), len(want), err)
		}
	}
	for _, end := range []error{errDisk, io.ErrUnexpectedEOF} {
		r := io.MultiReader(bytes.NewReader(raw[:5000]), iotest.ErrReader(end))
		if err := Encode(io.Discard, c, 4096, r); !errors.Is(err, end) {
			t.Errorf("reader fails with %v: %v", end, err)
		}
	}
	for _, size := range []int{0, -1, MaxFrame + 1} {
		if err := Encode(io.Discard, c, size, bytes.NewReader(raw)); err == nil {
			t.Errorf("frame size %d was accepted", size)
		}
	}
}

func TestStreamLimitsAndErrors(t *testing.T) {
	c, raw := newCodec(t), text(20_000)
	plain := encode(t, c, 4096, raw)
	for _, max := range []int64{0, 1, 4096, 19_999} {
		got, err := io.ReadAll(NewStream(bytes.NewReader(plain), c, max))
		if !errors.Is(err, ErrTooLarge) || !bytes.Equal(got, raw[:max]) {
			t.Errorf("at most %d: %d bytes, %v", max, len(got), err)
		}
	}
	if got, err := io.ReadAll(iotest.OneByteReader(NewStream(iotest.OneByteReader(bytes.NewReader(plain)), c, 1<<40))); err != nil || !bytes.Equal(got, raw) {
		t.Errorf("byte by byte: %d bytes, %v", len(got), err)
	}
	for _, end := range []error{errDisk, io.ErrUnexpectedEOF} {
		for _, n := range []int{0, 3, 500, len(plain) - 20} {
			s := NewStream(io.MultiReader(bytes.NewReader(plain[:n]), iotest.ErrReader(end)), c, 1<<20)
			if _, err := io.ReadAll(s); err != end {
				t.Errorf("reader fails with %v after %d bytes: %v", end, n, err)
			}
			if _, err := s.Read(make([]byte, 1)); err != end {
				t.Errorf("the error is forgotten: %v", err)
			}
		}
	}
	flipped := bytes.Clone(plain)
	flipped[300] ^= 0x10
	for name, bad := range map[string][]byte{"flipped": flipped, "cut in a frame": plain[:300], "noise": random(3000)} {
		if _, err := io.ReadAll(NewStream(bytes.NewReader(bad), c, 1<<20)); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReaderRefuses(t *testing.T) {
	c := newCodec(t)
	plain := encode(t, c, 4096, text(10_000))
	n := len(plain)
	entries := int(binary.LittleEndian.Uint32(plain[n-9:]))
	table := n - int(tableSize(entries))
	edit := func(f func(b []byte)) []byte {
		b := bytes.Clone(plain)
		f(b)
		return b
	}
	put := binary.LittleEndian.PutUint32
	cases := map[string][]byte{
		"nothing":               {},
		"16 bytes":              plain[n-16:],
		"cut at its end":        plain[:n-1],
		"cut at its start":      plain[1:],
		"a byte more":           append(bytes.Clone(plain), 0),
		"footer's magic":        edit(func(b []byte) { b[n-1]++ }),
		"checksums announced":   edit(func(b []byte) { b[n-5] = 0x80 }),
		"reserved bits":         edit(func(b []byte) { b[n-5] = 1 }),
		"no entries":            edit(func(b []byte) { put(b[n-9:], 0) }),
		"an entry less":         edit(func(b []byte) { put(b[n-9:], uint32(entries-1)) }),
		"all entries in memory": edit(func(b []byte) { put(b[n-9:], 1<<32-1) }),
		"table's magic":         edit(func(b []byte) { b[table]++ }),
		"table's length":        edit(func(b []byte) { b[table+4]++ }),
		"frame's size":          edit(func(b []byte) { b[table+8]++ }),
		"frame's size 0":        edit(func(b []byte) { put(b[table+8:], 0) }),
		"raw size 0":            edit(func(b []byte) { put(b[table+12:], 0) }),
		"raw size 4 GiB":        edit(func(b []byte) { put(b[table+12:], 1<<32-1) }),
		"raw size too large":    edit(func(b []byte) { put(b[table+12:], MaxFrame+1) }),
		"raw size too small":    edit(func(b []byte) { put(b[table+12:], 1); put(b[table+8:], 5000) }),
		"padding not zero":      edit(func(b []byte) { b[table-1] = 1 }),
		"padding's magic":       edit(func(b []byte) { b[table-int(binary.LittleEndian.Uint32(b[table+32:]))]++ }),
		"padding's length":      edit(func(b []byte) { b[table-int(binary.LittleEndian.Uint32(b[table+32:]))+4]++ }),
		"size moved to padding": edit(func(b []byte) { b[table+24]--; b[table+32]++ }),
		"too large":             make([]byte, MaxSize+1),
	}
	if raw := binary.LittleEndian.Uint32(plain[table+36:]); entries != 4 || raw != 0 {
		t.Fatalf("the file under test has %d entries, the last of %d raw bytes", entries, raw)
	}
	for name, b := range cases {
		if r, err := NewReader(bytes.NewReader(b), int64(len(b)), c); !errors.Is(err, ErrFormat) || r != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A table may lie about what a frame holds; reading the frame shows it.
	lie := edit(func(b []byte) { put(b[table+36:], 1) })
	if _, err := open(t, c, lie).ReadFrame(3, nil); !errors.Is(err, ErrFormat) {
		t.Errorf("padding with a raw byte: %v", err)
	}
	// A padding other than the writer's.
	var buf bytes.Buffer
	w := NewWriter(&buf)
	if err := w.Frame(c.Compress(nil, text(100)), 100); err != nil {
		t.Fatal(err)
	}
	b := append(buf.Bytes(), w.table()...)
	if _, err := NewReader(bytes.NewReader(b), int64(len(b)), c); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "padded") {
		t.Errorf("without padding: %v", err)
	}
}

func TestReaderErrors(t *testing.T) {
	c := newCodec(t)
	plain := encode(t, c, 4096, random(10_000))
	if _, err := NewReader(errAt{}, int64(len(plain)), c); !errors.Is(err, errDisk) || errors.Is(err, ErrFormat) {
		t.Errorf("a failing store: %v", err)
	}
	if _, err := NewReader(bytes.NewReader(plain[:100]), int64(len(plain)), c); !errors.Is(err, ErrFormat) {
		t.Errorf("a store with fewer bytes: %v", err)
	}
	r := open(t, c, plain)
	r.r = errAt{}
	if _, err := r.ReadAt(make([]byte, 5), 4095); !errors.Is(err, errDisk) {
		t.Errorf("a store that fails later: %v", err)
	}
	damaged := bytes.Clone(plain)
	damaged[200] ^= 1
	if _, err := open(t, c, damaged).ReadFrame(0, nil); !errors.Is(err, ErrFormat) {
		t.Errorf("a damaged frame: %v", err)
	}
}

type errAt struct{}

func (errAt) ReadAt([]byte, int64) (int, error) { return 0, errDisk }

func FuzzReader(f *testing.F) {
	c := newCodec(f)
	for _, tc := range contents {
		if len(tc.raw) < 20_000 {
			f.Add(encode(f, c, tc.frame, tc.raw))
		}
	}
	f.Fuzz(func(t *testing.T, plain []byte) {
		r, err := NewReader(bytes.NewReader(plain), int64(len(plain)), c)
		if err != nil {
			if !errors.Is(err, ErrFormat) {
				t.Fatalf("not ErrFormat: %v", err)
			}
			return
		}
		sum, whole := sha256.New(), true
		for i := range r.Frames() {
			_, _, _, n := r.FrameRange(i)
			got, err := r.ReadFrame(i, nil)
			if err != nil && !errors.Is(err, ErrFormat) {
				t.Fatalf("frame %d: not ErrFormat: %v", i, err)
			}
			if err == nil && int64(len(got)) != n {
				t.Fatalf("frame %d has %d bytes, not %d", i, len(got), n)
			}
			whole = whole && err == nil
			sum.Write(got)
		}
		if !whole {
			return
		}
		// What the table gives, the plain decoder gives too.
		again := sha256.New()
		if _, err := io.Copy(again, NewStream(bytes.NewReader(plain), c, r.RawSize())); err != nil {
			t.Fatalf("the stream fails where the frames don't: %v", err)
		}
		if !bytes.Equal(sum.Sum(nil), again.Sum(nil)) {
			t.Fatal("stream and frames differ")
		}
	})
}

func FuzzStream(f *testing.F) {
	c := newCodec(f)
	f.Add(encode(f, c, 64, text(200)))
	f.Add(c.Compress(nil, random(50)))
	f.Fuzz(func(t *testing.T, plain []byte) {
		got, err := io.ReadAll(NewStream(bytes.NewReader(plain), c, 1<<16))
		if len(got) > 1<<16 || (err != nil && !errors.Is(err, ErrFormat) && !errors.Is(err, ErrTooLarge)) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
	})
}
