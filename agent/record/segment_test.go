package record

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// maker makes random values that Record.Check takes.
type maker struct{ *rand.Rand }

func newMaker(seed uint64) maker { return maker{rand.New(rand.NewPCG(seed, 7))} }

// text returns bytes, often UTF-8, of which some need escapes.
func (m maker) text(least int) string {
	const alphabet = "abcz09/._- \"\\<>&\x00\n\t\x1f\x7füß日😀\u2028\u2029\ufeff\ufffd"
	runes := []rune(alphabet)
	var b strings.Builder
	for n := least + m.IntN(12); n > 0; n-- {
		b.WriteRune(runes[m.IntN(len(runes))])
	}
	switch m.IntN(10) {
	case 0:
		b.WriteByte(byte(0x80 + m.IntN(0x80)))
	case 1:
		return base64Mark + b.String()
	}
	return b.String()
}

func (m maker) attrs() Attrs {
	if m.IntN(3) == 0 {
		return nil
	}
	a := Attrs{}
	for n := 1 + m.IntN(30); n > 0; n-- {
		a[m.text(0)] = m.text(0)
	}
	return a
}

func (m maker) part(packs []Ref) Part {
	p := Part{Kind: PartContent, Attrs: m.attrs(), SHA256: sum(m.text(0))}
	if m.IntN(4) == 0 {
		p.Kind, p.Base = m.text(1), m.text(0)
	}
	switch m.IntN(4) {
	case 0:
	case 1:
		for n := 1 + m.IntN(3); n > 0; n-- {
			page := PartPage{Ref{sum(m.text(0)), m.Int64N(maxStored + 1)}, p.Size, 1 + m.Int64N(maxRaw)}
			p.Pages = append(p.Pages, page)
			p.Size += page.Length
		}
	default:
		for n := 1 + m.IntN(5); n > 0; n-- {
			off := m.Int64N(maxRaw)
			e := Extent{packs[m.IntN(len(packs))], off, 1 + m.Int64N(maxRaw-off)}
			p.Extents = append(p.Extents, e)
			p.Size += e.Length
		}
	}
	if p.Size > 0 && m.IntN(4) == 0 {
		p.Encoding, p.Size = "zlib", 1+m.Int64N(maxInt)
	}
	return p
}

func (m maker) record(packs []Ref) *Record {
	r := &Record{Path: m.text(1), Kind: KindObject, State: Present, Attrs: m.attrs()}
	if m.IntN(4) == 0 {
		r.Version = m.text(0)
	}
	switch m.IntN(6) {
	case 0:
		r.State = []string{Deleted, DeleteMarker}[m.IntN(2)]
	case 1:
		r.State, r.Reason, r.Detail = Unreadable, ReasonOther, m.text(0)
		if m.IntN(2) == 0 {
			r.Last = &Record{State: Present, Attrs: m.attrs(), Parts: []Part{m.part(packs)}}
		}
	default:
		for n := m.IntN(3); n > 0; n-- {
			r.Parts = append(r.Parts, m.part(packs))
		}
	}
	return r
}

func (m maker) segment() *segment {
	packs := []Ref{packA(), packB(), ref("pack c", 0)}
	s := &segment{header: SegmentHeader{Packs: packs}}
	for range m.IntN(20) {
		s.records = append(s.records, m.record(packs))
	}
	slices.SortFunc(s.records, Compare)
	s.records = slices.CompactFunc(s.records, func(a, b *Record) bool { return Compare(a, b) == 0 })
	s.header.Records = len(s.records)
	if n := len(s.records); n > 0 {
		s.header.From = s.records[0].Path
		s.header.To = s.records[n-1].Path + "\x00"
	}
	return s
}

// TestRandomSegments encodes random records, and expects to decode the same from both readers.
func TestRandomSegments(t *testing.T) {
	fast := 0
	for seed := range uint64(200) {
		want := newMaker(seed).segment()
		data := want.encode()
		got, err := decodeSegment(data)
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, data)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("seed %d: decoded\n%+v\nin place of\n%+v", seed, got, want)
		}
		for i, line := range bytes.Split(data, []byte{'\n'})[1:] {
			took := i < len(want.records) && checkRecordLine(t, line, want.header.Packs)
			if i < len(want.records) && took != isPlain(line) {
				t.Fatalf("seed %d: fast reader took it: %v: %s", seed, took, line)
			}
			if took {
				fast++
			}
		}
	}
	if fast < 50 {
		t.Errorf("only %d records went through the fast reader", fast)
	}
}

