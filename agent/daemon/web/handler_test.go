package web_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html"

	"farshore/agent/daemon"
	"farshore/agent/daemon/web"
)

// get asks a handler for a path, as a browser on this machine would; change may be nil.
func get(h http.Handler, path string, change func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "http://localhost:8321"+path, nil)
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// paths are all that a daemon with a source of that name answers.
func paths(name string) []string {
	return []string{"/", "/source/" + url.PathEscape(name), "/reports", "/heads", "/heads.txt", "/live.json", "/style.css", "/live.js", "/icon.svg", "/healthz", "/readyz", "/report/" + hashOf("a1"), "/nothing", "/metrics"}
}

func TestHeaders(t *testing.T) {
	s := wellSample()
	h := s.handler(t)
	const policy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
	for _, path := range paths("code") {
		got := get(h, path, nil).Header()
		want := map[string]string{
			"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Cross-Origin-Opener-Policy": "same-origin",
			"Cross-Origin-Embedder-Policy": "require-corp", "Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-store",
		}
		if strings.HasPrefix(path, "/report/") {
			delete(want, "Content-Security-Policy") // TestReport
			want["Cross-Origin-Opener-Policy"] = "unsafe-none"
		}
		for name, value := range want {
			if got.Get(name) != value {
				t.Errorf("%s: %s is %q, want %q", path, name, got.Get(name), value)
			}
		}
		if got.Get("Permissions-Policy") == "" || got.Get("Content-Type") == "" || got.Get("Set-Cookie") != "" || got.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: headers %v", path, got)
		}
	}
}

// TestMethods asks in every way: nothing but GET and HEAD is answered, and HEAD says what GET would.
func TestMethods(t *testing.T) {
	server := httptest.NewServer(wellSample().handler(t))
	defer server.Close()
	for _, path := range paths("code") {
		for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"} {
			code, header, _ := ask(t, method, server.URL+path)
			if code != http.StatusMethodNotAllowed || header.Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: %d, Allow %q", method, path, code, header.Get("Allow"))
			}
		}
		code, header, body := ask(t, "GET", server.URL+path)
		headCode, headHeader, headBody := ask(t, "HEAD", server.URL+path)
		if code != headCode || len(headBody) != 0 || header.Get("Content-Length") != headHeader.Get("Content-Length") || header.Get("Content-Type") != headHeader.Get("Content-Type") {
			t.Errorf("%s: GET %d %v (%d bytes), HEAD %d %v (%d bytes)", path, code, header, len(body), headCode, headHeader, len(headBody))
		}
	}
}

func ask(t *testing.T, method, address string) (int, http.Header, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Body.Close() }()
	body, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.StatusCode, w.Header, body
}

// TestNowhere asks for what there is not: no path leads to a file, or to another page by way of a detour.
func TestNowhere(t *testing.T) {
	h := wellSample().handler(t)
	for _, path := range []string{
		"//", "/index.html", "/source/", "/source", "/source/nobody", "/source/code/", "/source/code/x", "/source/../reports", "/report/", "/report/latest", "/report/" + strings.Repeat("A", 64),
		"/report/" + hashOf("a1") + "/", "/report/" + hashOf("a1") + "0", "/report/..%2f..%2fetc%2fpasswd", "/../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/style.css/", "/web.go", "/page.html.tmpl",
		"/.git/config", "/live.json/", "/reports/", "/heads/", "/Heads", "/source/%00", "/source/" + strings.Repeat("x", 8000), "/favicon.ico", "/debug/pprof/", "/v1/trigger",
	} {
		w := get(h, path, nil)
		if w.Code != http.StatusNotFound || w.Header().Get("Location") != "" {
			t.Errorf("%.60s: %d, Location %q", path, w.Code, w.Header().Get("Location"))
		}
	}
}

