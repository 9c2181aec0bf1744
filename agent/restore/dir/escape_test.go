package dir

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestEscapeKnown(t *testing.T) {
	for key, want := range map[string]string{
		"":                       "%",
		"a":                      "a",
		"a/b.txt":                "a%2fb.txt",
		"../../etc":              "%2e.%2f..%2fetc",
		"photos/":                "photos%2f",
		"A":                      "%41",
		"a.":                     "a%2e",
		"%":                      "%25",
		"\x00\\+":                "%00%5c%2b",
		"é":                      "%c3%a9",
		"_farshore-x":            "_farshore-x",
		"..":                     "%2e%2e",
		strings.Repeat("k", 141): strings.Repeat("k", 140) + "+/k",
	} {
		if got := Escape(key); got != want {
			t.Errorf("Escape(%q) = %q, want %q", key, got, want)
		}
		if back, err := Unescape(want); err != nil || back != key {
			t.Errorf("Unescape(%q) = %q, %v, want %q", want, back, err, key)
		}
	}
}

func TestUnescapeRefuses(t *testing.T) {
	for _, name := range []string{"", "A", "a/b", "%2", "%zz", "%2F", "..", ".a", "a.", "a+", "a+/b", "%61", "é", "%%"} {
		if key, err := Unescape(name); err == nil {
			t.Errorf("Unescape(%q) = %q, want an error", name, key)
		}
	}
}

func TestHostile(t *testing.T) {
	long := strings.Repeat("x", 255)
	for key, hostileKey := range map[string]bool{
		"a": false, "a/b": false, ".hidden": false, "...": false, "a..b": false, "-rf": false, " ": false, "\n": false, "\xff": false, long: false,
		"a/_farshore-escaped": false, "_farshore": false,
		"": true, "/": true, "/a": true, "a/": true, "a//b": true, ".": true, "..": true, "a/.": true, "a/../b": true, "./a": true, "a\x00": true,
		"a\\b": true, long + "x": true, "a/" + long + "x/b": true, "_farshore-escaped/x": true, "_FARSHORE-x": true, "_farshore-": true,
		strings.Repeat("a/", 2100) + "a": true,
	} {
		if why := hostile(key, 10); (why != "") != hostileKey {
			t.Errorf("hostile(%q) = %q", key, why)
		}
	}
}

// FuzzEscape holds that every key has one safe escaped name, which leads back to it, and that a key taken as it is can't lead elsewhere.
func FuzzEscape(f *testing.F) {
	for _, key := range []string{"", "../x", "a//b", "\x00", strings.Repeat("../", 100), strings.Repeat(".", 300), "%2e", "a+/b", strings.Repeat("A", 50) + "."} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		name := Escape(key)
		if back, err := Unescape(name); err != nil || back != key {
			t.Fatalf("%q became %q, and that %q, %v", key, name, back, err)
		}
		if !filepath.IsLocal(name) || filepath.Clean(name) != name || strings.ToLower(name) != name {
			t.Fatalf("%q became %q, which is not safe", key, name)
		}
		parts := strings.Split(name, "/")
		for i, part := range parts {
			if len(part) > escapedRun+1 || strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".") || part == "" {
				t.Fatalf("%q has the component %q", name, part)
			}
			if strings.HasSuffix(part, "+") != (i < len(parts)-1) {
				t.Fatalf("%q: a file and a folder could meet", name)
			}
		}
		if other, err := Unescape(key); err == nil && Escape(other) != key {
			t.Fatalf("%q and %q are both escaped %q", key, Escape(other), other)
		}
		if hostile(key, 0) == "" && (!filepath.IsLocal(key) || filepath.Clean(key) != key) {
			t.Fatalf("%q is taken as it is", key)
		}
	})
}
