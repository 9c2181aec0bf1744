package jsontext

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestAppendString holds that strings are escaped where they must be, and read back as they were.
func TestAppendString(t *testing.T) {
	for s, want := range map[string]string{
		"":                           `""`,
		"a/é \u2028</":               `"a/é ` + "\u2028" + `</"`,
		"\"\\\b\f\n\r\t\x00\x1f\x7f": `"\"\\\b\f\n\r\t\u0000\u001f` + "\x7f" + `"`,
	} {
		if got := string(AppendString([]byte("x"), s)); got != "x"+want {
			t.Errorf("%q is written %s, want %s", s, got[1:], want)
		}
	}
}

// TestCheck accepts JSON, and refuses what would be replaced when it is read.
func TestCheck(t *testing.T) {
	for text, says := range map[string]string{
		`{"a":"\ud83d\ude00"}`: "",
		`"\\ud800"`:            "",
		`[1]`:                  "",
		`"\ud800"`:             "surrogate",
		`"\udc00"`:             "surrogate",
		`"\ud800\n"`:           "surrogate",
		`"\ud800\ud800"`:       "surrogate",
		"\"\xff\"":             "UTF-8",
		`{} {}`:                "not JSON",
		``:                     "not JSON",
	} {
		err := Check([]byte(text))
		if (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", text, err, says)
		}
	}
}

// FuzzString holds that whatever is written is accepted, and read back as it was.
func FuzzString(f *testing.F) {
	f.Add("a\x00\"\\")
	f.Fuzz(func(t *testing.T, s string) {
		s = strings.ToValidUTF8(s, "\ufffd")
		text := AppendString(nil, s)
		var back string
		if err := Check(text); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &back); err != nil || back != s {
			t.Fatalf("%q is read back as %q, %v", s, back, err)
		}
	})
}
