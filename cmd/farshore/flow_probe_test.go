package main

import (
	"encoding/json"
	"maps"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"farshore/agent/probe"
	"farshore/agent/record"
	"farshore/providers/s3/s3fake"
	"farshore/providers/servers"
)

// offsite is a machine with an agent whose vault is in a bucket that init made at another provider's server, with a source "shop" whose server lets everybody in.
type offsite struct {
	*rig
	// provider is the server with its owner's account, which is the bucket's administrator.
	provider servers.S3
	// place is the vault's address, key the vault's prefix in the bucket.
	bucket, place, key string
	admin              *s3.Client
}

// newOffsite makes the vault as the administrator, and leaves the process with that account.
func newOffsite(t *testing.T, provider servers.S3) *offsite {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), server: servers.S3{Region: "us-east-1", AccessKey: "anybody", SecretKey: "anything"}}
	source := httptest.NewServer(s3fake.Handler(nil))
	t.Cleanup(source.Close)
	r.server.Endpoint = source.URL
	r.client, r.bucket = r.server.Client(t), r.server.Bucket(t)
	t.Chdir(r.dir)
	r.put(map[string]string{"a/1": "alpha", "b": "beta"})
	o := &offsite{rig: r, provider: provider, bucket: "offsite", place: provider.URL("offsite", "vault"), key: "vault/", admin: provider.Client(t)}
	setAWS(t, provider)
	o.ok("init", "--create-bucket", "--retention", "2d", "--vault", o.place, "--config", "farshore.yaml", "--kit", "kit").
		says("The bucket offsite was made", "each new object is locked for 2d: nobody can remove it before").lacks("UNPROTECTED")
	o.ok("source", "add", "shop", r.url())
	return o
}

// become gives the process the account.
func (o *offsite) become(s servers.S3) { o.t.Helper(); setAWS(o.t, s) }

// role gives the process a new user of MinIO, who may do what the command prints for the role, and what the statements grant beyond it.
func (o *offsite) role(name string, more ...statement) servers.S3 {
	o.t.Helper()
	user := servers.MinIOUser(o.t, o.provider, o.document(name, more...))
	o.become(user)
	return user
}

// document is what the command prints for a role at MinIO, with more statements.
func (o *offsite) document(role string, more ...statement) string {
	o.t.Helper()
	return granting(o.t, o.policy(o.place, role), more...)
}

// granting adds statements to a user's policy, which names no principal.
func granting(t *testing.T, policy string, more ...statement) string {
	t.Helper()
	return grantingTo(t, policy, nil, more...)
}

// grantingTo adds statements to a policy, for the principal.
func grantingTo(t *testing.T, policy string, principal map[string][]string, more ...statement) string {
	t.Helper()
	var d struct {
		Version   string
		Statement []json.RawMessage
	}
	if err := json.Unmarshal([]byte(policy), &d); err != nil || len(d.Statement) < 3 {
		t.Fatalf("%v\n%s", err, policy)
	}
	for _, s := range more {
		one := map[string]any{"Effect": "Allow", "Action": s.Action, "Resource": s.Resource}
		if principal != nil {
			one["Principal"] = principal
		}
		b, err := json.Marshal(one)
		if err != nil {
			t.Fatal(err)
		}
		d.Statement = append(d.Statement, b)
	}
	b, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// grant is a statement about the bucket, where no names are given, or about what they match in it.
func (o *offsite) grant(action string, names ...string) statement {
	s := statement{Action: []string{action}, Resource: []string{"arn:aws:s3:::" + o.bucket}}
	if len(names) > 0 {
		s.Resource = nil
	}
	for _, n := range names {
		s.Resource = append(s.Resource, "arn:aws:s3:::"+o.bucket+"/"+n)
	}
	return s
}

// versions are all versions and delete markers below the vault's prefix, with what the store says of each, without canaries; canaries counts those, hidden or not.
func (o *offsite) versions() (kept map[string]string, canaries int) {
	o.t.Helper()
	kept, seen := map[string]string{}, map[string]bool{}
	in := &s3.ListObjectVersionsInput{Bucket: &o.bucket}
	for {
		out, err := o.admin.ListObjectVersions(o.t.Context(), in)
		if err != nil {
			o.t.Fatal(err)
		}
		for _, v := range out.Versions {
			if name := strings.TrimPrefix(*v.Key, o.key); record.IsCanary(name) {
				seen[name] = true
				continue
			}
			kept[*v.Key+" "+aws.ToString(v.VersionId)] = aws.ToString(v.ETag) + v.LastModified.String() + o.kept(*v.Key, v.VersionId)
		}
		for _, m := range out.DeleteMarkers {
			if name := strings.TrimPrefix(*m.Key, o.key); !record.IsCanary(name) {
				kept[*m.Key+" marker "+aws.ToString(m.VersionId)] = ""
			}
		}
		if !aws.ToBool(out.IsTruncated) {
			return kept, len(seen)
		}
		in.KeyMarker, in.VersionIdMarker = out.NextKeyMarker, out.NextVersionIdMarker
	}
}

// kept is how a version is locked and tagged.
func (o *offsite) kept(key string, id *string) string {
	o.t.Helper()
	out, err := o.admin.HeadObject(o.t.Context(), &s3.HeadObjectInput{Bucket: &o.bucket, Key: &key, VersionId: id})
	if err != nil {
		o.t.Fatal(err)
	}
	until := ""
	if out.ObjectLockRetainUntilDate != nil {
		until = out.ObjectLockRetainUntilDate.UTC().String()
	}
	return strings.Join([]string{string(out.ObjectLockMode), until, string(out.ObjectLockLegalHoldStatus), aws.ToString(out.ETag)}, " ")
}

// settings are the bucket's, as its administrator reads them.
func (o *offsite) settings() string {
	o.t.Helper()
	ctx, bucket := o.t.Context(), &o.bucket
	versioning, _ := o.admin.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: bucket})
	lock, _ := o.admin.GetObjectLockConfiguration(ctx, &s3.GetObjectLockConfigurationInput{Bucket: bucket})
	rules, _ := o.admin.GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: bucket})
	policy, _ := o.admin.GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: bucket})
	acl, _ := o.admin.GetBucketAcl(ctx, &s3.GetBucketAclInput{Bucket: bucket})
	encryption, _ := o.admin.GetBucketEncryption(ctx, &s3.GetBucketEncryptionInput{Bucket: bucket})
	var all []any
	if versioning != nil {
		all = append(all, versioning.Status, versioning.MFADelete)
	}
	if lock != nil {
		all = append(all, lock.ObjectLockConfiguration)
	}
	if rules != nil {
		all = append(all, rules.Rules)
	}
	if policy != nil {
		all = append(all, policy.Policy)
	}
	if acl != nil {
		all = append(all, acl.Grants, acl.Owner)
	}
	if encryption != nil {
		all = append(all, encryption.ServerSideEncryptionConfiguration)
	}
	b, err := json.Marshal(all)
	if err != nil || len(all) < 2 {
		o.t.Fatalf("%s %v", b, err)
	}
	return string(b)
}

