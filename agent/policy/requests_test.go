package policy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"farshore/agent/policy"
)

// try is one request with a credential.
type try struct {
	name string
	do   func(ctx context.Context, c *s3.Client) error
}

// code is the store's own of an error; "" where there is none.
func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// unasked are codes with which versitygw answers before, or in place of, what was asked: a lock that comes from the bucket's default is not shown, and there is no
// lifecycle at all.
var unasked = map[string]bool{"NoSuchObjectLockConfiguration": true, "NotImplemented": true}

// check makes each request and compares what comes back.
func check(ctx context.Context, t *testing.T, c *s3.Client, role string, allowed, denied []try) {
	t.Helper()
	for _, a := range allowed {
		if err := a.do(ctx, c); err != nil && !unasked[code(err)] {
			t.Errorf("%s can't %s: %v", role, a.name, err)
		}
	}
	for _, d := range denied {
		if err := d.do(ctx, c); code(err) != "AccessDenied" && code(err) != "NotImplemented" {
			t.Errorf("%s was not denied to %s: %v", role, d.name, err)
		}
	}
}

// requests builds tries for one bucket.
type requests struct {
	bucket string
	ids    map[string]string
}

func (q requests) create(room, name string) try {
	return try{"create in " + room, func(ctx context.Context, c *s3.Client) error {
		_, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: &q.bucket, Key: aws.String("vault/" + room + "/" + name), Body: strings.NewReader("new"), IfNoneMatch: aws.String("*")})
		return err
	}}
}

func (q requests) read(room string) []try {
	key := aws.String("vault/" + room + "/old")
	return []try{
		{"read from " + room, func(ctx context.Context, c *s3.Client) error {
			return drain(c.GetObject(ctx, &s3.GetObjectInput{Bucket: &q.bucket, Key: key}))
		}},
		{"read a version from " + room, func(ctx context.Context, c *s3.Client) error {
			return drain(c.GetObject(ctx, &s3.GetObjectInput{Bucket: &q.bucket, Key: key, VersionId: aws.String(q.ids[room])}))
		}},
	}
}

func drain(out *s3.GetObjectOutput, err error) error {
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, out.Body)
	return errors.Join(err, out.Body.Close())
}

func (q requests) lock(room string) try {
	return try{"ask for a lock in " + room, func(ctx context.Context, c *s3.Client) error {
		_, err := c.GetObjectRetention(ctx, &s3.GetObjectRetentionInput{Bucket: &q.bucket, Key: aws.String("vault/" + room + "/old")})
		return err
	}}
}

func (q requests) extend(room string, days int) try {
	return try{fmt.Sprintf("extend a lock in %s to %d days", room, days), func(ctx context.Context, c *s3.Client) error {
		_, err := c.PutObjectRetention(ctx, &s3.PutObjectRetentionInput{Bucket: &q.bucket, Key: aws.String("vault/" + room + "/old"), Retention: &types.ObjectLockRetention{
			Mode: types.ObjectLockRetentionModeCompliance, RetainUntilDate: aws.Time(time.Now().Add(time.Duration(days) * 24 * time.Hour))}})
		return err
	}}
}

func (q requests) lists() []try {
	prefix := aws.String("vault/")
	return []try{
		{"list", func(ctx context.Context, c *s3.Client) error {
			_, err := c.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &q.bucket, Prefix: prefix})
			return err
		}},
		{"list versions", func(ctx context.Context, c *s3.Client) error {
			_, err := c.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: &q.bucket, Prefix: prefix})
			return err
		}},
		{"be told that a name is missing", func(ctx context.Context, c *s3.Client) error {
			var missing *types.NoSuchKey
			if err := drain(c.GetObject(ctx, &s3.GetObjectInput{Bucket: &q.bucket, Key: aws.String("vault/meta/none")})); !errors.As(err, &missing) {
				return fmt.Errorf("it got %v", err)
			}
			return nil
		}},
	}
}

func (q requests) settings() []try {
	return []try{
		{"ask for versioning", func(ctx context.Context, c *s3.Client) error {
			_, err := c.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: &q.bucket})
			return err
		}},
		{"ask for Object Lock", func(ctx context.Context, c *s3.Client) error {
			_, err := c.GetObjectLockConfiguration(ctx, &s3.GetObjectLockConfigurationInput{Bucket: &q.bucket})
			return err
		}},
	}
}

