package s3target

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"

	"farshore/agent/restore"
)

// multipart sends the body in parts of so many bytes, several at a time as far as the memory goes, and completes the upload when the body is verified.
// A failed upload is aborted, so that its parts cost nothing.
func (u *upload) multipart(ctx context.Context, size int64, body restore.Body) error {
	id, err := u.create(ctx)
	if err != nil {
		return err
	}
	p := &parts{upload: u, id: id, size: size}
	if err = p.send(ctx, body); err == nil {
		if err = p.complete(ctx); err == nil {
			return nil
		}
	}
	if stale := p.abort(ctx); stale != nil {
		return errors.Join(err, fmt.Errorf("the parts of the failed upload %s remain: %w", id, stale))
	}
	return err
}

func (u *upload) create(ctx context.Context) (id string, err error) {
	in := &s3.CreateMultipartUploadInput{Bucket: &u.bucket, Key: u.key(u.it)}
	u.meta.create(in)
	err = u.patiently(ctx, 0, func(ctx context.Context) error {
		out, err := u.client.CreateMultipartUpload(ctx, in, u.meta.options()...)
		if err == nil {
			id = aws.ToString(out.UploadId)
		}
		return err
	})
	return id, err
}

// parts is one multipart upload. Write belongs to one goroutine.
type parts struct {
	*upload
	id   string
	size int64 // of each part but the last

	ctx     context.Context
	group   *errgroup.Group
	buf     []byte
	release func()
	number  int32

	mu   sync.Mutex
	done []types.CompletedPart // by number
}

// send reads the body and waits for all parts.
func (p *parts) send(ctx context.Context, body restore.Body) error {
	p.group, p.ctx = errgroup.WithContext(ctx)
	err := body(p)
	if err == nil {
		err = p.flush() // the last part, or the only and empty one
	}
	if p.release != nil {
		p.release()
	}
	if sent := p.group.Wait(); sent != nil {
		return sent
	}
	if err != nil {
		return &bodyError{err}
	}
	return nil
}

// Write collects the parts.
func (p *parts) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		if p.release == nil {
			if err := p.take(); err != nil {
				return 0, err
			}
		}
		m := min(len(b), int(p.size)-len(p.buf))
		p.buf = append(p.buf, b[:m]...)
		b = b[m:]
		if int64(len(p.buf)) == p.size {
			if err := p.flush(); err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}

// take waits for a buffer.
func (p *parts) take() (err error) {
	p.buf, p.release, err = p.memory.Get(p.ctx, min(p.size, p.it.Size))
	return err
}

// flush sends what is collected as the next part, in a goroutine of the group.
func (p *parts) flush() error {
	if p.release == nil {
		return p.ctx.Err()
	}
	p.number++
	buf, release, number := p.buf, p.release, p.number
	p.buf, p.release = nil, nil
	p.group.Go(func() error {
		defer release()
		return p.part(number, buf)
	})
	return p.ctx.Err()
}

func (p *parts) part(number int32, buf []byte) error {
	return p.patiently(p.ctx, int64(len(buf)), func(ctx context.Context) error {
		out, err := p.client.UploadPart(ctx, &s3.UploadPartInput{
			Bucket: &p.bucket, Key: p.key(p.it), UploadId: &p.id, PartNumber: aws.Int32(number),
			Body: bytes.NewReader(buf), ContentLength: aws.Int64(int64(len(buf))),
		})
		if err != nil {
			return err
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		for len(p.done) < int(number) {
			p.done = append(p.done, types.CompletedPart{})
		}
		p.done[number-1] = types.CompletedPart{ETag: out.ETag, PartNumber: aws.Int32(number)}
		return nil
	})
}

// complete makes the object of the parts.
func (p *parts) complete(ctx context.Context) error {
	return p.patiently(ctx, 0, func(ctx context.Context) error {
		_, err := p.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
			Bucket: &p.bucket, Key: p.key(p.it), UploadId: &p.id, IfNoneMatch: p.condition(),
			MultipartUpload: &types.CompletedMultipartUpload{Parts: p.done},
		})
		return err
	})
}

// abortTime is how long aborting may take, also when the run was cancelled.
const abortTime = 30 * time.Second

func (p *parts) abort(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTime)
	defer cancel()
	err := p.patiently(ctx, 0, func(ctx context.Context) error {
		_, err := p.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &p.bucket, Key: p.key(p.it), UploadId: &p.id})
		return err
	})
	if statusOf(err) == 404 {
		return nil
	}
	return err
}
