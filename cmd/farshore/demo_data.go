package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
)

// demoObjects are the objects that the demo's bucket should have, by key.
type demoObjects map[string]demoObject

// demoObject is one object: what it should be, not its bytes, which body makes as often as they are needed.
type demoObject struct {
	kind demoKind
	// seed decides the content, with edit, and size is its length before the edit.
	seed string
	size int64
	edit int
	demoHeaders
}

// demoHeaders are what an object says of itself. Empty ones are not sent.
type demoHeaders struct {
	contentType, cacheControl, disposition, encoding, language, expires string
	meta, tags                                                          map[string]string
}

// demoKind is what an object's content is like.
type demoKind int

const (
	demoText   demoKind = iota // words, which compress
	demoRandom                 // random bytes, which do not
	demoMixed                  // 1 MiB of each in turn, like a dump of a database
)

// demoLarge is the size of the largest object, in bytes.
const demoLarge = 64 << 20

// body makes the content: the same bytes each time.
func (o demoObject) body() []byte {
	rng := rand.NewChaCha8(sha256.Sum256([]byte(o.seed)))
	b := make([]byte, o.size)
	switch o.kind {
	case demoRandom:
		_, _ = rng.Read(b) // it never fails
	case demoText:
		fillText(b, rng)
	case demoMixed:
		for i, rest := 0, b; len(rest) > 0; i++ {
			piece := rest[:min(1<<20, len(rest))]
			rest = rest[len(piece):]
			if i%2 == 0 {
				fillText(piece, rng)
			} else {
				_, _ = rng.Read(piece) // it never fails
			}
		}
	}
	if o.edit > 0 { // an insertion, so that all that is behind it moves
		b = slices.Insert(b, len(b)/3, fmt.Appendf(nil, "edited, for the %dth time", o.edit)...)
	}
	return b
}

// length is the content's length in bytes.
func (o demoObject) length() int64 {
	if o.edit > 0 {
		return o.size + int64(len(fmt.Sprintf("edited, for the %dth time", o.edit)))
	}
	return o.size
}

// fillText writes words.
func fillText(b []byte, rng *rand.ChaCha8) {
	const words = "the harbour ship order invoice customer returned crate lighthouse and of to in for with was 1907 2026 rope tide anchor cargo paid open north south pilot berth " +
		"a manifest bound signed copper salt timber wool amber glass before after night morning gale calm fathom league captain clerk warehouse ledger"
	list := strings.Fields(words)
	r := rand.New(rng)
	for n := 0; n < len(b); {
		n += copy(b[n:], list[r.IntN(len(list))])
		n += copy(b[n:], " ")
	}
}

func (objects demoObjects) bytes() (n int64) {
	for _, o := range objects {
		n += o.length()
	}
	return n
}

// sorted returns the keys in order.
func (objects demoObjects) sorted() []string { return slices.Sorted(maps.Keys(objects)) }

// Numbers of objects: enough that nobody looks at each one, few enough for seconds.
const (
	demoOrders = 1500
	demoPages  = 400
	demoImages = 200
	demoCopies = 20
)

// demoBegin returns the bucket's first objects.
func demoBegin() demoObjects {
	objects := demoObjects{}
	size := rand.New(rand.NewPCG(1, 2))
	for i := range demoOrders {
		key := fmt.Sprintf("orders/2026/%02d/%06d.json", i%12+1, i)
		objects[key] = demoObject{kind: demoText, seed: key, size: 100 + size.Int64N(900), demoHeaders: demoHeaders{contentType: "application/json"}}
	}
	for i := range demoPages {
		key := fmt.Sprintf("pages/%03d/index.html", i)
		objects[key] = demoObject{kind: demoText, seed: key, size: 1<<10 + size.Int64N(30<<10), demoHeaders: demoHeaders{
			contentType: "text/html; charset=utf-8", cacheControl: "max-age=3600", language: "en",
		}}
	}
	for i := range demoImages {
		objects[demoImage(i)] = newDemoImage(i, 16<<10+size.Int64N(160<<10))
	}
	for i := range demoCopies { // the same bytes under other keys
		objects[fmt.Sprintf("images/copies/%04d.jpg", i)] = objects[demoImage(i)]
	}
	objects[demoDump] = demoObject{kind: demoMixed, seed: "dump", size: demoLarge, demoHeaders: demoHeaders{
		contentType: "application/octet-stream", disposition: `attachment; filename="shop.dump"`, expires: "Thu, 01 Dec 2033 16:00:00 GMT",
		tags: map[string]string{"retention": "long"},
	}}
	maps.Copy(objects, demoOdd())
	return objects
}

