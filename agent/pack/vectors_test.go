package pack

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

var update = flag.Bool("update", false, "write the vectors anew")

const vectorDir = "../../testdata/format/pack"

// vector describes the file <name>.zst: the plaintext of a sealed file. Compressors differ in what they make of the same bytes, between versions
// too, so that a vector is decoded, and what an encoder makes of its raw bytes is compared by its structure only.
type vector struct {
	Name      string `json:"name"`
	About     string `json:"about"`
	Size      int64  `json:"size"`
	FrameSize int    `json:"frame_size"`
	RawSize   int64  `json:"raw_size"`
	RawSHA256 string `json:"raw_sha256"`
	// Frames are [offset, length, raw offset, raw length].
	Frames [][4]int64 `json:"frames"`
}

// refused describes a file that no reader accepts.
type refused struct {
	Name  string `json:"name"`
	About string `json:"about"`
}

type vectors struct {
	Valid   []vector  `json:"valid"`
	Refused []refused `json:"refused"`
}

func TestVectors(t *testing.T) {
	if *update {
		writeVectors(t)
	}
	c := newCodec(t)
	var all vectors
	readJSON(t, &all)
	if len(all.Valid) == 0 || len(all.Refused) == 0 {
		t.Fatal("there are no vectors")
	}
	for _, v := range all.Valid {
		plain := readVector(t, v.Name)
		got, raw := describe(t, c, plain)
		got.Name, got.About, got.FrameSize = v.Name, v.About, v.FrameSize
		if !reflect.DeepEqual(got, v) {
			t.Errorf("%s: is\n%+v, want\n%+v", v.Name, got, v)
		}
		checkEncoding(t, c, v, raw)
	}
	for _, v := range all.Refused {
		plain := readVector(t, v.Name)
		if _, err := NewReader(bytes.NewReader(plain), int64(len(plain)), c); err == nil {
			t.Errorf("%s (%s) was accepted", v.Name, v.About)
		}
	}
}

// checkEncoding encodes a vector's raw bytes again: the frames hold the same runs, and the sizes are permitted ones.
func checkEncoding(t *testing.T, c *Codec, v vector, raw []byte) {
	t.Helper()
	again, _ := describe(t, c, encode(t, c, v.FrameSize, raw))
	if Padded(again.Size) != again.Size || again.RawSHA256 != v.RawSHA256 || len(again.Frames) != len(v.Frames) {
		t.Errorf("%s: encoded again it is %+v", v.Name, again)
		return
	}
	for i, f := range again.Frames {
		if f[2] != v.Frames[i][2] || f[3] != v.Frames[i][3] {
			t.Errorf("%s: encoded again, frame %d holds %v, want %v", v.Name, i, f, v.Frames[i])
		}
	}
}

// describe reads a plaintext.
func describe(t *testing.T, c *Codec, plain []byte) (vector, []byte) {
	t.Helper()
	r := open(t, c, plain)
	raw, err := io.ReadAll(io.NewSectionReader(r, 0, r.RawSize()))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(raw)
	v := vector{Size: int64(len(plain)), RawSize: r.RawSize(), RawSHA256: hex.EncodeToString(sum[:]), Frames: [][4]int64{}}
	for i := range r.Frames() {
		off, n, rawOff, rawLen := r.FrameRange(i)
		v.Frames = append(v.Frames, [4]int64{off, n, rawOff, rawLen})
	}
	return v, raw
}

func readVector(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(vectorDir, name+".zst"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func readJSON(t *testing.T, v any) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(vectorDir, "vectors.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatal(err)
	}
}

func writeVectors(t *testing.T) {
	t.Helper()
	c := newCodec(t)
	var all vectors
	write := func(name string, plain []byte) {
		if err := os.WriteFile(filepath.Join(vectorDir, name+".zst"), plain, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	add := func(name, about string, frameSize int, raw []byte) []byte {
		plain := encode(t, c, frameSize, raw)
		v, _ := describe(t, c, plain)
		v.Name, v.About, v.FrameSize = name, about, frameSize
		write(name, plain)
		all.Valid = append(all.Valid, v)
		return plain
	}
	add("empty", "no raw bytes: padding and seek table alone", FrameSize, nil)
	add("one-byte", "one raw byte", FrameSize, []byte("x"))
	add("one-frame", "one frame that is shorter than the frame size", FrameSize, text(5000))
	good := add("frames", "frames of 4,096 raw bytes, the last shorter", 4096, text(15_000))
	add("noise", "bytes that don't compress", 1024, random(2500))
	add("no-padding", "a permitted size without a padding frame", 4096, noPadding(t, c))
	refuse := func(name, about string, plain []byte) {
		write(name, plain)
		all.Refused = append(all.Refused, refused{name, about})
	}
	flip := func(at int) []byte {
		b := bytes.Clone(good)
		b[(at+len(b))%len(b)] ^= 1
		return b
	}
	refuse("refused-cut", "the last byte is missing", good[:len(good)-1])
	refuse("refused-footer", "the footer's magic number is wrong", flip(-1))
	refuse("refused-descriptor", "the seek table announces what version 1 does not have", flip(-5))
	refuse("refused-sum", "the frames' sizes don't sum up to the file's", flip(-9-8*5))
	refuse("refused-padding", "the padding is not zero", flip(-9-8*5-8-1))
	b, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(vectorDir, "vectors.json"), append(b, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// noPadding finds raw bytes whose frames and table have a permitted size.
func noPadding(t *testing.T, c *Codec) []byte {
	t.Helper()
	for n := 1; n < 4000; n++ {
		raw := random(n)
		if size := int64(len(c.Compress(nil, raw))) + tableSize(1); permitted(size) == size {
			return raw
		}
	}
	t.Fatal("no such content")
	return nil
}
