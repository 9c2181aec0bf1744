package s3probe_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"farshore/agent/probe"
	"farshore/agent/record"
	"farshore/providers/servers"
)

// locked is a filled bucket whose objects get a COMPLIANCE lock of two days.
func locked(tb testing.TB, s servers.S3) string {
	tb.Helper()
	bucket := s.Bucket(tb, lockable)
	setDefault(tb, s, bucket, types.ObjectLockRetentionModeCompliance, 2)
	fill(tb, s, bucket)
	return bucket
}

// unchanged runs f and holds that nothing but canaries is different afterwards.
func unchanged(t *testing.T, s servers.S3, bucket string, f func()) {
	t.Helper()
	before := state(t, s, bucket)
	f()
	if after := state(t, s, bucket); !slices.Equal(before, after) {
		t.Errorf("the probe changed more than canaries:\n%s\nis now\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
	if len(before) < 15 {
		t.Fatalf("only %d objects and settings were compared", len(before))
	}
}

// readBack is the writer who may also read the packs.
func readBack(bucket string) []statement {
	p := writer(bucket)
	p[1].Resource = append(p[1].Resource, "arn:aws:s3:::"+bucket+"/"+prefix+"/packs/*")
	return p
}

func TestMinIO(t *testing.T) {
	s := minio.start(t)
	t.Run("right policy", func(t *testing.T) {
		bucket := locked(t, s)
		unchanged(t, s, bucket, func() {
			r := run(t, minio.user(t, s, bucket, readBack(bucket)), bucket, probe.Options{})
			if r.Verdict != probe.Protected || !strings.Contains(r.Words, "leaves the locked original beneath it") || len(r.Grants) != 0 {
				t.Errorf("%s: %s, grants %q", r.Verdict, r.Words, r.Grants)
			}
			if left := time.Until(r.Until); left < 47*time.Hour || left > 48*time.Hour {
				t.Errorf("until %v", r.Until)
			}
			if !strings.HasPrefix(r.Principal, "key user") {
				t.Errorf("principal %q", r.Principal)
			}
		})
	})
	t.Run("everything", func(t *testing.T) {
		bucket := locked(t, s)
		unchanged(t, s, bucket, func() {
			r := run(t, minio.user(t, s, bucket, all(bucket)), bucket, probe.Options{})
			unprotected(t, r, "s3:DeleteObjectVersion", "s3:PutBucketPolicy", "s3:PutBucketVersioning", "s3:PutLifecycleConfiguration", "s3:PutBucketObjectLockConfiguration", "s3:PutObjectTagging", "s3:PutObjectLegalHold")
		})
	})
	t.Run("everything without a lock", func(t *testing.T) {
		for name, prepare := range map[string]func(bucket string){
			"no versions": func(string) {},
			"versions":    func(bucket string) { setVersioning(t, s, bucket, types.BucketVersioningStatusEnabled) },
			"suspended": func(bucket string) {
				setVersioning(t, s, bucket, types.BucketVersioningStatusEnabled)
				fill(t, s, bucket)
				setVersioning(t, s, bucket, types.BucketVersioningStatusSuspended)
			},
		} {
			bucket := s.Bucket(t)
			prepare(bucket)
			fill(t, s, bucket)
			unchanged(t, s, bucket, func() {
				unprotected(t, run(t, s, bucket, probe.Options{}), "s3:DeleteObjectVersion", "s3:PutObject without the condition s3:if-none-match")
			})
			if t.Failed() {
				t.Fatal(name)
			}
		}
	})
	mutated(t, minio, s, readBack, []string{"s3:PutObjectRetention", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:PutObjectTagging", "s3:PutObjectVersionTagging", "s3:PutObjectLegalHold",
		"s3:PutLifecycleConfiguration", "s3:PutBucketVersioning", "s3:PutBucketObjectLockConfiguration", "s3:PutBucketPolicy", "s3:PutEncryptionConfiguration"},
		// Alone they permit nothing there: versions are deleted and tagged with s3:DeleteObject and s3:PutObjectTagging.
		[]string{"s3:DeleteObjectVersion", "s3:PutObjectVersionTagging"})
	t.Run("right policy and delete markers", func(t *testing.T) {
		bucket := locked(t, s)
		// There s3:DeleteObject is for versions too, unless that is denied.
		b := "arn:aws:s3:::" + bucket + "/"
		p := append(readBack(bucket), statement{Effect: "Deny", Action: []string{"s3:DeleteObjectVersion"}, Resource: []string{b + "*"}})
		for _, room := range []string{"packs", "meta", "commits", "reports"} {
			p = append(p, statement{Effect: "Allow", Action: []string{"s3:DeleteObject"}, Resource: []string{b + prefix + "/" + room + "/*"}})
		}
		r := run(t, minio.user(t, s, bucket, p), bucket, probe.Options{})
		if r.Verdict != probe.Protected || !strings.Contains(r.Words, "delete, multi-delete in meta/, commits/, reports/, packs/ leaves the locked original beneath it") {
			t.Errorf("%s: %s", r.Verdict, r.Words)
		}
	})
	t.Run("weakened", func(t *testing.T) { weakened(t, minio, s) })
}

// unprotected holds the verdict, and that the permissions are named.
func unprotected(t *testing.T, r *probe.Report, grants ...string) {
	t.Helper()
	if r.Verdict != probe.Unprotected {
		t.Errorf("%s: %s", r.Verdict, r.Words)
	}
	for _, g := range grants {
		if !slices.Contains(r.Grants, g) || !strings.Contains(r.Words, g) {
			t.Errorf("%s is not among what is to be taken away: %q: %s", g, r.Grants, r.Words)
		}
	}
}

// mutated adds one permission at a time to the right policy. The probe is never content, and names it.
func mutated(t *testing.T, kind server, s servers.S3, right func(string) []statement, actions, powerless []string) {
	for _, action := range actions {
		t.Run("right policy and "+action, func(t *testing.T) {
			bucket := locked(t, s)
			r := run(t, kind.user(t, s, bucket, with(right(bucket), bucket, action)), bucket, probe.Options{})
			if slices.Contains(powerless, action) {
				if r.Verdict != probe.Protected || r.Findings[1].Answer != probe.Denied {
					t.Errorf("%s: %s", r.Verdict, r.Words)
				}
				return
			}
			if r.Verdict == probe.Protected || !strings.Contains(r.Words, action) {
				t.Errorf("%s: %s", r.Verdict, r.Words)
			}
		})
	}
}

// weakened takes one thing at a time away from a bucket that the right policy needs where its overwrites are not denied.
func weakened(t *testing.T, kind server, s servers.S3) {
	for name, prepare := range map[string]func() string{
		"no versioning": func() string { return s.Bucket(t) },
		"versioning suspended": func() string {
			b := s.Bucket(t)
			setVersioning(t, s, b, types.BucketVersioningStatusEnabled)
			setVersioning(t, s, b, types.BucketVersioningStatusSuspended)
			return b
		},
		"versions and no lock": func() string {
			b := s.Bucket(t)
			setVersioning(t, s, b, types.BucketVersioningStatusEnabled)
			return b
		},
		"no default lock": func() string { return s.Bucket(t, lockable) },
		"governance": func() string {
			b := s.Bucket(t, lockable)
			setDefault(t, s, b, types.ObjectLockRetentionModeGovernance, 2)
			return b
		},
	} {
		t.Run(name, func(t *testing.T) {
			bucket := prepare()
			fill(t, s, bucket)
			unprotected(t, run(t, kind.user(t, s, bucket, readBack(bucket)), bucket, probe.Options{}), "s3:PutObject without the condition s3:if-none-match")
		})
	}
	t.Run("default shortened", func(t *testing.T) {
		bucket := locked(t, s)
		user := kind.user(t, s, bucket, readBack(bucket))
		before := run(t, user, bucket, probe.Options{})
		setDefault(t, s, bucket, types.ObjectLockRetentionModeCompliance, 1)
		after := run(t, user, bucket, probe.Options{Baseline: &before.Baseline})
		if before.Verdict != probe.Protected || after.Verdict == probe.Protected || !strings.Contains(after.Words, "locked for 48h0m0s, are now for 24h0m0s") {
			t.Errorf("before: %s\nafter: %s", before.Words, after.Words)
		}
	})
	t.Run("lifecycle for what is hidden", func(t *testing.T) {
		bucket := locked(t, s)
		_, err := s.Client(t).PutBucketLifecycleConfiguration(context.Background(), &awss3.PutBucketLifecycleConfigurationInput{Bucket: &bucket, LifecycleConfiguration: &types.BucketLifecycleConfiguration{
			Rules: []types.LifecycleRule{{
				ID: aws.String("tidy"), Status: types.ExpirationStatusEnabled, Filter: &types.LifecycleRuleFilter{Prefix: aws.String("vaults/")},
				NoncurrentVersionExpiration: &types.NoncurrentVersionExpiration{NoncurrentDays: aws.Int32(1)},
			}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		r := run(t, kind.user(t, s, bucket, readBack(bucket)), bucket, probe.Options{})
		if r.Verdict != probe.Unprotected || !strings.Contains(r.Words, `rule "tidy"`) {
			t.Errorf("%s: %s", r.Verdict, r.Words)
		}
	})
}

// TestVersity runs where no lock is shown on an object: only a credential that can't overwrite is protected there, as the proxy makes it.
func TestVersity(t *testing.T) {
	s := versity.start(t)
	t.Run("right policy without a condition", func(t *testing.T) {
		bucket := locked(t, s)
		unprotected(t, run(t, versity.user(t, s, bucket, readBack(bucket)), bucket, probe.Options{}), "s3:PutObject without the condition s3:if-none-match")
	})
	t.Run("right policy", func(t *testing.T) {
		bucket := locked(t, s)
		user := createOnly.user(t, s, bucket, writer(bucket))
		unchanged(t, s, bucket, func() {
			r := run(t, user, bucket, probe.Options{})
			if r.Verdict != probe.Protected || !strings.Contains(r.Words, "the store denied") || r.Findings[0].Answer != probe.Denied {
				t.Errorf("%s: %s", r.Verdict, r.Words)
			}
		})
	})
	t.Run("everything", func(t *testing.T) {
		bucket := locked(t, s)
		user := versity.user(t, s, bucket, all(bucket))
		unchanged(t, s, bucket, func() {
			unprotected(t, run(t, user, bucket, probe.Options{}), "s3:PutObjectRetention", "s3:PutBucketPolicy", "s3:PutObject without the condition s3:if-none-match", "s3:PutBucketVersioning")
		})
	})
	mutated(t, createOnly, s, writer, []string{"s3:PutObjectRetention", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:PutObjectTagging", "s3:PutObjectVersionTagging", "s3:PutObjectLegalHold",
		"s3:PutBucketVersioning", "s3:PutBucketObjectLockConfiguration", "s3:PutBucketPolicy", "s3:PutBucketAcl", "s3:PutBucketOwnershipControls"}, nil)
}

// createOnly is versity behind what denies an overwrite, as AWS does under the condition s3:if-none-match.
var createOnly = server{start: servers.Versity, user: func(tb testing.TB, s servers.S3, bucket string, policy []statement) servers.S3 {
	tb.Helper()
	user := versity.user(tb, s, bucket, policy)
	return servers.CreateOnly(tb, user, user.AccessKey)
}}

// TestOnlyCanaries holds that no name but a canary's is ever sent, whoever asks.
func TestOnlyCanaries(t *testing.T) {
	s := servers.Fake(t)
	bucket := s.Bucket(t)
	a := attacker(t, s, bucket)
	s.Stop() // a request would now fail as one, and not as a name that is refused
	for _, name := range []string{"", "packs/ab/cd", "vault/00000001-ab", "packs/canary/", "packs/canary/../ab", "packs/canary/A", "canary/x", "/packs/canary/x", "packs/canary/x/y", "packs//canary/x"} {
		if record.IsCanary(name) {
			t.Fatalf("%q is a canary", name)
		}
		if _, r := a.Create(t.Context(), name, nil); r.Answer != probe.Unknown || !strings.Contains(r.Text, "nothing was sent") {
			t.Errorf("create %q: %+v", name, r)
		}
		for _, p := range a.Object() {
			if r := p.Try(t.Context(), probe.Canary{Name: name, Version: "v", Exists: true}); r.Answer != probe.Unknown || !strings.Contains(r.Text, "nothing was sent") {
				t.Errorf("%s %q: %+v", p.Probe, name, r)
			}
		}
	}
}

// TestBroken holds that a credential that does not work proves nothing.
func TestBroken(t *testing.T) {
	s := servers.Versity(t)
	bucket := s.Bucket(t)
	for name, change := range map[string]func(*servers.S3){
		"wrong secret": func(s *servers.S3) { s.SecretKey = "wrong" },
		"unknown key":  func(s *servers.S3) { s.AccessKey = "nobody" },
		"no rights":    func(s *servers.S3) { *s, _ = s.Guest() },
	} {
		broken := s
		change(&broken)
		if r := run(t, broken, bucket, probe.Options{Rooms: []string{"packs", "vault"}}); r.Verdict != probe.Unproven {
			t.Errorf("%s: %s", name, r.Words)
		}
	}
}