const demoDump = "backup/shop.dump"

func demoImage(i int) string { return fmt.Sprintf("images/%04d.jpg", i) }

func newDemoImage(i int, size int64) demoObject {
	return demoObject{kind: demoRandom, seed: demoImage(i), size: size, demoHeaders: demoHeaders{
		contentType: "image/jpeg", meta: map[string]string{"photographer": fmt.Sprintf("nr. %d", i%7), "camera": "pinhole"},
	}}
}

// demoOdd returns small objects whose keys are trouble for file systems, URLs and scripts.
func demoOdd() demoObjects {
	objects := demoObjects{}
	for i, key := range []string{
		"odd/../../../../etc/passwd", "../escape", "/absolute", "odd//twice", "odd/./dot", "odd/folder", "odd/folder/", "odd/folder/file",
		"odd/back\\slash", "odd/new\nline", "odd/tab\tand\x01control", "odd/space and + and % and %2F & ? #.txt", "odd/quote'\"`$(reboot)",
		"odd/naïve/日本語/🚢.txt", "odd/e\u0301 is not é", "odd/-rf *", "odd/Case", "odd/case", "odd/.hidden", "odd/trailing.",
		"_farshore-escaped/mine", "odd/" + strings.Repeat("long-", 60), strings.Repeat("deep/", 180) + "down",
	} {
		objects[key] = demoObject{kind: demoText, seed: key, size: int64(20 + i), demoHeaders: demoHeaders{contentType: "text/plain"}}
	}
	objects["odd/empty"] = demoObject{demoHeaders: demoHeaders{contentType: "application/x-empty"}}
	return objects
}

// demoChange returns the bucket after a day's work, what of it was written, and the keys that were deleted.
func demoChange(old demoObjects) (next, changed demoObjects, removed []string) {
	next, changed = maps.Clone(old), demoObjects{}
	for i := range 40 {
		key := fmt.Sprintf("pages/%03d/index.html", i*10)
		changed[key] = old[key].edited()
	}
	for i := demoImages; i < demoImages+20; i++ {
		changed[demoImage(i)] = newDemoImage(i, 100<<10)
	}
	changed[demoDump] = old[demoDump].edited()
	retyped := old["images/0007.jpg"] // the same bytes with other headers
	retyped.contentType, retyped.cacheControl = "image/pjpeg", "no-store"
	changed["images/0007.jpg"] = retyped
	maps.Copy(next, changed)
	for i := range 75 {
		key := fmt.Sprintf("orders/2026/%02d/%06d.json", i*20%12+1, i*20)
		delete(next, key)
		removed = append(removed, key)
	}
	return next, changed, removed
}

// edited returns the object after somebody changed it.
func (o demoObject) edited() demoObject {
	o.edit++
	return o
}

// differs says how content differs from what it should be, "" where it does not.
func (o demoObject) differs(got []byte) string {
	want := o.body()
	if len(got) != len(want) {
		return fmt.Sprintf("it has %d bytes, not %d", len(got), len(want))
	}
	if i := firstDifference(got, want); i >= 0 {
		return fmt.Sprintf("its byte %d differs", i)
	}
	return ""
}

// firstDifference returns the offset of the first byte that differs in two equally long slices, -1 for none.
func firstDifference(a, b []byte) int {
	if bytes.Equal(a, b) {
		return -1
	}
	for i := range a {
		if a[i] != b[i] {
			return i
		}
	}
	return -1
}
