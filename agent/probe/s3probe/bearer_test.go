package s3probe

import (
	"encoding/base64"
	"strings"
	"testing"
)

// TestBearer holds the keys of one user's sessions to be one principal, and those with other rights another.
func TestBearer(t *testing.T) {
	token := func(claims string) string {
		return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".sig"
	}
	const plain = `temporary keys of "agent"`
	tests := map[string]struct{ token, want string }{
		"plain":              {token(`{"accessKey":"K","exp":1,"parent":"agent"}`), plain},
		"later":              {token(`{"accessKey":"K","exp":99999,"iat":5,"parent":"agent"}`), plain},
		"with a policy":      {token(`{"accessKey":"K","exp":1,"parent":"agent","sessionPolicy":"e30"}`), plain + " with claims "},
		"quoted":             {token(`{"accessKey":"K","parent":"a\nb"}`), `temporary keys of "a\nb"`},
		"another key":        {token(`{"accessKey":"L","parent":"agent"}`), ""},
		"nobody's":           {token(`{"accessKey":"K","exp":1}`), ""},
		"a parent of no use": {token(`{"accessKey":"K","parent":7}`), ""},
		"no JSON":            {token("x"), ""},
		"no base64":          {"a.%.c", ""},
		"opaque":             {"FwoGZXIvYXdzEBYaD", ""},
		"none":               {"", ""},
		"too long":           {token(`{"accessKey":"K","parent":"` + strings.Repeat("a", maxToken) + `"}`), ""},
	}
	for name, tt := range tests {
		got := bearer(tt.token, "K")
		if open, ok := strings.CutSuffix(tt.want, " with claims "); ok {
			if !strings.HasPrefix(got, tt.want) || got == open || got == bearer(token(`{"accessKey":"K","parent":"agent","sessionPolicy":"e31"}`), "K") {
				t.Errorf("%s: %q", name, got)
			}
		} else if got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
