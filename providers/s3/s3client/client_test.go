package s3client

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// clean takes away what the machine's own AWS configuration would add.
func clean(t *testing.T) {
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_CONFIG_FILE", t.TempDir()+"/none")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", t.TempDir()+"/none")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
}

func TestNewRegion(t *testing.T) {
	tests := map[string]struct{ url, env, want string }{
		"from the address":     {"s3://vault?region=eu-west-1", "us-west-2", "eu-west-1"},
		"from the environment": {"s3://vault?endpoint=http://localhost:1", "us-west-2", "us-west-2"},
		"default":              {"s3://vault?endpoint=http://localhost:1", "", "us-east-1"},
		"none on aws":          {"s3://vault", "", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			clean(t)
			t.Setenv("AWS_REGION", tt.env)
			l, err := Parse(tt.url)
			if err != nil {
				t.Fatal(err)
			}
			c, err := l.New(context.Background(), Options{})
			if tt.want == "" {
				if err == nil || !strings.Contains(err.Error(), "region") {
					t.Fatalf("error %v, want one that asks for a region", err)
				}
				return
			}
			if err != nil || c.Options().Region != tt.want {
				t.Fatalf("region %q, error %v; want %q", c.Options().Region, err, tt.want)
			}
		})
	}
}

// TestNewNeverRetries holds that one call is one request, since the callers count requests and retry themselves.
func TestNewNeverRetries(t *testing.T) {
	clean(t)
	var requests atomic.Int64
	var agent atomic.Value
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		agent.Store(r.UserAgent())
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer server.Close()
	l, err := Parse("s3://vault?endpoint=" + server.URL)
	if err != nil {
		t.Fatal(err)
	}
	c, err := l.New(context.Background(), Options{Credentials: credentials.NewStaticCredentialsProvider("id", "key", ""), UserAgent: "farshore/test"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = c.HeadObject(context.Background(), &s3.HeadObjectInput{Bucket: aws.String(l.Bucket), Key: aws.String("a")}); err == nil {
		t.Fatal("a 503 gave no error")
	}
	if n := requests.Load(); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
	if a, _ := agent.Load().(string); !strings.Contains(a+" ", " farshore/test ") {
		t.Errorf("User-Agent %q does not name ours", a)
	}
}

// TestSilent holds the SDK not to write to stderr on its own: a program's log is its own.
func TestSilent(t *testing.T) {
	clean(t)
	said, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	stderr := os.Stderr
	os.Stderr = said
	defer func() { os.Stderr = stderr }()
	// The SDK has something to say of an answer that breaks off.
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, "<") // the client looks at what arrives
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}))
	defer server.Close()
	l, err := Parse("s3://vault?endpoint=" + server.URL)
	if err != nil {
		t.Fatal(err)
	}
	c, err := l.New(t.Context(), Options{Credentials: credentials.NewStaticCredentialsProvider("id", "key", "")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String(l.Bucket)}); err == nil {
		t.Error("an answer that breaks off gave no error")
	}
	if b, err := os.ReadFile(said.Name()); err != nil || len(b) > 0 {
		t.Errorf("%v: the SDK wrote to stderr: %q", err, b)
	}
}
