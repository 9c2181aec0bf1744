// Package gcsprobe tries, on canaries only, what a thief would do to a vault in a bucket of Google Cloud Storage.
//
// Each probe of an object is a request that a credential may make only with a permission that a writer does not have: to replace, to delete, to change metadata, holds and
// retention. Where the store has a condition that can't be met, the request carries it: a store that answers 412 would have done it. A bucket is asked which
// permissions the credential has, and gets one request to change it, which carries such a condition and says nothing but what the bucket says already. What is
// sent never deletes a bucket, nor touches its IAM policy.
package gcsprobe

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"cloud.google.com/go/storage"
	"google.golang.org/api/option"

	"farshore/agent/probe"
	"farshore/agent/record"
	"farshore/providers/gcs"
)

// Attacker tries at a vault in a bucket of Google Cloud Storage. It is not for concurrent use.
type Attacker struct {
	client   *storage.Client
	bucket   *storage.BucketHandle
	prefix   string
	emulator bool
	// foreign is true where the caller gave the client's options, and with them perhaps the credential.
	foreign bool
	// sources are the newest canary of each room, which copies are made from.
	sources map[string]string
	now     func() time.Time
}

var _ probe.Attacker = (*Attacker)(nil)

// New returns the attacker for gs://bucket/prefix, with the credential and the client that gcs.Open would use. Nothing is read or written. The caller closes it.
func New(ctx context.Context, rawURL string, o gcs.Options) (*Attacker, error) {
	u, err := place(ctx, rawURL, o)
	if err != nil {
		return nil, err
	}
	a := &Attacker{prefix: strings.Trim(u.Path, "/"), foreign: len(o.Client) > 0, sources: map[string]string{}, now: time.Now}
	if a.prefix != "" {
		a.prefix += "/"
	}
	endpoint := u.Query().Get("endpoint")
	// As in the driver: no credential crosses a network in clear.
	a.emulator = strings.HasPrefix(endpoint, "http://")
	// The client goes on to use the context for its credentials after New has returned.
	if a.client, err = storage.NewClient(context.WithoutCancel(ctx), options(endpoint, a.emulator, o)...); err != nil {
		return nil, fmt.Errorf("open %s for the probe: %w", u, err)
	}
	a.client.SetRetry(storage.WithPolicy(storage.RetryNever))
	a.bucket = a.client.Bucket(u.Host)
	return a, nil
}

// place has the driver read the URL, so that the probe is never somewhere else than the vault.
func place(ctx context.Context, rawURL string, o gcs.Options) (*url.URL, error) {
	d, err := gcs.Open(ctx, rawURL, o)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(d.Traits().Place)
	return u, errors.Join(err, d.Close())
}

// options are the client library's options.
func options(endpoint string, emulator bool, o gcs.Options) []option.ClientOption {
	var opts []option.ClientOption
	if endpoint != "" {
		opts = append(opts, option.WithEndpoint(endpoint+"/storage/v1/"))
	}
	if emulator {
		opts = append(opts, option.WithoutAuthentication(), storage.WithJSONReads())
	}
	return append(opts, o.Client...)
}

// Close releases the client's connections.
func (a *Attacker) Close() error { return a.client.Close() }

// object is where every name that is sent comes from. It refuses what is no canary's name.
func (a *Attacker) object(name string) (*storage.ObjectHandle, error) {
	if !record.IsCanary(name) {
		return nil, fmt.Errorf("%q is not a canary's name, and the probe touches nothing else", name)
	}
	return a.bucket.Object(a.prefix + name), nil
}

// Create writes a canary, create-only. The version is its generation.
func (a *Attacker) Create(ctx context.Context, name string, body []byte) (string, probe.Result) {
	o, err := a.object(name)
	if err != nil {
		return "", refused(err)
	}
	generation, err := write(ctx, o.If(storage.Conditions{DoesNotExist: true}), body)
	r := answer(err)
	if status(err) == http.StatusPreconditionFailed {
		// Here the condition is the point: the name is taken, and nothing is proven.
		r.Answer, r.Text = probe.Unknown, "the name is taken: "+err.Error()
	}
	if r.Answer != probe.Permitted {
		return "", r
	}
	a.sources[room(name)] = name
	return fmt.Sprint(generation), r
}

func room(name string) string {
	room, _, _ := strings.Cut(name, "/")
	return room
}

// write stores the body in one request and returns its generation.
func write(ctx context.Context, o *storage.ObjectHandle, body []byte) (int64, error) {
	// Ending the context is how an upload is given up.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w := o.NewWriter(ctx)
	w.ChunkSize = 0
	w.ContentType = "application/octet-stream"
	if _, err := w.Write(body); err != nil {
		cancel()
		_ = w.Close() // the first error is the cause
		return 0, err
	}
	if err := w.Close(); err != nil {
		return 0, err
	}
	return w.Attrs().Generation, nil
}

// Notes say what this store can't be asked.
func (a *Attacker) Notes() []string {
	notes := []string{
		"rights on the project are not seen from the bucket: whoever may create HMAC keys for another service account, act as one, set the project's IAM policy or delete the project, can do more than this probe shows",
		"deleting the bucket and setting its IAM policy were not tried: the store was asked whether this credential has the permission",
		"a request that is refused because the token's scopes are narrow proves nothing: whoever has the credential asks for a wider token",
	}
	if a.emulator {
		notes = append(notes, "an endpoint with http:// is an emulator's: it was asked without a credential")
	}
	return notes
}