// probed is the report of a run of the command, which must end with the exit code.
func (o *offsite) probed(code int, args ...string) *probe.Report {
	o.t.Helper()
	var r probe.Report
	d, _ := o.json(&r, append([]string{"probe"}, args...)...)
	d.ends(code)
	return &r
}

// TestOffsite has each role do its work in a bucket that init made, with the credential that the command prints for it at MinIO, and probes with each.
func TestOffsite(t *testing.T) {
	o := newOffsite(t, servers.MinIO(t))
	writer := o.role("writer")
	o.ok("probe").says("PROTECTED: nothing that this credential may do destroys", "leaves the locked original beneath it", "nobody at all can remove before", "holds until",
		"each new object is locked for 2d: nobody can remove it before, not the account's owner either (COMPLIANCE)", "versioning is on").lacks("UNPROTECTED", "NOT PROVEN", writer.SecretKey)
	o.ok("replicate").says("2 new", "PROTECTED: nothing that this credential may do destroys").lacks("UNPROTECTED", "NOT PROVEN")
	o.put(map[string]string{"a/1": "changed"})
	o.ok("replicate").says("1 changed", "PROTECTED")
	o.ok("snapshots").says("PROTECTED").lacks("UNPROTECTED", "NOT PROVEN")

	bare := []string{"--vault", o.place, "--identity", o.path("kit", "recovery.key")}
	// The credential of each other role does its work, and is held to it.
	held := func(role string, code int, want probe.Verdict) {
		t.Helper()
		if r := o.probed(code, "--role", role); r.Verdict != want || r.Role != role || len(r.Grants) != 0 {
			t.Errorf("%s: %s", role, r.Words)
		}
	}
	o.role("auditor")
	o.ok(append([]string{"verify", "--full"}, bare...)...).says("INTACT")
	held("auditor", exitDone, probe.Protected)
	o.role("restorer")
	for at, want := range map[string]map[string]string{"2": {"a/1": "alpha", "b": "beta"}, "3": {"a/1": "changed", "b": "beta"}} {
		o.ok(append([]string{"restore", "--source", "shop", "--at", at, "--to", "at" + at}, bare...)...)
		if got := files(t, "at"+at); !maps.Equal(got, want) {
			t.Errorf("restored of snapshot %s %q", at, got)
		}
	}
	// It creates nothing, so that there is no canary on which MinIO would ask about its permissions before it looks for the object.
	held("restorer", exitIncomplete, probe.Unproven)
	o.role("owner")
	if placed := o.declare("recipient", "add", o.hybrid("second.key")); placed.Number != 2 {
		t.Errorf("%+v", placed)
	}
	held("owner", exitDone, probe.Protected)
	// What the others did is no reason for the agent to be asked again.
	o.become(writer)
	_, before := o.versions()
	o.ok("snapshots").says("PROTECTED")
	if _, after := o.versions(); after != before {
		t.Errorf("%d canaries, %d before", after, before)
	}
}
