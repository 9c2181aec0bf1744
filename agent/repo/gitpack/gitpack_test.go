package gitpack

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

func TestTranscodeOfGitsPacks(t *testing.T) {
	for _, format := range []string{"sha1", "sha256"} {
		r := newRepo(t, format)
		history(r, 40, 5, 80)
		for _, c := range []struct {
			name string
			args []string
			thin bool
		}{
			{"offsets", []string{"--delta-base-offset"}, false},
			{"ids", nil, true},
			{"no deltas", []string{"--window=0", "--no-reuse-delta"}, false},
		} {
			t.Run(format+" "+c.name, func(t *testing.T) {
				pack := r.pack("refs/heads/main\nrefs/tags/v1\n", c.args...)
				checkRewrite(t, r, pack, nil, c.thin)
			})
		}
		t.Run(format+" thin", func(t *testing.T) {
			base := r.pack("main~10\n", "--delta-base-offset")
			thin := r.pack("main\n^main~10\n", "--delta-base-offset", "--thin")
			checkRewrite(t, r, thin, base, true)
		})
		t.Run(format+" empty", func(t *testing.T) {
			checkRewrite(t, r, r.pack("main\n^main\n"), nil, false)
		})
	}
}

// checkRewrite transcodes a pack in both ways, and has git compare what is in it.
func checkRewrite(t *testing.T, r *repo, pack, base []byte, thin bool) {
	t.Helper()
	out, facts := rewrite(t, pack, Options{IDSize: r.idSize()})
	if facts.Thin != thin || facts.SourceSize != int64(len(pack)) {
		t.Errorf("facts are %+v, want thin %v and %d bytes", facts, thin, len(pack))
	}
	if got := fmt.Sprintf("%x", out[len(out)-r.idSize():]); got != facts.Trailer {
		t.Errorf("the trailer is %s, the facts say %s", got, facts.Trailer)
	}
	want, got := r.ids(pack, base), r.ids(out, base)
	if !slices.Equal(want, got) {
		t.Errorf("git finds %d objects, in the source %d", len(got), len(want))
	}
	if base == nil && int64(len(want)) != facts.Objects {
		t.Errorf("the facts say %d objects, git %d", facts.Objects, len(want))
	}
	if len(pack) < 1<<20 {
		checkAgain(t, pack, out, Options{IDSize: r.idSize()})
	}
	checkDeflated(t, r, out, len(pack), facts)
	raw, rawFacts := rewrite(t, pack, Options{IDSize: r.idSize(), Raw: true})
	if rawFacts.Trailer != rawFacts.SourceTrailer {
		t.Errorf("the copy's trailer is %s, the source's %s", rawFacts.Trailer, rawFacts.SourceTrailer)
	}
	rawFacts.Trailer = facts.Trailer
	if !bytes.Equal(raw, pack) || rawFacts != facts {
		t.Errorf("the copy differs, or its facts: %+v, want %+v", rawFacts, facts)
	}
}

// checkAgain rewrites what was rewritten, which changes nothing, and the pack as it comes byte by byte.
func checkAgain(t *testing.T, pack, out []byte, o Options) {
	t.Helper()
	if again, _ := rewrite(t, out, o); !bytes.Equal(again, out) {
		t.Error("rewriting what was rewritten changes it")
	}
	slow := new(bytes.Buffer)
	if _, err := Transcode(slow, iotest.OneByteReader(bytes.NewReader(pack)), o); err != nil || !bytes.Equal(slow.Bytes(), out) {
		t.Errorf("reading byte by byte gives another pack: %v", err)
	}
}

func TestTranscodeOfExtremeSizes(t *testing.T) {
	r := newRepo(t, "sha1")
	extremes(r)
	checkRewrite(t, r, r.pack("main\n", "--delta-base-offset"), nil, false)
}

