package s3target_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"farshore/agent/record"
	"farshore/agent/restore"
	"farshore/agent/restore/internal/rig"
	"farshore/providers/servers"
)

func TestObjectLock(t *testing.T) {
	s := servers.MinIO(t)
	p := newPlace(t, s, func(in *s3.CreateBucketInput) { in.ObjectLockEnabledForBucket = aws.Bool(true) })
	until := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	r := rig.New(t)
	r.Put("locked", []byte("x"), record.Attrs{
		"h:x-amz-object-lock-mode": "GOVERNANCE", "h:x-amz-object-lock-retain-until-date": until.Format(time.RFC3339), "h:x-amz-object-lock-legal-hold": "ON",
	})
	r.Put("run out", []byte("x"), record.Attrs{"h:x-amz-object-lock-mode": "GOVERNANCE", "h:x-amz-object-lock-retain-until-date": "2020-01-01T00:00:00Z"})
	r.Replicate()
	sum := p.restore(t, r, "without/", quick, restore.Options{})
	if sum.NotPutBack["object lock"] != 1 || sum.Restored.Items != 2 {
		t.Errorf("without: %+v", sum)
	}
	with := quick
	with.ObjectLock = true
	if sum := p.restore(t, r, "with/", with, restore.Options{}); len(sum.NotPutBack) != 0 || sum.Restored.Items != 2 {
		t.Errorf("with: %+v", sum)
	}
	head, err := p.client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &p.bucket, Key: aws.String("with/locked")})
	if err != nil || head.ObjectLockMode != "GOVERNANCE" || head.ObjectLockLegalHoldStatus != "ON" || !aws.ToTime(head.ObjectLockRetainUntilDate).Equal(until) {
		t.Errorf("%+v, %v", head, err)
	}
}

func TestUnknownStorageClassIsSaid(t *testing.T) {
	p := newPlace(t, servers.MinIO(t))
	r := rig.New(t)
	r.Put("cold", []byte("x"), record.Attrs{"class": "ONEZONE_IA"})
	r.Put("reduced", []byte("x"), record.Attrs{"class": "REDUCED_REDUNDANCY"})
	r.Put("cold parts", rig.Noise(1, 6<<20), record.Attrs{"class": "ONEZONE_IA"})
	r.Replicate()
	sum := p.restore(t, r, "", small, restore.Options{})
	if sum.NotPutBack["storage class"] != 2 || sum.Restored.Items != 3 {
		t.Errorf("%+v", sum)
	}
	if class := p.get(t, "reduced").header.Get("X-Amz-Storage-Class"); class != "REDUCED_REDUNDANCY" {
		t.Errorf("class %q", class)
	}
}
