package s3target

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"

	"farshore/agent/restore"
)

// Write uploads the object. What the store says it does not know (a storage class, tags, the condition) is left out in a further
// attempt.
func (t *Target) Write(ctx context.Context, it *restore.Item, overwrite bool, body restore.Body) (restore.Written, error) {
	u := &upload{Target: t, it: it, meta: t.metadata(it.Attrs), conditional: !overwrite && !t.unconditional.Load()}
	for {
		err := u.send(ctx, body)
		if err == nil {
			return restore.Written{NotPutBack: u.meta.lost}, nil
		}
		if again, err := u.relax(ctx, err); !again {
			return restore.Written{}, err
		}
	}
}

// upload is one call of Write.
type upload struct {
	*Target
	it          *restore.Item
	meta        *metadata
	conditional bool
}

// condition is what an upload asks for so that it replaces nothing.
func (u *upload) condition() *string {
	if u.conditional {
		return aws.String("*")
	}
	return nil
}

// bodyError keeps a failure of the body apart from the store's.
type bodyError struct{ error }

// Unwrap returns the body's own error.
func (e *bodyError) Unwrap() error { return e.error }

// relax judges a failed attempt, and reports whether there is a lesser one to make.
func (u *upload) relax(ctx context.Context, err error) (again bool, _ error) {
	var fromBody *bodyError
	switch {
	case ctx.Err() != nil:
		return false, ctx.Err()
	case errors.As(err, &fromBody):
		return false, fromBody.error
	case statusOf(err) == 412 && u.conditional:
		return u.exists(ctx)
	case errors.Is(err, errTaken), isCode(err, "NoSuchUpload"):
		u.notEmpty() // made by a request whose answer was lost, or by somebody else: a look tells
		return false, restore.ErrExists
	case isCode(err, "InvalidStorageClass") && u.meta.class != "":
		u.meta.class = ""
		u.meta.lose(lostClass)
	case statusOf(err) == 501 && u.conditional:
		u.conditional = false
		u.unconditional.Store(true)
	case statusOf(err) == 501 && len(u.meta.tags) > 0:
		u.noTags.Store(true)
		u.meta.dropTags()
	default:
		return false, u.failure("write", u.it.Path, err)
	}
	return true, nil
}

// exists looks whether what the store refused to replace can be seen. Some stores refuse to write over a mere delete marker: there the
// condition has to go.
func (u *upload) exists(ctx context.Context) (again bool, _ error) {
	head, err := u.head(ctx, u.it)
	switch {
	case err != nil:
		return false, err
	case head != nil:
		u.notEmpty()
		return false, restore.ErrExists
	}
	u.conditional = false
	return true, nil
}

// send makes one attempt.
func (u *upload) send(ctx context.Context, body restore.Body) error {
	part := partSize(u.it, u.o.SinglePut, u.o.PartSize)
	switch {
	case part > 0:
		return u.multipart(ctx, part, body)
	case u.it.Size > min(bufferedPut, u.o.Memory):
		return u.stream(ctx, body)
	}
	buf, release, err := u.memory.Get(ctx, u.it.Size)
	if err != nil {
		return err
	}
	defer release()
	whole := bytes.NewBuffer(buf)
	if err := body(whole); err != nil {
		return &bodyError{err}
	}
	return u.repeat(ctx, func(ctx context.Context) error {
		return u.put(ctx, bytes.NewReader(whole.Bytes()))
	})
}

// errTaken says that the object is there, before a request is repeated.
var errTaken = errors.New("the object is there")

// repeat makes a PutObject patiently. Before it is repeated under the condition, the object is looked for: an earlier attempt may have made it,
// and a store that refuses early closes the connection, so that its answer is lost behind a failure to send.
func (u *upload) repeat(ctx context.Context, put func(ctx context.Context) error) error {
	first := true
	return u.patiently(ctx, u.it.Size, func(ctx context.Context) error {
		if !first && u.conditional {
			_, err := u.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &u.bucket, Key: u.key(u.it)})
			if err == nil {
				return errTaken
			}
		}
		first = false
		return put(ctx)
	})
}

// put makes one PutObject. The body's SHA-256 is known: it is signed, so that the store checks it, and kept as the object's checksum.
func (u *upload) put(ctx context.Context, body io.Reader) error {
	in := &s3.PutObjectInput{
		Bucket: &u.bucket, Key: u.key(u.it), Body: body, ContentLength: aws.Int64(u.it.Size), IfNoneMatch: u.condition(),
		ChecksumSHA256: aws.String(base64.StdEncoding.EncodeToString(u.it.SHA256[:])),
	}
	u.meta.put(in)
	_, err := u.client.PutObject(ctx, in, append(u.meta.options(), withPayloadHash(u.it.SHA256))...)
	return err
}

// withPayloadHash signs a hash that is known in place of one that is computed, which a body that is read once does not allow.
func withPayloadHash(sum [32]byte) func(*s3.Options) {
	set := middleware.InitializeMiddlewareFunc("farshorePayloadHash", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
		return next.HandleInitialize(v4.SetPayloadHash(ctx, hex.EncodeToString(sum[:])), in)
	})
	return s3.WithAPIOptions(func(s *middleware.Stack) error { return s.Initialize.Add(set, middleware.Before) })
}

// stream sends the body while it is read from the vault. The last byte waits until the body is verified, so that the store has no whole object before.
func (u *upload) stream(ctx context.Context, body restore.Body) error {
	return u.repeat(ctx, func(ctx context.Context) error {
		r, w := io.Pipe()
		read := make(chan error, 1)
		go func() {
			err := sendHeldBack(w, body)
			w.CloseWithError(err)
			read <- err
		}()
		err := u.put(ctx, &sized{r, int(u.it.Size)})
		r.CloseWithError(errStopped)
		if failed := <-read; failed != nil && !errors.Is(failed, errStopped) {
			return &bodyError{failed}
		}
		return err
	})
}

// sized tells the SDK how long a body is.
type sized struct {
	io.Reader
	length int
}

// Len is the number of bytes of the whole body.
func (s *sized) Len() int { return s.length }

// errStopped tells a body that nobody reads on.
var errStopped = errors.New("the upload has ended")

// sendHeldBack writes the body to w, the last byte only when the body returned nil.
func sendHeldBack(w io.Writer, body restore.Body) error {
	h := &holdBack{w: w}
	if err := body(h); err != nil {
		return err
	}
	if !h.held {
		return nil
	}
	if _, err := w.Write(h.last[:]); err != nil {
		return fmt.Errorf("last byte: %w", err)
	}
	return nil
}

// holdBack passes on all but the last byte so far. Not safe for concurrent use.
type holdBack struct {
	w    io.Writer
	last [1]byte
	held bool
}

// Write passes on the byte held back and all of p but its last one.
func (h *holdBack) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if h.held {
		if _, err := h.w.Write(h.last[:]); err != nil {
			return 0, err
		}
	}
	if n, err := h.w.Write(p[:len(p)-1]); err != nil {
		return n, err
	}
	h.last[0], h.held = p[len(p)-1], true
	return len(p), nil
}