func TestTranscodeCompressesBetter(t *testing.T) {
	r := newRepo(t, "sha1")
	rnd := rand.New(rand.NewPCG(7, 7))
	var f files
	for i := range 100 {
		f.commit(map[string][]byte{fmt.Sprintf("d/f%d", i): text(rnd, 300)})
	}
	f.into(r)
	pack := r.pack("main\n", "--delta-base-offset")
	out, _ := rewrite(t, pack, Options{IDSize: 20})
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedDefault))
	if err != nil {
		t.Fatal(err)
	}
	before, after := len(enc.EncodeAll(pack, nil)), len(enc.EncodeAll(out, nil))
	t.Logf("git's pack %d bytes, with zstd %d; rewritten %d, with zstd %d", len(pack), before, len(out), after)
	if after >= before {
		t.Errorf("with zstd the rewritten pack has %d bytes, git's own %d", after, before)
	}
}

// part is an object of a pack made by hand.
type part struct {
	typ      byte
	data     []byte
	distance int64
	id       []byte
	size     int // what is said of the size, when it is not that of the data
}

// build makes a pack, and returns it with the offsets of its parts.
func build(parts ...part) []byte {
	var b bytes.Buffer
	b.WriteString("PACK\x00\x00\x00\x02")
	_ = binary.Write(&b, binary.BigEndian, uint32(len(parts)))
	for _, p := range parts {
		size := len(p.data)
		if p.size != 0 {
			size = p.size
		}
		b.Write(appendSize(nil, p.typ, int64(size)))
		switch p.typ {
		case typeOfsDelta:
			b.Write(appendDistance(nil, p.distance))
		case typeRefDelta:
			b.Write(p.id)
		}
		b.Write(deflated(p.data))
	}
	return sealed(b.Bytes())
}

func deflated(data []byte) []byte {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, _ = w.Write(data)
	_ = w.Close()
	return b.Bytes()
}

// sealed appends the trailer.
func sealed(pack []byte) []byte {
	h := newHash(20)
	h.Write(pack)
	return h.Sum(slices.Clone(pack))
}

// copyAll is a delta that copies all of a base of size bytes, at most 255, and inserts text.
func copyAll(size int, insert string) []byte {
	d := appendVarint(nil, size)
	d = appendVarint(d, size+len(insert))
	d = append(d, 0x90, byte(size))
	for len(insert) > 0 {
		n := min(127, len(insert))
		d = append(append(d, byte(n)), insert[:n]...)
		insert = insert[n:]
	}
	return d
}

func appendVarint(b []byte, n int) []byte { return binary.AppendUvarint(b, uint64(n)) }

func TestTranscodeRefuses(t *testing.T) {
	blob := part{typ: typeBlob, data: []byte("hello world, hello world")}
	good := build(blob, blob)
	cases := map[string][]byte{
		"nothing":             {},
		"another magic":       sealed(append([]byte("PACX"), good[4:len(good)-20]...)),
		"version 4":           sealed(append([]byte("PACK\x00\x00\x00\x04"), good[8:len(good)-20]...)),
		"too few objects":     sealed([]byte("PACK\x00\x00\x00\x02\x00\x00\x00\x01")),
		"bytes behind":        append(slices.Clone(good), 0),
		"a pack behind":       append(slices.Clone(good), good...),
		"type 0":              build(part{typ: 0, data: []byte("x")}),
		"type 5":              build(part{typ: 5, data: []byte("x")}),
		"more than said":      build(part{typ: typeBlob, data: []byte("hello"), size: 4}),
		"less than said":      build(part{typ: typeBlob, data: []byte("hello"), size: 6}),
		"base in the middle":  build(blob, part{typ: typeOfsDelta, data: copyAll(24, "x"), distance: 3}),
		"base before":         build(blob, part{typ: typeOfsDelta, data: copyAll(24, "x"), distance: 1000}),
		"base is itself":      build(blob, part{typ: typeOfsDelta, data: copyAll(24, "x"), distance: 0}),
		"delta cut off":       build(part{typ: typeRefDelta, data: copyAll(24, "xyz")[:6], id: make([]byte, 20)}),
		"delta too short":     build(part{typ: typeRefDelta, data: []byte{1, 0}, id: make([]byte, 20)}),
		"delta gives less":    build(part{typ: typeRefDelta, data: []byte{4, 9, 0x90, 4}, id: make([]byte, 20)}),
		"delta gives more":    build(part{typ: typeRefDelta, data: []byte{4, 3, 0x90, 4}, id: make([]byte, 20)}),
		"delta copies beyond": build(part{typ: typeRefDelta, data: []byte{4, 5, 0x90, 5}, id: make([]byte, 20)}),
		"delta of nothing":    build(part{typ: typeRefDelta, data: []byte{4, 1, 0, 1}, id: make([]byte, 20)}),
	}
	for name, pack := range cases {
		for _, raw := range []bool{false, true} {
			_, err := Transcode(io.Discard, bytes.NewReader(pack), Options{IDSize: 20, Raw: raw})
			var bad *FormatError
			if !errors.As(err, &bad) {
				t.Errorf("%s (raw %v): %v", name, raw, err)
			}
		}
	}
}

