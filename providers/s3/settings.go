package s3

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"farshore/providers"
	"farshore/providers/s3/s3client"
)

var _ providers.Keeper = (*Driver)(nil)

// lockless are the codes that say that an object, or the whole bucket, has no lock. The last is for a bucket without Object Lock.
var lockless = map[string]bool{"NoSuchObjectLockConfiguration": true, "ObjectLockConfigurationNotFoundError": true, "InvalidRequest": true}

// Lock tells the lock of a version (providers.Keeper). The headers of the object tell it where the credential may see it; where they don't, the store is asked for the
// retention, which takes no permission to read the object, but one of its own (kind Denied without), and some services can't tell (kind Unsupported). A legal
// hold is known from the headers only.
func (d *Driver) Lock(ctx context.Context, name, id string) (providers.Lock, error) {
	var version *string
	if id != "" {
		version = aws.String(id)
	}
	var lock providers.Lock
	head, err := d.head(ctx, "lock", name, version)
	switch {
	case providers.KindOf(err) == providers.Denied: // who may not read an object may be allowed to read its retention
	case err != nil:
		return providers.Lock{}, err
	default:
		lock = providers.Lock{
			Mode: providers.LockMode(head.ObjectLockMode), Until: aws.ToTime(head.ObjectLockRetainUntilDate).UTC(),
			Hold: head.ObjectLockLegalHoldStatus == types.ObjectLockLegalHoldStatusOn,
		}
	}
	if lock.Mode != providers.LockNone {
		return lock, nil
	}
	out, err := d.client.GetObjectRetention(ctx, &awss3.GetObjectRetentionInput{Bucket: aws.String(d.at.Bucket), Key: d.key(name), VersionId: version})
	switch {
	case err != nil && lockless[s3client.Code(err)]:
		return lock, nil
	case err != nil:
		return providers.Lock{}, d.fail(ctx, "lock", name, err)
	case out.Retention != nil:
		lock.Mode, lock.Until = providers.LockMode(out.Retention.Mode), aws.ToTime(out.Retention.RetainUntilDate).UTC()
	}
	return lock, nil
}

// Settings tells how the bucket keeps what it holds (providers.Keeper), with three requests.
func (d *Driver) Settings(ctx context.Context) (providers.Settings, error) {
	s := providers.Settings{Unknown: map[string]string{}}
	for _, part := range []struct {
		name string
		ask  func(context.Context, *providers.Settings) error
	}{{"versioning", d.versioning}, {"lock", d.defaultLock}, {"rules", d.rules}} {
		err := part.ask(ctx, &s)
		if err == nil {
			continue
		}
		if err = d.fail(ctx, "settings", "", err); !unknowable(ctx, err) {
			return providers.Settings{}, err
		}
		s.Unknown[part.name] = err.(*providers.Error).Kind.String() + ": " + err.(*providers.Error).Err.Error()
	}
	return s, nil
}

// unknowable reports whether asking again would not help, and asking something else may.
func unknowable(ctx context.Context, err error) bool {
	switch providers.KindOf(err) {
	case providers.Denied, providers.Unsupported, providers.Other:
		return ctx.Err() == nil
	case providers.NotFound:
		return s3client.Code(err) != "NoSuchBucket"
	}
	return false
}

func (d *Driver) versioning(ctx context.Context, s *providers.Settings) error {
	out, err := d.client.GetBucketVersioning(ctx, &awss3.GetBucketVersioningInput{Bucket: aws.String(d.at.Bucket)})
	if err != nil {
		return err
	}
	switch out.Status {
	case types.BucketVersioningStatusEnabled:
		s.Versioning = "on"
	case types.BucketVersioningStatusSuspended:
		s.Versioning = "suspended"
	default:
		s.Versioning = "off"
	}
	return nil
}

// day and year are how S3 counts a default retention.
const (
	day  = 24 * time.Hour
	year = 365 * day
)

func (d *Driver) defaultLock(ctx context.Context, s *providers.Settings) error {
	out, err := d.client.GetObjectLockConfiguration(ctx, &awss3.GetObjectLockConfigurationInput{Bucket: aws.String(d.at.Bucket)})
	if s3client.Code(err) == "ObjectLockConfigurationNotFoundError" {
		return nil
	}
	if err != nil || out.ObjectLockConfiguration == nil {
		return err
	}
	c := out.ObjectLockConfiguration
	s.Lock = c.ObjectLockEnabled == types.ObjectLockEnabledEnabled
	if c.Rule != nil && c.Rule.DefaultRetention != nil {
		r := c.Rule.DefaultRetention
		s.Mode = providers.LockMode(r.Mode)
		s.Retention = time.Duration(aws.ToInt32(r.Days))*day + time.Duration(aws.ToInt32(r.Years))*year
	}
	return nil
}

func (d *Driver) rules(ctx context.Context, s *providers.Settings) error {
	out, err := d.client.GetBucketLifecycleConfiguration(ctx, &awss3.GetBucketLifecycleConfigurationInput{Bucket: aws.String(d.at.Bucket)})
	if s3client.Code(err) == "NoSuchLifecycleConfiguration" {
		return nil
	}
	if err != nil {
		return err
	}
	for i := range out.Rules {
		if r, removes := rule(&out.Rules[i], time.Now()); removes {
			s.Rules = append(s.Rules, r)
		}
	}
	return nil
}

// rule translates a rule, and reports whether it is in force and removes something. A date is the time that is left until then. Removing a marker under which nothing is
// left, and parts of unfinished uploads, removes no object.
func rule(r *types.LifecycleRule, now time.Time) (out providers.Rule, removes bool) {
	out.ID = aws.ToString(r.ID)
	out.Prefix, out.Tagged = filter(r)
	if e := r.Expiration; e != nil {
		switch {
		case e.Days != nil:
			out.Expire = days(*e.Days)
		case e.Date != nil:
			left := max(e.Date.Sub(now), 0)
			out.Expire = &left
		}
	}
	if n := r.NoncurrentVersionExpiration; n != nil {
		out.Noncurrent = days(aws.ToInt32(n.NoncurrentDays))
	}
	return out, r.Status == types.ExpirationStatusEnabled && (out.Expire != nil || out.Noncurrent != nil)
}

func days(n int32) *time.Duration {
	d := time.Duration(n) * day
	return &d
}

// filter is what objects a rule is for.
func filter(r *types.LifecycleRule) (prefix string, tagged bool) {
	//lint:ignore SA1019 rules that were written before filters existed still have it, and are in force
	prefix = aws.ToString(r.Prefix)
	if f := r.Filter; f != nil {
		prefix, tagged = prefix+aws.ToString(f.Prefix), f.Tag != nil
		if f.And != nil {
			prefix, tagged = prefix+aws.ToString(f.And.Prefix), len(f.And.Tags) > 0
		}
	}
	return prefix, tagged
}
