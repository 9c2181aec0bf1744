package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"farshore/agent/record"
	"farshore/agent/source"
	"farshore/agent/source/git/local"
)

// maxFsck is how many bytes of packs git fsck reads for a baseline: it takes about a minute of a core for that many.
const maxFsck = 2 << 30

// noteDamage begins the line that says what is wrong with objects at the source.
const noteDamage = "objects: git fsck says at the source: "

// noteRepair ends it.
const noteRepair = ": repair the repository or restore it; the next pass looks again"

// repaired reports whether a repository that had objects missing or wrong has them now: what was stored without them is then stored anew.
func (h *history) repaired(ctx context.Context) (bool, error) {
	l, ok := h.backend.(*local.Repository)
	if !ok {
		return true, nil
	}
	_, damage, err := l.Fsck(ctx)
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if h.damage = damageOf(damage, err); h.damage == "" && failedHere(err) {
		h.damage = h.last.damage() // as long as nobody knows better
	}
	return h.damage == "", nil
}

// damageOf is what a run of git fsck says of damage: one that gave up over it says so too.
func damageOf(damage string, err error) string {
	var bad *source.Unreadable
	if errors.As(err, &bad) && bad.Reason == record.ReasonBroken {
		return bad.Detail
	}
	return damage
}

// failedHere reports whether a run of git failed for other reasons than what is wrong with the repository.
func failedHere(err error) bool {
	var bad *source.Unreadable
	return errors.As(err, &bad) && bad.Reason == record.ReasonOther
}

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
	lines, damage, err := l.Fsck(ctx)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	h.damage = damageOf(damage, err)
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
