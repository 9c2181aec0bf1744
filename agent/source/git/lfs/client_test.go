package lfs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"farshore/agent/record"
	"farshore/agent/source"
	"farshore/agent/source/git/lfs"
	"farshore/agent/source/git/lfs/lfstest"
	"farshore/providers/servers"
)

// content returns n bytes that depend on the seed.
func content(n int, seed byte) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b) // never fails
	return b
}

// client returns a client of the server's repository with short waits.
func client(s *lfstest.Server, o lfs.Options) *lfs.Client {
	c := lfs.New(s.URL, o)
	c.SetTimes(time.Millisecond, time.Minute)
	return c
}

// got is what Fetch delivered for one object.
type got struct {
	data []byte
	err  error
}

// fetch fetches all, and returns what was delivered in order.
func fetch(t *testing.T, c *lfs.Client, want []lfs.Pointer) (map[lfs.Pointer]got, []lfs.Pointer, error) {
	t.Helper()
	all := map[lfs.Pointer]got{}
	var order []lfs.Pointer
	err := c.Fetch(t.Context(), want, func(p lfs.Pointer, body io.Reader, err error) error {
		if _, twice := all[p]; twice {
			t.Errorf("%v is delivered twice", p)
		}
		if (err == nil) == (body == nil) {
			t.Errorf("%v: a body and an error, or neither", p)
		}
		g := got{err: err}
		if err == nil {
			g.data, g.err = io.ReadAll(body)
		}
		all[p] = g
		order = append(order, p)
		return nil
	})
	return all, order, err
}

func TestFetch(t *testing.T) {
	s := lfstest.New(t)
	var want []lfs.Pointer
	contents := map[lfs.Pointer][]byte{}
	for i := range 250 {
		c := content(i*7, byte(i))
		p := s.Put(c)
		contents[p] = c
		want = append(want, p)
	}
	all, order, err := fetch(t, client(s, lfs.Options{}), append(slices.Clone(want), want[:20]...))
	if err != nil || !slices.Equal(order, want) {
		t.Fatalf("%d objects of %d: %v", len(order), len(want), err)
	}
	for p, g := range all {
		if g.err != nil || !bytes.Equal(g.data, contents[p]) {
			t.Errorf("%v: %v", p, g.err)
		}
	}
	if n := len(slices.DeleteFunc(s.Requests(), func(r string) bool { return !strings.HasPrefix(r, "batch") })); n != 3 {
		t.Errorf("%d batches for 250 objects", n)
	}
}

// TestFaults sets one fault of the middle one of three objects, and holds that the others come whole whatever it is.
func TestFaults(t *testing.T) {
	for _, tt := range []struct {
		name    string
		fault   lfstest.Fault
		is      error  // what the error wraps
		says    string // what the error says; "" and is nil: there is none
		request string // a request that must have been seen
	}{
		{"none", lfstest.None, nil, "", ""},
		{"missing", lfstest.Missing, lfs.ErrMissing, "", ""},
		{"removed", lfstest.Removed, lfs.ErrMissing, "code 410", ""},
		{"vanished", lfstest.Vanished, lfs.ErrMissing, "", ""},
		{"forbidden", lfstest.Forbidden, nil, "code 403", ""},
		{"unnamed", lfstest.Unnamed, nil, "does not name it", ""},
		{"wrong", lfstest.Wrong, lfs.ErrWrong, "", ""},
		{"long", lfstest.Long, lfs.ErrWrong, "", ""},
		{"short", lfstest.Short, lfs.ErrWrong, "", ""},
		{"cut", lfstest.Cut, nil, "", "get OID from 50000"},
		{"cut, no ranges", lfstest.CutNoRange, nil, "", "get OID from 50000"},
		{"expired", lfstest.Expired, nil, "", "batch download 2"},
		{"refused", lfstest.Refused, nil, "", "batch download 1"},
		{"elsewhere", lfstest.Elsewhere, nil, "", "elsewhere OID"},
		{"redirect", lfstest.Redirect, nil, "", "elsewhere OID"},
		{"broken", lfstest.Broken, nil, "500", ""},
		{"account", lfstest.Account, nil, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := lfstest.New(t)
			s.Account("farshore", "geheim")
			contents := [][]byte{content(1000, 1), content(100_000, 2), content(3000, 3)}
			want := []lfs.Pointer{s.Put(contents[0]), s.Put(contents[1]), s.Put(contents[2])}
			s.Fault(want[1].OID, tt.fault)
			c := client(s, lfs.Options{Password: secret("geheim")})
			all, order, err := fetch(t, c, want)
			if err != nil || !slices.Equal(order, want) {
				t.Fatalf("%v, %v", order, err)
			}
			for i, p := range want {
				if i != 1 || tt.is == nil && tt.says == "" {
					if all[p].err != nil || !bytes.Equal(all[p].data, contents[i]) {
						t.Errorf("object %d: %v", i, all[p].err)
					}
				}
			}
			g := all[want[1]]
			if tt.is != nil && !errors.Is(g.err, tt.is) || tt.says != "" && (g.err == nil || !strings.Contains(g.err.Error(), tt.says)) {
				t.Errorf("error is %v", g.err)
			}
			if g.err != nil && len(g.data) == len(contents[1]) {
				t.Errorf("all bytes were delivered, and then the error")
			}
			if seen := s.Requests(); tt.request != "" && !slices.Contains(seen, strings.ReplaceAll(tt.request, "OID", want[1].OID)) {
				t.Errorf("%q is not among %q", tt.request, seen)
			}
		})
	}
}

