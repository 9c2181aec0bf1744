package intruder

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"farshore/agent/vault"
	"farshore/providers/servers"
)

// siege is one attack with the store's credential alone, on everything that it can name.
type siege struct {
	name string
	// short says that short mode has it too.
	short bool
	try   func(s *scene, m *s3Thief) tally
	// hits says what a permitted attempt leaves on a name: "overwritten at", "a delete marker of", or nothing that could be seen under it.
	hits string
	// permitted says to whom something of it is permitted; to all others nothing is.
	permitted []string
}

// Whose credential it is: see minioPlace. The agent's own on a store that has s3:if-none-match is "create-only".
const (
	writer        = "writer"
	careless      = "careless"
	administrator = "administrator"
	createOnly    = "create-only"
)

var sieges = []siege{
	{"mass overwrite with garbage", true, func(s *scene, m *s3Thief) tally {
		return m.all(m.names(), func(name string) error { return m.put(name, noise(9, 3000)) })
	}, "overwritten at", []string{writer, careless, administrator}},
	{"mass overwrite, each under the condition that it is what it was", false, func(s *scene, m *s3Thief) tally {
		return m.all(m.names(), func(name string) error {
			head, err := m.client.HeadObject(s.ctx, &awss3.HeadObjectInput{Bucket: &m.bucket, Key: m.key(name)})
			etag := aws.String(`"0"`)
			if err == nil {
				etag = head.ETag
			}
			_, err = m.client.PutObject(s.ctx, &awss3.PutObjectInput{Bucket: &m.bucket, Key: m.key(name), Body: strings.NewReader("mine"), IfMatch: etag})
			return err
		})
	}, "overwritten at", []string{writer, careless, administrator}},
	{"mass overwrite with other objects of the vault", false, func(s *scene, m *s3Thief) tally {
		names := m.names()
		return m.all(names, func(name string) error {
			other := names[(slices.Index(names, name)+1)%len(names)]
			body, err := s.at.owner().ReadAll(s.ctx, other, 1<<20) // what he kept from before
			if err != nil {
				return m.put(name, []byte("mine"))
			}
			return m.put(name, body)
		})
	}, "overwritten at", []string{writer, careless, administrator}},
	{"mass overwrite by copies", false, func(s *scene, m *s3Thief) tally {
		names := m.names()
		from := names[slices.IndexFunc(names, func(n string) bool { return strings.HasPrefix(n, "meta/") })]
		return m.all(slices.DeleteFunc(names, func(n string) bool { return n == from }), func(name string) error {
			_, err := m.client.CopyObject(s.ctx, &awss3.CopyObjectInput{Bucket: &m.bucket, Key: m.key(name), CopySource: aws.String(m.bucket + "/" + *m.key(from))})
			return err
		})
	}, "overwritten at", []string{writer, careless, administrator}},
	{"mass overwrite in parts", false, func(s *scene, m *s3Thief) tally {
		return m.all(m.names(), func(name string) error { return m.inParts(s, name) })
	}, "overwritten at", []string{writer, careless, administrator}},
	{"mass delete", true, func(s *scene, m *s3Thief) tally { return m.all(m.names(), m.remove) }, "a delete marker of", []string{careless, administrator}},
	{"mass delete, many in one request", false, func(s *scene, m *s3Thief) tally { return m.deleteAtOnce(s, false) }, "a delete marker of", []string{careless, administrator}},
	{"every version deleted, past governance", true, func(s *scene, m *s3Thief) tally {
		return m.eachVersion(func(v version) error {
			_, err := m.client.DeleteObject(s.ctx, &awss3.DeleteObjectInput{Bucket: &m.bucket, Key: m.key(v.name), VersionId: &v.id, BypassGovernanceRetention: aws.Bool(true)})
			return err
		})
	}, "", nil},
	{"every version deleted, many in one request", false, func(s *scene, m *s3Thief) tally { return m.deleteAtOnce(s, true) }, "", nil},
	{"locks shortened", true, func(s *scene, m *s3Thief) tally {
		return m.retain(s, types.ObjectLockRetentionModeCompliance, time.Minute)
	}, "", nil},
	{"locks turned into those that can be lifted", false, func(s *scene, m *s3Thief) tally {
		return m.retain(s, types.ObjectLockRetentionModeGovernance, 48*time.Hour)
	}, "", nil},
	{"legal holds lifted", false, func(s *scene, m *s3Thief) tally {
		return m.eachVersion(func(v version) error {
			_, err := m.client.PutObjectLegalHold(s.ctx, &awss3.PutObjectLegalHoldInput{Bucket: &m.bucket, Key: m.key(v.name), VersionId: &v.id, LegalHold: &types.ObjectLockLegalHold{Status: types.ObjectLockLegalHoldStatusOff}})
			return err
		})
	}, "", []string{administrator}},
	{"garbage locked for a hundred years", true, func(s *scene, m *s3Thief) tally {
		return m.all([]string{"packs/00/garbage"}, func(name string) error {
			until := aws.Time(time.Now().AddDate(100, 0, -1))
			_, err := m.client.PutObject(s.ctx, &awss3.PutObjectInput{Bucket: &m.bucket, Key: m.key(name), Body: strings.NewReader("mine"), IfNoneMatch: aws.String("*"),
				ObjectLockMode: types.ObjectLockModeCompliance, ObjectLockRetainUntilDate: until, ChecksumAlgorithm: types.ChecksumAlgorithmSha256})
			return err
		})
	}, "no object of a vault has such a name", []string{administrator}},
	{"tags and access lists", false, func(s *scene, m *s3Thief) tally {
		return m.eachVersion(func(v version) error {
			_, err := m.client.PutObjectTagging(s.ctx, &awss3.PutObjectTaggingInput{Bucket: &m.bucket, Key: m.key(v.name), VersionId: &v.id, Tagging: &types.Tagging{TagSet: []types.Tag{{Key: aws.String("expire"), Value: aws.String("now")}}}})
			return err
		})
	}, "", []string{administrator}},
	{"the bucket's settings", true, bucketSettings, "", []string{administrator}},
}