// isPlain reports whether a record's line has nothing that only the slow reader takes.
func isPlain(line []byte) bool {
	line = bytes.TrimPrefix(line, []byte(`{"path":"`+base64Mark)) // no mark in a path
	line = bytes.ReplaceAll(bytes.ReplaceAll(line, []byte(`\\`), nil), []byte(`\"`), nil)
	return !bytes.ContainsAny(line, `\`) && !bytes.Contains(line, []byte(`"`+base64Mark)) && !bytes.Contains(line, []byte(`{"path64":`))
}

// TestMutatedLines damages good lines at each byte: what the fast reader still takes, the slow one must read the same.
func TestMutatedLines(t *testing.T) {
	packs := []Ref{packA(), packB()}
	for _, name := range []string{"segment/plain.jsonl", "segment/states.jsonl"} {
		for line := range bytes.Lines(readVector(t, name)) {
			line = bytes.TrimSuffix(line, []byte{'\n'})
			for i := range line {
				for _, c := range []byte("\"\\,{]0a\x1f\xff") {
					damaged := bytes.Clone(line)
					damaged[i] = c
					checkRecordLine(t, damaged, packs)
				}
				checkRecordLine(t, line[:i], packs)
				checkRecordLine(t, slices.Delete(bytes.Clone(line), i, i+1), packs)
			}
		}
	}
}

// TestRecordsAreTheCallers changes what Next returned and what it was read from, and expects the following records not to care.
func TestRecordsAreTheCallers(t *testing.T) {
	data := readVector(t, "segment/states.jsonl")
	want, err := decodeSegment(data)
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewSegmentReader(iotest.OneByteReader(bytes.NewReader(data)))
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range want.records {
		got, err := r.Next()
		if err != nil || !reflect.DeepEqual(got, w) {
			t.Fatalf("record %d: %+v, %v", i, got, err)
		}
		got.Path = "zzz"
		for key := range got.Attrs {
			got.Attrs[key] = "zzz"
		}
	}
	for range 2 {
		if _, err := r.Next(); err != io.EOF {
			t.Errorf("behind the last record: %v", err)
		}
	}
}

func TestSegmentReaderErrors(t *testing.T) {
	broken := errors.New("the store is gone")
	if _, err := NewSegmentReader(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("header: %v", err)
	}
	head := AppendSegmentHeader(nil, &SegmentHeader{Records: 1})
	r, err := NewSegmentReader(io.MultiReader(bytes.NewReader(head), iotest.ErrReader(broken)))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := r.Next(); !errors.Is(err, broken) {
			t.Errorf("record: %v", err)
		}
	}
}

// zeros is an endless line.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '0'
	}
	return len(p), nil
}

func TestLongLines(t *testing.T) {
	s := &segment{header: SegmentHeader{Records: 2}, records: []*Record{deleted("a"), deleted("b")}}
	s.records[0].Attrs = Attrs{"m:long": strings.Repeat("x", 3*lineBuffer), "m:escaped": strings.Repeat("\n", lineBuffer)}
	got, err := decodeSegment(s.encode())
	if err != nil || !reflect.DeepEqual(got, s) {
		t.Errorf("long line: %v", err)
	}
	const want = "segment page, line 1: is longer than 16777216 bytes"
	if _, err := NewSegmentReader(zeros{}); err == nil || err.Error() != want {
		t.Errorf("endless line: %v", err)
	}
}

// TestHostileSizes holds that what a stranger claims takes no memory before it is there.
func TestHostileSizes(t *testing.T) {
	const hostile = 1 << 20
	inputs := map[string]string{
		"segment":   `{"farshore":"segment","version":1,"records":9007199254740991}` + "\n",
		"root":      `{"farshore":"root","version":1,"source":{},"later":` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + "}\n" + `{"range":{}}` + "\n",
		"statement": `{"later":[` + strings.Repeat("0,", hostile/2) + `0]}`,
		"commit":    `{"later":"` + strings.Repeat("x", hostile) + `"}`,
		"table":     `{"farshore":"table","version":1}` + "\n",
		"list":      strings.Repeat("x ", hostile/2),
	}
	for kind, data := range inputs {
		before := allocated()
		_, err := codecs()[kind].decode([]byte(data))
		if grown := allocated() - before; grown > 1<<20+40*uint64(len(data)) {
			t.Errorf("%s: %d bytes took %d bytes of memory (%v)", kind, len(data), grown, err)
		}
	}
}

func TestExtentsAreBounded(t *testing.T) {
	b := AppendExtentsHeader(nil, []Ref{packA()})
	for i := range int64(MaxPageExtents) {
		b = AppendExtent(b, 0, 2*i, 1)
	}
	list, err := ReadExtents(bytes.NewReader(b))
	if err != nil || len(list) != MaxPageExtents {
		t.Fatalf("%d extents, %v", len(list), err)
	}
	b = AppendExtent(b, 0, 1<<20, 1)
	if _, err := ReadExtents(bytes.NewReader(b)); err == nil || !strings.Contains(err.Error(), "goes on after 16384 extents") {
		t.Errorf("one more: %v", err)
	}
}
