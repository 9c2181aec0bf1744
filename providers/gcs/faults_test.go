package gcs

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/auth"
	"golang.org/x/oauth2"

	"farshore/providers"
	"farshore/providers/servers"
)

// answering starts a store that gives every request the same answer, and counts them.
func answering(t *testing.T, status int, body string) (endpoint string, requests func() int) {
	t.Helper()
	count := make(chan int, 1)
	count <- 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		count <- <-count + 1
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	return server.URL, func() int {
		n := <-count
		count <- n
		return n
	}
}

// said is an error as the store words it.
func said(status int, reason, message string) string {
	return fmt.Sprintf(`{"error":{"code":%d,"message":%q,"errors":[{"message":%q,"domain":"global","reason":%q}]}}`, status, message, message, reason)
}

// TestAnswers holds each answer of the store to its kind, and the driver to one request: retrying is the Bucket's.
func TestAnswers(t *testing.T) {
	tests := []struct {
		name            string
		status          int
		reason, message string
		create, open    providers.Kind
	}{
		{"precondition", 412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.", providers.Exists, providers.Exists},
		{"may not replace", 403, "forbidden", "agent@x does not have storage.objects.delete access to the Google Cloud Storage object.", providers.Exists, providers.Denied},
		{"may not create", 403, "forbidden", "agent@x does not have storage.objects.create access to the Google Cloud Storage object.", providers.Denied, providers.Denied},
		{"bad token", 401, "authError", "Invalid Credentials", providers.Unauthenticated, providers.Unauthenticated},
		{"too fast", 429, "rateLimitExceeded", "The rate of change requests exceeds the limit.", providers.Throttled, providers.Throttled},
		{"too fast, old style", 403, "userRateLimitExceeded", "User Rate Limit Exceeded", providers.Throttled, providers.Throttled},
		{"quota", 403, "quotaExceeded", "The quota has been exceeded.", providers.Full, providers.Full},
		{"damaged", 400, "invalid", `Provided MD5 hash "a" doesn't match calculated MD5 hash "b".`, providers.Corrupt, providers.Other},
		{"bad request", 400, "invalid", "Invalid argument.", providers.Other, providers.Other},
		{"timeout", 408, "uploadBrokenConnection", "Request Timeout", providers.Temporary, providers.Temporary},
		{"broken", 500, "backendError", "Backend Error", providers.Temporary, providers.Temporary},
		{"unavailable", 503, "backendError", "Backend Error", providers.Temporary, providers.Temporary},
		{"not there", 404, "notFound", "Not Found", providers.NotFound, providers.NotFound},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			endpoint, requests := answering(t, test.status, said(test.status, test.reason, test.message))
			ctx, d := open(t, "vault", endpoint)
			if _, err := create(ctx, d, "packs/a", []byte("x")); providers.KindOf(err) != test.create {
				t.Errorf("create: %v, want kind %q", err, test.create)
			}
			if _, err := d.Open(ctx, "packs/a", 0, -1); providers.KindOf(err) != test.open {
				t.Errorf("open: %v, want kind %q", err, test.open)
			}
			if n := requests(); n != 2 {
				t.Errorf("%d requests for two calls", n)
			}
		})
	}
}

