package record

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestHash(t *testing.T) {
	h := sum("a")
	if got, err := ParseHash(h.String()); err != nil || got != h {
		t.Errorf("parsed %v, %v", got, err)
	}
	if h.IsZero() || !(Hash{}).IsZero() {
		t.Error("the wrong hash is zero")
	}
	for _, bad := range []string{"", h.String()[1:], h.String() + "0", strings.ToUpper(h.String()), strings.Repeat("g", 64), strings.Repeat("ä", 32)} {
		if got, err := ParseHash(bad); err == nil {
			t.Errorf("%q was taken for %v", bad, got)
		}
	}
	text, err := json.Marshal(map[Hash]Ref{h: {h, 5}})
	want := `{"` + h.String() + `":{"name":"` + h.String() + `","size":5}}`
	if err != nil || string(text) != want {
		t.Errorf("marshalled %s, %v", text, err)
	}
	var back map[Hash]Ref
	if err := json.Unmarshal(text, &back); err != nil || back[h] != (Ref{h, 5}) {
		t.Errorf("unmarshalled %v, %v", back, err)
	}
	if err := json.Unmarshal([]byte(`"00"`), &h); err == nil || h != sum("a") {
		t.Errorf("a short hash was taken: %v, %v", h, err)
	}
}

func TestNames(t *testing.T) {
	h, chain := sum("a"), half("c")
	names := map[string]string{
		PackName(h):             "packs/ca/" + h.String(),
		MetaName(h):             "meta/ca/" + h.String(),
		StatementName(12, h):    "vault/00000012-" + h.String(),
		CommitName(chain, 3456): "commits/" + chain + "/0000003456",
	}
	for got, want := range names {
		if got != want {
			t.Errorf("%s in place of %s", got, want)
		}
	}
	if got, err := ParsePackName(PackName(h)); err != nil || got != h {
		t.Errorf("pack: %v, %v", got, err)
	}
	if got, err := ParseMetaName(MetaName(h)); err != nil || got != h {
		t.Errorf("meta: %v, %v", got, err)
	}
	if n, got, err := ParseStatementName(StatementName(12, h)); err != nil || n != 12 || got != h {
		t.Errorf("statement: %d, %v, %v", n, got, err)
	}
	if got, seq, err := ParseCommitName(CommitName(chain, 3456)); err != nil || got != chain || seq != 3456 {
		t.Errorf("commit: %s, %d, %v", got, seq, err)
	}
}

func TestForeignNames(t *testing.T) {
	h, chain := sum("a").String(), half("c")
	for _, name := range []string{
		"", "packs/" + h, "packs/cb/" + h, "packs/ca/" + h + "/", "/packs/ca/" + h, "packs/ca/" + strings.ToUpper(h), "reports/ca/" + h, "packs/ca/x/" + h,
		"vault/1-" + h, "vault/00000000-" + h, "vault/-0000001-" + h, "vault/+0000001-" + h, "vault/00000001" + h, "vault/000000001-" + h, "vault/00000001-" + h[1:],
		"commits/" + chain, "commits/" + chain + "/1", "commits/" + chain + "/0000000000", "commits/" + chain + "/0000000001/", "commits/" + chain[1:] + "/0000000001",
		"commits/" + strings.ToUpper(chain) + "/0000000001", "commits/" + chain + "/00000000001", "commits/" + chain + "/-000000001",
	} {
		_, err1 := ParsePackName(name)
		_, err2 := ParseMetaName(name)
		_, _, err3 := ParseStatementName(name)
		_, _, err4 := ParseCommitName(name)
		if err1 == nil || err2 == nil || err3 == nil || err4 == nil {
			t.Errorf("%q was taken: %v, %v, %v, %v", name, err1, err2, err3, err4)
		}
	}
}

