package main

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"farshore/agent/probe"
	"farshore/providers/servers"
)

// mutation is the writer's policy with something more.
type mutation struct {
	grant statement
	code  int
	// names is what the words must tell to take away; rooms are the only ones in which anything may be found permitted, nil for all.
	names string
	rooms []string
}

// MinIO looks at a COMPLIANCE lock before it lets a credential shorten it, so that s3:PutObjectRetention is not seen to destroy: it is named all the same. Permissions that it
// does not know (s3:PutObjectAcl, s3:PutBucketAcl) can't be granted there.
func minioMutations(o *offsite) []mutation {
	all, packs, commits, statements := "*", "vault/packs/*", "vault/commits/*", "vault/vault/*"
	return []mutation{
		{o.grant("s3:DeleteObject", all), exitDamage, "s3:DeleteObject", nil},
		{o.grant("s3:DeleteObject", packs), exitDamage, "s3:DeleteObject", []string{"packs"}},
		{o.grant("s3:DeleteObject", commits), exitDamage, "s3:DeleteObject", []string{"commits"}},
		{o.grant("s3:DeleteObject", statements), exitDamage, "s3:DeleteObject", []string{"vault"}},
		{o.grant("s3:PutObjectRetention", all), exitIncomplete, "s3:PutObjectRetention", nil},
		{o.grant("s3:PutObjectRetention", packs), exitIncomplete, "s3:PutObjectRetention", []string{"packs"}},
		{o.grant("s3:PutObjectLegalHold", all), exitDamage, "s3:PutObjectLegalHold", nil},
		{o.grant("s3:PutObjectLegalHold", commits), exitDamage, "s3:PutObjectLegalHold", []string{"commits"}},
		{o.grant("s3:PutObjectTagging", all), exitDamage, "s3:PutObjectTagging", nil},
		{o.grant("s3:PutObjectTagging", packs), exitDamage, "s3:PutObjectTagging", []string{"packs"}},
		{o.grant("s3:PutLifecycleConfiguration"), exitDamage, "s3:PutLifecycleConfiguration", []string{""}},
		{o.grant("s3:PutBucketVersioning"), exitDamage, "s3:PutBucketVersioning", []string{""}},
		{o.grant("s3:PutBucketObjectLockConfiguration"), exitDamage, "s3:PutBucketObjectLockConfiguration", []string{""}},
		{o.grant("s3:PutBucketPolicy"), exitDamage, "s3:PutBucketPolicy", nil},
		{o.grant("s3:PutEncryptionConfiguration"), exitDamage, "s3:PutEncryptionConfiguration", []string{""}},
		{o.grant("s3:*"), exitDamage, "s3:PutBucketPolicy", nil},
		{o.grant("s3:*", all), exitDamage, "s3:DeleteObjectVersion", nil},
	}
}

// versityMutations are at a server that knows s3:DeleteObjectVersion, behind a proxy that makes it create-only.
func versityMutations(o *offsite) []mutation {
	all, packs, commits := "*", "vault/packs/*", "vault/commits/*"
	return []mutation{
		{o.grant("s3:DeleteObjectVersion", all), exitDamage, "s3:DeleteObjectVersion", nil},
		{o.grant("s3:DeleteObjectVersion", packs), exitDamage, "s3:DeleteObjectVersion", []string{"packs"}},
		{o.grant("s3:DeleteObjectVersion", commits), exitDamage, "s3:DeleteObjectVersion", []string{"commits"}},
		{o.grant("s3:DeleteObject", packs), exitDamage, "s3:DeleteObject", []string{"packs"}},
		{o.grant("s3:PutObjectRetention", all), exitDamage, "s3:PutObjectRetention", nil},
		{o.grant("s3:PutObjectTagging", commits), exitDamage, "s3:PutObjectTagging", []string{"commits"}},
		{o.grant("s3:PutBucketVersioning"), exitDamage, "s3:PutBucketVersioning", []string{""}},
		{o.grant("s3:PutBucketPolicy"), exitDamage, "s3:PutBucketPolicy", []string{""}},
		{o.grant("s3:PutBucketAcl"), exitDamage, "s3:PutBucketAcl", nil},
		{o.grant("s3:PutBucketObjectLockConfiguration"), exitDamage, "s3:PutBucketObjectLockConfiguration", []string{""}},
	}
}

