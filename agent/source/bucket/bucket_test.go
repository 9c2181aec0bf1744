package bucket_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"farshore/agent/source"
	"farshore/agent/source/bucket"
	"farshore/agent/source/sourcetest"
	"farshore/providers/servers"
)

// quick are retries for tests: a failure that lasts must end soon.
var quick = bucket.Retry{Patience: 20 * time.Second, First: time.Millisecond, Most: 20 * time.Millisecond, Silence: time.Minute}

// place is a bucket of a running server.
type place struct {
	servers.S3
	client *s3.Client
	bucket string
}

func newPlace(tb testing.TB, s servers.S3) place {
	tb.Helper()
	return place{s, s.Client(tb), s.Bucket(tb)}
}

// source returns a source of the bucket; each change may alter its options.
func (p place) source(tb testing.TB, changes ...func(*bucket.Options)) *bucket.Source {
	tb.Helper()
	o := bucket.Options{Client: p.client, Bucket: p.bucket, Name: "test", Place: p.URL(p.bucket, ""), Retry: quick}
	for _, change := range changes {
		change(&o)
	}
	s, err := bucket.New(o)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func (p place) put(tb testing.TB, key, content string, changes ...func(*s3.PutObjectInput)) {
	tb.Helper()
	in := &s3.PutObjectInput{Bucket: &p.bucket, Key: &key, Body: strings.NewReader(content)}
	for _, change := range changes {
		change(in)
	}
	if _, err := p.client.PutObject(context.WithoutCancel(tb.Context()), in); err != nil {
		tb.Fatalf("put %q: %v", key, err)
	}
}

func (p place) remove(tb testing.TB, key string) {
	tb.Helper()
	_, err := p.client.DeleteObject(context.WithoutCancel(tb.Context()), &s3.DeleteObjectInput{Bucket: &p.bucket, Key: &key})
	if err != nil {
		tb.Fatalf("delete %q: %v", key, err)
	}
}

func prefix(p string) func(*bucket.Options) { return func(o *bucket.Options) { o.Prefix = p } }

// odd are keys that not every server takes.
var odd = map[string][]string{
	"fake":    {"a//b", "/lead", "dir/", "x/", "b", "ctl\x01\x02", "nl\nnl", "\ufffe", "b/", strings.Repeat("k", 900)},
	"versity": {"nl\nnl", "tab\there", strings.Repeat("k/", 100) + "k"},
	"minio":   {"dir/", "x/", "ctl\x01\x02", "nl\nnl", strings.Repeat("k/", 100) + "k"},
}

// TestServers runs what must hold on every server. Each is started once, and every test has a bucket of its own.
func TestServers(t *testing.T) {
	tests := []struct {
		name string
		test func(t *testing.T, server string, p place)
	}{
		{"conformance", conformance}, {"missing bucket", missingBucketIsAnError}, {"paging", paging}, {"attributes", attributes},
		{"placeholders", placeholders}, {"ranges", ranges}, {"changes midway", changesMidway}, {"versions", versions}, {"settings", settings},
	}
	for name, start := range map[string]func(testing.TB) servers.S3{"fake": servers.Fake, "versity": servers.Versity, "minio": servers.MinIO} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := start(t)
			for _, c := range tests {
				t.Run(c.name, func(t *testing.T) { c.test(t, name, newPlace(t, server)) })
			}
		})
	}
}

func conformance(t *testing.T, name string, p place) {
	for _, pre := range []string{"", "pre fix/é"} {
		t.Run(fmt.Sprintf("prefix %q", pre), func(t *testing.T) {
			if pre != "" {
				p.put(t, "other", "not below the prefix")
				defer p.remove(t, "other")
			}
			sourcetest.Run(t, sourcetest.Fixture{
				Source: p.source(t, prefix(pre)),
				Put:    func(tb testing.TB, path, content string) { tb.Helper(); p.put(tb, pre+path, content) },
				Delete: func(tb testing.TB, path string) { tb.Helper(); p.remove(tb, pre+path) },
				Odd:    odd[name],
			})
		})
	}
}

func missingBucketIsAnError(t *testing.T, _ string, p place) {
	p.bucket = "farshore-not-there"
	s := p.source(t)
	err := s.List(t.Context(), source.Range{}, func(source.Entry) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "there is no such bucket") {
		t.Errorf("listing of a bucket that is not there: %v", err)
	}
	if err := s.Check(t.Context()); err == nil {
		t.Error("check of a bucket that is not there: no error")
	}
	_, err = s.Capture(t.Context(), source.Entry{Path: "a", Size: 1}, nil, &sourcetest.Sink{})
	if err == nil || errors.Is(err, source.ErrGone) {
		t.Errorf("capture from a bucket that is not there: %v, want an error of the source", err)
	}
}

func TestWrongCredentialIsAnErrorOfTheSource(t *testing.T) {
	p := newPlace(t, servers.Versity(t))
	p.put(t, "a", "x")
	p.SecretKey = "wrong"
	p.client = p.Client(t)
	s := p.source(t)
	_, err := s.Capture(t.Context(), source.Entry{Path: "a", Size: 1}, nil, &sourcetest.Sink{})
	var unreadable *source.Unreadable
	if err == nil || errors.As(err, &unreadable) || !strings.Contains(err.Error(), "secret key is wrong") {
		t.Errorf("capture with a wrong secret: %v", err)
	}
	if err := s.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "secret key is wrong") {
		t.Errorf("check with a wrong secret: %v", err)
	}
}

func TestOptions(t *testing.T) {
	client := servers.S3{Endpoint: "http://127.0.0.1:1", Region: "us-east-1"}.Client(t)
	for name, o := range map[string]bucket.Options{
		"no client": {Bucket: "b"}, "no bucket": {Client: client}, "directory bucket": {Client: client, Bucket: "b--use1-az4--x-s3"},
		"no such ARN": {Client: client, Bucket: "arn:aws:s3:nonsense"},
	} {
		if _, err := bucket.New(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestEveryKindOfHTTPClient(t *testing.T) {
	p := newPlace(t, servers.Fake(t))
	p.put(t, "a", "content")
	for name, client := range map[string]s3.HTTPClient{
		"the SDK's": awshttp.NewBuildableClient(), "net/http's": &http.Client{Transport: &http.Transport{}}, "net/http's own": &http.Client{}, "another": other{},
	} {
		o := p.client.Options()
		o.HTTPClient = client
		as := place{p.S3, s3.New(o), p.bucket}
		s := as.source(t)
		if _, got := sourcetest.Capture(t, s, entry(t, s, "a")); got != "content" {
			t.Errorf("%s: captured %q", name, got)
		}
	}
}

// other is an HTTP client of some other kind.
type other struct{}

func (other) Do(r *http.Request) (*http.Response, error) { return http.DefaultClient.Do(r) }
