package config

import (
	"strings"
	"testing"
)

func TestReadBack(t *testing.T) {
	base := string(render(&Config{Vault: "s3://vault", Owner: "ed25519:O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik",
		Recipients: []string{"age1vfj6dgw3lpqltdh2wrmzp0v4tsfnt336m39j8ngmp0lypfssaceqc5kp25"}, Commit: Commit{Every: DefaultEvery, Bytes: DefaultBytes}, ReadBack: "off"}))
	if !strings.Contains(base, "\nread_back: off\n") {
		t.Fatalf("read_back is not in the new configuration:\n%s", base)
	}
	for _, tt := range []struct {
		line, wrong string
		share       float64
		auto        bool
	}{
		{"# nothing", "", 0, true},
		{"read_back: auto", "", 0, true},
		{"read_back: off", "", 0, false},
		{"read_back: 12.5%", "", 0.125, false},
		{"read_back: 100%", "", 1, false},
		{"read_back: 101%", "read_back: \"101%\" is neither auto nor off nor a share such as 10%", 0, false},
		{"read_back: 0%", "is neither auto nor off", 0, false},
		{"read_back: \"0.1\"", "is neither auto nor off", 0, false},
		{"read_back: on", "is neither auto nor off", 0, false},
		{"read_back: NaN%", "is neither auto nor off", 0, false},
	} {
		t.Run(tt.line, func(t *testing.T) {
			c, err := Parse("farshore.yaml", []byte(strings.Replace(base, "read_back: off", tt.line, 1)))
			if tt.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wrong) {
					t.Fatalf("got %v, want %q", err, tt.wrong)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if share, auto := c.ReadBackShare(); share != tt.share || auto != tt.auto {
				t.Errorf("%v %v, want %v %v", share, auto, tt.share, tt.auto)
			}
		})
	}
}
