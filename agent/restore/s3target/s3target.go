// Package s3target restores items to an S3 bucket, with their metadata.
//
// An object appears at once and only when its content was verified: small ones are put together first, larger ones are sent with their last byte held
// back, the largest as a multipart upload that is completed afterwards. Nothing is replaced without leave: uploads say If-None-Match: *, where
// the store knows it. What is put back: content, content type and the other system headers, user metadata, tags, storage class; object
// locks where Options.ObjectLock says so. Not put back: how the store encrypted the object (the bucket's default holds), access lists, version ids and times.
// No metadata of farshore's own is added. The package never deletes, but for the parts of an upload that failed.
package s3target

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"farshore/agent/record"
	"farshore/agent/restore"
	"farshore/agent/restore/internal/memory"
)

// Options change how a bucket is restored to. The zero value is the default.
type Options struct {
	// ObjectLock puts back object locks: mode and date where that lies in the future, and legal holds. The bucket must have Object Lock on, and
	// the credential the rights.
	ObjectLock bool
	// AcceptCRC takes an object of the same size and the same stored CRC as equal. By default only a SHA-256 or an ETag that is an MD5 counts, since a CRC
	// is easily kept by whoever alters an object; then the object is read and hashed.
	AcceptCRC bool
	// SinglePut is the largest object in bytes that is sent with one PutObject. Default 64 MiB.
	SinglePut int64
	// PartSize is the least size in bytes of the parts of larger ones, at most 64 MiB. Default 16 MiB: 10,000 of them are 156 GiB, and larger objects have larger parts.
	PartSize int64
	// Memory is how many bytes of objects and parts wait in buffers, for all uploads together. Default 64 MiB.
	Memory int64
	// Pause is the first pause before a failed request is sent again; each next one is twice as long. Default 200 ms.
	Pause time.Duration
}

// bufferedPut is the largest object in bytes that is put together before it is sent, so that a failed request is sent again without reading
// the vault once more.
const bufferedPut = 8 << 20

// Target is a bucket. Its methods may be called concurrently.
type Target struct {
	client         *s3.Client
	bucket, prefix string
	o              Options
	memory         *memory.Budget

	begin sync.Mutex
	asked bool // whether there is anything below the prefix
	empty bool

	unconditional atomic.Bool // the store does not know If-None-Match
	noTags        atomic.Bool // the store does not know tags
}

var _ restore.Target = (*Target)(nil)

// New returns the bucket as a target: the item with path p becomes the object with key prefix+p. It makes no request. The client's endpoint, region,
// credentials and HTTP client are used, its retries are not.
func New(client *s3.Client, bucket, prefix string, o Options) *Target {
	if o.SinglePut <= 0 {
		o.SinglePut = 64 << 20
	}
	if o.PartSize <= 0 {
		o.PartSize = 16 << 20
	}
	if o.Memory <= 0 {
		o.Memory = 64 << 20
	}
	if o.Pause <= 0 {
		o.Pause = 200 * time.Millisecond
	}
	client = s3.New(client.Options(), func(c *s3.Options) {
		c.Retryer = aws.NopRetryer{}
		c.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		c.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		c.DisableLogOutputChecksumValidationSkipped = true
	})
	return &Target{client: client, bucket: bucket, prefix: prefix, o: o, memory: memory.New(o.Memory)}
}

func (t *Target) key(it *restore.Item) *string { return aws.String(t.prefix + it.Path) }

// Flush does nothing: what a store acknowledged is durable.
func (t *Target) Flush(context.Context) error { return nil }

// Look compares the object that has the item's key with the item: content first, then metadata.
func (t *Target) Look(ctx context.Context, it *restore.Item) (restore.Found, error) {
	empty, err := t.isEmpty(ctx)
	if err != nil || empty {
		return restore.Found{}, err
	}
	head, err := t.head(ctx, it)
	if err != nil || head == nil {
		return restore.Found{}, err
	}
	verdict, why := compare(it, seenOf(head), t.o.AcceptCRC)
	if verdict == unknown {
		if verdict, why, err = t.hash(ctx, it, aws.ToString(head.ETag)); err != nil {
			return restore.Found{}, err
		}
	}
	if verdict == equal {
		if why, err = t.metadataDiffers(ctx, it, head); err != nil {
			return restore.Found{}, err
		}
	}
	if why != "" {
		return restore.Found{State: restore.Differs, Why: why}, nil
	}
	return restore.Found{State: restore.Equal}, nil
}