// bucketSettings tries what would have the store itself remove the objects, or let others do so.
func bucketSettings(s *scene, m *s3Thief) tally {
	days := &types.LifecycleRule{ID: aws.String("x"), Status: types.ExpirationStatusEnabled, Filter: &types.LifecycleRuleFilter{Prefix: aws.String("")},
		Expiration: &types.LifecycleExpiration{Days: aws.Int32(1)}, NoncurrentVersionExpiration: &types.NoncurrentVersionExpiration{NoncurrentDays: aws.Int32(1)}}
	open := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["*"]},"Action":["s3:*"],"Resource":["arn:aws:s3:::%[1]s","arn:aws:s3:::%[1]s/*"]}]}`, m.bucket)
	tries := map[string]func() error{
		"lifecycle": func() error {
			_, err := m.client.PutBucketLifecycleConfiguration(s.ctx, &awss3.PutBucketLifecycleConfigurationInput{Bucket: &m.bucket, LifecycleConfiguration: &types.BucketLifecycleConfiguration{Rules: []types.LifecycleRule{*days}}})
			return err
		},
		"versioning suspended": func() error {
			_, err := m.client.PutBucketVersioning(s.ctx, &awss3.PutBucketVersioningInput{Bucket: &m.bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusSuspended}})
			return err
		},
		"default lock taken away": func() error {
			_, err := m.client.PutObjectLockConfiguration(s.ctx, &awss3.PutObjectLockConfigurationInput{Bucket: &m.bucket, ObjectLockConfiguration: &types.ObjectLockConfiguration{ObjectLockEnabled: types.ObjectLockEnabledEnabled}})
			return err
		},
		"policy for everybody": func() error {
			_, err := m.client.PutBucketPolicy(s.ctx, &awss3.PutBucketPolicyInput{Bucket: &m.bucket, Policy: &open})
			return err
		},
	}
	var names []string
	for name := range tries {
		names = append(names, name)
	}
	slices.Sort(names)
	return m.all(names, func(name string) error { return tries[name]() })
}

// inParts overwrites by a multipart upload.
func (m *s3Thief) inParts(s *scene, name string) error {
	up, err := m.client.CreateMultipartUpload(s.ctx, &awss3.CreateMultipartUploadInput{Bucket: &m.bucket, Key: m.key(name)})
	if err != nil {
		return err
	}
	part, err := m.client.UploadPart(s.ctx, &awss3.UploadPartInput{Bucket: &m.bucket, Key: m.key(name), UploadId: up.UploadId, PartNumber: aws.Int32(1), Body: bytes.NewReader([]byte("mine"))})
	if err != nil {
		return err
	}
	_, err = m.client.CompleteMultipartUpload(s.ctx, &awss3.CompleteMultipartUploadInput{Bucket: &m.bucket, Key: m.key(name), UploadId: up.UploadId,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{{ETag: part.ETag, PartNumber: aws.Int32(1)}}}})
	return err
}

// deleteAtOnce sends one DeleteObjects for all names, or all versions. What came of each is in the answer's body.
func (m *s3Thief) deleteAtOnce(s *scene, versions bool) (got tally) {
	s.t.Helper()
	var ids []types.ObjectIdentifier
	if versions {
		for _, v := range m.versions() {
			ids = append(ids, types.ObjectIdentifier{Key: m.key(v.name), VersionId: aws.String(v.id)})
		}
	} else {
		for _, name := range m.names() {
			ids = append(ids, types.ObjectIdentifier{Key: m.key(name)})
		}
	}
	out, err := m.client.DeleteObjects(s.ctx, &awss3.DeleteObjectsInput{Bucket: &m.bucket, Delete: &types.Delete{Objects: ids}, BypassGovernanceRetention: aws.Bool(true)})
	if m.denied(err) {
		return tally{denied: m.names()}
	}
	must(s.t, err)
	for _, e := range out.Errors {
		if code := aws.ToString(e.Code); code != "AccessDenied" && code != "InvalidRequest" && code != "ObjectLocked" {
			s.t.Fatalf("%s: %s %s is no refusal", aws.ToString(e.Key), code, aws.ToString(e.Message))
		}
		got.denied = append(got.denied, strings.TrimPrefix(aws.ToString(e.Key), "v/"))
	}
	for _, d := range out.Deleted {
		got.done = append(got.done, strings.TrimPrefix(aws.ToString(d.Key), "v/"))
	}
	return got
}

func (m *s3Thief) eachVersion(try func(version) error) tally {
	m.t.Helper()
	byName := map[string]version{}
	var names []string
	for _, v := range m.versions() {
		byName[v.name] = v // one version a name so far
		names = append(names, v.name)
	}
	return m.all(names, func(name string) error { return try(byName[name]) })
}

// retain sets another lock on every version.
func (m *s3Thief) retain(s *scene, mode types.ObjectLockRetentionMode, left time.Duration) tally {
	return m.eachVersion(func(v version) error {
		_, err := m.client.PutObjectRetention(s.ctx, &awss3.PutObjectRetentionInput{Bucket: &m.bucket, Key: m.key(v.name), VersionId: &v.id, BypassGovernanceRetention: aws.Bool(true),
			Retention: &types.ObjectLockRetention{Mode: mode, RetainUntilDate: aws.Time(time.Now().Add(left))}})
		return err
	})
}

// laid runs one siege in a fresh place, and holds what came of it to what is to be expected of the credential.
func laid(t *testing.T, who string, at *place, a siege) {
	s := newScene(t, at)
	m := at.thief.(*s3Thief)
	got := a.try(s, m)
	t.Log(got)
	may := slices.Contains(a.permitted, who)
	switch {
	case len(got.done)+len(got.denied) == 0:
		t.Fatal("nothing was tried")
	case may && len(got.done) == 0:
		t.Errorf("nothing of it is permitted any more: the document says otherwise: %s", got)
	case !may && len(got.done) > 0:
		t.Errorf("the store permits it on %q", got.done)
	}
	res := s.after()
	if len(got.done) == 0 || a.hits == "" {
		s.clean(res)
	} else {
		for _, name := range got.done {
			s.says(res, vault.Tampering, name, a.hits)
		}
	}
	s.change()
	must(t, s.replicate()) // and the agent goes on
	s.restoredAll()
}

// TestStolenCredentialMinIO attacks with the credential that the product prints for MinIO, which can't be kept from laying versions over others; with one that is
// granted more; and with the account owner's, which COMPLIANCE binds as well.
func TestStolenCredentialMinIO(t *testing.T) {
	server := servers.MinIO(t)
	for _, who := range []string{writer, careless, administrator} {
		for _, a := range sieges {
			if testing.Short() && (!a.short || who == administrator) {
				continue
			}
			t.Run(who+"/"+a.name, func(t *testing.T) { laid(t, who, minioPlace(t, server, who), a) })
		}
	}
}

// TestStolenCredentialVersity attacks with a credential that may only create what is not there yet, as on AWS. The account owner's is not tried: this server lets a
// default lock be shortened, and says so in no way, so that only the credential protects there.
func TestStolenCredentialVersity(t *testing.T) {
	server := servers.Versity(t)
	for _, a := range sieges {
		if testing.Short() && !a.short {
			continue
		}
		t.Run(a.name, func(t *testing.T) { laid(t, createOnly, versityPlace(t, server), a) })
	}
}