func secret(s string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return s, nil }
}

// TestResume takes a transfer up again many times, with reads of all sizes.
func TestResume(t *testing.T) {
	s := lfstest.New(t)
	want := content(256<<10, 9)
	p := s.Put(want)
	s.Fault(p.OID, lfstest.Cut)
	err := client(s, lfs.Options{}).Fetch(t.Context(), []lfs.Pointer{p}, func(_ lfs.Pointer, body io.Reader, err error) error {
		if err != nil {
			return err
		}
		if err := iotest.TestReader(body, want); err != nil {
			return err
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if n := len(s.Requests()); n < 12 {
		t.Errorf("only %d requests: nothing was cut", n)
	}
}

// TestVerifiedBeforeTheEnd holds that who reads exactly as many bytes as the pointer says, and not to the end, gets no wrong bytes either.
func TestVerifiedBeforeTheEnd(t *testing.T) {
	s := lfstest.New(t)
	p := s.Put(content(10_000, 1))
	s.Fault(p.OID, lfstest.Wrong)
	err := client(s, lfs.Options{}).Fetch(t.Context(), []lfs.Pointer{p}, func(_ lfs.Pointer, body io.Reader, _ error) error {
		_, err := io.ReadFull(body, make([]byte, p.Size))
		return err
	})
	if !errors.Is(err, lfs.ErrWrong) {
		t.Errorf("error is %v", err)
	}
}

func TestPointersThatLie(t *testing.T) {
	s := lfstest.New(t)
	data := content(500, 1)
	p := s.Put(data)
	empty := s.Put(nil)
	larger, smaller := lfs.Pointer{OID: p.OID, Size: 501}, lfs.Pointer{OID: p.OID, Size: 499}
	nothing := lfs.Pointer{OID: p.OID, Size: 0}
	bad := lfs.Pointer{OID: "../../etc/passwd", Size: 5}
	all, _, err := fetch(t, client(s, lfs.Options{}), []lfs.Pointer{larger, smaller, p, nothing, empty, bad})
	if err != nil || len(all) != 6 {
		t.Fatalf("%d, %v", len(all), err)
	}
	for q, g := range all {
		good := q == p || q == empty
		if (g.err == nil) != good || good && len(g.data) != int(q.Size) {
			t.Errorf("%v: %d bytes, %v", q, len(g.data), g.err)
		}
	}
}

func TestBatchFailures(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		times  int
		check  func(error) bool
	}{
		{"busy", 429, 1, func(err error) bool { return err == nil }},
		{"down for a while", 503, 1, func(err error) bool { return err == nil }},
		{"errors", 500, 3, func(err error) bool { return err == nil }},
		{"errors for ever", 500, 1000, func(err error) bool { return err != nil && strings.Contains(err.Error(), "tried 5 times") }},
		{"credentials", 401, 1, denied},
		{"forbidden", 403, 1, denied},
		{"no such repository", 404, 1, func(err error) bool { return errors.Is(err, lfs.ErrNone) }},
		{"not there", 501, 1, func(err error) bool { return errors.Is(err, lfs.ErrNone) }},
		{"bandwidth", 509, 1, func(err error) bool { return err != nil && strings.Contains(err.Error(), "509") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := lfstest.New(t)
			s.Account("user", "hunter2hunter2")
			p := s.Put(content(10, 1))
			s.BatchStatus(tt.status, tt.times)
			all, _, err := fetch(t, client(s, lfs.Options{Username: "user", Password: secret("hunter2hunter2")}), []lfs.Pointer{p})
			if !tt.check(err) || err == nil && (len(all) != 1 || all[p].err != nil) {
				t.Errorf("error is %v", err)
			}
			if err != nil && (strings.Contains(err.Error(), "hunter2") || strings.ContainsAny(err.Error(), "\x1b\n")) {
				t.Errorf("the error is not fit to be shown: %q", err)
			}
		})
	}
}

func denied(err error) bool {
	u := (*source.Unreadable)(nil)
	return errors.As(err, &u) && u.Reason == record.ReasonDenied
}

func TestBatchTooLarge(t *testing.T) {
	s := lfstest.New(t)
	s.BatchLimit(7)
	var want []lfs.Pointer
	for i := range 50 {
		want = append(want, s.Put(content(20, byte(i))))
	}
	all, order, err := fetch(t, client(s, lfs.Options{}), want)
	if err != nil || !slices.Equal(order, want) {
		t.Fatalf("%d objects: %v", len(order), err)
	}
	for p, g := range all {
		if g.err != nil {
			t.Errorf("%v: %v", p, g.err)
		}
	}
	s.BatchStatus(http.StatusUnprocessableEntity, 1000)
	all, _, err = fetch(t, client(s, lfs.Options{}), want[:3])
	if err != nil || len(all) != 3 || all[want[1]].err == nil {
		t.Errorf("%v: %v", all, err)
	}
}

// TestExpiredOnTheWay holds that links which expire while earlier objects are read are asked for again, all at once.
func TestExpiredOnTheWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := lfstest.Detached()
		c := lfs.New("https://lfs.example/team/app", lfs.Options{Client: &http.Client{Transport: inProcess{s}}})
		var want []lfs.Pointer
		for i := range 4 {
			want = append(want, s.Put(content(10, byte(i))))
		}
		err := c.Fetch(t.Context(), want, func(_ lfs.Pointer, body io.Reader, err error) error {
			time.Sleep(45 * time.Minute) // of the bubble's clock: links last for an hour
			if err != nil {
				return err
			}
			_, err = io.Copy(io.Discard, body)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		batches := slices.DeleteFunc(s.Requests(), func(r string) bool { return !strings.HasPrefix(r, "batch") })
		if want := []string{"batch download 4", "batch download 2"}; !slices.Equal(batches, want) {
			t.Errorf("batches are %q, want %q", batches, want)
		}
	})
}

// inProcess answers requests by calling the handler, as https does, so that a test's clock can stand still meanwhile.
type inProcess struct{ handler http.Handler }

func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	r = r.Clone(r.Context())
	r.Host = r.URL.Host
	p.handler.ServeHTTP(w, r)
	resp := w.Result()
	resp.Request = r
	if data, err := io.ReadAll(resp.Body); err == nil {
		resp.Body = io.NopCloser(bytes.NewReader(bytes.ReplaceAll(data, []byte(`"href":"http:`), []byte(`"href":"https:`))))
	}
	return resp, nil
}

