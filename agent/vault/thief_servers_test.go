package vault_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"farshore/agent/vault"
	"farshore/providers"
	"farshore/providers/s3"
	"farshore/providers/servers"
)

func TestThiefMinIO(t *testing.T) { testThiefOn(t, servers.MinIO(t)) }

func TestThiefVersity(t *testing.T) { testThiefOn(t, servers.Versity(t)) }

// testThiefOn overwrites and hides every object of a vault in a bucket with Object Lock, and the agent goes on.
func testThiefOn(t *testing.T, server servers.S3) {
	bucket := server.Bucket(t, func(in *awss3.CreateBucketInput) { in.ObjectLockEnabledForBucket = aws.Bool(true) })
	d, err := s3.Open(t.Context(), server.URL(bucket, "v"), s3.Options{Credentials: server.Credentials()})
	must(t, err)
	r := newRigIn(t, d).fill(2)
	if res := r.verified(); res.Versions != providers.SightSeen || !res.OK() {
		t.Fatalf("before: %+v", res)
	}
	var names []string
	for info, err := range r.bucket().List(t.Context(), "", "") {
		must(t, err)
		names = append(names, info.Name)
	}
	client := server.Client(t)
	put := func(name string, body []byte) {
		_, err := client.PutObject(t.Context(), &awss3.PutObjectInput{Bucket: &bucket, Key: aws.String("v/" + name), Body: bytes.NewReader(body)})
		must(t, err)
	}
	for i, name := range names {
		switch i % 3 {
		case 0:
			put(name, noise(uint64(i), 999))
		case 1:
			_, err := client.DeleteObject(t.Context(), &awss3.DeleteObjectInput{Bucket: &bucket, Key: aws.String("v/" + name)})
			must(t, err)
		case 2:
			var last string
			for _, n := range names {
				if strings.HasPrefix(n, name[:5]) && n != name {
					last = n
				}
			}
			put(name, r.original(last))
		}
	}
	r.restored()
	res := r.verified()
	for _, name := range names {
		if about(res.Findings, vault.Tampering, name) == "" {
			t.Errorf("nothing is said of %s", name)
		}
	}
	if res.Snapshots != int64(len(r.want)) || res.OK() {
		t.Errorf("%d snapshots are whole", res.Snapshots)
	}
	r.continued()
}
