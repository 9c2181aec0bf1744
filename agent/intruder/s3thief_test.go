package intruder

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"farshore/providers/servers"
)

// s3Thief is the S3 client of whoever has the agent's credential.
type s3Thief struct {
	t      *testing.T
	client *awss3.Client
	bucket string
}

func newS3Thief(t *testing.T, account servers.S3, bucket string) *s3Thief {
	return &s3Thief{t, account.Client(t), bucket}
}

func (m *s3Thief) key(name string) *string { return aws.String("v/" + name) }

// put tries a plain PutObject, and where that is denied the create-only one that the agent itself sends.
func (m *s3Thief) put(name string, body []byte) error {
	in := &awss3.PutObjectInput{Bucket: &m.bucket, Key: m.key(name), Body: bytes.NewReader(body)}
	_, err := m.client.PutObject(m.t.Context(), in)
	if m.denied(err) {
		in.IfNoneMatch, in.Body = aws.String("*"), bytes.NewReader(body)
		_, err = m.client.PutObject(m.t.Context(), in)
	}
	return err
}

func (m *s3Thief) remove(name string) error {
	_, err := m.client.DeleteObject(m.t.Context(), &awss3.DeleteObjectInput{Bucket: &m.bucket, Key: m.key(name)})
	return err
}

// denied takes for a refusal: no permission, a lock, and a condition that does not hold.
func (m *s3Thief) denied(err error) bool {
	var answer *smithyhttp.ResponseError
	var code smithy.APIError
	if !errors.As(err, &answer) || !errors.As(err, &code) {
		return false
	}
	switch answer.HTTPStatusCode() {
	case 403:
		return code.ErrorCode() == "AccessDenied" || code.ErrorCode() == "AccessDeniedException" || code.ErrorCode() == "ObjectLocked"
	case 412:
		return code.ErrorCode() == "PreconditionFailed"
	case 400:
		text := strings.ToLower(code.ErrorMessage())
		return strings.Contains(text, "worm") || strings.Contains(text, "lock")
	case 409: // MinIO, of what an Object Lock bucket never does
		return code.ErrorCode() == "InvalidBucketState"
	}
	return false
}

// names are those that the credential can list, room by room: a policy may grant no more.
func (m *s3Thief) names() (out []string) {
	m.t.Helper()
	for _, room := range []string{"commits/", "meta/", "packs/", "vault/"} {
		pages := awss3.NewListObjectsV2Paginator(m.client, &awss3.ListObjectsV2Input{Bucket: &m.bucket, Prefix: m.key(room)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(m.t.Context())
			must(m.t, err)
			for _, o := range page.Contents {
				out = append(out, strings.TrimPrefix(aws.ToString(o.Key), "v/"))
			}
		}
	}
	return out
}

// version is one stored version as a thief lists it.
type version struct{ name, id string }

// versions are all stored versions that the credential can list.
func (m *s3Thief) versions() (out []version) {
	m.t.Helper()
	for _, room := range []string{"commits/", "meta/", "packs/", "vault/"} {
		page, err := m.client.ListObjectVersions(m.t.Context(), &awss3.ListObjectVersionsInput{Bucket: &m.bucket, Prefix: m.key(room)})
		must(m.t, err)
		if aws.ToBool(page.IsTruncated) {
			m.t.Fatal("the vault of the test is larger than one page")
		}
		for _, o := range page.Versions {
			out = append(out, version{strings.TrimPrefix(aws.ToString(o.Key), "v/"), aws.ToString(o.VersionId)})
		}
	}
	return out
}

// tally is what came of one kind of attempt on many names.
type tally struct {
	done, denied []string // names
	lacking      []string // the store has no such function
}

// all makes an attempt on each name. A failure that is no refusal proves nothing, and fails the test.
func (m *s3Thief) all(names []string, try func(name string) error) (got tally) {
	m.t.Helper()
	for _, name := range names {
		switch err := try(name); {
		case err == nil:
			got.done = append(got.done, name)
		case m.denied(err):
			got.denied = append(got.denied, name)
		case lacks(err):
			got.lacking = append(got.lacking, name)
		default:
			m.t.Fatalf("%s: %v is neither leave nor a refusal", name, err)
		}
	}
	return got
}

func (got tally) String() string {
	return fmt.Sprintf("%d permitted, %d refused, not known to this store: %q", len(got.done), len(got.denied), got.lacking)
}

// lacks reports whether the store does not have what was asked for, so that nobody can use it.
func lacks(err error) bool {
	var answer *smithyhttp.ResponseError
	return errors.As(err, &answer) && answer.HTTPStatusCode() == 501
}
