package s3probe_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"farshore/agent/probe"
	"farshore/agent/probe/s3probe"
	"farshore/agent/record"
	"farshore/providers"
	"farshore/providers/s3"
	"farshore/providers/s3/s3client"
	"farshore/providers/servers"
)

const prefix = "vaults/one"

// statement is one of a policy.
type statement struct {
	Effect    string
	Principal any `json:",omitempty"`
	Action    []string
	Resource  []string
}

// writer is the smallest policy of a writer, apart from conditions. Its first statement is about objects that may be made, its third about the bucket.
func writer(bucket string) []statement {
	b := "arn:aws:s3:::" + bucket
	rooms := func(names ...string) (out []string) {
		for _, n := range names {
			out = append(out, b+"/"+prefix+"/"+n+"/*")
		}
		return out
	}
	return []statement{
		{Effect: "Allow", Action: []string{"s3:PutObject"}, Resource: rooms("packs", "meta", "commits", "reports")},
		{Effect: "Allow", Action: []string{"s3:GetObject", "s3:GetObjectVersion"}, Resource: rooms("meta", "commits", "reports", "vault")},
		{Effect: "Allow", Action: []string{"s3:GetObjectRetention", "s3:GetObjectLegalHold"}, Resource: rooms("packs", "meta", "commits", "reports", "vault")},
		{Effect: "Allow", Action: []string{"s3:ListBucket", "s3:ListBucketVersions", "s3:GetBucketVersioning", "s3:GetBucketObjectLockConfiguration", "s3:GetLifecycleConfiguration"}, Resource: []string{b}},
	}
}

// all is what an owner may.
func all(bucket string) []statement {
	b := "arn:aws:s3:::" + bucket
	return []statement{{Effect: "Allow", Action: []string{"s3:*"}, Resource: []string{b, b + "/*"}}}
}

// with adds actions on objects and on the bucket to a policy.
func with(policy []statement, bucket string, actions ...string) []statement {
	b := "arn:aws:s3:::" + bucket
	for _, a := range actions {
		on := b + "/*"
		if strings.Contains(a, "Bucket") || strings.Contains(a, "Configuration") {
			on = b
		}
		policy = append(slices.Clip(policy), statement{Effect: "Allow", Action: []string{a}, Resource: []string{on}})
	}
	return policy
}

func document(tb testing.TB, policy []statement) string {
	tb.Helper()
	b, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": policy})
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}

// server is a kind of server, and how an account with a policy is made on it.
type server struct {
	start func(testing.TB) servers.S3
	user  func(tb testing.TB, s servers.S3, bucket string, policy []statement) servers.S3
}

var minio = server{start: servers.MinIO, user: func(tb testing.TB, s servers.S3, bucket string, policy []statement) servers.S3 {
	tb.Helper()
	return servers.MinIOUser(tb, s, document(tb, policy))
}}

var versity = server{start: servers.Versity, user: func(tb testing.TB, s servers.S3, bucket string, policy []statement) servers.S3 {
	tb.Helper()
	guest, ok := s.Guest()
	if !ok {
		tb.Fatal("no second account")
	}
	policy = slices.Clone(policy)
	for i := range policy {
		policy[i].Principal = map[string][]string{"AWS": {guest.AccessKey}}
	}
	_, err := s.Client(tb).PutBucketPolicy(context.Background(), &awss3.PutBucketPolicyInput{Bucket: &bucket, Policy: aws.String(document(tb, policy))})
	if err != nil {
		tb.Fatal(err)
	}
	return guest
}}

// lockable asks for a bucket with Object Lock, and so with versioning.
func lockable(in *awss3.CreateBucketInput) { in.ObjectLockEnabledForBucket = aws.Bool(true) }

// setDefault sets the lock that new objects get.
func setDefault(tb testing.TB, s servers.S3, bucket string, mode types.ObjectLockRetentionMode, days int32) {
	tb.Helper()
	_, err := s.Client(tb).PutObjectLockConfiguration(context.Background(), &awss3.PutObjectLockConfigurationInput{Bucket: &bucket, ObjectLockConfiguration: &types.ObjectLockConfiguration{
		ObjectLockEnabled: types.ObjectLockEnabledEnabled, Rule: &types.ObjectLockRule{DefaultRetention: &types.DefaultRetention{Mode: mode, Days: &days}},
	}})
	if err != nil {
		tb.Fatal(err)
	}
}

func setVersioning(tb testing.TB, s servers.S3, bucket string, status types.BucketVersioningStatus) {
	tb.Helper()
	_, err := s.Client(tb).PutBucketVersioning(context.Background(), &awss3.PutBucketVersioningInput{Bucket: &bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: status}})
	if err != nil {
		tb.Fatal(err)
	}
}

// run probes the bucket with the account.
func run(tb testing.TB, s servers.S3, bucket string, o probe.Options) *probe.Report {
	tb.Helper()
	ctx := context.Background()
	d, err := s3.Open(ctx, s.URL(bucket, prefix), s3.Options{Credentials: s.Credentials()})
	if err != nil {
		tb.Fatal(err)
	}
	r, err := probe.Run(ctx, providers.New(d, providers.Options{}), attacker(tb, s, bucket), o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Log(text(r))
		}
	})
	return r
}

