// Package servers runs real S3 servers for tests and benchmarks, and nothing else: the product never imports it.
//
// Versity and MinIO run in processes of their own, so that their work is not counted as the caller's, and die with the process that
// started them. Fake runs inside the test, for what needs no real server. All listen on 127.0.0.1 only, and what a server
// printed is logged when the test failed.
package servers

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// RequireEnv names the environment variable that, set to "all", makes a missing server fail the test instead of skipping it.
const RequireEnv = "FARSHORE_TEST_REQUIRE"

// S3 is a running S3 server and one account on it. It may be copied and used concurrently.
type S3 struct {
	Endpoint, Region, AccessKey, SecretKey string

	guest   string // key and secret of a second account, "" where there is none
	process *process
	stop    func()
}

// Credentials returns the account's credentials.
func (s S3) Credentials() aws.CredentialsProvider {
	return credentials.NewStaticCredentialsProvider(s.AccessKey, s.SecretKey, "")
}

// Client returns a client of the account, with path-style addresses and the SDK's own retries.
func (s S3) Client(tb testing.TB) *s3.Client {
	tb.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	tb.Cleanup(transport.CloseIdleConnections)
	return s3.New(s3.Options{
		BaseEndpoint: aws.String(s.Endpoint), Region: s.Region, UsePathStyle: true, Credentials: s.Credentials(),
		HTTPClient:                 &http.Client{Transport: transport},
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
	})
}

// Bucket creates an empty bucket with a new name and returns the name. Each option may change the request, to ask for Object Lock for example.
func (s S3) Bucket(tb testing.TB, options ...func(*s3.CreateBucketInput)) string {
	tb.Helper()
	in := &s3.CreateBucketInput{Bucket: aws.String("farshore-" + token())}
	for _, o := range options {
		o(in)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if _, err := s.Client(tb).CreateBucket(ctx, in); err != nil {
		tb.Fatalf("create bucket %s at %s: %v", *in.Bucket, s.Endpoint, err)
	}
	return *in.Bucket
}

// URL returns the address of the prefix in the bucket as configurations write it: without credentials.
func (s S3) URL(bucket, prefix string) string {
	u := url.URL{Scheme: "s3", Host: bucket, Path: "/" + prefix}
	q := url.Values{"endpoint": {s.Endpoint}, "region": {s.Region}, "path_style": {"true"}}
	u.RawQuery = q.Encode()
	return u.String()
}

// Guest returns the same server with a second account, which may do only what a bucket's policy grants it. ok is false where the server has
// no second account.
func (s S3) Guest() (guest S3, ok bool) {
	if s.guest == "" {
		return S3{}, false
	}
	s.AccessKey, s.SecretKey, s.guest = guestKey, s.guest, ""
	return s, true
}

// PID returns the server's process id; 0 for a server inside the test's own process.
func (s S3) PID() int {
	if s.process == nil {
		return 0
	}
	return s.process.cmd.Process.Pid
}

// Stop ends the server before the test does, and returns when it has ended. More than one call is harmless.
func (s S3) Stop() { s.stop() }

// Missing ends the test because a program that it needs is not there: skipped, or failed where RequireEnv is "all". how says how
// to get it.
func Missing(tb testing.TB, what, how string) {
	tb.Helper()
	if os.Getenv(RequireEnv) == "all" {
		tb.Fatalf("%s is missing and %s=all: %s", what, RequireEnv, how)
	}
	tb.Skipf("%s is missing: %s", what, how)
}

// rootKey and guestKey are the accounts' names; their secrets are drawn for each server.
const (
	rootKey  = "farshoretest"
	guestKey = "farshoreguest"
)

// token returns 20 random hexadecimal digits, for names and secrets.
func token() string {
	b := make([]byte, 10)
	_, _ = rand.Read(b) // crypto/rand never fails: it ends the program instead
	return hex.EncodeToString(b)
}
