package config

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestLoadChannels holds that channels are read where everything else is wrong, and that what is wrong with them alone is said.
func TestLoadChannels(t *testing.T) {
	const channel = "notify:\n  - {name: ops, kind: webhook, url: 'env:OPS'}\n"
	tests := []struct {
		name, text string
		channels   int
		problems   int // -1: nothing can be read
	}{
		{"all well but what is missing", channel, 1, 0},
		{"broken sources, an unknown key, no vault", "frobnicate: 1\nsources: [{name: '', url: 'ftp://x'}]\n" + channel, 1, 0},
		{"a broken channel beside a good one", channel + "  - {name: bad, kind: pigeon, url: 'env:X'}\n", 1, 1},
		{"no channels", "sources: 3\n", 0, 0},
		{"a broken state", "state: 3\n" + channel, 1, 1},
		{"no YAML", "notify: [", 0, -1},
		{"empty", "", 0, -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "farshore.yaml")
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			c, err := LoadChannels(path)
			if tt.problems < 0 {
				if c != nil || err == nil {
					t.Fatalf("%v, %v", c, err)
				}
				return
			}
			var problems *Problems
			if errors.As(err, &problems) != (tt.problems > 0) || problems != nil && len(problems.List) != tt.problems {
				t.Errorf("problems: %v", err)
			}
			if len(c.Notify) != tt.channels || c.State == "" {
				t.Errorf("%d channels, state %q", len(c.Notify), c.State)
			}
		})
	}
	if c, err := LoadChannels(filepath.Join(t.TempDir(), "none")); c != nil || err == nil {
		t.Errorf("a file that is not there: %v, %v", c, err)
	}
}
