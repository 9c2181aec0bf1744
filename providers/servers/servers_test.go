package servers_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"farshore/providers/servers"
)

func TestServersStoreAndStop(t *testing.T) {
	for name, start := range map[string]func(testing.TB) servers.S3{"fake": servers.Fake, "versity": servers.Versity, "minio": servers.MinIO} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			client, bucket := s.Client(t), s.Bucket(t)
			put(t, client, bucket, "a/key", "hello")
			out, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: aws.String("a/key")})
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(out.Body); err != nil || string(got) != "hello" {
				t.Fatalf("read %q, %v", got, err)
			}
			wrong := s
			wrong.SecretKey = "wrong"
			if _, err := wrong.Client(t).ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &bucket}); code(err) != "SignatureDoesNotMatch" {
				t.Errorf("a wrong secret was answered with %v", err)
			}
			stopped(t, s)
		})
	}
}

// stopped stops the server and checks that nothing of it is left.
func stopped(t *testing.T, s servers.S3) {
	t.Helper()
	pid := s.PID()
	if pid != 0 && syscall.Kill(pid, 0) != nil {
		t.Fatalf("no process %d while the server runs", pid)
	}
	s.Stop()
	s.Stop()
	if pid != 0 && !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		t.Errorf("process %d is still there after Stop", pid)
	}
	if resp, err := http.Get(s.Endpoint); err == nil {
		_ = resp.Body.Close()
		t.Error("the server still answers after Stop")
	}
}

func TestGuestMayOnlyWhatThePolicyGrants(t *testing.T) {
	s := servers.Versity(t)
	guest, ok := s.Guest()
	if !ok {
		t.Fatal("no guest")
	}
	client, bucket := s.Client(t), s.Bucket(t)
	put(t, client, bucket, "open/a", "x")
	put(t, client, bucket, "shut/a", "x")
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["` + guest.AccessKey + `"]},"Action":"s3:GetObject","Resource":"arn:aws:s3:::` + bucket + `/open/*"}]}`
	if _, err := client.PutBucketPolicy(t.Context(), &s3.PutBucketPolicyInput{Bucket: &bucket, Policy: &policy}); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"open/a": "", "shut/a": "AccessDenied"} {
		_, err := guest.Client(t).GetObject(context.Background(), &s3.GetObjectInput{Bucket: &bucket, Key: &key})
		if code(err) != want {
			t.Errorf("guest reads %s: %v, want %q", key, err, want)
		}
	}
}

func TestURLHasNoSecret(t *testing.T) {
	s := servers.S3{Endpoint: "http://127.0.0.1:9", Region: "us-east-1", AccessKey: "AK", SecretKey: "SK"}
	want := "s3://bucket/a/b?endpoint=http%3A%2F%2F127.0.0.1%3A9&path_style=true&region=us-east-1"
	if got := s.URL("bucket", "a/b"); got != want {
		t.Errorf("URL = %s, want %s", got, want)
	}
}

func put(t *testing.T, client *s3.Client, bucket, key, body string) {
	t.Helper()
	_, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader(body)})
	if err != nil {
		t.Fatal(err)
	}
}

func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}
