package s3_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"farshore/providers"
	"farshore/providers/providertest"
	"farshore/providers/s3"
	"farshore/providers/servers"
)

func TestConformanceVersity(t *testing.T) { conform(t, servers.Versity(t)) }

func TestConformanceMinIO(t *testing.T) { conform(t, servers.MinIO(t)) }

func conform(t *testing.T, server servers.S3) {
	d := open(t, server, server.Bucket(t), "vaults/one")
	providertest.Run(t, func(*testing.T) providers.Driver { return d })
	if got := d.Traits(); got.CreateOnly != providers.CreateOnlyStore || got.Kind != "s3" {
		t.Errorf("Traits: %+v", got)
	}
	t.Run("Prefixes", func(t *testing.T) { testPrefixes(t, server) })
}

func open(t *testing.T, server servers.S3, bucket, prefix string) *s3.Driver {
	t.Helper()
	d, err := s3.Open(context.Background(), server.URL(bucket, prefix), s3.Options{Credentials: server.Credentials()})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func create(d providers.Driver, name string, b []byte) error {
	_, err := d.Create(context.Background(), name, io.NewSectionReader(bytes.NewReader(b), 0, int64(len(b))), sha256.Sum256(b))
	return err
}

// testPrefixes holds that any prefix of a bucket can be a vault, that vaults do not see each other, and that folder marks are
// not objects.
func testPrefixes(t *testing.T, server servers.S3) {
	bucket := server.Bucket(t)
	for _, prefix := range []string{"", "plain", "a b+c", "100%25/é", "plain/below"} {
		d := open(t, server, bucket, prefix)
		if err := create(d, "packs/aa/x", []byte(prefix)); err != nil {
			t.Fatalf("prefix %q: %v", prefix, err)
		}
		for _, mark := range []string{"", "packs/", "packs/aa/"} {
			if key := strings.TrimPrefix(prefix+"/"+mark, "/"); key != "" {
				putMark(t, server, bucket, key)
			}
		}
		page, more, err := d.List(context.Background(), "packs/", "", 1)
		if err != nil || more && len(page) == 0 || len(page) != 1 || page[0].Name != "packs/aa/x" {
			t.Errorf("prefix %q lists %v, %v, %v", prefix, page, more, err)
		}
	}
	var names []string
	for info, err := range providers.New(open(t, server, bucket, "plain"), providers.Options{}).List(context.Background(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, info.Name)
	}
	if want := []string{"below/packs/aa/x", "packs/aa/x"}; !slices.Equal(names, want) {
		t.Errorf("listed %q, want %q", names, want)
	}
}

func putMark(t *testing.T, server servers.S3, bucket, key string) {
	t.Helper()
	_, err := server.Client(t).PutObject(context.Background(), &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String(key), Body: strings.NewReader("")})
	if err != nil {
		t.Fatal(err)
	}
}

// stub is a service that answers everything in the same way and remembers the last request.
type stub struct {
	answer func(w http.ResponseWriter, r *http.Request)
	last   *http.Request
	body   []byte
}

func (s *stub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.last = r
	s.body, _ = io.ReadAll(r.Body) // what arrived is what the tests compare
	s.answer(w, r)
}

func openStub(t *testing.T, s *stub) *s3.Driver {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return openAt(t, server.URL)
}

func openAt(t *testing.T, endpoint string) *s3.Driver {
	t.Helper()
	d, err := s3.Open(context.Background(), "s3://vault?endpoint="+endpoint, s3.Options{Credentials: credentials.NewStaticCredentialsProvider("id", "secret", "")})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestCreateRequest holds what one create sends: one PUT under the condition, the body as it is, its SHA-256 signed and as checksum.
func TestCreateRequest(t *testing.T) {
	s := &stub{answer: func(w http.ResponseWriter, r *http.Request) { w.Header().Set("ETag", `"x"`) }}
	d := openStub(t, s)
	b := bytes.Repeat([]byte("sealed "), 1<<19) // above the 2 MiB from which the client waits for 100 Continue
	if err := create(d, "packs/aa/x", b); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b)
	want := map[string]string{
		"If-None-Match": "*", "Content-Encoding": "", "X-Amz-Trailer": "",
		"X-Amz-Content-Sha256": hexOf(sum), "X-Amz-Checksum-Sha256": base64Of(sum),
	}
	for name, v := range want {
		if got := s.last.Header.Get(name); got != v {
			t.Errorf("%s: %q, want %q", name, got, v)
		}
	}
	if s.last.Method != http.MethodPut || s.last.ContentLength != int64(len(b)) || !bytes.Equal(s.body, b) {
		t.Errorf("%s with length %d and %d bytes, want PUT with %d", s.last.Method, s.last.ContentLength, len(s.body), len(b))
	}
	if !strings.Contains(s.last.Header.Get("Authorization"), "if-none-match") {
		t.Error("the condition is not signed: a proxy could take it away")
	}
}