// TestRateLimit holds that the server's own pause is kept, and that one which is too long ends the attempt.
func TestRateLimit(t *testing.T) {
	for after, wait := range map[string]time.Duration{"90": 90 * time.Second, "86400": -1, "": 0} {
		synctest.Test(t, func(t *testing.T) {
			s := lfstest.Detached()
			p := s.Put(content(10, 1))
			n := 0
			busy := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if n++; n == 1 {
					w.Header().Set("Retry-After", after)
					w.WriteHeader(http.StatusTooManyRequests)
					return
				}
				s.ServeHTTP(w, r)
			})
			c := lfs.New("https://lfs.example/team/app", lfs.Options{Client: &http.Client{Transport: inProcess{busy}}})
			start := time.Now()
			all, _, err := fetch(t, c, []lfs.Pointer{p})
			took := time.Since(start)
			if wait < 0 {
				if err == nil || !strings.Contains(err.Error(), "too long") || took != 0 {
					t.Errorf("after %q: %v in %v", after, err, took)
				}
				return
			}
			if err != nil || all[p].err != nil || took < wait || took > wait+2*time.Second {
				t.Errorf("after %q: %v, %v in %v", after, err, all[p].err, took)
			}
		})
	}
}

// TestIdle holds that a server that falls silent in the middle is given up.
func TestIdle(t *testing.T) {
	s := lfstest.New(t)
	p := s.Put(content(1000, 1))
	stuck := make(chan struct{})
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/lfs-objects/") {
			w.Header().Set("Content-Length", "1000")
			w.WriteHeader(http.StatusOK)
			w.(http.Flusher).Flush()
			<-stuck
			return
		}
		s.ServeHTTP(w, r)
	}))
	defer front.Close()
	defer close(stuck)
	c := lfs.New(front.URL+"/team/app", lfs.Options{})
	c.SetTimes(time.Millisecond, 50*time.Millisecond)
	all, _, err := fetch(t, c, []lfs.Pointer{p})
	if err != nil || all[p].err == nil || !strings.Contains(all[p].err.Error(), "sends nothing") {
		t.Errorf("%v, %v", err, all[p].err)
	}
}

