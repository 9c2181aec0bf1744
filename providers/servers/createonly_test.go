package servers_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"farshore/providers/servers"
)

// TestCreateOnly holds the proxy to what the condition s3:if-none-match does: objects are only made under the header, by the account that it is about.
func TestCreateOnly(t *testing.T) {
	s := servers.Versity(t)
	bucket := s.Bucket(t)
	owner, bound := s.Client(t), servers.CreateOnly(t, s, s.AccessKey).Client(t)
	put := func(c *s3.Client, key, condition string) error {
		in := &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader("x")}
		if condition != "" {
			in.IfNoneMatch = &condition
		}
		_, err := c.PutObject(t.Context(), in)
		return err
	}
	copied := func() error {
		_, err := bound.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: &bucket, Key: aws.String("copy"), CopySource: aws.String(bucket + "/a")})
		return err
	}
	multipart := func(condition *string) error {
		up, err := bound.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: aws.String("many")})
		if err != nil {
			t.Fatal(err)
		}
		part, err := bound.UploadPart(t.Context(), &s3.UploadPartInput{Bucket: &bucket, Key: aws.String("many"), UploadId: up.UploadId, PartNumber: aws.Int32(1), Body: strings.NewReader("x")})
		if err != nil {
			t.Fatal(err)
		}
		_, err = bound.CompleteMultipartUpload(t.Context(), &s3.CompleteMultipartUploadInput{Bucket: &bucket, Key: aws.String("many"), UploadId: up.UploadId, IfNoneMatch: condition,
			MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{{ETag: part.ETag, PartNumber: aws.Int32(1)}}}})
		return err
	}
	for _, tt := range []struct {
		what string
		err  error
		want string
	}{
		{"create", put(bound, "a", "*"), ""},
		{"create again", put(bound, "a", "*"), "PreconditionFailed"},
		{"overwrite", put(bound, "a", ""), "AccessDenied"},
		{"create without the header", put(bound, "b", ""), "AccessDenied"},
		{"another value", put(bound, "a", `"0"`), "NotImplemented"},
		{"copy", copied(), "AccessDenied"},
		{"multipart", multipart(nil), "AccessDenied"},
		{"multipart under the header", multipart(aws.String("*")), ""},
		{"overwrite past the proxy", put(owner, "a", ""), ""},
	} {
		if got := code(tt.err); got != tt.want {
			t.Errorf("%s: %v, want %q", tt.what, tt.err, tt.want)
		}
	}
	if _, err := bound.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &bucket}); err != nil {
		t.Errorf("list: %v", err)
	}
	if other := servers.CreateOnly(t, s, "somebody else").Client(t); put(other, "a", "") != nil {
		t.Error("another account is bound too")
	}
}

// TestMinIOUser holds that a user may do what his policy says.
func TestMinIOUser(t *testing.T) {
	s := servers.MinIO(t)
	bucket := s.Bucket(t)
	put(t, s.Client(t), bucket, "a/key", "x")
	user := servers.MinIOUser(t, s, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetObject"],"Resource":["arn:aws:s3:::`+bucket+`/a/*"]}]}`)
	if user.AccessKey == s.AccessKey {
		t.Fatal("no other account")
	}
	if _, err := user.Client(t).GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: aws.String("a/key")}); err != nil {
		t.Errorf("what the policy grants: %v", err)
	}
	if _, err := user.Client(t).DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &bucket, Key: aws.String("a/key")}); code(err) != "AccessDenied" {
		t.Errorf("what it does not: %v", err)
	}
}
