package s3client

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	tests := map[string]struct {
		url  string
		want Location
	}{
		"bucket":             {"s3://vault", Location{Bucket: "vault"}},
		"slash":              {"s3://vault/", Location{Bucket: "vault"}},
		"prefix":             {"s3://vault/a/b/", Location{Bucket: "vault", Prefix: "a/b/"}},
		"prefix kept as is":  {"s3://vault//a//b", Location{Bucket: "vault", Prefix: "/a//b"}},
		"escaped prefix":     {"s3://vault/a%20b%2Fc%3Fd%23", Location{Bucket: "vault", Prefix: "a b/c?d#"}},
		"aws":                {"s3://vault?region=eu-west-1&profile=offsite", Location{Bucket: "vault", Region: "eu-west-1", Profile: "offsite"}},
		"empty parameters":   {"s3://vault?endpoint=&region=&profile=&path_style=", Location{Bucket: "vault"}},
		"endpoint":           {"s3://vault?endpoint=https://s3.example.org/", Location{Bucket: "vault", Endpoint: "https://s3.example.org", PathStyle: true}},
		"endpoint with path": {"s3://vault?endpoint=http://[::1]:9000/s3", Location{Bucket: "vault", Endpoint: "http://[::1]:9000/s3", PathStyle: true}},
		"host style":         {"s3://vault?endpoint=https://s3.example.org&path_style=false", Location{Bucket: "vault", Endpoint: "https://s3.example.org"}},
		"path style on aws":  {"s3://vault?path_style=1", Location{Bucket: "vault", PathStyle: true}},
		"dots in the bucket": {"s3://my.Old_bucket-1/x", Location{Bucket: "my.Old_bucket-1", Prefix: "x"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := Parse(tt.url)
			if err != nil || got != tt.want {
				t.Fatalf("Parse(%q) = %+v, %v; want %+v", tt.url, got, err, tt.want)
			}
			again, err := Parse(got.String())
			if err != nil || again != got {
				t.Errorf("Parse(String()) = %+v, %v; want %+v (from %q)", again, err, got, got.String())
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	const secret = "wJalrXUtnFEMI"
	tests := map[string]struct{ url, says string }{
		"empty":                   {"", "scheme"},
		"other scheme":            {"gs://vault", "scheme"},
		"no bucket":               {"s3:///prefix", "bucket is missing"},
		"opaque":                  {"s3:vault/x", "bucket is missing"},
		"credentials":             {"s3://AKIA:" + secret + "@vault/x", "do not belong"},
		"credentials with slash":  {"s3://AKIA:" + secret + "/x@vault", "not a URL"},
		"port":                    {"s3://vault:9000/x", "bucket's name"},
		"fragment":                {"s3://vault/a#b", "%23"},
		"empty fragment":          {"s3://vault/a%23#", "%23"},
		"bad escape":              {"s3://vault/" + secret + "%zz", "not a URL"},
		"bad query":               {"s3://vault?region=%zz", "can't be read"},
		"unknown parameter":       {"s3://vault?regio=eu", "known are endpoint, path_style, profile, region"},
		"twice":                   {"s3://vault?region=a&region=b", "2 times"},
		"control character":       {"s3://vault?region=a%0ab", "control"},
		"path style":              {"s3://vault?path_style=maybe", "true or false"},
		"endpoint without scheme": {"s3://vault?endpoint=s3.example.org", "endpoint"},
		"endpoint credentials":    {"s3://vault?endpoint=https://a:" + secret + "@example.org", "do not belong"},
		"endpoint query":          {"s3://vault?endpoint=https://example.org%3Fa", "query"},
		"bucket with spaces":      {"s3://my%20vault", "not a URL"},
		"short bucket":            {"s3://v", "bucket's name"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(tt.url)
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Fatalf("Parse(%q): error %v, want one that says %q", tt.url, err, tt.says)
			}
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the error repeats a secret: %v", err)
			}
		})
	}
}

// FuzzParse holds that what Parse accepts reads back unchanged, whatever the address.
func FuzzParse(f *testing.F) {
	f.Add("s3://vault/a/b?endpoint=https://s3.example.org&region=eu&profile=p&path_style=true")
	f.Add("s3://vault//%25%23?path_style=1")
	f.Add("s3://u:p@vault")
	f.Fuzz(func(t *testing.T, raw string) {
		l, err := Parse(raw)
		if err != nil {
			return
		}
		again, err := Parse(l.String())
		if err != nil || again != l {
			t.Fatalf("%q gave %+v, whose String %q gives %+v, %v", raw, l, l.String(), again, err)
		}
	})
}