func TestHosts(t *testing.T) {
	s := wellSample()
	o := s.options()
	o.Hosts = []string{"Backup1.example.net", "[2001:db8::7]", "10.0.0.7:8321"}
	h, err := web.New(o)
	if err != nil {
		t.Fatal(err)
	}
	local := &net.TCPAddr{IP: net.ParseIP("192.0.2.5"), Port: 8321}
	for host, want := range map[string]bool{
		"localhost": true, "localhost:1": true, "LOCALHOST.": true, "127.0.0.1:8321": true, "127.7.7.7": true, "[::1]": true, "[::1]:80": true, "[::ffff:127.0.0.1]:80": true,
		"backup1.example.net": true, "BACKUP1.EXAMPLE.NET.:443": true, "[2001:db8::7]:8321": true, "10.0.0.7": true, "192.0.2.5:8321": true, "[::ffff:192.0.2.5]": true,
		"": false, "evil.example.com": false, "localhost.evil.example.com": false, "127.0.0.1.evil.example.com": false, "192.0.2.6": false, "0.0.0.0": false, "[::]": false, "2130706433": false, "0x7f.1": false,
		"localhost:x": false, "localhost:99999": false, "[::1": false, "backup1.example.net.evil.example.com": false, "user@localhost": false, "xbackup1.example.net": false,
	} {
		for _, path := range []string{"/", "/healthz", "/style.css", "/nothing"} {
			w := get(h, path, func(r *http.Request) {
				r.Host = host
				*r = *r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(local)))
			})
			if got := w.Code != http.StatusMisdirectedRequest; got != want {
				t.Errorf("Host %q at %s: %d", host, path, w.Code)
			}
			if !want && (strings.Contains(w.Body.String(), "shop-images") || strings.Contains(w.Body.String(), "0.9.0")) {
				t.Errorf("Host %q at %s learns something: %s", host, path, w.Body)
			}
		}
	}
	for _, bad := range []string{"", "a:b", "[::1", strings.Repeat("x", 300)} {
		o.Hosts = []string{bad}
		if _, err := web.New(o); err == nil {
			t.Errorf("the name %.20q of a host was taken", bad)
		}
	}
}

const token = "correct horse battery staple"

func TestToken(t *testing.T) {
	o := wellSample().options()
	o.Token = token
	o.Metrics = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte("up 1\n")) })
	h, err := web.New(o)
	if err != nil {
		t.Fatal(err)
	}
	basic := func(user, password string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	}
	remote := 0
	for _, c := range []struct {
		header string
		want   int
	}{
		{"", 401}, {"Bearer " + token, 200}, {"bearer  " + token, 200}, {basic("anybody", token), 200}, {basic("", token), 200}, {basic(token, ""), 401}, {"Bearer " + token + "x", 401},
		{"Bearer " + token[1:], 401}, {"Bearer", 401}, {"Bearer ", 401}, {"Digest " + token, 401}, {token, 401}, {"Basic !!!", 401}, {basic("x", ""), 401},
	} {
		for _, path := range []string{"/", "/metrics", "/live.json", "/reports", "/style.css"} {
			remote++ // each from elsewhere: TestBrake looks at those that come again
			w := get(h, path, func(r *http.Request) {
				r.RemoteAddr = fmt.Sprintf("198.51.%d.%d:99", remote/250, remote%250)
				if c.header != "" {
					r.Header.Set("Authorization", c.header)
				}
			})
			if w.Code != c.want {
				t.Errorf("%q at %s: %d, want %d", c.header, path, w.Code, c.want)
			}
			if c.want == 401 && (len(w.Header().Values("WWW-Authenticate")) != 2 || strings.Contains(w.Body.String(), "shop-images") || strings.Contains(w.Body.String(), "0.9.0")) {
				t.Errorf("%q at %s: %v %s", c.header, path, w.Header(), w.Body)
			}
		}
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if w := get(h, path, nil); w.Code != 200 || w.Body.String() != "ok\n" {
			t.Errorf("%s: %d %q", path, w.Code, w.Body)
		}
	}
	o.Token = "short"
	if _, err := web.New(o); err == nil {
		t.Error("a short token was taken")
	}
}

