package main

import (
	"strings"
	"testing"
	"time"
)

func TestParseAt(t *testing.T) {
	noon := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	tests := []struct {
		in, source string
		at         when
		text       string
	}{
		{"shop", "shop", when{}, "newest"},
		{"shop@17", "shop", when{Number: 17}, "17"},
		{"shop@2026-11-21T12:00:00Z", "shop", when{Time: noon}, "2026-11-21T12:00:00Z"},
		{"shop@2026-11-21T14:00:00.5+02:00", "shop", when{Time: noon.Add(time.Second / 2)}, "2026-11-21T14:00:00.5+02:00"},
	}
	for _, tt := range tests {
		source, at, err := parseAt(tt.in)
		if err != nil || source != tt.source || at.Number != tt.at.Number || !at.Time.Equal(tt.at.Time) || at.String() != tt.text || at.newest() != (tt.text == "newest") {
			t.Errorf("%s: %s, %v, %v", tt.in, source, at, err)
		}
	}
	for _, in := range []string{"", "@", "@1", "a@", "a@0", "a@-1", "a@1.5", "a@2026-11-21", "a@b"} {
		if _, _, err := parseAt(in); err == nil {
			t.Errorf("%q was accepted", in)
		}
	}
}

func TestPriceOf(t *testing.T) {
	for address, want := range map[string]string{
		"s3://b/p?region=eu-central-1":                                       "AWS",
		"s3://b?endpoint=https://s3.eu-central-1.amazonaws.com":              "AWS",
		"s3://b?endpoint=https://x.r2.cloudflarestorage.com":                 "R2",
		"s3://b?endpoint=https%3A%2F%2Fs3.us-west-004.backblazeb2.com":       "Backblaze",
		"s3://b?endpoint=https://s3.wasabisys.com":                           "Wasabi",
		"s3://b?endpoint=https://notwasabisys.com":                           "",
		"s3://b?endpoint=http://127.0.0.1:9000":                              "",
		"gs://b/p":                                                           "Google",
		"gs://b/p?endpoint=http://127.0.0.1:1":                               "",
		"file:///d":                                                          "",
		"rclone:r:p":                                                         "",
		"s3://b?endpoint=https://s3.amazonaws.com.example.net/amazonaws.com": "",
	} {
		p, ok := priceOf(address)
		if ok != (want != "") || !strings.Contains(p.Store, want) {
			t.Errorf("%s: %v, %v, want %s", address, p.Store, ok, want)
		}
	}
	for key, p := range prices {
		if _, err := time.Parse(time.DateOnly, p.Date); err != nil && p.Date != "undated" {
			t.Errorf("%s: date %q", key, p.Date)
		}
	}
}

// TestCost holds the estimate to a million objects of 4 KiB, stored one by one and in 123 packs.
func TestCost(t *testing.T) {
	one := costOf(prices["s3"], demand{Puts: 1e6, Stored: 4096e6})
	if one.Requests != 5 || one.Transfer != 0 || dollars(one.Month) != "$0.0942" {
		t.Errorf("%+v", one)
	}
	if packed := costOf(prices["s3"], demand{Puts: 123}); dollars(packed.Requests) != "$0.0006" {
		t.Errorf("%+v", packed)
	}
	if read := costOf(prices["gcs"], demand{Gets: 1e6, Egress: 1e9}); dollars(read.Requests) != "$0.40" || dollars(read.Transfer) != "$0.12" {
		t.Errorf("%+v", read)
	}
	if got := one.String(); !strings.Contains(got, "$5.00 once") || !strings.Contains(got, "2026-05-05") {
		t.Error(got)
	}
	if dollars(0) != "$0" || dollars(0.00001) != "less than $0.0001" {
		t.Error(dollars(0), dollars(0.00001))
	}
}