// attacks are what no role may do with the object of a room.
func (q requests) attacks(room string) []try {
	key, id := aws.String("vault/"+room+"/old"), aws.String(q.ids[room])
	return []try{
		{"delete in " + room, func(ctx context.Context, c *s3.Client) error {
			_, err := c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &q.bucket, Key: key})
			return err
		}},
		{"delete a version in " + room, func(ctx context.Context, c *s3.Client) error {
			_, err := c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &q.bucket, Key: key, VersionId: id})
			return err
		}},
		{"delete a version in " + room + " with a bypass", func(ctx context.Context, c *s3.Client) error {
			_, err := c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &q.bucket, Key: key, VersionId: id, BypassGovernanceRetention: aws.Bool(true)})
			return err
		}},
		{"delete many in " + room, func(ctx context.Context, c *s3.Client) error {
			out, err := c.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: &q.bucket, Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: key, VersionId: id}}}})
			if err == nil && len(out.Errors) == 1 {
				return &smithy.GenericAPIError{Code: aws.ToString(out.Errors[0].Code)}
			}
			return err
		}},
		{"hold in " + room, func(ctx context.Context, c *s3.Client) error {
			_, err := c.PutObjectLegalHold(ctx, &s3.PutObjectLegalHoldInput{Bucket: &q.bucket, Key: key, LegalHold: &types.ObjectLockLegalHold{Status: types.ObjectLockLegalHoldStatusOn}})
			return err
		}},
		{"tag in " + room, func(ctx context.Context, c *s3.Client) error {
			_, err := c.PutObjectTagging(ctx, &s3.PutObjectTaggingInput{Bucket: &q.bucket, Key: key, Tagging: &types.Tagging{TagSet: []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}}}})
			return err
		}},
		{"create with a lock of its own in " + room, func(ctx context.Context, c *s3.Client) error {
			_, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: &q.bucket, Key: aws.String("vault/" + room + "/locked"), Body: strings.NewReader("x"),
				ObjectLockMode: types.ObjectLockModeCompliance, ObjectLockRetainUntilDate: aws.Time(time.Now().Add(36500 * 24 * time.Hour))})
			return err
		}},
	}
}

// loosen are what no role may do with the bucket.
func (q requests) loosen() []try {
	return []try{
		{"suspend versioning", func(ctx context.Context, c *s3.Client) error {
			_, err := c.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{Bucket: &q.bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusSuspended}})
			return err
		}},
		{"drop the default lock", func(ctx context.Context, c *s3.Client) error {
			_, err := c.PutObjectLockConfiguration(ctx, &s3.PutObjectLockConfigurationInput{Bucket: &q.bucket, ObjectLockConfiguration: &types.ObjectLockConfiguration{ObjectLockEnabled: types.ObjectLockEnabledEnabled}})
			return err
		}},
		{"put a lifecycle", func(ctx context.Context, c *s3.Client) error {
			_, err := c.PutBucketLifecycleConfiguration(ctx, &s3.PutBucketLifecycleConfigurationInput{Bucket: &q.bucket, LifecycleConfiguration: &types.BucketLifecycleConfiguration{Rules: []types.LifecycleRule{{
				ID: aws.String("x"), Status: types.ExpirationStatusEnabled, Filter: &types.LifecycleRuleFilter{Prefix: aws.String("")}, NoncurrentVersionExpiration: &types.NoncurrentVersionExpiration{NoncurrentDays: aws.Int32(1)}}}}})
			return err
		}},
		{"put a policy", func(ctx context.Context, c *s3.Client) error {
			_, err := c.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: &q.bucket, Policy: aws.String(`{"Version":"2012-10-17","Statement":[]}`)})
			return err
		}},
		{"delete the policy", func(ctx context.Context, c *s3.Client) error {
			_, err := c.DeleteBucketPolicy(ctx, &s3.DeleteBucketPolicyInput{Bucket: &q.bucket})
			return err
		}},
		{"delete the bucket", func(ctx context.Context, c *s3.Client) error {
			_, err := c.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &q.bucket})
			return err
		}},
	}
}

// plan is what a role can and can't do, by request.
func (q requests) plan(r policy.Role, readBack bool) (allowed, denied []try) {
	creates := map[policy.Role][]string{policy.Writer: allRooms[:4], policy.Auditor: {"reports"}, policy.Owner: {"vault"}}[r]
	for i, room := range allRooms {
		if c := q.create(room, "new-"+string(r)); slices.Contains(creates, room) {
			allowed = append(allowed, c)
		} else {
			denied = append(denied, c)
		}
		blind := room == "packs" && (r == policy.Steward || r == policy.Writer && !readBack)
		if blind {
			denied = append(denied, q.read(room)...)
		} else {
			allowed = append(allowed, q.read(room)...)
		}
		switch r {
		case policy.Restorer:
			denied = append(denied, q.lock(room))
		case policy.Steward:
			allowed = append(allowed, q.lock(room), q.extend(room, 2+i))
			denied = append(denied, q.extend(room, 400))
		default:
			allowed = append(allowed, q.lock(room))
		}
		if r != policy.Steward {
			denied = append(denied, q.extend(room, 30)) // longer than the steward's: MinIO refuses a shorter one before it asks who may
		}
		denied = append(denied, q.attacks(room)...)
	}
	allowed, denied = append(allowed, q.lists()...), append(denied, q.loosen()...)
	if r == policy.Restorer {
		return allowed, append(denied, q.settings()...)
	}
	return append(allowed, q.settings()...), denied
}