func TestHealth(t *testing.T) {
	o := wellSample().options()
	var err error
	o.Ready, o.Alive = func() error { return err }, func() error { return nil }
	h, e := web.New(o)
	if e != nil {
		t.Fatal(e)
	}
	if w := get(h, "/readyz", nil); w.Code != 200 || w.Body.String() != "ok\n" {
		t.Errorf("ready: %d %q", w.Code, w.Body)
	}
	err = errStore
	if w := get(h, "/readyz", nil); w.Code != 503 || w.Body.String() != "not ok\n" {
		t.Errorf("not ready: %d %q: why is nobody's business", w.Code, w.Body)
	}
	if w := get(h, "/healthz", nil); w.Code != 200 {
		t.Errorf("alive: %d", w.Code)
	}
}

// TestHostile shows texts of a stranger's: each page is well formed, of the elements and attributes that the pages have, without a character that moves or turns anything, and small.
func TestHostile(t *testing.T) {
	s := hostileSample()
	h := s.handler(t)
	list := []string{"/", "/reports", "/heads", "/heads.txt", "/live.json"}
	for i := range s.status.Sources {
		list = append(list, "/source/"+url.PathEscape(s.status.Sources[i].Name))
	}
	for _, path := range list {
		w := get(h, path, nil)
		body := w.Body.String()
		if w.Code != 200 || len(body) > 400<<10 {
			t.Errorf("%.60s: %d, %d bytes", path, w.Code, len(body))
		}
		if !utf8.ValidString(body) {
			t.Errorf("%.60s is not UTF-8", path)
		}
		for _, r := range body {
			if r != '\n' && r != '\t' && !unicode.IsPrint(r) {
				t.Errorf("%.60s has the character %U", path, r)
				break
			}
		}
		if path == "/live.json" || path == "/heads.txt" {
			continue
		}
		checkPage(t, path, w.Body.Bytes())
	}
}

// tags and attributes are all that pages are made of.
const (
	tags = " html head meta title link script body a svg symbol circle path header nav ul li p main section h1 h2 h3 span bdi strong code div ol table caption thead tbody tr th td " +
		"rect use figure figcaption desc line text details summary dl dt dd template noscript footer pre title "
	attributes = " lang charset name content rel type href src defer id class width height aria-hidden focusable viewbox d cx cy r x y x1 x2 y1 y2 dx dy rx preserveaspectratio aria-label aria-labelledby " +
		"aria-current tabindex role scope hidden data-label data-t data-tone data-rich data-list data-of data-bar data-href data-sign data-since data-version data-busy "
)

func checkPage(t *testing.T, name string, page []byte) {
	t.Helper()
	root, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	ids, scripts := map[string]bool{}, 0
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if !strings.Contains(tags, " "+n.Data+" ") {
			t.Errorf("%.60s has an element %q", name, n.Data)
		}
		if n.Data == "script" {
			scripts++
			if n.FirstChild != nil {
				t.Errorf("%.60s has a script of its own", name)
			}
		}
		for _, a := range n.Attr {
			if !strings.Contains(attributes, " "+strings.ToLower(a.Key)+" ") {
				t.Errorf("%.60s: %s has an attribute %q", name, n.Data, a.Key)
			}
			if (a.Key == "href" || a.Key == "src") && !strings.HasPrefix(a.Val, "/") && !strings.HasPrefix(a.Val, "#") || strings.HasPrefix(a.Val, "//") {
				t.Errorf("%.60s leads to %q", name, a.Val)
			}
			if a.Key == "id" {
				if ids[a.Val] {
					t.Errorf("%.60s has two elements %q", name, a.Val)
				}
				ids[a.Val] = true
			}
		}
	}
	if scripts > 1 {
		t.Errorf("%.60s has %d scripts", name, scripts)
	}
}

// TestPages holds every page of every sample to be well formed.
func TestPages(t *testing.T) {
	for _, s := range samples() {
		h := s.handler(t)
		for _, path := range []string{"/", "/reports", "/heads", "/source/" + url.PathEscape(first(s)), "/nothing"} {
			checkPage(t, s.name+path, get(h, path, nil).Body.Bytes())
		}
	}
}

