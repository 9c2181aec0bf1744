package s3

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"farshore/providers"
)

// body reads an answer's bytes and classifies its errors. Size is the number of bytes that the answer announced (providers.Sized).
type body struct {
	io.Reader
	io.Closer
	ctx  context.Context
	d    *Driver
	name string
	size int64
}

// newBody wraps the answer. A store that ignored the range and sent all is cut at n.
func newBody(ctx context.Context, d *Driver, name string, out *awss3.GetObjectOutput, n int64) *body {
	b := &body{Reader: out.Body, Closer: out.Body, ctx: ctx, d: d, name: name, size: -1}
	if out.ContentLength != nil {
		b.size = aws.ToInt64(out.ContentLength)
	}
	if n >= 0 {
		b.Reader = io.LimitReader(out.Body, n)
		b.size = min(b.size, n)
	}
	return b
}

// emptyBody is a range that holds no byte.
func emptyBody() io.ReadCloser {
	return &body{Reader: http.NoBody, Closer: http.NoBody, ctx: context.Background()}
}

// Size is the number of bytes announced, or -1.
func (b *body) Size() int64 { return b.size }

// Read reads some bytes. A body that ends before its announced length is kind Corrupt. Nothing comes once the context has ended, though it may have arrived.
func (b *body) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, b.d.fail(b.ctx, "read", b.name, err)
	}
	n, err := b.Reader.Read(p)
	if err == nil || err == io.EOF {
		return n, err
	}
	if errors.Is(err, io.ErrUnexpectedEOF) && b.ctx.Err() == nil {
		return n, &providers.Error{Kind: providers.Corrupt, Op: "read", Name: b.name, Err: err}
	}
	return n, b.d.fail(b.ctx, "read", b.name, err)
}
