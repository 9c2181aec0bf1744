package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"farshore/agent/source"
)

const (
	id1   = "0123456789abcdef0123456789abcdef01234567"
	id256 = id1 + "0123456789abcdef01234567"
)

func lines(list ...string) []byte {
	m := &message{}
	for _, l := range list {
		switch l {
		case "flush":
			m.flush()
		case "delimiter":
			m.delimiter()
		default:
			m.line("%s", l)
		}
	}
	return m.Bytes()
}

var greetings = []struct {
	name string
	b    []byte
	want hello // its version and format
	refs string
	bad  string
}{
	{"version 2", lines("version 2", "agent=git/2", "ls-refs=unborn", "fetch=shallow filter", "object-format=sha256", "flush"), hello{version: 2, format: "sha256"}, "", ""},
	{"version 2 over http", lines("# service=git-upload-pack", "flush", "version 2", "fetch", "flush"), hello{version: 2, format: "sha1"}, "", ""},
	{"version 1", lines("version 1", id1+" HEAD\x00symref=HEAD:refs/heads/main side-band-64k", id1+" refs/heads/main", "flush"), hello{version: 1, format: "sha1"}, "HEAD>refs/heads/main refs/heads/main", ""},
	{"version 0", lines(id1+" HEAD\x00side-band-64k", id1+" refs/tags/v", id1+" refs/tags/v^{}", "flush"), hello{format: "sha1"}, "HEAD refs/tags/v", ""},
	{"version 0, sha256", lines(id256+" refs/x\x00object-format=sha256", "flush"), hello{format: "sha256"}, "refs/x", ""},
	{"empty, with capabilities", lines(strings.Repeat("0", 40)+" capabilities^{}\x00side-band-64k", "flush"), hello{format: "sha1"}, "", ""},
	{"empty", lines("flush"), hello{format: "sha1"}, "", ""},
	{"no flush packet", lines(id1 + " HEAD\x00x"), hello{}, "", "unexpected EOF"},
	{"nothing", nil, hello{}, "", "unexpected EOF"},
	{"id too short", lines(id1[1:]+" refs/x\x00x", "flush"), hello{}, "", "is no ref"},
	{"id in upper case", lines(strings.ToUpper(id1)+" refs/x\x00x", "flush"), hello{}, "", "is no ref"},
	{"name with a line feed", lines(id1+" refs/x\ny\x00x", "flush"), hello{}, "", "is no ref"},
	{"delimiter", lines(id1+" refs/x\x00x", "delimiter"), hello{}, "", "separator"},
	{"service without flush packet", lines("# service=git-upload-pack", "version 2", "flush"), hello{}, "", "no flush packet"},
	{"too many capabilities", lines(append(append([]string{"version 2"}, make([]string, maxCapabilities)...), "flush")...), hello{}, "", "more than"},
	{"too many old capabilities", lines(id1+" refs/x\x00"+strings.Repeat("x ", maxCapabilities+1), "flush"), hello{}, "", "more than"},
}

func TestReadHello(t *testing.T) {
	for _, c := range greetings {
		h, err := readHello(newPackets(bytes.NewReader(c.b)))
		if c.bad != "" {
			if err == nil || !strings.Contains(err.Error(), c.bad) {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var got []string
		for _, r := range h.refs {
			name := r.name
			if r.symref != "" {
				name += ">" + r.symref
			}
			got = append(got, name)
		}
		if h.version != c.want.version || h.format != c.want.format || strings.Join(got, " ") != c.refs {
			t.Errorf("%s: version %d, format %s, refs %v", c.name, h.version, h.format, got)
		}
	}
}

func FuzzHello(f *testing.F) {
	for _, c := range greetings {
		f.Add(c.b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := readHello(newPackets(bytes.NewReader(b)))
		if err != nil {
			checkWords(t, err)
			return
		}
		checkManifest(t, h.format, h.refs)
	})
}

func FuzzLsRefs(f *testing.F) {
	f.Add(lines(id1+" HEAD symref-target:refs/heads/main", id1+" refs/heads/main", id1+" refs/tags/v peeled:"+id1, "flush"))
	f.Add(lines("unborn HEAD symref-target:refs/heads/main", "flush"))
	f.Add(lines("unborn HEAD", "flush"))
	f.Add(lines(id1+" refs/heads/caf\xe9", id1+" refs/heads/caf\xe9", "flush"))
	f.Add(lines("ERR no\x1b[31m", "flush"))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := readLsRefs(newPackets(bytes.NewReader(b)), "sha1")
		if err != nil {
			checkWords(t, err)
			return
		}
		checkManifest(t, "sha1", list)
	})
}

