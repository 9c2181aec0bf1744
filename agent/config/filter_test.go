package config

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

func TestFilterMatch(t *testing.T) {
	tests := []struct {
		include, exclude string // patterns, separated by spaces
		yes, no          string // paths, separated by spaces
	}{
		{"", "", "a a/b / \xff", ""},
		{"a", "", "a", "A b aa a/ a/b"},
		{"a/", "", "a/ a/b a/b/c a//", "a ab b/a/"},
		{`a\x2f`, "", "a/", "a a/b"},
		{"*", "", "a abc", "a/ a/b /a"},
		{"**", "", "a a/b /", ""},
		{"a*", "", "a ab", "ba a/b"},
		{"*.jpg", "", ".jpg a.jpg", "a/b.jpg a.jpgx"},
		{"**.jpg", "", ".jpg a.jpg a/b.jpg .jpg.jpg", "a.jpgx"},
		{"**/x", "", "/x a/x a/b/x", "x a/xx"},
		{"a/**/b", "", "a//b a/x/b a/x/y/b", "a/b a/xb"},
		{"a/*/b", "", "a/x/b a//b", "a/b a/x/y/b"},
		{"a?c", "", "abc a\xffc", "ac a/c abbc"},
		{"?", "", "a \xff", "/ ä ab"},
		{"*a*b*c*", "", "abc xaxbxcx aabbcc", "acb a/bc abc/"},
		{"**a*b**", "", "ab x/a/axb/x", "a/b ba"},
		{`\*\?\\`, "", `*?\`, `x?\`},
		{`\xff*`, "", "\xff \xffa", "ÿ"},
		{"a/ b/", "", "a/x b/x", "c/x"},
		{"", "tmp/ **.tmp", "a a/tmp", "tmp/ tmp/a a.tmp a/b.tmp"},
		{"a/", "a/b/", "a/c a/bc", "a/b/ a/b/c d"},
		{strings.Repeat("*a", 100), "", strings.Repeat("a", 100) + " " + strings.Repeat("xa", 100), strings.Repeat("a", 99)},
	}
	for _, tt := range tests {
		f, err := NewFilter(strings.Fields(tt.include), strings.Fields(tt.exclude))
		if err != nil {
			t.Fatal(err)
		}
		for want, paths := range map[bool]string{true: tt.yes, false: tt.no} {
			for _, path := range strings.Fields(paths) {
				if f.Match(path) != want {
					t.Errorf("include %q, exclude %q: Match(%q) is not %v", tt.include, tt.exclude, path, want)
				}
			}
		}
	}
}

func TestFilterRefuses(t *testing.T) {
	for _, p := range []string{"", "***", "a****", `\`, `\a`, `\x`, `\x4`, `\xgg`, strings.Repeat("a", maxPattern+1)} {
		if _, err := NewFilter([]string{p}, nil); err == nil {
			t.Errorf("include %.20q was accepted", p)
		}
		if _, err := NewFilter(nil, []string{p}); err == nil {
			t.Errorf("exclude %.20q was accepted", p)
		}
	}
}

// latin writes each byte as the character of that number, so that regexp, which knows only characters, works byte by byte.
func latin(s string) string {
	r := make([]rune, len(s))
	for i := range len(s) {
		r[i] = rune(s[i])
	}
	return string(r)
}

// oracle translates a pattern that compile accepted to a regular expression.
func oracle(t *testing.T, pattern string) *regexp.Regexp {
	tokens, err := scan(pattern)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, tok := range tokens {
		b.WriteString([]string{regexp.QuoteMeta(latin(string([]byte{tok.b}))), "[^/]", "[^/]*", ".*"}[tok.kind])
	}
	if strings.HasSuffix(pattern, "/") {
		b.WriteString(".*")
	}
	re, err := regexp.Compile("(?s)^(?:" + b.String() + ")$")
	if err != nil {
		t.Skip(err)
	}
	return re
}

// FuzzFilter compares with the regular expressions of the standard library.
func FuzzFilter(f *testing.F) {
	for _, s := range [][2]string{{"a*b", "axb"}, {"**/x?", "a/b/xy"}, {`\xff*`, "\xff/"}, {"*a*a*a*b", strings.Repeat("a", 50)}, {strings.Repeat("?*", 70), strings.Repeat("x", 80)}, {"d/", "d/e"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, pattern, path string) {
		filter, err := NewFilter([]string{pattern}, nil)
		if err != nil {
			return
		}
		if len(pattern) > 200 {
			filter.Match(path)
			return
		}
		if got, want := filter.Match(path), oracle(t, pattern).MatchString(latin(path)); got != want {
			t.Errorf("pattern %q, path %q: %v, want %v", pattern, path, got, want)
		}
	})
}

// BenchmarkFilter includes the pattern that takes exponential time where matching goes back and forth.
func BenchmarkFilter(b *testing.B) {
	path := strings.Repeat("aaaaaaa/", 127) + "aaaaaaaa"
	for _, pattern := range []string{"photos/", "aaaaaaa/", "**.jpg", "**a**a**a**a**b", strings.Repeat("**a", 500) + "b"} {
		f, err := NewFilter([]string{pattern}, nil)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("%.16s", strings.ReplaceAll(pattern, "/", "|")), func(b *testing.B) {
			for b.Loop() {
				f.Match(path)
			}
		})
	}
}