// TestLiveNames holds the names that the script fills in to be those that /live.json has.
func TestLiveNames(t *testing.T) {
	s := brokenSample()
	h := s.handler(t)
	var live map[string]any
	if err := json.Unmarshal(get(h, "/live.json", nil).Body.Bytes(), &live); err != nil {
		t.Fatal(err)
	}
	of := func(list string) map[string]any {
		if l, ok := live[list].([]any); ok && len(l) > 0 {
			return l[0].(map[string]any)
		}
		t.Fatalf("/live.json has no %s", list)
		return nil
	}
	forms := map[string]map[string]any{"card": of("cards"), "act": of("acts"), "source-row": of("sources"), "check-row": of("checks"), "line": {".": ""}, "": live}
	root, err := html.Parse(bytes.NewReader(get(h, "/", nil).Body.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	names := 0
	for n := range root.Descendants() {
		form := ""
		for up := n; up != nil && form == ""; up = up.Parent {
			if id := attr(up, "id"); up.Data == "template" {
				form = strings.TrimPrefix(id, "of-")
			} else if up != n || attr(n, "data-list") == "" {
				form = attr(up, "data-of")
			}
		}
		for _, a := range []string{"data-t", "data-rich", "data-bar", "data-href", "data-list"} {
			name := attr(n, a)
			if name == "" {
				continue
			}
			names++
			if _, ok := forms[form][name]; !ok && name != "href" { // it is left out where it is empty
				t.Errorf("%s=%q, in %q, is not in /live.json", a, name, form)
			}
		}
	}
	if names < 100 {
		t.Errorf("only %d names were seen", names)
	}
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// TestStatic holds files to be kept by a browser only under the address that has their hash.
func TestStatic(t *testing.T) {
	h := wellSample().handler(t)
	page := get(h, "/", nil).Body.String()
	for _, path := range []string{"/style.css", "/live.js", "/icon.svg"} {
		address := regexp.MustCompile(regexp.QuoteMeta(path) + `\?v=[0-9a-f]{16}`).FindString(page)
		if w := get(h, address, nil); address == "" || w.Code != 200 || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %q: %d %q", path, address, w.Code, w.Header().Get("Cache-Control"))
		}
		if w := get(h, path+"?v=0", nil); w.Code != 200 || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s?v=0: %d %q", path, w.Code, w.Header().Get("Cache-Control"))
		}
	}
}

func TestNew(t *testing.T) {
	for name, change := range map[string]func(*web.Options){
		"status": func(o *web.Options) { o.Status = nil }, "runs": func(o *web.Options) { o.Runs = nil }, "shelf": func(o *web.Options) { o.Shelf = nil }, "hosts": func(o *web.Options) { o.Hosts = make([]string, 101) },
	} {
		o := wellSample().options()
		change(&o)
		if _, err := web.New(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	// Options may leave out the rest.
	o := wellSample().options()
	o.Protection, o.Logger, o.Now, o.Metrics = nil, nil, nil, nil
	h, err := web.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if w := get(h, "/", nil); w.Code != 200 || !strings.Contains(w.Body.String(), "Protected") {
		t.Errorf("%d", w.Code)
	}
	var none daemon.Status
	o.Status = func() daemon.Status { return none }
	if w := get(h, "/", nil); w.Code != 200 {
		t.Errorf("a status of zeroes: %d", w.Code)
	}
}

// FuzzPath asks for any path: nothing but the known pages is found, and no answer leads elsewhere.
func FuzzPath(f *testing.F) {
	for _, p := range append(paths("code"), "/source/../x", "/report/x", "//", "/\\", "/%", "/source/"+hostile) {
		f.Add(p)
	}
	s := wellSample()
	h := s.handler(f)
	f.Fuzz(func(t *testing.T, path string) {
		r := httptest.NewRequest(http.MethodGet, "http://localhost/", nil)
		r.URL = &url.URL{Path: path}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		known := false
		for _, p := range paths("") {
			known = known || path == p && p != "/nothing" && p != "/metrics" && p != "/source/"
		}
		for i := range s.status.Sources {
			known = known || path == "/source/"+s.status.Sources[i].Name
		}
		for i := range s.shelf.reports {
			known = known || path == "/report/"+s.shelf.reports[i].Hash
		}
		if known != (w.Code == 200) || !known && w.Code != 404 || w.Header().Get("Location") != "" {
			t.Errorf("%q: %d", path, w.Code)
		}
	})
}
