package gcs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fsouza/fake-gcs-server/fakestorage"
	"google.golang.org/api/option"

	"farshore/providers"
	"farshore/providers/providertest"
)

// emulator starts a store in memory with one empty bucket, "vault".
func emulator(t *testing.T) *fakestorage.Server {
	t.Helper()
	server, err := fakestorage.NewServerWithOptions(fakestorage.Options{Scheme: "http", Host: "127.0.0.1", Writer: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	server.CreateBucketWithOpts(fakestorage.CreateBucketOpts{Name: "vault"})
	return server
}

// open opens gs://path at the endpoint of an emulator.
func open(t *testing.T, path, endpoint string) (context.Context, *Driver) {
	t.Helper()
	return openWith(t, "gs://"+path+"?endpoint="+url.QueryEscape(endpoint), nil)
}

// openAt opens gs://path as Google's own, but all requests go to host.
func openAt(t *testing.T, path, host string) (context.Context, *Driver) {
	t.Helper()
	return openWith(t, "gs://"+path, redirect(host))
}

// redirect sends every request to a host without encryption, and leaves the name of the host that was meant in it.
type redirect string

func (host redirect) RoundTrip(r *http.Request) (*http.Response, error) {
	meant := r.URL.Host
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host, r.Host = "http", string(host), meant
	return http.DefaultTransport.RoundTrip(r)
}

// openWith opens the URL. The client would wait for ever on some faults, so the context always has an end.
func openWith(t *testing.T, rawURL string, transport http.RoundTripper) (context.Context, *Driver) {
	t.Helper()
	var o Options
	if transport != nil {
		o.Client = []option.ClientOption{option.WithHTTPClient(&http.Client{Transport: transport})}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	d, err := Open(ctx, rawURL, o)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return ctx, d
}

// create stores the bytes.
func create(ctx context.Context, d *Driver, name string, body []byte) (providers.Info, error) {
	return d.Create(ctx, name, io.NewSectionReader(bytes.NewReader(body), 0, int64(len(body))), sha256.Sum256(body))
}

// TestConformance runs over the JSON interface alone, as with an emulator, and with contents read over the XML interface, as with Google.
func TestConformance(t *testing.T) {
	server := emulator(t)
	t.Run("json", func(t *testing.T) {
		providertest.Run(t, func(t *testing.T) providers.Driver {
			_, d := open(t, "vault/json", server.URL())
			return d
		})
	})
	t.Run("xml", func(t *testing.T) {
		providertest.Run(t, func(t *testing.T) providers.Driver {
			_, d := openAt(t, "vault", strings.TrimPrefix(server.URL(), "http://"))
			return d
		})
	})
}

func TestOpenURL(t *testing.T) {
	tests := []struct {
		url, place, fails string
	}{
		{url: "gs://vault", place: "gs://vault"},
		{url: "gs://vault/a/b/", place: "gs://vault/a/b"},
		{url: "gs://vault/a?endpoint=http%3A%2F%2F127.0.0.1%3A4443%2F", place: "gs://vault/a?endpoint=http%3A%2F%2F127.0.0.1%3A4443"},
		{url: "s3://vault", fails: "want gs://bucket/prefix"},
		{url: "gs:///a", fails: "want gs://bucket/prefix"},
		{url: "gs://user:secret@vault/a", fails: "credentials come from the environment"},
		{url: "gs://vault:443/a", fails: "only gs://bucket/prefix"},
		{url: "gs://vault?endpont=https://x", fails: `unknown setting "endpont"`},
		{url: "gs://vault?endpoint=ftp://x", fails: "want https://host"},
		{url: "gs://vault?endpoint=https://user:secret@x", fails: "want https://host"},
		{url: "gs://user:secret@va ult/", fails: "want gs://bucket/prefix"},
	}
	for _, test := range tests {
		t.Run(test.url, func(t *testing.T) {
			p, err := parse(test.url)
			switch {
			case test.fails == "" && (err != nil || p.String() != test.place):
				t.Errorf("got %s, %v, want %s", p, err, test.place)
			case test.fails != "" && (err == nil || !strings.Contains(err.Error(), test.fails)):
				t.Errorf("got %v, want an error with %q", err, test.fails)
			case err != nil && strings.Contains(err.Error(), "secret"):
				t.Errorf("the error repeats a password: %v", err)
			}
		})
	}
}

// TestTraits holds the driver to what the rest of farshore builds on.
func TestTraits(t *testing.T) {
	_, d := open(t, "vault/a", emulator(t).URL())
	got := d.Traits()
	if got.Kind != "gs" || got.CreateOnly != providers.CreateOnlyStore || got.Checksum != "MD5" || got.Local {
		t.Errorf("traits: %+v", got)
	}
}

// TestStoredAsSealed looks at the object as the store has it: below the prefix, with the type and the checksums that were sent.
func TestStoredAsSealed(t *testing.T) {
	server := emulator(t)
	ctx, d := open(t, "vault/deep/er", server.URL())
	body := bytes.Repeat([]byte{0x1f, 0x8b, 0x00}, 1000) // begins like gzip
	info, err := create(ctx, d, "packs/ab/cd", body)
	if err != nil {
		t.Fatal(err)
	}
	if info.Name != "packs/ab/cd" || info.Size != 3000 || time.Since(info.Modified).Abs() > time.Minute {
		t.Errorf("created %+v", info)
	}
	o, err := server.GetObject("vault", "deep/er/packs/ab/cd")
	if err != nil {
		t.Fatal(err)
	}
	if o.ContentType != contentType || o.ContentEncoding != "" || !bytes.Equal(o.Content, body) {
		t.Errorf("stored type %q, encoding %q, %d bytes", o.ContentType, o.ContentEncoding, len(o.Content))
	}
}

// TestListPages lists in pages of all sizes, with names outside of the prefix on both sides.
func TestListPages(t *testing.T) {
	const n = 60
	server := emulator(t)
	var want []string
	for i := range n {
		name := fmt.Sprintf("packs/%04d", i)
		want = append(want, name)
		server.CreateObject(fakestorage.Object{ObjectAttrs: fakestorage.ObjectAttrs{BucketName: "vault", Name: "v/" + name}, Content: []byte("x")})
	}
	for _, name := range []string{"v/other", "u/packs/0001", "w/packs/0001", "v2/packs/0001"} {
		server.CreateObject(fakestorage.Object{ObjectAttrs: fakestorage.ObjectAttrs{BucketName: "vault", Name: name}})
	}
	ctx, d := open(t, "vault/v", server.URL())
	for _, limit := range []int{1, 7, n - 1, n, n + 1, 5 * listPage} {
		var got []string
		after, more := "", true
		for more {
			var page []providers.Info
			var err error
			page, more, err = d.List(ctx, "packs/", after, limit)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 || len(page) > limit {
				t.Fatalf("limit %d: a page of %d after %q", limit, len(page), after)
			}
			for _, info := range page {
				got = append(got, info.Name)
			}
			after = got[len(got)-1]
		}
		if !slices.Equal(got, want) {
			t.Errorf("limit %d: listed %d names, want %d, or not in order", limit, len(got), len(want))
		}
	}
}

// TestMissingBucket wants an error that says what to do, of an operation that would otherwise blame the object.
func TestMissingBucket(t *testing.T) {
	ctx, d := open(t, "nowhere/a", emulator(t).URL())
	_, createErr := create(ctx, d, "a", []byte("x"))
	_, _, listErr := d.List(ctx, "", "", 10)
	for op, err := range map[string]error{"create": createErr, "list": listErr} {
		if providers.KindOf(err) != providers.NotFound || !strings.Contains(err.Error(), "bucket nowhere does not exist") {
			t.Errorf("%s: %v", op, err)
		}
	}
	_, err := d.Stat(ctx, "a")
	if providers.KindOf(err) != providers.NotFound {
		t.Errorf("stat: %v", err)
	}
}