// TestMutatedPolicies adds one permission at a time to the writer's policy as the command prints it: the probe is never content and names the permission, and the agent does
// not replicate with what was seen to destroy. Where the probe can only say that nothing is proven, the agent says so.
func TestMutatedPolicies(t *testing.T) {
	t.Run("minio", func(t *testing.T) {
		o := newOffsite(t, servers.MinIO(t))
		o.role("writer")
		o.ok("replicate").says("PROTECTED").lacks("UNPROTECTED")
		for _, m := range minioMutations(o) {
			o.mutate(m, func() { o.role("writer", m.grant) })
		}
		// There versions are deleted with s3:DeleteObject alone: s3:DeleteObjectVersion grants nothing, nor does a bypass of locks that nobody may use.
		for _, powerless := range []string{"s3:DeleteObjectVersion", "s3:BypassGovernanceRetention"} {
			o.role("writer", o.grant(powerless, "*"))
			r := o.probed(exitDone)
			for _, a := range r.Attempts {
				if strings.Contains(a.Probe, "version") && strings.HasPrefix(a.Probe, "delete") && a.Answer != probe.Denied {
					t.Errorf("%s: %+v", powerless, a)
				}
			}
		}
	})
	t.Run("versity", func(t *testing.T) {
		o, guest := newStrict(t)
		o.put(map[string]string{"c": "gamma"})
		for _, m := range versityMutations(o) {
			o.mutate(m, func() { o.allowGuest(guest, m.grant) })
		}
	})
}

// newStrict makes the vault at versitygw behind the create-only proxy, and gives the process the second account, with the writer's policy.
func newStrict(t *testing.T) (*offsite, servers.S3) {
	t.Helper()
	server := servers.Versity(t)
	guest, ok := server.Guest()
	if !ok {
		t.Fatal("no second account")
	}
	o := newOffsite(t, servers.CreateOnly(t, server, guest.AccessKey))
	o.allowGuest(guest)
	o.become(guest)
	o.ok("replicate").says("2 new", "PROTECTED: whatever this credential tried to overwrite, delete, shorten or loosen, the store denied").lacks("UNPROTECTED")
	return o, guest
}

// allowGuest gives the account what the command prints for the writer at versitygw, and more.
func (o *offsite) allowGuest(guest servers.S3, more ...statement) {
	o.t.Helper()
	d := o.ok("policy", "--provider", "versity", "--vault", o.place, "--role", "writer", "--principal", "writer="+guest.AccessKey, "--format", "json", "--document", "bucket.json")
	doc := grantingTo(o.t, d.stdout, map[string][]string{"AWS": {guest.AccessKey}}, more...)
	if _, err := o.admin.PutBucketPolicy(o.t.Context(), &s3.PutBucketPolicyInput{Bucket: &o.bucket, Policy: &doc}); err != nil {
		o.t.Fatalf("%v\n%s", err, doc)
	}
}

// mutate holds the probe and the agent to what they must say and do under a mutation. The agent's own proof is of another policy, so that the probe comes first.
func (o *offsite) mutate(m mutation, become func()) {
	o.t.Helper()
	become()
	o.t.Logf("== %s on %s", m.grant.Action, m.grant.Resource)
	r := o.probed(m.code)
	if r.Verdict == probe.Protected || !strings.Contains(r.Words, m.names) || m.code == exitDamage && !slices.Contains(r.Grants, m.names) {
		o.t.Errorf("%s: %s, %q", m.names, r.Words, r.Grants)
	}
	for _, a := range r.Attempts {
		if m.rooms != nil && a.Property != probe.Control && a.Property != probe.CreateOnly && a.Harm != probe.Excess && a.Answer == probe.Permitted && !slices.Contains(m.rooms, a.Room) {
			o.t.Errorf("%s on %s: %s in %q is permitted too", m.grant.Action, m.grant.Resource, a.Probe, a.Room)
		}
	}
	o.put(map[string]string{"b": m.names + m.grant.Resource[0]})
	before, _ := o.versions()
	d, env := o.json(nil, "replicate")
	d.ends(m.code)
	after, _ := o.versions()
	if m.code == exitIncomplete {
		if env.Error.Code != codeUnproven || !strings.Contains(env.Error.Message, m.names) || len(after) == len(before) {
			o.t.Errorf("%+v; %d versions, %d before", env.Error, len(after), len(before))
		}
		return
	}
	if env.Error.Code != codeUnprotected || !strings.Contains(env.Error.Message, m.names) || !strings.HasPrefix(env.Error.Message, "UNPROTECTED") {
		o.t.Errorf("%+v", env.Error)
	}
	if !maps.Equal(before, after) {
		o.t.Errorf("%d versions in the vault, %d before", len(after), len(before))
	}
	o.ok("snapshots").says("UNPROTECTED", m.names)
}

