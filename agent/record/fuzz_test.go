package record

import (
	"bytes"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

// fuzzCodec holds that whatever a decoder takes is encoded to bytes that stand for the same and stay as they are, that an error is one
// line, and that neither takes memory out of proportion to what it was given.
func fuzzCodec(f *testing.F, kind, pattern string) {
	for _, p := range []string{"*.*", "accept/*", "bad/*"} {
		for _, name := range vectorFiles(f, p) {
			if strings.HasPrefix(name, pattern) {
				f.Add(readVector(f, name))
			}
		}
	}
	c := codecs()[kind]
	f.Fuzz(func(t *testing.T, data []byte) {
		before := allocated()
		first, err := c.decode(data)
		if grown := allocated() - before; grown > 4<<20+1000*uint64(len(data)) {
			t.Errorf("%d bytes took %d bytes of memory", len(data), grown)
		}
		if err != nil {
			if strings.ContainsAny(err.Error(), "\r\n") {
				t.Errorf("the error has more than one line: %q", err)
			}
			return
		}
		checkFixpoint(t, c, first)
	})
}

func checkFixpoint(t *testing.T, c codec, first any) {
	t.Helper()
	encoded, err := c.encode(first)
	if err != nil {
		t.Fatalf("what was decoded is not encoded: %v", err)
	}
	second, err := c.decode(encoded)
	if err != nil {
		t.Fatalf("what was encoded is not decoded: %v\n%s", err, encoded)
	}
	if !reflect.DeepEqual(first, second) {
		t.Fatalf("decoded\n%+v\nand then\n%+v", first, second)
	}
	again, err := c.encode(second)
	if err != nil || !bytes.Equal(encoded, again) {
		t.Fatalf("encoded\n%s\nand then\n%s\n%v", encoded, again, err)
	}
}

func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

func FuzzSegment(f *testing.F)   { fuzzCodec(f, "segment", "segment/") }
func FuzzExtents(f *testing.F)   { fuzzCodec(f, "extents", "extents/") }
func FuzzRoot(f *testing.F)      { fuzzCodec(f, "root", "root/") }
func FuzzRanges(f *testing.F)    { fuzzCodec(f, "ranges", "root/") }
func FuzzTable(f *testing.F)     { fuzzCodec(f, "table", "table/") }
func FuzzKeys(f *testing.F)      { fuzzCodec(f, "keys", "keys/") }
func FuzzState(f *testing.F)     { fuzzCodec(f, "state", "state/") }
func FuzzList(f *testing.F)      { fuzzCodec(f, "list", "list/") }
func FuzzListPage(f *testing.F)  { fuzzCodec(f, "page", "list/") }
func FuzzPruneList(f *testing.F) { fuzzCodec(f, "prune", "list/") }
func FuzzRemapList(f *testing.F) { fuzzCodec(f, "remap", "list/") }
func FuzzStatement(f *testing.F) { fuzzCodec(f, "statement", "statement/") }
func FuzzCommit(f *testing.F)    { fuzzCodec(f, "commit", "commit/") }

// FuzzFastLine holds that what the fast readers take of one line, the slow ones read the same.
func FuzzFastLine(f *testing.F) {
	for _, kind := range []string{"segment", "table", "extents"} {
		for _, p := range []string{"*.*", "accept/*", "bad/*"} {
			for _, name := range vectorFiles(f, p) {
				if strings.HasPrefix(name, kind+"/") {
					for line := range bytes.Lines(readVector(f, name)) {
						f.Add(bytes.TrimSuffix(line, []byte{'\n'}))
					}
				}
			}
		}
	}
	packs := []Ref{packA(), packB()}
	f.Fuzz(func(t *testing.T, line []byte) {
		checkRecordLine(t, line, packs)
		checkTableLine(t, line)
		checkExtentLine(t, line, packs)
	})
}

// checkRecordLine compares the two readers of records, and reports whether the fast one took the line.
func checkRecordLine(t *testing.T, line []byte, packs []Ref) bool {
	t.Helper()
	reader := newFastReader(packs)
	fast, ok := reader.record(line)
	if !ok {
		return false
	}
	slow, err := slowRecord(line, packs)
	if err != nil {
		t.Fatalf("only the fast reader takes %q: %v", line, err)
	}
	if !reflect.DeepEqual(fast, slow) {
		t.Fatalf("of %q the fast reader makes\n%+v\nand the slow one\n%+v", line, fast, slow)
	}
	return true
}

func checkTableLine(t *testing.T, line []byte) {
	t.Helper()
	fast, ok := fastTableLine(line)
	if !ok {
		return
	}
	var slow tableLine
	if err := readJSON(line, func(j *jsonReader) error { return j.tableLine(&slow) }); err != nil {
		t.Fatalf("only the fast reader takes %q: %v", line, err)
	}
	if !reflect.DeepEqual(fast, slow) {
		t.Fatalf("of %q the fast reader makes\n%+v\nand the slow one\n%+v", line, fast, slow)
	}
}

func checkExtentLine(t *testing.T, line []byte, packs []Ref) {
	t.Helper()
	reader := newFastReader(packs)
	c := cursor{b: line, ok: true}
	fast := reader.extent(&c)
	if !c.ok || c.i < len(line) {
		return
	}
	var slow []Extent
	if err := readJSON(line, func(j *jsonReader) error { return j.extent(&slow, packs) }); err != nil || slow[0] != fast {
		t.Fatalf("of %q the fast reader makes %+v and the slow one %+v, %v", line, fast, slow, err)
	}
}

// FuzzNames holds that a name which is taken is the only one that stands for the same.
func FuzzNames(f *testing.F) {
	for _, name := range []string{
		PackName(sum("a")), MetaName(sum("a")), StatementName(7, sum("a")), CommitName(half("c"), 12), "packs/canary/a-1", "", "/", "packs/", "vault/-",
	} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		check := func(err error, again string) {
			if err == nil && again != name {
				t.Errorf("%q was taken for %q", name, again)
			}
			if err == nil && IsCanary(name) {
				t.Errorf("%q is a canary as well", name)
			}
		}
		pack, err := ParsePackName(name)
		check(err, PackName(pack))
		meta, err := ParseMetaName(name)
		check(err, MetaName(meta))
		n, h, err := ParseStatementName(name)
		check(err, StatementName(n, h))
		chain, seq, err := ParseCommitName(name)
		check(err, CommitName(chain, seq))
		if h, err := ParseHash(name); err == nil && h.String() != name {
			t.Errorf("%q was taken for hash %s", name, h)
		}
	})
}
