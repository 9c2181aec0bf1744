package lfs_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"farshore/agent/source/git/lfs"
	"farshore/providers/servers"
)

const (
	oid     = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393"
	version = "version https://git-lfs.github.com/spec/v1\n"
	oidLine = "oid sha256:" + oid + "\n"
)

// pointers are blobs, and whether they are pointers. stock says where git-lfs itself is of another opinion.
var pointers = []struct {
	name, blob string
	ok         bool
	stock      bool
}{
	{"plain", version + oidLine + "size 12345\n", true, false},
	{"pre-release", "version https://hawser.github.com/spec/v1\n" + oidLine + "size 12345\n", true, false},
	{"alpha", "version http://git-media.io/v/2\n" + oidLine + "size 12345\n", true, false},
	{"no last line end", version + oidLine + "size 12345", true, false},
	{"CRLF", strings.ReplaceAll(version+oidLine+"size 12345\n", "\n", "\r\n"), true, false},
	{"blank lines and space around", " \n\n" + version + "\n" + oidLine + "size 12345\n\n \n", true, false},
	{"extensions", version + "ext-0-foo sha256:" + oid + "\next-1-bar sha256:" + oid + "\n" + oidLine + "size 12345\n", true, false},
	{"extensions in another order", version + "ext-1-foo sha256:" + oid + "\next-0-bar sha256:" + oid + "\n" + oidLine + "size 12345\n", true, false},
	{"extension after the oid", version + oidLine + "ext-0-foo sha256:" + oid + "\nsize 12345\n", true, false},
	{"extension after the size", version + oidLine + "size 12345\next-0-foo sha256:" + oid + "\n", false, false},
	{"a sign", version + oidLine + "size +12345\n", true, false},
	{"unknown keys, which the specification lets stand", version + "a b\n" + oidLine + "size 12345\nz.9-x y z\n", true, true},
	{"as large as can be", version + "a " + strings.Repeat("b", 1024-len(version+oidLine+"size 12345\n")-3) + "\n" + oidLine + "size 12345\n", true, true},
	{"too large", version + "a " + strings.Repeat("b", 1024-len(version+oidLine+"size 12345\n")-2) + "\n" + oidLine + "size 12345\n", false, false},
	{"unknown keys out of order", version + "z y\n" + oidLine + "size 12345\n", false, false},
	{"size before oid", version + "size 12345\n" + oidLine, false, false},
	{"another version", "version https://git-lfs.github.com/spec/v2\n" + oidLine + "size 12345\n", false, false},
	{"version later", oidLine + version + "size 12345\n", false, false},
	{"version twice", version + version + oidLine + "size 12345\n", false, false},
	{"oid twice", version + oidLine + oidLine + "size 12345\n", false, false},
	{"no oid", version + "size 12345\n", false, false},
	{"no size", version + oidLine, false, false},
	{"another hash", version + "oid sha1:" + oid + "\nsize 12345\n", false, false},
	{"upper case", version + strings.ToUpper(oidLine) + "size 12345\n", false, false},
	{"short oid", version + "oid sha256:4d7a\nsize 12345\n", false, false},
	{"long oid", version + "oid sha256:" + oid + "00\nsize 12345\n", false, false},
	{"negative", version + oidLine + "size -1\n", false, false},
	{"too many digits", version + oidLine + "size 99999999999999999999\n", false, false},
	{"no number", version + oidLine + "size big\n", false, false},
	{"empty size", version + oidLine + "size \n", false, false},
	{"two spaces", version + "oid  sha256:" + oid + "\nsize 12345\n", false, false},
	{"trailing space", "version https://git-lfs.github.com/spec/v1 \n" + oidLine + "size 12345\n", false, false},
	{"key in upper case", version + "A b\n" + oidLine + "size 12345\n", false, false},
	{"only text", "version control is a fine thing\n", false, false},
	{"empty", "", false, true},
}

func TestParse(t *testing.T) {
	for _, tt := range pointers {
		p, ok := lfs.Parse([]byte(tt.blob))
		if ok != tt.ok {
			t.Errorf("%s: %v, want %v", tt.name, ok, tt.ok)
		}
		if want := (lfs.Pointer{OID: oid, Size: 12345}); ok && p != want {
			t.Errorf("%s: %v", tt.name, p)
		}
	}
}

// TestParseAsStock holds Parse to the real git-lfs, but for what the table names.
func TestParseAsStock(t *testing.T) {
	requireLFS(t)
	dir := t.TempDir()
	for _, tt := range pointers {
		if tt.stock {
			continue
		}
		file := filepath.Join(dir, "blob")
		if err := os.WriteFile(file, []byte(tt.blob), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), "git-lfs", "pointer", "--check", "--file", file)
		cmd.Dir = dir
		if err := cmd.Run(); (err == nil) != tt.ok {
			t.Errorf("%s: git-lfs says %v, Parse says %v", tt.name, err, tt.ok)
		}
	}
}

func requireLFS(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("git-lfs"); err != nil {
		servers.Missing(t, "git-lfs", "install the package git-lfs")
	}
}

func FuzzParse(f *testing.F) {
	for _, tt := range pointers {
		f.Add([]byte(tt.blob))
	}
	f.Fuzz(func(t *testing.T, blob []byte) {
		p, ok := lfs.Parse(blob)
		if !ok {
			return
		}
		if len(blob) > lfs.MaxPointer || p.Size < 0 || len(p.OID) != 64 || !bytes.Contains(blob, []byte(p.OID)) {
			t.Fatalf("%+v from %q", p, blob)
		}
		if again, ok := lfs.Parse(p.Encode()); !ok || again != p {
			t.Fatalf("%+v became %+v", p, again)
		}
	})
}

// BenchmarkParse measures what every small blob of a repository costs: nearly none is a pointer.
func BenchmarkParse(b *testing.B) {
	for _, tt := range []struct{ name, blob string }{
		{"pointer", version + oidLine + "size 12345\n"},
		{"text", strings.Repeat("some line of a program\n", 30)},
		{"large", strings.Repeat("x", 5000)},
	} {
		b.Run(tt.name, func(b *testing.B) {
			for b.Loop() {
				lfs.Parse([]byte(tt.blob))
			}
		})
	}
}