// TestEarlyAnswer has the store answer before most of the body was sent: the answer must not be hidden by the broken upload.
func TestEarlyAnswer(t *testing.T) {
	endpoint, _ := answering(t, 412, said(412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold."))
	ctx, d := open(t, "vault", endpoint)
	if _, err := create(ctx, d, "packs/a", bytes.Repeat([]byte("x"), 16<<20)); providers.KindOf(err) != providers.Exists {
		t.Errorf("create: %v, want kind %q", err, providers.Exists)
	}
}

// TestXMLAnswers reads as from Google itself, where answers have the form of the XML interface.
func TestXMLAnswers(t *testing.T) {
	for status, want := range map[int]providers.Kind{
		401: providers.Unauthenticated, 403: providers.Denied, 404: providers.NotFound, 429: providers.Throttled, 503: providers.Temporary,
	} {
		endpoint, requests := answering(t, status, "<?xml version='1.0' encoding='UTF-8'?><Error><Code>Some</Code><Message>Some.</Message></Error>")
		ctx, d := openAt(t, "vault", strings.TrimPrefix(endpoint, "http://"))
		if _, err := d.Open(ctx, "packs/a", 5, -1); providers.KindOf(err) != want || requests() != 1 {
			t.Errorf("%d: %v after %d requests, want kind %q", status, err, requests(), want)
		}
	}
}

// refused is a transport that gets no token.
type refused struct{ err error }

func (r refused) RoundTrip(*http.Request) (*http.Response, error) { return nil, r.err }

// TestNoToken tells a credential that is refused from a token service that has a bad day.
func TestNoToken(t *testing.T) {
	tests := map[string]struct {
		err  error
		want providers.Kind
	}{
		"refused":            {&auth.Error{Response: &http.Response{StatusCode: 400}}, providers.Unauthenticated},
		"refused, old style": {&oauth2.RetrieveError{Response: &http.Response{StatusCode: 401}}, providers.Unauthenticated},
		"broken":             {&auth.Error{Response: &http.Response{StatusCode: 503}}, providers.Temporary},
		"too fast":           {&auth.Error{Response: &http.Response{StatusCode: 429}}, providers.Temporary},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			ctx, d := openWith(t, "gs://vault", refused{test.err})
			if _, err := d.Stat(ctx, "a"); providers.KindOf(err) != test.want {
				t.Errorf("stat: %v, want kind %q", err, test.want)
			}
		})
	}
}

// TestUnreachable has nobody listen.
func TestUnreachable(t *testing.T) {
	ctx, d := open(t, "vault", "http://"+servers.Unused(t))
	_, err := create(ctx, d, "a", []byte("x"))
	if providers.KindOf(err) != providers.Temporary {
		t.Errorf("create: %v, want a temporary failure", err)
	}
	if _, _, err := d.List(ctx, "", "", 1); providers.KindOf(err) != providers.Temporary {
		t.Errorf("list: %v, want a temporary failure", err)
	}
}

// TestGivesUp has the store never answer: the context's end must end each call.
func TestGivesUp(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(release) })
	_, d := open(t, "vault", server.URL)
	calls := map[string]func(context.Context) error{
		"create": func(ctx context.Context) error { _, err := create(ctx, d, "a", make([]byte, 8<<20)); return err },
		"open":   func(ctx context.Context) error { _, err := d.Open(ctx, "a", 0, -1); return err },
		"stat":   func(ctx context.Context) error { _, err := d.Stat(ctx, "a"); return err },
		"list":   func(ctx context.Context) error { _, _, err := d.List(ctx, "", "", 1); return err },
	}
	for op, call := range calls {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if err := call(ctx); err == nil || ctx.Err() == nil {
			t.Errorf("%s: %v before the context's end", op, err)
		}
		cancel()
	}
}

// TestDamagedBody serves bytes that are not those of the CRC32C in the answer.
func TestDamagedBody(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Goog-Hash", "crc32c=AAAAAA==")
		io.WriteString(w, "other bytes")
	}))
	t.Cleanup(server.Close)
	ctx, d := open(t, "vault", server.URL)
	r, err := d.Open(ctx, "a", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	_, err = io.ReadAll(r)
	if providers.KindOf(err) != providers.Corrupt || !strings.Contains(err.Error(), "CRC") {
		t.Errorf("read: %v, want kind %q", err, providers.Corrupt)
	}
}

// TestNotDecompressed stores bytes under an encoding that the store would undo: what is read must be what is stored.
func TestNotDecompressed(t *testing.T) {
	var accepted string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		accepted = r.Header.Get("Accept-Encoding")
		w.Header().Set("Content-Encoding", "gzip")
		io.WriteString(w, "not gzip at all")
	}))
	t.Cleanup(server.Close)
	ctx, d := openAt(t, "vault", strings.TrimPrefix(server.URL, "http://"))
	r, err := d.Open(ctx, "a", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if err != nil || string(got) != "not gzip at all" || accepted != "gzip" {
		t.Errorf("read %q, %v; accepted %q", got, err, accepted)
	}
}
