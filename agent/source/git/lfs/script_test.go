package lfs_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"farshore/agent/source/git/lfs"
	"farshore/agent/source/git/lfs/lfstest"
)

// script is a network without wires: it answers each request by one function, and keeps what was asked for and with which authorization.
type script struct {
	answer func(r *http.Request, w *httptest.ResponseRecorder) (breaks bool) // breaks: the answer's body ends with an error
	seen   []string
	secret []string // hosts that got the password
}

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	s.seen = append(s.seen, strings.TrimSpace(r.Method+" "+r.URL.String()+" "+r.Header.Get("Range")))
	if _, password, ok := r.BasicAuth(); ok && password == "geheim" {
		s.secret = append(s.secret, r.URL.Scheme+"://"+r.URL.Host)
	}
	w := httptest.NewRecorder()
	breaks := s.answer(r, w)
	resp := w.Result()
	resp.Request = r
	if breaks {
		resp.Body = io.NopCloser(io.MultiReader(resp.Body, iotest.ErrReader(errors.New("connection reset"))))
	}
	return resp, nil
}

// fetch fetches the objects from https://git.example by the script.
func (s *script) fetch(t *testing.T, want ...lfs.Pointer) (map[lfs.Pointer]got, error) {
	t.Helper()
	c := lfs.New("https://git.example/team/app", lfs.Options{Password: secret("geheim"), Client: &http.Client{Transport: s}})
	all, _, err := fetch(t, c, want)
	return all, err
}

