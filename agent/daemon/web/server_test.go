package web_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"farshore/agent/daemon/web"
)

// start serves the pages of a daemon that is well, until the test ends.
func start(t *testing.T, h http.Handler, secure *tls.Config) *web.Server {
	t.Helper()
	s := web.NewServer(h, nil)
	if err := s.Start("127.0.0.1:0", secure); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestServer(t *testing.T) {
	s := start(t, wellSample().handler(t), nil)
	code, _, body := ask(t, "GET", "http://"+s.Addr().String()+"/heads.txt")
	if code != 200 || !strings.Contains(string(body), "1000:5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a\tc0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0\tshop-images\n") {
		t.Errorf("%d %s", code, body)
	}
	if err := s.Start("127.0.0.1:0", nil); err == nil {
		t.Error("it was started twice")
	}
	other := web.NewServer(http.NotFoundHandler(), nil)
	if err := other.Start(s.Addr().String(), nil); err == nil || !strings.Contains(err.Error(), s.Addr().String()) {
		t.Errorf("a second server at one address: %v", err)
	}
	if err := other.Close(t.Context()); err != nil {
		t.Errorf("closing what was not started: %v", err)
	}
	// Who sends more headers than anybody needs is turned away.
	conn, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: localhost\r\nX: %s\r\n\r\n", strings.Repeat("x", 64<<10))
	if w, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil && w.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("64 KiB of headers: %d", w.StatusCode)
	}
}

// TestConnections opens as many connections as there may be: one more is served only once another has gone.
func TestConnections(t *testing.T) {
	s := start(t, wellSample().handler(t), nil)
	var held []net.Conn
	defer func() {
		for _, c := range held {
			_ = c.Close()
		}
	}()
	line := func(c net.Conn) error {
		_, err := fmt.Fprint(c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if err == nil {
			_, err = http.ReadResponse(bufio.NewReader(c), nil)
		}
		return err
	}
	for range web.MaxConnections {
		c, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, c)
		if err := line(c); err != nil {
			t.Fatalf("connection %d: %v", len(held), err)
		}
	}
	more, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = more.Close() }()
	_ = more.SetDeadline(time.Now().Add(200 * time.Millisecond))
	if err := line(more); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("one more than may be: %v", err)
	}
	_ = held[0].Close()
	_ = more.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := http.ReadResponse(bufio.NewReader(more), nil); err != nil {
		t.Errorf("once another has gone: %v", err)
	}
}

// TestClose ends a server while an answer is under way: it waits as long as it may.
func TestClose(t *testing.T) {
	begun, release := make(chan struct{}), make(chan struct{})
	s := web.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(begun)
		<-release
	}), nil)
	if err := s.Start("127.0.0.1:0", nil); err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	go func() {
		w, err := http.Get("http://" + s.Addr().String())
		if err == nil {
			_ = w.Body.Close()
		}
		answered <- err
	}()
	<-begun
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("an answer was cut off, and it says %v", err)
	}
	if err := <-answered; err == nil {
		t.Error("the answer arrived")
	}
	close(release)
}

// pair writes a certificate and its key, for a name.
func pair(t *testing.T, dir, name string) (cert, key string, pool *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	replace(t, cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	replace(t, key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
	pool = x509.NewCertPool()
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool.AddCert(parsed)
	return cert, key, pool
}

// of reads them.
func of(cert, key string) func() (*tls.Certificate, error) {
	return func() (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, err
		}
		return &pair, nil
	}
}

// replace puts a file in another's place in one step, as those who renew certificates do.
func replace(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// TestCertificate renews a certificate while connections are made: the next one has it, and while the files can't be used the earlier one stays.
func TestCertificate(t *testing.T) {
	dir := t.TempDir()
	cert, key, _ := pair(t, dir, "first")
	synctest.Test(t, func(t *testing.T) {
		reads := 0
		c, err := web.Certificate(func() (*tls.Certificate, error) { reads++; return of(cert, key)() }, nil)
		if err != nil {
			t.Fatal(err)
		}
		if c.MinVersion != tls.VersionTLS12 {
			t.Errorf("the oldest version is %x", c.MinVersion)
		}
		name := func() string {
			t.Helper()
			time.Sleep(2 * time.Second) // of the bubble's own time: files are read once a second
			before := reads
			for range 100 {
				if _, err := c.GetCertificate(nil); err != nil {
					t.Fatal(err)
				}
			}
			if reads > before+1 {
				t.Errorf("the files were read %d times for 100 connections", reads-before)
			}
			got, err := c.GetCertificate(nil)
			if err != nil {
				t.Fatal(err)
			}
			parsed, err := x509.ParseCertificate(got.Certificate[0])
			if err != nil {
				t.Fatal(err)
			}
			return parsed.Subject.CommonName
		}
		if got := name(); got != "first" {
			t.Errorf("at first %q", got)
		}
		pair(t, dir, "second")
		if got := name(); got != "second" {
			t.Errorf("once renewed %q", got)
		}
		replace(t, cert, []byte("half of a certif"))
		if got := name(); got != "second" {
			t.Errorf("while broken %q", got)
		}
		if err := os.Remove(cert); err != nil {
			t.Fatal(err)
		}
		if got := name(); got != "second" {
			t.Errorf("while gone %q", got)
		}
		pair(t, dir, "third")
		if got := name(); got != "third" {
			t.Errorf("in the end %q", got)
		}
	})
	if _, err := web.Certificate(of(filepath.Join(dir, "none"), key), nil); err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("a file that is not there: %v", err)
	}
	replace(t, key, []byte("no key"))
	if _, err := web.Certificate(of(cert, key), nil); err == nil {
		t.Errorf("a key that is none: %v", err)
	}
}

// TestTLS speaks TLS 1.2 and 1.3, HTTP/1.1 and 2, and nothing older or plain.
func TestTLS(t *testing.T) {
	cert, key, pool := pair(t, t.TempDir(), "page")
	secure, err := web.Certificate(of(cert, key), nil)
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, wellSample().handler(t), secure)
	for version, want := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		for _, two := range []bool{false, true} {
			client := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: two, TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS10, MaxVersion: version}}}
			w, err := client.Get("https://" + s.Addr().String() + "/")
			if (err == nil) != want {
				t.Errorf("version %x: %v", version, err)
			}
			if err == nil {
				if _, err := io.Copy(io.Discard, w.Body); err != nil || w.StatusCode != 200 || w.ProtoMajor == 2 != two {
					t.Errorf("version %x: %d %s %v", version, w.StatusCode, w.Proto, err)
				}
				_ = w.Body.Close()
			}
			client.CloseIdleConnections()
		}
	}
	if code, _, _ := ask(t, "GET", "http://"+s.Addr().String()+"/"); code == 200 {
		t.Error("it answered without TLS")
	}
}
