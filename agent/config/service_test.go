package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// parsed is a configuration with more lines below the needed ones.
func parsed(t *testing.T, path, more string) *Config {
	t.Helper()
	c, err := Parse(path, []byte(head+more))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestSchedules resolves a source's own schedule and jitter, those of all, and what holds without any.
func TestSchedules(t *testing.T) {
	for _, tt := range []struct {
		all, own, schedule string
		jitter             time.Duration
	}{
		{"", "", "1h", 3 * time.Minute},
		{"schedule: 10m\n", "", "10m", 30 * time.Second},
		{"schedule: 30d\n", "", "30d", 5 * time.Minute},
		{"schedule: 10m\njitter: 1m\n", "", "10m", time.Minute},
		{"schedule: 10m\njitter: 1m\n", "    schedule: '17  3 * * *'\n", "17 3 * * *", time.Minute},
		{"jitter: 1m\n", "    jitter: 0\n", "1h", 0},
		{"", "    jitter: 1h30m\n", "1h", 90 * time.Minute},
		{"", "    schedule: off\n", "off", 0},
		{"schedule: off\n", "    schedule: '@daily'\n", "@daily", 5 * time.Minute},
	} {
		c := parsed(t, "f.yaml", tt.all+"timezone: UTC\nsources:\n  - name: a\n    url: s3://a\n"+tt.own)
		got, jitter := c.ScheduleOf(&c.Sources[0])
		if got.String() != tt.schedule || jitter != tt.jitter || got.Off() != (tt.schedule == Off) {
			t.Errorf("%q and %q: %s, %s", tt.all, tt.own, got, jitter)
		}
	}
}

// TestOtherSchedules resolves those of probes and audits.
func TestOtherSchedules(t *testing.T) {
	for more, want := range map[string][2]string{
		"":                          {"23h", "1d"},
		"verify: {every: 2d}\n":     {"23h", "2d"},
		"verify: {every: 1m0.5s}\n": {"23h", "1m"},
		"verify: {every: 36500d}\n": {"23h", "366d"},
		"verify: {every: 2d, schedule: 0 3 * * 0}\n":        {"23h", "0 3 * * 0"},
		"probe: {schedule: off}\nverify: {schedule: off}\n": {Off, Off},
		"probe: {schedule: '@weekly'}\n":                    {"@weekly", "1d"},
	} {
		c := parsed(t, "f.yaml", more)
		probe, _ := c.ProbeSchedule()
		verify, _ := c.VerifySchedule()
		if probe.String() != want[0] || verify.String() != want[1] {
			t.Errorf("%q: %s and %s", more, probe, verify)
		}
	}
}

// TestZone counts a cron expression in the time zone of the file.
func TestZone(t *testing.T) {
	c := parsed(t, "f.yaml", "timezone: Asia/Kathmandu\nschedule: 0 3 * * *\nsources:\n  - name: a\n    url: s3://a\n")
	if c.Zone().String() != "Asia/Kathmandu" {
		t.Error(c.Zone())
	}
	s, _ := c.ScheduleOf(&c.Sources[0])
	last := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	if next := s.Next(last, last); !next.Equal(time.Date(2026, 5, 1, 21, 15, 0, 0, time.UTC)) {
		t.Errorf("three o'clock in Kathmandu is %s", next.UTC())
	}
}

// TestSocketPath takes the first that says anything, and refuses what is too long for a socket.
func TestSocketPath(t *testing.T) {
	long := "/home/u/" + strings.Repeat("x", 90)
	for _, tt := range []struct{ path, more, runtime, want string }{
		{"/home/u/f.yaml", "", "", "/home/u/state/farshore.sock"},
		{"/home/u/f.yaml", "state: /s\n", "", "/s/farshore.sock"},
		{"/etc/farshore/farshore.yaml", "", "", "/run/farshore/farshore.sock"},
		{"/etc/farshore/farshore.yaml", "", "/run/farshore-b", "/run/farshore-b/farshore.sock"},
		{"/etc/farshore/farshore.yaml", "", "/run/b:/run/c", "/run/b/farshore.sock"},
		{"/home/u/f.yaml", "", "relative", "/home/u/state/farshore.sock"},
		{"/home/u/f.yaml", "socket: run/f.sock\n", "/run/b", "/home/u/run/f.sock"},
		{"/home/u/f.yaml", "socket: /run/f.sock\n", "/run/b", "/run/f.sock"},
		{long + "/f.yaml", "", "", ""},
		{long + "/f.yaml", "socket: f.sock\n", "", ""},
		{long + "/f.yaml", "socket: /run/f.sock\n", "", "/run/f.sock"},
	} {
		c := parsed(t, tt.path, tt.more)
		got, err := c.SocketPath(func(name string) string {
			return map[string]string{runtimeDirectory: tt.runtime}[name]
		})
		if (err == nil) != (tt.want != "") || err == nil && got != tt.want || err != nil && !strings.Contains(err.Error(), "choose a shorter one") {
			t.Errorf("%s, %q, %q: %s, %v", tt.path, tt.more, tt.runtime, got, err)
		}
	}
}

// TestListen tells this machine from others, and asks for token and certificate where others come.
func TestListen(t *testing.T) {
	guarded := ", token: file:t, tls_cert: c, tls_key: file:k"
	for listen, want := range map[string]string{ // loopback, open, off, or refused
		"127.0.0.1:9277": "loopback", "127.3.2.1:1": "loopback", "'[::1]:9277'": "loopback", "localhost:9277": "loopback", "127.0.0.1:0": "loopback", "'[::ffff:127.0.0.1]:1'": "loopback",
		"0.0.0.0:9277": "open", "'[::]:9277'": "open", "192.0.2.1:80": "open", "off": "off",
		"':9277'": "refused", "127.0.0.1": "refused", "example.net:80": "refused", "127.0.0.1:65536": "refused", "127.0.0.1:http": "refused", "127.1:80": "refused", "localhost.example.net:80": "refused", "'*:80'": "refused",
	} {
		_, err := Parse("f.yaml", []byte(head+"web: {listen: "+listen+"}\n"))
		c, gerr := Parse("f.yaml", []byte(head+"web: {listen: "+listen+guarded+"}\n"))
		got := "refused"
		switch {
		case gerr != nil:
		case err != nil && strings.Contains(err.Error(), "that needs token"):
			got = "open"
		case c.Web.Off():
			got = "off"
		case err == nil && c.Web.Loopback():
			got = "loopback"
		}
		if got != want {
			t.Errorf("%s is %s, not %s: %v, %v", listen, got, want, err, gerr)
		}
	}
	for _, some := range []string{"token: file:t", "tls_cert: c, tls_key: file:k"} {
		if _, err := Parse("f.yaml", []byte(head+"web: {listen: 0.0.0.0:9277, "+some+"}\n")); err == nil {
			t.Errorf("%s is enough for everybody", some)
		}
	}
	hosts := make([]string, maxHosts+1)
	for i := range hosts {
		hosts[i] = fmt.Sprintf("h%d.example.net", i)
	}
	if _, err := Parse("f.yaml", []byte(head+"web: {hosts: ["+strings.Join(hosts, ", ")+"]}\n")); err == nil || !strings.Contains(err.Error(), "more than 100 names") {
		t.Errorf("too many hosts: %v", err)
	}
	parsed(t, "f.yaml", "web: {hosts: ["+strings.Join(hosts[1:], ", ")+"]}\n")
	if c := parsed(t, "f.yaml", "web: {token: file:t}\n"); c.Web.Listen != DefaultListen || c.Web.Token == "" {
		t.Errorf("%+v", c.Web)
	}
}

// TestWebToken refuses what can be guessed.
func TestWebToken(t *testing.T) {
	c := &Config{Web: Web{Token: "env:T"}}
	for token, ok := range map[string]bool{"0123456789abcdef": true, "swordfish": false, "": false} {
		got, err := c.WebToken(func(string) string { return token })
		if (err == nil) != ok || ok && got != token || err != nil && token != "" && strings.Contains(err.Error(), token) {
			t.Errorf("%s: %q, %v", token, got, err)
		}
	}
	if got, err := new(Config).WebToken(func(string) string { return "x" }); got != "" || err != nil {
		t.Errorf("without a token: %q, %v", got, err)
	}
}

// makeCertificate writes a certificate and its key (web.pem, web.key).
func makeCertificate(t *testing.T, dir string, from, until time.Time) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "farshore.example.net"}, DNSNames: []string{"farshore.example.net"}, NotBefore: from, NotAfter: until}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "web.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})))
	write(t, filepath.Join(dir, "web.key"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	chmod(t, filepath.Join(dir, "web.key"), 0o600)
}

// TestWebCertificate reads certificate and key anew each time.
func TestWebCertificate(t *testing.T) {
	dir := t.TempDir()
	c := &Config{Path: filepath.Join(dir, "f.yaml"), Web: Web{TLSCert: "web.pem", TLSKey: "file:web.key"}}
	getenv := func(string) string { return "" }
	makeCertificate(t, dir, checkTime, checkTime.Add(day))
	first, err := c.WebCertificate(getenv)
	if err != nil {
		t.Fatal(err)
	}
	makeCertificate(t, dir, checkTime, checkTime.Add(day))
	second, err := c.WebCertificate(getenv)
	if err != nil || second.Leaf.Equal(first.Leaf) {
		t.Errorf("an old certificate is kept: %v", err)
	}
	key := string(readFile(t, filepath.Join(dir, "web.key")))
	makeCertificate(t, dir, checkTime, checkTime.Add(day))
	write(t, filepath.Join(dir, "web.key"), key)
	if _, err := c.WebCertificate(getenv); err == nil || !strings.Contains(err.Error(), "private key does not match") {
		t.Errorf("another certificate's key: %v", err)
	}
	if pair, err := new(Config).WebCertificate(getenv); pair != nil || err != nil {
		t.Errorf("without a certificate: %v, %v", pair, err)
	}
}

// TestProbeSchedule holds probes, each of which leaves objects in the vault for good, to one an hour.
func TestProbeSchedule(t *testing.T) {
	for text, want := range map[string]bool{
		"off": true, "1h": true, "59m": false, "1m": false, "@hourly": true, "@weekly": true, "0 * * * *": true, "*/30 * * * *": false, "0,59 3 * * *": false, "17 3,4 * * 1-5": true,
		"59 23,0 * * *": true, "0,1 0 1 1 *": false,
	} {
		_, err := parseProbeSchedule(text)
		if (err == nil) != want || err != nil && !strings.Contains(err.Error(), "30 small objects") {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := parseProbeSchedule("daily"); err == nil {
		t.Error("no schedule")
	}
	if _, err := Parse("f.yaml", []byte(head+"probe: {schedule: 1m}\n")); err == nil {
		t.Error("a probe each minute is taken")
	}
}