// link answers a batch with links that begin with href and last for the time, and reports whether the request was a batch.
func link(r *http.Request, w http.ResponseWriter, href string, lasts time.Duration) bool {
	if r.Method != http.MethodPost {
		return false
	}
	var in struct {
		Objects []struct {
			OID string `json:"oid"`
		} `json:"objects"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return true
	}
	var objects []string
	for _, o := range in.Objects {
		objects = append(objects, fmt.Sprintf(`{"oid":%q,"actions":{"download":{"href":"%s","expires_in":%d,"header":{"X-Key":"k"}}}}`, o.OID, href+o.OID, int(lasts.Seconds())))
	}
	fmt.Fprintf(w, `{"objects":[%s]}`, strings.Join(objects, ","))
	return true
}

// pointer returns the data's pointer.
func pointer(data []byte) lfs.Pointer { return lfstest.Detached().Put(data) }

// TestPasswordStays holds that the password reaches the repository's own host only, however the server points elsewhere.
func TestPasswordStays(t *testing.T) {
	data := content(100, 1)
	p := pointer(data)
	for _, tt := range []struct {
		name, href, redirect string
		good                 bool
		hosts                int // requests with the password
	}{
		{"another host that asks", "https://cdn.example/", "", false, 2},
		{"another port that asks", "https://git.example:8443/", "", false, 2},
		{"the own host that asks", "https://git.example/o/", "", true, 2},
		{"the own host with its port spelled out", "https://git.example:443/o/", "", true, 2},
		{"the own host that asks, and points elsewhere", "https://git.example/o/", "https://cdn.example/free/", true, 2},
		{"to a weaker scheme", "https://git.example/o/", "http://git.example/free/", false, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &script{}
			s.answer = func(r *http.Request, w *httptest.ResponseRecorder) bool {
				_, _, authorized := r.BasicAuth()
				switch {
				case link(r, w, tt.href, time.Hour):
				case strings.HasPrefix(r.URL.Path, "/free/"):
					if authorized || r.Header.Get("X-Key") != "" && r.URL.Host != "git.example" {
						t.Error("another host got the password or the link's headers")
					}
					w.Write(data)
				case !authorized:
					w.WriteHeader(http.StatusUnauthorized)
				case tt.redirect != "":
					http.Redirect(w, r, tt.redirect+p.OID, http.StatusTemporaryRedirect)
				default:
					w.Write(data)
				}
				return false
			}
			all, err := s.fetch(t, p)
			if err != nil || (all[p].err == nil) != tt.good {
				t.Errorf("%v, %v", err, all[p].err)
			}
			for _, host := range s.secret {
				if host != "https://git.example" && host != "https://git.example:443" {
					t.Errorf("%s got the password", host)
				}
			}
			if len(s.secret) < tt.hosts || slices.ContainsFunc(s.seen, func(r string) bool { return strings.HasPrefix(r, "GET http:") }) {
				t.Errorf("requests %q", s.seen)
			}
		})
	}
}

func TestBatchRedirects(t *testing.T) {
	data := content(100, 1)
	p := pointer(data)
	for target, good := range map[string]bool{
		"https://git.example/new/app.git/info/lfs/objects/batch": true, "/new/app.git/info/lfs/objects/batch": true,
		"https://evil.example/batch": false, "http://git.example/batch": false, "https://git.example/team/app.git/info/lfs/objects/batch": false,
	} {
		s := &script{}
		s.answer = func(r *http.Request, w *httptest.ResponseRecorder) bool {
			switch {
			case strings.HasPrefix(r.URL.Path, "/team/"):
				w.Header().Set("Location", target)
				w.WriteHeader(http.StatusPermanentRedirect)
			case !link(r, w, "https://git.example/o/", time.Hour):
				w.Write(data)
			}
			return false
		}
		all, err := s.fetch(t, p)
		if (err == nil) != good || good && all[p].err != nil {
			t.Errorf("%s: %v, %v", target, err, all[p].err)
		}
		if slices.ContainsFunc(s.seen, func(r string) bool { return !strings.Contains(r, " https://git.example/") }) {
			t.Errorf("%s: requests %q", target, s.seen)
		}
	}
}

// TestBrokenRanges is about transfers that break, and servers that answer the range asked for then as they should not.
func TestBrokenRanges(t *testing.T) {
	data := content(100, 1)
	p := pointer(data)
	for _, tt := range []struct {
		name   string
		code   int
		header string
		body   []byte
		says   string
	}{
		{"as asked", 206, "bytes 40-99/100", data[40:], ""},
		{"the whole", 200, "", data, ""},
		{"another range", 206, "bytes 0-59/100", data[:60], "not asked for"},
		{"one that begins alike", 206, "bytes 400-459/1000", data[40:], "not asked for"},
		{"no range named", 206, "", data[40:], "not asked for"},
		{"other bytes", 206, "bytes 40-99/100", data[:60], "SHA-256"},
		{"another whole", 200, "", content(100, 2), "SHA-256"},
		{"nothing there", 416, "", nil, "no bytes after 40"},
		{"gone", 404, "", nil, "does not have"},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &script{}
			s.answer = func(r *http.Request, w *httptest.ResponseRecorder) bool {
				switch {
				case link(r, w, "https://git.example/o/", time.Hour):
				case r.Header.Get("Range") == "":
					w.Write(data[:40])
					return true
				default:
					if tt.header != "" {
						w.Header().Set("Content-Range", tt.header)
					}
					w.WriteHeader(tt.code)
					w.Write(tt.body)
				}
				return false
			}
			all, err := s.fetch(t, p)
			g := all[p]
			if err != nil || (g.err == nil) != (tt.says == "") || g.err != nil && !strings.Contains(g.err.Error(), tt.says) || g.err == nil && !bytes.Equal(g.data, data) {
				t.Errorf("%s: %v, %v", tt.name, err, g.err)
			}
			if len(s.seen) != 3 || !strings.HasSuffix(s.seen[2], "bytes=40-") {
				t.Errorf("%s: requests %q", tt.name, s.seen)
			}
		})
	}
}

// TestDrip holds that a transfer which brings one byte before it breaks is not taken up for ever.
func TestDrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data := content(5000, 1)
		p := pointer(data)
		s := &script{}
		s.answer = func(r *http.Request, w *httptest.ResponseRecorder) bool {
			if link(r, w, "https://git.example/o/", 240*time.Hour) {
				return false
			}
			var from int
			if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from); err == nil {
				w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-4999/5000", from))
				w.WriteHeader(http.StatusPartialContent)
			}
			w.Write(data[from : from+1])
			return true
		}
		all, err := s.fetch(t, p)
		if err != nil || all[p].err == nil || len(s.seen) > 250 {
			t.Errorf("%v, %v after %d requests", err, all[p].err, len(s.seen))
		}
	})
}

// TestLinksExpire is about links that expire while a transfer goes on, and clocks by which every link has expired at once.
func TestLinksExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data := content(100, 1)
		p := pointer(data)
		s := &script{}
		s.answer = func(r *http.Request, w *httptest.ResponseRecorder) bool {
			switch {
			case link(r, w, "https://git.example/o/", time.Minute):
			case r.Header.Get("Range") == "":
				time.Sleep(2 * time.Minute) // of the bubble's clock
				w.Write(data[:40])
				return true
			default:
				w.Header().Set("Content-Range", "bytes 40-99/100")
				w.WriteHeader(http.StatusPartialContent)
				w.Write(data[40:])
			}
			return false
		}
		all, err := s.fetch(t, p)
		if err != nil || all[p].err != nil || len(s.seen) != 4 || !strings.HasPrefix(s.seen[2], "POST") {
			t.Errorf("%v, %v: requests %q", err, all[p].err, s.seen)
		}
	})
	contents := map[string][]byte{}
	var want []lfs.Pointer
	for i := range 3 {
		data := content(100, byte(i))
		p := pointer(data)
		contents[p.OID] = data
		want = append(want, p)
	}
	s := &script{}
	s.answer = func(r *http.Request, w *httptest.ResponseRecorder) bool {
		if !link(r, w, "https://git.example/o/", -time.Hour) {
			w.Write(contents[r.URL.Path[len("/o/"):]])
		}
		return false
	}
	all, err := s.fetch(t, want...)
	for _, p := range want {
		if err != nil || all[p].err != nil {
			t.Errorf("a clock that is wrong: %v, %v", err, all[p].err)
		}
	}
	if len(s.seen) != 6 {
		t.Errorf("a clock that is wrong: requests %q", s.seen)
	}
}
