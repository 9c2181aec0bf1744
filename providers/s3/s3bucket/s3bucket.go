// Package s3bucket makes the bucket that a new vault shall lie in: with Object Lock, so with versioning, and a default retention that nobody can lift.
//
// It is for an administrator's credential, once, before there is a vault. It makes what is not there and changes no bucket that is: it refuses where the name is
// taken, and whatever fails half-way, it removes nothing.
package s3bucket

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"farshore/providers/s3/s3client"
)

const day = 24 * time.Hour

// MaxRetention is the longest default retention that S3 is documented to take: a hundred years of 365 days.
const MaxRetention = 36500 * day

// Spec is what the bucket shall have.
type Spec struct {
	// Retention is for how long each new object is locked, in whole days from one to MaxRetention.
	Retention time.Duration
}

// Made is what was made.
type Made struct {
	Bucket string `json:"bucket"`
	// Region is where the service was asked to make it; empty where it has none of its own.
	Region string `json:"region,omitempty"`
	// PublicAccess and Ownership are "blocked" and "enforced", or what the service said to that: one that does not know of either is no failure.
	PublicAccess string `json:"public_access"`
	Ownership    string `json:"ownership"`
}

// ErrExists says that the bucket is there already, the caller's or somebody else's. Nothing was changed.
var ErrExists = errors.New("the bucket exists already, and an existing bucket is never changed")

// PartialError says that the bucket was made and does not yet have what was asked for. Nothing was removed.
type PartialError struct {
	// Bucket is its name.
	Bucket string
	// Lacks is what it does not have, as far as is known.
	Lacks string
	// Err is why.
	Err error
}

// Error says what is there and what is not.
func (e *PartialError) Error() string {
	return fmt.Sprintf("the bucket %s was made, with Object Lock enabled, but %s: %v; nothing was removed", e.Bucket, e.Lacks, e.Err)
}

// Unwrap returns the cause.
func (e *PartialError) Unwrap() error { return e.Err }

// requestTime bounds each request: making a bucket takes a second or two, and a region that is far away some more.
const requestTime = 30 * time.Second

// attempts is how often a setting of the new bucket is tried: it may take some seconds until the whole service knows the bucket.
const attempts = 5

// Create makes the bucket of the address s3://bucket/prefix?endpoint=&region=&profile=&path_style= and gives it Object Lock with that default retention in mode COMPLIANCE; then, where the
// service knows such settings, it blocks public access and enforces the owner's ownership. It fails with ErrExists where the name is taken, and with a *PartialError once the bucket is there.
func Create(ctx context.Context, url string, o s3client.Options, spec Spec) (*Made, error) {
	if err := spec.check(); err != nil {
		return nil, err
	}
	at, err := s3client.Parse(url)
	if err != nil {
		return nil, err
	}
	client, err := at.New(ctx, o)
	if err != nil {
		return nil, err
	}
	m := &maker{client: client, bucket: aws.String(at.Bucket), region: region(at, client.Options().Region), pause: time.Second}
	if err := m.free(ctx); err != nil {
		return nil, err
	}
	if err := m.make(ctx); err != nil {
		return nil, err
	}
	if err := m.lock(ctx, spec); err != nil {
		return nil, err
	}
	made := &Made{Bucket: at.Bucket, Region: m.region}
	if made.PublicAccess, err = m.blockPublic(ctx); err != nil {
		return nil, &PartialError{at.Bucket, "with its retention set, that public access was not blocked", err}
	}
	if made.Ownership, err = m.own(ctx); err != nil {
		return nil, &PartialError{at.Bucket, "with its retention set, that objects of other accounts were not refused", err}
	}
	return made, nil
}

func (s *Spec) check() error {
	if s.Retention < day || s.Retention > MaxRetention || s.Retention%day != 0 {
		return fmt.Errorf("a retention of %s: it is in whole days, from 1 to %d", s.Retention, MaxRetention/day)
	}
	return nil
}

// region is the location constraint: none for us-east-1, which is where a bucket without one lies and which the service refuses to be told, and none for a service that
// is no cloud's and was given no region.
func region(at s3client.Location, signed string) string {
	if signed == "us-east-1" || at.Endpoint != "" && at.Region == "" {
		return ""
	}
	return signed
}

// maker makes one bucket.
type maker struct {
	client *awss3.Client
	bucket *string
	region string
	pause  time.Duration // before the second attempt; it doubles
}

// free refuses a name that is taken. Making the bucket would not tell: in us-east-1 it succeeds for one's own.
func (m *maker) free(ctx context.Context) error {
	err := m.often(ctx, func(ctx context.Context) error {
		_, err := m.client.HeadBucket(ctx, &awss3.HeadBucketInput{Bucket: m.bucket})
		return err
	})
	switch status := s3client.Status(err); {
	case err == nil:
		return fmt.Errorf("%s: %w", *m.bucket, ErrExists)
	case status == http.StatusNotFound:
		return nil
	case status == http.StatusMovedPermanently || status == http.StatusTemporaryRedirect || status == http.StatusBadRequest && m.region != "":
		return fmt.Errorf("%s: %w, perhaps in another region (HTTP %d)", *m.bucket, ErrExists, status)
	case status == http.StatusForbidden:
		return fmt.Errorf("whether the bucket %s exists can't be told: the service answers HTTP 403, as it does for somebody else's bucket and for a wrong credential: %w", *m.bucket, short(err))
	}
	return fmt.Errorf("ask whether the bucket %s exists: %w", *m.bucket, short(err))
}

