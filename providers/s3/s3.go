// Package s3 is a vault's store in a bucket of Amazon S3 or of a service that speaks its protocol.
//
// What it asks of the service is little: PutObject, GetObject with a range, HeadObject, ListObjectsV2; and, where the
// credential may ask, the versions of names, their locks, and how the bucket keeps them. An object is created with one PutObject under
// If-None-Match: *, so that the service itself refuses a second one, and with its SHA-256 in the signature and as a stored checksum, so
// that the service itself checks what arrived. A service that says it does not know the condition (501) is asked first whether the name
// exists, from then on; one that ignores the condition silently can't be told apart here, only by the append-only probe.
package s3

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"

	"farshore/providers"
	"farshore/providers/s3/s3client"
)

// Options are the parts of a store that no address holds.
type Options = s3client.Options

// Driver stores objects in one bucket below one prefix. It may be used concurrently.
type Driver struct {
	client *awss3.Client
	at     s3client.Location
	prefix string // empty, or ends with a slash
	// unconditional is set once the service has answered that it does not know the condition (501).
	unconditional atomic.Bool
}

// Open returns the store at s3://bucket/prefix?endpoint=&region=&profile=&path_style=, see s3client.Parse. It sends no request to the
// bucket. A slash is put behind the prefix where it has none.
func Open(ctx context.Context, url string, o Options) (*Driver, error) {
	at, err := s3client.Parse(url)
	if err != nil {
		return nil, err
	}
	client, err := at.New(ctx, o)
	if err != nil {
		return nil, err
	}
	d := &Driver{client: client, at: at, prefix: strings.TrimSuffix(at.Prefix, "/")}
	if d.prefix != "" {
		d.prefix += "/"
	}
	return d, nil
}

// Traits says what kind of store this is. CreateOnly falls to CreateOnlyNone after the first Create, where the service has no condition.
func (d *Driver) Traits() providers.Traits {
	t := providers.Traits{Kind: "s3", Place: d.at.String(), CreateOnly: providers.CreateOnlyStore, Checksum: "SHA-256"}
	if d.unconditional.Load() {
		t.CreateOnly = providers.CreateOnlyNone
	}
	return t
}

// Create stores the body with one PutObject.
func (d *Driver) Create(ctx context.Context, name string, body *io.SectionReader, sum [32]byte) (providers.Info, error) {
	const op = "create"
	if !d.unconditional.Load() {
		info, err := d.put(ctx, name, body, sum, aws.String("*"))
		if providers.KindOf(err) != providers.Unsupported {
			return info, err
		}
	}
	_, err := d.Stat(ctx, name)
	switch {
	case err == nil:
		return providers.Info{}, &providers.Error{Kind: providers.Exists, Op: op, Name: name}
	case providers.KindOf(err) != providers.NotFound:
		return providers.Info{}, err
	}
	info, err := d.put(ctx, name, body, sum, nil)
	if err == nil {
		d.unconditional.Store(true)
	}
	return info, err
}

// put makes one PutObject, under a condition or none.
func (d *Driver) put(ctx context.Context, name string, body *io.SectionReader, sum [32]byte, condition *string) (providers.Info, error) {
	out, err := d.client.PutObject(ctx, &awss3.PutObjectInput{
		Bucket: aws.String(d.at.Bucket), Key: d.key(name), IfNoneMatch: condition,
		Body: io.NewSectionReader(body, 0, body.Size()), ContentLength: aws.Int64(body.Size()),
		ChecksumSHA256: aws.String(base64.StdEncoding.EncodeToString(sum[:])),
	}, withPayloadHash(sum))
	if err != nil {
		return providers.Info{}, d.fail(ctx, "create", name, err)
	}
	info := providers.Info{Name: name, Size: body.Size()}
	// The answer has no Last-Modified; its Date is the same clock, within the request's own time.
	if t, ok := awsmiddleware.GetServerTime(out.ResultMetadata); ok {
		info.Modified = t.UTC()
	}
	return info, nil
}

// withPayloadHash signs the body's SHA-256, which is known, instead of computing it again or, over TLS, leaving the body out of the signature.
// With it and an explicit checksum the SDK sends the body as it is, without chunks or a trailer.
func withPayloadHash(sum [32]byte) func(*awss3.Options) {
	set := middleware.InitializeMiddlewareFunc("farshorePayloadHash", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
		return next.HandleInitialize(v4.SetPayloadHash(ctx, hex.EncodeToString(sum[:])), in)
	})
	return func(o *awss3.Options) {
		o.APIOptions = append(o.APIOptions, func(s *middleware.Stack) error { return s.Initialize.Add(set, middleware.Before) })
	}
}

// Open reads a range of the object.
func (d *Driver) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	return d.open(ctx, name, nil, off, n)
}

// OpenVersion reads a range of one version (providers.Historian).
func (d *Driver) OpenVersion(ctx context.Context, name, id string, off, n int64) (io.ReadCloser, error) {
	return d.open(ctx, name, aws.String(id), off, n)
}

// open reads a range of the version, or of what a plain read sees where there is no id.
func (d *Driver) open(ctx context.Context, name string, id *string, off, n int64) (io.ReadCloser, error) {
	if n == 0 {
		_, err := d.head(ctx, "open", name, id)
		return emptyBody(), err
	}
	in := &awss3.GetObjectInput{Bucket: aws.String(d.at.Bucket), Key: d.key(name), VersionId: id}
	switch {
	case n > 0:
		in.Range = aws.String(fmt.Sprintf("bytes=%d-%d", off, off+n-1))
	case off > 0:
		in.Range = aws.String(fmt.Sprintf("bytes=%d-", off))
	}
	out, err := d.client.GetObject(ctx, in)
	if isPastEnd(err) {
		return emptyBody(), nil
	}
	if err != nil {
		return nil, d.failVersion(ctx, "open", name, id, err)
	}
	if err := checkRange(out, off); err != nil {
		_ = out.Body.Close()
		return nil, &providers.Error{Kind: providers.Unsupported, Op: "open", Name: name, Err: err}
	}
	return newBody(ctx, d, name, out, n), nil
}

// checkRange refuses an answer that begins elsewhere than at off.
func checkRange(out *awss3.GetObjectOutput, off int64) error {
	first, _, _ := strings.Cut(strings.TrimPrefix(aws.ToString(out.ContentRange), "bytes "), "-")
	at, err := strconv.ParseInt(first, 10, 64)
	if off != 0 && (err != nil || at != off) {
		return fmt.Errorf("asked for bytes from %d, the store sent Content-Range %q: it does not serve ranges", off, aws.ToString(out.ContentRange))
	}
	return nil
}

// Stat describes one object.
func (d *Driver) Stat(ctx context.Context, name string) (providers.Info, error) {
	out, err := d.head(ctx, "stat", name, nil)
	if err != nil {
		return providers.Info{}, err
	}
	return providers.Info{Name: name, Size: aws.ToInt64(out.ContentLength), Modified: aws.ToTime(out.LastModified).UTC()}, nil
}

// head asks for a version's headers, or those of what a plain read sees where there is no id.
func (d *Driver) head(ctx context.Context, op, name string, id *string) (*awss3.HeadObjectOutput, error) {
	out, err := d.client.HeadObject(ctx, &awss3.HeadObjectInput{Bucket: aws.String(d.at.Bucket), Key: d.key(name), VersionId: id})
	if err != nil {
		return nil, d.failVersion(ctx, op, name, id, err)
	}
	return out, nil
}

func (d *Driver) key(name string) *string { return aws.String(d.prefix + name) }

var errNotListed = errors.New("the store listed a key outside the prefix that it was asked for")