// checkManifest holds that what was taken from a stranger is a manifest or refused, in clean words.
func checkManifest(t *testing.T, format string, list []advertised) {
	t.Helper()
	m, omitted, err := manifest(format, list)
	if err != nil {
		checkWords(t, err)
		return
	}
	if err := m.Check(); err != nil {
		t.Error(err)
	}
	if strings.Count(omitted, "\n")+len(m.Refs) > len(list) {
		t.Errorf("%d refs of %d, and omitted %q", len(m.Refs), len(list), omitted)
	}
}

func checkWords(t *testing.T, err error) {
	t.Helper()
	if s := err.Error(); len(s) > 3*maxSaid || !utf8.ValidString(s) || strings.ContainsAny(s, "\x00\n\x1b") {
		t.Errorf("an error of %d bytes: %q", len(s), s)
	}
}

func FuzzPackets(f *testing.F) {
	f.Add([]byte("0000"))
	f.Add([]byte("0006a\n0001000200040005"))
	f.Add([]byte("fff0"))
	f.Add([]byte("FFF0ab"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, read := newPackets(bytes.NewReader(b)), 0
		for {
			kind, body, err := p.next()
			if err != nil {
				if err == io.EOF && read != len(b) {
					t.Errorf("the end after %d of %d bytes", read, len(b))
				}
				return
			}
			read += lengthDigits
			if kind != data {
				continue
			}
			m := &message{}
			m.raw(body)
			if again := string(m.Bytes()[lengthDigits:]); again != string(b[read:read+len(body)]) {
				t.Errorf("%q", again)
			}
			read += len(body)
		}
	})
}

func FuzzPackStream(f *testing.F) {
	f.Add(true, append(lines("packfile"), "0009\x01PACK0000"...))
	f.Add(false, append(lines("NAK"), "0009\x01PACK0000"...))
	f.Add(true, append(lines("shallow-info", "delimiter", "packfile"), "0009\x03oops"...))
	f.Fuzz(func(t *testing.T, newest bool, b []byte) {
		r, err := Open("git://h/p", Options{})
		if err != nil {
			t.Fatal(err)
		}
		h := &hello{}
		if newest {
			h.version = 2
		}
		talk := &conversation{r: r, g: newGuard(t.Context(), time.Minute, limits()), link: &daemonLink{}}
		defer talk.close()
		s, err := newPackStream(talk, h, bytes.NewReader(b))
		if err != nil {
			checkWords(t, err)
			return
		}
		if pack, err := io.ReadAll(s); err != nil {
			checkWords(t, err)
		} else if len(pack) == 0 || !bytes.Contains(b, []byte("000")) {
			t.Errorf("a pack of %d bytes", len(pack))
		}
	})
}

func TestClean(t *testing.T) {
	for said, want := range map[string]string{
		"fatal: no\r\n\tspace\n":      "fatal: no space",
		"\x1b[31mred\x00\x7f\u0085\n": "[31mred",
		"caf\xe9":                     "caf?",
		"a\u202egnp.exe":              "agnp.exe",
		strings.Repeat("é", 400):      strings.Repeat("é", 250) + "…",
	} {
		if got := clean(said); got != want {
			t.Errorf("clean(%q) = %q", said, got)
		}
	}
}

