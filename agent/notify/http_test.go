package notify

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"farshore/providers/servers"
)

// token stands for what in an address is a secret.
const token = "T0KENx9-s3cret"

// server is a test server with its address, which has a secret in its path and in its query.
func server(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL + "/" + token + "?key=" + token
}

func webhook(t *testing.T, address, secret string) *Poster {
	t.Helper()
	p, err := NewWebhook(address, secret)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var base = Event{
	Kind: Pass, Outcome: Failure, Subject: "source 2 of 3", Vault: "0123456789ab", Text: "It FAILED.", Source: "marked-source", Detail: "marked/item could not be read\nhint",
	Fields: []Field{{"new", "3"}, {"changed", "1"}}, Code: "denied", Exit: 1, Time: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC),
}

// TestWebhook holds what is posted to what is documented: the body, its signature with the time in it, and no name.
func TestWebhook(t *testing.T) {
	var body []byte
	var header http.Header
	p := webhook(t, server(t, func(_ http.ResponseWriter, r *http.Request) {
		header = r.Header
		body, _ = io.ReadAll(r.Body)
	}), "shared")
	p.now = func() time.Time { return time.Unix(1_700_000_000, 0) }
	if err := p.Send(t.Context(), base.message(false, false)); err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, []byte("shared"))
	fmt.Fprintf(mac, "1700000000.%s", body)
	if got, want := header.Get("X-Farshore-Signature"), "sha256="+hex.EncodeToString(mac.Sum(nil)); got != want || header.Get("X-Farshore-Timestamp") != "1700000000" {
		t.Errorf("signature %q, want %q", got, want)
	}
	var m Message
	if err := json.Unmarshal(body, &m); err != nil {
		t.Fatal(err)
	}
	if m.ID == "" || m.ID != header.Get("X-Farshore-Delivery") || header.Get("X-Farshore-Event") != "pass.failure" {
		t.Errorf("id %q, header %v", m.ID, header)
	}
	m.ID = ""
	got, _ := json.Marshal(m)
	want := `{"schema":"farshore.event/1","id":"","time":"2026-03-04T05:06:07Z","kind":"pass","outcome":"failure","recovered":false,"vault":"0123456789ab","subject":"source 2 of 3","title":"farshore: pass of source 2 of 3 FAILED","text":"It FAILED.","code":"denied","exit":1,"fields":[{"name":"new","value":"3"},{"name":"changed","value":"1"}]}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestAnswers tries what a server may answer with, and holds every error to have nothing of the address in it.
func TestAnswers(t *testing.T) {
	lower := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(lower.Close)
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		want   string
		again  bool
	}{
		"refused": {func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "no such hook "+token, http.StatusNotFound)
		}, "it answered 404 Not Found", false},
		"throttled": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) }, "it answered 429 Too Many Requests", true},
		"broken":    {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }, "it answered 503 Service Unavailable", true},
		"hangs":     {func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body); <-r.Context().Done() }, "it did not answer in time", true},
		"dies":      {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "it closed the connection without an answer", true},
		"circle": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.String(), http.StatusTemporaryRedirect)
		}, "redirects more than three times", false},
		"method": {func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost { // by GET it would seem well
				http.Redirect(w, r, "/"+token, http.StatusFound)
			}
		}, "such that the message would be lost", false},
		"lower": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://example.invalid/"+token, http.StatusTemporaryRedirect)
		}, "an address without TLS", false},
		"nonsense": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://[::1/"+token)
			w.WriteHeader(http.StatusTemporaryRedirect)
		}, "could not be reached, or did not take", false},
		"scheme": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "file:///etc/passwd", http.StatusTemporaryRedirect)
		}, "without TLS", false},
		"headers": {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 1<<20)) }, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			p := webhook(t, server(t, tt.answer), "shared-secret")
			if name == "hangs" {
				p.client.Timeout = 50 * time.Millisecond
			}
			err := p.Send(t.Context(), base.message(false, false))
			var f *Fault
			if !errors.As(err, &f) || !strings.Contains(err.Error(), tt.want) || f.again != tt.again && tt.want != "" {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			discreet(t, fmt.Sprintf("%v %+v %#v", err, err, err))
		})
	}
	t.Run("nobody", func(t *testing.T) {
		address := "http://" + servers.Unused(t) + "/" + token
		err := webhook(t, address, "").Send(t.Context(), base.message(false, false))
		if err == nil || !strings.Contains(err.Error(), "nothing listens") {
			t.Error(err)
		}
		discreet(t, fmt.Sprint(err))
	})
	t.Run("certificate", func(t *testing.T) {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		s.StartTLS()
		t.Cleanup(s.Close)
		err := webhook(t, s.URL+"/"+token, "").Send(t.Context(), base.message(false, false))
		if err == nil || !strings.Contains(err.Error(), "certificate") {
			t.Error(err)
		}
		discreet(t, fmt.Sprint(err))
	})
	t.Run("downgrade", func(t *testing.T) {
		s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, lower.URL+"/"+token, http.StatusTemporaryRedirect)
		}))
		t.Cleanup(s.Close)
		p := webhook(t, s.URL+"/"+token, "")
		p.client.Transport = s.Client().Transport
		err := p.Send(t.Context(), base.message(false, false))
		if err == nil || !strings.Contains(err.Error(), "without TLS") {
			t.Errorf("a redirect from https to http of this machine: %v", err)
		}
	})
}

// discreet holds a text to have no secret in it.
func discreet(t *testing.T, text string) {
	t.Helper()
	if strings.Contains(text, token) || strings.Contains(text, "T0KEN") || strings.Contains(text, "shared-secret") {
		t.Errorf("a secret shows: %s", text)
	}
}

// TestRedirect holds that one which keeps the message is followed, and that the first address, a secret, is not told to the second.
func TestRedirect(t *testing.T) {
	var got *http.Request
	var body []byte
	end := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
	}))
	t.Cleanup(end.Close)
	p := webhook(t, server(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, end.URL+"/elsewhere", http.StatusPermanentRedirect)
	}), "")
	if err := p.Send(t.Context(), base.message(false, false)); err != nil {
		t.Fatal(err)
	}
	if got.Method != http.MethodPost || !strings.Contains(string(body), "farshore.event/1") {
		t.Errorf("%s %s", got.Method, body)
	}
	discreet(t, fmt.Sprint(got.Header))
}

// TestHugeAnswer holds that an answer without an end is not read to it.
func TestHugeAnswer(t *testing.T) {
	stopped := make(chan int64, 1)
	p := webhook(t, server(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		var n int64
		block := make([]byte, 32<<10)
		for n < 1<<30 {
			k, err := w.Write(block)
			n += int64(k)
			if err != nil {
				break
			}
		}
		stopped <- n
	}), "")
	if err := p.Send(t.Context(), base.message(false, false)); err != nil {
		t.Fatal(err)
	}
	if n := <-stopped; n >= 1<<30 {
		t.Errorf("%d bytes of the answer were read", n)
	}
}

// TestAddresses holds which addresses are taken, and that an error says nothing of one.
func TestAddresses(t *testing.T) {
	for address, ok := range map[string]bool{
		"https://hooks.example.net/" + token: true, "http://127.0.0.1:80/" + token: true, "http://[::1]/" + token: true, "http://localhost:1/" + token: true,
		"http://hooks.example.net/" + token: false, "http://127.0.0.1.example.net/" + token: false, "ftp://127.0.0.1/" + token: false, token: false, "": false, "https:///" + token: false,
		"https://exa mple/" + token: false, "https://[::1/" + token: false, "HTTPS://hooks.example.net/": true, "http://localhost.example.net/": false, "https://user:" + token + "@h\x00/": false,
	} {
		_, err := NewWebhook(address, "")
		if (err == nil) != ok {
			t.Errorf("%q: %v", address, err)
		}
		discreet(t, fmt.Sprint(err))
	}
}

// TestPing holds the calls of a switch to what such services expect, with the query kept.
func TestPing(t *testing.T) {
	var calls []string
	address := server(t, func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		first, _, _ := strings.Cut(string(body), "\n")
		calls = append(calls, r.Method+" "+r.URL.String()+" "+first)
		if strings.Contains(string(body), "marked") || len(body) > maxPing {
			t.Errorf("body of %d bytes: %s", len(body), body)
		}
	})
	n := New(Options{})
	for _, outcome := range []Outcome{Success, Warning} {
		s := n.NewSwitch(address, nil)
		s.Begin(t.Context())
		e := base
		e.Outcome, e.Exit, e.Text = outcome, map[Outcome]int{Success: 0, Warning: 3}[outcome], strings.Repeat("long ", 10_000)
		s.End(t.Context(), e)
		n.Wait()
	}
	want := "POST /" + token + "/start?key=" + token + " |POST /" + token + "?key=" + token + " exit code 0|" +
		"POST /" + token + "/start?key=" + token + " |POST /" + token + "/fail?key=" + token + " exit code 3"
	if got := strings.Join(calls, "|"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestBackground holds that an interrupted run still tells.
func TestBackground(t *testing.T) {
	called := 0
	address := server(t, func(http.ResponseWriter, *http.Request) { called++ })
	n := New(Options{Channels: []Channel{{Name: "ops", On: []Outcome{Failure}, Sender: webhook(t, address, "")}}})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	n.Tell(ctx, base)
	results, _ := n.Wait()
	if called != 1 || len(results) != 1 || !results[0].Sent {
		t.Errorf("%d calls, %+v", called, results)
	}
}
