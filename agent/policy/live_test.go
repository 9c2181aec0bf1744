package policy_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"farshore/agent/policy"
	"farshore/providers/servers"
)

// deadline bounds each test against a server.
const deadline = 5 * time.Minute

// lockedBucket makes a bucket as a policy's settings say, with one object in each room.
func lockedBucket(ctx context.Context, t *testing.T, s servers.S3) string {
	t.Helper()
	root := s.Client(t)
	bucket := s.Bucket(t, func(in *s3.CreateBucketInput) { in.ObjectLockEnabledForBucket = aws.Bool(true) })
	_, err := root.PutObjectLockConfiguration(ctx, &s3.PutObjectLockConfigurationInput{Bucket: &bucket, ObjectLockConfiguration: &types.ObjectLockConfiguration{
		ObjectLockEnabled: types.ObjectLockEnabledEnabled,
		Rule:              &types.ObjectLockRule{DefaultRetention: &types.DefaultRetention{Mode: types.ObjectLockRetentionModeCompliance, Days: aws.Int32(1)}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return bucket
}

var allRooms = []string{"packs", "meta", "commits", "reports", "vault"}

// fill puts an object into each room, as the server's owner, and returns the ids of their versions.
func fill(ctx context.Context, t *testing.T, root *s3.Client, bucket string) map[string]string {
	t.Helper()
	ids := map[string]string{}
	for _, room := range allRooms {
		out, err := root.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: aws.String("vault/" + room + "/old"), Body: strings.NewReader("original of " + room)})
		if err != nil {
			t.Fatal(err)
		}
		ids[room] = aws.ToString(out.VersionId)
	}
	return ids
}

// documents are those of a provider for one role, by name.
func documents(t *testing.T, r policy.Request) map[string]string {
	t.Helper()
	out, err := policy.Make(r)
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]string{}
	for _, d := range out.Documents {
		byName[d.Name] = string(d.Body)
	}
	return byName
}

func parse(t *testing.T, address string) policy.Vault {
	t.Helper()
	v, err := policy.ParseVault(address)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestMinIO loads every role's document into a MinIO server and makes each request of farshore and each attack with it.
func TestMinIO(t *testing.T) {
	server := servers.MinIO(t)
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	bucket := lockedBucket(ctx, t, server)
	q := requests{bucket, fill(ctx, t, server.Client(t), bucket)}
	vault := parse(t, "s3://"+bucket+"/vault?endpoint="+server.Endpoint)
	for _, role := range policy.Roles() {
		for _, readBack := range []bool{false, true} {
			if readBack && role != policy.Writer {
				continue
			}
			doc := documents(t, policy.Request{Provider: policy.MinIO, Roles: []policy.Role{role}, Vault: vault, ReadBack: readBack})[string(role)+".json"]
			client := servers.MinIOUser(t, server, doc).Client(t)
			allowed, denied := q.plan(role, readBack)
			if readBack {
				allowed = q.read("packs") // the rest was tried, and what it made exists
			}
			check(ctx, t, client, string(role), allowed, denied)
		}
	}
	q.unchanged(ctx, t, server.Client(t))
}

// unchanged holds that every original is still there under its version.
func (q requests) unchanged(ctx context.Context, t *testing.T, root *s3.Client) {
	t.Helper()
	for room, id := range q.ids {
		out, err := root.GetObject(ctx, &s3.GetObjectInput{Bucket: &q.bucket, Key: aws.String("vault/" + room + "/old"), VersionId: &id})
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(out.Body)
		if err != nil || string(body) != "original of "+room {
			t.Errorf("%s: %q, %v", room, body, err)
		}
	}
}

// TestMinIOOverwrite shows what the words for MinIO say: the writer may lay a version over its own object, and the locked original stays beneath and can be read.
func TestMinIOOverwrite(t *testing.T) {
	server := servers.MinIO(t)
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	bucket := lockedBucket(ctx, t, server)
	q := requests{bucket, fill(ctx, t, server.Client(t), bucket)}
	doc := documents(t, policy.Request{Provider: policy.MinIO, Roles: []policy.Role{policy.Writer}, Vault: parse(t, "s3://"+bucket+"/vault")})["writer.json"]
	writer := servers.MinIOUser(t, server, doc).Client(t)
	key := aws.String("vault/meta/old")
	if _, err := writer.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: key, Body: strings.NewReader("forged")}); err != nil {
		t.Fatalf("the words for MinIO are too weak: %v", err)
	}
	q.unchanged(ctx, t, server.Client(t))
	lock, err := writer.GetObjectRetention(ctx, &s3.GetObjectRetentionInput{Bucket: &bucket, Key: key, VersionId: aws.String(q.ids["meta"])})
	if err != nil || lock.Retention.Mode != types.ObjectLockRetentionModeCompliance {
		t.Errorf("lock beneath: %v, %v", lock, err)
	}
}

