package s3fake_test

import (
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"farshore/providers/s3/s3fake"
)

// TestListGoesOn holds a listing to all keys behind its marker, whether the marker is a key or not.
func TestListGoesOn(t *testing.T) {
	server := httptest.NewServer(s3fake.Handler(map[string]string{"key": "secret"}))
	defer server.Close()
	client := s3.New(s3.Options{
		BaseEndpoint: &server.URL, Region: "us-east-1", UsePathStyle: true, Credentials: credentials.NewStaticCredentialsProvider("key", "secret", ""),
	})
	bucket := aws.String("bucket")
	if _, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: bucket}); err != nil {
		t.Fatal(err)
	}
	keys := []string{"a", "b/1", "b/2", "c"}
	for _, k := range keys {
		if _, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: &k, Body: strings.NewReader(k)}); err != nil {
			t.Fatal(err)
		}
	}
	for _, after := range []string{"", "0", "a", "aa", "b", "b/1", "b/15", "c", "d"} {
		for _, limit := range []int32{1, 2, 1000} {
			t.Run(fmt.Sprintf("after %q by %d", after, limit), func(t *testing.T) {
				in := &s3.ListObjectsV2Input{Bucket: bucket, MaxKeys: &limit}
				if after != "" {
					in.StartAfter = &after
				}
				var got []string
				for pages := s3.NewListObjectsV2Paginator(client, in); pages.HasMorePages(); {
					page, err := pages.NextPage(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					for _, o := range page.Contents {
						got = append(got, *o.Key)
					}
				}
				want := slices.DeleteFunc(slices.Clone(keys), func(k string) bool { return k <= after })
				if !slices.Equal(got, want) {
					t.Errorf("got %q, want %q", got, want)
				}
			})
		}
	}
}

// TestSignatures holds the server to refuse a wrong secret and an unknown key.
func TestSignatures(t *testing.T) {
	server := httptest.NewServer(s3fake.Handler(map[string]string{"key": "secret"}))
	defer server.Close()
	for _, c := range []struct{ key, secret string }{{"key", "wrong"}, {"unknown", "secret"}} {
		client := s3.New(s3.Options{
			BaseEndpoint: &server.URL, Region: "us-east-1", UsePathStyle: true, Credentials: credentials.NewStaticCredentialsProvider(c.key, c.secret, ""),
		})
		if _, err := client.ListBuckets(t.Context(), &s3.ListBucketsInput{}); err == nil {
			t.Errorf("%s with %s is accepted", c.key, c.secret)
		}
	}
}