// TestWithoutCondition holds the way around a service that does not know If-None-Match.
func TestWithoutCondition(t *testing.T) {
	stored := map[string][]byte{}
	var puts int
	s := &stub{}
	s.answer = func(w http.ResponseWriter, r *http.Request) {
		switch b, ok := stored[r.URL.Path]; {
		case r.Method == http.MethodPut && r.Header.Get("If-None-Match") != "":
			puts++
			answer(w, http.StatusNotImplemented, "NotImplemented")
		case r.Method == http.MethodPut:
			stored[r.URL.Path] = s.body
		case !ok:
			w.WriteHeader(http.StatusNotFound)
		default:
			_, _ = w.Write(b) // a broken test connection shows in the driver
		}
	}
	d := openStub(t, s)
	if got := d.Traits().CreateOnly; got != providers.CreateOnlyStore {
		t.Errorf("before the first create: %v", got)
	}
	if err := create(d, "a", []byte("1")); err != nil {
		t.Fatal(err)
	}
	if got := d.Traits().CreateOnly; got != providers.CreateOnlyNone {
		t.Errorf("after the service refused the condition: %v", got)
	}
	if err := create(d, "a", []byte("2")); providers.KindOf(err) != providers.Exists {
		t.Errorf("second create: %v, want kind exists", err)
	}
	if string(stored["/vault/a"]) != "1" || puts != 1 {
		t.Errorf("stored %q, %d conditional requests; want the first bytes and 1", stored, puts)
	}
}

// TestConnections holds that requests one after the other share a connection, whatever they ended with: a new one costs a TLS handshake.
func TestConnections(t *testing.T) {
	b := bytes.Repeat([]byte("sealed "), 1<<15)
	var opened atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "missing") {
			answer(w, http.StatusNotFound, "NoSuchKey")
			return
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
	}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	bucket := providers.New(openAt(t, server.URL), providers.Options{})
	for i := range 20 {
		dst := make([]byte, 70_000)
		if _, err := bucket.ReadRange(t.Context(), "there", int64(i), dst); err != nil || !bytes.Equal(dst, b[i:][:70_000]) {
			t.Fatalf("range %d: %v", i, err)
		}
		if _, err := bucket.ReadAll(t.Context(), "there", int64(len(b))); err != nil {
			t.Fatal(err)
		}
		if _, err := bucket.Stat(t.Context(), "missing"); providers.KindOf(err) != providers.NotFound {
			t.Fatal(err)
		}
		if _, err := bucket.ReadAll(t.Context(), "missing", 1); providers.KindOf(err) != providers.NotFound {
			t.Fatal(err)
		}
	}
	if n := opened.Load(); n > 2 {
		t.Errorf("80 requests took %d connections", n)
	}
}

func answer(w http.ResponseWriter, status int, code string) {
	w.Header().Set("x-amz-request-id", "R1")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "<Error><Code>"+code+"</Code><Message>message of "+code+"</Message></Error>") // as above
}