// TestWeakenedBucket weakens the bucket behind the agent's back, with the right policy: the probe says so, the agent does not replicate where what it writes could be
// removed, and putting the settings back, or accepting them, ends it.
func TestWeakenedBucket(t *testing.T) {
	o := newOffsite(t, servers.MinIO(t))
	o.role("writer")
	o.ok("replicate").says("PROTECTED").lacks("UNPROTECTED")
	const put = "s3:PutObject without the condition s3:if-none-match"
	for name, tt := range map[string]struct {
		mode types.ObjectLockRetentionMode
		days int32
		code int
		says []string
	}{
		"governance":      {types.ObjectLockRetentionModeGovernance, 2, exitDamage, []string{put, "under a lock of mode GOVERNANCE", "were locked with mode COMPLIANCE, are now with GOVERNANCE"}},
		"no default lock": {"", 0, exitDamage, []string{put, "no lock keeps it there", "were locked with mode COMPLIANCE, are now with none"}},
		"shortened":       {types.ObjectLockRetentionModeCompliance, 1, exitIncomplete, []string{"somebody weakened the bucket", "were locked for 48h0m0s, are now for 24h0m0s"}},
	} {
		o.lockDefault(tt.mode, tt.days)
		for range 2 { // the second time it is no news, and no better
			r := o.probed(tt.code)
			text := r.Words
			for _, a := range r.Attempts {
				text += a.Text
			}
			for _, want := range tt.says {
				if !strings.Contains(text, want) {
					t.Errorf("%s: no %q: %s", name, want, r.Words)
				}
			}
			if len(r.Weaker) == 0 {
				t.Errorf("%s: nothing is weaker", name)
			}
		}
		before, _ := o.versions()
		o.run("replicate").ends(tt.code).warns("the bucket keeps less than it did")
		if after, _ := o.versions(); tt.code == exitDamage && !maps.Equal(before, after) {
			t.Errorf("%s: %d versions in the vault, %d before", name, len(after), len(before))
		}
		o.lockDefault(types.ObjectLockRetentionModeCompliance, 2)
		o.ok("replicate").says("PROTECTED").lacks("UNPROTECTED")
	}
	o.lockDefault(types.ObjectLockRetentionModeCompliance, 1)
	o.run("probe").ends(exitIncomplete).warns("put the bucket's settings back", "`farshore probe --accept` takes them as they are")
	o.ok("probe", "--accept").says("PROTECTED")
	o.ok("probe").says("PROTECTED")
	o.ok("replicate").says("PROTECTED").lacks("UNPROTECTED")
	o.run("probe", "--accept", "--role", "auditor").ends(exitUsage).warns("--accept is about the agent's own vault")
	o.run("probe", "--accept", "--vault", o.provider.URL("elsewhere", "v")).ends(exitUsage).warns("--accept is about the agent's own vault")
}

// lockDefault sets how the bucket locks new objects; none at all for no mode.
func (o *offsite) lockDefault(mode types.ObjectLockRetentionMode, days int32) {
	o.t.Helper()
	c := &types.ObjectLockConfiguration{ObjectLockEnabled: types.ObjectLockEnabledEnabled}
	if mode != "" {
		c.Rule = &types.ObjectLockRule{DefaultRetention: &types.DefaultRetention{Mode: mode, Days: &days}}
	}
	if _, err := o.admin.PutObjectLockConfiguration(o.t.Context(), &s3.PutObjectLockConfigurationInput{Bucket: &o.bucket, ObjectLockConfiguration: c}); err != nil {
		o.t.Fatal(err)
	}
}

// TestWeakBucket begins with a bucket that keeps too little, whose versioning may be suspended later: the agent does not begin, and says why.
func TestWeakBucket(t *testing.T) {
	for name, status := range map[string]types.BucketVersioningStatus{"no versions": "", "versions": types.BucketVersioningStatusEnabled, "suspended": types.BucketVersioningStatusSuspended} {
		t.Run(name, func(t *testing.T) {
			o := newOffsite(t, servers.MinIO(t))
			o.bucket = o.provider.Bucket(t)
			o.place = o.provider.URL(o.bucket, "vault")
			for _, s := range []types.BucketVersioningStatus{types.BucketVersioningStatusEnabled, status} {
				if status == "" {
					break
				}
				if _, err := o.admin.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{Bucket: &o.bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: s}}); err != nil {
					t.Fatal(err)
				}
			}
			t.Chdir(t.TempDir())
			o.ok("init", "--vault", o.place, "--config", "farshore.yaml", "--kit", "kit").says("what keeps the vault is the credential alone")
			o.ok("source", "add", "shop", o.url())
			o.role("writer")
			o.run("probe").ends(exitDamage).says("UNPROTECTED", "no Object Lock").lacks("nobody at all can remove before")
			before, _ := o.versions()
			o.run("replicate").ends(exitDamage).warns("UNPROTECTED", "s3:PutObject without the condition s3:if-none-match", "`require: none` in the configuration replicates all the same")
			if after, _ := o.versions(); !maps.Equal(before, after) || len(before) != 1 {
				t.Errorf("%d versions in the vault, %d before", len(after), len(before))
			}
			if out, err := o.admin.GetBucketVersioning(t.Context(), &s3.GetBucketVersioningInput{Bucket: aws.String(o.bucket)}); err != nil || out.Status != status {
				t.Errorf("versioning is %q now, %v", out.Status, err)
			}
		})
	}
}
