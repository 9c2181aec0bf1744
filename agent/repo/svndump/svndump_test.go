package svndump

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// node writes a node with properties and content.
func node(headers, props, text string) string {
	return fmt.Sprintf("%sProp-content-length: %d\nText-content-length: %d\nContent-length: %d\n\n%s%s\n\n", headers, len(props), len(text), len(props)+len(text), props, text)
}

const (
	fileA   = "Node-path: a\nNode-kind: file\nNode-action: add\nText-content-md5: 0cc175b9c0f1b6a831c399e269772661\n"
	sha1A   = "Text-content-sha1: 86f7e437faa5a7fce15d1ddcb9eaeaea377667b8\n"
	folderB = "Node-path: b\nNode-kind: dir\nNode-action: add\n"
)

func dumpOf(nodes ...string) string {
	var b bytes.Buffer
	_ = Begin(&b, "01234567-89ab-cdef-0123-456789abcdef")
	_ = WriteRevision(&b, 0, nil)
	_ = WriteRevision(&b, 1, []Property{{Name: "svn:log", Value: "x\r\n"}})
	return b.String() + strings.Join(nodes, "")
}

func scanAll(tb testing.TB, r io.Reader) []Revision {
	tb.Helper()
	var all []Revision
	err := Scan(r, func(r *Revision) error {
		all = append(all, *r)
		return nil
	}, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return all
}

func last(tb testing.TB, dump string) Revision {
	tb.Helper()
	all := scanAll(tb, strings.NewReader(dump))
	return all[len(all)-1]
}

// TestDigestVector pins the definition: these digests stand in vaults.
func TestDigestVector(t *testing.T) {
	r := last(t, dumpOf(node(fileA+sha1A, "K 1\nx\nV 3\n\r\n\x00\nPROPS-END\n", "a"), node("Node-path: c\nNode-kind: file\nNode-action: change\nNode-copyfrom-rev: 0\nNode-copyfrom-path: z\n"+
		"Text-content-md5: 0\nText-content-sha1: 1\n", "D 1\ny\nPROPS-END\n", "")))
	for what, pair := range map[string][2]string{
		"line":  {r.Line(), "1 sha1 " + vectorSHA1 + "\n"},
		"md5":   {r.MD5.String(), vectorMD5},
		"props": {r.Props.String(), vectorProps},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s is %q, want %q", what, pair[0], pair[1])
		}
	}
}

// TestDigestDepends changes one thing at a time.
func TestDigestDepends(t *testing.T) {
	a, b := node(fileA+sha1A, "PROPS-END\n", "a"), folderB+"\n\n"
	base := last(t, dumpOf(a, b))
	same := map[string]string{
		"order of nodes":       dumpOf(b, a),
		"no block for nothing": dumpOf(strings.Replace(node(fileA+sha1A, "", "a"), "Prop-content-length: 0\n", "", 1), b),
		"a leading slash":      dumpOf(strings.Replace(a, "path: a", "path: /a", 1), b),
		"a delta":              dumpOf(strings.Replace(node(fileA+sha1A+"Text-delta: true\nProp-delta: true\n", "PROPS-END\n", "SVN\x00something"), "x", "x", 1), b),
	}
	for name, dump := range same {
		if r := last(t, dump); !r.Matches(base.Digest()) {
			t.Errorf("%s: the digest differs", name)
		}
	}
	weak := last(t, dumpOf(node(fileA, "PROPS-END\n", "a"), b))
	if weak.Strong || !base.Matches(weak.Digest()) || weak.Matches(base.Digest()) {
		t.Error("a dump without SHA-1 must match by MD5 alone")
	}
	other := map[string]string{
		"path":     dumpOf(strings.Replace(a, "path: a", "path: c", 1), b),
		"kind":     dumpOf(a, strings.Replace(b, "dir", "file", 1)),
		"action":   dumpOf(a, strings.Replace(b, "add", "replace", 1)),
		"copy":     dumpOf(a, "Node-path: b\nNode-kind: dir\nNode-action: add\nNode-copyfrom-rev: 0\nNode-copyfrom-path: x\n\n\n"),
		"text":     dumpOf(strings.Replace(a, "86f7", "96f7", 1), b),
		"props":    dumpOf(node(fileA+sha1A, "K 1\nx\nV 0\n\nPROPS-END\n", "a"), b),
		"unset":    dumpOf(node(fileA+sha1A, "D 1\nx\nPROPS-END\n", "a"), b),
		"missing":  dumpOf(a),
		"twice":    dumpOf(a, b, b),
		"number":   strings.Replace(dumpOf(a, b), "Revision-number: 1", "Revision-number: 2", 1),
		"borders":  dumpOf(node(fileA+sha1A, "K 1\nx\nV 7\nset 1:y\nPROPS-END\n", "a"), b),
		"borders2": dumpOf(node(fileA+sha1A, "K 1\nx\nV 0\n\nK 1\ny\nV 0\n\nPROPS-END\n", "a"), b),
	}
	seen := map[string]string{base.Digest(): "base"}
	for name, dump := range other {
		r := last(t, dump)
		if was := seen[r.Digest()]; was != "" {
			t.Errorf("%s has the digest of %s", name, was)
		}
		seen[r.Digest()] = name
	}
}

