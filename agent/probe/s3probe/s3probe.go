// Package s3probe tries at a bucket of Amazon S3, or of a service that speaks its protocol, what a thief of the credential would.
//
// Its requests that could destroy go to canaries alone: Attacker.key makes every key that is sent, and refuses what is no canary. What concerns the whole bucket
// is asked with requests that no service carries out, because what they ask for does not exist. Whether a service refuses the credential
// before or after it looks at such a request is found out, not assumed.
package s3probe

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"farshore/agent/probe"
	"farshore/agent/record"
	"farshore/providers/s3/s3client"
)

// Attacker holds one credential and one vault's address. It is not safe for concurrent use.
type Attacker struct {
	client *s3.Client
	nobody *s3.Client // the same without a credential
	at     s3client.Location
	prefix string // empty, or ends with a slash
	// etags are those of the canaries that were created last, by name; sources one name a room, to copy from.
	etags, sources map[string]string
	// readable is the key of a canary that the credential may read, "" where none is known yet.
	readable string
	who      principal
}

// maxETags bounds what is remembered of canaries: a run makes fewer.
const maxETags = 512

// New returns the attacker of the vault at the address, as s3client.Parse reads it. It sends no request to the bucket. The
// credentials are those of the options or the AWS default chain, which reads them again as they expire.
func New(ctx context.Context, url string, o s3client.Options) (*Attacker, error) {
	at, err := s3client.Parse(url)
	if err != nil {
		return nil, err
	}
	client, err := at.New(ctx, o)
	if err != nil {
		return nil, err
	}
	nobody := s3.New(client.Options(), func(o *s3.Options) { o.Credentials = aws.AnonymousCredentials{} })
	a := &Attacker{client: client, nobody: nobody, at: at, prefix: strings.TrimSuffix(at.Prefix, "/"), etags: map[string]string{}, sources: map[string]string{}}
	if a.prefix != "" {
		a.prefix += "/"
	}
	return a, nil
}

// key returns the bucket's key of a canary, and an error for every other name. All keys that this package sends come from here.
func (a *Attacker) key(name string) (*string, error) {
	if !record.IsCanary(name) {
		return nil, fmt.Errorf("%q is not the name of a canary: nothing was sent", name)
	}
	return aws.String(a.prefix + name), nil
}

func (a *Attacker) bucket() *string { return aws.String(a.at.Bucket) }

// Create writes a canary with one PutObject under If-None-Match: *, as the driver does; a service that answers that it does not know the condition gets
// the request without it: nothing else has the name.
func (a *Attacker) Create(ctx context.Context, name string, body []byte) (string, probe.Result) {
	key, err := a.key(name)
	if err != nil {
		return "", refused(err)
	}
	in := a.put(key, body)
	in.IfNoneMatch = aws.String("*")
	out, err := a.client.PutObject(ctx, in)
	if s3client.Status(err) == http.StatusNotImplemented {
		in = a.put(key, body)
		out, err = a.client.PutObject(ctx, in)
	}
	if err != nil {
		return "", classify(err)
	}
	a.remember(name, aws.ToString(out.ETag))
	return aws.ToString(out.VersionId), accepted("created")
}

// put is a PutObject with the checksum that buckets with a default lock demand.
func (a *Attacker) put(key *string, body []byte) *s3.PutObjectInput {
	sum := sha256.Sum256(body)
	return &s3.PutObjectInput{
		Bucket: a.bucket(), Key: key, Body: bytes.NewReader(body), ContentLength: aws.Int64(int64(len(body))),
		ChecksumSHA256: aws.String(base64.StdEncoding.EncodeToString(sum[:])),
	}
}

func (a *Attacker) remember(name, etag string) {
	if len(a.etags) >= maxETags {
		clear(a.etags)
	}
	a.etags[name] = etag
	room, _, _ := strings.Cut(name, "/")
	a.sources[room] = name
}

// Notes say what is not tried at such a store.
func (a *Attacker) Notes() []string {
	return []string{
		"not tried, because no form of it is harmless: deleting the bucket (s3:DeleteBucket; a bucket that holds anything refuses) and its policy (s3:DeleteBucketPolicy)",
		"not tried, because no service but Amazon's knows it: putting an object that no lock keeps under another key (s3:UpdateObjectEncryption, which takes rights to the key too)",
		"not seen by any attempt: rights in the provider's account management (users, roles, keys, billing) and in its console",
	}
}