func TestTranscodeFindsEveryCutAndFlip(t *testing.T) {
	ref := part{typ: typeRefDelta, data: copyAll(24, "x"), id: bytes.Repeat([]byte{7}, 20)}
	blob := part{typ: typeBlob, data: []byte("hello world, hello world")}
	pack := build(part{typ: typeCommit, data: bytes.Repeat([]byte("commit"), 10)}, blob, ref, part{typ: typeTree}, part{typ: typeTag, data: []byte("t")})
	for _, raw := range []bool{false, true} {
		o := Options{IDSize: 20, Raw: raw}
		rewrite(t, pack, o)
		for i := range pack {
			var bad *FormatError
			if _, err := Transcode(io.Discard, bytes.NewReader(pack[:i]), o); !errors.As(err, &bad) {
				t.Fatalf("raw %v: cut off at %d: %v", raw, i, err)
			}
			for bit := range 8 {
				flipped := slices.Clone(pack)
				flipped[i] ^= 1 << bit
				if _, err := Transcode(io.Discard, bytes.NewReader(flipped), o); !errors.As(err, &bad) && (!errors.Is(err, ErrKeep) || i != 8) {
					t.Fatalf("raw %v: byte %d, bit %d: %v", raw, i, bit, err)
				}
			}
		}
	}
}

// TestTranscodeReadsBackWhatItWrites flips each bit of what is written, as a fault of the writer would.
func TestTranscodeReadsBackWhatItWrites(t *testing.T) {
	blob := part{typ: typeBlob, data: []byte("hello world, hello world")}
	distance := int64(len(appendSize(nil, typeBlob, 24)) + len(deflated(blob.data)))
	pack := build(blob, part{typ: typeOfsDelta, data: copyAll(24, "x"), distance: distance},
		part{typ: typeRefDelta, data: copyAll(24, "x"), id: bytes.Repeat([]byte{7}, 20)}, part{typ: typeTree})
	out, _ := rewrite(t, pack, Options{IDSize: 20})
	for i := range out {
		for bit := range 8 {
			pos := 0
			fault := func(p []byte) {
				if i >= pos && i < pos+len(p) {
					p[i-pos] ^= 1 << bit
				}
				pos += len(p)
			}
			if _, err := transcode(io.Discard, bytes.NewReader(pack), Options{IDSize: 20}, fault); !errors.Is(err, ErrKeep) {
				t.Fatalf("byte %d, bit %d: %v", i, bit, err)
			}
		}
	}
}

