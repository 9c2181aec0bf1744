package main

import (
	"encoding/json"
	"maps"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"farshore/providers/s3/s3fake"
	"farshore/providers/servers"
)

// TestPolicyCarriesEveryRole has each role do its work with the credential that the command wrote for it, on a MinIO server: the owner makes the vault, the agent
// replicates, the auditor verifies, the restorer restores. What a role needs and was not given would fail here.
func TestPolicyCarriesEveryRole(t *testing.T) {
	for name, extra := range map[string][]string{"blind": nil, "reading back": {"--read-back"}} {
		t.Run(name, func(t *testing.T) {
			server := servers.MinIO(t)
			bucket := lockedVault(t, server)
			r := &rig{t: t, dir: t.TempDir()}
			t.Chdir(r.dir)
			vault := server.URL(bucket, "vault")
			role := func(role string) servers.S3 { return servers.MinIOUser(t, server, r.policy(vault, role, extra...)) }
			writer := role("writer")
			r.sourceFor(writer)

			setAWS(t, role("owner"))
			r.ok("init", "--vault", vault, "--config", "farshore.yaml", "--kit", "kit", "--quiet")
			setAWS(t, writer)
			r.ok("source", "add", "shop", r.url())
			r.ok("replicate").says("PROTECTED").lacks("UNPROTECTED")
			r.put(map[string]string{"a/1": "changed"})
			r.ok("replicate")
			bare := []string{"--vault", vault, "--identity", r.path("kit", "recovery.key")}
			setAWS(t, role("auditor"))
			r.ok(append([]string{"verify", "--full"}, bare...)...)
			setAWS(t, role("restorer"))
			r.ok(append([]string{"restore", "--source", "shop", "--to", "now"}, bare...)...)
			if got := files(t, "now"); !maps.Equal(got, map[string]string{"a/1": "changed", "b": "beta"}) {
				t.Errorf("restored %q", got)
			}
			// The restorer can add nothing, not even by mistake.
			r.run("init", "--vault", server.URL(bucket, "vault2"), "--config", "other/farshore.yaml", "--kit", "other/kit").ends(exitFailed).warns("Access Denied")
		})
	}
}

// policy has the command write a role's document for MinIO.
func (r *rig) policy(vault, role string, extra ...string) string {
	r.t.Helper()
	d := r.ok(append([]string{"policy", "--provider", "minio", "--vault", vault, "--role", role, "--format", "json", "--document", role + ".json"}, extra...)...)
	if !json.Valid([]byte(d.stdout)) {
		r.t.Fatalf("the %s's document is no JSON", role)
	}
	return d.stdout
}

// sourceFor makes a source with two objects that the account can read, at a server of its own.
func (r *rig) sourceFor(s servers.S3) {
	r.t.Helper()
	handler := s3fake.Handler(map[string]string{s.AccessKey: s.SecretKey})
	server := httptest.NewServer(handler)
	r.t.Cleanup(server.Close)
	r.server = s
	r.server.Endpoint = server.URL
	r.client, r.bucket = r.server.Client(r.t), r.server.Bucket(r.t)
	r.put(map[string]string{"a/1": "alpha", "b": "beta"})
}

// lockedVault makes a bucket as the command's settings say.
func lockedVault(t *testing.T, server servers.S3) string {
	t.Helper()
	bucket := server.Bucket(t, func(in *s3.CreateBucketInput) { in.ObjectLockEnabledForBucket = aws.Bool(true) })
	_, err := server.Client(t).PutObjectLockConfiguration(t.Context(), &s3.PutObjectLockConfigurationInput{Bucket: &bucket, ObjectLockConfiguration: &types.ObjectLockConfiguration{
		ObjectLockEnabled: types.ObjectLockEnabledEnabled,
		Rule:              &types.ObjectLockRule{DefaultRetention: &types.DefaultRetention{Mode: types.ObjectLockRetentionModeCompliance, Days: aws.Int32(1)}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return bucket
}