// TestBad expects a *FormatError.
func TestBad(t *testing.T) {
	whole := dumpOf(node(fileA+sha1A, "PROPS-END\n", "a"))
	tests := map[string]string{
		"nothing at the beginning": "Revision-number: 0\n\n",
		"another format":           "SVN-fs-dump-format-version: 4\n\n",
		"a node too soon":          "SVN-fs-dump-format-version: 2\n\nNode-path: a\n\n",
		"no header":                dumpOf("hello\n\n"),
		"an unknown record":        dumpOf("Hello: you\n\n"),
		"a header twice":           dumpOf("Node-path: a\nNode-path: b\n\n"),
		"two records in one":       dumpOf("Node-path: a\nRevision-number: 3\n\n"),
		"a negative revision":      dumpOf("Revision-number: -1\n\n"),
		"a negative length":        dumpOf("Node-path: a\nContent-length: -1\n\n"),
		"a length with a sign":     dumpOf("Node-path: a\nContent-length: +1\n\nx"),
		"a sum that is less":       dumpOf("Node-path: a\nProp-content-length: 10\nContent-length: 9\n\nPROPS-END\n"),
		"a sum that is more":       dumpOf("Node-path: a\nProp-content-length: 10\nText-content-length: 1\nContent-length: 12\n\nPROPS-END\nab"),
		"properties too long":      dumpOf("Node-path: a\nProp-content-length: 999999999999\n\n"),
		"properties cut off":       dumpOf("Node-path: a\nProp-content-length: 99999\n\nK 1\n"),
		"properties without end":   dumpOf("Node-path: a\nProp-content-length: 12\n\nK 1\na\nV 1\nb\n"),
		"a value too long":         dumpOf(node(fileA, "K 1\na\nV 999\nb\nPROPS-END\n", "a")),
		"bytes after the end":      dumpOf(node(fileA, "PROPS-END\nx", "a")),
		"no value":                 dumpOf(node(fileA, "K 1\na\nPROPS-END\n", "a")),
		"content without digest":   dumpOf("Node-path: a\nText-content-length: 1\nContent-length: 1\n\nx\n"),
		"content cut off":          dumpOf("Node-path: a\nText-content-length: 10\nContent-length: 10\n\nx\n"),
		"headers cut off":          whole + "Node-path: a\n",
		"a line cut off":           whole + "Node-pa",
		"headers without end":      dumpOf(strings.Repeat("x", 2<<20)),
	}
	for name, dump := range tests {
		var format *FormatError
		if err := Scan(strings.NewReader(dump), func(*Revision) error { return nil }, nil); !errors.As(err, &format) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTee passes a dump on as it is, however it comes, and ends well only if the dump does.
func TestTee(t *testing.T) {
	whole := dumpOf(node(fileA+sha1A, "PROPS-END\n", strings.Repeat("a", 1<<20)))
	broken := errors.New("broken")
	tests := []struct {
		name string
		r    io.Reader
		stop bool
		n    int
		err  error
	}{
		{"whole", strings.NewReader(whole), false, 2, nil},
		{"byte by byte", iotest.OneByteReader(strings.NewReader(whole[:500])), false, 1, &FormatError{}},
		{"error with data", iotest.DataErrReader(strings.NewReader(whole)), false, 2, nil},
		{"broken", io.MultiReader(strings.NewReader(whole), iotest.ErrReader(broken)), false, 1, broken},
		{"cut off", strings.NewReader(whole[:len(whole)-100]), false, 1, &FormatError{}},
		{"stopped", strings.NewReader(whole), true, 0, broken},
	}
	for _, test := range tests {
		n := 0
		tee := NewTee(test.r, func(*Revision) error {
			if test.stop {
				return broken
			}
			n++
			return nil
		})
		got, err := io.ReadAll(tee)
		var format *FormatError
		switch {
		case test.err == nil && (err != nil || string(got) != whole):
			t.Errorf("%s: %d bytes, %v", test.name, len(got), err)
		case errors.As(test.err, &format) && !errors.As(err, &format), test.err == broken && !errors.Is(err, broken):
			t.Errorf("%s: %v", test.name, err)
		}
		if n != test.n {
			t.Errorf("%s: %d revisions were seen", test.name, n)
		}
		if err := tee.Close(); err != nil {
			t.Error(err)
		}
	}
	tee := NewTee(strings.NewReader(whole), func(*Revision) error { return nil })
	if err := tee.Close(); err != nil {
		t.Error(err)
	}
	if _, err := tee.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Errorf("read after close: %v", err)
	}
}

// TestJoin joins two dumps, with properties that were edited in between.
func TestJoin(t *testing.T) {
	first := dumpOf(node(fileA+sha1A, "PROPS-END\n", "a"))
	second := strings.Replace(dumpOf(folderB+"\n\n"), "Revision-number: 1", "Revision-number: 3", 1)
	second = strings.Replace(second, "Revision-number: 0", "Revision-number: 2", 1)
	edited := []Property{{Name: "svn:log", Value: "better"}}
	var out bytes.Buffer
	j := &Joiner{W: &out, UUID: "u", Props: func(n int64) ([]Property, bool, error) { return edited, n == 1, nil }}
	for i, d := range []string{first, second} {
		if err := j.Add(strings.NewReader(d), int64(2*i+1)); err != nil {
			t.Fatal(err)
		}
	}
	all := scanAll(t, bytes.NewReader(out.Bytes()))
	want := slices.Concat(scanAll(t, strings.NewReader(first)), scanAll(t, strings.NewReader(second)))
	want[1].Props = PropsSum(edited)
	if !slices.Equal(all, want) {
		t.Errorf("joined %v\nwant   %v", all, want)
	}
	if strings.Count(out.String(), "SVN-fs-dump-format-version") != 1 || strings.Count(out.String(), "UUID: u\n") != 1 {
		t.Errorf("the joined dump has not one head:\n%s", out.String())
	}
	for name, f := range map[string]func(j *Joiner) error{
		"a gap":     func(j *Joiner) error { return j.Add(strings.NewReader(second), 3) },
		"too short": func(j *Joiner) error { return j.Add(strings.NewReader(first), 2) },
		"too long":  func(j *Joiner) error { return j.Add(strings.NewReader(first), 0) },
	} {
		if f(&Joiner{W: io.Discard}) == nil {
			t.Errorf("%s was joined", name)
		}
	}
}

// TestBlocks compares blocks that were added to at different times.
func TestBlocks(t *testing.T) {
	var all Blocks
	for i := range 2500 {
		all.Add(Sum{byte(i), byte(i >> 8)})
		if i != 999 && i != 1234 {
			continue
		}
		again, err := ParseBlocks(all.Encode())
		if err != nil || !slices.Equal(again, all) || again.Next() != int64(i+1) {
			t.Fatalf("after %d: %v, %v", i, again, err)
		}
		all = again
	}
	if len(all) != 3 || all[2].Count != 500 {
		t.Errorf("blocks %v", all)
	}
	line := "0 999 " + strings.Repeat("0", 64) + "\n"
	for _, bad := range []string{"x\n", "0 1\n", line + line, "1" + line[1:], strings.Replace(line, "999", "1000", 1), line[:20] + "\n"} {
		if _, err := ParseBlocks([]byte(bad)); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

// FuzzScan holds that any bytes are either refused, or a dump that joined with nothing has the same digests again.
func FuzzScan(f *testing.F) {
	f.Add([]byte(dumpOf(node(fileA+sha1A, "K 1\nx\nV 3\n\r\n\x00\nPROPS-END\n", "a"))))
	f.Add([]byte(dumpOf(folderB + "\n")))
	f.Fuzz(func(t *testing.T, data []byte) {
		var all []Revision
		err := Scan(bytes.NewReader(data), func(r *Revision) error {
			all = append(all, *r)
			return nil
		}, nil)
		if err != nil || len(all) == 0 || all[0].Number != 0 {
			return
		}
		var out bytes.Buffer
		if (&Joiner{W: &out}).Add(bytes.NewReader(data), int64(len(all)-1)) != nil {
			return // revisions are not in order
		}
		if again := scanAll(t, &out); !slices.Equal(again, all) {
			t.Errorf("%v\nbecame %v", all, again)
		}
	})
}

func BenchmarkTee(b *testing.B) {
	var dump bytes.Buffer
	_ = Begin(&dump, "u")
	for i := range 2000 {
		_ = WriteRevision(&dump, int64(i), []Property{{Name: "svn:log", Value: "a message"}})
		dump.WriteString(node(fileA+sha1A, "PROPS-END\n", strings.Repeat("x", 4000)))
	}
	b.SetBytes(int64(dump.Len()))
	for b.Loop() {
		tee := NewTee(bytes.NewReader(dump.Bytes()), func(*Revision) error { return nil })
		if _, err := io.Copy(io.Discard, tee); err != nil {
			b.Fatal(err)
		}
		_ = tee.Close()
	}
}