// TestMinIOTakesAWS loads AWS's documents without the one condition that MinIO refuses, and shows that it refuses it.
func TestMinIOTakesAWS(t *testing.T) {
	server := servers.MinIO(t)
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	bucket := lockedBucket(ctx, t, server)
	q := requests{bucket, fill(ctx, t, server.Client(t), bucket)}
	for _, role := range []policy.Role{policy.Writer, policy.Auditor} {
		doc := documents(t, policy.Request{Provider: policy.AWS, Roles: []policy.Role{role}, Vault: parse(t, "s3://"+bucket+"/vault")})[string(role)+".json"]
		stripped := withoutCreateOnly(t, doc)
		user := servers.MinIOUser(t, server, stripped)
		allowed, denied := q.plan(role, false)
		check(ctx, t, user.Client(t), string(role), allowed, denied)
		if role == policy.Writer {
			// What the condition adds on AWS, a proxy that enforces it adds here: an overwrite is refused, a create goes through.
			strict := servers.CreateOnly(t, user, user.AccessKey).Client(t)
			over := try{"overwrite", func(ctx context.Context, c *s3.Client) error {
				_, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: aws.String("vault/meta/old"), Body: strings.NewReader("forged")})
				return err
			}}
			check(ctx, t, strict, "writer under s3:if-none-match", []try{q.create("packs", "strict")}, []try{over})
		}
	}
	q.unchanged(ctx, t, server.Client(t))
}

// withoutCreateOnly takes the condition s3:if-none-match out of a document, and nothing else.
func withoutCreateOnly(t *testing.T, doc string) string {
	t.Helper()
	var d map[string]any
	if err := json.Unmarshal([]byte(doc), &d); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, s := range d["Statement"].([]any) {
		st := s.(map[string]any)
		if c, ok := st["Condition"].(map[string]any); ok && c["Null"] != nil {
			delete(st, "Condition")
			n++
		}
	}
	if n != 1 {
		t.Fatalf("%d statements have the condition", n)
	}
	b, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return string(bytes.TrimSpace(b))
}

// TestVersity puts the bucket's policy of the writer, and holds the second account to it.
func TestVersity(t *testing.T) {
	server := servers.Versity(t)
	guest, ok := server.Guest()
	if !ok {
		t.Fatal("no second account")
	}
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	bucket := lockedBucket(ctx, t, server)
	root := server.Client(t)
	q := requests{bucket, fill(ctx, t, root, bucket)}
	for _, role := range []policy.Role{policy.Writer, policy.Auditor, policy.Restorer, policy.Owner} {
		doc := documents(t, policy.Request{Provider: policy.Versity, Roles: []policy.Role{role}, Vault: parse(t, "s3://"+bucket+"/vault"),
			Principals: map[policy.Role]string{role: guest.AccessKey}})["bucket.json"]
		if _, err := root.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: &bucket, Policy: &doc}); err != nil {
			t.Fatalf("%s: %v\n%s", role, err, doc)
		}
		allowed, denied := q.plan(role, false)
		check(ctx, t, guest.Client(t), string(role), allowed, denied)
	}
	q.unchanged(ctx, t, root)
}