func (m *maker) make(ctx context.Context) error {
	in := &awss3.CreateBucketInput{Bucket: m.bucket, ObjectLockEnabledForBucket: aws.Bool(true)}
	if m.region != "" {
		in.CreateBucketConfiguration = &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraint(m.region)}
	}
	err := m.once(ctx, func(ctx context.Context) error {
		_, err := m.client.CreateBucket(ctx, in)
		return err
	})
	switch code, status := s3client.Code(err), s3client.Status(err); {
	case err == nil:
		return nil
	case status == http.StatusNotImplemented:
		return fmt.Errorf("make the bucket %s: this service makes no buckets with Object Lock: %w", *m.bucket, short(err))
	case code == "BucketAlreadyOwnedByYou" || code == "BucketAlreadyExists":
		return fmt.Errorf("%s: %w", *m.bucket, ErrExists)
	case status == 0 || status >= 500:
		return fmt.Errorf("make the bucket %s: %w; it may exist all the same: look, and remove it if it is empty, before you try again", *m.bucket, short(err))
	}
	return fmt.Errorf("make the bucket %s: %w", *m.bucket, short(err))
}

// lock sets the default retention.
func (m *maker) lock(ctx context.Context, spec Spec) error {
	days := int32(spec.Retention / day)
	err := m.often(ctx, func(ctx context.Context) error {
		_, err := m.client.PutObjectLockConfiguration(ctx, &awss3.PutObjectLockConfigurationInput{
			Bucket: m.bucket,
			ObjectLockConfiguration: &types.ObjectLockConfiguration{
				ObjectLockEnabled: types.ObjectLockEnabledEnabled,
				Rule:              &types.ObjectLockRule{DefaultRetention: &types.DefaultRetention{Mode: types.ObjectLockRetentionModeCompliance, Days: aws.Int32(days)}},
			},
		})
		return err
	})
	if err != nil {
		return &PartialError{*m.bucket, fmt.Sprintf("its new objects get no lock, since the default retention of %d days was not set", days), short(err)}
	}
	return nil
}

// blockPublic blocks what would make objects public, and says how that went.
func (m *maker) blockPublic(ctx context.Context) (string, error) {
	err := m.often(ctx, func(ctx context.Context) error {
		_, err := m.client.PutPublicAccessBlock(ctx, &awss3.PutPublicAccessBlockInput{
			Bucket: m.bucket,
			PublicAccessBlockConfiguration: &types.PublicAccessBlockConfiguration{
				BlockPublicAcls: aws.Bool(true), IgnorePublicAcls: aws.Bool(true), BlockPublicPolicy: aws.Bool(true), RestrictPublicBuckets: aws.Bool(true),
			},
		})
		return err
	})
	return outcome("blocked", err)
}

// own makes the bucket's owner the owner of every object, whoever writes it, which takes ACLs out of play.
func (m *maker) own(ctx context.Context) (string, error) {
	err := m.often(ctx, func(ctx context.Context) error {
		_, err := m.client.PutBucketOwnershipControls(ctx, &awss3.PutBucketOwnershipControlsInput{
			Bucket: m.bucket,
			OwnershipControls: &types.OwnershipControls{
				Rules: []types.OwnershipControlsRule{{ObjectOwnership: types.ObjectOwnershipBucketOwnerEnforced}},
			},
		})
		return err
	})
	return outcome("enforced", err)
}

// outcome says what came of a setting that not every service knows. Those that don't answer in many ways, but with a client's error.
func outcome(done string, err error) (string, error) {
	status := s3client.Status(err)
	switch {
	case err == nil:
		return done, nil
	case status == http.StatusForbidden || status == http.StatusUnauthorized:
		return "", short(err)
	case status == http.StatusNotImplemented || status >= 400 && status < 500:
		return "not known to this service: " + short(err).Error(), nil
	}
	return "", short(err)
}

// once makes one request, within its time.
func (m *maker) once(ctx context.Context, request func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	return request(ctx)
}

// often makes a request, one that may be repeated, until it has succeeded, was refused, or the attempts are used up.
func (m *maker) often(ctx context.Context, request func(context.Context) error) error {
	for n := 1; ; n++ {
		err := m.once(ctx, request)
		if err == nil || n == attempts || !passing(err) || ctx.Err() != nil {
			return err
		}
		timer := time.NewTimer(m.pause << (n - 1))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
	}
}

// passing reports whether an error may be over soon: the service's or the network's, and that a bucket which was just made is not known everywhere.
func passing(err error) bool {
	status := s3client.Status(err)
	code := s3client.Code(err)
	if errors.Is(err, s3client.ErrCredentials) {
		return false
	}
	return status == 0 || status == http.StatusTooManyRequests || status >= 500 && status != http.StatusNotImplemented || code == "NoSuchBucket" || code == "OperationAborted"
}

// short is a service's answer in one line; the SDK's own text names the operation and the service once more.
func short(err error) error {
	var api smithy.APIError
	if status := s3client.Status(err); status != 0 && errors.As(err, &api) {
		return &answer{fmt.Sprintf("%s: %s (HTTP %d)", api.ErrorCode(), api.ErrorMessage(), status), err}
	}
	return err
}

type answer struct {
	text string
	err  error
}

// Error is the short text.
func (a *answer) Error() string { return a.text }

// Unwrap returns the SDK's error.
func (a *answer) Unwrap() error { return a.err }
