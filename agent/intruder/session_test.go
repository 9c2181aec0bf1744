package intruder

import (
	"errors"
	"io"
	"net/http"
	"testing"

	"filippo.io/age"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"farshore/agent/policy"
	"farshore/agent/vault"
	"farshore/providers/s3"
	"farshore/providers/servers"
)

// assume asks the server for session credentials of an account, narrowed by a policy.
func assume(t *testing.T, server servers.S3, as aws.CredentialsProvider, narrowedBy string) (aws.CredentialsProvider, error) {
	t.Helper()
	client := sts.New(sts.Options{BaseEndpoint: aws.String(server.Endpoint), Region: server.Region, Credentials: as, HTTPClient: &http.Client{}})
	out, err := client.AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::123456789012:role/any"), RoleSessionName: aws.String("agent"), Policy: &narrowedBy})
	if err != nil {
		return nil, err
	}
	c := out.Credentials
	return credentials.NewStaticCredentialsProvider(aws.ToString(c.AccessKeyId), aws.ToString(c.SecretAccessKey), aws.ToString(c.SessionToken)), nil
}

// everything is a policy that grants all.
const everything = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*"],"Resource":["arn:aws:s3:::*"]}]}`

// TestStolenSession gives the agent session credentials of an account that may do everything, narrowed by the writer's policy alone. The thief of the session gets no
// more than the policy grants, and no wider session for it.
func TestStolenSession(t *testing.T) {
	server := servers.MinIO(t)
	broad := servers.MinIOUser(t, server, everything)
	for _, a := range sieges {
		if !a.short {
			continue
		}
		t.Run(a.name, func(t *testing.T) {
			at := minioPlace(t, server, writer)
			bucket := at.thief.(*s3Thief).bucket
			session, err := assume(t, server, broad.Credentials(), document(t, policy.MinIO, policy.Writer, bucket, "writer.json", nil))
			must(t, err)
			d, err := s3.Open(t.Context(), server.URL(bucket, "v"), s3.Options{Credentials: session})
			must(t, err)
			at.agent = bucketOf(d)
			at.thief = &s3Thief{t, awss3.New(awss3.Options{BaseEndpoint: aws.String(server.Endpoint), Region: server.Region, UsePathStyle: true, Credentials: session,
				RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired}), bucket}
			var refusal smithy.APIError
			if _, err := assume(t, server, session, everything); !errors.As(err, &refusal) {
				t.Errorf("a session asked for a wider one: %v", err)
			}
			laid(t, writer, at, a)
		})
	}
}

// TestContentsStaySealed reads with all keys of the agent's host, and with a credential that may read everything: names and sizes show, and no content does.
func TestContentsStaySealed(t *testing.T) {
	s := newScene(t, onDirectory(t))
	pub := s.owner.Public()
	v, err := vault.Open(s.ctx, s.at.owner(), vault.Options{Owner: &pub, Identities: []age.Identity{s.agent.metadata}})
	must(t, err)
	c, err := v.Chain(s.ctx, s.last().chain)
	must(t, err)
	snap, err := v.Snapshot(s.ctx, c.Head())
	must(t, err)
	n := 0
	for rec, err := range snap.Records(s.ctx, "", "") {
		must(t, err)
		n++
		if err := v.NewReader().Copy(s.ctx, io.Discard, &rec.Parts[0]); !errors.Is(err, vault.ErrLocked) {
			t.Errorf("%s is read with the host's keys: %v", rec.Path, err)
		}
	}
	if n != len(s.last().items) {
		t.Errorf("%d records show, and there are %d", n, len(s.last().items))
	}
}