func TestUnreachable(t *testing.T) {
	s := lfstest.New(t)
	gone := "http://" + servers.Unused(t)
	var want []lfs.Pointer
	for i := range 10 {
		want = append(want, s.Put(content(10, byte(i))))
	}
	c := lfs.New(gone+"/team/app", lfs.Options{})
	c.SetTimes(time.Millisecond, time.Minute)
	if _, _, err := fetch(t, c, want); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("a server that is not there: %v", err)
	}
	links := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"objects":[`)
		for i, p := range want {
			fmt.Fprintf(w, `%s{"oid":%q,"actions":{"download":{"href":"%s/x?token=geheim"}}}`, strings.Repeat(",", min(i, 1)), p.OID, gone)
		}
		fmt.Fprint(w, `]}`)
	}))
	defer links.Close()
	c = lfs.New(links.URL+"/team/app", lfs.Options{})
	c.SetTimes(time.Millisecond, time.Minute)
	all, _, err := fetch(t, c, want)
	if err == nil || len(all) != 2 || strings.Contains(err.Error(), "geheim") {
		t.Errorf("links that lead nowhere: %d objects, %v", len(all), err)
	}
}

func TestAddresses(t *testing.T) {
	for address, says := range map[string]string{
		"http://git.example/team/app":          "not sent over http",
		"https://user:geheim@git.example/x":    "no user",
		"ssh://git.example/x":                  "no http",
		"https://git.example/x?token=geheim":   "no user, query",
		"::":                                   "no http",
		"https:///x":                           "no http",
		"http://127.0.0.1.evil.example/x":      "not sent over http",
		"http://localhost.evil.example/x.git/": "not sent over http",
	} {
		c := lfs.New(address, lfs.Options{Password: secret("x")})
		err := c.Fetch(t.Context(), nil, nil)
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: %v, want %q", address, err, says)
		}
	}
	for _, address := range []string{"https://git.example/x", "https://git.example/x.git/", "http://127.0.0.1:8080/x", "http://[::1]/x", "http://localhost/x"} {
		if err := lfs.New(address, lfs.Options{Password: secret("x")}).Fetch(t.Context(), nil, nil); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// TestAnswers reads answers to batches as servers have written them, and as they should not.
func TestAnswers(t *testing.T) {
	p := lfs.Pointer{OID: oid, Size: 12345}
	c := lfs.New("https://git.example/team/app", lfs.Options{})
	for _, tt := range []struct{ name, data, link, says string }{
		{"as specified", `{"transfer":"basic","objects":[{"oid":"` + oid + `","size":12345,"authenticated":true,"actions":{"download":{"href":"https://cdn.example/1?s=2","header":{"Key":"value"},"expires_at":"2036-11-10T15:29:07Z"}}}],"hash_algo":"sha256"}`, "https://cdn.example/1?s=2", ""},
		{"no transfer", `{"objects":[{"oid":"` + oid + `","actions":{"download":{"href":"https://cdn.example/1"}}}]}`, "https://cdn.example/1", ""},
		{"zero time", `{"objects":[{"oid":"` + oid + `","actions":{"download":{"href":"https://cdn.example/1","expires_at":"0001-01-01T00:00:00Z"}}}]}`, "https://cdn.example/1", ""},
		{"others too", `{"objects":[{"oid":"abc","actions":{"download":{"href":"https://cdn.example/0"}}},{"oid":"` + oid + `","error":{"code":404,"message":"no"}}]}`, "", "does not have"},
		{"none", `{"objects":[]}`, "", "does not name it"},
		{"null", `null`, "", "does not name it"},
		{"no action", `{"objects":[{"oid":"` + oid + `"}]}`, "", "no link"},
		{"weaker", `{"objects":[{"oid":"` + oid + `","actions":{"download":{"href":"http://cdn.example/1"}}}]}`, "", "no https"},
		{"file", `{"objects":[{"oid":"` + oid + `","actions":{"download":{"href":"file:///etc/passwd"}}}]}`, "", "no https"},
		{"relative", `{"objects":[{"oid":"` + oid + `","actions":{"download":{"href":"/1"}}}]}`, "", "no https"},
		{"another transfer", `{"transfer":"tus","objects":[]}`, "", "only basic"},
		{"another hash", `{"hash_algo":"sha512","objects":[]}`, "", "only basic"},
		{"no JSON", `<html>`, "", "can't be read"},
		{"cut", `{"objects":[{"oid":"`, "", "can't be read"},
	} {
		links, errs, err := c.Answers([]lfs.Pointer{p}, []byte(tt.data), time.Now())
		if err == nil {
			err = errs[oid]
		}
		if links[oid] != tt.link || len(links)+len(errs) > 1 || (err == nil) != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, %v", tt.name, links, err)
		}
	}
}

