package gitrepo

import (
	"context"
	"errors"
	"io"
	"strconv"

	"farshore/agent/record"
	"farshore/agent/repo/gitpack"
)

// deflateLevel is how strongly objects' data is deflated: packs are then about as large as git makes them.
const deflateLevel = 6

// packWriter writes a whole pack to w, and says what the one in the vault showed meanwhile. The ids are left to the caller.
type packWriter func(ctx context.Context, w io.Writer) (*packFacts, error)

// storedPack is a pack in the vault.
type storedPack struct {
	parts  Parts
	part   *record.Part
	idSize int
}

// asGitMade reports whether the pack was stored as git gave it, and so is deflated.
func (s storedPack) asGitMade() bool {
	return s.part.Attrs[attrSource] == strconv.FormatInt(s.part.Size, 10)
}

// copied writes the pack as it is. Whether it is a pack is left to whoever reads it.
func (s storedPack) copied(ctx context.Context, w io.Writer) (*packFacts, error) {
	watch := &packWatch{idSize: s.idSize}
	err := s.parts.Copy(ctx, io.MultiWriter(w, watch), s.part)
	return &packFacts{objects: watch.objects(), trailer: watch.trailer()}, err
}

// deflated writes the pack with the data of its objects deflated, which was stored for the vault's sake. An error that wraps gitpack.ErrKeep says that only
// copied can write it. What w received is whole only when there is no error: nothing of the trailer is written before the vault's bytes have shown their hash.
func (s storedPack) deflated(ctx context.Context, w io.Writer) (*packFacts, error) {
	if s.asGitMade() {
		return s.copied(ctx, w)
	}
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	in, out := io.Pipe()
	copied := make(chan error, 1)
	go func() {
		err := s.parts.Copy(inner, out, s.part)
		copied <- err
		_ = out.CloseWithError(err) // it never fails
	}()
	f, err := gitpack.Transcode(w, in, gitpack.Options{IDSize: s.idSize, Level: deflateLevel})
	_ = in.CloseWithError(errEnded) // it never fails
	if err != nil {
		cancel()
	}
	e := <-copied
	if e != nil && (err == nil || !errors.Is(e, errEnded) && !errors.Is(e, context.Canceled)) {
		err = e // what reading failed with comes before what was seen in consequence
	}
	return &packFacts{objects: f.Objects, trailer: f.SourceTrailer}, err
}