func attacker(tb testing.TB, s servers.S3, bucket string) *s3probe.Attacker {
	tb.Helper()
	a, err := s3probe.New(context.Background(), s.URL(bucket, prefix), s3client.Options{Credentials: s.Credentials()})
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

// text is a report for whoever looks at a failed test.
func text(r *probe.Report) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s\ngrants %q until %v\nsettings %+v\n", r.Verdict, r.Words, r.Grants, r.Until, r.Settings)
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "  %-16s %-10s %s\n", f.Property, f.Answer, f.Text)
	}
	for _, a := range r.Attempts {
		fmt.Fprintf(&b, "  %-8s %-22s %-10s %-9s %v %s | %s\n", a.Room, a.Probe, a.Answer, a.Fate, a.Moot, a.Code, a.Text)
	}
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "  note: %s\n", n)
	}
	return b.String()
}

// fill puts objects into every room, as the owner.
func fill(tb testing.TB, s servers.S3, bucket string) {
	tb.Helper()
	for _, room := range probe.Rooms() {
		for _, name := range []string{"/ab/one", "/canary.0", "/canarys/0"} {
			_, err := s.Client(tb).PutObject(context.Background(), &awss3.PutObjectInput{
				Bucket: &bucket, Key: aws.String(prefix + "/" + room + name), Body: strings.NewReader(room + name), ChecksumAlgorithm: types.ChecksumAlgorithmSha256,
			})
			if err != nil {
				tb.Fatal(err)
			}
		}
	}
}

// state is all that a bucket holds and how, apart from canaries: versions, markers, bytes, tags, locks and settings.
func state(tb testing.TB, s servers.S3, bucket string) []string {
	tb.Helper()
	ctx, c := context.Background(), s.Client(tb)
	var out []string
	versions, err := c.ListObjectVersions(ctx, &awss3.ListObjectVersionsInput{Bucket: &bucket, MaxKeys: aws.Int32(1000)})
	if err != nil {
		tb.Fatal(err)
	}
	for _, m := range versions.DeleteMarkers {
		if !record.IsCanary(strings.TrimPrefix(*m.Key, prefix+"/")) {
			out = append(out, fmt.Sprint("marker ", *m.Key, *m.VersionId))
		}
	}
	for _, v := range versions.Versions {
		if record.IsCanary(strings.TrimPrefix(*v.Key, prefix+"/")) {
			continue
		}
		o, err := c.GetObject(ctx, &awss3.GetObjectInput{Bucket: &bucket, Key: v.Key, VersionId: v.VersionId})
		if err != nil {
			tb.Fatal(err)
		}
		body, err := io.ReadAll(o.Body)
		if err != nil {
			tb.Fatal(err)
		}
		out = append(out, fmt.Sprint("object ", *v.Key, aws.ToString(v.VersionId), aws.ToBool(v.IsLatest), v.LastModified, aws.ToString(v.ETag), aws.ToInt32(o.TagCount), o.ObjectLockMode,
			o.ObjectLockRetainUntilDate, o.ObjectLockLegalHoldStatus, string(body)))
	}
	return append(out, settings(ctx, c, bucket)...)
}

// settings are those of the bucket, or the code with which the server says that there is none.
func settings(ctx context.Context, c *awss3.Client, bucket string) []string {
	said := func(name string, v any, err error) string {
		if err != nil {
			return name + " none"
		}
		b, _ := json.Marshal(v) // structures of strings and numbers
		return name + " " + string(b)
	}
	v, err := c.GetBucketVersioning(ctx, &awss3.GetBucketVersioningInput{Bucket: &bucket})
	out := []string{said("versioning", []any{v.Status, v.MFADelete}, err)}
	l, err := c.GetObjectLockConfiguration(ctx, &awss3.GetObjectLockConfigurationInput{Bucket: &bucket})
	if l == nil {
		l = &awss3.GetObjectLockConfigurationOutput{}
	}
	out = append(out, said("lock", l.ObjectLockConfiguration, err))
	r, err := c.GetBucketLifecycleConfiguration(ctx, &awss3.GetBucketLifecycleConfigurationInput{Bucket: &bucket})
	if r == nil {
		r = &awss3.GetBucketLifecycleConfigurationOutput{}
	}
	out = append(out, said("lifecycle", r.Rules, err))
	p, err := c.GetBucketPolicy(ctx, &awss3.GetBucketPolicyInput{Bucket: &bucket})
	if p == nil {
		p = &awss3.GetBucketPolicyOutput{}
	}
	out = append(out, said("policy", p.Policy, err))
	a, err := c.GetBucketAcl(ctx, &awss3.GetBucketAclInput{Bucket: &bucket})
	if a == nil {
		a = &awss3.GetBucketAclOutput{}
	}
	out = append(out, said("acl", a.Grants, err))
	e, err := c.GetBucketEncryption(ctx, &awss3.GetBucketEncryptionInput{Bucket: &bucket})
	if e == nil {
		e = &awss3.GetBucketEncryptionOutput{}
	}
	return append(out, said("encryption", e.ServerSideEncryptionConfiguration, err))
}
