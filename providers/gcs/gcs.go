// Package gcs keeps a vault in a bucket of Google Cloud Storage, over the store's JSON interface; contents are read over its XML interface.
//
// The store itself makes a vault append-only here: a credential with roles/storage.objectCreator and roles/storage.objectViewer
// on the bucket can add, list and read, and can neither replace nor delete. Every create asks for generation 0, so even a stronger
// credential writes no name twice; and every upload carries the CRC32C and the MD5 of its bytes, which the store checks before it
// keeps them.
//
// The driver retries nothing: the Bucket does. It never creates, changes or removes a bucket.
package gcs

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"

	"cloud.google.com/go/storage"
	"google.golang.org/api/option"

	"farshore/providers"
)

// Scheme is the scheme of the driver's URLs.
const Scheme = "gs"

// Options are what a URL does not say.
type Options struct {
	// Client is handed to the store's client library after the driver's own options. Empty means the application default
	// credentials: GOOGLE_APPLICATION_CREDENTIALS, gcloud's, or the machine's service account.
	Client []option.ClientOption
}

// Driver stores objects below one prefix of one bucket. It may be used concurrently.
type Driver struct {
	client *storage.Client
	bucket *storage.BucketHandle
	place  place

	policyMu sync.Mutex
	policy   knownPolicy
}

var _ providers.Driver = (*Driver)(nil)

// place is where a vault lies: prefix is empty or ends with a slash, endpoint is empty for Google's own.
type place struct {
	bucket, prefix, endpoint string
}

// Open returns the driver for gs://bucket/prefix. With ?endpoint=https://host it speaks to that host in place of Google's public one, with
// the same credentials; an endpoint with http:// is for emulators and gets none. Nothing is read or written: a missing bucket and a
// refused credential show with the first request. Close it after use.
func Open(ctx context.Context, rawURL string, o Options) (*Driver, error) {
	p, err := parse(rawURL)
	if err != nil {
		return nil, err
	}
	// The client goes on to use the context for its credentials after Open has returned.
	client, err := storage.NewClient(context.WithoutCancel(ctx), p.options(o)...)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w (the credential comes from GOOGLE_APPLICATION_CREDENTIALS, from `gcloud auth application-default login`, or from the machine's service account)", p, err)
	}
	client.SetRetry(storage.WithPolicy(storage.RetryNever))
	return &Driver{client: client, bucket: client.Bucket(p.bucket), place: p}, nil
}

// Close releases the client's connections. Nothing may be in progress.
func (d *Driver) Close() error { return d.client.Close() }

// Traits says what kind of store this is.
func (d *Driver) Traits() providers.Traits {
	return providers.Traits{
		Kind:       Scheme,
		Place:      d.place.String(),
		CreateOnly: providers.CreateOnlyStore,
		Checksum:   "MD5",
	}
}

// object returns the handle of an object of the vault.
func (d *Driver) object(name string) *storage.ObjectHandle {
	return d.bucket.Object(d.place.prefix + name)
}

// parse reads a URL. Only what Open understands is accepted, so that a misspelt setting is not silently ignored.
func parse(rawURL string) (place, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		// The error would repeat the URL, and with it a password that has no place in one.
		return place{}, errors.New("the vault's URL can't be read: want gs://bucket/prefix")
	}
	switch {
	case u.Scheme != Scheme || u.Host == "" || u.Opaque != "":
		return place{}, fmt.Errorf("%s is no bucket: want gs://bucket/prefix", u.Redacted())
	case u.User != nil || u.Port() != "" || u.Fragment != "":
		return place{}, fmt.Errorf("%s: only gs://bucket/prefix is understood; credentials come from the environment", u.Redacted())
	}
	p := place{bucket: u.Host, prefix: strings.Trim(u.Path, "/")}
	if p.prefix != "" {
		p.prefix += "/"
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return place{}, fmt.Errorf("%s: the part after ? can't be read: %w", u.Redacted(), err)
	}
	for key := range query {
		if key != "endpoint" {
			return place{}, fmt.Errorf("%s: unknown setting %q: only endpoint is known", u.Redacted(), key)
		}
		p.endpoint, err = parseEndpoint(query.Get(key))
	}
	return p, err
}

// parseEndpoint checks the address of another host and returns it without a slash at the end.
func parseEndpoint(s string) (string, error) {
	e, err := url.Parse(s)
	if err != nil || e.Host == "" || (e.Scheme != "http" && e.Scheme != "https") || e.User != nil || e.RawQuery != "" {
		return "", errors.New("endpoint: want https://host, or http://host:port for an emulator")
	}
	return strings.TrimRight(e.String(), "/"), nil
}

// String returns the URL, which holds no secret.
func (p place) String() string {
	s := Scheme + "://" + p.bucket
	if p.prefix != "" {
		s += "/" + strings.TrimSuffix(p.prefix, "/")
	}
	if p.endpoint != "" {
		s += "?endpoint=" + url.QueryEscape(p.endpoint)
	}
	return s
}

// isEmulator reports whether the endpoint is none of Google's: those are all encrypted.
func (p place) isEmulator() bool { return strings.HasPrefix(p.endpoint, "http://") }

// options returns the client library's options.
func (p place) options(o Options) []option.ClientOption {
	var opts []option.ClientOption
	if p.endpoint != "" {
		opts = append(opts, option.WithEndpoint(p.endpoint+"/storage/v1/"))
	}
	if p.isEmulator() {
		// No credential crosses a network in clear, and emulators serve the XML interface under names of their own.
		opts = append(opts, option.WithoutAuthentication(), storage.WithJSONReads())
	}
	return append(opts, o.Client...)
}
