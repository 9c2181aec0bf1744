package record

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// vectors is where the format's vectors are. In each kind's folder, files directly in it are written as this package writes them; those
// in accept are other spellings that a reader takes; those in bad are refused, and a file with .error behind the name says how.
const vectors = "../../testdata/format"

func readVector(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(vectors, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// folders are those of the vectors that are this package's.
var folders = []string{"segment", "extents", "lines", "root", "table", "keys", "state", "list", "statement", "commit"}

// vectorFiles lists the vectors that match the pattern in their kind's folder, as names below the vectors' folder.
func vectorFiles(t testing.TB, pattern string) []string {
	t.Helper()
	var files []string
	for _, folder := range folders {
		more, err := filepath.Glob(filepath.Join(vectors, folder, pattern))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, more...)
	}
	var names []string
	for _, f := range files {
		if name, err := filepath.Rel(vectors, f); err != nil {
			t.Fatal(err)
		} else if !strings.HasSuffix(name, ".error") {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		t.Fatalf("no vectors match %s", pattern)
	}
	return names
}

// sum is the hash of a text: the vectors' hashes are those of such texts.
func sum(text string) Hash { return sha256.Sum256([]byte(text)) }

func sumPtr(text string) *Hash {
	h := sum(text)
	return &h
}

func half(text string) string { return sum(text).String()[:32] }

func ref(text string, size int64) Ref { return Ref{Name: sum(text), Size: size} }

func refPtr(text string, size int64) *Ref {
	r := ref(text, size)
	return &r
}

func publicKey(text string) string {
	h := sum(text)
	return "ed25519:" + plainBase64.EncodeToString(h[:])
}

func publicKeyID(text string) string {
	h := sum(text)
	id := sha256.Sum256(h[:])
	return hex.EncodeToString(id[:16])
}

func at3339(t testing.TB, s string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// segment is a whole segment in memory.
type segment struct {
	header  SegmentHeader
	records []*Record
}

func (s *segment) encode() []byte {
	b := AppendSegmentHeader(nil, &s.header)
	for _, r := range s.records {
		b = AppendRecord(b, r, s.position)
	}
	return b
}

func (s *segment) position(name Hash) int {
	for i := range s.header.Packs {
		if s.header.Packs[i].Name == name {
			return i
		}
	}
	return -1
}

func decodeSegment(data []byte) (*segment, error) {
	r, err := NewSegmentReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	s := &segment{header: *r.Header()}
	for {
		rec, err := r.Next()
		if err == io.EOF {
			return s, nil
		}
		if err != nil {
			return nil, err
		}
		s.records = append(s.records, rec)
	}
}

// table is a whole chunk table in memory.
type table struct {
	header TableHeader
	packs  []tableLine
}

func (t *table) encode() []byte {
	b := AppendTableHeader(nil, &t.header)
	for _, p := range t.packs {
		b = AppendTablePack(b, p.pack.Name, p.pack.Size, p.chunks)
	}
	return b
}

func decodeTable(data []byte) (*table, error) {
	r, err := NewTableReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	t := &table{header: *r.Header()}
	for {
		pack, size, chunks, err := r.Next()
		if err == io.EOF {
			return t, nil
		}
		if err != nil {
			return nil, err
		}
		t.packs = append(t.packs, tableLine{Ref{pack, size}, chunks})
	}
}

// state is a whole page of capture state in memory.
type state struct {
	of    string
	lines [][]byte
}

func decodeState(data []byte) (*state, error) {
	of, lines, err := DecodeState(data)
	if err != nil {
		return nil, err
	}
	return &state{of, lines}, nil
}

func decodeLines(data []byte) ([]byte, error) {
	r, err := ReadLines(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// codec is a kind of object: bytes to a value, and back.
type codec struct {
	decode func([]byte) (any, error)
	encode func(any) ([]byte, error)
}

// codecOf makes a codec of two functions with types.
func codecOf[T any](decode func([]byte) (T, error), encode func(T) ([]byte, error)) codec {
	return codec{
		decode: func(b []byte) (any, error) { return decode(b) },
		encode: func(v any) ([]byte, error) { return encode(v.(T)) },
	}
}

// sure is an encoder that can't fail.
func sure[T any](encode func(T) []byte) func(T) ([]byte, error) {
	return func(v T) ([]byte, error) { return encode(v), nil }
}

// encodeExtents writes a whole page of extents.
func encodeExtents(list []Extent) []byte {
	var packs []Ref
	position := map[Ref]int{}
	for _, e := range list {
		if _, ok := position[e.Pack]; !ok {
			position[e.Pack] = len(packs)
			packs = append(packs, e.Pack)
		}
	}
	b := AppendExtentsHeader(nil, packs)
	for _, e := range list {
		b = AppendExtent(b, position[e.Pack], e.Offset, e.Length)
	}
	return b
}

// codecs gives each kind of object, by the folder of its vectors or by what its first line says.
func codecs() map[string]codec {
	return map[string]codec{
		"segment":   codecOf(decodeSegment, sure((*segment).encode)),
		"extents":   codecOf(func(b []byte) ([]Extent, error) { return ReadExtents(bytes.NewReader(b)) }, sure(encodeExtents)),
		"lines":     codecOf(decodeLines, sure(func(b []byte) []byte { return append(AppendLinesHeader(nil), b...) })),
		"root":      codecOf(DecodeRoot, EncodeRoot),
		"ranges":    codecOf(DecodeRanges, sure(EncodeRanges)),
		"table":     codecOf(decodeTable, sure((*table).encode)),
		"keys":      codecOf(DecodeKeys, EncodeKeys),
		"state":     codecOf(decodeState, func(s *state) ([]byte, error) { return EncodeState(s.of, s.lines) }),
		"list":      codecOf(DecodeList, sure(EncodeList)),
		"page":      codecOf(DecodeListPage, sure(EncodeListPage)),
		"prune":     codecOf(DecodePruneList, sure(EncodePruneList)),
		"remap":     codecOf(DecodeRemapList, sure(EncodeRemapList)),
		"statement": codecOf(DecodeStatement, EncodeStatement),
		"commit":    codecOf(DecodeCommit, EncodeCommit),
	}
}

// codecFor finds the codec of a vector: that of the file's first word, or else of its folder.
func codecFor(name string) codec {
	all := codecs()
	first, _, _ := strings.Cut(strings.TrimSuffix(filepath.Base(name), filepath.Ext(name)), "-")
	if first == "statement" || first == "state" || first == "table" || first == "keys" {
		first = ""
	}
	folder, _, _ := strings.Cut(filepath.ToSlash(name), "/")
	if c, ok := all[first]; ok && (folder == "list" || folder == "root") {
		return c
	}
	return all[folder]
}
