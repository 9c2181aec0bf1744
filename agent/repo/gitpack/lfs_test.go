package gitpack

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// pointer is a pointer to the n-th large file.
func pointer(n int) string {
	return fmt.Sprintf("version https://git-lfs.github.com/spec/v1\noid sha256:%064x\nsize %d\n", n, n*1000)
}

func TestPointers(t *testing.T) {
	sum := func(data string) []byte {
		s := newStore(20)
		id := s.id([]byte(data))
		return id[:20]
	}
	whole := part{typ: typeBlob, data: []byte(pointer(1))}
	behind := int64(len(appendSize(nil, typeBlob, int64(len(whole.data)))) + len(deflated(whole.data)))
	// changed is a delta that makes another pointer of the first.
	changed := appendVarint(appendVarint(nil, len(pointer(1))), len(pointer(2)))
	changed = append(changed, 0x90, 54, byte(len(pointer(2))-54))
	changed = append(changed, pointer(2)[54:]...)
	binaryDelta := append(appendVarint(appendVarint(nil, 100), 110), 0x90, 100, 10, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
	attributes := part{typ: typeBlob, data: []byte(strings.Repeat("x", 5000) + "*.bin filter=lfs diff=lfs")}
	for _, c := range []struct {
		name       string
		parts      []part
		seen       []int
		lfs        bool
		unresolved int64
	}{
		{name: "none", parts: []part{{typ: typeBlob, data: []byte("hello")}}},
		{name: "whole", parts: []part{whole}, seen: []int{1}, lfs: true},
		{name: "a commit", parts: []part{{typ: typeCommit, data: whole.data}}},
		{name: "delta by offset", parts: []part{whole, {typ: typeOfsDelta, data: changed, distance: behind}}, seen: []int{1, 2}, lfs: true},
		{name: "delta by id", parts: []part{whole, {typ: typeRefDelta, data: changed, id: sum(pointer(1))}}, seen: []int{1, 2}, lfs: true},
		{name: "base outside", parts: []part{{typ: typeRefDelta, data: changed, id: sum("x")}}, unresolved: 1},
		{name: "base outside, binary", parts: []part{{typ: typeRefDelta, data: binaryDelta, id: sum("x")}}},
		{name: "base outside, other text", parts: []part{{typ: typeRefDelta, data: copyAll(100, "x\nfunc main() {\n"), id: sum("x")}}},
		{name: "base outside, insert only", parts: []part{{typ: typeRefDelta, data: whollyInserted(pointer(3)), id: sum("x")}}, seen: []int{3}, lfs: true},
		{name: "base outside, small", parts: []part{{typ: typeRefDelta, data: copyAll(20, "x"), id: sum("x")}}},
		{name: "base outside, large", parts: []part{{typ: typeRefDelta, data: copyAll(200, strings.Repeat("x", 1000)), id: sum("x")}}},
		{name: "attributes", parts: []part{attributes}, lfs: true},
		{name: "attributes inserted", parts: []part{{typ: typeRefDelta, data: copyAll(20, "filter=lfs"), id: sum("x")}}, lfs: true},
		{name: "tree says so", parts: []part{{typ: typeTree, data: []byte("filter=lfs")}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var seen []int
			o := Options{IDSize: 20, Pointer: func(oid string, size int64) {
				n := int(size / 1000)
				if oid != fmt.Sprintf("%064x", n) {
					t.Errorf("oid %s with size %d", oid, size)
				}
				seen = append(seen, n)
			}}
			_, facts := rewrite(t, build(c.parts...), o)
			if !slices.Equal(seen, c.seen) || facts.LFS != c.lfs || facts.Unresolved != c.unresolved {
				t.Errorf("saw %v, lfs %v, unresolved %d", seen, facts.LFS, facts.Unresolved)
			}
		})
	}
}

func TestParsePointer(t *testing.T) {
	oid := strings.Repeat("ab", 32)
	good := "version https://git-lfs.github.com/spec/v1\noid sha256:" + oid + "\nsize 12345\n"
	for _, c := range []struct {
		data string
		ok   bool
	}{
		{good, true},
		{strings.TrimSpace(good), true},
		{strings.ReplaceAll(good, "\n", "\r\n"), true},
		{strings.Replace(good, "git-lfs.github.com", "hawser.github.com", 1), true},
		{strings.Replace(good, "https://git-lfs.github.com/spec/v1", "http://git-media.io/v/2", 1), true},
		{strings.Replace(good, "oid", "ext-0-foo sha256:"+oid+"\noid", 1), true},
		{strings.Replace(good, "v1", "v9", 1), false},
		{strings.Replace(good, "sha256", "sha512", 1), false},
		{strings.Replace(good, oid, oid[1:], 1), false},
		{strings.Replace(good, "ab", "zz", 1), false},
		{strings.Replace(good, "12345", "-1", 1), false},
		{strings.Replace(good, "12345", "1x", 1), false},
		{strings.Replace(good, "size 12345\n", "", 1), false},
		{good + "more 1\n", false},
		{good + strings.Repeat("\n", 1024), false},
		{"", false},
		{"version ", false},
	} {
		got, size, ok := parsePointer([]byte(c.data))
		if ok != c.ok || ok && (got != oid || size != 12345) {
			t.Errorf("%q: %s %d %v", c.data, got, size, ok)
		}
	}
}

// whollyInserted is a delta that takes nothing from its base.
func whollyInserted(text string) []byte {
	d := appendVarint(appendVarint(nil, 100), len(text))
	for len(text) > 0 {
		n := min(127, len(text))
		d = append(append(d, byte(n)), text[:n]...)
		text = text[n:]
	}
	return d
}

// TestFitsPointer cuts a pointer into all pieces, each of which may be what a delta inserts.
func TestFitsPointer(t *testing.T) {
	for _, p := range []string{pointer(1), "\n " + strings.ReplaceAll(pointer(1), "\n", "\r\n") + " \t\n"} {
		for i := range p {
			for j := i; j <= len(p); j++ {
				if !fitsPointer([]byte(p[i:j]), i == 0) {
					t.Fatalf("%q is refused", p[i:j])
				}
			}
		}
	}
	for _, s := range []string{"\nhello", "a\nb", "\x00", "\xff", "version 1\nsizes"} {
		if fitsPointer([]byte(s), false) {
			t.Errorf("%q is accepted", s)
		}
	}
	if fitsPointer([]byte("package"), true) {
		t.Error("accepted at the beginning")
	}
}