func TestTranscodePassesErrorsOn(t *testing.T) {
	pack := build(part{typ: typeBlob, data: []byte("hello world")})
	broken := errors.New("the connection broke")
	for _, raw := range []bool{false, true} {
		o := Options{IDSize: 20, Raw: raw}
		for n := range len(pack) + 1 {
			src := io.MultiReader(bytes.NewReader(pack[:n]), iotest.ErrReader(broken))
			if _, err := Transcode(io.Discard, src, o); !errors.Is(err, broken) {
				t.Fatalf("raw %v: source fails after %d bytes: %v", raw, n, err)
			}
			src = io.MultiReader(bytes.NewReader(pack[:n]), iotest.ErrReader(io.ErrUnexpectedEOF))
			var bad *FormatError
			if _, err := Transcode(io.Discard, src, o); err == nil || errors.As(err, &bad) {
				t.Fatalf("raw %v: source ends unexpectedly after %d bytes: %v", raw, n, err)
			}
		}
		if _, err := Transcode(failing{broken}, bytes.NewReader(pack), o); !errors.Is(err, broken) {
			t.Fatalf("raw %v: target fails: %v", raw, err)
		}
	}
	if _, err := Transcode(io.Discard, bytes.NewReader(pack), Options{IDSize: 16}); err == nil {
		t.Fatal("ids of 16 bytes are accepted")
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestTranscodeKeepsPacksOfTooManyObjects(t *testing.T) {
	pack := sealed([]byte("PACK\x00\x00\x00\x02\xff\xff\xff\xff"))
	if _, err := Transcode(io.Discard, bytes.NewReader(pack), Options{IDSize: 20}); !errors.Is(err, ErrKeep) {
		t.Error(err)
	}
	var bad *FormatError
	if _, err := Transcode(io.Discard, bytes.NewReader(pack), Options{IDSize: 20, Raw: true}); !errors.As(err, &bad) {
		t.Error(err)
	}
}

func TestTable(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 5))
	var tab table
	var all []place
	p := place{src: 12, out: 12}
	for range 20000 {
		p.src += 1 + rnd.Int64N(1<<20)
		p.out += 1 + rnd.Int64N(1<<22)
		p.kind = byte(rnd.IntN(5))
		if rnd.IntN(1000) == 0 {
			p.out += 5 << 30
		}
		tab.add(p)
		all = append(all, p)
	}
	for _, want := range all {
		if got, ok := tab.bySource(want.src); !ok || got != want {
			t.Fatalf("by source: %v, want %v", got, want)
		}
		if got, ok := tab.byOutput(want.out); !ok || got != want {
			t.Fatalf("by output: %v, want %v", got, want)
		}
	}
	for _, p := range []int64{0, 11, 12, all[5].src + 1, all[4095].src - 1, p.src + 1} {
		if got, ok := tab.bySource(p); ok && !slices.Contains(all, got) {
			t.Fatalf("found %v at %d", got, p)
		}
	}
}

func FuzzTranscode(f *testing.F) {
	blob := part{typ: typeBlob, data: []byte("hello world, hello world")}
	distance := int64(len(appendSize(nil, typeBlob, 24)) + len(deflated(blob.data)))
	f.Add(build(), false)
	f.Add(build(blob, part{typ: typeOfsDelta, data: copyAll(24, "x"), distance: distance}), false)
	f.Add(build(part{typ: typeRefDelta, data: copyAll(24, "version "), id: make([]byte, 20)}, part{typ: typeBlob, data: []byte(pointer(1))}), true)
	f.Fuzz(func(t *testing.T, data []byte, raw bool) {
		// The trailer is made right, so that what stands before it matters.
		pack := sealed(data)
		var out bytes.Buffer
		_, err := Transcode(&out, bytes.NewReader(pack), Options{IDSize: 20, Raw: raw})
		var bad *FormatError
		switch {
		case err == nil:
		case errors.As(err, &bad) || errors.Is(err, ErrKeep) && binary.BigEndian.Uint32(pack[8:]) > maxObjects:
			return
		default:
			t.Fatal(err)
		}
		first := sha256.Sum256(out.Bytes())
		again, _ := rewrite(t, out.Bytes(), Options{IDSize: 20, Raw: raw})
		if sha256.Sum256(again) != first {
			t.Fatal("rewriting what was rewritten changes it")
		}
		if raw {
			return
		}
		deflated, _ := rewrite(t, out.Bytes(), Options{IDSize: 20, Level: 6})
		if again, _ := rewrite(t, deflated, Options{IDSize: 20}); !bytes.Equal(again, out.Bytes()) {
			t.Fatal("deflating and storing what was rewritten changes it")
		}
	})
}
