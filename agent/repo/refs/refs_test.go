package refs

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func oid(n int) string    { return fmt.Sprintf("%040x", n+1) }
func oid256(n int) string { return fmt.Sprintf("%064x", n+1) }

// manifests are of all kinds that there are.
func manifests() map[string]*Manifest {
	return map[string]*Manifest{
		"empty":       {Format: SHA1},
		"unborn":      {Format: SHA1, Head: "refs/heads/main"},
		"detached":    {Format: SHA1, HeadOID: oid(7), Refs: []Ref{{Name: "refs/heads/main", OID: oid(1)}}},
		"sha256":      {Format: SHA256, Head: "refs/heads/main", Refs: []Ref{{Name: "refs/heads/main", OID: oid256(1)}}},
		"symbolic":    {Format: SHA1, Refs: []Ref{{Name: "refs/remotes/origin/HEAD", Symref: "refs/remotes/origin/main", OID: oid(1)}, {Name: "refs/x/dangling", Symref: "refs/x/none"}}},
		"quotes":      {Format: SHA1, Head: `refs/heads/a"b`, Refs: []Ref{{Name: `refs/heads/a"b`, OID: oid(1)}, {Name: "refs/heads/<&>\u2028é", OID: oid(1)}}},
		"not UTF-8":   {Format: SHA1, Head: "refs/heads/caf\xe9", Refs: []Ref{{Name: "refs/heads/caf\xe9", OID: oid(1)}, {Name: "refs/heads/x", Symref: "refs/heads/\xff", OID: oid(2)}, {Name: "refs/heads/\xc3\x28", OID: oid(2)}}},
		"byte order":  {Format: SHA1, Refs: []Ref{{Name: "refs/heads/a-b", OID: oid(1)}, {Name: "refs/heads/a/b", OID: oid(1)}, {Name: "refs/heads/aa", OID: oid(1)}}},
		"looks coded": {Format: SHA1, Refs: []Ref{{Name: "refs/heads/Y2Fm6Q==", OID: oid(1)}}},
	}
}

func TestEncodeDecode(t *testing.T) {
	for name, m := range manifests() {
		slices.SortFunc(m.Refs, func(a, b Ref) int { return strings.Compare(a.Name, b.Name) })
		if err := m.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		got, err := Decode(m.Encode())
		if err != nil || !same(got, m) {
			t.Errorf("%s: %v, %v\n%s", name, got, err, m.Encode())
		}
	}
}

func same(a, b *Manifest) bool {
	return a.Format == b.Format && a.Head == b.Head && a.HeadOID == b.HeadOID && slices.Equal(a.Refs, b.Refs)
}

// TestWriteTo holds that pieces and digest are those of the whole encoding, and that a failure is told.
func TestWriteTo(t *testing.T) {
	all := manifests()
	many := &Manifest{Format: SHA1, Head: "refs/heads/main"}
	for i := range 5000 {
		many.Refs = append(many.Refs, Ref{Name: fmt.Sprintf("refs/pull/%06d/head", i), OID: oid(i + 1)})
	}
	all["many"] = many
	for name, m := range all {
		var b bytes.Buffer
		n, err := m.WriteTo(&b)
		if err != nil || n != int64(b.Len()) || !bytes.Equal(b.Bytes(), m.Encode()) {
			t.Errorf("%s: %d of %d bytes, %v", name, n, len(m.Encode()), err)
		}
		if want := fmt.Sprintf("%x", sha256.Sum256(m.Encode())); m.Digest() != want {
			t.Errorf("%s: digest %s, not %s", name, m.Digest(), want)
		}
	}
	r, w := io.Pipe()
	_ = r.Close()
	if _, err := many.WriteTo(w); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("a failure became %v", err)
	}
}

