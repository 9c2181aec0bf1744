package git

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"path/filepath"

	"farshore/agent/record"
	"farshore/agent/source"
	"farshore/agent/source/git/local"
)

// maxFsck is how many bytes of packs git fsck reads for a baseline: it takes about a minute of a core for that many.
const maxFsck = 2 << 30

// fsck stores what git finds wrong with a repository on this machine at the time of its self-contained pack, so that a check of what was restored can
// tell it from damage. nil: there is no baseline, and h.fsckOmitted says why where there should be one.
func (h *history) fsck(ctx context.Context) (*record.Part, error) {
	l, ok := h.backend.(*local.Repository)
	if !ok {
		return nil, nil
	}
	if n := packBytes(h.repo.dir); n > maxFsck {
		h.fsckOmitted = fmt.Sprintf("skipped: its packs have %d bytes, and at most %d are read", n, maxFsck)
		return nil, nil
	}
	lines, err := l.Fsck(ctx)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		h.fsckOmitted = "failed: " + err.Error()
		return nil, nil
	}
	p, err := h.sink.Part(ctx, record.Part{Kind: record.PartFsck}, int64(len(lines)), bytes.NewReader(lines))
	return &p, fromSink(err)
}

// objectsOf is the object directory of a git directory, as alternates name it.
func objectsOf(dir string) string {
	objects := filepath.Join(dir, "objects")
	if real, err := filepath.EvalSymlinks(objects); err == nil {
		return real
	}
	return objects
}

// watched tells an error of what is read from one of the sink that reads it.
type watched struct {
	r   io.Reader
	err error
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if err != nil && err != io.EOF {
		w.err = err
	}
	return n, err
}

// store stores body as a part. bad is what reading it failed with, err an error of the sink.
func store(ctx context.Context, sink source.Sink, p record.Part, size int64, body io.Reader) (part record.Part, bad, err error) {
	w := &watched{r: body}
	part, err = sink.Part(ctx, p, size, w)
	if w.err != nil {
		return part, w.err, nil
	}
	return part, nil, fromSink(err)
}