// isEmpty asks once whether anything lies below the prefix. Where nothing does, no object is looked for: the uploads' condition finds what comes
// meanwhile. A credential that may not list asks for each object instead.
func (t *Target) isEmpty(ctx context.Context) (bool, error) {
	t.begin.Lock()
	defer t.begin.Unlock()
	if t.asked {
		return t.empty && !t.unconditional.Load(), nil
	}
	in := &s3.ListObjectsV2Input{Bucket: &t.bucket, MaxKeys: aws.Int32(1), EncodingType: types.EncodingTypeUrl}
	if t.prefix != "" {
		in.Prefix = &t.prefix
	}
	err := t.patiently(ctx, 0, func(ctx context.Context) error {
		out, err := t.client.ListObjectsV2(ctx, in)
		t.empty = err == nil && len(out.Contents) == 0 && len(out.CommonPrefixes) == 0
		return err
	})
	if err != nil && statusOf(err) != 403 || isCode(err, badCredential...) {
		return false, t.failure("list", "", err)
	}
	t.asked = true
	return t.empty, nil
}

// notEmpty makes every further Look ask for the object.
func (t *Target) notEmpty() {
	t.begin.Lock()
	defer t.begin.Unlock()
	t.empty = false
}

// head asks for an object's headers; nil when there is none.
func (t *Target) head(ctx context.Context, it *restore.Item) (*s3.HeadObjectOutput, error) {
	var head *s3.HeadObjectOutput
	err := t.patiently(ctx, 0, func(ctx context.Context) (err error) {
		head, err = t.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &t.bucket, Key: t.key(it), ChecksumMode: types.ChecksumModeEnabled})
		return err
	})
	switch {
	case err == nil:
		return head, nil
	case statusOf(err) == 404:
		return nil, nil
	case statusOf(err) == 400:
		err = t.explain(ctx, it, err)
	}
	return nil, t.failure("look at", it.Path, err)
}

// explain asks again in a way whose answer has a body: that to HEAD does not say why.
func (t *Target) explain(ctx context.Context, it *restore.Item, was error) error {
	out, err := t.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &t.bucket, Key: t.key(it), Range: aws.String("bytes=0-0")})
	if err != nil {
		return err
	}
	return errors.Join(was, out.Body.Close())
}

// hash reads the object and compares its SHA-256.
func (t *Target) hash(ctx context.Context, it *restore.Item, etag string) (verdict, string, error) {
	var sum record.Hash
	err := t.patiently(ctx, it.Size, func(ctx context.Context) error {
		in := &s3.GetObjectInput{Bucket: &t.bucket, Key: t.key(it)}
		if etag != "" {
			in.IfMatch = &etag
		}
		out, err := t.client.GetObject(ctx, in)
		if err != nil {
			return err
		}
		h := sha256.New()
		n, err := io.Copy(h, out.Body)
		if err == nil && n != it.Size {
			err = io.ErrUnexpectedEOF
		}
		sum = record.Hash(h.Sum(nil))
		return errors.Join(err, out.Body.Close())
	})
	switch {
	case isCode(err, "InvalidObjectState"):
		return differs, "it is archived and can't be compared", nil
	case statusOf(err) == 412, statusOf(err) == 404:
		return differs, "it changed while it was compared", nil
	case err != nil:
		return unknown, "", t.failure("compare", it.Path, err)
	case sum != it.SHA256:
		return differs, "its content differs", nil
	}
	return equal, "", nil
}

// metadataDiffers says what of an object's metadata is not the item's; empty: nothing that is put back.
func (t *Target) metadataDiffers(ctx context.Context, it *restore.Item, head *s3.HeadObjectOutput) (string, error) {
	m := t.metadata(it.Attrs)
	if why := m.differs(head); why != "" {
		return why, nil
	}
	if t.noTags.Load() || len(m.tags) == 0 {
		if n := aws.ToInt32(head.TagCount); n > 0 && it.Attrs["h:x-amz-tagging-count"] == "" {
			return fmt.Sprintf("its tags differ: it has %d", n), nil
		}
		return "", nil
	}
	var tags []types.Tag
	err := t.patiently(ctx, 0, func(ctx context.Context) error {
		out, err := t.client.GetObjectTagging(ctx, &s3.GetObjectTaggingInput{Bucket: &t.bucket, Key: t.key(it)})
		if err == nil {
			tags = out.TagSet
		}
		return err
	})
	switch {
	case statusOf(err) == 403 && !isCode(err, badCredential...), statusOf(err) == 501, statusOf(err) == 405:
		return "", nil // they can't be read: the rest is equal
	case statusOf(err) == 404:
		return "its tags differ", nil
	case err != nil:
		return "", t.failure("look at the tags of", it.Path, err)
	case !sameTags(m.tags, tags):
		return "its tags differ", nil
	}
	return "", nil
}

func sameTags(want map[string]string, got []types.Tag) bool {
	for _, tag := range got {
		if v, ok := want[aws.ToString(tag.Key)]; !ok || v != aws.ToString(tag.Value) {
			return false
		}
	}
	return len(want) == len(got)
}
