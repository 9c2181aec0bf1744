package gitpack

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"testing/iotest"
)

// levels are those that differ in how data is deflated.
var levels = []int{1, 6, 9}

// checkDeflated deflates a stored pack again: git reads the same objects from it, it is about as large as git's own of a size, and storing it once more gives the
// same bytes.
func checkDeflated(t *testing.T, r *repo, stored []byte, size int, facts Facts) {
	t.Helper()
	for _, level := range levels {
		if level != 6 && len(stored) > 1<<20 {
			continue
		}
		o := Options{IDSize: r.idSize(), Level: level}
		out, got := rewrite(t, stored, o)
		if got.SourceTrailer != facts.Trailer || got.Trailer == facts.Trailer && facts.Objects > 0 || got.Objects != facts.Objects {
			t.Errorf("level %d: the facts are %+v, of the stored pack %+v", level, got, facts)
		}
		if again, _ := rewrite(t, out, Options{IDSize: r.idSize()}); !bytes.Equal(again, stored) {
			t.Errorf("level %d: stored again, the pack is another one", level)
		}
		if level == 6 && len(out) > size+size/10 {
			t.Errorf("git's pack has %d bytes, and this one %d", size, len(out))
		}
		if len(stored) > 1<<20 {
			continue
		}
		slow := new(bytes.Buffer)
		if _, err := Transcode(slow, iotest.OneByteReader(bytes.NewReader(stored)), o); err != nil || !bytes.Equal(slow.Bytes(), out) {
			t.Errorf("level %d: reading byte by byte gives another pack: %v", level, err)
		}
	}
}

// TestDeflatedForGit has git index a pack that was deflated again.
func TestDeflatedForGit(t *testing.T) {
	r := newRepo(t, "sha1")
	history(r, 20, 5, 80)
	extremes(r)
	pack := r.pack("main\n", "--delta-base-offset")
	want := r.ids(pack, nil)
	out, facts := rewrite(t, pack, Options{IDSize: 20, Level: 6})
	if got := r.ids(out, nil); !slices.Equal(got, want) || fmt.Sprintf("%x", out[len(out)-20:]) != facts.Trailer {
		t.Errorf("git finds %d objects in place of %d", len(got), len(want))
	}
	if _, err := Transcode(io.Discard, bytes.NewReader(pack), Options{IDSize: 20, Level: 10}); err == nil {
		t.Error("level 10 is accepted")
	}
}

// TestDeflatedIsReadBack flips each bit of what is written, as a fault of the writer would. Where that is not found, it must be another way to write the
// same.
func TestDeflatedIsReadBack(t *testing.T) {
	blob := part{typ: typeBlob, data: []byte("hello world, hello world")}
	large := part{typ: typeBlob, data: make([]byte, sectionSize+1)} // of two sections
	distance := int64(len(appendSize(nil, typeBlob, 24)) + len(deflated(blob.data)))
	pack := build(blob, part{typ: typeOfsDelta, data: copyAll(24, "x"), distance: distance},
		part{typ: typeRefDelta, data: copyAll(24, "x"), id: bytes.Repeat([]byte{7}, 20)}, part{typ: typeTree}, large)
	stored, _ := rewrite(t, pack, Options{IDSize: 20})
	o := Options{IDSize: 20, Level: 6}
	out, _ := rewrite(t, pack, o)
	missed := 0
	for i := range out {
		for bit := range 8 {
			pos := 0
			fault := func(p []byte) {
				if i >= pos && i < pos+len(p) {
					p[i-pos] ^= 1 << bit
				}
				pos += len(p)
			}
			var flipped bytes.Buffer
			_, err := transcode(&flipped, bytes.NewReader(pack), o, fault)
			if errors.Is(err, ErrKeep) {
				continue
			}
			missed++
			if err != nil {
				t.Fatalf("byte %d, bit %d: %v", i, bit, err)
			}
			if again, _ := rewrite(t, flipped.Bytes(), Options{IDSize: 20}); !bytes.Equal(again, stored) {
				t.Fatalf("byte %d, bit %d: was not found", i, bit)
			}
		}
	}
	t.Logf("%d of %d flipped bits change nothing", missed, 8*len(out))
	if missed > len(out) {
		t.Error("these are too many")
	}
}
