package intruder

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"farshore/agent/policy"
	"farshore/providers"
	"farshore/providers/file"
	"farshore/providers/s3"
	"farshore/providers/servers"
)

// effect is what comes of something that the thief tries on a store.
type effect string

const (
	refused effect = "the store refuses it"
	beneath effect = "what it hides stays beneath, and is found"
	lost    effect = "it takes effect, and the store keeps nothing of what was there"
)

// place is a vault's place in a real store: a bucket for each role's credential, the thief's raw client with the agent's, and what a thief's moves come to there.
type place struct {
	name                              string
	owner, agent, restorer, auditor   func() *providers.Bucket
	thief                             thief
	overwrites, removals, foreignRoom effect // foreignRoom: an object below vault/, where a writer may not create
	// again makes another, empty place on the same server.
	again func(t *testing.T) *place
}

// thief is a store's own client with the credential of the agent's host. Names are those in the vault.
type thief interface {
	// put stores bytes under a name, over whatever is there if the store lets him.
	put(name string, body []byte) error
	// remove takes the name away, as far as the store lets him.
	remove(name string) error
	// names are all that he can list.
	names() []string
	// denied reports whether the error is a refusal, and not a failure of any other kind.
	denied(err error) bool
}

// bucketOf is the product's own access to a store.
func bucketOf(d providers.Driver) func() *providers.Bucket {
	return func() *providers.Bucket { return providers.New(d, providers.Options{}) }
}

// stores are the places on which attacks with stolen keys are made. In short mode only those that embed are started.
var stores = []struct {
	name  string
	slow  bool
	start func(t *testing.T) *place
}{
	{"directory", false, onDirectory},
	{"versity, create-only", false, onVersity},
	{"fake-gcs, with generations", false, onGCS},
	{"minio, COMPLIANCE", false, onMinIO},
	{"azurite, SAS", true, onAzurite},
}

// onEach runs a test in a fresh place of each store.
func onEach(t *testing.T, test func(t *testing.T, at *place)) {
	t.Helper()
	for _, st := range stores {
		t.Run(st.name, func(t *testing.T) {
			if st.slow && testing.Short() {
				t.Skip("left out in short mode: starting the server takes seconds")
			}
			test(t, st.start(t))
		})
	}
}

// s3Place is a bucket with Object Lock and a default COMPLIANCE retention of one day.
func s3Place(t *testing.T, server servers.S3) string {
	t.Helper()
	bucket := server.Bucket(t, func(in *awss3.CreateBucketInput) { in.ObjectLockEnabledForBucket = aws.Bool(true) })
	_, err := server.Client(t).PutObjectLockConfiguration(t.Context(), &awss3.PutObjectLockConfigurationInput{Bucket: &bucket, ObjectLockConfiguration: &types.ObjectLockConfiguration{
		ObjectLockEnabled: types.ObjectLockEnabledEnabled,
		Rule:              &types.ObjectLockRule{DefaultRetention: &types.DefaultRetention{Mode: types.ObjectLockRetentionModeCompliance, Days: aws.Int32(1)}},
	}})
	must(t, err)
	return bucket
}

func s3Bucket(t *testing.T, server servers.S3, bucket string) func() *providers.Bucket {
	t.Helper()
	d, err := s3.Open(t.Context(), server.URL(bucket, "v"), s3.Options{Credentials: server.Credentials()})
	must(t, err)
	return bucketOf(d)
}

// document is what the product itself prints as the policy of a role.
func document(t *testing.T, provider policy.Provider, role policy.Role, bucket, name string, principals map[policy.Role]string) string {
	t.Helper()
	v, err := policy.ParseVault("s3://" + bucket + "/v")
	must(t, err)
	out, err := policy.Make(policy.Request{Provider: provider, Roles: []policy.Role{role}, Vault: v, Principals: principals})
	must(t, err)
	for _, d := range out.Documents {
		if d.Name == name {
			return string(d.Body)
		}
	}
	t.Fatalf("no document %s", name)
	return ""
}