// TestCredential holds to whom a password may go.
func TestCredential(t *testing.T) {
	for _, c := range []struct{ address, to, want string }{
		{"https://h/p", "https://h/p", sent},
		{"https://h/p", "https://H:443/q", sent},
		{"https://h/p", "https://h:8443/p", notThere},
		{"https://h/p", "https://h.example/p", notThere},
		{"https://h/p", "https://sub.h/p", notThere},
		{"https://h/p", "http://h:443/p", notPlain},
		{"http://h/p", "http://h/p", notPlain},
		{"http://h/p", "https://h/p", sent},
		{"http://h:8080/p", "https://h/p", notThere},
		{"http://localhost:1/p", "http://localhost:1/p", sent},
		{"http://127.0.0.1:1/p", "http://127.0.0.1:1/p", sent},
		{"http://[::1]:1/p", "http://[::1]:1/p", sent},
		{"http://127.0.0.1:1/p", "http://127.0.0.1:2/p", notThere},
		{"http://10.0.0.1/p", "http://10.0.0.1/p", notPlain},
		{"http://127.0.0.1.example/p", "http://127.0.0.1.example/p", notPlain},
	} {
		r, err := Open(c.address, Options{Password: func(context.Context) (string, error) { return "secret", nil }})
		if err != nil {
			t.Fatal(err)
		}
		l := &httpLink{r: r, g: newGuard(t.Context(), time.Minute, limits())}
		got, err := l.credential(c.to)
		if err != nil || got.why != c.want || (got.password != "") != (c.want == sent) {
			t.Errorf("%s to %s: %q, %v", c.address, c.to, got.why, err)
		}
	}
}

// TestPlain holds that a refusal over plain http says that no password was sent.
func TestPlain(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("the password was sent")
		}
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer server.Close()
	proxied := server.Client()
	proxied.Transport = rerouted{proxied.Transport, strings.TrimPrefix(server.URL, "http://")}
	r, err := Open("http://git.example/p", Options{Client: proxied, Password: func(context.Context) (string, error) { return "secret", nil }})
	if err != nil {
		t.Fatal(err)
	}
	var u *source.Unreadable
	if _, err := r.Refs(t.Context()); !errors.As(err, &u) || !strings.Contains(err.Error(), "use https") {
		t.Error(err)
	}
}

// rerouted sends every request to one address.
type rerouted struct {
	http.RoundTripper
	address string
}

func (r rerouted) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.URL.Host = r.address
	return r.RoundTripper.RoundTrip(req)
}

// manyRefs is the answer to ls-refs of a repository with n refs.
func manyRefs(n int) []byte {
	m := &message{}
	m.line("%s HEAD symref-target:refs/heads/main", id1)
	for i := range n {
		m.line("%s refs/pull/%d/head", id1, i)
	}
	m.flush()
	return m.Bytes()
}

func BenchmarkLsRefs(b *testing.B) {
	const n = 100_000
	answer := manyRefs(n)
	b.SetBytes(int64(len(answer)))
	b.ReportAllocs()
	for b.Loop() {
		list, err := readLsRefs(newPackets(bytes.NewReader(answer)), "sha1")
		if err != nil {
			b.Fatal(err)
		}
		if m, _, err := manifest("sha1", list); err != nil || len(m.Refs) != n {
			b.Fatal(err)
		}
	}
}

func BenchmarkPackStream(b *testing.B) {
	answer := &message{}
	answer.line("packfile")
	body := append([]byte{bandPack}, bytes.Repeat([]byte("x"), maxPacket-lengthDigits-1)...)
	for range 500 {
		answer.raw(body)
	}
	answer.flush()
	b.SetBytes(int64(answer.Len()))
	for b.Loop() {
		s, err := newPackStream(&conversation{}, &hello{version: 2}, bytes.NewReader(answer.Bytes()))
		if err != nil {
			b.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, s); err != nil || n != int64(500*(len(body)-1)) {
			b.Fatal(n, err)
		}
	}
}

func Example_sshCommand() {
	r, _ := Open("ssh://git@host.example/team/app.git", Options{}) // the address is good
	fmt.Println(strings.Join(r.sshCommand(), " "))
	// Output: ssh -o BatchMode=yes -o ConnectTimeout=30 -o SendEnv=GIT_PROTOCOL git@host.example git-upload-pack '/team/app.git'
}
