package git

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"

	"farshore/agent/record"
	"farshore/agent/repo/gitpack"
	"farshore/agent/repo/refs"
	"farshore/agent/source"
)

// storePack stores the pack with what wants reach and haves do not. nil: there is nothing.
func (h *history) storePack(ctx context.Context, wants, haves []string, base string) (*record.Part, error) {
	p, err := h.tryPack(ctx, wants, haves, base, false)
	if errors.Is(err, gitpack.ErrKeep) {
		return h.tryPack(ctx, wants, haves, base, true)
	}
	return p, err
}

// tryPack asks for the pack and stores it: rewritten such that it compresses well, or raw.
func (h *history) tryPack(ctx context.Context, wants, haves []string, base string, raw bool) (*record.Part, error) {
	stream, err := h.backend.Pack(ctx, wants, haves, len(haves) > 0)
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	in := bufio.NewReaderSize(stream, 64<<10)
	if empty, err := isEmpty(in); err != nil {
		return nil, err
	} else if empty {
		return nil, standsAlone(wants, haves, gitpack.Facts{}, stream)
	}
	o := gitpack.Options{IDSize: idSize(h.now.Format), Raw: raw, Pointer: h.out.pointers.add}
	part, facts, err := h.pipe(ctx, in, o, base)
	if err != nil {
		return nil, err
	}
	if err := standsAlone(wants, haves, facts, stream); err != nil {
		return nil, err
	}
	h.lfs = h.lfs || facts.LFS
	h.out.unknown = h.out.unknown || facts.Unresolved > 0
	return h.complete(part, facts, stream, len(haves) > 0)
}

// standsAlone checks as much as can be told without a clone of a pack that was to build upon nothing: all that was asked for is in it, so it has at least as many
// objects; and, from whoever can refer to bases of deltas by offset, no delta names one by its id, as those do whose bases lie elsewhere. What it finds may pass: it
// is asked for once more.
func standsAlone(wants, haves []string, facts gitpack.Facts, stream any) error {
	if len(haves) > 0 {
		return nil
	}
	if facts.Objects < int64(len(wants)) {
		return fmt.Errorf("the answer has %d objects, and refs point to %d: something of what was asked for was left out; run git fsck there, and look at what lies between", facts.Objects, len(wants))
	}
	byID, ok := stream.(interface{ BasesByID() bool })
	if facts.Thin && (!ok || !byID.BasesByID()) {
		return errors.New("the answer builds upon objects that are not in it, though it was asked to stand on its own: run git fsck there, and look at what lies between")
	}
	return nil
}

// maxLines is how many bytes the vault takes of a part that is lines of text (docs/format.md, section 5.1).
const maxLines = 256 << 20

// fits reports whether the vault takes the refs.
func fits(m *refs.Manifest, most int64) error {
	n, err := m.WriteTo(io.Discard)
	if err != nil || n <= most {
		return err
	}
	return &source.Unreadable{
		Reason: record.ReasonTooLarge,
		Detail: fmt.Sprintf("its %d refs take %d bytes as a list, and %d are the most: delete refs that nobody needs", len(m.Refs), n, most),
	}
}

// isEmpty reports whether the pack has no objects. Such a pack is read to its end, since only that tells that it is whole.
func isEmpty(in *bufio.Reader) (bool, error) {
	const header = 12
	b, err := in.Peek(header)
	if err == io.EOF && len(b) == 0 {
		return true, nil
	}
	if err != nil {
		if err == io.EOF {
			err = fmt.Errorf("a pack of %d bytes: %w", len(b), io.ErrUnexpectedEOF)
		}
		return false, err
	}
	if binary.BigEndian.Uint32(b[8:]) != 0 {
		return false, nil
	}
	_, err = io.Copy(io.Discard, in)
	return true, err
}

func idSize(format string) int {
	if format == refs.SHA256 {
		return 32
	}
	return 20
}

// errSinkEnded ends the rewriting of a pack that the sink takes no more of.
var errSinkEnded = errors.New("the sink takes no more")

// pipe rewrites the pack into the sink.
func (h *history) pipe(ctx context.Context, in io.Reader, o gitpack.Options, base string) (record.Part, gitpack.Facts, error) {
	r, w := io.Pipe()
	var facts gitpack.Facts
	var failed error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		facts, failed = gitpack.Transcode(w, in, o)
		w.CloseWithError(failed)
	}()
	part, err := h.sink.Part(ctx, record.Part{Kind: record.PartPack, Base: base}, -1, r)
	r.CloseWithError(errSinkEnded)
	<-ended
	switch {
	case failed != nil && !errors.Is(failed, errSinkEnded):
		return part, facts, failed
	case err != nil:
		return part, facts, fromSink(err)
	case failed != nil: // it said that it has all, and did not take all
		return part, facts, fromSink(fmt.Errorf("the pack was not stored whole: %w", failed))
	}
	return part, facts, nil
}

// complete checks the stored pack against what had to be in it, and says so in its attributes.
func (h *history) complete(part record.Part, facts gitpack.Facts, stream any, thin bool) (*record.Part, error) {
	part.Attrs = record.Attrs{
		attrObjects: strconv.FormatInt(facts.Objects, 10), attrTrailer: facts.Trailer, attrSourceSize: strconv.FormatInt(facts.SourceSize, 10),
	}
	if facts.Thin && thin { // bases by id in a pack that was to stand on its own are in it
		part.Attrs[attrThin] = yes
	}
	if c, ok := stream.(counted); ok {
		objects, ids := c.IDs()
		if objects != facts.Objects {
			return nil, broken(fmt.Sprintf("a pack has %d objects in place of %d", facts.Objects, objects))
		}
		part.Attrs[attrIDs] = ids
	}
	return &part, nil
}

func broken(detail string) error {
	return &source.Unreadable{Reason: record.ReasonBroken, Detail: detail + ": run git fsck there"}
}

// reason says what an error of a repository is in a record.
func (s *Source) reason(err error) string {
	var format *gitpack.FormatError
	switch {
	case errors.As(err, &format):
		return record.ReasonBroken
	case s.address.scheme == schemeFile && errors.Is(err, fs.ErrPermission):
		return record.ReasonDenied
	}
	return record.ReasonOther
}
