package gitrepo

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
)

// FuzzPointer holds that only what has all of a pointer's lines is one, and names a whole hash.
func FuzzPointer(f *testing.F) {
	id := strings.Repeat("0f", 32)
	f.Add([]byte("version https://git-lfs.github.com/spec/v1\noid sha256:" + id + "\nsize 5\n"))
	f.Add([]byte("version https://hawser.github.com/spec/v1\noid sha256:" + id + "\nsize -5\n"))
	f.Add([]byte("version https://git-lfs.github.com/spec/v1\next-0-x sha256:" + id + "\noid sha256:ff\nsize 1"))
	f.Fuzz(func(t *testing.T, data []byte) {
		oid, ok := pointer(data)
		if !ok {
			return
		}
		if _, err := hex.DecodeString(oid); err != nil || len(oid) != 64 || !bytes.Contains(data, []byte(oid)) || !bytes.Contains(data, []byte("size")) {
			t.Errorf("%q is a pointer to %q", data, oid)
		}
	})
}

// FuzzParsePush holds that no words of a server make more of a push than there are lines.
func FuzzParsePush(f *testing.F) {
	f.Add([]byte("To file:///x\n*\tabc:refs/heads/main\t[new branch]\n!\tabc:refs/pull/1\t[remote rejected] (deny updating a hidden ref)\nDone\n"))
	f.Fuzz(func(t *testing.T, out []byte) {
		results := parsePush(out)
		if len(results) > bytes.Count(out, []byte{'\n'})+1 {
			t.Errorf("%d results of %q", len(results), out)
		}
		for to := range results {
			if strings.ContainsAny(to, "\t\n") {
				t.Errorf("the name %q", to)
			}
		}
	})
}

// TestLines cuts text at all places, and holds that the lines stay the same.
func TestLines(t *testing.T) {
	const text = "one\n\nthree is longer\nfour\n"
	for size := 1; size <= len(text); size++ {
		var lines []string
		w := &lineWriter{each: func(l string) error { lines = append(lines, l); return nil }}
		for part := range slices.Chunk([]byte(text), size) {
			if n, err := w.Write(part); n != len(part) || err != nil {
				t.Fatal(n, err)
			}
		}
		if !slices.Equal(lines, []string{"one", "", "three is longer", "four"}) {
			t.Errorf("in pieces of %d: %q", size, lines)
		}
	}
	w := &lineWriter{each: func(string) error { return nil }}
	if _, err := w.Write(make([]byte, maxWrittenLine+1)); err == nil {
		t.Error("a line without end was kept")
	}
}

// TestPackWatch cuts a pack at all places, and holds that header and trailer stay the same.
func TestPackWatch(t *testing.T) {
	pack := append([]byte("PACK\x00\x00\x00\x02\x00\x00\x01\x02content"), bytes.Repeat([]byte{0xab}, 20)...)
	for size := 1; size <= len(pack); size++ {
		w := &packWatch{idSize: 20}
		for part := range slices.Chunk(pack, size) {
			_, _ = w.Write(part)
		}
		if w.objects() != 0x102 || w.trailer() != strings.Repeat("ab", 20) || w.size != int64(len(pack)) {
			t.Errorf("in pieces of %d: %d objects, trailer %s, %d bytes", size, w.objects(), w.trailer(), w.size)
		}
	}
	if w := (&packWatch{idSize: 20}); w.objects() != 0 || w.trailer() != "" {
		t.Error("an empty one has something")
	}
}

// TestFindings holds which lines of git fsck count.
func TestFindings(t *testing.T) {
	said := "notice: HEAD points to an unborn branch (main)\ndangling blob 11\nbroken link from    tree 22\n              to    blob 33\nmissing blob 33\n\nerror in tree " + strings.Repeat("a", 40) + ": broken links\n"
	want := []string{"broken link from    tree 22 to    blob 33", "missing blob 33", "error in tree " + strings.Repeat("a", 40) + ": broken links"}
	if got := findings(said); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	for line, isLint := range map[string]bool{
		want[2]: false, "error in commit " + strings.Repeat("a", 40) + ": missingSpaceBeforeDate: invalid author/committer line - missing space before date": true,
		"warning in tree " + strings.Repeat("b", 64) + ": zeroPaddedFilemode: contains zero-padded file modes": true, "error: " + strings.Repeat("a", 40) + ": hash mismatch": false,
	} {
		if lint.MatchString(line) != isLint {
			t.Errorf("%q", line)
		}
	}
}

// TestRedact holds that a password in an address is in no message.
func TestRedact(t *testing.T) {
	for address, want := range map[string]string{
		"https://me:secret@host/p": "https://me:…@host/p", "https://me@host/p": "https://me@host/p", "https://host": "https://host", "ssh://git@host:22/p:q@r": "ssh://git@host:22/p:q@r",
		"/some/path": "/some/path", "https://a:b@c@host": "https://a:…@host",
	} {
		if got := redact(address); got != want {
			t.Errorf("%s: %s", address, got)
		}
	}
}

// TestLists holds that a list of problems ends.
func TestLists(t *testing.T) {
	var p problems
	for range MaxProblems + 50 {
		p.add("x")
	}
	if list := p.list(); len(list) != MaxProblems || list[MaxProblems-1] != "and 51 more" {
		t.Errorf("%d, the last %q", len(list), list[len(list)-1])
	}
}