func TestKinds(t *testing.T) {
	tests := []struct {
		status int
		code   string
		want   providers.Kind
		says   string
	}{
		{403, "AccessDenied", providers.Denied, "AccessDenied: message of AccessDenied (HTTP 403, request R1)"},
		{403, "InvalidAccessKeyId", providers.Unauthenticated, ""},
		{403, "SignatureDoesNotMatch", providers.Unauthenticated, ""},
		{403, "RequestTimeTooSkewed", providers.Unauthenticated, ""},
		{400, "ExpiredToken", providers.Unauthenticated, ""},
		{401, "Something", providers.Unauthenticated, ""},
		{403, "Something", providers.Denied, ""},
		{503, "SlowDown", providers.Throttled, ""},
		{429, "Something", providers.Throttled, ""},
		{503, "Something", providers.Throttled, ""},
		{500, "InternalError", providers.Temporary, ""},
		{502, "Something", providers.Temporary, ""},
		{504, "Something", providers.Temporary, ""},
		{409, "ConditionalRequestConflict", providers.Temporary, ""},
		{409, "OperationAborted", providers.Temporary, ""},
		{412, "PreconditionFailed", providers.Exists, ""},
		{404, "NoSuchKey", providers.NotFound, ""},
		{404, "NoSuchBucket", providers.NotFound, "the bucket vault does not exist"},
		{400, "BadDigest", providers.Corrupt, ""},
		{400, "XAmzContentSHA256Mismatch", providers.Corrupt, ""},
		{400, "InvalidArgument", providers.Other, ""},
		{507, "Something", providers.Full, ""},
		{403, "QuotaExceeded", providers.Full, ""},
	}
	for _, tt := range tests {
		d := openStub(t, &stub{answer: func(w http.ResponseWriter, r *http.Request) { answer(w, tt.status, tt.code) }})
		_, openErr := d.Open(context.Background(), "a", 0, -1)
		_, _, listErr := d.List(context.Background(), "", "", 1)
		for _, err := range []error{create(d, "a", []byte("1")), openErr, listErr} {
			if providers.KindOf(err) != tt.want || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%d %s: kind %q (%v), want %q with %q", tt.status, tt.code, providers.KindOf(err), err, tt.want, tt.says)
			}
		}
	}
}

func TestNetworkKinds(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	_, err := openAt(t, gone.URL).Stat(context.Background(), "a")
	if providers.KindOf(err) != providers.Temporary {
		t.Errorf("nobody listens: %v, want a temporary failure", err)
	}
	untrusted := httptest.NewUnstartedServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0)
	untrusted.StartTLS()
	defer untrusted.Close()
	if _, err = openAt(t, untrusted.URL).Stat(context.Background(), "a"); err == nil || providers.Retryable(err) {
		t.Errorf("an unknown certificate: %v, want a lasting failure", err)
	}
	hangUp := openStub(t, &stub{answer: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }})
	if err := create(hangUp, "a", []byte("1")); providers.KindOf(err) != providers.Temporary {
		t.Errorf("hung up before an answer: %v, want a temporary failure", err)
	}
}

func TestNoCredentials(t *testing.T) {
	for name, v := range map[string]string{
		"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_PROFILE": "", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE": t.TempDir() + "/none", "AWS_SHARED_CREDENTIALS_FILE": t.TempDir() + "/none",
	} {
		t.Setenv(name, v)
	}
	d, err := s3.Open(context.Background(), "s3://vault?endpoint=http://127.0.0.1:1", s3.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.Stat(context.Background(), "a")
	if providers.KindOf(err) != providers.Unauthenticated || !strings.Contains(err.Error(), "AWS_PROFILE") {
		t.Errorf("no credentials: %v", err)
	}
}

// TestDamagedBodies holds what is seen of a body that the network or the store damaged.
func TestDamagedBodies(t *testing.T) {
	cut := openStub(t, &stub{answer: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write(make([]byte, 40)) // the rest is missing on purpose
	}})
	r, err := cut.Open(context.Background(), "a", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, r); n != 40 || providers.KindOf(err) != providers.Corrupt {
		t.Errorf("a body cut short: %d bytes, %v; want 40 and damage", n, err)
	}
	rangeless := openStub(t, &stub{answer: func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(make([]byte, 100)) }}) // ignores Range
	if _, err := rangeless.Open(context.Background(), "a", 10, 5); providers.KindOf(err) != providers.Unsupported {
		t.Errorf("a store that ignores ranges: %v", err)
	}
	r, err = rangeless.Open(context.Background(), "a", 0, 5)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(r); len(b) != 5 || err != nil {
		t.Errorf("the first 5 bytes of a store that ignores ranges: %d bytes, %v", len(b), err)
	}
}

func TestWrongListings(t *testing.T) {
	listing := func(keys ...string) *s3.Driver {
		return openStub(t, &stub{answer: func(w http.ResponseWriter, r *http.Request) {
			b := "<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>"
			for _, k := range keys {
				b += "<Contents><Key>" + k + "</Key><Size>1</Size></Contents>"
			}
			_, _ = io.WriteString(w, b+"</ListBucketResult>") // a broken test connection shows in the driver
		}})
	}
	for name, d := range map[string]*s3.Driver{"nothing but more": listing(), "folders for ever": listing("a/"), "bad escape": listing("%zz")} {
		_, _, err := d.List(context.Background(), "", "a/", 10)
		var e *providers.Error
		if !errors.As(err, &e) || providers.Retryable(err) {
			t.Errorf("%s: %v, want a lasting error", name, err)
		}
	}
}
