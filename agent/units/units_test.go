package units_test

import (
	"testing"
	"time"

	"farshore/agent/units"
)

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 850: "850 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 100 << 10: "100 KiB", 1023 << 10: "1.0 MiB", 1 << 20: "1.0 MiB",
		1288490189: "1.2 GiB", 5 << 40: "5.0 TiB", 1 << 62: "4.0 EiB",
	} {
		if got := units.Bytes(n); got != want {
			t.Errorf("units.Bytes(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "-1,000", -100: "-100"} {
		if got := units.Count(n); got != want {
			t.Errorf("units.Count(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 0: "0s", 12 * time.Millisecond: "12ms", time.Second: "1s", 59700 * time.Millisecond: "1m00s", 200 * time.Second: "3m20s", 3720 * time.Second: "1h02m",
		76 * time.Hour: "3d04h", 1<<63 - 1: "106751d23h",
	} {
		if got := units.Duration(d); got != want {
			t.Errorf("units.Duration(%d) = %q, want %q", d, got, want)
		}
	}
}

func TestPrintable(t *testing.T) {
	for path, want := range map[string]string{
		"a/b c.txt": "a/b c.txt", "ä€": "ä€", "a\x1b[2Jb": `a\x1b[2Jb`, "\xff\xfe": `\xff\xfe`, `a\b`: `a\\b`, "a\nb\t": `a\x0ab\x09`, "a\u202eb": `a\xe2\x80\xaeb`, "\ufffd": `\xef\xbf\xbd`,
	} {
		if got := units.Printable(path); got != want {
			t.Errorf("units.Printable(%q) = %s, want %s", path, got, want)
		}
	}
}

func TestPlural(t *testing.T) {
	if got := units.Plural(0, "pass"); got != "0 passes" {
		t.Errorf("Plural says %q", got)
	}
	for n, want := range map[int64]string{0: "0 repositories", 1: "1 repository", 1200: "1,200 repositories"} {
		if got := units.Plural(n, "repository"); got != want {
			t.Errorf("units.Plural(%d) = %q, want %q", n, got, want)
		}
	}
	if got := units.Plural(2, "pack"); got != "2 packs" {
		t.Errorf("two packs are %q", got)
	}
	if got := units.Rate(1536); got != "1.5 KiB/s" {
		t.Errorf("1536 bytes a second are %q", got)
	}
}