func TestIsCanary(t *testing.T) {
	for name, want := range map[string]bool{
		"packs/canary/a": true, "meta/canary/a-0": true, "vault/canary/z9": true, "commits/canary/" + strings.Repeat("a", 64): true, "reports/canary/-": true,
		"packs/canary/": false, "packs/canary": false, "other/canary/a": false, "canary/a": false, "packs/canary/A": false, "packs/canary/a/b": false,
		"packs/canary/" + strings.Repeat("a", 65): false, "packs/x/canary/a": false, "": false, "packs/canary/a.b": false, "/packs/canary/a": false,
	} {
		if got := IsCanary(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}

// TestCheck holds that what a reader refuses, a writer can know before.
func TestCheck(t *testing.T) {
	if err := photo().Check(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Record){
		"no kind":   func(r *Record) { r.Kind = "" },
		"no state":  func(r *Record) { r.State = "" },
		"reason":    func(r *Record) { r.Reason = ReasonKMS },
		"no reason": func(r *Record) { r.State, r.Parts = Unreadable, nil },
		"parts":     func(r *Record) { r.State = Deleted },
		"last":      func(r *Record) { r.Last = &Record{State: Deleted} },
		"last's parts": func(r *Record) {
			*r = Record{Path: "a", Kind: "k", State: Unreadable, Reason: "other", Last: &Record{State: Present, Parts: []Part{{}}}}
		},
		"part's kind": func(r *Record) { r.Parts[0].Kind = "" },
		"size":        func(r *Record) { r.Parts[0].Size-- },
		"negative":    func(r *Record) { r.Parts[0].Size = -1 },
		"sha256":      func(r *Record) { r.Parts[0].SHA256 = Hash{} },
		"length":      func(r *Record) { r.Parts[0].Extents[0].Length = 0 },
		"offset":      func(r *Record) { r.Parts[0].Extents[0].Offset = -1 },
		"no extents":  func(r *Record) { r.Parts[0].Extents = nil },
		"pages too":   func(r *Record) { r.Parts[0].Pages = []PartPage{{ref("p", 1), 0, 1}} },
		"page's name": func(r *Record) { r.Parts[0].Extents, r.Parts[0].Pages = nil, []PartPage{{Ref{}, 0, 3145728}} },
		"page's run":  func(r *Record) { r.Parts[0].Extents, r.Parts[0].Pages = nil, []PartPage{{ref("p", 1), 0, -1}} },
	} {
		r := photo()
		spoil(r)
		if err := r.Check(); err == nil {
			t.Errorf("%s: was taken", name)
		}
		s := &segment{header: SegmentHeader{Records: 1, Packs: []Ref{packA(), packB()}}, records: []*Record{r}}
		if _, err := decodeSegment(s.encode()); err == nil {
			t.Errorf("%s: a reader takes it", name)
		}
	}
}

// TestCheckLast holds that what a last record can't say is refused before it is left out.
func TestCheckLast(t *testing.T) {
	for _, last := range []*Record{{Path: "a", State: Deleted}, {Version: "v", State: Deleted}, {Kind: "k", State: Deleted}, {State: Deleted, Last: &Record{}}} {
		r := &Record{Path: "a", Kind: "k", State: Unreadable, Reason: ReasonOther, Last: last}
		if err := r.Check(); err == nil {
			t.Errorf("%+v was taken", last)
		}
	}
}

func TestSize(t *testing.T) {
	r := &Record{Parts: []Part{content(3, "a"), {Kind: "refs", Size: 100}, content(4, "b")}}
	if got := r.Size(); got != 7 {
		t.Errorf("%d", got)
	}
}

// TestLineSize holds the estimate to the bytes that are written, and expects it exact where it decides.
func TestLineSize(t *testing.T) {
	odd := strings.Repeat("\x00\"\xff", 1000)
	for _, n := range []int{0, 1, 1000, MaxRecord / 100} {
		r := &Record{Path: odd, Kind: KindGit, State: Unreadable, Reason: ReasonOther, Detail: odd, Attrs: Attrs{"k": odd}, Last: &Record{State: Present}}
		for range n {
			r.Last.Parts = append(r.Last.Parts, content(3, "x", Extent{packA(), 0, 1}, Extent{packB(), 1 << 29, 2}))
		}
		size, line := r.LineSize(), int64(len(AppendRecord(nil, r, func(Hash) int { return MaxPackChunks })))
		if size < line || size > MaxRecord && size != line {
			t.Errorf("%d parts: %d bytes in place of %d", n, size, line)
		}
	}
}