// onMinIO is a bucket of MinIO, where each role is a user with the policy that the product prints for it.
func onMinIO(t *testing.T) *place {
	t.Helper()
	return minioPlace(t, servers.MinIO(t), writer)
}

// minioPlace makes the place on a running server. who says whose credential the thief has: "writer" is the agent's; "careless" one that somebody granted to create anywhere
// and to hide besides, as a writer's key of Backblaze B2 may; "administrator" the account's owner.
func minioPlace(t *testing.T, server servers.S3, who string) *place {
	t.Helper()
	bucket := s3Place(t, server)
	user := func(role policy.Role) servers.S3 {
		return servers.MinIOUser(t, server, document(t, policy.MinIO, role, bucket, string(role)+".json", nil))
	}
	agent := user(policy.Writer)
	at := &place{
		name: "minio", owner: s3Bucket(t, user(policy.Owner), bucket), agent: s3Bucket(t, agent, bucket),
		restorer: s3Bucket(t, user(policy.Restorer), bucket), auditor: s3Bucket(t, user(policy.Auditor), bucket),
		overwrites: beneath, removals: refused, foreignRoom: refused,
		again: func(t *testing.T) *place { return minioPlace(t, server, who) },
	}
	has := agent
	switch who {
	case careless:
		has = servers.MinIOUser(t, server, fmt.Sprintf(`{"Version":"2012-10-17","Statement":[
			{"Effect":"Allow","Action":["s3:PutObject","s3:GetObject","s3:GetObjectVersion","s3:DeleteObject"],"Resource":["arn:aws:s3:::%[1]s/*"]},
			{"Effect":"Allow","Action":["s3:ListBucket","s3:ListBucketVersions"],"Resource":["arn:aws:s3:::%[1]s"]},
			{"Effect":"Deny","Action":["s3:DeleteObjectVersion"],"Resource":["arn:aws:s3:::%[1]s/*"]}]}`, bucket))
		at.removals, at.foreignRoom = beneath, beneath
	case administrator:
		has = server
		at.removals, at.foreignRoom = beneath, beneath
	}
	at.thief = newS3Thief(t, has, bucket)
	return at
}

// onVersity is a bucket of versitygw behind the proxy that denies the agent's account every PutObject without If-None-Match, as the policy does on AWS.
func onVersity(t *testing.T) *place {
	t.Helper()
	return versityPlace(t, servers.Versity(t))
}

func versityPlace(t *testing.T, server servers.S3) *place {
	t.Helper()
	bucket := s3Place(t, server)
	guest, ok := server.Guest()
	if !ok {
		t.Fatal("no second account")
	}
	doc := document(t, policy.Versity, policy.Writer, bucket, "bucket.json", map[policy.Role]string{policy.Writer: guest.AccessKey})
	_, err := server.Client(t).PutBucketPolicy(t.Context(), &awss3.PutBucketPolicyInput{Bucket: &bucket, Policy: &doc})
	must(t, err)
	bound := servers.CreateOnly(t, guest, guest.AccessKey)
	trusted := s3Bucket(t, server, bucket)
	return &place{
		name: "versity", owner: trusted, agent: s3Bucket(t, bound, bucket), restorer: trusted, auditor: trusted, thief: newS3Thief(t, bound, bucket),
		overwrites: refused, removals: refused, foreignRoom: refused,
		again: func(t *testing.T) *place { return versityPlace(t, server) },
	}
}

// onDirectory is a directory that the thief may write to: nothing there is enforced, so it is for attacks that add, and for what readers can notice.
func onDirectory(t *testing.T) *place {
	t.Helper()
	root := t.TempDir()
	d, err := file.New(root)
	must(t, err)
	t.Cleanup(func() { must(t, d.Close()) })
	b := bucketOf(d)
	return &place{name: "directory", owner: b, agent: b, restorer: b, auditor: b, thief: fileThief{t, root},
		overwrites: lost, removals: lost, foreignRoom: lost, again: onDirectory}
}
