package s3_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"farshore/providers"
	"farshore/providers/providertest"
	"farshore/providers/servers"
)

func TestHistoryVersity(t *testing.T) { testHistory(t, servers.Versity(t), true) }

func TestHistoryMinIO(t *testing.T) { testHistory(t, servers.MinIO(t), false) }

// TestNoVersioning holds that a bucket without versioning shows each object as one version, over many pages.
func TestNoVersioning(t *testing.T) {
	for name, start := range map[string]func(testing.TB) servers.S3{"fake": servers.Fake, "versity": servers.Versity, "minio": servers.MinIO} {
		t.Run(name, func(t *testing.T) {
			server := start(t)
			d := open(t, server, server.Bucket(t), "v")
			var want []string
			for i := range 23 {
				want = append(want, fmt.Sprintf("packs/%02d", i))
				if err := create(d, want[i], []byte(want[i])); err != nil {
					t.Fatal(err)
				}
			}
			for _, limit := range []int{1, 4, 1000} {
				var got []string
				for mark, more := (providers.Mark{}), true; more && len(got) <= len(want); {
					var page []providers.Version
					var err error
					if page, mark, more, err = d.Versions(t.Context(), "packs/", mark, limit); err != nil {
						t.Fatal(err)
					}
					for _, v := range page {
						if got = append(got, v.Name); v.Marker || !v.Current || v.Size != int64(len(v.Name)) {
							t.Errorf("an object of a bucket without versioning: %+v", v)
						}
					}
				}
				if !slices.Equal(got, want) {
					t.Errorf("in pages of %d: %q", limit, got)
				}
			}
			b := providers.New(d, providers.Options{})
			n, err := b.History(t.Context(), want[7])
			if err != nil || !n.Plain() {
				t.Fatalf("History: %+v, %v", n, err)
			}
			if got, err := b.ReadVersion(t.Context(), want[7], n.ID, 100); err != nil || string(got) != want[7] {
				t.Errorf("version %q reads %q, %v", n.ID, got, err)
			}
		})
	}
}

// versioned creates a bucket with versioning.
func versioned(t *testing.T, server servers.S3) string {
	t.Helper()
	bucket := server.Bucket(t)
	setVersioning(t, server, bucket, types.BucketVersioningStatusEnabled)
	return bucket
}

func setVersioning(t *testing.T, server servers.S3, bucket string, status types.BucketVersioningStatus) {
	t.Helper()
	_, err := server.Client(t).PutBucketVersioning(t.Context(), &awss3.PutBucketVersioningInput{
		Bucket: aws.String(bucket), VersioningConfiguration: &types.VersioningConfiguration{Status: status},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func testHistory(t *testing.T, server servers.S3, coarse bool) {
	bucket := versioned(t, server)
	d := open(t, server, bucket, "vaults/a b")
	thief := tamper(server.Client(t), bucket, "vaults/a b/")
	thief.Coarse = coarse
	providertest.RunHistory(t, func(*testing.T) providers.Driver { return d }, thief)
}

// tamper does behind the driver's back what a key without any limits may.
func tamper(client *awss3.Client, bucket, prefix string) providertest.Tamper {
	return providertest.Tamper{
		Markers: true,
		Overwrite: func(t *testing.T, name string, body []byte) {
			t.Helper()
			_, err := client.PutObject(context.Background(), &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String(prefix + name), Body: bytes.NewReader(body)})
			if err != nil {
				t.Fatal(err)
			}
		},
		Hide: func(t *testing.T, name string) {
			t.Helper()
			_, err := client.DeleteObject(context.Background(), &awss3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String(prefix + name)})
			if err != nil {
				t.Fatal(err)
			}
		},
	}
}
