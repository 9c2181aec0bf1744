package config

import (
	"strings"
	"testing"
	"time"
)

func TestParseDays(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"45d": 45 * 24 * time.Hour, "0d": 0, "36h": 36 * time.Hour, "90m": 90 * time.Minute, "36500d": 36500 * 24 * time.Hour,
	} {
		got, err := ParseDays(s)
		if err != nil || got != want {
			t.Errorf("ParseDays(%q) = %v, %v; want %v", s, got, err, want)
		}
		if again, err := ParseDays(FormatDays(got)); err != nil || again != got {
			t.Errorf("%q is written %q, which is read as %v, %v", s, FormatDays(got), again, err)
		}
	}
	for _, s := range []string{"", "d", "-1d", "1.5d", "45", "45 days", "-3h", "1w", "106752d", "99999999999d", "1d2h"} {
		if got, err := ParseDays(s); err == nil {
			t.Errorf("ParseDays(%q) = %v, want an error", s, got)
		}
	}
}

func TestMinLockLeft(t *testing.T) {
	base := string(render(&Config{Vault: "s3://vault", Owner: "ed25519:O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik", Recipients: []string{"age1vfj6dgw3lpqltdh2wrmzp0v4tsfnt336m39j8ngmp0lypfssaceqc5kp25"}, Commit: Commit{Every: DefaultEvery, Bytes: DefaultBytes}, MinLockLeft: 30 * day}))
	if !strings.Contains(base, "\nmin_lock_left: 30d\n") {
		t.Fatalf("min_lock_left is not in the new configuration:\n%s", base)
	}
	tests := []struct {
		value string
		want  time.Duration
		wrong string
	}{
		{"30d", 30 * day, ""},
		{"36h", 36 * time.Hour, ""},
		{"0", 0, ""},
		{"30", 0, "min_lock_left: \"30\" is no time in days or hours"},
		{"-1d", 0, "is no number of days"},
		{"36501d", 0, "is more than 36500d"},
		{"[30d]", 0, "min_lock_left must be a number or a text with a unit"},
		{"", 0, "min_lock_left has no value"},
	}
	for _, tt := range tests {
		t.Run(tt.value, func(t *testing.T) {
			c, err := Parse("farshore.yaml", []byte(strings.Replace(base, "min_lock_left: 30d", "min_lock_left: "+tt.value, 1)))
			if tt.wrong == "" && (err != nil || c.MinLockLeft != tt.want) {
				t.Fatalf("%v, %v; want %v", c, err, tt.want)
			}
			if tt.wrong != "" && (err == nil || !strings.Contains(err.Error(), tt.wrong)) {
				t.Fatalf("error %v, want one with %q", err, tt.wrong)
			}
		})
	}
}