func TestEncoding(t *testing.T) {
	m := &Manifest{Format: SHA1, Head: "refs/heads/main", Refs: []Ref{
		{Name: `refs/heads/"<é>`, OID: oid(1)}, {Name: "refs/heads/caf\xe9", OID: oid(2)}, {Name: "refs/x", Symref: "refs/\xff"},
	}}
	want := `{"format":"sha1","head":"refs/heads/main"}
{"ref":"refs/heads/\"<é>","oid":"` + oid(1) + `"}
{"ref64":"cmVmcy9oZWFkcy9jYWbp","oid":"` + oid(2) + `"}
{"ref":"refs/x","symref64":"cmVmcy//"}
`
	if got := string(m.Encode()); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	const digest = "ef94abba7f31043373a6a449f42bd909f424c9a2e566809f2bf8382090812f26"
	if got := m.Digest(); got != digest {
		t.Errorf("the digest is %s", got)
	}
}

func TestDecodeTakesOtherSpellings(t *testing.T) {
	want := &Manifest{Format: SHA1, Head: "refs/heads/main", Refs: []Ref{{Name: "refs/heads/é", OID: oid(1), Symref: "refs/heads/\U0001f600"}}}
	for _, text := range []string{
		" { \"head\" : \"refs/heads/main\" , \"format\" : \"sha1\" }\r\n\t{\"symref\":\"refs/heads/\\ud83d\\ude00\",\"oid\":\"" + oid(1) + "\",\"ref\":\"refs\\/heads\\/\\u00e9\"} \n",
		`{"format":"sha1","later":{"a":[1,"x"]},"head":"refs/heads/main","b64":"x"}` + "\n" + `{"ref":"refs/heads/é","oid":"` + oid(1) + `","symref":"refs/heads/😀","peeled":null,"n":1}` + "\n",
	} {
		got, err := Decode([]byte(text))
		if err != nil || !same(got, want) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	head := `{"format":"sha1"}` + "\n"
	ref := func(name string) string { return `{"ref":"` + name + `","oid":"` + oid(1) + `"}` + "\n" }
	for name, text := range map[string]string{
		"nothing":                "",
		"no header":              ref("refs/heads/a"),
		"no end":                 head + strings.TrimSuffix(ref("refs/heads/a"), "\n"),
		"empty line":             head + "\n",
		"two headers":            head + head,
		"header with ref":        `{"format":"sha1","ref":"refs/heads/a"}` + "\n",
		"unknown format":         `{"format":"md5"}` + "\n",
		"format not a string":    `{"format":1}` + "\n",
		"head and detached":      `{"format":"sha1","head":"refs/heads/a","head_oid":"` + oid(1) + `"}` + "\n",
		"head outside of refs":   `{"format":"sha1","head":"HEAD"}` + "\n",
		"head id of sha256":      `{"format":"sha1","head_oid":"` + oid256(1) + `"}` + "\n",
		"array":                  head + "[]\n",
		"two values":             head + strings.TrimSuffix(ref("refs/heads/a"), "\n") + ref("refs/heads/b"),
		"twice":                  head + ref("refs/heads/a") + ref("refs/heads/a"),
		"not sorted":             head + ref("refs/heads/b") + ref("refs/heads/a"),
		"member twice":           head + `{"ref":"refs/heads/a","ref":"refs/heads/a","oid":"` + oid(1) + `"}` + "\n",
		"unknown member twice":   head + `{"ref":"refs/heads/a","oid":"` + oid(1) + `","x":1,"x":1}` + "\n",
		"ref and ref64":          head + `{"ref":"refs/heads/a","ref64":"cmVmcy//","oid":"` + oid(1) + `"}` + "\n",
		"UTF-8 in base64":        head + `{"ref64":"cmVmcy9oZWFkcy9h","oid":"` + oid(1) + `"}` + "\n",
		"base64 without padding": head + `{"ref64":"cmVmcy/_","oid":"` + oid(1) + `"}` + "\n",
		"oid in base64":          head + `{"ref":"refs/heads/a","oid64":"cmVmcy//"}` + "\n",
		"no oid":                 head + `{"ref":"refs/heads/a"}` + "\n",
		"empty oid":              head + `{"ref":"refs/heads/a","oid":"","symref":"refs/heads/b"}` + "\n",
		"null oid":               head + `{"ref":"refs/heads/a","oid":null}` + "\n",
		"oid of zeros":           head + `{"ref":"refs/heads/a","oid":"` + strings.Repeat("0", 40) + `"}` + "\n",
		"oid in capitals":        head + `{"ref":"refs/heads/a","oid":"` + strings.Repeat("A", 40) + `"}` + "\n",
		"oid of sha256":          head + `{"ref":"refs/heads/a","oid":"` + oid256(1) + `"}` + "\n",
		"gone":                   head + `{"ref":"refs/heads/a","gone":true}` + "\n",
		"not UTF-8":              head + ref("refs/heads/caf\xe9"),
		"half a pair":            head + ref(`refs/heads/\ud83d`),
		"NUL":                    head + ref(`refs/heads/a\u0000`),
		"newline":                head + ref(`refs/heads/a\nb`),
		"a long line":            head + ref("refs/heads/"+strings.Repeat("a", maxLine)),
	} {
		if m, err := Decode([]byte(text)); err == nil {
			t.Errorf("%s: accepted as %v", name, m)
		}
	}
}

func TestValidName(t *testing.T) {
	for _, name := range []string{"refs/heads/main", "refs/x", "refs/heads/a.b", "refs/heads/@", "refs/heads/{", "refs/heads/\xff", "refs/heads/-", "refs/heads/a.lockb"} {
		if !ValidName(name) {
			t.Errorf("%q is refused", name)
		}
	}
	for _, name := range []string{
		"", "refs", "refs/", "HEAD", "heads/main", "refs//a", "refs/heads/a/", "refs/heads/.a", "refs/heads/a..b", "refs/heads/a.", "refs/heads/a.lock", "refs/a.lock/b",
		"refs/heads/a b", "refs/heads/a\x7f", "refs/heads/a~", "refs/heads/a^", "refs/heads/a:", "refs/heads/a?", "refs/heads/a*", "refs/heads/a[", `refs/heads/a\`, "refs/heads/a@{b",
		"refs/" + strings.Repeat("a", maxName),
	} {
		if ValidName(name) {
			t.Errorf("%q is accepted", name)
		}
	}
}

// randomManifest has names of a small set, so that two of them have much in common.
func randomManifest(rnd *rand.Rand) *Manifest {
	m := &Manifest{Format: SHA1, Head: "refs/heads/main"}
	if rnd.IntN(3) == 0 {
		m.Head, m.HeadOID = "", oid(rnd.IntN(5))
	}
	id := oid
	if rnd.IntN(10) == 0 {
		m.Format, m.HeadOID, id = SHA256, "", oid256
	}
	for i := range 30 {
		r := Ref{Name: fmt.Sprintf("refs/heads/b%02d", i), OID: id(rnd.IntN(3))}
		if i == 29 {
			r.Name = "refs/heads/\xff"
		}
		if rnd.IntN(10) == 0 {
			r.Symref = "refs/heads/\xfe"
		}
		if rnd.IntN(2) == 0 {
			m.Refs = append(m.Refs, r)
		}
	}
	return m
}

func TestDiffApply(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		base, now := randomManifest(rnd), randomManifest(rnd)
		before := base.Digest()
		delta := Diff(base, now)
		got, err := Apply(base, delta)
		if err != nil || !same(got, now) || base.Digest() != before {
			t.Fatalf("%v\nbase %v\nnow %v\ngot %v\n%s", err, base, now, got, delta)
		}
		if got, err = Current(base.Encode(), delta); err != nil || got.Digest() != now.Digest() {
			t.Fatalf("current: %v, %v", got, err)
		}
	}
	m := randomManifest(rnd)
	if d := Diff(m, m); len(d) != 0 {
		t.Errorf("nothing changed: %s", d)
	}
	if got, err := Current(m.Encode(), nil); err != nil || !same(got, m) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestDelta(t *testing.T) {
	base := &Manifest{Format: SHA1, Head: "refs/heads/main", Refs: []Ref{{Name: "refs/heads/topic", OID: oid(1)}, {Name: "refs/tags/v1", OID: oid(2)}}}
	now := &Manifest{Format: SHA1, HeadOID: oid(3), Refs: []Ref{{Name: "refs/heads/topic/x", OID: oid(1)}, {Name: "refs/tags/v1", OID: oid(2)}}}
	want := `{"format":"sha1","head_oid":"` + oid(3) + `"}
{"ref":"refs/heads/topic","gone":true}
{"ref":"refs/heads/topic/x","oid":"` + oid(1) + `"}
`
	if got := string(Diff(base, now)); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	set := `{"ref":"refs/heads/a","oid":"` + oid(1) + `"}` + "\n"
	for name, delta := range map[string]string{
		"removes what is not there": `{"ref":"refs/heads/none","gone":true}` + "\n",
		"gone with a value":         `{"ref":"refs/heads/topic","oid":"` + oid(1) + `","gone":true}` + "\n",
		"gone is false":             `{"ref":"refs/heads/topic","gone":false}` + "\n",
		"gone twice":                `{"ref":"refs/heads/topic","gone":true,"gone":true}` + "\n",
		"gone, bad name":            `{"ref":"refs/heads/ ","gone":true}` + "\n",
		"not sorted":                `{"ref":"refs/heads/topic","gone":true}` + "\n" + set,
		"twice":                     set + set,
		"header behind":             set + `{"format":"sha1"}` + "\n",
		"no end":                    strings.TrimSpace(set),
		"other format":              `{"format":"sha256"}` + "\n",
		"bad oid":                   `{"ref":"refs/heads/a","oid":"x"}` + "\n",
	} {
		if m, err := Apply(base, []byte(delta)); err == nil {
			t.Errorf("%s: accepted as %v", name, m)
		}
	}
}

func TestTips(t *testing.T) {
	m := &Manifest{Format: SHA1, Head: "refs/heads/z", Refs: []Ref{
		{Name: "refs/changes/1", OID: oid(9)}, {Name: "refs/heads/a", OID: oid(1)}, {Name: "refs/heads/b", OID: oid(1)}, {Name: "refs/heads/c", Symref: "refs/heads/none"},
		{Name: "refs/heads/z", OID: oid(2)}, {Name: "refs/tags/v1", OID: oid(3)}, {Name: "refs/tags/v2", OID: oid(9)},
	}}
	want := []string{oid(2), oid(1), oid(3), oid(9)}
	if got := m.Tips(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	m.Head, m.HeadOID = "", oid(5)
	if got := m.Tips(); got[0] != oid(5) || len(got) != 5 {
		t.Errorf("detached: %v", got)
	}
	m.Head, m.HeadOID = "refs/heads/none", ""
	if got := m.Tips(); len(got) != 4 {
		t.Errorf("unborn: %v", got)
	}
}

func TestSketch(t *testing.T) {
	fork := func(own, from, to int) *Manifest {
		m := &Manifest{Format: SHA1}
		for i := from; i < to; i++ {
			m.Refs = append(m.Refs, Ref{Name: fmt.Sprintf("refs/pull/%06d", i), OID: oid(i)})
		}
		m.Refs = append(m.Refs, Ref{Name: "refs/tags/own", OID: oid(1000000 + own)})
		return m
	}
	a, b, other, small := fork(1, 0, 1000), fork(2, 0, 950), fork(3, 5000, 6000), fork(4, 0, 3)
	if n := Similar(a.Sketch(), a.Sketch()); n != 16 {
		t.Errorf("a repository has %d in common with itself", n)
	}
	if n := Similar(a.Sketch(), b.Sketch()); n < 12 {
		t.Errorf("forks have %d in common", n)
	}
	if n := Similar(a.Sketch(), other.Sketch()); n != 0 {
		t.Errorf("strangers have %d in common", n)
	}
	words := strings.Split(a.Sketch(), ",")
	if len(words) != 16 || len(words[0]) != 16 || !slices.IsSorted(words) {
		t.Errorf("sketch %s", a.Sketch())
	}
	if n := Similar(small.Sketch(), small.Sketch()); n != 4 {
		t.Errorf("a small repository has %d in common with itself", n)
	}
	if Similar("", "") != 0 || (&Manifest{Format: SHA1}).Sketch() != "" {
		t.Error("nothing has something in common")
	}
	if n := Similar("aa,aa", "aa,aa,aa"); n != 2 {
		t.Errorf("what stands several times is counted %d times", n)
	}
}

func TestCheck(t *testing.T) {
	for name, m := range map[string]*Manifest{
		"format":    {Format: "sha512"},
		"sorted":    {Format: SHA1, Refs: []Ref{{Name: "refs/b", OID: oid(1)}, {Name: "refs/a", OID: oid(1)}}},
		"name":      {Format: SHA1, Refs: []Ref{{Name: "refs/heads/a b", OID: oid(1)}}},
		"too many":  {Format: SHA1, Refs: make([]Ref, MaxRefs+1)},
		"no target": {Format: SHA1, Refs: []Ref{{Name: "refs/heads/a"}}},
		"target":    {Format: SHA1, Refs: []Ref{{Name: "refs/heads/a", Symref: "a b"}}},
	} {
		if m.Check() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, m := range manifests() {
		f.Add(m.Encode())
	}
	f.Add([]byte(`{"format":"sha1", "x":{}}` + "\n" + `{"ref":"refs/heads/\u00e9","oid":"` + oid(1) + `"}` + "\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Decode(data)
		if err != nil {
			return
		}
		if err := m.Check(); err != nil {
			t.Fatalf("accepted, and does not pass: %v", err)
		}
		encoded := m.Encode()
		again, err := Decode(encoded)
		if err != nil || !same(m, again) || !bytes.Equal(again.Encode(), encoded) {
			t.Fatalf("read again: %v, %v, before %v", again, err, m)
		}
		for l := range strings.Lines(string(encoded)) {
			fast, ok := fastLine(strings.TrimSuffix(l, "\n"))
			slow, err := slowLine(strings.TrimSuffix(l, "\n"))
			if err != nil || ok && fast != slow {
				t.Fatalf("%q: %v or %v, %v", l, fast, slow, err)
			}
		}
	})
}

func FuzzApply(f *testing.F) {
	rnd := rand.New(rand.NewPCG(2, 2))
	base := randomManifest(rnd)
	for range 5 {
		f.Add(Diff(base, randomManifest(rnd)))
	}
	f.Fuzz(func(t *testing.T, delta []byte) {
		m, err := Apply(base, delta)
		if err != nil {
			return
		}
		if err := m.Check(); err != nil {
			t.Fatalf("accepted, and does not pass: %v", err)
		}
		again, err := Apply(base, Diff(base, m))
		if err != nil || !same(again, m) {
			t.Fatalf("applied again: %v, %v, before %v", again, err, m)
		}
	})
}

// large has n refs, as those of a forge look.
func large(n int) *Manifest {
	m := &Manifest{Format: SHA1, Head: "refs/heads/main", Refs: make([]Ref, n)}
	for i := range m.Refs {
		m.Refs[i] = Ref{Name: fmt.Sprintf("refs/pull/%07d/head", i), OID: oid(i)}
	}
	return m
}

func BenchmarkLarge(b *testing.B) {
	m := large(100000)
	now := large(100100)
	now.Refs = now.Refs[50:]
	encoded, delta := m.Encode(), Diff(m, now)
	for name, run := range map[string]func() error{
		"encode": func() error { m.Encode(); return nil },
		"decode": func() error { _, err := Decode(encoded); return err },
		"diff":   func() error { Diff(m, now); return nil },
		"apply":  func() error { _, err := Apply(m, delta); return err },
		"tips":   func() error { m.Tips(); return nil },
		"sketch": func() error { m.Sketch(); return nil },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := run(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
