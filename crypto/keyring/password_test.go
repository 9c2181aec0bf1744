package keyring_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"farshore/crypto/keyring"
)

func TestReadPassword(t *testing.T) {
	for _, c := range []struct {
		content string
		mode    os.FileMode
		want    string
		err     string
	}{
		{"secret", 0o600, "secret", ""},
		{"secret\n", 0o400, "secret", ""},
		{"with space \r\n\n", 0o600, "with space ", ""},
		{"", 0o600, "", "first line is empty"},
		{"\nsecret\n", 0o600, "", "first line is empty"},
		{"user\nsecret\n", 0o600, "", "more than one line"},
		{"secret\n", 0o644, "", "chmod 600"},
	} {
		path := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		got, err := keyring.ReadPassword(path)
		if got != c.want || (err == nil) != (c.err == "") || err != nil && (!strings.Contains(err.Error(), c.err) || strings.Contains(err.Error(), "secret\n")) {
			t.Errorf("%q, mode %o: %q, %v", c.content, c.mode, got, err)
		}
	}
	if _, err := keyring.ReadPassword(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a file that is not there was read")
	}
}