func FuzzAnswers(f *testing.F) {
	f.Add([]byte(`{"transfer":"basic","objects":[{"oid":"` + oid + `","size":12345,"actions":{"download":{"href":"https://cdn.example/1","expires_in":-5}}}]}`))
	f.Add([]byte(`{"objects":[{"oid":"` + oid + `","error":{"code":404,"message":"\u001b[2J"}}]}`))
	f.Add([]byte(`null`))
	c := lfs.New("https://git.example/team/app", lfs.Options{})
	f.Fuzz(func(t *testing.T, data []byte) {
		links, errs, err := c.Answers([]lfs.Pointer{{OID: oid, Size: 1}}, data, time.Now())
		if err == nil && len(links)+len(errs) != 1 {
			t.Fatalf("%d links and %d errors for one object", len(links), len(errs))
		}
		for _, l := range links {
			if !strings.HasPrefix(l, "https://") {
				t.Fatalf("link %q", l)
			}
		}
		if errs[oid] != nil {
			err = errs[oid]
		}
		if err != nil && strings.ContainsAny(err.Error(), "\x1b\n\x00") {
			t.Fatalf("the error is not fit to be shown: %q", err)
		}
	})
}

func TestEachEnds(t *testing.T) {
	s := lfstest.New(t)
	want := []lfs.Pointer{s.Put(content(10, 1)), s.Put(content(10, 2))}
	stop, n := errors.New("enough"), 0
	var kept io.Reader
	err := client(s, lfs.Options{}).Fetch(t.Context(), want, func(_ lfs.Pointer, body io.Reader, _ error) error {
		n++
		kept = body
		return stop
	})
	if err != stop || n != 1 {
		t.Errorf("%d calls, %v", n, err)
	}
	if _, err := kept.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Errorf("a body that is read after its time: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := client(s, lfs.Options{}).Fetch(ctx, want, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that has ended: %v", err)
	}
}

// BenchmarkFetch measures one large object, and many small ones, over loopback.
func BenchmarkFetch(b *testing.B) {
	for _, tt := range []struct {
		name    string
		n, size int
	}{{"large", 1, 64 << 20}, {"small", 200, 4 << 10}} {
		b.Run(tt.name, func(b *testing.B) {
			s := lfstest.New(b)
			var want []lfs.Pointer
			for i := range tt.n {
				want = append(want, s.Put(content(tt.size, byte(i))))
			}
			b.SetBytes(int64(tt.n * tt.size))
			for b.Loop() {
				err := client(s, lfs.Options{}).Fetch(b.Context(), want, func(_ lfs.Pointer, body io.Reader, err error) error {
					if err != nil {
						return err
					}
					_, err = io.Copy(io.Discard, body)
					return err
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
